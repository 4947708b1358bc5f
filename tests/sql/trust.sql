-- Rows that get past a foreign key, each in another way: the view never goes on relying on the key.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_setting('server_version_num')::int >= 150000 AS has_merge \gset

-- The tables anew, l with the key that is given.
CREATE PROCEDURE again(key text, partitioned boolean DEFAULT false) LANGUAGE plpgsql AS $$ BEGIN
    IF to_regclass('imat.v') IS NOT NULL THEN PERFORM drop_imat('v'); END IF;
    DROP TABLE IF EXISTS l, o CASCADE;
    CREATE TABLE o (id int PRIMARY KEY, c int);
    EXECUTE format('CREATE TABLE l (id int, ord int REFERENCES o %s, q int) %s', key,
        CASE WHEN partitioned THEN 'PARTITION BY RANGE (id)' END);
    IF partitioned THEN
        CREATE TABLE l1 PARTITION OF l FOR VALUES FROM (0) TO (100);
        CREATE TABLE l2 PARTITION OF l FOR VALUES FROM (100) TO (200);
    END IF;
    INSERT INTO o SELECT i, 10 * i FROM generate_series(1, 5) AS i;
    INSERT INTO l SELECT i, i, 100 * i FROM generate_series(1, 5) AS i;
    CREATE VIEW v AS SELECT l.id, l.ord, o.c, l.q FROM l JOIN o ON o.id = l.ord;
END $$;
CREATE FUNCTION trusts() RETURNS boolean LANGUAGE sql AS
    $$ SELECT trusts_keys FROM imat_catalog.imat WHERE name = to_regclass('imat.v') $$;
-- How many keys the transaction has locked, and writers announced: none for a row of o by itself, if the key is relied on.
CREATE FUNCTION locked() RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() $$;
CREATE FUNCTION make() RETURNS text LANGUAGE sql AS
    $$ SELECT create_imat('v'); SELECT CASE WHEN trusts() THEN 'trusts' ELSE 'does not trust' END $$;

-- A function that is a replica, within a statement on another table.
CALL again('');
SELECT make();
CREATE FUNCTION put(id int, ord int) RETURNS int LANGUAGE sql SET session_replication_role = replica AS
    'INSERT INTO l VALUES (id, ord, 0) RETURNING id';
INSERT INTO o SELECT 70 + put(6, 77), 0;
SELECT trusts();
INSERT INTO o VALUES (77, 7);
SELECT exact('v');
-- One that is a replica for some of a statement's rows.
CALL again('');
SELECT make();
CREATE FUNCTION choose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('session_replication_role', CASE WHEN NEW.ord > 70 THEN 'replica' ELSE 'origin' END, true);
    RETURN NEW;
END $$;
CREATE TRIGGER choose BEFORE INSERT ON l FOR EACH ROW EXECUTE FUNCTION choose();
ALTER TABLE l ENABLE ALWAYS TRIGGER choose;
INSERT INTO l VALUES (6, 2, 0), (7, 76, 0), (8, 1, 0);
DROP TRIGGER choose ON l;
SELECT trusts();
INSERT INTO o VALUES (76, 7);
SELECT exact('v');
-- A trigger that is one while it deletes a referenced row.
CALL again('');
SELECT make();
CREATE FUNCTION behead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    SET LOCAL session_replication_role = replica;
    DELETE FROM o WHERE id = 3;
    SET LOCAL session_replication_role = origin;
    RETURN NULL;
END $$;
CREATE TRIGGER behead AFTER INSERT ON l FOR EACH ROW EXECUTE FUNCTION behead();
INSERT INTO l VALUES (8, 1, 0);
DROP TRIGGER behead ON l;
SELECT trusts(), exact('v');
INSERT INTO o VALUES (3, 33);
SELECT exact('v');
-- What is rolled back has got past nothing.
CALL again('');
SELECT make();
BEGIN;
SAVEPOINT s;
SET LOCAL session_replication_role = replica;
INSERT INTO l VALUES (7, 77, 0);
SELECT trusts();
ROLLBACK TO s;
SELECT trusts();
INSERT INTO o VALUES (77, 7);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
COMMIT;
SELECT exact('v');
-- Nobody relies on keys where there are none, and a replica has nothing to say.
CREATE VIEW alone AS SELECT ord, count(*) AS n FROM l GROUP BY ord;
SELECT create_imat('alone');
SET session_replication_role = replica;
INSERT INTO l VALUES (1, 1, 1);
RESET session_replication_role;
SELECT trusts_keys FROM imat_catalog.imat WHERE name = 'imat.alone'::regclass;
SELECT drop_imat('alone');

-- TRUNCATE in the transaction of a replica: the maintained table is made anew. What a replication worker
-- applies is one transaction too, of which the rows come without statements.
CALL again('');
SELECT make();
CREATE FUNCTION refill() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$ BEGIN
    TRUNCATE l;
    INSERT INTO l VALUES (6, 76, 0), (7, 77, 0);
END $$;
SELECT refill();
SELECT trusts();
INSERT INTO o VALUES (77, 7);
SELECT exact('v');
CALL again('');
SELECT make();
INSERT INTO o SELECT 70 + length(refill()::text), 0;
SELECT trusts();
INSERT INTO o VALUES (77, 7);
SELECT exact('v');

-- MERGE into a partitioned table: made anew as well.
CALL again('', true);
SELECT make();
SET session_replication_role = replica;
\if :has_merge
MERGE INTO l USING (VALUES (1, 76), (101, 77)) AS n(id, ord) ON l.id = n.id
    WHEN MATCHED THEN UPDATE SET ord = n.ord WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.ord, 0);
\else
UPDATE l SET ord = 76 WHERE id = 1;
INSERT INTO l VALUES (101, 77, 0);
\endif
RESET session_replication_role;
SELECT trusts();
INSERT INTO o VALUES (76, 6), (77, 7);
SELECT exact('v');

-- While the maintained table was stale, nobody looked.
CALL again('');
SELECT make();
SET client_min_messages = error;
ALTER TABLE o DISABLE TRIGGER USER;
SET session_replication_role = replica;
INSERT INTO l VALUES (7, 77, 0);
RESET session_replication_role;
ALTER TABLE o ENABLE TRIGGER USER;
SELECT trusts(), exact('v');
INSERT INTO o VALUES (77, 7);
SELECT exact('v');
-- If nothing got past the key meanwhile, it is still relied on.
CALL again('');
SELECT make();
ALTER TABLE l DISABLE TRIGGER USER;
INSERT INTO l VALUES (7, 1, 0);
ALTER TABLE l ENABLE TRIGGER USER;
SELECT trusts(), exact('v');
SET client_min_messages = warning;

-- The key could be got past before the maintained table was made, and can't later.
CALL again('ON DELETE CASCADE');
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON l FOR EACH ROW EXECUTE FUNCTION keep();
DELETE FROM o WHERE id = 3;
SELECT make();
DROP TRIGGER keep ON l;
INSERT INTO o VALUES (3, 33);
SELECT trusts(), exact('v');
CALL again('DEFERRABLE');
SET session_replication_role = replica;
INSERT INTO l VALUES (7, 77, 0);
RESET session_replication_role;
SELECT make();
ALTER TABLE l ALTER CONSTRAINT l_ord_fkey NOT DEFERRABLE;
INSERT INTO o VALUES (77, 7);
SELECT trusts(), exact('v');
-- It became deferrable later, and not so again.
CALL again('');
SELECT make();
ALTER TABLE l ALTER CONSTRAINT l_ord_fkey DEFERRABLE;
SELECT trusts();
SET session_replication_role = replica;
INSERT INTO l VALUES (7, 77, 0);
RESET session_replication_role;
ALTER TABLE l ALTER CONSTRAINT l_ord_fkey NOT DEFERRABLE;
INSERT INTO o VALUES (77, 7);
SELECT trusts(), exact('v');
-- A key says nothing of the rows of children; while there are some it is not even looked at.
CALL again('');
CREATE TABLE child () INHERITS (o);
SET session_replication_role = replica;
INSERT INTO l VALUES (7, 77, 0);
RESET session_replication_role;
SELECT make();
ALTER TABLE child NO INHERIT o;
INSERT INTO o VALUES (77, 7);
SELECT trusts(), exact('v');
DROP TABLE child;
-- One that is not validated yet will be checked when it is, and then relied on.
CALL again('');
ALTER TABLE l DROP CONSTRAINT l_ord_fkey;
ALTER TABLE l ADD CONSTRAINT l_ord_fkey FOREIGN KEY (ord) REFERENCES o NOT VALID;
SELECT make();
BEGIN; INSERT INTO o VALUES (8, 8); SELECT locked() > 0 AS locked; COMMIT;
ALTER TABLE l VALIDATE CONSTRAINT l_ord_fkey;
SELECT trusts();
BEGIN; INSERT INTO o VALUES (9, 9); SELECT locked(); COMMIT;
SELECT exact('v');
-- That fails as long as there is an orphan from before the key.
CALL again('');
ALTER TABLE l DROP CONSTRAINT l_ord_fkey;
INSERT INTO l VALUES (7, 77, 0);
ALTER TABLE l ADD CONSTRAINT l_ord_fkey FOREIGN KEY (ord) REFERENCES o NOT VALID;
SELECT make();
ALTER TABLE l VALIDATE CONSTRAINT l_ord_fkey;
SET session_replication_role = replica;
ALTER TABLE l VALIDATE CONSTRAINT l_ord_fkey;
RESET session_replication_role;
BEGIN; INSERT INTO o VALUES (77, 7); SELECT locked() > 0 AS locked, exact('v'); ROLLBACK;
INSERT INTO o VALUES (77, 7);
SELECT exact('v');
ALTER TABLE l VALIDATE CONSTRAINT l_ord_fkey;
BEGIN; INSERT INTO o VALUES (78, 7); SELECT locked(); COMMIT;
SELECT exact('v');
-- But not a replica's rows that come while nobody relies on it.
CALL again('');
ALTER TABLE l DROP CONSTRAINT l_ord_fkey;
ALTER TABLE l ADD CONSTRAINT l_ord_fkey FOREIGN KEY (ord) REFERENCES o NOT VALID;
SELECT make();
SET session_replication_role = replica;
INSERT INTO l VALUES (7, 1, 0);
RESET session_replication_role;
SELECT trusts(), exact('v');
-- Of several keys none is relied on once one of them can be got past.
CALL again('');
ALTER TABLE l ADD COLUMN other int REFERENCES o DEFERRABLE;
SELECT make();
SELECT drop_imat('v');
-- A partition comes with orphans: PostgreSQL takes its key over without a look. One that has none changes nothing.
CREATE TABLE po (id int PRIMARY KEY, c int);
CREATE TABLE pl (id int, ord int REFERENCES po, q int) PARTITION BY LIST (q);
CREATE TABLE pl1 PARTITION OF pl FOR VALUES IN (1);
CREATE TABLE pl2 (q int, ord int REFERENCES po, id int);
CREATE TABLE pl3 (id int, ord int REFERENCES po, q int);
INSERT INTO po SELECT i, i FROM generate_series(1, 9) AS i;
INSERT INTO pl VALUES (1, 1, 1);
INSERT INTO pl2 VALUES (2, 2, 2);
ALTER TABLE pl3 DISABLE TRIGGER ALL;
INSERT INTO pl3 VALUES (50, 77, 3);
ALTER TABLE pl3 ENABLE TRIGGER ALL;
CREATE VIEW pv AS SELECT l.id, l.ord, o.c FROM pl AS l JOIN po AS o ON o.id = l.ord;
SELECT create_imat('pv');
ALTER TABLE pl ATTACH PARTITION pl2 FOR VALUES IN (2);
SELECT trusts_keys FROM imat_catalog.imat;
ALTER TABLE pl ATTACH PARTITION pl3 FOR VALUES IN (3);
SELECT trusts_keys FROM imat_catalog.imat;
INSERT INTO po VALUES (77, 7);
SELECT exact('pv');
TABLE imat.pv ORDER BY id;
