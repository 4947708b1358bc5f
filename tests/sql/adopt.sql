-- What a dump brings of a maintained table without its bookkeeping: it is adopted at the first change, by its owner's rights.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET client_min_messages = warning;
CREATE FUNCTION forget() RETURNS void LANGUAGE sql AS 'DELETE FROM imat_catalog.source; DELETE FROM imat_catalog.imat';
CREATE TABLE a (k int, v int);
CREATE TABLE b (k int PRIMARY KEY, w int) PARTITION BY RANGE (k);
CREATE TABLE b_1 PARTITION OF b FOR VALUES FROM (0) TO (10);
INSERT INTO a VALUES (1, 1), (2, 2), (2, NULL);
INSERT INTO b VALUES (1, 10), (2, 20);
CREATE VIEW groups_ AS SELECT k, count(*) AS n, sum(v) AS s FROM a GROUP BY k;
CREATE VIEW joined AS SELECT a.k, sum(v * w) AS s FROM a JOIN b ON b.k = a.k GROUP BY a.k;
CREATE VIEW total AS SELECT count(*) AS n, avg(v) AS mean FROM a;
CREATE VIEW whole_ AS SELECT b.k, v FROM b LEFT JOIN a ON a.k = b.k;
SELECT create_imat(name) FROM unnest(ARRAY['groups_', 'joined', 'total', 'whole_']) AS name;
CREATE VIEW top AS SELECT n, count(*) AS times FROM imat.groups_ GROUP BY n;
SELECT create_imat('top');
ALTER TABLE imat.groups_ RENAME TO "Groups";
ALTER VIEW groups_ RENAME TO "Groups";
CREATE TABLE kept AS SELECT name::text, source, strategy, construct, shape, depth, trusts_keys, settings FROM imat_catalog.imat;
-- Changes that were not followed, and the first one that is.
ALTER EVENT TRIGGER imat_change DISABLE;
SELECT forget();
ALTER TABLE a DISABLE TRIGGER ALL;
INSERT INTO a VALUES (2, 5), (3, 3);
ALTER TABLE a ENABLE ALWAYS TRIGGER imat_open, ENABLE ALWAYS TRIGGER imat_insert, ENABLE ALWAYS TRIGGER imat_update,
    ENABLE ALWAYS TRIGGER imat_delete, ENABLE ALWAYS TRIGGER imat_truncate, ENABLE REPLICA TRIGGER imat_replica;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
\c
WITH one AS (INSERT INTO a VALUES (4, 4), (1, 7)), other AS (INSERT INTO b VALUES (3, 30), (4, 40))
DELETE FROM a WHERE v IS NULL;
TABLE wrong;
SELECT * FROM kept EXCEPT SELECT name::text, source, strategy, construct, shape, depth, trusts_keys, settings FROM imat_catalog.imat;
UPDATE b SET w = w + 1;
TABLE wrong;
-- By a verb, and by one that fails; a rollback leaves it as it was.
SELECT forget();
BEGIN;
INSERT INTO b_1 VALUES (5, 50);
SELECT count(*) FROM imat_status WHERE status = 'ready';
ROLLBACK;
SELECT count(*) FROM imat_status WHERE status = 'ready';
SELECT refresh_imat('whole_');
SELECT refusal('SELECT create_imat(''total'')');
SELECT drop_imat('joined');
SELECT drop_imat('top');
SELECT name, status FROM imat_status ORDER BY name::text;
TABLE wrong;
-- At REPEATABLE READ.
SELECT forget();
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO a VALUES (9, 9);
COMMIT;
TABLE wrong;
-- A mark can't be forged, dropped, renamed or replaced.
CREATE ROLE regress_adopt;
GRANT CREATE ON SCHEMA public TO regress_adopt;
SET ROLE regress_adopt;
CREATE TABLE mine (n int);
SELECT refusal('CREATE TRIGGER imat_definition AFTER TRUNCATE ON mine FOR EACH STATEMENT
    WHEN (''imat_catalog.groups_''::regclass IS NOT NULL) EXECUTE FUNCTION imat_catalog.definition(''false'', '''', '''', ''Single'')');
RESET ROLE;
SELECT refusal('DROP TRIGGER imat_definition ON imat_state.groups_');
SELECT refusal('ALTER TRIGGER imat_definition ON imat_state.groups_ RENAME TO d');
-- Nobody's rights grow: he who does not own a base table would not have got it from create_imat.
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER VIEW imat."Groups" OWNER TO regress_adopt;
ALTER TABLE imat_state.groups_ OWNER TO regress_adopt;
ALTER VIEW imat_catalog.groups_ OWNER TO regress_adopt;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
SELECT drop_imat('total'), drop_imat('whole_');
SELECT forget();
\c
SET client_min_messages = warning;
INSERT INTO a VALUES (10, 10);
INSERT INTO a VALUES (10, 10);
SELECT name, status FROM imat_status;
ALTER TABLE a OWNER TO regress_adopt;
\c
SET client_min_messages = warning;
SELECT refresh_imat('imat."Groups"');
TABLE imat."Groups" ORDER BY k;
DROP VIEW top;
SELECT drop_imat('imat."Groups"');
ALTER TABLE a OWNER TO current_user;
DROP OWNED BY regress_adopt;
DROP ROLE regress_adopt;
-- Where others are known to read a table, by a change of another one or since, who is left is adopted all the same.
CREATE TABLE c (k int PRIMARY KEY, v int);
CREATE TABLE d (k int, w int);
INSERT INTO c VALUES (1, 1);
INSERT INTO d VALUES (1, 1);
CREATE VIEW pairs AS SELECT c.k, count(*) AS n FROM c JOIN d ON d.k = c.k GROUP BY c.k;
CREATE VIEW alone AS SELECT v, count(*) AS n FROM c GROUP BY v;
SELECT create_imat('pairs'), create_imat('alone');
SELECT forget();
\c
SET client_min_messages = warning;
INSERT INTO d VALUES (1, 5);
INSERT INTO c VALUES (2, 2), (3, 1);
SELECT exact('pairs'), exact('alone');
SELECT forget();
CREATE VIEW later AS SELECT count(*) AS n FROM c;
SELECT create_imat('later');
INSERT INTO c VALUES (4, 2);
SELECT exact('pairs'), exact('alone'), exact('later');
SELECT count(drop_imat(name)) FROM unnest(ARRAY['pairs', 'alone', 'later']) AS name;
DROP TABLE c, d CASCADE;

-- What fails because of others, or for want of something, is tried again.
CREATE TABLE c (k int);
CREATE VIEW counts AS SELECT k, count(*) AS n FROM c GROUP BY k;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('test.code', true) <> '' THEN
        RAISE 'no luck' USING ERRCODE = current_setting('test.code');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER fail AFTER INSERT ON imat_catalog.imat FOR EACH STATEMENT EXECUTE FUNCTION fail();
SELECT create_imat('counts');
SELECT forget();
\c
CREATE PROCEDURE try_adopting(code text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('test.code', code, false);
    INSERT INTO c VALUES (1);
    PERFORM set_config('test.code', '', false), pg_sleep(0.25);
    INSERT INTO c VALUES (1);
    RAISE WARNING '% %', code, (SELECT status FROM imat_status WHERE name = 'imat.counts'::regclass);
    PERFORM forget();
END $$;
CALL try_adopting('40001');
CALL try_adopting('40P01');
CALL try_adopting('53200');
CALL try_adopting('58030');
CALL try_adopting('55P03');
CALL try_adopting('22012');
SET client_min_messages = warning;
SELECT drop_imat('counts');
DROP TRIGGER fail ON imat_catalog.imat;
DROP TABLE c CASCADE;

-- Until it is adopted nobody reads it, whatever has happened meanwhile that no change tells: by its name, under a view, in a
-- function, in another session. Verbs say what to do.
CREATE TABLE p (k int, v int) PARTITION BY RANGE (k);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (1, 1), (11, 1);
CREATE VIEW sums AS SELECT v, count(*) AS n FROM p GROUP BY v;
CREATE VIEW means AS SELECT v, avg(k) AS mean FROM p GROUP BY v;
SELECT create_imat('sums'), create_imat('means');
CREATE VIEW reader AS SELECT max(n) FROM imat.sums;
CREATE FUNCTION reads() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM imat.means); END';
TABLE reader;
SELECT reads();
SELECT forget();
ALTER TABLE p DETACH PARTITION p_2;
\c
SET client_min_messages = warning;
SELECT refusal('TABLE imat.sums'), refusal('TABLE reader'), refusal('SELECT reads()');
SELECT refusal('SELECT verify_imat(''sums'')');
SELECT refusal('SELECT explain_imat(''imat.means'')');
SELECT name, status, stale FROM imat_status ORDER BY name::text;
INSERT INTO p VALUES (2, 1);
SELECT exact('sums'), exact('means');
TABLE reader;
SELECT forget();
\c
SET client_min_messages = warning;
BEGIN;
ALTER TABLE p DISABLE TRIGGER ALL;
INSERT INTO p VALUES (3, 5);
ALTER TABLE p ENABLE TRIGGER ALL;
COMMIT;
SELECT refusal('TABLE imat.sums');
SELECT refresh_imat('sums'), refresh_imat('means');
SELECT exact('sums'), exact('means');
SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = 'p'::regclass AND tgname <> 'imat_replica';
-- What is left keeps the triggers that it needs when others go; it can be dropped itself, and then nothing is left.
CREATE VIEW more AS SELECT count(*) AS n FROM p;
SELECT create_imat('more');
DELETE FROM imat_catalog.source WHERE name <> 'imat.more'::regclass;
DELETE FROM imat_catalog.imat WHERE name <> 'imat.more'::regclass;
SELECT drop_imat('more');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'p'::regclass;
-- Who asks must own it; and what create_imat would refuse, or could not be kept exact, is not adopted.
CREATE ROLE regress_adopt;
SET ROLE regress_adopt;
SELECT refusal('SELECT refresh_imat(''sums'')'), refusal('SELECT drop_imat(''sums'')');
RESET ROLE;
SELECT name, status FROM imat_status ORDER BY name::text;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
ALTER EVENT TRIGGER imat_change DISABLE;
CREATE TRIGGER away BEFORE INSERT ON imat.sums FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
SELECT refusal('SELECT refresh_imat(''sums'')');
DROP TRIGGER away ON imat.sums;
DROP VIEW reader;
SELECT drop_imat('sums');
SELECT drop_imat('means');
SELECT count(*) FROM imat_status;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('p'::regclass, 'p_1'::regclass);
-- Its definition takes it along, without CASCADE, as a dump with --clean has it.
SELECT create_imat('sums'), create_imat('means');
DROP VIEW imat_catalog.sums;
SELECT name FROM imat_status;
-- What is left of one without it is not read either.
SELECT forget();
DROP VIEW imat_catalog.means;
\c
SET client_min_messages = warning;
SELECT refusal('TABLE imat.means');
DROP TABLE p, p_2 CASCADE;
DROP ROLE regress_adopt;
