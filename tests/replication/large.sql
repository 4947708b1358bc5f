-- Transactions that are larger than logical_decoding_work_mem.
\set ON_ERROR_STOP on
BEGIN;
INSERT INTO sale SELECT 100000 + i, i % 40, i % 30, 'large' FROM generate_series(1, 3000) AS i;
SAVEPOINT one;
UPDATE sale SET amount = amount + 1 WHERE id > 100000;
INSERT INTO customer VALUES (-1, 'region 1', 'undone');
ROLLBACK TO one;
SAVEPOINT two;
DELETE FROM sale WHERE id % 3 = 0;
INSERT INTO customer SELECT 2000 + i, 'region ' || i % 7, 'large' FROM generate_series(1, 500) AS i;
RELEASE two;
UPDATE part SET k = (k + 10) % 20;
COMMIT;
BEGIN;
TRUNCATE sale;
INSERT INTO sale SELECT 200000 + i, i % 40, i % 30, 'large' FROM generate_series(1, 3000) AS i;
UPDATE customer SET region = 'region 2' WHERE id % 4 = 0;
COMMIT;
BEGIN;
INSERT INTO sale SELECT 300000 + i, i % 40, i % 30, 'large' FROM generate_series(1, 3000) AS i;
DELETE FROM sale WHERE id < 300000;
ROLLBACK;
