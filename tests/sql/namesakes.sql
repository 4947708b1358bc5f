-- Triggers of users that are called as those of pg_imat are: they are not taken for them.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE t (k integer NOT NULL, v integer);
INSERT INTO t VALUES (1, 1);
CREATE VIEW counts AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER imat_open AFTER INSERT ON t EXECUTE FUNCTION nothing();
SELECT create_imat('counts');
CALL create_imat('counts', online => true);
SELECT status FROM imat_status;
SELECT drop_imat('counts');
ALTER TRIGGER imat_open ON t RENAME TO imat_delete;
SELECT create_imat('counts');
ALTER TRIGGER imat_delete ON t RENAME TO imat_mine;
SELECT create_imat('counts');
INSERT INTO t VALUES (1, 2), (2, 1);
TABLE wrong;
SELECT drop_imat('counts');
SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass;

-- A partition that is attached, and one that is created with its trigger in the same transaction.
CREATE TABLE p (k integer NOT NULL, v integer) PARTITION BY LIST (k);
CREATE TABLE p1 (k integer NOT NULL, v integer);
INSERT INTO p1 VALUES (1, 1);
CREATE TRIGGER imat_open AFTER INSERT ON p1 EXECUTE FUNCTION nothing();
CREATE VIEW sums AS SELECT k, sum(v) AS s FROM p GROUP BY k;
SELECT create_imat('sums');
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);
DROP TRIGGER imat_open ON p1;
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);
INSERT INTO p1 VALUES (1, 2);
TABLE wrong;
BEGIN;
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE TRIGGER imat_open AFTER INSERT ON p2 EXECUTE FUNCTION nothing();
COMMIT;
SELECT to_regclass('p2');
BEGIN;
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
SAVEPOINT s;
CREATE TRIGGER imat_open AFTER INSERT ON p2 EXECUTE FUNCTION nothing();
ROLLBACK TO s;
INSERT INTO p VALUES (2, 2);
COMMIT;
SELECT tgname, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'p2'::regclass AND tgname = 'imat_open';
TABLE wrong;
TABLE imat.sums ORDER BY k;

-- On a table that nobody reads they are their owner's affair.
CREATE TABLE bystander (k integer);
CREATE TRIGGER imat_open BEFORE INSERT ON bystander EXECUTE FUNCTION nothing();
CREATE TRIGGER imat_guard BEFORE INSERT ON bystander EXECUTE FUNCTION nothing();
ALTER TABLE bystander DISABLE TRIGGER imat_open;
ALTER TABLE bystander DISABLE TRIGGER ALL;
INSERT INTO bystander VALUES (1);
DROP TRIGGER imat_guard ON bystander;

-- What a trigger of the owner's on his maintained table calls finds its own search path, whatever its name is.
CREATE SCHEMA apart;
CREATE TABLE apart.log (n integer);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path = apart AS 'BEGIN INSERT INTO log VALUES (1); RETURN NULL; END';
CREATE VIEW tallies AS SELECT k, count(*) AS n FROM p GROUP BY k;
SELECT create_imat('tallies');
CREATE TRIGGER imat_note AFTER INSERT OR UPDATE ON imat.tallies EXECUTE FUNCTION note();
INSERT INTO p1 VALUES (1, 3);
SELECT count(*) > 0 AS noted FROM apart.log;
TABLE wrong;
