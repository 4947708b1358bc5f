-- Temporary disk is full while a subtransaction ends, where an error must not come up.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE outside (id int, n int);
CREATE TABLE inside (id int, filler text);
CREATE VIEW outsides AS SELECT n, count(*) AS rows FROM outside GROUP BY n;
CREATE VIEW insides AS SELECT filler, count(*) AS rows, min(id) AS first FROM inside GROUP BY filler;
SELECT create_imat('outsides', 'imat');
SELECT create_imat('insides', 'imat');
SET work_mem = '64kB';

-- Rolled back: what the statement inside changed waits for the one outside, and is partly in a file.
CREATE FUNCTION rolled_back() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO inside SELECT i, repeat('x', 100) || i FROM generate_series(1, 3001) AS i;
        PERFORM set_config('temp_file_limit', '0', true);
        RAISE EXCEPTION 'no more';
    EXCEPTION WHEN raise_exception THEN
        INSERT INTO inside VALUES (0, 'instead');
    END;
    RETURN 1;
END $$;
INSERT INTO outside SELECT 1, rolled_back();
SELECT count(*) FROM inside;
SELECT exact('outsides'), exact('insides');
BEGIN;
SAVEPOINT before;
INSERT INTO outside SELECT 1, rolled_back();
ROLLBACK TO before;
INSERT INTO outside SELECT 2, rolled_back();
COMMIT;
SELECT id, count(*) FROM inside GROUP BY id;
SELECT exact('outsides'), exact('insides');

-- Released: what so many of them changed is put together, for which there is no room.
CREATE FUNCTION released() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR part IN 1..100 LOOP
        BEGIN
            INSERT INTO inside SELECT i, repeat('x', 100) || i FROM generate_series(1, 100) AS i;
        EXCEPTION WHEN configuration_limit_exceeded THEN
            PERFORM set_config('temp_file_limit', '-1', true);
        END;
    END LOOP;
    RETURN 1;
END $$;
SET temp_file_limit = 0;
INSERT INTO outside SELECT 3, released();
SHOW temp_file_limit;
SELECT count(*) FROM inside;
SELECT exact('outsides'), exact('insides');
RESET temp_file_limit;
INSERT INTO outside SELECT 3, released();
SELECT count(*) FROM inside;
SELECT exact('outsides'), exact('insides');
