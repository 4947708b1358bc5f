-- What types and constraints promise: NOT NULL, primary keys, equality, scale, collation, images.
CREATE EXTENSION pg_imat;
SET client_min_messages = warning;

-- Compares by text, which tells values apart that are equal but not identical.
CREATE FUNCTION differences(name text) RETURNS TABLE (side text, "row" text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT ''query'', d.* FROM (SELECT v::text FROM public.%1$I AS v EXCEPT ALL SELECT v::text FROM imat.%1$I AS v) AS d
         UNION ALL SELECT ''imat'', d.* FROM (SELECT v::text FROM imat.%1$I AS v EXCEPT ALL SELECT v::text FROM public.%1$I AS v) AS d', name);
END $$;
CREATE VIEW wrong AS
    SELECT c.relname AS name, d.side, d."row" FROM imat_status AS s JOIN pg_class AS c ON c.oid = s.name
    CROSS JOIN LATERAL differences(c.relname::text) AS d ORDER BY 1, 2, 3;

-- A child may drop the NOT NULL of its parent: the parent's column can be NULL then.
CREATE TABLE mother (k integer NOT NULL, x integer NOT NULL, y integer NOT NULL);
CREATE TABLE child (own integer) INHERITS (mother);
CREATE TABLE grandchild () INHERITS (child);
ALTER TABLE grandchild ALTER x DROP NOT NULL, ALTER k DROP NOT NULL;
INSERT INTO mother VALUES (1, 5, 5);
INSERT INTO grandchild (k, x, y) VALUES (1, NULL, 1), (2, NULL, 1);
CREATE VIEW nulls AS SELECT k, count(x) AS c, sum(x) AS s, avg(x) AS a FROM mother GROUP BY k;
CREATE VIEW by_y AS SELECT y, count(y) AS c, sum(y) AS s FROM mother GROUP BY y;
SELECT create_imat('nulls'), create_imat('by_y');
TABLE wrong;
INSERT INTO grandchild (k, x, y) VALUES (1, NULL, 1), (NULL, 1, 1);
INSERT INTO mother VALUES (3, 3, 3);
INSERT INTO grandchild (k, x, y) VALUES (NULL, 2, 2), (3, NULL, 3);
TABLE wrong;
TABLE imat.nulls ORDER BY k;
DELETE FROM mother WHERE x IS NULL OR k IS NULL;
TABLE wrong;
-- What a state relies on can't be dropped, above or below; what it doesn't can.
ALTER TABLE grandchild ALTER y DROP NOT NULL;
ALTER TABLE child ALTER y DROP NOT NULL;
ALTER TABLE child ALTER x DROP NOT NULL;
-- Nor can a child come that has NULLs.
CREATE TABLE late (k integer NOT NULL, x integer NOT NULL, y integer NOT NULL);
CREATE TABLE later () INHERITS (late);
ALTER TABLE later ALTER y DROP NOT NULL;
ALTER TABLE late INHERIT mother;
INSERT INTO later VALUES (4, 4, NULL);
ALTER TABLE late INHERIT mother;
TABLE wrong;
DROP TABLE mother, late CASCADE;

-- A parent's primary key says nothing about the children's rows.
CREATE TABLE mother (id integer PRIMARY KEY, name text);
CREATE TABLE child () INHERITS (mother);
INSERT INTO mother VALUES (1, 'a');
INSERT INTO child VALUES (1, 'b');
CREATE VIEW by_id AS SELECT id, name IS NOT NULL AS named, count(*) AS n FROM mother GROUP BY id;
SELECT create_imat('by_id');
INSERT INTO mother VALUES (2, 'c');
INSERT INTO child VALUES (2, 'd');
TABLE wrong;
DROP TABLE child;
TABLE wrong;
SELECT strategy, construct FROM imat_status;
DROP TABLE mother CASCADE;
-- While there are none the state relies on it, and no child can come.
CREATE TABLE mother (id integer PRIMARY KEY, name text);
CREATE TABLE other (id integer PRIMARY KEY, name text);
CREATE VIEW by_id AS SELECT id, name, count(*) AS n FROM mother GROUP BY id;
SELECT create_imat('by_id');
SELECT strategy, construct FROM imat_status;
CREATE TABLE child () INHERITS (mother);
ALTER TABLE other INHERIT mother;
INSERT INTO mother VALUES (1, 'a'), (2, 'b');
UPDATE mother SET name = 'c' WHERE id = 1;
TABLE wrong;
TABLE imat.by_id ORDER BY id;
DROP TABLE mother, other CASCADE;

-- Equal values that are not identical: an extreme that is gone is not kept by its equal.
CREATE TABLE t (k integer NOT NULL, n numeric NOT NULL, i interval, f float8, r float4, b bpchar);
INSERT INTO t VALUES (1, 1.0, '1 mon', 0.0, 0.0, 'a');
CREATE VIEW lows AS SELECT k, min(n) AS n, min(i) AS i, min(f) AS f, min(r) AS r, min(b) AS b FROM t GROUP BY k;
CREATE VIEW highs AS SELECT max(n)::text AS n, max(i) AS i, max(f) AS f, max(r) AS r, max(b) AS b FROM t;
CREATE VIEW computed AS
    SELECT k, min(n)::text AS n, extract(month FROM min(i)) AS i, 1 / min(n) AS d, octet_length(min(b)) AS b FROM t GROUP BY k;
SELECT create_imat('lows'), create_imat('highs'), create_imat('computed');
UPDATE t SET n = 1.0000000000000000000000000, i = '30 days', f = '-0.0', r = '-0.0', b = 'a  ';
TABLE wrong;
SELECT * FROM verify_imat('lows');
TABLE imat.lows;
INSERT INTO t VALUES (1, 1.00, '720 hours', 0.0, 0.0, 'a');
DELETE FROM t WHERE n::text <> '1.00';
TABLE wrong;
TABLE imat.lows;
-- Several rows at once, and a change of groups.
INSERT INTO t SELECT 2, 3, '2 mon', 1, 1, 'x' FROM generate_series(1, 3);
UPDATE t SET n = 3.000, i = '60 days', b = 'x ' WHERE k = 2;
UPDATE t SET k = 2, n = 3.0, i = '1440 hours', b = 'x    ' WHERE k = 2;
TABLE wrong;
TABLE imat.computed ORDER BY k;
DROP TABLE t CASCADE;

-- Text search queries that are equal can have other weights and prefixes.
CREATE TABLE words (id integer, q tsquery);
INSERT INTO words VALUES (1, 'a:*');
CREATE VIEW keys AS SELECT q, count(*) AS n FROM words GROUP BY q;
SELECT create_imat('keys');
INSERT INTO words VALUES (2, 'a');
SELECT count(*) FROM wrong;
DELETE FROM words WHERE id = 1;
TABLE wrong;
TABLE imat.keys;
DROP TABLE words CASCADE;

-- A row's image doesn't depend on how parts of a composite value are stored.
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN dpair AS pair;
CREATE TYPE nested AS (p dpair, ps pair[], b text);
CREATE TYPE pairs AS RANGE (subtype = pair);
CREATE TABLE t (id integer, b text, p pair, ps pair[], bs bigint[]);
CREATE VIEW made AS SELECT id, ROW(id, b)::pair AS p FROM t;
CREATE VIEW many AS SELECT id, ARRAY[ROW(id, b)::pair, NULL] AS ps FROM t;
CREATE VIEW deep AS SELECT ROW(ROW(id, b)::pair, ARRAY[ROW(id, b)::pair], b)::nested AS n, ARRAY[ROW(ROW(1, b)::dpair, NULL, b)::nested] AS ns FROM t;
CREATE VIEW ranges AS SELECT pairs(ROW(0, b)::pair, ROW(id, b)::pair) AS r FROM t;
CREATE VIEW kept AS SELECT p, ps, bs, b FROM t;
INSERT INTO t VALUES (1, repeat('x', 3000), ROW(1, repeat('y', 3000)), ARRAY[ROW(1, repeat('z', 3000))::pair], ARRAY[1, 2, NULL]);
INSERT INTO t SELECT 2, b, p, ps, bs FROM t;
SELECT create_imat('made'), create_imat('many'), create_imat('deep'), create_imat('ranges'), create_imat('kept');
SELECT DISTINCT strategy FROM imat_status;
INSERT INTO t SELECT n, repeat('x', 3000), ROW(n, repeat('y', 3000))::pair, ARRAY[ROW(n, repeat('z', 3000))::pair], NULL FROM generate_series(3, 5) AS n;
INSERT INTO t VALUES (6, repeat('x', 30000), ROW(6, repeat('y', 30000)), ARRAY[NULL, ROW(6, NULL)::pair], '{}');
TABLE wrong;
DELETE FROM t WHERE id IN (1, 3);
DELETE FROM t WHERE id = 2;
UPDATE t SET id = 40 WHERE id = 4;
ALTER TABLE t ALTER b SET STORAGE EXTERNAL;
UPDATE t SET b = b || 'x' WHERE id = 5;
DELETE FROM t WHERE id = 6;
TABLE wrong;
ALTER TYPE pair ADD ATTRIBUTE c integer;
TABLE wrong;
DELETE FROM t WHERE id = 40;
TABLE wrong;
DELETE FROM t;
TABLE wrong;
SELECT count(*) FROM imat.kept;
SELECT count(*) FROM verify_imat('made');
DROP TABLE t CASCADE;
DROP TYPE pair CASCADE;
-- Bounds and dimensions are part of it.
CREATE TABLE t (id integer, a integer);
CREATE TYPE one AS (a integer);
CREATE VIEW shapes AS
    SELECT CASE id % 4 WHEN 0 THEN ARRAY[ROW(a)::one, ROW(a)::one] WHEN 1 THEN ARRAY[[ROW(a)::one, ROW(a)::one]]
        WHEN 2 THEN ARRAY[[ROW(a)::one], [ROW(a)::one]] ELSE '[2:3]={(1),(1)}'::one[] END AS s FROM t;
SELECT create_imat('shapes');
INSERT INTO t SELECT n, 1 FROM generate_series(1, 8) AS n;
TABLE wrong;
DELETE FROM t WHERE id < 5;
TABLE wrong;
SELECT s, n FROM (SELECT s::text, count(*) AS n FROM imat.shapes GROUP BY 1) AS d ORDER BY 1;
DROP TABLE t CASCADE;

-- A number may have more digits after its point than are counted by scale.
CREATE TABLE t (k integer NOT NULL, n numeric);
CREATE VIEW means AS SELECT k, avg(n) AS a, sum(n)::text AS s, variance(n) AS v FROM t GROUP BY k;
SELECT create_imat('means');
INSERT INTO t VALUES (1, 1e-11000), (1, 2.5), (2, 1.00), (2, 'NaN'), (3, 1.0), (3, 2.00);
TABLE wrong;
INSERT INTO t VALUES (2, 1e-101), (2, 1e-1000);
INSERT INTO t VALUES (3, 3e-101);
TABLE wrong;
DELETE FROM t WHERE n = 1e-11000;
TABLE wrong;
DELETE FROM t WHERE n = 'NaN';
DELETE FROM t WHERE n IN (1e-1000, 3e-101);
TABLE wrong;
SELECT k, s FROM imat.means ORDER BY k;
DELETE FROM t WHERE n = 1e-101;
DELETE FROM t WHERE n = 2.00;
TABLE wrong;
SELECT k, s FROM imat.means ORDER BY k;
DROP TABLE t CASCADE;

-- A COLLATE of a view below is its column's collation to those above, no more.
CREATE TABLE t (id integer, a text, b text COLLATE "POSIX", c text COLLATE "C");
INSERT INTO t VALUES (1, 'a', 'b', 'B'), (2, 'B', 'a', 'a');
CREATE VIEW below AS SELECT id, a COLLATE "C" AS a, lower(b COLLATE "C") AS l FROM t;
CREATE VIEW above AS SELECT id FROM below WHERE a < 'a' COLLATE "POSIX" AND l < 'z' COLLATE "POSIX";
CREATE VIEW plain AS SELECT id, a < l AS less FROM (SELECT id, a COLLATE "C" AS a, l FROM below) AS d;
CREATE VIEW named AS WITH w AS (SELECT id, a COLLATE "C" AS a FROM t) SELECT id FROM w WHERE a < 'a' COLLATE "POSIX";
SELECT create_imat('above'), create_imat('plain'), create_imat('named');
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
INSERT INTO t VALUES (3, 'A', 'A', 'A');
TABLE wrong;
DROP VIEW below CASCADE;
-- Nor does a key or an aggregate read from the state have more.
CREATE VIEW compared AS SELECT a COLLATE "C" < min(b) AS less, min(c) < max(b COLLATE "POSIX") AS other, count(*) AS n FROM t GROUP BY a COLLATE "C";
CREATE VIEW shown AS SELECT a COLLATE "C" AS a, max(b COLLATE "C") AS b, count(*) AS n FROM t GROUP BY a COLLATE "C";
SELECT create_imat('compared'), create_imat('shown');
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
INSERT INTO t VALUES (4, 'a', 'b', 'C'), (5, 'b', 'B', 'A');
TABLE wrong;
DROP TABLE t CASCADE;

-- A domain that forbids NULL, as the result of an aggregate that is recomputed.
CREATE DOMAIN given AS integer NOT NULL CHECK (VALUE > 0);
CREATE TABLE t (k integer, d given);
INSERT INTO t VALUES (1, 1);
CREATE VIEW modes AS SELECT k, mode() WITHIN GROUP (ORDER BY d) AS m, min(d) AS lo, count(*) AS n FROM t GROUP BY k;
CREATE VIEW few AS SELECT k, mode() WITHIN GROUP (ORDER BY d) FILTER (WHERE d > 2) AS m FROM t GROUP BY k;
SELECT create_imat('modes'), create_imat('few');
INSERT INTO t VALUES (1, 2), (1, 2), (2, 1);
INSERT INTO t VALUES (3, 3);
TABLE wrong;
DELETE FROM t WHERE d = 2;
TABLE wrong;
TABLE imat.modes ORDER BY k;
TABLE imat.few ORDER BY k;
DROP TABLE t CASCADE;

-- Sums of real agree to four digits, those of double precision to eight, wherever a border is.
CREATE TABLE t (k integer, r real, f double precision);
CREATE VIEW sums AS SELECT k, sum(r) AS r, sum(f) AS f FROM t GROUP BY k;
SELECT create_imat('sums');
INSERT INTO t SELECT k, k + n * 0.1, k + n * 0.1 FROM generate_series(1, 1000) AS n, generate_series(1, 300) AS k;
INSERT INTO t SELECT k, k + n * 0.1, k + n * 0.1 FROM generate_series(1, 1000) AS n, generate_series(1, 300) AS k;
INSERT INTO t SELECT k, k + n * 0.1, k + n * 0.1 FROM generate_series(1, 1000) AS n, generate_series(1, 300) AS k;
INSERT INTO t VALUES (0, 0, 0), (-1, -1, -1), (-2, 'NaN', 'NaN'), (-3, '-Infinity', '-Infinity'), (-4, NULL, NULL);
SELECT count(*) > 10 AS differ FROM imat.sums AS i JOIN sums AS q USING (k) WHERE i.r <> q.r;
SELECT * FROM verify_imat('sums');
-- A difference is seen all the same: the stored sums of r and f are imat_3 and imat_5.
BEGIN;
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER TABLE imat_state.sums DISABLE TRIGGER ALL;
UPDATE imat_state.sums SET imat_3 = imat_3 * 1.001 WHERE k IN (1, -1);
UPDATE imat_state.sums SET imat_5 = imat_5 * 1.0000001 WHERE k = 2;
UPDATE imat_state.sums SET imat_5 = -imat_5 WHERE k = 3;
UPDATE imat_state.sums SET imat_5 = 1e-8 WHERE k = 0;
SELECT difference, times, "row" ->> 'k' AS k FROM verify_imat('sums') ORDER BY 1, 3;
ROLLBACK;
