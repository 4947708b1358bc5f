-- imat.flush: statement
-- Errors of functions that a flush calls reach whoever made the change as they were raised.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE FUNCTION checked(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF v < 0 THEN
    RAISE EXCEPTION 'negative: %', v USING ERRCODE = 'U0001', DETAIL = 'From a view.', HINT = 'Take a positive one.',
      SCHEMA = 's', TABLE = 't', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd';
  END IF;
  RETURN v;
END $$;
CREATE TABLE readings (sensor int, v int);
INSERT INTO readings VALUES (1, 5), (2, 7);
CREATE VIEW sums AS SELECT sensor, sum(checked(v)) AS s, min(v) AS low FROM readings GROUP BY sensor;
SELECT create_imat('sums', 'imat');

INSERT INTO readings VALUES (1, -1);
INSERT INTO readings VALUES (2, 3), (1, -1);
-- They are caught by it, and what the block did is undone in the maintained table too.
DO $$
DECLARE relation text; constr text;
BEGIN
  INSERT INTO readings VALUES (1, 1);
  INSERT INTO readings VALUES (1, -2);
EXCEPTION WHEN SQLSTATE 'U0001' THEN
  GET STACKED DIAGNOSTICS relation = TABLE_NAME, constr = CONSTRAINT_NAME;
  RAISE WARNING '% in % by %', SQLSTATE, relation, constr;
  INSERT INTO readings VALUES (3, 3);
END $$;
SELECT * FROM imat.sums ORDER BY sensor;
SELECT exact('sums');

-- So do those of a trigger on the maintained table, in each statement of a flush.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no % here', TG_OP USING ERRCODE = 'U0002', CONSTRAINT = TG_NAME; END $$;
SELECT state AS state FROM imat_catalog.imat WHERE name = 'imat.sums'::regclass \gset
CREATE TRIGGER no_deletes AFTER DELETE ON :state FOR EACH ROW EXECUTE FUNCTION refuse();
DELETE FROM readings WHERE sensor = 3;
CREATE TRIGGER no_updates AFTER UPDATE ON :state FOR EACH ROW EXECUTE FUNCTION refuse();
DELETE FROM readings WHERE sensor = 1;
BEGIN;
SAVEPOINT p;
INSERT INTO readings VALUES (2, 1);
ROLLBACK TO SAVEPOINT p;
INSERT INTO readings VALUES (4, 4);
COMMIT;
SELECT * FROM imat.sums ORDER BY sensor;
SELECT exact('sums');

-- Each way a statement can be cut short leaves all of it or none.
DROP TRIGGER no_deletes ON :state;
DROP TRIGGER no_updates ON :state;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON :state FOR EACH ROW EXECUTE FUNCTION slow();
BEGIN;
INSERT INTO readings VALUES (1, 1);
SET LOCAL statement_timeout = '50ms';
SAVEPOINT p;
INSERT INTO readings VALUES (5, 5);
ROLLBACK TO SAVEPOINT p;
UPDATE readings SET v = 8 WHERE sensor = 2;
COMMIT;
SELECT * FROM imat.sums ORDER BY sensor;
SELECT exact('sums');

-- What a flush may write is nobody's to write once the flush has failed, however deep in triggers.
CREATE TABLE others (id int);
CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM imat_state.sums; RETURN NULL; END $$;
CREATE TRIGGER forge AFTER INSERT ON others FOR EACH ROW EXECUTE FUNCTION forge();
DO $$
BEGIN
  BEGIN
    INSERT INTO readings VALUES (1, -1);
  EXCEPTION WHEN SQLSTATE 'U0001' THEN
    RAISE WARNING '%', SQLERRM;
  END;
  INSERT INTO others VALUES (1);
END $$;
SELECT exact('sums');
