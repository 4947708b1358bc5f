-- DDL while a table is built online, and its builder waits for a writer before it has all its triggers.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE EXTENSION dblink;
-- Sessions of their own: one that builds, one that writes and alters.
SELECT count(*) FROM (SELECT dblink_connect(name, format('host=%s port=%s user=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user, current_database())) FROM unnest(ARRAY['builder', 'writer']) AS name) AS connected;
CREATE PROCEDURE reach(wanted text) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..1000 LOOP
        COMMIT;
        EXIT WHEN EXISTS (SELECT FROM imat_catalog.progress WHERE phase = wanted);
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
-- Until the call is over, which waits for older snapshots, so this one must not keep one.
CREATE PROCEDURE outlast() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..1000 LOOP
        COMMIT;
        EXIT WHEN dblink_is_busy('builder') = 0;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
-- What became of it.
CREATE FUNCTION built() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
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
SELECT status FROM imat_status;
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
SELECT pg_sleep(0.2);
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
SELECT dblink_disconnect(name) FROM unnest(ARRAY['builder', 'writer']) AS name;
