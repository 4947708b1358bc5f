-- A session that calls itself a replica: the statement triggers fire all the same, the foreign key's do not.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE a (id int PRIMARY KEY, k int, n int NOT NULL);
CREATE TABLE b (k int PRIMARY KEY, name text NOT NULL);
ALTER TABLE a ADD FOREIGN KEY (k) REFERENCES b ON DELETE CASCADE ON UPDATE CASCADE;
CREATE TABLE p (k int, n int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (n int, k int);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
CREATE VIEW sums AS SELECT k, sum(n) AS s, count(*) AS c FROM a GROUP BY k;
CREATE VIEW named AS SELECT b.name, max(a.n) AS most FROM a JOIN b ON b.k = a.k GROUP BY b.name;
CREATE VIEW missing AS SELECT a.id FROM a LEFT JOIN b ON b.k = a.k WHERE b.k IS NULL;
CREATE VIEW parts AS SELECT k, sum(n) AS s, count(*) AS c FROM p GROUP BY k;
SELECT create_imat('sums'), create_imat('named'), create_imat('missing'), create_imat('parts');
CREATE VIEW counts AS SELECT c, count(*) AS groups FROM imat.sums GROUP BY c;
SELECT create_imat('counts');
SET session_replication_role = replica;
INSERT INTO b VALUES (0, 'zero'), (1, 'one'), (2, 'two');
INSERT INTO a SELECT i, i % 3, i FROM generate_series(1, 9) AS i;
TABLE wrong;
-- Orphans, which a foreign key does not allow for.
DELETE FROM b WHERE k = 0;
UPDATE b SET k = 5 WHERE k = 1;
INSERT INTO a VALUES (10, 7, 10);
TABLE wrong;
-- Read in the same transaction, written in a subtransaction.
BEGIN;
UPDATE a SET n = n + 1, k = nullif(k, 2);
TABLE wrong;
SAVEPOINT one;
DELETE FROM a WHERE id < 5;
TABLE wrong;
ROLLBACK TO one;
TABLE wrong;
TRUNCATE a;
COPY a FROM stdin;
1	1	1
2	\N	2
\.
TABLE wrong;
COMMIT;
WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT 10 + id, 'moved' FROM gone;
INSERT INTO b VALUES (11, 'x') ON CONFLICT (k) DO UPDATE SET name = 'again';
TABLE wrong;
INSERT INTO p VALUES (1, 1), (2, 2), (1, 3);
UPDATE p SET k = 3 - k;
INSERT INTO p2 (k, n) VALUES (2, 7);
TRUNCATE p1;
TABLE wrong;
-- Triggers that fire in replicas.
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO b VALUES (NEW.k, 'by a trigger');
    EXCEPTION WHEN unique_violation THEN
        UPDATE b SET name = name || '+' WHERE k = NEW.k;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER aaa AFTER INSERT OR UPDATE ON a FOR EACH ROW EXECUTE FUNCTION follow();
ALTER TABLE a ENABLE REPLICA TRIGGER aaa;
INSERT INTO a VALUES (1, 1, 1), (2, 20, 2), (3, 1, 3);
UPDATE a SET k = k + 1;
TABLE wrong;
RESET session_replication_role;
INSERT INTO a VALUES (4, 2, 4);
DELETE FROM b WHERE k = 2;
TABLE wrong;
-- A maintained table is guarded in both roles.
SET session_replication_role = replica;
UPDATE imat.sums SET c = 100;
SELECT create_imat('late', query => 'SELECT name, count(*) AS n FROM public.b GROUP BY name');
INSERT INTO b VALUES (30, 'late');
SELECT * FROM verify_imat('late');
TABLE wrong;
