-- Partitioned tables: changes through the root and through a leaf, and DDL of partitions.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE p (id integer NOT NULL, g text, n integer, junk integer) PARTITION BY RANGE (id);
ALTER TABLE p DROP COLUMN junk;
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (n integer, gone date, g text, id integer NOT NULL);
ALTER TABLE p2 DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (40) PARTITION BY LIST (g);
CREATE TABLE p3a PARTITION OF p3 FOR VALUES IN ('a');
CREATE TABLE p3x PARTITION OF p3 DEFAULT;
CREATE TABLE q (g text, w integer);
INSERT INTO p SELECT i, chr(97 + i % 3), i FROM generate_series(0, 39) AS i;
INSERT INTO q VALUES ('a', 1), ('b', 10), ('c', 100);
CREATE VIEW by_g AS SELECT g, count(*) AS k, sum(n) AS s, max(n) AS m FROM p GROUP BY g;
CREATE VIEW rows_ AS SELECT id, n FROM p WHERE n > 2;
CREATE VIEW joined AS SELECT q.w, sum(p.n) AS s FROM p JOIN q ON q.g = p.g GROUP BY q.w;
CREATE VIEW listed AS SELECT g, array_agg(n ORDER BY n) AS a FROM p GROUP BY g;
CREATE VIEW whole_ AS SELECT DISTINCT g FROM p;
CREATE VIEW leaf AS SELECT g, count(*) AS k FROM p1 GROUP BY g;
CREATE VIEW middle AS SELECT g, sum(n) AS s FROM p3 GROUP BY g;
CREATE VIEW leaf_and_root AS SELECT p1.id, count(*) AS k FROM p1 JOIN p ON p.n = p1.n + 10 GROUP BY p1.id;
SELECT create_imat(relname) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wrong', 'imat_status') ORDER BY relname;
TABLE wrong;

INSERT INTO p VALUES (1, 'a', 100), (11, 'b', 200), (21, 'c', 300), (22, 'z', 400);
TABLE wrong;
INSERT INTO p1 VALUES (2, 'a', 1000);
TABLE wrong;
INSERT INTO p2 VALUES (2000, 'b', 12);
TABLE wrong;
INSERT INTO p3 VALUES (23, 'a', 3000), (24, NULL, 1);
TABLE wrong;
INSERT INTO p3x VALUES (25, 'c', 4000);
TABLE wrong;
COPY p (id, g, n) FROM stdin;
3	a	5
13	b	5
33	zz	5
\.
COPY p2 (id, g, n) FROM stdin;
14	c	6
\.
TABLE wrong;
-- Rows that move from leaf to leaf.
UPDATE p SET id = id + 10 WHERE id < 10 AND id % 2 = 0;
TABLE wrong;
UPDATE p SET g = 'a' WHERE g = 'z';
TABLE wrong;
UPDATE p3 SET g = 'moved' WHERE g = 'a';
TABLE wrong;
UPDATE p2 SET n = n + 1;
TABLE wrong;
DELETE FROM p3x WHERE id % 2 = 0;
TABLE wrong;
DELETE FROM p WHERE n % 5 = 0;
TABLE wrong;
WITH a AS (INSERT INTO p1 VALUES (4, 'b', 44)), b AS (DELETE FROM p2 WHERE id = 11), c AS (UPDATE q SET w = w + 1) UPDATE p3 SET n = n * 2;
TABLE wrong;
INSERT INTO p VALUES (99, 'a', 1);
TABLE wrong;

-- Partitions that come later: written directly, and through the root.
CREATE TABLE p4 PARTITION OF p FOR VALUES FROM (40) TO (50);
INSERT INTO p4 VALUES (40, 'new', 1);
TABLE wrong;
INSERT INTO p VALUES (41, 'new', 2);
TABLE wrong;
CREATE TABLE p5 (g text, n integer, id integer NOT NULL);
INSERT INTO p5 VALUES ('attached', 5, 50), ('a', 6, 51);
ALTER TABLE p ATTACH PARTITION p5 FOR VALUES FROM (50) TO (60);
TABLE wrong;
SELECT * FROM imat.by_g WHERE g = 'attached';
UPDATE p5 SET n = 50 WHERE id = 50;
TABLE wrong;
CREATE TABLE p3n (LIKE p);
INSERT INTO p3n VALUES (30, 'n', 1);
ALTER TABLE p3 ATTACH PARTITION p3n FOR VALUES IN ('n');
TABLE wrong;
INSERT INTO p3n VALUES (31, 'n', 2);
TABLE wrong;
CREATE TABLE p6 PARTITION OF p FOR VALUES FROM (60) TO (80) PARTITION BY RANGE (id);
CREATE TABLE p6a PARTITION OF p6 FOR VALUES FROM (60) TO (70);
INSERT INTO p6a VALUES (60, 'deep', 1);
INSERT INTO p VALUES (61, 'deep', 2);
TABLE wrong;

-- Detached: its rows leave, and its later changes are nobody's business.
ALTER TABLE p DETACH PARTITION p2;
TABLE wrong;
INSERT INTO p2 VALUES (1, 'b', 15);
DELETE FROM p2 WHERE id = 12;
TABLE wrong;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'p2'::regclass;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
TABLE wrong;
ALTER TABLE p DETACH PARTITION p1;
TABLE wrong;
INSERT INTO p1 VALUES (5, 'only', 1);
TABLE wrong;
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10);
TABLE wrong;
BEGIN;
ALTER TABLE p DETACH PARTITION p5;
TABLE wrong;
INSERT INTO p5 VALUES ('x', 1, 52);
TABLE wrong;
ROLLBACK;
INSERT INTO p5 VALUES ('x', 1, 52);
TABLE wrong;
DROP TABLE p4;
TABLE wrong;
ALTER TABLE p DETACH PARTITION p5 CONCURRENTLY;
ALTER TABLE p DETACH PARTITION p5;
TABLE wrong;

-- TRUNCATE of a leaf, of a branch and of the root.
TRUNCATE p2;
TABLE wrong;
TRUNCATE p3;
TABLE wrong;
INSERT INTO p VALUES (1, 'a', 1);
TRUNCATE ONLY p1;
TABLE wrong;
INSERT INTO p VALUES (1, 'a', 1), (11, 'b', 2), (21, 'c', 3);
TRUNCATE p;
TABLE wrong;
INSERT INTO p SELECT i, 'g' || i % 7, i FROM generate_series(0, 39) AS i;
TABLE wrong;
DROP TABLE p3 CASCADE;
TABLE wrong;
SELECT name FROM imat_status ORDER BY name::text;

-- Generated columns: refused before 16, where a statement trigger makes MERGE store NULL in them.
CREATE TABLE generated (id int, k int, twice int GENERATED ALWAYS AS (k * 2) STORED);
CREATE TABLE generated_child () INHERITS (generated);
CREATE VIEW doubled AS SELECT k, count(*) AS n, sum(twice) AS twice FROM generated GROUP BY k;
DO $$
BEGIN
    PERFORM create_imat('doubled');
    IF current_setting('server_version_num')::int < 160000 THEN RAISE 'not refused'; END IF;
EXCEPTION WHEN feature_not_supported THEN
    IF current_setting('server_version_num')::int >= 160000 THEN RAISE; END IF;
END $$;
INSERT INTO generated VALUES (1, 1), (2, 2);
INSERT INTO generated_child VALUES (3, 2), (4, NULL);
UPDATE generated SET k = k + 1 WHERE id IN (1, 4);
DELETE FROM generated WHERE id = 2;
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE 'MERGE INTO generated AS g USING (VALUES (3), (5)) AS v (id) ON g.id = v.id
            WHEN MATCHED THEN UPDATE SET k = 7 WHEN NOT MATCHED THEN INSERT (id, k) VALUES (v.id, 7)';
    ELSE
        UPDATE generated SET k = 7 WHERE id = 3;
        INSERT INTO generated VALUES (5, 7);
    END IF;
END $$;
TABLE generated ORDER BY id;
-- Where it was refused, there is nothing to compare.
TABLE wrong;

-- A primary key that the partitions do not have yet is none.
CREATE TABLE half (id int NOT NULL, k int NOT NULL, n int) PARTITION BY LIST (k);
CREATE TABLE half_1 PARTITION OF half FOR VALUES IN (1);
CREATE TABLE refs (id int, k int);
ALTER TABLE ONLY half ADD PRIMARY KEY (id, k);
INSERT INTO half VALUES (1, 1, 10), (1, 1, 20);
CREATE VIEW halves AS SELECT r.id, count(*) AS c, sum(h.n) AS n FROM refs AS r JOIN half AS h ON h.id = r.id AND h.k = r.k GROUP BY r.id;
SELECT create_imat('halves');
INSERT INTO refs VALUES (1, 1);
TABLE imat.halves;
