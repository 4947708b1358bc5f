-- Maintained tables where nothing can be written, and where several processes read.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE t (id integer PRIMARY KEY, g text, n numeric);
INSERT INTO t SELECT i, 'g' || i % 7, i / 4.0 FROM generate_series(1, 1000) AS i;
CREATE VIEW means AS SELECT g, avg(n) AS mean, count(*) AS c FROM t GROUP BY g;
CREATE VIEW rows_ AS SELECT g, n FROM t WHERE n > 10;
SELECT create_imat('means'), create_imat('rows_');

BEGIN READ ONLY;
SELECT * FROM imat.means ORDER BY g;
TABLE wrong;
SELECT name, strategy, base_tables FROM imat_status ORDER BY name::text;
SELECT count(*) > 3 FROM explain_imat('means');
\set ON_ERROR_ROLLBACK on
SELECT * FROM check_imat('SELECT count(*) FROM t');
SELECT create_imat('means', 'public');
SELECT create_imat('more', query => 'SELECT count(*) FROM t');
SELECT refresh_imat('means');
SELECT drop_imat('means');
SELECT * FROM verify_imat('means', repair => true);
INSERT INTO t VALUES (1001, 'x', 1);
\set ON_ERROR_ROLLBACK off
COMMIT;
-- What a transaction wrote before it became read-only is there.
BEGIN;
INSERT INTO t VALUES (1001, 'written', 100);
SET TRANSACTION READ ONLY;
SELECT * FROM imat.means WHERE g = 'written';
TABLE wrong;
COMMIT;

-- Workers read the state, and the base tables for the comparison.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE t SET (parallel_workers = 2);
SELECT format('ALTER TABLE %s SET (parallel_workers = 2)', state) FROM imat_status ORDER BY 1 \gexec
CREATE FUNCTION is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan::text LIKE '%"Gather"%';
END $$;
SELECT is_parallel('SELECT sum(n), count(*) FROM imat.rows_');
SELECT sum(n), count(*) FROM imat.rows_;
SELECT (SELECT sum(mean * c) FROM imat.means) = (SELECT sum(n) FROM t) AS same;
INSERT INTO t VALUES (1002, 'more', 20);
SELECT sum(n), count(*) FROM imat.rows_;
-- They compute the state's key as everybody does.
SELECT is_parallel('SELECT count(*) FROM t WHERE imat_catalog.row_image(ROW(g, n)) IS NULL');
SELECT count(*) FROM t WHERE imat_catalog.row_image(ROW(g, n)) IS NULL;
TABLE wrong;
