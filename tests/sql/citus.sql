-- Next to Citus. Its catalog stands in for it here, with the setting that sends DDL on to other servers, and a table
-- that has got triggers as its shards do.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE loc (k int NOT NULL, v int NOT NULL);
CREATE TABLE other (k int NOT NULL, v int NOT NULL);
INSERT INTO loc VALUES (1, 1), (2, 2);
CREATE VIEW sums AS SELECT k, sum(v) AS s, count(*) AS n FROM loc GROUP BY k;
CREATE VIEW joined AS SELECT l.k, o.v FROM loc AS l JOIN other AS o ON o.k = l.k;

-- Where there is no Citus nothing is asked.
SELECT create_imat('sums');
SELECT drop_imat('sums');

SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass PRIMARY KEY, partmethod "char" NOT NULL);
RESET allow_system_table_mods;

-- A table of Citus's is refused, also as one of several, below a view or as a partition.
INSERT INTO pg_dist_partition VALUES ('loc', 'n');
SELECT create_imat('sums');
SELECT create_imat('joined');
SELECT create_imat('above', query => 'SELECT s FROM sums');
SELECT maintainable, reason, hint FROM check_imat('SELECT k FROM loc');
CALL create_imat('sums', online => true);
CREATE TABLE parted (k int, v int) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 (k int, v int);
CREATE VIEW parts AS SELECT k, count(*) AS n FROM parted GROUP BY k;
INSERT INTO pg_dist_partition VALUES ('parted_1', 'h');
SELECT create_imat('parts');
DELETE FROM pg_dist_partition;
SELECT create_imat('parts');
INSERT INTO pg_dist_partition VALUES ('parted_2', 'h');
SELECT refusal('ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2)');
INSERT INTO parted VALUES (1, 1);
SELECT exact('parts');
DELETE FROM pg_dist_partition;

-- One that becomes a table of Citus's later. What it does to the table is DDL, which tells.
SELECT create_imat('sums');
SELECT create_imat('joined');
INSERT INTO loc VALUES (3, 3);
INSERT INTO pg_dist_partition VALUES ('loc', 'n');
SELECT refusal('ALTER TABLE loc ADD COLUMN more int');
SELECT refusal('ALTER TABLE loc RENAME TO loc_102008');
SELECT exact('parts');
-- Other sessions see it at the next change, and nobody's write is taken without a word.
\c
SELECT refusal('INSERT INTO loc VALUES (4, 4)');
SELECT refusal('UPDATE other SET v = 1');
SELECT refusal('TRUNCATE loc');
SELECT refusal($$SELECT verify_imat('sums')$$);
SELECT refusal($$SELECT refresh_imat('joined')$$);
INSERT INTO parted VALUES (1, 2);
SELECT drop_imat('sums');
SELECT drop_imat('joined');
INSERT INTO loc VALUES (5, 5);
DELETE FROM pg_dist_partition;
SELECT create_imat('sums');
SELECT create_imat('joined');
INSERT INTO loc VALUES (6, 6);
SELECT exact('sums'), exact('joined');

-- Citus copies triggers to shards, under names of its own, and not all of them. Each one that fires says so.
CREATE TABLE loc_102008 (k int NOT NULL, v int NOT NULL);
INSERT INTO loc_102008 VALUES (0, 0);
CREATE TRIGGER imat_insert_102008 AFTER INSERT ON loc_102008 REFERENCING NEW TABLE AS imat_new
    FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.capture();
CREATE TRIGGER imat_update_102008 AFTER UPDATE ON loc_102008 REFERENCING OLD TABLE AS imat_old NEW TABLE AS imat_new
    FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.capture();
CREATE TRIGGER imat_delete_102008 AFTER DELETE ON loc_102008 REFERENCING OLD TABLE AS imat_old
    FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.capture();
CREATE TRIGGER imat_truncate_102008 AFTER TRUNCATE ON loc_102008 FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.capture();
INSERT INTO loc_102008 VALUES (1, 1);
SELECT refusal('INSERT INTO loc_102008 SELECT 1, 1 WHERE false');
SELECT refusal('UPDATE loc_102008 SET v = 1');
SELECT refusal('DELETE FROM loc_102008');
SELECT refusal('TRUNCATE loc_102008');
-- Also within the change of a table that somebody reads.
CREATE FUNCTION to_shard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO loc_102008 VALUES (NEW.k, NEW.v); RETURN NEW; END $$;
CREATE TRIGGER to_shard BEFORE INSERT ON loc FOR EACH ROW EXECUTE FUNCTION to_shard();
SELECT refusal('INSERT INTO loc VALUES (7, 7)');
DROP TRIGGER to_shard ON loc;
DROP TRIGGER imat_insert_102008 ON loc_102008;
DROP TRIGGER imat_update_102008 ON loc_102008;
DROP TRIGGER imat_delete_102008 ON loc_102008;
DROP TRIGGER imat_truncate_102008 ON loc_102008;
-- What comes with a replica's rows, alone and within a statement that is open.
CREATE TRIGGER imat_replica_102008 AFTER INSERT OR UPDATE OR DELETE ON loc_102008 FOR EACH ROW EXECUTE FUNCTION imat_catalog.replica();
SELECT refusal('INSERT INTO loc_102008 VALUES (1, 1)');
CREATE TRIGGER to_shard BEFORE INSERT ON loc FOR EACH ROW EXECUTE FUNCTION to_shard();
SELECT refusal('INSERT INTO loc VALUES (7, 7)');
DROP TRIGGER to_shard ON loc;
DROP TABLE loc_102008;
TABLE loc ORDER BY k;
SELECT exact('sums'), exact('joined');

-- DDL of ours is not sent on; that of users is, as before.
CREATE TABLE sent (number int GENERATED ALWAYS AS IDENTITY, tag text, propagated text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.sent (tag, propagated) VALUES (tg_tag, current_setting('citus.enable_ddl_propagation', true)); END $$;
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note();
SET citus.enable_ddl_propagation = on;
SELECT create_imat('queried', query => 'SELECT v, count(*) AS n FROM loc GROUP BY v');
SELECT maintainable FROM check_imat('SELECT v FROM loc');
CREATE MATERIALIZED VIEW stored AS SELECT v, avg(k) AS mean FROM other GROUP BY v;
CREATE INDEX ON stored (mean);
SELECT create_imat('stored');
ALTER TABLE other DISABLE TRIGGER imat_insert;
SELECT refresh_imat('stored');
SELECT drop_imat('queried'), drop_imat('stored');
CALL create_imat('stored', online => true);
SHOW citus.enable_ddl_propagation;
SELECT propagated, tag, count(*) > 0 AS seen FROM sent GROUP BY 1, 2 ORDER BY 1, 2;
