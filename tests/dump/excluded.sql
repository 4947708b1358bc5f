-- Maintained tables over maintained tables, of which scripts/dump-restore leaves out the rows of some. Their schemas decide
-- in which order a restore creates triggers.
\set ON_ERROR_STOP on
SET client_min_messages = error;
CREATE EXTENSION pg_imat;
CREATE SCHEMA zz;
CREATE TABLE t (k int NOT NULL);
CREATE TABLE u (k int PRIMARY KEY, x int);
INSERT INTO t SELECT i % 5 FROM generate_series(1, 100) AS i;
INSERT INTO u SELECT i, i FROM generate_series(0, 9) AS i;
CREATE TABLE part (id int PRIMARY KEY, g int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (5);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (5) TO (100);
INSERT INTO part SELECT i, i % 3 FROM generate_series(0, 9) AS i;
CREATE VIEW by_part AS SELECT id, g, count(*) AS n FROM part GROUP BY id;
SELECT create_imat('by_part');
CREATE VIEW counted AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE VIEW linked AS SELECT u.x, count(*) AS n FROM t JOIN u ON u.k = t.k GROUP BY u.x;
CREATE VIEW by_key AS SELECT k, x, count(*) AS n FROM u GROUP BY k;
SELECT create_imat('counted'), create_imat('linked', 'zz'), create_imat('by_key');
CREATE VIEW over_counted AS SELECT c.k, c.n FROM imat.counted AS c JOIN u ON u.k = c.k;
CREATE VIEW over_linked AS SELECT n, count(*) AS c FROM zz.linked GROUP BY n;
CREATE VIEW linked_again AS SELECT l.x, l.n, u.k FROM zz.linked AS l JOIN u ON u.x = l.x;
-- It is empty.
CREATE VIEW over_many AS SELECT k, count(*) AS c FROM imat.counted WHERE n > 1000 GROUP BY k;
SELECT create_imat('over_counted'), create_imat('over_linked'), create_imat('linked_again'), create_imat('over_many');
