-- requires: 17
-- What a table's rows become by ALTER TABLE.
CREATE EXTENSION pg_imat;
CREATE TABLE g (k int NOT NULL, a int NOT NULL, b int GENERATED ALWAYS AS (a * 2) STORED NOT NULL);
INSERT INTO g VALUES (1, 5), (1, 6);
CREATE TABLE child () INHERITS (g);
INSERT INTO child VALUES (2, 7);
CREATE VIEW sums AS SELECT k, sum(b) AS s, count(*) AS c FROM g GROUP BY k;
CREATE VIEW rows_ AS SELECT k, b FROM g WHERE b > 10;
SELECT create_imat('sums'), create_imat('rows_');
CREATE VIEW above AS SELECT sum(s) AS s FROM imat.sums;
SELECT create_imat('above');
ALTER TABLE g ALTER b SET EXPRESSION AS (a * 3);
TABLE imat.sums ORDER BY k;
TABLE sums ORDER BY k;
TABLE imat.rows_ ORDER BY k, b;
TABLE rows_ ORDER BY k, b;
TABLE imat.above;
-- What was undone leaves nothing to do, or to forget.
BEGIN;
SAVEPOINT s;
ALTER TABLE g ALTER b SET EXPRESSION AS (a * 4);
TABLE imat.sums ORDER BY k;
ROLLBACK TO s;
TABLE imat.sums ORDER BY k;
COMMIT;
DO $$
BEGIN
    ALTER TABLE g ALTER b SET EXPRESSION AS (a * 5), ADD CHECK (b < 30);
EXCEPTION WHEN check_violation THEN RAISE NOTICE '%', SQLERRM;
END $$;
ALTER TABLE g ADD unused float DEFAULT random();
ALTER TABLE g ALTER unused TYPE text;
INSERT INTO g VALUES (2, 8);
TABLE imat.sums ORDER BY k;
TABLE sums ORDER BY k;
-- A partitioned table: each partition with columns is rewritten by itself.
CREATE TABLE p (k int, a int, b int GENERATED ALWAYS AS (a * 2) STORED) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p VALUES (1, 1), (2, 2);
SET client_min_messages = warning;
SELECT create_imat('parts', query => 'SELECT k, sum(b) AS s FROM p GROUP BY k'), create_imat('part', query => 'SELECT sum(b) AS s FROM p2');
RESET client_min_messages;
ALTER TABLE p ALTER b SET EXPRESSION AS (a * 3);
TABLE imat.parts ORDER BY k;
TABLE imat.part;
SELECT s.name, v.* FROM imat_status AS s CROSS JOIN LATERAL verify_imat(s.name::text) AS v;
-- A child that leaves, and whose rows are computed anew in the same command.
CREATE TABLE mother (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE daughter () INHERITS (mother);
INSERT INTO mother VALUES (1);
INSERT INTO daughter VALUES (2);
SELECT create_imat('of_mother', query => 'SELECT sum(b) AS s, count(*) AS n FROM mother');
ALTER TABLE daughter NO INHERIT mother, ALTER b SET EXPRESSION AS (a * 100);
TABLE imat.of_mother;
TABLE daughter;
