-- Rows that were collected while other maintained tables read the table than now. What a delta holds of a table is what
-- all its readers use: as they come and go, columns are at other places.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE item (id int PRIMARY KEY, grp int NOT NULL, dim int NOT NULL, price int NOT NULL, note text, extra int) PARTITION BY RANGE (id);
CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (0) TO (50);
-- Its columns are in another order.
CREATE TABLE item_2 (extra int, price int NOT NULL, gone text, dim int NOT NULL, id int NOT NULL, note text, grp int NOT NULL);
ALTER TABLE item_2 DROP gone;
ALTER TABLE item ATTACH PARTITION item_2 FOR VALUES FROM (50) TO (1000);
CREATE TABLE dim (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE todo (step int, command text);
INSERT INTO dim SELECT i, 'n' || i % 3 FROM generate_series(0, 9) AS i;
INSERT INTO item SELECT i, i % 5, i % 10, i, 'note ' || i % 4, i % 2 FROM generate_series(1, 99) AS i;
CREATE VIEW sums AS SELECT grp, count(*) AS n, sum(price) AS total FROM item GROUP BY grp;
CREATE VIEW extremes AS SELECT grp, min(price) AS low, max(note) AS last FROM item GROUP BY grp;
CREATE VIEW joined AS SELECT d.name, count(*) AS n, avg(i.price) AS mean FROM item AS i JOIN dim AS d ON d.id = i.dim GROUP BY d.name;
CREATE VIEW rows AS SELECT i.id, d.name, i.price FROM item AS i JOIN dim AS d ON d.id = i.dim WHERE i.grp < 4;
CREATE VIEW ranked AS SELECT grp, rank() OVER (ORDER BY count(*), grp) AS place FROM item GROUP BY grp;
SELECT create_imat('sums'), create_imat('extremes'), create_imat('joined'), create_imat('rows'), create_imat('ranked');

-- Several rows, one row, and one beside another table's.
CREATE PROCEDURE change(step int) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE item SET grp = (grp + step) % 7, dim = (dim + 1) % 10, price = price + 1 WHERE id % 5 = step % 5;
    UPDATE item SET price = price + 100, note = 'changed ' || step WHERE id = 10 + step;
    INSERT INTO item (id, grp, dim, price, note) VALUES (500 + step, 3, 3, step, 'new');
    UPDATE item_2 SET grp = 1, note = 'direct' WHERE id BETWEEN 60 AND 70;
    DELETE FROM item WHERE id = 20 + step;
END $$;
-- A row of `item` whose trigger does more: nothing of it is applied before the whole statement is over. Where the triggers of
-- `dim` are disabled, `joined` and `rows` do not follow: then a delta of `item` has fewer columns. Rows from 950 on are
-- not inserted themselves, so that the last rows of the statement can be from before its last command.
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE command text;
BEGIN
    FOR command IN SELECT t.command FROM todo AS t ORDER BY t.step LOOP EXECUTE command; END LOOP;
    RETURN CASE WHEN NEW.id < 950 THEN NEW END;
END $$;
CREATE TRIGGER fired BEFORE INSERT ON item FOR EACH ROW WHEN (NEW.id >= 900) EXECUTE FUNCTION fired();
CREATE PROCEDURE fire(id int, VARIADIC commands text[]) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM todo;
    INSERT INTO todo SELECT c.step, c.command FROM unnest(commands) WITH ORDINALITY AS c(command, step);
    INSERT INTO item (id, grp, dim, price) VALUES (id, 2, 4, id);
END $$;
CREATE VIEW followed AS SELECT name, stale IS NULL AS follows, exact(split_part(name::text, '.', 2)) FROM imat_status
    WHERE name::text ~ 'sums|extremes|ranked' ORDER BY name::text;

SET client_min_messages = error;
-- The only rows are from before the change, and what is prepared for them runs again after it, when there are more
-- columns, then fewer; several rows, one row.
BEGIN;
ALTER TABLE dim DISABLE TRIGGER imat_delete;
CALL change(1);
CALL fire(950, 'UPDATE item SET grp = grp + 1, price = price - 1 WHERE id < 30', 'ALTER TABLE dim ENABLE TRIGGER imat_delete');
UPDATE item SET grp = grp + 1, dim = 3, price = price - 1 WHERE id BETWEEN 20 AND 60;
TABLE wrong;
CALL fire(951, 'UPDATE item SET grp = grp - 1, price = price - 1 WHERE id < 30', 'ALTER TABLE dim DISABLE TRIGGER imat_delete');
UPDATE item SET grp = grp - 1, dim = 4, price = price + 1 WHERE id BETWEEN 20 AND 60;
TABLE followed;
CALL fire(952, 'INSERT INTO item (id, grp, dim, price) VALUES (600, 3, 4, 5)', 'ALTER TABLE dim ENABLE TRIGGER imat_delete');
INSERT INTO item (id, grp, dim, price) VALUES (601, 4, 5, 6);
DELETE FROM item WHERE id = 600;
TABLE wrong;
COMMIT;
-- Rows from before it and after it: the readers go, and come again.
BEGIN;
CALL fire(900, 'CALL change(2)', 'ALTER TABLE dim DISABLE TRIGGER imat_delete', 'CALL change(3)');
TABLE followed;
CALL fire(901, 'CALL change(4)', 'ALTER TABLE dim ENABLE TRIGGER imat_delete', 'CALL change(5)');
CALL change(6);
TABLE wrong;
-- In a block that is undone, and in one that is not.
CALL fire(902, 'CALL change(7)', 'DO $d$ BEGIN ALTER TABLE dim DISABLE TRIGGER imat_delete; CALL change(8); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN CALL change(9); END $d$',
    'DO $d$ BEGIN ALTER TABLE dim DISABLE TRIGGER imat_delete; CALL change(10); EXCEPTION WHEN division_by_zero THEN END $d$', 'CALL change(11)');
TABLE followed;
SAVEPOINT one;
CALL fire(903, 'CALL change(12)', 'ALTER TABLE dim ENABLE TRIGGER imat_delete', 'UPDATE dim SET name = name || 1', 'CALL change(13)');
TABLE wrong;
ROLLBACK TO one;
CALL change(12);
CALL fire(903, 'CALL change(13)', 'ALTER TABLE dim ENABLE TRIGGER imat_delete', 'UPDATE dim SET name = name || 2', 'CALL change(14)');
TABLE wrong;
COMMIT;
-- Columns come and go, and one that nobody uses changes its type.
BEGIN;
CALL change(15);
ALTER TABLE item ADD more int DEFAULT 7;
CALL change(17);
ALTER TABLE item DROP extra;
CALL change(18);
ALTER TABLE item ADD extra int;
ALTER TABLE item ALTER more TYPE text;
CALL change(19);
TABLE wrong;
COMMIT;

-- One transaction, whose statements are applied one by one.
CREATE VIEW more AS SELECT more, count(*) AS n, min(id) AS first FROM item GROUP BY more;
BEGIN;
CALL change(30);
SELECT create_imat('more');
CALL change(31);
SAVEPOINT one;
SELECT drop_imat('imat.rows'), drop_imat('imat.joined');
CALL change(32);
TABLE wrong;
SAVEPOINT two;
SELECT create_imat('joined');
CALL change(33);
ROLLBACK TO two;
CALL change(34);
ROLLBACK TO one;
CALL change(35);
SELECT refresh_imat('imat.sums');
ALTER TABLE item ADD late int;
CALL change(36);
SELECT drop_imat('imat.more');
CALL change(37);
COMMIT;
TABLE wrong;
SELECT count(*) FROM imat_status;
-- The type of a column changes while nobody reads it.
CALL change(38);
BEGIN;
DROP VIEW more;
ALTER TABLE item ALTER more TYPE bigint USING more::bigint;
CREATE VIEW more AS SELECT more, count(*) AS n, min(id) AS first FROM item GROUP BY more;
SELECT create_imat('more');
CALL change(39);
COMMIT;
TABLE wrong;

-- The same of a session that is a replica, where rows are told of one by one as well.
SET session_replication_role = replica;
BEGIN;
CALL change(40);
SELECT drop_imat('imat.more'), drop_imat('imat.rows');
CALL change(41);
SELECT create_imat('rows');
CALL change(42);
COMMIT;
RESET session_replication_role;
CALL fire(905, 'CALL change(43)', 'ALTER TABLE dim DISABLE TRIGGER ALL', 'SET LOCAL session_replication_role = replica', 'CALL change(44)',
    'SET LOCAL session_replication_role = origin', 'ALTER TABLE dim ENABLE TRIGGER ALL', 'CALL change(45)');
CALL change(46);
TABLE wrong;
SELECT count(*) FROM imat_status WHERE stale IS NULL;
