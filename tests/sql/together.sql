-- DDL that concerns several maintained tables, one of which reads another one: all of it is applied in one flush.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

-- A partition reaches a table directly, and by way of another maintained table.
CREATE TABLE root (k integer, v integer) PARTITION BY LIST (v);
CREATE TABLE p1 PARTITION OF root FOR VALUES IN (1);
CREATE TABLE p2 (k integer, v integer);
INSERT INTO root VALUES (1, 1), (2, 1);
INSERT INTO p2 VALUES (1, 2), (1, 2), (3, 2);
CREATE VIEW m1 AS SELECT k, count(*) AS c, max(v) AS m FROM root GROUP BY k;
SELECT create_imat('m1');
CREATE VIEW m2 AS SELECT r.k, sum(m.c) AS s, count(*) AS n FROM root AS r JOIN imat.m1 AS m ON r.k = m.k GROUP BY r.k;
CREATE VIEW m3 AS SELECT r.k, r.v, m.c FROM root AS r JOIN imat.m1 AS m ON r.k = m.k;
CREATE VIEW m4 AS SELECT DISTINCT r.k, m.c FROM root AS r LEFT JOIN imat.m1 AS m ON r.k = m.k;
SET client_min_messages = warning;
SELECT create_imat('m2'), create_imat('m3'), create_imat('m4');
RESET client_min_messages;
ALTER TABLE root ATTACH PARTITION p2 FOR VALUES IN (2);
TABLE wrong;
TABLE imat.m2 ORDER BY k;
ALTER TABLE root DETACH PARTITION p2;
TABLE wrong;
BEGIN ISOLATION LEVEL REPEATABLE READ;
ALTER TABLE root ATTACH PARTITION p2 FOR VALUES IN (2);
COMMIT;
TABLE wrong;
DROP TABLE p2;
TABLE wrong;

-- So does a child.
CREATE TABLE r (k integer, v integer);
CREATE TABLE c (k integer, v integer);
INSERT INTO r VALUES (1, 1), (1, 1), (2, 1);
INSERT INTO c VALUES (1, 1), (1, 1);
CREATE VIEW h1 AS SELECT k, count(*) AS c FROM r GROUP BY k HAVING count(*) < 3;
SELECT create_imat('h1');
CREATE VIEW h2 AS SELECT r.k, count(*) AS n FROM r JOIN imat.h1 AS m ON r.k = m.k GROUP BY r.k;
SELECT create_imat('h2');
ALTER TABLE c INHERIT r;
TABLE wrong;
ALTER TABLE c NO INHERIT r;
TABLE wrong;

-- A function that both call.
CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 <= 9 THEN 0 ELSE 1 END';
CREATE TABLE q (a integer);
INSERT INTO q SELECT generate_series(1, 10);
CREATE VIEW f1 AS SELECT f(a) AS k, count(*) AS c FROM q GROUP BY 1;
SELECT create_imat('f1');
CREATE VIEW f2 AS SELECT m.c, count(*) AS n FROM q JOIN imat.f1 AS m ON m.k = f(q.a) GROUP BY m.c;
SELECT create_imat('f2');
CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2';
TABLE wrong;
CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 <= 9 THEN 0 ELSE 1 END';
TABLE wrong;

-- Triggers that are disabled and enabled.
SET client_min_messages = error;
ALTER TABLE q DISABLE TRIGGER ALL;
INSERT INTO q VALUES (11), (12);
ALTER TABLE q ENABLE TRIGGER ALL;
TABLE wrong;
SELECT name, stale FROM imat_status WHERE stale IS NOT NULL;
RESET client_min_messages;

-- A partition of a partition, after a change whose statements are known: two tables that read other columns.
CREATE TABLE l (k integer, v integer, d integer) PARTITION BY LIST (k);
CREATE TABLE lm PARTITION OF l FOR VALUES IN (9) PARTITION BY LIST (v);
CREATE TABLE lm0 PARTITION OF lm FOR VALUES IN (0);
CREATE TABLE lm1 (k integer, v integer, d integer);
INSERT INTO lm1 VALUES (9, 1, 1), (9, 1, 2);
CREATE VIEW la AS SELECT d, count(*) AS n FROM l GROUP BY d;
CREATE VIEW lb AS SELECT k, v, count(*) AS n FROM l GROUP BY k, v;
SELECT create_imat('la'), create_imat('lb');
INSERT INTO l VALUES (9, 0, 1), (9, 0, 2);
ALTER TABLE lm ATTACH PARTITION lm1 FOR VALUES IN (1);
TABLE wrong;
INSERT INTO l VALUES (9, 1, 1), (9, 1, 7);
TABLE wrong;
ALTER TABLE lm DETACH PARTITION lm1;
TABLE wrong;
