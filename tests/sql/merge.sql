-- MERGE.
-- requires: 15
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (id integer PRIMARY KEY, g text NOT NULL, n integer);
CREATE TABLE s (id integer, g text, n integer);
CREATE VIEW groups_ AS SELECT g, count(*) AS k, sum(n) AS s, max(n) AS m FROM t GROUP BY g;
CREATE VIEW joined AS SELECT t.g, sum(s.n) AS s FROM t JOIN s ON s.id = t.id GROUP BY t.g;
CREATE VIEW rows_ AS SELECT g, n FROM t;
SELECT create_imat('groups_'), create_imat('joined'), create_imat('rows_');
INSERT INTO t SELECT i, 'g' || i % 3, i FROM generate_series(1, 10) AS i;
INSERT INTO s SELECT i, 'h' || i % 2, i * 10 FROM generate_series(5, 15) AS i;
MERGE INTO t USING s ON t.id = s.id
    WHEN MATCHED AND s.id % 3 = 0 THEN DELETE
    WHEN MATCHED AND s.id % 3 = 1 THEN UPDATE SET n = s.n, g = s.g
    WHEN MATCHED THEN DO NOTHING
    WHEN NOT MATCHED AND s.id < 14 THEN INSERT VALUES (s.id, s.g, s.n)
    WHEN NOT MATCHED THEN DO NOTHING;
TABLE wrong;
TABLE imat.groups_ ORDER BY g;
MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE;
TABLE wrong;
MERGE INTO t USING s ON false WHEN NOT MATCHED THEN INSERT VALUES (s.id + 100, s.g, s.n);
TABLE wrong;
MERGE INTO t USING s ON t.id = s.id + 100 WHEN MATCHED THEN UPDATE SET g = 'one';
TABLE wrong;
MERGE INTO t USING s ON false WHEN MATCHED THEN DELETE;
TABLE wrong;
WITH d AS (DELETE FROM s WHERE id < 8 RETURNING *) SELECT count(*) FROM d;
MERGE INTO t USING (VALUES (1, 'v'), (1, 'w')) AS v (id, g) ON t.id = v.id WHEN MATCHED THEN UPDATE SET g = v.g;
TABLE wrong;
-- A maintained table is no target.
MERGE INTO imat_state.rows_ AS r USING s ON r.n = s.n WHEN MATCHED THEN DELETE;
-- On a partitioned table, with rows that move.
CREATE TABLE p (id integer, n integer) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (n integer, id integer);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (100);
CREATE VIEW parts AS SELECT id % 2 AS odd, count(*) AS k, sum(n) AS s FROM p GROUP BY id % 2;
SELECT create_imat('parts');
INSERT INTO p SELECT i, i FROM generate_series(1, 20) AS i;
MERGE INTO p USING s ON p.id = s.id WHEN MATCHED AND p.id < 12 THEN UPDATE SET id = (p.id * 7) % 100 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n);
TABLE wrong;
TABLE imat.parts ORDER BY 1;

-- MERGE that moves rows between partitions: PostgreSQL hands over only some of them.
CREATE TABLE moving (id int, k int) PARTITION BY LIST (k);
CREATE TABLE moving_0 PARTITION OF moving FOR VALUES IN (0);
CREATE TABLE moving_1 PARTITION OF moving DEFAULT;
INSERT INTO moving VALUES (1, 0), (2, 1);
CREATE TABLE movers (id int);
INSERT INTO movers VALUES (1), (2), (3);
SELECT create_imat('moved', query => 'SELECT k, count(*), sum(id) FROM moving GROUP BY k');
MERGE INTO moving AS t USING movers AS s ON t.id = s.id
  WHEN MATCHED THEN UPDATE SET k = 1 - t.k WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0);
TABLE imat.moved ORDER BY k;
MERGE INTO moving AS t USING movers AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET k = 1 - t.k;
TABLE imat.moved ORDER BY k;
SELECT * FROM verify_imat('moved');
