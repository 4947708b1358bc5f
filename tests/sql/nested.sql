-- Statements inside of statements, and what they read in between.
CREATE EXTENSION pg_imat;

CREATE TABLE a (id integer, note text);
CREATE TABLE b (g text, n integer);
CREATE TABLE c (g text, m integer);
CREATE TABLE log (at text, k bigint, s numeric);
CREATE VIEW of_a AS SELECT count(*) AS k FROM a;
CREATE VIEW of_b AS SELECT g, count(*) AS k, sum(n) AS s, max(n) AS hi FROM b GROUP BY g;
CREATE VIEW of_c AS SELECT g, sum(m) AS m FROM c GROUP BY g;
CREATE VIEW of_bc AS SELECT b.g, count(*) AS k, sum(b.n * c.m) AS s FROM b JOIN c USING (g) GROUP BY b.g;
CREATE VIEW of_ab AS SELECT a.id, b.g, count(*) AS k FROM a JOIN b ON b.n = a.id GROUP BY a.id, b.g;
CREATE VIEW whole_b AS SELECT g, count(*) AS k FROM b GROUP BY g UNION ALL SELECT 'all', count(*) FROM b;
SELECT create_imat(relname) FROM pg_class
    WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname ~ '^(of|whole)_' ORDER BY relname;
CREATE VIEW above AS SELECT count(*) AS groups, sum(s) AS s FROM imat.of_b;
SELECT create_imat('above');
CREATE VIEW wrong AS
    SELECT s.name FROM imat_status AS s WHERE EXISTS (SELECT FROM verify_imat(s.name::text));

-- What differs from its query at this moment: nothing may that does not read `a`.
CREATE FUNCTION late() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(name, ' ' ORDER BY name) FROM (
        SELECT 'of_b' WHERE EXISTS ((TABLE of_b EXCEPT ALL TABLE imat.of_b) UNION ALL (TABLE imat.of_b EXCEPT ALL TABLE of_b))
        UNION ALL SELECT 'of_c' WHERE EXISTS ((TABLE of_c EXCEPT ALL TABLE imat.of_c) UNION ALL (TABLE imat.of_c EXCEPT ALL TABLE of_c))
        UNION ALL SELECT 'of_bc' WHERE EXISTS ((TABLE of_bc EXCEPT ALL TABLE imat.of_bc) UNION ALL (TABLE imat.of_bc EXCEPT ALL TABLE of_bc))
        UNION ALL SELECT 'whole_b' WHERE EXISTS ((TABLE whole_b EXCEPT ALL TABLE imat.whole_b) UNION ALL (TABLE imat.whole_b EXCEPT ALL TABLE whole_b))
        UNION ALL SELECT 'above' WHERE EXISTS ((TABLE above EXCEPT ALL TABLE imat.above) UNION ALL (TABLE imat.above EXCEPT ALL TABLE above))
    ) AS differing(name) $$;

-- A function in a statement on another base table writes and reads, row by row.
CREATE FUNCTION add(g text, n integer) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO b VALUES (g, n), (g, n + 1);
    RETURN (SELECT s FROM imat.of_b WHERE of_b.g = add.g);
END $$;
INSERT INTO a SELECT i, add('x', i) FROM generate_series(1, 4) AS i RETURNING id, note, late();
TABLE imat.of_b; TABLE imat.of_ab ORDER BY id; TABLE wrong;
UPDATE a SET note = add('y', id) WHERE id < 3 RETURNING id, note, late();
DELETE FROM a WHERE add('z', id) > 15 RETURNING id, late();
TABLE wrong;

-- The same with a trigger for each row. What reads `a` itself is as it was before the statement.
CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO b VALUES ('t', NEW.id);
    INSERT INTO log SELECT 'b ' || NEW.id, k, s FROM imat.of_b WHERE g = 't';
    INSERT INTO c VALUES ('t', 10);
    INSERT INTO log SELECT 'bc ' || NEW.id, k, s FROM imat.of_bc WHERE g = 't';
    UPDATE b SET n = n + 1 WHERE g = 't';
    INSERT INTO log SELECT 'above ' || NEW.id, groups, s FROM imat.above;
    INSERT INTO log SELECT 'a ' || NEW.id, k FROM imat.of_a;
    RAISE NOTICE 'late: %', late();
    RETURN NEW;
END $$;
CREATE TRIGGER spread BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION spread();
INSERT INTO a VALUES (11), (12);
TABLE log; TRUNCATE log;
TABLE wrong;
ALTER TABLE a DISABLE TRIGGER spread;
CREATE TRIGGER spread_after AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION spread();
INSERT INTO a VALUES (21), (22);
TABLE log; TRUNCATE log;
TABLE wrong;
DROP TRIGGER spread_after ON a;

-- Subtransactions that are rolled back after a read, kept, or rolled back with kept ones inside.
CREATE FUNCTION tries(i integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE seen text := '';
BEGIN
    INSERT INTO b VALUES ('s', 1);
    INSERT INTO c VALUES ('c', 1);
    BEGIN
        INSERT INTO b VALUES ('s', 10);
        INSERT INTO c VALUES ('c', 10);
        seen := seen || (SELECT s FROM imat.of_b WHERE g = 's') || ' ';
        BEGIN
            INSERT INTO b VALUES ('s', 100);
            INSERT INTO c VALUES ('s', 1);
            seen := seen || (SELECT s FROM imat.of_bc WHERE g = 's') || ' ';
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
        seen := seen || (SELECT s FROM imat.of_b WHERE g = 's') || ' ';
        PERFORM 1 / (i % 2);
        INSERT INTO b VALUES ('s', 1000);
    EXCEPTION WHEN division_by_zero THEN seen := seen || 'back ';
    END;
    seen := seen || 'c ' || (SELECT m FROM imat.of_c WHERE g = 'c') || ' b ';
    RETURN seen || (SELECT s FROM imat.of_b WHERE g = 's') || coalesce(' late: ' || late(), '');
END $$;
INSERT INTO a SELECT i, tries(i) FROM generate_series(1, 4) AS i RETURNING note;
TABLE wrong;
BEGIN;
SAVEPOINT before;
INSERT INTO a SELECT i, tries(i) FROM generate_series(1, 2) AS i RETURNING note;
ROLLBACK TO before;
TABLE wrong;
INSERT INTO a SELECT i, tries(i) FROM generate_series(2, 3) AS i RETURNING note;
COMMIT;
TABLE wrong;

-- STABLE functions and cursors read under the snapshot of their statement.
CREATE FUNCTION total(wanted text) RETURNS numeric STABLE LANGUAGE sql AS 'SELECT s FROM imat.of_b WHERE g = wanted';
CREATE FUNCTION total_pl(wanted text) RETURNS numeric STABLE LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT s FROM imat.of_b WHERE g = wanted); END';
CREATE FUNCTION reads() RETURNS text LANGUAGE plpgsql AS $$
DECLARE seen text; old refcursor; value numeric; one text;
BEGIN
    DELETE FROM b WHERE g = 'r';
    INSERT INTO b VALUES ('r', 1);
    seen := total_pl('r');
    INSERT INTO b VALUES ('r', 2);
    SELECT seen || ' ' || string_agg(total('r') || ' ' || total_pl('r'), ' ') INTO seen FROM generate_series(1, 2);
    INSERT INTO b VALUES ('r', 4);
    INSERT INTO log SELECT 'stable', i, total_pl('r') FROM generate_series(1, 3) AS i;
    INSERT INTO b VALUES ('r', 8);
    OPEN old FOR SELECT s FROM imat.of_b WHERE g = 'r';
    INSERT INTO b VALUES ('r', 16);
    FETCH old INTO value;
    seen := seen || ' cursor ' || value;
    FOR one IN SELECT s FROM imat.of_b WHERE g = 'r' LOOP seen := seen || ' ' || one; END LOOP;
    CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT s FROM imat.of_b WHERE g = 'r';
    INSERT INTO b VALUES ('r', 32);
    EXECUTE 'SELECT $1 || '' '' || s FROM imat.of_b WHERE g = ''r''' INTO seen USING seen;
    FOR one IN EXPLAIN (COSTS off, TIMING off, SUMMARY off) SELECT s FROM imat.of_b WHERE g = 'r' LOOP EXIT; END LOOP;
    RETURN seen || ' ' || (SELECT s FROM copied) || coalesce(' late: ' || late(), '');
END $$;
INSERT INTO a VALUES (30, reads()) RETURNING note;
TABLE log; TRUNCATE log;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO a VALUES (31, reads()) RETURNING note;
COMMIT;
TABLE wrong;

-- A query under another statement's snapshot can't be given what that lacks: an error, not an old value.
CREATE FUNCTION other_snapshot() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO b VALUES ('o', 1);
    INSERT INTO log SELECT query_to_xml('SELECT s FROM imat.of_b WHERE g = ''o''', true, true, '');
    RETURN 'read';
END $$;
INSERT INTO a VALUES (40, other_snapshot());
CREATE OR REPLACE FUNCTION other_snapshot() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO b VALUES ('o', 1);
    RETURN query_to_xml('SELECT s FROM imat.of_b WHERE g = ''o''', true, true, '');
END $$;
INSERT INTO a VALUES (41, other_snapshot()) RETURNING note;
TABLE wrong;

-- Parallel plans.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
CREATE FUNCTION parallel_total() RETURNS numeric STABLE PARALLEL SAFE LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT sum(s) FROM imat.of_b); END';
CREATE FUNCTION in_parallel() RETURNS text LANGUAGE plpgsql AS $$
DECLARE least numeric; most numeric;
BEGIN
    INSERT INTO b VALUES ('p', 7);
    SELECT min(parallel_total()), max(parallel_total()) INTO least, most FROM b;
    RETURN least = (SELECT sum(n) FROM b) AND most = least;
END $$;
INSERT INTO a VALUES (50, in_parallel()) RETURNING note;
TABLE wrong;

-- Truncation inside, and a statement that changes two base tables while a third is open.
CREATE FUNCTION empties() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE c;
    INSERT INTO c VALUES ('x', 2);
    WITH gone AS (DELETE FROM c RETURNING *), kept AS (INSERT INTO b SELECT g, m FROM gone RETURNING *)
    INSERT INTO c SELECT g, n * 2 FROM kept;
    RETURN (SELECT s FROM imat.of_bc WHERE g = 'x') || coalesce(' late: ' || late(), '');
END $$;
INSERT INTO a VALUES (60, empties()) RETURNING note;
TABLE wrong;
SELECT sum(n * m) FROM b JOIN c USING (g) WHERE g = 'x';
