-- Many rows at once, into tables that were empty when the plans were made: linear, not quadratic.
CREATE EXTENSION pg_imat;
CREATE TABLE p (id integer, g integer);
CREATE TABLE t (g integer, n integer);
CREATE VIEW distincts AS SELECT g, count(DISTINCT n) AS d FROM t GROUP BY g;
CREATE VIEW nullable_keys AS SELECT nullif(g, 7) AS g, min(n) AS lo, max(n) AS hi FROM t GROUP BY nullif(g, 7);
CREATE VIEW joined AS SELECT p.g, count(*) AS k, sum(t.n) AS s, count(DISTINCT t.n) AS d FROM p JOIN t ON t.g = p.id GROUP BY p.g;
CREATE VIEW pairs AS SELECT p.id, t.n FROM p JOIN t ON t.g = p.id;
CREATE VIEW whole AS SELECT p.id, t.n FROM p LEFT JOIN t ON t.g = p.id;
SELECT create_imat(relname) FROM pg_class
    WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname <> 'imat_status' ORDER BY relname;

-- A quadratic plan takes an hour for one of these.
SET statement_timeout = '60s';
-- First a few rows, for which plans are made that must not serve for many.
INSERT INTO p VALUES (-1, 1); INSERT INTO t VALUES (-1, 1), (-1, 2);
INSERT INTO t SELECT -i, i FROM generate_series(1, 250) AS i;
DELETE FROM t WHERE g < -100;
INSERT INTO p SELECT i, i / 2 FROM generate_series(1, 30000) AS i;
INSERT INTO t SELECT i, i FROM generate_series(1, 30000) AS i;
INSERT INTO t SELECT i, -i FROM generate_series(1, 30000) AS i;
UPDATE t SET n = n + 1 WHERE n > 0;
DELETE FROM t WHERE g % 2 = 0 AND n > 0;
DELETE FROM t WHERE n < 0;
UPDATE p SET g = g + 1;
SELECT s.name, (SELECT count(*) FROM verify_imat(s.name::text)) AS differences FROM imat_status AS s ORDER BY s.name::text;
-- Row by row in one transaction, past the sizes that the first plans were made for.
TRUNCATE t, p;
INSERT INTO p SELECT i, i FROM generate_series(1, 3) AS i;
DO $$ BEGIN FOR i IN 1..1000 LOOP INSERT INTO t VALUES (i, i); END LOOP; FOR i IN 1..1000 LOOP DELETE FROM t WHERE g = i AND i % 10 < 5; END LOOP; END $$;
DELETE FROM p; DELETE FROM t;
SELECT s.name, (SELECT count(*) FROM verify_imat(s.name::text)) AS differences FROM imat_status AS s ORDER BY s.name::text;
