-- What foreign keys prove, and when they are not to be relied on.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
\set VERBOSITY terse

CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL);
CREATE TABLE lines (ord int REFERENCES orders ON DELETE CASCADE, amount int NOT NULL);
INSERT INTO orders VALUES (1, 'ada'), (2, 'bob'), (3, 'eve');
INSERT INTO lines VALUES (1, 10), (1, 20), (2, 5), (NULL, 7);
CREATE VIEW spent AS
    SELECT o.customer, sum(l.amount) AS total, count(*) AS n FROM lines l JOIN orders o ON o.id = l.ord GROUP BY o.customer;
SELECT create_imat('spent');
-- How many keys the transaction has locked, and writers announced.
CREATE FUNCTION locked() RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() $$;
CREATE FUNCTION trusts(text) RETURNS boolean LANGUAGE sql AS
    $$ SELECT trusts_keys FROM imat_catalog.imat WHERE name = $1::regclass $$;
SELECT trusts('imat.spent');

-- An order that comes or goes by itself is nothing to the view.
BEGIN; INSERT INTO orders VALUES (4, 'kim'), (5, 'lee'); SELECT locked(); COMMIT;
BEGIN; DELETE FROM orders WHERE id = 5; SELECT locked(); COMMIT;
SELECT exact('spent');
-- One that changes, or goes with its lines, is.
BEGIN; UPDATE orders SET customer = 'zoe' WHERE id = 4; SELECT locked() > 0 AS locked; COMMIT;
BEGIN; INSERT INTO lines VALUES (4, 9), (3, 8); SELECT locked() > 0 AS locked; COMMIT;
SELECT exact('spent');
BEGIN; DELETE FROM orders WHERE id = 1; SELECT locked() > 0 AS locked; COMMIT;
SELECT exact('spent');
WITH o AS (INSERT INTO orders VALUES (6, 'may') RETURNING id) INSERT INTO lines SELECT id, 11 FROM o;
SELECT exact('spent');
UPDATE orders SET id = 7 WHERE id = 3; -- refused: it has a line
INSERT INTO orders VALUES (8, 'new'), (6, 'mia') ON CONFLICT (id) DO UPDATE SET customer = EXCLUDED.customer;
SELECT exact('spent');

-- Rows that came without a check: as a replica.
SET session_replication_role = replica;
INSERT INTO lines VALUES (99, 1);
RESET session_replication_role;
SELECT trusts('imat.spent');
BEGIN; INSERT INTO orders VALUES (99, 'orphan'); SELECT locked() > 0 AS locked; COMMIT;
SELECT exact('spent');

-- Before the maintained table was made.
SET session_replication_role = replica;
INSERT INTO lines VALUES (100, 1);
RESET session_replication_role;
SELECT drop_imat('spent');
SELECT create_imat('spent');
SELECT trusts('imat.spent');
INSERT INTO orders VALUES (100, 'late');
SELECT exact('spent');

-- While a trigger of the key is off.
SELECT drop_imat('spent');
SELECT create_imat('spent');
SELECT trusts('imat.spent');
CREATE PROCEDURE check_keys(yes boolean) LANGUAGE plpgsql AS $$
DECLARE t name; BEGIN
    FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'lines'::regclass AND tgname LIKE 'RI\_%' LOOP
        EXECUTE format('ALTER TABLE lines %s TRIGGER %I', CASE WHEN yes THEN 'ENABLE' ELSE 'DISABLE' END, t);
    END LOOP;
END $$;
CALL check_keys(false);
INSERT INTO lines VALUES (101, 1);
CALL check_keys(true);
SELECT trusts('imat.spent');
INSERT INTO orders VALUES (101, 'later');
SELECT exact('spent');

-- A trigger keeps a row from a cascade.
SELECT drop_imat('spent');
SELECT create_imat('spent');
SELECT trusts('imat.spent');
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON lines FOR EACH ROW EXECUTE FUNCTION keep();
SELECT trusts('imat.spent');
DELETE FROM orders WHERE id = 6;
SELECT exact('spent');
DROP TRIGGER keep ON lines;
INSERT INTO orders VALUES (6, 'back');
SELECT exact('spent');

-- Keys that don't hold at the end of every statement, or not for all rows, prove nothing.
CREATE TABLE makers (id int PRIMARY KEY, name text);
CREATE TABLE parts (maker int REFERENCES makers DEFERRABLE INITIALLY DEFERRED, price int NOT NULL);
CREATE VIEW priced AS
    SELECT m.name, sum(p.price) AS price FROM parts p JOIN makers m ON m.id = p.maker GROUP BY m.name;
SELECT create_imat('priced');
BEGIN; INSERT INTO parts VALUES (1, 5); INSERT INTO makers VALUES (1, 'a'); COMMIT;
SELECT exact('priced');
CREATE TABLE things (id int PRIMARY KEY, name text);
CREATE TABLE special (kind text) INHERITS (things);
CREATE TABLE uses (thing int REFERENCES things, n int NOT NULL);
CREATE VIEW used AS SELECT t.name, sum(u.n) AS n FROM uses u JOIN things t ON t.id = u.thing GROUP BY t.name;
SELECT create_imat('used');
INSERT INTO things VALUES (1, 'one');
INSERT INTO uses VALUES (1, 3);
INSERT INTO special VALUES (1, 'also one', 'x');
SELECT exact('used');
CREATE TABLE rooms (house int, room int, name text, PRIMARY KEY (house, room));
CREATE TABLE beds (house int, room int, n int NOT NULL, FOREIGN KEY (house, room) REFERENCES rooms);
CREATE VIEW by_house AS SELECT r.name, sum(b.n) AS n FROM beds b JOIN rooms r ON r.house = b.house GROUP BY r.name;
CREATE VIEW by_room AS
    SELECT r.name, sum(b.n) AS n FROM beds b JOIN rooms r ON r.house = b.house AND r.room = b.room GROUP BY r.name;
SELECT create_imat('by_house'), create_imat('by_room');
INSERT INTO rooms VALUES (1, 1, 'a'), (1, 2, 'b');
INSERT INTO beds VALUES (1, 1, 2), (1, NULL, 4);
INSERT INTO rooms VALUES (1, 3, 'c');
SELECT exact('by_house');
SELECT exact('by_room');
DELETE FROM rooms WHERE room = 2;
SELECT exact('by_house');
SELECT exact('by_room');
CREATE TABLE later (id int PRIMARY KEY, name text);
CREATE TABLE first (later int, n int NOT NULL);
CREATE VIEW unkeyed AS SELECT l.name, sum(f.n) AS n FROM first f JOIN later l ON l.id = f.later GROUP BY l.name;
SELECT create_imat('unkeyed');
INSERT INTO first VALUES (1, 1);
ALTER TABLE first ADD FOREIGN KEY (later) REFERENCES later NOT VALID;
INSERT INTO later VALUES (1, 'came');
SELECT exact('unkeyed');
ALTER TABLE first VALIDATE CONSTRAINT first_later_fkey;
BEGIN; INSERT INTO later VALUES (2, 'idle'); SELECT locked(); COMMIT;
SELECT exact('unkeyed');
ALTER TABLE first DROP CONSTRAINT first_later_fkey;
INSERT INTO first VALUES (3, 1);
INSERT INTO later VALUES (3, 'free');
SELECT exact('unkeyed');
