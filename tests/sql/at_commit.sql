-- Changes are applied when the transaction commits, and before what needs them: reads, DDL, verbs.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET imat.flush = commit;
CREATE TABLE t (id serial PRIMARY KEY, g integer, n integer);
CREATE TABLE names (g integer PRIMARY KEY, name text);
INSERT INTO t (g, n) SELECT i % 3, i FROM generate_series(1, 9) AS i;
INSERT INTO names VALUES (0, 'zero'), (1, 'one'), (2, 'two');
CREATE VIEW sums AS SELECT g, sum(n) AS s, min(n) AS least, count(*) AS k FROM t GROUP BY g;
CREATE VIEW named AS SELECT x.name, sum(t.n) AS s, count(*) AS k FROM t JOIN names AS x ON x.g = t.g GROUP BY x.name;
CREATE VIEW shares AS SELECT 100 / n AS share, count(*) AS k FROM t GROUP BY 1;
SELECT create_imat('sums'), create_imat('named'), create_imat('shares');
CREATE VIEW over_sums AS SELECT k, sum(s) AS s FROM imat.sums GROUP BY k;
SELECT create_imat('over_sums');
CREATE VIEW counts AS SELECT g, count(*) AS k FROM t GROUP BY g;
CREATE VIEW known AS SELECT x.name, count(*) AS k FROM t JOIN names AS x ON x.g = t.g GROUP BY x.name;
SELECT create_imat('counts'), create_imat('known');
CREATE VIEW spread AS SELECT k, count(*) AS groups FROM imat.counts GROUP BY k;
SELECT create_imat('spread');
-- The states that the transaction has written so far.
PREPARE written AS SELECT relation::regclass AS written FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'RowExclusiveLock'
    AND relation IN ('imat.counts'::regclass, 'imat.spread'::regclass, 'imat.known'::regclass) ORDER BY 1;

-- Nothing is written before the commit; a query makes only what it reads and what that is made of.
INSERT INTO t (g, n) VALUES (0, 1);
BEGIN;
INSERT INTO t (g, n) VALUES (1, 100);
UPDATE t SET n = n + 1 WHERE g = 2;
DELETE FROM t WHERE id = 1;
EXECUTE written;
SELECT * FROM imat.counts ORDER BY g;
EXECUTE written;
TABLE imat.spread;
SELECT * FROM imat.known ORDER BY name;
EXECUTE written;
COMMIT;
TABLE wrong;

-- Who reads: functions of every volatility, views, cursors, COPY, EXPLAIN ANALYZE, EXECUTE, foreign keys, DO.
CREATE VIEW reader AS SELECT sum(s) AS s FROM imat.sums;
CREATE FUNCTION v() RETURNS numeric LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN (SELECT sum(s) FROM imat.sums); END';
CREATE FUNCTION s() RETURNS numeric LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(s) FROM imat.sums); END';
CREATE FUNCTION i() RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT sum(s) FROM imat.sums); END';
CREATE FUNCTION q() RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(s) FROM imat.sums';
CREATE FUNCTION total() RETURNS numeric LANGUAGE sql AS 'SELECT sum(n) FROM t';
PREPARE p AS SELECT sum(s) = (SELECT sum(n) FROM t) AS p FROM imat.sums;
EXECUTE p;
BEGIN;
INSERT INTO t (g, n) VALUES (1, 1000);
SELECT v() = total() AS v;
INSERT INTO t (g, n) VALUES (1, 1000);
SELECT s() = total() AS s;
INSERT INTO t (g, n) VALUES (1, 1000);
SELECT i() = total() AS i;
INSERT INTO t (g, n) VALUES (1, 1000);
SELECT q() = total() AS q;
INSERT INTO t (g, n) VALUES (1, 1000);
SELECT s = total() AS view FROM reader;
INSERT INTO t (g, n) VALUES (1, 1000);
EXECUTE p;
INSERT INTO t (g, n) VALUES (3, 1000);
COPY (SELECT g, s, k FROM imat.sums ORDER BY g) TO STDOUT;
INSERT INTO t (g, n) VALUES (3, 1000);
COPY imat.counts (g, k) TO STDOUT;
INSERT INTO t (g, n) VALUES (3, 1000);
DECLARE c CURSOR FOR SELECT s FROM imat.sums WHERE g = 3;
INSERT INTO t (g, n) VALUES (3, 1000);
FETCH c;
SELECT s FROM imat.sums WHERE g = 3;
INSERT INTO t (g, n) VALUES (4, 1000);
DO $$
DECLARE line text;
BEGIN
    FOR line IN EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT FROM imat.sums WHERE g = 4 LOOP
        RAISE INFO '%', substring(line FROM 'actual rows=[0-9]+');
        EXIT;
    END LOOP;
END $$;
INSERT INTO t (g, n) VALUES (4, 1000);
DO $$ BEGIN ASSERT (SELECT s FROM imat.sums WHERE g = 4) = 2000; INSERT INTO t (g, n) VALUES (4, 1000); ASSERT v() = total(); END $$;
CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM imat.sums;
SELECT count(*) FROM copied;
INSERT INTO t (g, n) VALUES (5, 1000);
INSERT INTO names SELECT g, 'made' FROM imat.sums WHERE g = 5;
UPDATE names SET name = name || (SELECT k FROM imat.sums WHERE g = 5) WHERE g = 5;
SELECT * FROM names WHERE g = 5;
COMMIT;
TABLE wrong;
CREATE TABLE child (g integer);
ALTER TABLE imat.counts ADD CONSTRAINT counts_g UNIQUE (g);
ALTER TABLE child ADD FOREIGN KEY (g) REFERENCES imat.counts (g);
BEGIN;
INSERT INTO t (g, n) VALUES (6, 1);
INSERT INTO child VALUES (6);
COMMIT;
BEGIN;
INSERT INTO child VALUES (7);
ROLLBACK;
BEGIN;
DELETE FROM t WHERE g = 6;
COMMIT;
DELETE FROM child;
DELETE FROM t WHERE g = 6;
ALTER TABLE child DROP CONSTRAINT child_g_fkey;
TABLE wrong;
-- A cursor that outlives the transaction has the rows as of its beginning.
BEGIN;
INSERT INTO t (g, n) VALUES (1, 7);
DECLARE held CURSOR WITH HOLD FOR SELECT sum(s) - total() AS zero FROM imat.sums;
INSERT INTO t (g, n) VALUES (1, 7);
COMMIT;
FETCH held;
CLOSE held;

-- Savepoints: what is rolled back vanishes, also what a read has applied in it.
BEGIN;
INSERT INTO t (g, n) VALUES (10, 1);
SAVEPOINT a;
INSERT INTO t (g, n) VALUES (10, 2);
SAVEPOINT b;
INSERT INTO t (g, n) VALUES (10, 4);
SELECT s FROM imat.sums WHERE g = 10;
ROLLBACK TO b;
SELECT s FROM imat.sums WHERE g = 10;
TABLE wrong;
ROLLBACK TO a;
SELECT s FROM imat.sums WHERE g = 10;
INSERT INTO t (g, n) VALUES (10, 8);
RELEASE a;
TABLE wrong;
COMMIT;
SELECT s FROM imat.sums WHERE g = 10;
BEGIN;
SAVEPOINT a;
INSERT INTO t (g, n) VALUES (11, 1);
SELECT s FROM imat.sums WHERE g = 11;
RELEASE a;
SAVEPOINT b;
INSERT INTO t (g, n) VALUES (11, 2);
SAVEPOINT c;
SELECT s FROM imat.over_sums WHERE k = 2;
ROLLBACK TO b;
COMMIT;
TABLE wrong;
DO $$
BEGIN
    FOR i IN 1 .. 200 LOOP
        BEGIN
            INSERT INTO t (g, n) VALUES (12, i);
            IF i % 3 = 0 THEN PERFORM FROM imat.sums; END IF;
            IF i % 2 = 0 THEN RAISE 'back'; END IF;
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END LOOP;
END $$;
SELECT s, k FROM imat.sums WHERE g = 12;
TABLE wrong;

-- What came and went was never there.
BEGIN;
INSERT INTO t (g, n) VALUES (13, 5), (13, 6);
UPDATE t SET n = n - 10 WHERE g = 13;
UPDATE t SET n = n + 20 WHERE g = 13;
INSERT INTO t (g, n) VALUES (14, -1000);
DELETE FROM t WHERE g = 14;
UPDATE t SET g = 0 WHERE g = 13 AND n = 15;
COMMIT;
SELECT * FROM imat.sums WHERE g IN (0, 13, 14) ORDER BY g;
TABLE wrong;

-- An error of a view's expression comes at the commit, and names the view; imat.flush = statement brings it at the statement.
BEGIN;
INSERT INTO t (g, n) VALUES (1, 0);
SELECT count(*) FROM t WHERE n = 0;
COMMIT;
SELECT count(*) FROM t WHERE n = 0;
BEGIN;
INSERT INTO t (g, n) VALUES (1, 0);
DELETE FROM t WHERE n = 0;
COMMIT;
SET imat.flush = statement;
BEGIN;
INSERT INTO t (g, n) VALUES (1, 0);
COMMIT;
BEGIN;
SET LOCAL imat.flush = commit;
INSERT INTO t (g, n) VALUES (1, 3);
SET LOCAL imat.flush = statement;
INSERT INTO t (g, n) VALUES (1, 4);
COMMIT;
RESET imat.flush;
SET imat.flush = commit;
TABLE wrong;

-- DDL and verbs in the same transaction find what was changed before them.
BEGIN;
INSERT INTO t (g, n) VALUES (1, 11);
ALTER TABLE t ALTER n TYPE bigint;
ROLLBACK;
BEGIN;
INSERT INTO t (g, n) VALUES (1, 11);
ALTER TABLE t RENAME n TO m;
ALTER TABLE t RENAME m TO n;
INSERT INTO t (g, n) VALUES (1, 12);
ALTER TABLE t ADD COLUMN more integer DEFAULT 5;
INSERT INTO t (g, n) VALUES (1, 13);
TRUNCATE t;
INSERT INTO t (g, n) VALUES (1, 14);
TABLE wrong;
INSERT INTO t (g, n) VALUES (2, 15);
CREATE VIEW late AS SELECT count(*) AS k FROM t;
SELECT create_imat('late');
INSERT INTO t (g, n) VALUES (2, 16);
SELECT refresh_imat('sums');
INSERT INTO t (g, n) VALUES (2, 17);
SELECT count(*) FROM verify_imat('sums');
INSERT INTO t (g, n) VALUES (2, 18);
SELECT drop_imat('late');
INSERT INTO t (g, n) VALUES (2, 19);
COMMIT;
TABLE wrong;
DO $$
DECLARE created regclass;
BEGIN
    INSERT INTO t (g, n) VALUES (2, 20);
    created := create_imat('late');
    INSERT INTO t (g, n) VALUES (2, 21);
END $$;
TABLE wrong;
SELECT drop_imat('late');

-- Functions of a query that are replaced: what was changed before is computed with the old one, and then all anew.
CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2';
CREATE VIEW by_f AS SELECT f(n) AS f, count(*) AS k FROM t GROUP BY 1;
SELECT create_imat('by_f');
BEGIN;
INSERT INTO t (g, n) VALUES (1, 21), (1, 22);
CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 3';
INSERT INTO t (g, n) VALUES (1, 21), (1, 22);
COMMIT;
SELECT name, stale IS NOT NULL AS stale FROM imat_status ORDER BY name::text;
SELECT refresh_imat('by_f');
TABLE wrong;
SELECT drop_imat('by_f');

-- Triggers of users read what was there before their statement.
CREATE TABLE seen (g integer, s numeric);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen SELECT g, s FROM imat.sums WHERE g = NEW.g;
    RETURN NEW;
END $$;
BEGIN;
INSERT INTO t (g, n) VALUES (20, 1);
CREATE TRIGGER before_row BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO t (g, n) VALUES (20, 2);
INSERT INTO t (g, n) VALUES (20, 4), (20, 8);
DROP TRIGGER before_row ON t;
CREATE TRIGGER after_row AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO t (g, n) VALUES (20, 16);
INSERT INTO t (g, n) VALUES (20, 32);
DROP TRIGGER after_row ON t;
COMMIT;
TABLE seen;
TABLE wrong;
-- Deferred ones run first, and see current tables.
TRUNCATE seen;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
BEGIN;
INSERT INTO t (g, n) VALUES (21, 1);
INSERT INTO t (g, n) VALUES (21, 2);
COMMIT;
TABLE seen;
TABLE wrong;
DROP TRIGGER deferred ON t;
-- A function in a constraint reads, too.
CREATE FUNCTION allowed(of integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN coalesce((SELECT s < 100 FROM imat.sums WHERE g = of), true); END';
ALTER TABLE t ADD CONSTRAINT allowed CHECK (allowed(g)) NOT VALID;
BEGIN;
INSERT INTO t (g, n) VALUES (22, 60);
INSERT INTO t (g, n) VALUES (22, 60);
INSERT INTO t (g, n) VALUES (22, 60);
ROLLBACK;
ALTER TABLE t DROP CONSTRAINT allowed;
-- Of the check of a domain the table does not tell, so such a read is refused.
CREATE FUNCTION few() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) < 5 FROM imat.of_domain); END';
CREATE DOMAIN checked AS integer;
CREATE TABLE with_domain (n checked);
CREATE VIEW of_domain AS SELECT n::integer AS n, count(*) AS k FROM with_domain GROUP BY 1;
SELECT create_imat('of_domain');
ALTER DOMAIN checked ADD CHECK (few()) NOT VALID;
INSERT INTO with_domain VALUES (1);
BEGIN;
INSERT INTO with_domain VALUES (2);
INSERT INTO with_domain VALUES (3);
ROLLBACK;
TABLE wrong;

-- Cascades, read by a trigger of the referencing table.
CREATE TABLE lines (g integer REFERENCES names ON DELETE CASCADE ON UPDATE CASCADE, n integer);
INSERT INTO lines SELECT g, 1 FROM names;
CREATE VIEW joined AS SELECT x.name, sum(l.n) AS s FROM lines AS l JOIN names AS x ON x.g = l.g GROUP BY x.name;
SELECT create_imat('joined');
CREATE FUNCTION count_joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen SELECT -1, coalesce(sum(s), 0) FROM imat.joined;
    RETURN OLD;
END $$;
CREATE TRIGGER count_joined BEFORE DELETE ON lines FOR EACH ROW EXECUTE FUNCTION count_joined();
TRUNCATE seen;
BEGIN;
INSERT INTO lines VALUES (0, 10);
DELETE FROM names WHERE g = 1;
UPDATE names SET g = 30 WHERE g = 0;
DELETE FROM names WHERE g = 30;
COMMIT;
TABLE seen;
TABLE wrong;
DROP TRIGGER count_joined ON lines;

-- Procedures, chains, two-phase commit.
CREATE PROCEDURE several() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        INSERT INTO t (g, n) VALUES (40, i);
        IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END $$;
CALL several();
SELECT s, k FROM imat.sums WHERE g = 40;
BEGIN;
INSERT INTO t (g, n) VALUES (41, 1);
COMMIT AND CHAIN;
INSERT INTO t (g, n) VALUES (41, 2);
ROLLBACK AND CHAIN;
INSERT INTO t (g, n) VALUES (41, 4);
COMMIT;
SELECT s, k FROM imat.sums WHERE g = 41;
TABLE wrong;

-- A transaction that became read-only.
BEGIN;
INSERT INTO t (g, n) VALUES (42, 1);
SET TRANSACTION READ ONLY;
COMMIT;
SELECT s, k FROM imat.sums WHERE g = 42;
