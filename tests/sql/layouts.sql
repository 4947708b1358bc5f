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
CREATE TABLE fire (step int);
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
-- All that a statement on `fire` does is in its trigger, and is collected before any of it is applied. Where the triggers
-- of `dim` are disabled, `joined` and `rows` do not follow: then a delta of `item` has fewer columns.
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE command text;
BEGIN
    CALL change(NEW.step);
    FOREACH command IN ARRAY TG_ARGV LOOP EXECUTE replace(command, '@', NEW.step::text); END LOOP;
    RETURN NULL;
END $$;
CREATE VIEW reader_of_fire AS SELECT count(*) AS n FROM fire;
SELECT create_imat('reader_of_fire');
CREATE PROCEDURE fire(step int, VARIADIC commands text[]) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE TRIGGER fired AFTER INSERT ON fire FOR EACH ROW EXECUTE FUNCTION fired('
        || (SELECT string_agg(quote_literal(c), ', ') FROM unnest(commands) AS c) || ')';
    INSERT INTO fire VALUES (step);
    DROP TRIGGER fired ON fire;
END $$;

SET client_min_messages = error;
-- Readers go: before the last change of the statement, after it, in a block that is undone, in one that is not.
CALL fire(1, 'ALTER TABLE dim DISABLE TRIGGER imat_delete', 'CALL change(2)');
TABLE wrong;
CALL change(3);
-- They come again: what is next applied has more columns than what was prepared for.
CALL fire(4, 'ALTER TABLE dim ENABLE TRIGGER imat_delete');
CALL change(5);
TABLE wrong;
CALL fire(6, 'ALTER TABLE dim DISABLE TRIGGER imat_delete');
CALL change(7);
SELECT name, stale IS NULL AS follows FROM imat_status ORDER BY name::text;
CALL fire(8, 'ALTER TABLE dim ENABLE TRIGGER imat_delete', 'CALL change(9)');
CALL change(10);
TABLE wrong;
CALL fire(11, 'DO $d$ BEGIN ALTER TABLE dim DISABLE TRIGGER imat_delete; CALL change(12); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN CALL change(13); END $d$',
    'DO $d$ BEGIN ALTER TABLE dim DISABLE TRIGGER imat_delete; CALL change(14); EXCEPTION WHEN division_by_zero THEN END $d$', 'CALL change(15)');
CALL fire(16, 'ALTER TABLE dim ENABLE TRIGGER imat_delete', 'UPDATE dim SET name = name || ''+''', 'CALL change(17)');
CALL change(18);
TABLE wrong;
-- Some of it is applied early, because it is read.
CALL fire(19, 'DO $d$ BEGIN PERFORM count(*) FROM imat.sums; END $d$', 'ALTER TABLE dim DISABLE TRIGGER imat_delete', 'CALL change(20)',
    'DO $d$ BEGIN PERFORM count(*) FROM imat.extremes; END $d$', 'ALTER TABLE dim ENABLE TRIGGER imat_delete', 'CALL change(21)');
CALL change(22);
TABLE wrong;
-- Columns come and go, and an unused one changes its type.
CALL fire(23, 'ALTER TABLE item ADD more int DEFAULT 7', 'CALL change(24)', 'ALTER TABLE item DROP extra', 'CALL change(25)');
TABLE wrong;
ALTER TABLE item ADD extra int;
CALL fire(26, 'ALTER TABLE item ALTER more TYPE text', 'CALL change(27)');
CALL change(28);
TABLE wrong;

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
CALL fire(43, 'ALTER TABLE dim DISABLE TRIGGER ALL', 'SET LOCAL session_replication_role = replica', 'CALL change(44)',
    'SET LOCAL session_replication_role = origin', 'ALTER TABLE dim ENABLE TRIGGER ALL', 'CALL change(45)');
CALL change(46);
TABLE wrong;
SELECT count(*) FROM imat_status WHERE stale IS NULL;
