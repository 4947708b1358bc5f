-- Every way in which rows can change.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE p (id integer PRIMARY KEY, g text NOT NULL);
CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, n integer);
CREATE TABLE log (what text, n integer);
CREATE VIEW joined AS SELECT p.g, count(*) AS k, sum(c.n) AS s FROM p JOIN c ON c.p_id = p.id GROUP BY p.g;
CREATE VIEW parents AS SELECT g, count(*) AS k FROM p GROUP BY g;
CREATE VIEW children AS SELECT p_id, sum(n) AS s, min(n) AS lo FROM c GROUP BY p_id;
CREATE VIEW logged AS SELECT what, count(*) AS k, sum(n) AS s FROM log GROUP BY what;
CREATE VIEW rows_ AS SELECT p.id, c.n FROM p JOIN c ON c.p_id = p.id;
CREATE VIEW whole_ AS SELECT p.id, c.n FROM p LEFT JOIN c ON c.p_id = p.id;
SELECT create_imat(relname) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wrong', 'imat_status') ORDER BY relname;

COPY p FROM stdin;
1	x
2	x
3	y
\.
COPY c (id, p_id, n) FROM stdin WITH (FREEZE false);
1	1	10
2	1	20
3	2	30
4	3	\N
\.
TABLE wrong;
TABLE imat.joined ORDER BY g;

-- ON CONFLICT: rows inserted, updated and left alone by one statement.
INSERT INTO p VALUES (1, 'z'), (9, 'new') ON CONFLICT (id) DO UPDATE SET g = excluded.g;
TABLE wrong;
INSERT INTO p VALUES (1, 'lost'), (8, 'kept') ON CONFLICT DO NOTHING;
TABLE wrong;
INSERT INTO c VALUES (1, 2, 1), (5, 3, 5) ON CONFLICT (id) DO UPDATE SET n = c.n + excluded.n WHERE c.n > 100;
TABLE wrong;

-- WITH: several base tables, and one table twice.
WITH np AS (INSERT INTO p VALUES (20, 'w') RETURNING id) INSERT INTO log SELECT 'with', id FROM np;
TABLE wrong;
WITH d AS (DELETE FROM c WHERE id = 5 RETURNING *), u AS (UPDATE p SET g = g || '!' WHERE id = 3 RETURNING *)
    INSERT INTO c SELECT d.id + 100, u.id, d.n FROM d, u;
TABLE wrong;
WITH one AS (UPDATE c SET n = n + 1 WHERE id = 1), two AS (UPDATE c SET n = n + 1 WHERE id = 2) DELETE FROM c WHERE id = 3;
TABLE wrong;
WITH one AS (DELETE FROM c WHERE p_id = 1 RETURNING *) SELECT count(*) FROM one;
TABLE wrong;
INSERT INTO c VALUES (1, 1, 1), (2, 1, 2), (3, 2, 3) RETURNING id, (SELECT sum(s) FROM imat.children) AS before_it;
TABLE wrong;

-- Cascades: a parent's DELETE and UPDATE.
BEGIN;
DELETE FROM p WHERE id = 1;
TABLE wrong;
SELECT count(*) FROM c WHERE p_id = 1;
UPDATE p SET id = id + 50;
TABLE wrong;
DELETE FROM p;
TABLE wrong;
TABLE imat.joined;
ROLLBACK;
TABLE wrong;
CREATE TABLE gc (c_id integer REFERENCES c ON DELETE SET NULL, m integer NOT NULL);
CREATE VIEW three AS SELECT p.g, sum(gc.m) AS m FROM p JOIN c ON c.p_id = p.id JOIN gc ON gc.c_id = c.id GROUP BY p.g;
CREATE VIEW orphans AS SELECT c_id, count(*) AS k FROM gc GROUP BY c_id;
SELECT create_imat('three'), create_imat('orphans');
INSERT INTO gc VALUES (1, 1), (1, 2), (2, 4), (3, 8), (NULL, 16);
TABLE wrong;
DELETE FROM p WHERE id = 1;
TABLE wrong;
TABLE imat.orphans ORDER BY 1;
-- A table that refers to itself.
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE CASCADE);
CREATE VIEW branches AS SELECT t.up, count(*) AS k FROM tree AS t GROUP BY t.up;
CREATE VIEW pairs AS SELECT u.id, count(*) AS k FROM tree AS u JOIN tree AS t ON t.up = u.id GROUP BY u.id;
SELECT create_imat('branches'), create_imat('pairs');
INSERT INTO tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 31) AS i;
TABLE wrong;
DELETE FROM tree WHERE id = 2;
TABLE wrong;
SELECT count(*) FROM tree;

-- User triggers that write other base tables, or the same one, before and after, per row and per statement.
CREATE FUNCTION run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE TG_ARGV[0] USING NEW; RETURN NEW; END $$;
CREATE TRIGGER before_row BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION run('INSERT INTO log VALUES (''before'', ($1).id)');
CREATE TRIGGER after_row AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION run('INSERT INTO c SELECT ($1).id * 1000 + i, ($1).id, i FROM generate_series(1, 2) AS i');
CREATE TRIGGER a_statement AFTER INSERT ON p EXECUTE FUNCTION run('UPDATE c SET n = n + 1');
CREATE TRIGGER z_statement AFTER INSERT ON p EXECUTE FUNCTION run('UPDATE log SET n = n + (SELECT sum(s) FROM imat.joined)');
CREATE TRIGGER again AFTER INSERT ON log WHEN (pg_trigger_depth() < 3) EXECUTE FUNCTION run('INSERT INTO log VALUES (''again'', 1)');
INSERT INTO p VALUES (30, 'trig'), (31, 'trig');
TABLE wrong;
TABLE imat.logged ORDER BY 1;
INSERT INTO log VALUES ('direct', 1);
TABLE wrong;
DROP TRIGGER before_row ON p; DROP TRIGGER after_row ON p; DROP TRIGGER a_statement ON p; DROP TRIGGER z_statement ON p; DROP TRIGGER again ON log;
-- A BEFORE trigger that changes or drops the row.
CREATE FUNCTION change_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n < 0 THEN RETURN NULL; END IF; NEW.n := NEW.n * 100; NEW.p_id := 2; RETURN NEW; END $$;
CREATE TRIGGER change_row BEFORE INSERT OR UPDATE ON c FOR EACH ROW EXECUTE FUNCTION change_row();
INSERT INTO c VALUES (60, 3, 1), (61, 3, -1);
UPDATE c SET id = id + 200 WHERE id = 60;
TABLE wrong;
DROP TRIGGER change_row ON c;
-- A trigger that fails undoes the statement.
CREATE TRIGGER fails AFTER INSERT ON c EXECUTE FUNCTION run('SELECT 1 / 0');
INSERT INTO c VALUES (70, 2, 7);
BEGIN;
INSERT INTO p VALUES (40, 'sp');
SAVEPOINT s;
INSERT INTO c VALUES (70, 2, 7);
ROLLBACK TO s;
INSERT INTO p VALUES (41, 'sp');
COMMIT;
TABLE wrong;
DROP TRIGGER fails ON c;
-- Rules.
CREATE RULE also AS ON INSERT TO log DO ALSO UPDATE p SET g = g || '+' WHERE id = 2;
INSERT INTO log VALUES ('rule', 1), ('rule', 2);
TABLE wrong;
DROP RULE also ON log;

-- Savepoints and rollbacks at every point; always current within.
BEGIN;
INSERT INTO p VALUES (50, 's');
SAVEPOINT a;
INSERT INTO c VALUES (500, 50, 5);
SELECT * FROM imat.joined WHERE g = 's';
SAVEPOINT b;
UPDATE c SET n = 6 WHERE id = 500;
DELETE FROM p WHERE id = 2;
TABLE wrong;
ROLLBACK TO b;
SELECT * FROM imat.joined WHERE g = 's';
TABLE wrong;
RELEASE a;
INSERT INTO c VALUES (501, 50, 7);
SELECT * FROM imat.joined WHERE g = 's';
TABLE wrong;
SAVEPOINT d;
INSERT INTO c VALUES (501, 50, 7);
ROLLBACK TO d;
INSERT INTO c VALUES (502, 50, 8);
COMMIT;
TABLE wrong;
SELECT * FROM imat.joined WHERE g = 's';

-- DO blocks, exceptions, functions that read in between.
DO $$
DECLARE i integer;
BEGIN
    FOR i IN 1..5 LOOP
        BEGIN
            INSERT INTO c VALUES (600 + i, 50, i);
            IF i % 2 = 0 THEN RAISE 'no'; END IF;
        EXCEPTION WHEN raise_exception THEN
            INSERT INTO log VALUES ('exception', i);
        END;
        RAISE NOTICE '% %', i, (SELECT (k, s) FROM imat.joined WHERE g = 's');
    END LOOP;
END $$;
TABLE wrong;
CREATE FUNCTION add(integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN INSERT INTO c VALUES ($1, 50, 1); RETURN (SELECT k FROM imat.joined WHERE g = 's'); END $$;
SELECT add(700 + i) FROM generate_series(1, 3) AS i;
TABLE wrong;
-- What such a function reads is current even while another base table is being written.
INSERT INTO log SELECT 'function', add(710 + i) FROM generate_series(1, 2) AS i;
SELECT n FROM log WHERE what = 'function' ORDER BY n;
TABLE wrong;
INSERT INTO c SELECT 720, 50, add(721);
TABLE wrong;
CREATE FUNCTION sql_add(integer) RETURNS bigint LANGUAGE sql AS 'INSERT INTO c VALUES ($1, 50, 1); SELECT k FROM imat.joined WHERE g = ''s''';
SELECT sql_add(730);
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO c VALUES (740, 50, 1);
    COMMIT;
    INSERT INTO c VALUES (741, 50, 1);
    ROLLBACK;
    INSERT INTO c VALUES (742, 50, 1);
    RAISE NOTICE '%', (SELECT k FROM imat.joined WHERE g = 's');
END $$;
CALL steps();
TABLE wrong;

-- Cursors see the moment they were opened; prepared statements stay right.
BEGIN;
DECLARE old CURSOR FOR SELECT k FROM imat.joined WHERE g = 's';
DECLARE changing CURSOR FOR SELECT id FROM c WHERE p_id = 50 ORDER BY id FOR UPDATE;
FETCH 1 FROM changing;
UPDATE c SET n = 1000 WHERE CURRENT OF changing;
FETCH 1 FROM changing;
DELETE FROM c WHERE CURRENT OF changing;
FETCH ALL FROM old;
SELECT k FROM imat.joined WHERE g = 's';
TABLE wrong;
COMMIT;
PREPARE ins(integer, integer) AS INSERT INTO c VALUES ($1, 50, $2);
PREPARE del(integer) AS DELETE FROM c WHERE id = $1;
PREPARE sel AS SELECT k, s FROM imat.joined WHERE g = 's';
EXECUTE ins(800, 1); EXECUTE ins(801, 2); EXECUTE ins(802, 3); EXECUTE ins(803, 4); EXECUTE ins(804, 5); EXECUTE ins(805, 6);
EXECUTE sel; EXECUTE del(803); EXECUTE del(804); EXECUTE sel;
TABLE wrong;

-- Statements that change nothing, and those that fail.
UPDATE c SET n = n;
DELETE FROM c WHERE false;
INSERT INTO c SELECT * FROM c WHERE false;
UPDATE p SET id = 50 WHERE id = 2;
INSERT INTO c VALUES (1000, 4711, 1);
TABLE wrong;

-- Deferred foreign keys.
ALTER TABLE c ADD CONSTRAINT later FOREIGN KEY (p_id) REFERENCES p DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE c DROP CONSTRAINT c_p_id_fkey;
BEGIN;
INSERT INTO c VALUES (900, 90, 9);
TABLE wrong;
INSERT INTO p VALUES (90, 'deferred');
TABLE wrong;
COMMIT;
TABLE wrong;
BEGIN;
INSERT INTO c VALUES (901, 91, 9);
COMMIT;
TABLE wrong;

-- TRUNCATE: of one side, of several, CASCADE, rolled back, with rows written around it.
BEGIN;
TRUNCATE c, gc;
TABLE wrong;
INSERT INTO c VALUES (1, 50, 1);
TABLE wrong;
ROLLBACK;
TABLE wrong;
TRUNCATE p;
TRUNCATE p CASCADE;
TABLE wrong;
TABLE imat.joined;
INSERT INTO p VALUES (1, 'again');
INSERT INTO c VALUES (1, 1, 1);
TRUNCATE log RESTART IDENTITY;
TABLE wrong;
TABLE imat.joined;

-- Large changes after small ones.
INSERT INTO p SELECT i, 'g' || i % 10 FROM generate_series(2, 1000) AS i;
INSERT INTO c SELECT i, i % 1000 + 1, i FROM generate_series(2, 3000) AS i;
TABLE wrong;
UPDATE c SET p_id = (p_id + 1) % 1000 + 1 WHERE id % 2 = 0;
TABLE wrong;
DELETE FROM p WHERE id % 3 = 0 AND NOT EXISTS (SELECT FROM c WHERE p_id = p.id);
DELETE FROM c WHERE id > 10;
TABLE wrong;
-- DISCARD, and settings that change how things run.
DISCARD PLANS;
INSERT INTO c VALUES (4001, 1, 1);
DISCARD ALL;
INSERT INTO c VALUES (4002, 1, 1);
SET plan_cache_mode = force_generic_plan; SET enable_hashagg = off; SET jit = off;
INSERT INTO c VALUES (4003, 1, 1);
RESET ALL;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO c VALUES (4004, 1, 1);
TABLE wrong;
UPDATE c SET n = n + 1 WHERE id > 4000;
TABLE wrong;
COMMIT;
BEGIN READ ONLY;
INSERT INTO c VALUES (4005, 1, 1);
ROLLBACK;
TABLE wrong;
