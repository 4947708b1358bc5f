-- requires: 15
-- SET ACCESS METHOD rewrites base tables and states, and leaves their rows alone.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE ACCESS METHOD other_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE t (id integer PRIMARY KEY, g text NOT NULL, n integer);
INSERT INTO t SELECT i, chr(97 + i % 3), i FROM generate_series(1, 30) AS i;
CREATE VIEW direct AS SELECT g, count(*) AS c FROM t GROUP BY g;
CREATE VIEW means AS SELECT g, avg(n) AS mean FROM t GROUP BY g;
CREATE VIEW whole_ AS SELECT DISTINCT g FROM t;
SELECT create_imat('direct'), create_imat('means'), create_imat('whole_');
ALTER TABLE t SET ACCESS METHOD other_heap;
SELECT format('ALTER TABLE %s SET ACCESS METHOD other_heap', state) FROM imat_status ORDER BY 1 \gexec
UPDATE t SET n = n + 1, g = 'moved' WHERE id % 4 = 0;
INSERT INTO t VALUES (31, 'new', NULL);
DELETE FROM t WHERE id < 4;
TABLE wrong;
SELECT c.relname, a.amname FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam JOIN imat_status AS s ON s.state = c.oid ORDER BY 1;
DROP ACCESS METHOD other_heap;
SELECT refresh_imat('means');
TABLE wrong;
