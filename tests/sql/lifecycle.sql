-- Changes of what maintained tables are made of: each must be followed, or refused, and be of no
-- concern to anybody else.
CREATE EXTENSION pg_imat;
-- differs(NAME): how often imat.NAME and the view NAME differ; `wrong` lists those that do.
CREATE FUNCTION differs(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((SELECT v::text FROM %1$I AS v EXCEPT ALL SELECT i::text FROM imat.%1$I AS i)
        UNION ALL (SELECT i::text FROM imat.%1$I AS i EXCEPT ALL SELECT v::text FROM %1$I AS v)) AS d', name) INTO n;
    RETURN n;
END $$;
CREATE VIEW wrong AS WITH names AS MATERIALIZED (
        SELECT c.relname::text AS name FROM imat_status AS s JOIN pg_class AS c ON c.oid = s.name)
    SELECT name, differs(name) FROM names WHERE differs(name) > 0;
GRANT SELECT ON wrong TO PUBLIC;

-- Nobody can keep others from their DDL.
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE ROLE regress_mallory;
GRANT CREATE ON SCHEMA public TO regress_mallory;
GRANT USAGE ON FOREIGN DATA WRAPPER nowhere TO regress_mallory;
SET SESSION AUTHORIZATION regress_mallory;
CREATE SERVER ms FOREIGN DATA WRAPPER nowhere;
CREATE TABLE m1 (a int);
CREATE VIEW mv1 AS SELECT count(*) FROM m1;
SELECT create_imat('mv1');
CREATE FOREIGN TABLE mf (a int) SERVER ms;
ALTER FOREIGN TABLE mf INHERIT m1;
CREATE FOREIGN TABLE mf2 () INHERITS (m1) SERVER ms;
CREATE UNLOGGED TABLE mu () INHERITS (m1);
CREATE TABLE mr (a int);
ALTER TABLE mr ENABLE ROW LEVEL SECURITY;
ALTER TABLE mr INHERIT m1;
INSERT INTO m1 VALUES (1);
TABLE wrong;
RESET SESSION AUTHORIZATION;
-- By force of a superuser's hand.
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER FOREIGN TABLE mf INHERIT m1;
ALTER TABLE m1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE m1 DISABLE TRIGGER imat_insert;
ALTER EVENT TRIGGER imat_change ENABLE;
CREATE TABLE bystander (a int);
CREATE VIEW bystanders AS SELECT * FROM bystander;
ALTER TABLE bystander ADD b int;
CREATE INDEX ON bystander (b);
DROP TABLE bystander CASCADE;
CREATE TABLE child_of_m1 () INHERITS (m1);
ALTER FOREIGN TABLE mf NO INHERIT m1;
ALTER TABLE m1 DISABLE ROW LEVEL SECURITY, ENABLE ALWAYS TRIGGER imat_insert;
INSERT INTO m1 VALUES (2);
TABLE wrong;
DROP FOREIGN TABLE mf;
DROP TRIGGER imat_update ON m1;
SELECT drop_imat('mv1');
DROP TABLE m1 CASCADE;

-- Members by other commands than CREATE TABLE and ALTER TABLE; parents.
CREATE SERVER fs FOREIGN DATA WRAPPER nowhere;
CREATE TABLE p (a int NOT NULL, n int NOT NULL) PARTITION BY LIST (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (n);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (1);
CREATE VIEW by_a AS SELECT a, sum(n) AS s, count(*) AS c FROM p GROUP BY a;
SELECT create_imat('by_a');
INSERT INTO p VALUES (1, 1), (2, 1);
CREATE FOREIGN TABLE pf PARTITION OF p FOR VALUES IN (3) SERVER fs;
CREATE FOREIGN TABLE pf PARTITION OF p2 FOR VALUES IN (3) SERVER fs;
CREATE UNLOGGED TABLE p4 PARTITION OF p FOR VALUES IN (4);
CREATE TABLE p5 AS SELECT 5 AS a, 5 AS n;
ALTER TABLE p5 ALTER a SET NOT NULL, ALTER n SET NOT NULL;
ALTER TABLE p ATTACH PARTITION p5 FOR VALUES IN (5);
TABLE wrong;
INSERT INTO p5 VALUES (5, 6);
TABLE wrong;
ALTER TABLE p DETACH PARTITION p5 CONCURRENTLY;
ALTER TABLE p2 DETACH PARTITION p21 CONCURRENTLY;
ALTER TABLE IF EXISTS no_such_table DETACH PARTITION p21 CONCURRENTLY;
ALTER TABLE p2 DETACH PARTITION p21;
TABLE wrong;
-- A parent, whose other partitions' rows come the same way.
CREATE TABLE l1 (a int, n int);
CREATE VIEW leaf AS SELECT a, sum(n) AS s FROM l1 GROUP BY a;
SELECT create_imat('leaf');
CREATE TABLE root (a int, n int) PARTITION BY LIST (a);
CREATE TABLE l2 PARTITION OF root FOR VALUES IN (2);
ALTER TABLE root ATTACH PARTITION l1 FOR VALUES IN (1);
INSERT INTO root VALUES (2, 2);
TABLE wrong;
SELECT drop_imat('leaf');
ALTER TABLE root ATTACH PARTITION l1 FOR VALUES IN (1);
SELECT create_imat('leaf');
INSERT INTO root VALUES (1, 1), (2, 2);
ALTER TABLE root DETACH PARTITION l2 CONCURRENTLY;
INSERT INTO root VALUES (1, 1);
TABLE wrong;

-- A view below, by a rule.
CREATE TABLE t9 (a int);
INSERT INTO t9 VALUES (1), (2);
CREATE VIEW b9 AS SELECT a FROM t9 WHERE a > 1;
CREATE VIEW c9 AS SELECT a FROM b9;
CREATE VIEW v9 AS SELECT a FROM c9;
SELECT create_imat('v9');
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO b9 DO INSTEAD SELECT a FROM t9;
CREATE OR REPLACE VIEW c9 AS SELECT a FROM t9;
CREATE OR REPLACE VIEW v9 AS SELECT a FROM c9 WHERE a > 0;
CREATE OR REPLACE RULE noted AS ON INSERT TO t9 DO ALSO NOTHING;
TABLE wrong;
COMMENT ON VIEW b9 IS 'says nothing';

-- A function behind an operator, changed by whatever command.
CREATE FUNCTION f8(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 = $2 + 1';
CREATE OPERATOR === (FUNCTION = f8, LEFTARG = int, RIGHTARG = int);
CREATE TABLE t8 (a int, b int);
INSERT INTO t8 VALUES (1, 0), (1, 1);
CREATE VIEW v8 AS SELECT * FROM t8 WHERE a === b;
SELECT create_imat('v8');
CREATE OR REPLACE FUNCTION f8(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 = $2';
TABLE imat.v8;
TABLE wrong;
ALTER ROUTINE f8(int, int) VOLATILE;
ALTER OPERATOR === (int, int) SET (RESTRICT = eqsel);
CREATE OR REPLACE FUNCTION f8(int, int) RETURNS boolean STABLE LANGUAGE sql AS 'SELECT $1 = $2';
TABLE wrong;

-- A class of operators: what DISTINCT asks for is an operator; what answers may be the class's function.
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION pair_cmp(pair, pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a - ($2).a';
CREATE FUNCTION pair_eq(pair, pair) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a = ($2).a';
CREATE FUNCTION pair_lt(pair, pair) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a < ($2).a';
CREATE OPERATOR ~= (FUNCTION = pair_eq, LEFTARG = pair, RIGHTARG = pair, MERGES);
CREATE OPERATOR ~< (FUNCTION = pair_lt, LEFTARG = pair, RIGHTARG = pair);
CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 ~<, OPERATOR 3 ~=, FUNCTION 1 pair_cmp(pair, pair);
CREATE TABLE pairs (p pair);
INSERT INTO pairs VALUES ((1, 2)), ((1, 2)), ((2, 2)), ((3, 2));
CREATE VIEW firsts AS SELECT DISTINCT p FROM pairs;
SET client_min_messages = warning;
SELECT create_imat('firsts');
RESET client_min_messages;
CREATE OR REPLACE FUNCTION pair_cmp(pair, pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT sign(($1).a / 2 - ($2).a / 2)::int';
CREATE OR REPLACE FUNCTION pair_eq(pair, pair) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a / 2 = ($2).a / 2';
CREATE OR REPLACE FUNCTION pair_lt(pair, pair) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a / 2 < ($2).a / 2';
TABLE imat.firsts ORDER BY (p).a;
TABLE wrong;

-- A function of a cast, of a domain's constraint, of an aggregate; a type within a type.
CREATE FUNCTION as_int(pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a';
CREATE CAST (pair AS int) WITH FUNCTION as_int(pair);
CREATE VIEW numbers AS SELECT p::int AS n, count(*) FROM pairs GROUP BY p::int;
SELECT create_imat('numbers');
CREATE OR REPLACE FUNCTION as_int(pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT ($1).b';
TABLE imat.numbers;
TABLE wrong;
CREATE FUNCTION fits(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 < 100; END';
CREATE DOMAIN small AS int CHECK (fits(VALUE));
CREATE VIEW fitting AS SELECT a::small AS a FROM t9;
SELECT create_imat('fitting');
CREATE OR REPLACE FUNCTION fits(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 < 2; END';
INSERT INTO t9 VALUES (200);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE moods (id int, m mood[], t t9);
INSERT INTO moods VALUES (1, '{sad,glad}', ROW(1));
CREATE VIEW mooded AS SELECT id, to_jsonb(m) AS m, to_jsonb(t) AS t FROM moods;
SELECT create_imat('mooded');
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
TABLE imat.mooded;
TABLE wrong;
ALTER TABLE t9 RENAME COLUMN a TO renamed;
TABLE imat.mooded;
TABLE wrong;
-- The names of a table's columns, in a query that is not understood.
CREATE VIEW named9 AS SELECT to_jsonb(t9) AS j FROM t9;
SELECT create_imat('named9');
ALTER TABLE t9 RENAME COLUMN renamed TO a;
SELECT * FROM imat.named9 ORDER BY j;
TABLE wrong;
CREATE VIEW pair_text AS SELECT to_jsonb(p) AS j FROM pairs;
SELECT create_imat('pair_text');
ALTER TYPE pair RENAME ATTRIBUTE b TO c;
SELECT drop_imat('numbers');
ALTER TYPE pair RENAME ATTRIBUTE b TO c;
TABLE imat.pair_text ORDER BY j;
TABLE wrong;
CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
CREATE TABLE texts (x text);
INSERT INTO texts VALUES ('running wild');
CREATE VIEW tokens AS SELECT to_tsvector('words', x) AS words FROM texts;
SELECT create_imat('tokens');
ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR asciiword;
TABLE imat.tokens;
TABLE wrong;

-- What the text of a query means must stay what the query means.
CREATE TABLE t10 (a int, k int);
INSERT INTO t10 VALUES (1, 1), (2, 1);
CREATE FUNCTION f10(anyelement) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE OPERATOR ?| (FUNCTION = f10, RIGHTARG = anyelement);
CREATE VIEW below10 AS SELECT ?| a AS n, k FROM t10;
CREATE VIEW v10 AS SELECT k, sum(f10(a)) AS s FROM t10 GROUP BY k;
CREATE VIEW w10 AS SELECT k, sum(n) AS s FROM below10 GROUP BY k;
CREATE VIEW x10 AS SELECT p::text AS x FROM pairs;
SELECT create_imat('v10'), create_imat('w10'), create_imat('x10');
CREATE FUNCTION f10(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 100';
CREATE FUNCTION f10(text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 100';
CREATE FUNCTION g10(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 100';
CREATE OPERATOR ?| (FUNCTION = g10, RIGHTARG = int);
CREATE FUNCTION pair_text(pair) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'cast'::text $$;
CREATE CAST (pair AS text) WITH FUNCTION pair_text(pair);
SELECT drop_imat('x10');
CREATE CAST (pair AS text) WITH FUNCTION pair_text(pair);
DROP VIEW x10;
CREATE VIEW x10 AS SELECT p::text AS x FROM pairs;
SELECT create_imat('x10');
DROP CAST (pair AS text);
INSERT INTO t10 VALUES (3, 1);
INSERT INTO pairs VALUES ((4, 4));
TABLE wrong;

DROP OWNED BY regress_mallory CASCADE;
DROP ROLE regress_mallory;
