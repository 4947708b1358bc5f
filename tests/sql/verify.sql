-- verify_imat finds every difference, and repairs it; refresh_imat makes all anew.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer, b integer, c numeric, f double precision, j json);
INSERT INTO t VALUES (1, 10, 1.5, 0.1, '{"x": 1}'), (1, 20, 2.5, 0.2, '{"x":1}'), (2, 30, NULL, NULL, NULL), (NULL, 40, 4, 4, 'null');
CREATE VIEW groups_ AS SELECT a, count(*) AS k, sum(b) AS s FROM t GROUP BY a;
CREATE VIEW means AS SELECT a, avg(c) AS c, max(f) AS hi FROM t GROUP BY a;
CREATE VIEW rows_ AS SELECT a, c, j FROM t;
CREATE VIEW whole_ AS SELECT DISTINCT a FROM t;
CREATE VIEW one AS SELECT count(*) AS k, max(b) AS m FROM t;
SELECT create_imat('groups_'), create_imat('means'), create_imat('rows_'), create_imat('whole_'), create_imat('one');
SELECT * FROM verify_imat('groups_');
SELECT force('UPDATE imat_state.groups_ SET k = k + 1 WHERE a = 1');
SELECT * FROM verify_imat('groups_') ORDER BY difference, "row"::text;
SELECT * FROM verify_imat('groups_', true) ORDER BY difference, "row"::text;
SELECT * FROM verify_imat('groups_');
TABLE imat.groups_ ORDER BY a;
SELECT force('DELETE FROM imat_state.groups_ WHERE a IS NULL');
SELECT * FROM verify_imat('groups_', repair => false);
SELECT * FROM verify_imat('groups_', repair => true);
SELECT * FROM verify_imat('groups_');
SELECT force('TRUNCATE imat_state.groups_');
SELECT difference, times FROM verify_imat('groups_', repair => true);
SELECT * FROM verify_imat('groups_');
-- A numeric by value, a float within 1e-9, a json by its text.
SELECT force('UPDATE imat_state.rows_ SET c = c + 0.000');
TABLE imat.rows_ ORDER BY a, c;
SELECT * FROM verify_imat('rows_');
SELECT force($$UPDATE imat_state.rows_ SET j = '{"x":  1}' WHERE j::text = '{"x":1}'$$);
SELECT * FROM verify_imat('rows_', true) ORDER BY difference;
SELECT force('UPDATE imat_state.means SET hi = hi * (1 + 1e-13)');
SELECT * FROM verify_imat('means');
SELECT force('UPDATE imat_state.means SET hi = hi * (1 + 1e-5) WHERE a = 1');
SELECT difference, times, "row" ->> 'a' AS a FROM verify_imat('means', repair => true) ORDER BY 1;
SELECT * FROM verify_imat('means');
SELECT force('UPDATE imat_state.rows_ SET c = c + 1 WHERE a = 1');
SELECT difference, times, "row" ->> 'c' AS c FROM verify_imat('rows_') ORDER BY 1, 3;
SELECT difference FROM verify_imat('rows_', true) ORDER BY 1;
SELECT * FROM verify_imat('rows_');
SELECT force('DELETE FROM imat_state.one; DELETE FROM imat_state.whole_ WHERE a = 2');
SELECT * FROM verify_imat('one', true);
SELECT * FROM verify_imat('whole_', true);
SELECT * FROM verify_imat('one');
SELECT * FROM verify_imat('whole_');
-- A repair that is rolled back did not happen.
SELECT force('DELETE FROM imat_state.groups_ WHERE a = 1');
BEGIN;
SELECT count(*) FROM verify_imat('groups_', true);
SELECT count(*) FROM verify_imat('groups_', true);
ROLLBACK;
SELECT count(*) FROM verify_imat('groups_');
-- A group that is out of step is noticed when its count would fall below zero.
SELECT force('UPDATE imat_state.groups_ SET k = 0 WHERE a = 2');
DELETE FROM t WHERE a = 2;
SELECT refresh_imat('groups_');
DELETE FROM t WHERE a = 2;
SELECT * FROM verify_imat('groups_');
-- refresh_imat: within a transaction with changes, and rolled back.
BEGIN;
INSERT INTO t VALUES (5, 5, 5, 5, '5');
SELECT refresh_imat('groups_'), refresh_imat('imat.means'), refresh_imat('rows_'), refresh_imat('whole_'), refresh_imat('one');
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
INSERT INTO t VALUES (5, 5, 5, 5, '5');
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
ROLLBACK;
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
-- Duplicates and NULLs in a difference.
INSERT INTO t VALUES (7, 7, 7), (7, 7, 7);
SELECT force('DELETE FROM imat_state.rows_ WHERE a = 7');
SELECT * FROM verify_imat('rows_');
SELECT * FROM verify_imat('nothing');
SELECT refresh_imat('t');
