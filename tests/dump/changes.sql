-- Run by scripts/dump-restore on the restored database. Lists the unfinished tables, counts queues and maintained tables,
-- and changes base tables. `wrong` has the maintained tables that differ from their query, so it must be empty.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE FUNCTION differs(name regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    query regclass;
    n bigint;
BEGIN
    SELECT i.definition INTO query FROM imat_catalog.imat AS i WHERE i.name = differs.name;
    EXECUTE format('SELECT count(*) FROM ((SELECT to_jsonb(q) FROM %1$s AS q EXCEPT ALL SELECT to_jsonb(i) FROM %2$s AS i)
        UNION ALL (SELECT to_jsonb(i) FROM %2$s AS i EXCEPT ALL SELECT to_jsonb(q) FROM %1$s AS q)) AS d', query, name) INTO n;
    RETURN n + (SELECT count(*) FROM verify_imat(name::text));
END $$;
CREATE VIEW wrong AS SELECT i.name AS wrong, differs(i.name) FROM imat_catalog.imat AS i WHERE i.target IS NULL AND differs(i.name) > 0;
SELECT 'unfinished: ' || name FROM imat_catalog.progress;
INSERT INTO zero VALUES (1);
DELETE FROM zero WHERE a = 0;
CALL create_imat('unfinished', online => true);
SELECT 'queues: ' || count(*) FROM pg_class WHERE relnamespace = 'imat_catalog'::regnamespace AND relkind = 'r' AND relname ~ '^queue_';
SELECT 'maintained: ' || count(*) FROM imat_status;
-- Foreign keys are relied on as before, if PostgreSQL has checked them since the rows were loaded, or if there are
-- none.
SELECT 'trusts: ' || count(*) FROM imat_catalog.imat WHERE trusts_keys;
TABLE wrong;
INSERT INTO sale (id, product, region, amount, at) SELECT i, i % 20 + 1, 'new', i % 11, '2025-01-01' FROM generate_series(201, 260) AS i;
UPDATE sale SET amount = amount + 1, region = 'c' WHERE id % 3 = 0;
UPDATE "App 2".product SET name = name || '!', price = price + 1 WHERE id < 6;
TABLE wrong;
DELETE FROM sale WHERE product IN (7, 8) OR region IS NULL;
DELETE FROM "App 2".product WHERE id = 7;
DELETE FROM part WHERE id IN (100, 105);
INSERT INTO part VALUES (0, 'new', 1);
UPDATE part SET id = (id + 100) % 200 WHERE id IN (0, 5);
UPDATE part_2 SET n = n + 1;
INSERT INTO child VALUES (2, 5, 'y');
TABLE wrong;
-- Commands are refused or followed as before.
CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (200) TO (300);
INSERT INTO part_3 VALUES (200, 'g1', 7);
TRUNCATE part_1;
ALTER TABLE sale RENAME COLUMN amount TO paid;
INSERT INTO sale (id, product, region, paid, at) VALUES (1000, 1, 'a', 5, '2025-01-01');
\set ON_ERROR_STOP off
\set VERBOSITY terse
UPDATE imat.parts SET s = 0;
UPDATE imat.moods SET n = 0;
DROP TRIGGER imat_insert ON sale;
CREATE OR REPLACE VIEW imat_catalog.by_key AS SELECT * FROM imat.by_key;
ALTER TABLE "App 2".product DROP CONSTRAINT product_pkey;
\set ON_ERROR_STOP on
SET client_min_messages = error;
ALTER TABLE sale DISABLE TRIGGER ALL;
INSERT INTO sale (id, product, region, paid, at) VALUES (1001, 2, 'a', 6, '2025-01-01');
ALTER TABLE sale ENABLE TRIGGER ALL;
TABLE wrong;
SELECT 'indexes: ' || count(*) FROM pg_indexes WHERE schemaname IN ('imat', 'imat_state');
SELECT 'readable: ' || count(*) FROM pg_class WHERE relnamespace = 'imat'::regnamespace AND has_table_privilege('pg_monitor', oid, 'SELECT');
SELECT 'maintained: ' || count(*) FROM imat_status;
