-- What create_imat refuses, with its error, and that nothing of it is left behind.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer NOT NULL, b integer, at timestamptz NOT NULL DEFAULT '2024-01-01');
INSERT INTO t VALUES (1, 10), (1, 20), (2, NULL);
CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;

-- All that a create_imat could leave somewhere.
CREATE VIEW inventory AS
    SELECT 'relation' AS kind, c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_(catalog|toast)' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
    UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname FROM pg_trigger
    UNION ALL SELECT 'source', name || ' ' || relation FROM imat_catalog.source
    UNION ALL SELECT 'imat', name::text FROM imat_catalog.imat;
CREATE TABLE before (kind text, name text);
CREATE VIEW left_behind AS TABLE inventory EXCEPT ALL TABLE before;
INSERT INTO before TABLE inventory;
TABLE left_behind;

-- Names.
SELECT create_imat('nothing');
SELECT create_imat('public.nothing');
SELECT create_imat('nowhere.v');
SELECT create_imat('V');
SELECT create_imat('"V"');
-- What is called in another way than it is meant.
CREATE VIEW "My View" AS SELECT a FROM t;
SELECT create_imat('SELECT a FROM t');
SELECT create_imat(E'with x AS (SELECT 1)\n TABLE x');
SELECT create_imat('My View');
SELECT create_imat('Mine');
SELECT create_imat('my view');
SELECT create_imat('a.b.c.d');
SELECT create_imat('');
SELECT create_imat(query => 'SELECT a FROM t');
SELECT create_imat();
SELECT create_imat(NULL, query => 'SELECT a FROM t');
SELECT * FROM check_imat('v');
SELECT * FROM check_imat('"My View"');
SELECT * FROM check_imat('t');
SELECT * FROM check_imat('nothing');
DROP VIEW "My View";
SELECT create_imat('v', 'nowhere');
SELECT create_imat('v', 'Public');
SELECT create_imat('t');
CREATE SEQUENCE seq;
SELECT create_imat('seq');
CREATE INDEX t_a ON t (a);
SELECT create_imat('t_a');
CREATE TYPE composite AS (a integer);
SELECT create_imat('composite');
CREATE TABLE parted (a integer) PARTITION BY LIST (a);
SELECT create_imat('parted');
CREATE FOREIGN TABLE elsewhere (a integer) SERVER files OPTIONS (filename '/dev/null');
SELECT create_imat('elsewhere');
SELECT create_imat('v', 'public');
SELECT drop_imat('v');
CREATE TABLE imat.v (a integer);
SELECT create_imat('v');
DROP TABLE imat.v;
DELETE FROM before; INSERT INTO before TABLE inventory;

-- The same one twice.
SELECT create_imat('v');
SELECT create_imat('v');
SELECT create_imat('v', query => 'SELECT 1 AS one');
SELECT create_imat('imat.v');
SELECT drop_imat('v');
SELECT drop_imat('v');
TABLE left_behind;

-- Base tables that can't be followed.
CREATE TEMPORARY TABLE tmp (a integer);
CREATE TEMPORARY VIEW tmp_view AS SELECT * FROM tmp;
SELECT refusal($$SELECT create_imat('x', query => 'SELECT a, count(*) FROM tmp GROUP BY a')$$);
SELECT refusal($$SELECT create_imat('tmp_view')$$);
SELECT refusal($$SELECT create_imat('tmp')$$);
SELECT refusal($$SELECT create_imat('x', query => 'SELECT * FROM tmp_view JOIN t USING (a)')$$);
DROP TABLE tmp CASCADE;
CREATE UNLOGGED TABLE unlogged (a integer);
SELECT create_imat('x', query => 'SELECT a, count(*) FROM unlogged GROUP BY a');
SELECT create_imat('x', query => 'SELECT a, count(*) FROM elsewhere GROUP BY a');
SELECT create_imat('x', query => 'SELECT relname FROM pg_class');
SELECT create_imat('x', query => 'SELECT t.a FROM t WHERE a IN (SELECT oid::integer FROM pg_class)');
SELECT create_imat('x', query => 'SELECT table_name FROM information_schema.tables');
SELECT create_imat('x', query => 'SELECT name, setting FROM pg_settings');
CREATE MATERIALIZED VIEW matview AS SELECT a FROM t;
SELECT create_imat('x', query => 'SELECT a, count(*) FROM matview GROUP BY a');
SELECT create_imat('x', query => 'SELECT last_value FROM seq');
CREATE TABLE secured (a integer, owner name);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
SELECT create_imat('x', query => 'SELECT a, count(*) FROM secured GROUP BY a');
CREATE TABLE root (a integer) PARTITION BY LIST (a);
CREATE FOREIGN TABLE root_far PARTITION OF root FOR VALUES IN (1) SERVER files OPTIONS (filename '/dev/null');
SELECT create_imat('x', query => 'SELECT a, count(*) FROM root GROUP BY a');
DELETE FROM before; INSERT INTO before TABLE inventory;

-- Expressions whose value is not settled by the rows.
SELECT create_imat('x', query => 'SELECT a, random() AS r FROM t');
SELECT create_imat('x', query => 'SELECT a FROM t WHERE at > now()');
SELECT create_imat('x', query => 'SELECT a FROM t WHERE at > current_date');
SELECT create_imat('x', query => 'SELECT a FROM t WHERE at > current_timestamp(0)');
SELECT create_imat('x', query => 'SELECT a, localtime AS l FROM t');
SELECT create_imat('x', query => 'SELECT a, current_user AS u FROM t');
SELECT create_imat('x', query => 'SELECT a, clock_timestamp() AS c FROM t');
SELECT create_imat('x', query => 'SELECT a, nextval(''seq'') AS s FROM t');
SELECT create_imat('x', query => 'SELECT a, current_setting(''TimeZone'') AS s FROM t');
SELECT create_imat('x', query => 'SELECT a, age(at) AS age FROM t');
SELECT create_imat('x', query => 'SELECT a, pg_table_size(''t'') AS s FROM t');
SELECT create_imat('x', query => 'SELECT a, txid_current() AS x FROM t');
SELECT create_imat('x', query => 'SELECT a, ''now''::text::timestamptz AS x FROM t');
SELECT create_imat('x', query => 'SELECT a, (''t'' || a)::regclass AS x FROM t');
SELECT create_imat('x', query => 'SELECT a, count(*) AS n FROM t GROUP BY a HAVING count(*) > random() * 2');
SELECT create_imat('x', query => 'SELECT a FROM (SELECT a FROM t ORDER BY random() LIMIT 1) AS s');
CREATE FUNCTION lookup(integer) RETURNS integer LANGUAGE sql STABLE AS 'SELECT b FROM t WHERE a = $1 LIMIT 1';
SELECT create_imat('x', query => 'SELECT a, lookup(a) AS b FROM t');
CREATE FUNCTION vol(integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT $1';
SELECT create_imat('x', query => 'SELECT vol(a) AS k, count(*) AS n FROM t GROUP BY 1');
CREATE AGGREGATE vol_sum(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = 0);
CREATE FUNCTION vol_plus(integer, integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT $1 + $2';
CREATE OPERATOR +% (FUNCTION = vol_plus, LEFTARG = integer, RIGHTARG = integer);
SELECT create_imat('x', query => 'SELECT a +% b AS k FROM t');
CREATE AGGREGATE vol_agg(integer) (SFUNC = vol_plus, STYPE = integer, INITCOND = 0);
SELECT create_imat('x', query => 'SELECT a, vol_agg(b) AS s FROM t GROUP BY a');
CREATE VIEW under AS SELECT a, random() AS r FROM t;
SELECT create_imat('x', query => 'SELECT a, max(r) AS r FROM under GROUP BY a');
SELECT create_imat('x', query => 'SELECT ctid, a FROM t');
SELECT create_imat('x', query => 'SELECT xmin::text AS x, count(*) AS n FROM t GROUP BY 1');
SELECT create_imat('x', query => 'SELECT tableoid::regclass AS r, count(*) AS n FROM t GROUP BY 1');
SELECT create_imat('x', query => 'SELECT a FROM t TABLESAMPLE system (10)');
DROP FUNCTION lookup, vol; DROP AGGREGATE vol_sum(integer), vol_agg(integer); DROP OPERATOR +% (integer, integer);
DROP FUNCTION vol_plus; DROP VIEW under;
DELETE FROM before; INSERT INTO before TABLE inventory;

-- Queries that are none.
SELECT create_imat('x', query => 'SELECT a FROM t; SELECT b FROM t');
SELECT create_imat('x', query => 'SELECT a FROM t; DROP TABLE t');
SELECT create_imat('x', query => 'SELECT a FROM t) AS s; DROP TABLE t; --');
SELECT create_imat('x', query => 'SELEC a FROM t');
SELECT create_imat('x', query => 'SELECT a FROM t WHERE');
SELECT create_imat('x', query => 'SELECT nothing FROM t');
SELECT create_imat('x', query => 'SELECT a FROM nothing');
SELECT create_imat('x', query => 'SELECT a FROM t WHERE a = $1');
SELECT create_imat('x', query => 'SELECT a, a FROM t');
SELECT create_imat('x', query => 'SELECT a, ''unknown'' FROM t GROUP BY');
SELECT create_imat('x', query => 'SELECT a, b FROM t GROUP BY a');
SELECT create_imat('x', query => 'INSERT INTO t VALUES (9) RETURNING a');
SELECT create_imat('x', query => 'WITH w AS (DELETE FROM t RETURNING a) SELECT a FROM w');
SELECT create_imat('x', query => 'SELECT a INTO copied FROM t');
SELECT create_imat('x', query => 'CREATE TABLE made (a integer)');
SELECT create_imat('x', query => 'EXPLAIN SELECT a FROM t');
SELECT create_imat('x', query => 'SELECT');
SELECT create_imat('x', query => '');
SELECT create_imat('x', query => '  ; ');
SELECT create_imat('x', query => '-- nothing');
SELECT create_imat('x', query => 'SELECT 1 / 0 AS fails FROM t');
SELECT create_imat('x', query => 'SELECT a, 1 / (a - 2) AS fails FROM t');
SELECT create_imat('x.y', query => 'SELECT a FROM t');
SELECT create_imat('', query => 'SELECT a FROM t');
TABLE t;
TABLE left_behind;

-- The same, refused in a transaction that then goes on.
BEGIN;
SAVEPOINT s;
SELECT create_imat('x', query => 'SELECT a, random() AS r FROM t');
ROLLBACK TO s;
INSERT INTO t VALUES (3, 3);
COMMIT;
TABLE left_behind;

-- Created and rolled back.
BEGIN;
SELECT create_imat('v');
INSERT INTO t VALUES (4, 4);
TABLE imat.v ORDER BY a;
ROLLBACK;
TABLE left_behind;
INSERT INTO t VALUES (5, 5);
BEGIN;
SAVEPOINT s;
SELECT create_imat('v');
INSERT INTO t VALUES (6, 6);
ROLLBACK TO s;
INSERT INTO t VALUES (7, 7);
SELECT create_imat('v');
INSERT INTO t VALUES (7, 8);
COMMIT;
TABLE imat.v ORDER BY a;
SELECT * FROM verify_imat('v');
SELECT drop_imat('v');
TABLE left_behind;

-- A base table in use by the same session: refused, and the transaction can go on.
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t;
FETCH c;
SAVEPOINT s;
SELECT create_imat('v');
ROLLBACK TO s;
INSERT INTO t VALUES (8, 8);
FETCH c;
COMMIT;
TABLE left_behind;
-- Changes beneath a cursor are followed; it goes on with what it saw.
SELECT create_imat('v');
BEGIN;
DECLARE c CURSOR FOR SELECT a FROM t WHERE a > 7;
INSERT INTO t VALUES (8, 9);
FETCH ALL FROM c;
SELECT * FROM imat.v WHERE a > 7;
COMMIT;
TABLE wrong;
SELECT drop_imat('v');
TABLE left_behind;

-- Inside of a trigger of a base table, while its change is under way and after.
SELECT create_imat('v');
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE TG_ARGV[0]; RETURN NULL; END $$;
CREATE TRIGGER meddle AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle('SELECT drop_imat(''v'')');
INSERT INTO t VALUES (9, 9);
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle('SELECT refresh_imat(''v'')');
INSERT INTO t VALUES (9, 9);
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle('SELECT * FROM verify_imat(''v'')');
INSERT INTO t VALUES (9, 9);
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle('SELECT create_imat(''w'', query => ''TABLE t'')');
INSERT INTO t VALUES (9, 9);
CREATE OR REPLACE TRIGGER meddle BEFORE INSERT ON t EXECUTE FUNCTION meddle('SELECT refresh_imat(''v'')');
INSERT INTO t VALUES (9, 9);
-- A statement trigger that fires after pg_imat's finds the change over, but the table still in use.
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t EXECUTE FUNCTION meddle('SELECT drop_imat(''v'')');
INSERT INTO t VALUES (9, 9);
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t EXECUTE FUNCTION meddle('SELECT create_imat(''w'', query => ''TABLE t'')');
INSERT INTO t VALUES (9, 9);
SELECT count(*) FROM t WHERE a = 9;
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t EXECUTE FUNCTION meddle('SELECT refresh_imat(''v'')');
INSERT INTO t VALUES (9, 9);
CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON t EXECUTE FUNCTION meddle('SELECT 1 / (count(*) = 0)::integer FROM verify_imat(''v'')');
INSERT INTO t VALUES (9, 9);
SELECT count(*) FROM t WHERE a = 9;
SELECT name FROM imat_status;
DROP TRIGGER meddle ON t;
-- Whatever was refused left no trace, and the table is maintained as before.
INSERT INTO t VALUES (10, 10);
SELECT * FROM imat.v WHERE a > 8;
TABLE wrong;

-- More columns than an index of their image, or the state, can have.
SELECT 'SELECT ' || string_agg('a AS c' || i, ', ') || ' FROM t' AS wide FROM generate_series(1, 1500) AS i \gset
SELECT 'SELECT a, ' || string_agg('sum(a + ' || i || ') AS c' || i, ', ') || ' FROM t GROUP BY a' AS wider FROM generate_series(1, 1599) AS i \gset
SELECT 'SELECT ' || string_agg('a AS c' || i, ', ') || ' FROM t' AS possible FROM generate_series(1, 300) AS i \gset
-- From 18 on there is room for the index of this one.
BEGIN;
SELECT create_imat('w', query => :'wide');
ROLLBACK;
SELECT create_imat('w', query => :'wider');
SELECT * FROM check_imat(:'wide');
SELECT * FROM check_imat(:'wider');
SELECT * FROM check_imat(:'possible');
SELECT create_imat('w', query => :'possible');
INSERT INTO t VALUES (11, 11);
SELECT * FROM verify_imat('w');
SELECT drop_imat('w');

-- More than a row of the state can hold, which takes several columns for some aggregates. That is told although no table
-- has a row. What fits a row of the result is recomputed whole.
CREATE TABLE wide (k integer, n integer);
SELECT 'SELECT k, ' || string_agg('stddev(n + ' || i || ') AS c' || i, ', ') || ' FROM wide GROUP BY k' AS deviations FROM generate_series(1, 400) AS i \gset
SELECT 'SELECT k, ' || string_agg('max(make_interval(n, ' || i || ')) AS c' || i, ', ') || ' FROM wide GROUP BY k' AS intervals FROM generate_series(1, 520) AS i \gset
DELETE FROM before; INSERT INTO before TABLE inventory;
SELECT create_imat('w', query => :'intervals');
TABLE left_behind;
SELECT create_imat('w', query => :'deviations');
INSERT INTO wide VALUES (1, NULL), (1, 1234567890);
INSERT INTO wide SELECT 1, 1000000000 + i FROM generate_series(1, 20) AS i;
SELECT count(*), min(c400) FROM imat.w;
SELECT * FROM verify_imat('w');
SELECT drop_imat('w');
