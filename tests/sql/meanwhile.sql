-- DDL while a table is built online, and its builder waits for a writer before it has all its triggers.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE EXTENSION dblink;
-- Sessions of their own: one that builds, one that writes and alters.
SELECT count(*) FROM (SELECT dblink_connect(name, format('host=%s port=%s user=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user, current_database())) FROM unnest(ARRAY['builder', 'writer']) AS name) AS connected;
SELECT pid AS builder FROM dblink('builder', 'SELECT pg_backend_pid()') AS r(pid integer) \gset
SELECT pid AS writer FROM dblink('writer', 'SELECT pg_backend_pid()') AS r(pid integer) \gset
-- The builder waits for older snapshots, so this session must not keep one.
CREATE PROCEDURE await(condition text) LANGUAGE plpgsql AS $$
DECLARE holds boolean;
BEGIN
    FOR i IN 1..3000 LOOP
        COMMIT;
        EXECUTE 'SELECT ' || condition INTO holds;
        IF holds THEN RETURN; END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'never came: %', condition;
END $$;
CREATE PROCEDURE reach(wanted text) LANGUAGE plpgsql AS $$ BEGIN
    CALL await(format('EXISTS (SELECT FROM imat_catalog.progress WHERE phase = %L)', wanted));
END $$;
-- Until one session waits for a lock that another one has.
CREATE PROCEDURE await_wait(waiting integer, holder integer) LANGUAGE plpgsql AS $$ BEGIN
    CALL await(format('%s = ANY (pg_blocking_pids(%s)) AND EXISTS (SELECT FROM pg_locks WHERE pid = %2$s AND NOT granted)', holder, waiting));
END $$;
-- Until the call is over.
CREATE PROCEDURE outlast() LANGUAGE plpgsql AS $$ BEGIN
    CALL await('dblink_is_busy(''builder'') = 0');
END $$;
-- What became of it.
CREATE FUNCTION built() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF dblink_is_busy('builder') = 1 THEN RETURN 'goes on'; END IF;
    PERFORM * FROM dblink_get_result('builder') AS r(done text);
    PERFORM * FROM dblink_get_result('builder') AS r(done text);
    RETURN 'built';
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;
CREATE TABLE t (k integer NOT NULL, v integer);
CREATE TABLE other (k integer NOT NULL, v integer);
INSERT INTO t VALUES (1, 1);
CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE VIEW below AS SELECT k, v FROM t;
CREATE VIEW counts AS SELECT f(k) AS k, count(*) AS n FROM below GROUP BY 1;
SELECT dblink_exec('writer', 'BEGIN'), dblink_exec('writer', 'INSERT INTO t VALUES (2, 2)');
SELECT dblink_send_query('builder', $$CALL create_imat('counts', online => true)$$);
CALL reach('waiting for a moment without writers');
SELECT status, progress FROM imat_status;
SELECT name, pid = :builder AS by_builder, phase, rows_done, rows_expected FROM imat_catalog.progress;
SELECT query FROM pg_stat_activity WHERE pid = :builder;
CREATE OR REPLACE VIEW below AS SELECT k, v FROM other;
CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 10';
SELECT dblink_exec('writer', 'COMMIT');
CALL outlast();
SELECT built();
TABLE imat.counts ORDER BY k;
TABLE wrong;
SELECT drop_imat('counts');

-- The function is being replaced when the call begins.
SELECT dblink_exec('writer', 'BEGIN'),
    dblink_exec('writer', $$CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 20'$$);
SELECT dblink_send_query('builder', $$CALL create_imat('counts', online => true)$$);
CALL await_wait(:builder, :writer);
SELECT dblink_exec('writer', 'COMMIT');
CALL outlast();
SELECT built();
TABLE imat.counts ORDER BY k;
TABLE wrong;
SELECT drop_imat('counts');

-- Under a snapshot from before the maintained table was there.
SELECT dblink_exec('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
SELECT * FROM dblink('writer', 'SELECT count(*) FROM t') AS r(n bigint);
SELECT create_imat('counts');
SELECT dblink_exec('writer', $$CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 30'$$);
SELECT dblink_exec('writer', 'COMMIT');
TABLE wrong;
SELECT dblink_exec('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
SELECT * FROM dblink('writer', 'SELECT count(*) FROM t') AS r(n bigint);
CREATE VIEW sums AS SELECT k, sum(v) AS s FROM other GROUP BY k;
SELECT create_imat('sums');
SELECT dblink_exec('writer', 'CREATE TABLE child (x integer) INHERITS (other)');
SELECT dblink_exec('writer', 'INSERT INTO child VALUES (7, 7)');
SELECT dblink_exec('writer', 'COMMIT');
TABLE wrong;
INSERT INTO child VALUES (9, 9);
TABLE wrong;

-- How far it is: it has told so at row 1024, when a tenth of a second had passed, and stops within row 1500.
CREATE TABLE many (k integer NOT NULL);
INSERT INTO many SELECT generate_series(1, 3000);
ANALYZE many;
CREATE FUNCTION slow(k integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF k = 1000 THEN PERFORM pg_sleep(0.15); END IF;
    IF k = 1500 THEN PERFORM pg_advisory_xact_lock_shared(1500); END IF;
    RETURN k % 2;
END $$;
CREATE VIEW slowly AS SELECT slow(k) AS k, count(*) AS n FROM many GROUP BY 1;
SELECT pg_advisory_lock(1500);
SELECT dblink_send_query('builder', $$CALL create_imat('slowly', online => true)$$);
CALL await_wait(:builder, pg_backend_pid());
SELECT name, pid = :builder AS by_builder, phase, rows_done, rows_expected FROM imat_catalog.progress;
SELECT status, progress FROM imat_status WHERE progress IS NOT NULL;
SELECT query FROM pg_stat_activity WHERE pid = :builder;
-- Whoever may not see that session's query is not told.
CREATE ROLE regress_meanwhile;
SET ROLE regress_meanwhile;
SELECT name, pid = :builder AS by_builder, phase, rows_done, rows_expected FROM imat_catalog.progress;
RESET ROLE;
DROP ROLE regress_meanwhile;
SELECT pg_advisory_unlock(1500);
CALL outlast();
SELECT built();
SELECT name FROM imat_catalog.progress;
TABLE imat.slowly ORDER BY k;
SELECT dblink_disconnect(name) FROM unnest(ARRAY['builder', 'writer']) AS name;
