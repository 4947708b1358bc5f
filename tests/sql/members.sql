-- Partitions that come and go are changes of the partitioned table: only their rows are computed.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

-- Tells of each row for which the view's expression is computed.
CREATE FUNCTION seen(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE NOTICE 'seen %', n;
    RETURN n;
END $$;
CREATE TABLE p (id integer NOT NULL, g text, n integer) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
INSERT INTO p VALUES (1, 'a', 1), (2, 'b', 2);
CREATE VIEW sums AS SELECT g, sum(seen(n)) AS s, count(*) AS k FROM p GROUP BY g;
SELECT create_imat('sums');
CREATE TABLE p2 (n integer, gone date, g text, id integer NOT NULL);
ALTER TABLE p2 DROP COLUMN gone;
INSERT INTO p2 VALUES (11, 'a', 11), (12, 'c', 12);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
TABLE imat.sums ORDER BY g;
ALTER TABLE p DETACH PARTITION p2;
TABLE imat.sums ORDER BY g;
-- Several at once, one of them empty, one with a value that is stored in no row of it.
CREATE TABLE p3 (id integer NOT NULL, g text, n integer) PARTITION BY LIST (g);
CREATE TABLE p3a PARTITION OF p3 FOR VALUES IN ('a');
CREATE TABLE p3b PARTITION OF p3 FOR VALUES IN ('b');
CREATE TABLE p3c (id integer NOT NULL, g text);
INSERT INTO p3c VALUES (23, 'c');
ALTER TABLE p3c ADD COLUMN n integer DEFAULT 23;
ALTER TABLE p3 ATTACH PARTITION p3c FOR VALUES IN ('c');
INSERT INTO p3 VALUES (21, 'a', 21);
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
TABLE imat.sums ORDER BY g;
ALTER TABLE p3 DETACH PARTITION p3c;
TABLE imat.sums ORDER BY g;
ALTER TABLE p DETACH PARTITION p3;
TABLE imat.sums ORDER BY g;
-- Under an old snapshot it is made anew. So it is for one that is dropped.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT FROM p LIMIT 1;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
COMMIT;
SET client_min_messages TO warning;
TABLE wrong;
DROP TABLE p2;
TABLE wrong;
RESET client_min_messages;
-- Children are no different.
CREATE TABLE mother (g text, n integer);
CREATE TABLE child (n integer, g text);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO mother VALUES ('a', 41);
INSERT INTO child VALUES (42, 'a');
INSERT INTO grandchild VALUES (43, 'b');
CREATE VIEW of_mother AS SELECT g, sum(seen(n)) AS s FROM mother GROUP BY g;
SELECT create_imat('of_mother');
ALTER TABLE child INHERIT mother;
TABLE imat.of_mother ORDER BY g;
ALTER TABLE child NO INHERIT mother, ADD COLUMN more integer DEFAULT 1;
TABLE imat.of_mother ORDER BY g;
SET client_min_messages TO warning;
TABLE wrong;
SELECT drop_imat('sums'), drop_imat('of_mother');
DROP VIEW sums, of_mother;
ALTER TABLE p3 ATTACH PARTITION p3c FOR VALUES IN ('c');

-- All kinds of views, above one another too.
CREATE TABLE q (g text PRIMARY KEY, w integer);
INSERT INTO q VALUES ('a', 1), ('b', 10), ('c', 100);
CREATE VIEW by_g AS SELECT g, count(*) AS k, sum(n) AS s, max(n) AS m FROM p GROUP BY g;
CREATE VIEW joined AS SELECT q.w, sum(p.n) AS s FROM p JOIN q ON q.g = p.g GROUP BY q.w;
CREATE VIEW self AS SELECT a.g, count(*) AS k FROM p AS a JOIN p AS b ON a.g = b.g GROUP BY a.g;
CREATE VIEW listed AS SELECT g, array_agg(n ORDER BY n) AS a FROM p GROUP BY g;
CREATE VIEW rows_ AS SELECT id, n FROM p;
CREATE VIEW whole_ AS SELECT DISTINCT g FROM p;
CREATE VIEW total AS SELECT count(*) AS k, min(n) AS m FROM p;
SELECT create_imat(v) FROM unnest('{by_g,joined,self,listed,rows_,whole_,total}'::text[]) AS v;
CREATE VIEW above AS SELECT s.k, count(*) AS n FROM imat.by_g AS s GROUP BY s.k;
SELECT create_imat('above');
TABLE wrong;
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
TABLE wrong;
TABLE imat.self ORDER BY g;
ALTER TABLE p3 DETACH PARTITION p3c;
TABLE wrong;
ALTER TABLE p3 ATTACH PARTITION p3c FOR VALUES IN ('c');
TABLE wrong;
-- Undone, with what was written in between, and done in blocks.
BEGIN;
INSERT INTO p VALUES (3, 'c', 3);
SAVEPOINT s;
ALTER TABLE p DETACH PARTITION p3;
INSERT INTO p3 VALUES (24, 'a', 24);
TABLE wrong;
ROLLBACK TO s;
TABLE wrong;
UPDATE p SET n = n + 1 WHERE id = 21;
ALTER TABLE p DETACH PARTITION p3;
UPDATE p3 SET n = n + 1;
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
TABLE wrong;
COMMIT;
TABLE wrong;
DO $$
BEGIN
    BEGIN
        ALTER TABLE p DETACH PARTITION p3;
        INSERT INTO p VALUES (4, 'd', 4);
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        INSERT INTO p VALUES (5, 'e', 5);
    END;
    ALTER TABLE p DETACH PARTITION p1;
    DELETE FROM p1 WHERE id = 1;
    ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10);
END $$;
TABLE wrong;
-- In the middle of a statement on another table, and on the joined one, whose rows are not collected yet.
CREATE TABLE job (command text);
CREATE FUNCTION perform() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE NEW.command; RETURN NEW; END $$;
CREATE TRIGGER perform BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION perform();
CREATE TRIGGER perform BEFORE INSERT ON q FOR EACH ROW WHEN (NEW.w = 0) EXECUTE FUNCTION perform();
INSERT INTO job VALUES ('ALTER TABLE p DETACH PARTITION p3'), ('INSERT INTO p3 VALUES (25, ''a'', 25)'),
    ('ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)');
TABLE wrong;
ALTER TABLE q ADD COLUMN command text;
INSERT INTO q VALUES ('d', 0, 'ALTER TABLE p DETACH PARTITION p3');
TABLE wrong;
INSERT INTO q VALUES ('e', 0, 'ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)');
TABLE wrong;
CREATE TRIGGER perform_after AFTER INSERT ON q FOR EACH ROW WHEN (NEW.w = -1) EXECUTE FUNCTION perform();
INSERT INTO p VALUES (8, 'f', 8), (9, 'g', 9);
INSERT INTO q VALUES ('f', -1, 'ALTER TABLE p DETACH PARTITION p1');
TABLE wrong;
INSERT INTO q VALUES ('g', -1, 'ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10)');
TABLE wrong;
-- Another event trigger that writes to what has just come, directly and by way of the root.
ALTER TABLE p DETACH PARTITION p3;
CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() AS c WHERE c.objid = 'p'::regclass) THEN
        INSERT INTO p3 VALUES (26, 'a', 26);
        INSERT INTO p VALUES (27, 'b', 27), (6, 'b', 6);
    END IF;
END $$;
CREATE TABLE p_rest PARTITION OF p DEFAULT;
CREATE EVENT TRIGGER a_meddle ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION meddle();
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
TABLE wrong;
SELECT tableoid::regclass, count(*) FROM p GROUP BY 1 ORDER BY 1;
DROP EVENT TRIGGER a_meddle;
ALTER TABLE p DETACH PARTITION p3;
TABLE wrong;
-- One that alters what has just gone.
CREATE TABLE p4 PARTITION OF p FOR VALUES FROM (30) TO (40);
INSERT INTO p VALUES (30, 'a', 30), (31, 'z', 31);
CREATE OR REPLACE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() AS c WHERE c.objid = 'p'::regclass) THEN
        ALTER TABLE p4 ALTER n TYPE bigint USING n + 1000;
    END IF;
END $$;
CREATE EVENT TRIGGER a_meddle ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION meddle();
ALTER TABLE p DETACH PARTITION p4;
TABLE wrong;
TABLE p4;
DROP EVENT TRIGGER a_meddle;
-- One table is made while another one has not heard of a partition yet: by no means does it get the rows twice.
CREATE TABLE told (k integer NOT NULL, x integer NOT NULL) PARTITION BY LIST (k);
CREATE TABLE told_1 PARTITION OF told FOR VALUES IN (1);
CREATE TABLE told_2 (k integer NOT NULL, x integer NOT NULL);
CREATE TABLE told_3 (k integer NOT NULL, x integer NOT NULL);
INSERT INTO told VALUES (1, 1);
INSERT INTO told_2 VALUES (2, 5);
INSERT INTO told_3 VALUES (3, 7);
CREATE VIEW told_early AS SELECT k, sum(x) AS s, count(*) AS n FROM told GROUP BY k;
CREATE VIEW told_late AS SELECT k, sum(x) AS s FROM told GROUP BY k;
CREATE VIEW told_last AS SELECT count(*) AS n FROM told;
SELECT create_imat('told_early');
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER TABLE told ATTACH PARTITION told_2 FOR VALUES IN (2);
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
SELECT create_imat('told_late');
ALTER TABLE told ALTER COLUMN x SET STATISTICS 100;
TABLE wrong;
CREATE FUNCTION make_last() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF current_setting('own.made', true) IS DISTINCT FROM 'yes' THEN
        PERFORM set_config('own.made', 'yes', false);
        PERFORM create_imat('told_last');
    END IF;
END $$;
CREATE EVENT TRIGGER a_first ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION make_last();
ALTER TABLE told ATTACH PARTITION told_3 FOR VALUES IN (3);
DROP EVENT TRIGGER a_first;
TABLE wrong;
TABLE imat.told_late ORDER BY k;
TABLE imat.told_last;
-- Deferred triggers of a partition that comes are still to fire: ours come to it all the same.
CREATE TABLE referenced (id int PRIMARY KEY);
INSERT INTO referenced VALUES (1), (2);
CREATE TABLE deferring (k int, r int REFERENCES referenced DEFERRABLE INITIALLY DEFERRED) PARTITION BY LIST (k);
CREATE TABLE deferring_1 PARTITION OF deferring FOR VALUES IN (1);
INSERT INTO deferring VALUES (1, 1);
SELECT create_imat('deferred_rows', query => 'SELECT k, count(*) AS n FROM deferring GROUP BY k');
BEGIN;
ALTER TABLE deferring DETACH PARTITION deferring_1;
INSERT INTO deferring_1 VALUES (1, 2);
ALTER TABLE deferring ATTACH PARTITION deferring_1 FOR VALUES IN (1);
INSERT INTO deferring VALUES (1, 2);
COMMIT;
TABLE imat.deferred_rows;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'deferring_1'::regclass AND tgname LIKE 'imat%' ORDER BY 1;
-- Deferred triggers of a partition that goes are still to fire: ours go, these fire, and what they refuse is undone.
CREATE TABLE fired (t text);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (tg_relid::regclass || ' ' || NEW.r); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON deferring_1 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
BEGIN;
INSERT INTO deferring VALUES (1, 1);
SAVEPOINT before;
ALTER TABLE deferring DETACH PARTITION deferring_1;
TABLE imat.deferred_rows;
ROLLBACK TO before;
INSERT INTO deferring VALUES (1, 1);
TABLE imat.deferred_rows;
ALTER TABLE deferring DETACH PARTITION deferring_1;
COMMIT;
TABLE imat.deferred_rows;
TABLE fired;
INSERT INTO deferring_1 VALUES (1, 2);
SELECT tgname FROM pg_trigger WHERE tgrelid = 'deferring_1'::regclass AND NOT tgisinternal;
ALTER TABLE deferring ATTACH PARTITION deferring_1 FOR VALUES IN (1);
TABLE imat.deferred_rows;
BEGIN;
INSERT INTO deferring VALUES (1, 3);
ALTER TABLE deferring DETACH PARTITION deferring_1;
COMMIT;
INSERT INTO deferring VALUES (1, 1);
TABLE imat.deferred_rows;
-- Nor does it matter that a cursor reads it, or that a statement changes it.
BEGIN;
DECLARE rows CURSOR FOR TABLE deferring_1;
FETCH rows;
ALTER TABLE deferring DETACH PARTITION deferring_1;
FETCH rows;
COMMIT;
TABLE imat.deferred_rows;
ALTER TABLE deferring ATTACH PARTITION deferring_1 FOR VALUES IN (1);
CREATE FUNCTION detach() RETURNS int LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE deferring DETACH PARTITION deferring_1; RETURN 1; END $$;
INSERT INTO deferring_1 VALUES (1, detach());
TABLE imat.deferred_rows;
ALTER TABLE deferring ATTACH PARTITION deferring_1 FOR VALUES IN (1);
TABLE imat.deferred_rows;
-- Nor that it is the maintained table that goes.
BEGIN;
INSERT INTO deferring VALUES (1, 1);
DROP TABLE imat.deferred_rows;
COMMIT;
TABLE fired;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'deferring_1'::regclass AND NOT tgisinternal;
