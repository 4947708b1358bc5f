-- Transaction snapshots that are older than what a maintained table holds. Isolation specs have the interleavings
-- (contents.spec); here is what a dump does to a database in which somebody is reading already, and ways to read.
CREATE EXTENSION pg_imat;
CREATE EXTENSION dblink;
\ir ../exact.sql
CREATE TABLE t (k int, v int);
INSERT INTO t VALUES (1, 1), (2, 2);
CREATE VIEW sums AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE VIEW means AS SELECT k, avg(v) AS mean FROM t GROUP BY k;
SELECT create_imat('sums'), create_imat('means');
SELECT dblink_connect('reader', format('host=%s port=%s user=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user, current_database()));
CREATE FUNCTION begin_reader() RETURNS text LANGUAGE sql AS $$
    SELECT dblink_exec('reader', 'BEGIN ISOLATION LEVEL REPEATABLE READ') || dblink_exec('reader', 'DO $d$ BEGIN PERFORM 1 FROM pg_class; END $d$') $$;
CREATE FUNCTION reader(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    SELECT concat_ws(' ', s.n, 'rows') INTO found FROM dblink('reader', query) AS s(n bigint);
    PERFORM dblink_exec('reader', 'ROLLBACK');
    RETURN found;
EXCEPTION WHEN OTHERS THEN
    PERFORM dblink_exec('reader', 'ROLLBACK');
    RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;

-- A dump brings tables and rows, then triggers. Whoever's snapshot is from before the triggers may lack some of the rows.
ALTER EVENT TRIGGER imat_drop DISABLE;
DROP TRIGGER imat_update ON t;
ALTER EVENT TRIGGER imat_drop ENABLE ALWAYS;
SELECT begin_reader();
CREATE TRIGGER imat_update AFTER UPDATE ON t REFERENCING OLD TABLE AS imat_old NEW TABLE AS imat_new
    FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.capture();
SELECT reader('SELECT count(*) FROM imat.sums');
SELECT begin_reader();
SELECT reader('SELECT count(*) FROM imat.sums');
ALTER TABLE t ENABLE ALWAYS TRIGGER imat_update;
INSERT INTO t VALUES (3, 3);
SELECT exact('sums'), exact('means');

-- Triggers and indexes of users make no content older, nor do comments and names.
SELECT begin_reader();
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER mine AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE INDEX ON imat.sums (n);
COMMENT ON TABLE imat.sums IS 'sums';
ALTER TABLE imat.sums RENAME TO totals;
ALTER TABLE imat.totals RENAME TO sums;
SELECT refresh_imat('sums');
VACUUM FULL imat.sums;
SELECT reader('SELECT count(*) FROM imat.sums');

-- What computes rows anew, of a table or of a state: older snapshots would see it empty.
SELECT begin_reader();
ALTER TABLE t ADD COLUMN stamp timestamptz DEFAULT clock_timestamp();
SELECT reader('SELECT count(*) FROM imat.sums');

-- A session knows what has begun meanwhile though it asked before, and forgets what was rolled back.
SELECT begin_reader();
SELECT * FROM dblink('reader', 'SELECT count(*) FROM imat.sums') AS s(n bigint);
BEGIN;
TRUNCATE t;
INSERT INTO t VALUES (4, 4);
ROLLBACK;
SELECT * FROM dblink('reader', 'SELECT count(*) FROM imat.sums') AS s(n bigint);
CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
SELECT create_imat('called', query => 'SELECT f(v) AS v, count(*) AS n FROM t GROUP BY 1');
SELECT * FROM dblink('reader', 'SELECT count(*) FROM imat.sums') AS s(n bigint);
SELECT reader('SELECT count(*) FROM imat.called');

-- A transaction's own.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT create_imat('mine', query => 'SELECT v, count(*) AS n FROM t GROUP BY v');
SELECT count(*) FROM imat.mine;
SAVEPOINT s;
TRUNCATE t;
SELECT count(*) FROM imat.mine;
ROLLBACK TO s;
SELECT count(*) FROM imat.mine;
INSERT INTO t VALUES (9, 9);
SELECT count(*) FROM imat.mine;
COMMIT;
-- In parallel.
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM imat.mine;
COMMIT;
SELECT s.name, count(v) AS differences FROM imat_status AS s LEFT JOIN LATERAL verify_imat(s.name::text) AS v ON true GROUP BY 1 ORDER BY 1;
