-- Triggers that are disabled, or don't fire because the session calls itself a replica.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE a (id int PRIMARY KEY, k int NOT NULL, n int NOT NULL);
CREATE TABLE b (k int PRIMARY KEY, name text NOT NULL);
INSERT INTO a SELECT i, i % 3, i FROM generate_series(1, 9) AS i;
INSERT INTO b VALUES (0, 'zero'), (1, 'one'), (2, 'two');
CREATE VIEW sums AS SELECT k, sum(n) AS s, count(*) AS c FROM a GROUP BY k;
CREATE VIEW named AS SELECT b.name, max(a.n) AS most FROM a JOIN b ON b.k = a.k GROUP BY b.name;
CREATE VIEW names AS SELECT upper(name) AS name FROM b;
SELECT create_imat('sums'), create_imat('named'), create_imat('names');
CREATE VIEW counts AS SELECT c, count(*) AS groups FROM imat.sums GROUP BY c;
SELECT create_imat('counts');
CREATE VIEW status AS SELECT name, status, stale FROM imat_status ORDER BY name::text;
CREATE VIEW triggers AS SELECT tgrelid::regclass, tgenabled, count(*), string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger
    WHERE tgname LIKE 'imat\_%' AND tgtype & 64 = 0 GROUP BY 1, 2 ORDER BY 1, 2;

-- Noticed, and told. What doesn't read the table goes on; changes of others are in nobody's way.
ALTER TABLE a DISABLE TRIGGER ALL;
TABLE status;
INSERT INTO a VALUES (10, 1, 10), (11, 2, 11);
DELETE FROM a WHERE k = 0;
INSERT INTO b VALUES (3, 'three');
DELETE FROM b WHERE k = 1;
UPDATE b SET name = name || '!' WHERE k = 2;
TABLE wrong;
SELECT * FROM verify_imat('sums');
SELECT line FROM explain_imat('named') AS line WHERE line LIKE '%Stale%';
-- The triggers of the next level stay.
SELECT * FROM imat.counts;
TABLE triggers;
-- One call heals all that was hurt.
SELECT refresh_imat('named');
TABLE wrong;
TABLE status;
TABLE triggers;
INSERT INTO a VALUES (12, 3, 12);
UPDATE a SET n = n + 1;
DELETE FROM b WHERE k = 2;
TABLE wrong;

-- As pg_restore --data-only --disable-triggers loads tables: right again with the last of them.
BEGIN;
TRUNCATE a, b;
ALTER TABLE a DISABLE TRIGGER ALL;
INSERT INTO a SELECT i, i % 4, i FROM generate_series(1, 9) AS i;
ALTER TABLE b DISABLE TRIGGER ALL;
ALTER TABLE a ENABLE TRIGGER ALL;
INSERT INTO b VALUES (0, 'zero'), (1, 'one'), (2, 'two');
TABLE status;
ALTER TABLE b ENABLE TRIGGER ALL;
COMMIT;
TABLE wrong;
TABLE status;
TABLE triggers;

-- By name, with other words, one by one; what the others do in between does not matter.
CREATE TRIGGER mine AFTER INSERT ON a EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE a DISABLE TRIGGER mine;
ALTER TABLE a DISABLE TRIGGER imat_insert;
INSERT INTO a VALUES (20, 0, 20);
ALTER TABLE a DISABLE TRIGGER USER;
UPDATE a SET n = n + 1;
ALTER TABLE a ENABLE TRIGGER imat_insert, ENABLE TRIGGER imat_open, ENABLE TRIGGER imat_update;
DELETE FROM a WHERE id < 3;
TRUNCATE a;
TABLE status;
INSERT INTO a VALUES (21, 1, 1);
ALTER TABLE a ENABLE TRIGGER imat_delete, ENABLE REPLICA TRIGGER imat_truncate, ENABLE TRIGGER imat_replica;
TABLE wrong;
TABLE status;
SELECT tgenabled, tgname FROM pg_trigger WHERE tgname = 'mine';
DROP TRIGGER mine ON a;

-- What is undone never happened; a savepoint is enough.
BEGIN;
SAVEPOINT before;
ALTER TABLE a DISABLE TRIGGER ALL;
INSERT INTO a VALUES (30, 1, 30);
ROLLBACK TO before;
INSERT INTO a VALUES (31, 1, 31);
TABLE wrong;
COMMIT;
TABLE status;

-- To drop, rename or replace a trigger stays refused.
DROP TRIGGER imat_insert ON a;
ALTER TRIGGER imat_insert ON a RENAME TO other;
CREATE OR REPLACE TRIGGER imat_replica AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
TABLE status;

-- DDL and TRUNCATE while it is stale; a maintained table that comes new, and one that goes.
ALTER TABLE a DISABLE TRIGGER ALL;
ALTER TABLE a ADD more int DEFAULT 0;
ALTER TABLE a RENAME n TO amount;
TRUNCATE b;
INSERT INTO a VALUES (40, 0, 40);
CREATE OR REPLACE VIEW named2 AS SELECT b.name, a.amount FROM a LEFT JOIN b ON b.k = a.k;
TABLE wrong;
SELECT create_imat('named2');
TABLE status;
TABLE wrong;
ALTER TABLE a DISABLE TRIGGER ALL;
SELECT drop_imat('named2');
SELECT drop_imat('named');
ALTER TABLE a ENABLE TRIGGER ALL;
TABLE wrong;

-- Without a trigger on a state anybody with rights could write to it.
ALTER TABLE imat.sums DISABLE TRIGGER ALL;
TABLE status;
UPDATE imat.sums SET c = 100;
UPDATE a SET amount = amount + 1;
TABLE wrong;
ALTER TABLE imat.sums ENABLE TRIGGER ALL;
TABLE wrong;
TABLE status;
UPDATE imat.sums SET c = 100;
UPDATE a SET amount = amount + 1, k = 1;
TABLE wrong;
SELECT drop_imat(name::text) FROM imat_status WHERE name = 'imat.counts'::regclass;

-- Partitions and children.
CREATE TABLE p (k int, n int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE VIEW parts AS SELECT k, sum(n) AS s, count(*) AS c FROM p GROUP BY k;
CREATE VIEW first AS SELECT count(*) AS c FROM p1;
SELECT create_imat('parts'), create_imat('first');
INSERT INTO p VALUES (1, 1), (2, 2);
ALTER TABLE p2 DISABLE TRIGGER USER;
INSERT INTO p VALUES (1, 10), (2, 20);
INSERT INTO p2 VALUES (2, 30);
TABLE status;
TABLE wrong;
CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3);
INSERT INTO p3 VALUES (3, 3);
ALTER TABLE p DETACH PARTITION p1;
TABLE status;
ALTER TABLE p2 ENABLE TRIGGER USER;
TABLE wrong;
TABLE status;
-- A partition that leaves with its triggers disabled leaves nothing behind.
ALTER TABLE p3 DISABLE TRIGGER ALL;
INSERT INTO p VALUES (3, 4);
DROP TABLE p3;
TABLE status;
SELECT drop_imat('parts'), drop_imat('first');

-- Whoever owns the maintained table heals it; whoever may not write to it doesn't.
CREATE ROLE regress_owner; CREATE ROLE regress_other;
CREATE TABLE owned (n int);
ALTER TABLE owned OWNER TO regress_owner;
GRANT INSERT ON owned TO regress_other;
GRANT CREATE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
CREATE VIEW over_owned AS SELECT count(*) AS n FROM owned;
SELECT create_imat('over_owned');
ALTER TABLE owned DISABLE TRIGGER USER;
SET ROLE regress_other;
INSERT INTO owned VALUES (1);
SELECT refresh_imat('over_owned');
SET ROLE regress_owner;
SELECT refresh_imat('over_owned');
TABLE imat.over_owned;
RESET ROLE;
SELECT drop_imat('over_owned');
DROP VIEW over_owned;
DROP OWNED BY regress_owner, regress_other; DROP ROLE regress_owner, regress_other;
