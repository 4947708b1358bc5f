-- Commands that move, index, rewrite or measure tables and states, and leave their rows alone.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET allow_in_place_tablespaces = on;
SET client_min_messages = error;
DROP TABLESPACE IF EXISTS regress_imat;
RESET client_min_messages;
CREATE TABLESPACE regress_imat LOCATION '';
CREATE TABLE t (id integer PRIMARY KEY, g text NOT NULL, n integer NOT NULL, x numeric, u integer);
CREATE TABLE d (g text PRIMARY KEY, label text);
INSERT INTO t SELECT i, chr(97 + i % 5), i, i / 3.0 FROM generate_series(1, 100) AS i;
INSERT INTO d SELECT chr(97 + i), 'label ' || i FROM generate_series(0, 4) AS i;
CREATE MATERIALIZED VIEW direct AS SELECT g, sum(n) AS s, count(*) AS c FROM t GROUP BY g;
CREATE MATERIALIZED VIEW means AS SELECT g, avg(x) AS mean, max(n) AS m FROM t GROUP BY g;
CREATE VIEW joined AS SELECT d.label, t.n FROM t JOIN d USING (g);
CREATE VIEW whole_ AS SELECT g, rank() OVER (ORDER BY n) AS r FROM t;
SELECT create_imat('direct'), create_imat('means'), create_imat('joined'), create_imat('whole_');
DROP MATERIALIZED VIEW direct, means;
CREATE VIEW direct AS SELECT g, sum(n) AS s, count(*) AS c FROM t GROUP BY g;
CREATE VIEW means AS SELECT g, avg(x) AS mean, max(n) AS m FROM t GROUP BY g;
-- each(COMMAND): the command for every base table and state, for \gexec.
CREATE FUNCTION each(command text) RETURNS SETOF text LANGUAGE sql AS
    'SELECT format($1, relation) FROM (SELECT state::text FROM imat_status UNION VALUES (''t''), (''d'')) AS r(relation) ORDER BY 1';
-- touch(): changes of every kind; afterwards `wrong` must stay empty.
CREATE FUNCTION touch() RETURNS void LANGUAGE sql AS $$
    INSERT INTO t (id, g, n, x) SELECT 1000 + i, chr(96 + i), i, i FROM generate_series(1, 7) AS i;
    UPDATE t SET n = n + 1, x = x / 2 WHERE id % 7 = 0;
    UPDATE d SET label = label || '.' WHERE g = 'b';
    DELETE FROM t WHERE id >= 1000;
$$;
SELECT touch();
TABLE wrong;

SELECT each('VACUUM (FULL, ANALYZE) %s') \gexec
SELECT touch();
TABLE wrong;
SELECT format('CLUSTER %s USING %s', indrelid::regclass, indexrelid::regclass) FROM pg_index
    WHERE indisunique AND indexprs IS NULL AND indrelid IN (SELECT state FROM imat_status UNION VALUES ('t'::regclass), ('d'::regclass))
    ORDER BY 1 \gexec
SELECT touch();
TABLE wrong;
SELECT each('REINDEX TABLE %s') \gexec
SELECT each('REINDEX TABLE CONCURRENTLY %s') \gexec
REINDEX SCHEMA imat_state;
SELECT touch();
TABLE wrong;
CREATE INDEX CONCURRENTLY t_n ON t (n);
CREATE UNIQUE INDEX CONCURRENTLY t_unique ON t (g, id);
CREATE INDEX CONCURRENTLY direct_s ON imat.direct (s);
CREATE INDEX CONCURRENTLY t_expression ON t ((n + id));
ALTER INDEX t_n SET (fillfactor = 50);
ALTER INDEX t_n RENAME TO t_renamed;
ALTER INDEX t_expression ALTER COLUMN 1 SET STATISTICS 100;
SELECT touch();
TABLE wrong;
DROP INDEX CONCURRENTLY t_renamed;
DROP INDEX t_unique, imat.direct_s, t_expression;

SELECT each('ALTER TABLE %s SET TABLESPACE regress_imat') \gexec
SELECT touch();
TABLE wrong;
ALTER TABLE ALL IN TABLESPACE regress_imat SET TABLESPACE pg_default;
ALTER INDEX t_pkey SET TABLESPACE regress_imat;
ALTER INDEX imat.direct_key SET TABLESPACE regress_imat;
ALTER INDEX t_pkey SET TABLESPACE pg_default;
ALTER INDEX imat.direct_key SET TABLESPACE pg_default;
DROP TABLESPACE regress_imat;
SELECT each('ALTER TABLE %s SET LOGGED') \gexec
ALTER TABLE t SET UNLOGGED;
ALTER TABLE imat.direct SET UNLOGGED;
SELECT touch();
TABLE wrong;

SELECT each('ALTER TABLE %s SET (fillfactor = 60, autovacuum_enabled = off)') \gexec
SELECT each('ALTER TABLE %s RESET (autovacuum_enabled)') \gexec
ALTER TABLE t ALTER g SET STATISTICS 500, ALTER g SET STORAGE EXTERNAL, ALTER g SET COMPRESSION pglz, ALTER n SET (n_distinct = 10);
ALTER TABLE imat.direct ALTER g SET STATISTICS 500, ALTER g SET STORAGE EXTERNAL, ALTER g SET COMPRESSION pglz;
CREATE STATISTICS t_stats ON g, n FROM t;
CREATE STATISTICS direct_stats ON g, s FROM imat.direct;
ANALYZE;
SELECT touch();
TABLE wrong;
DROP STATISTICS t_stats;

-- Constraints, defaults, identities and the like on columns, used or not.
ALTER TABLE t ALTER n SET DEFAULT 3, ALTER u SET DEFAULT 4, ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
ALTER TABLE t VALIDATE CONSTRAINT positive;
ALTER TABLE t RENAME CONSTRAINT positive TO above_zero;
ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES t DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE t ALTER x SET NOT NULL;
ALTER TABLE t ALTER x DROP NOT NULL;
ALTER TABLE t ADD i integer GENERATED ALWAYS AS IDENTITY;
UPDATE t SET u = id;
ALTER TABLE t ADD v integer GENERATED ALWAYS AS (n * 2) STORED, ADD w timestamptz DEFAULT clock_timestamp();
ALTER TABLE t REPLICA IDENTITY FULL;
ALTER TABLE t RENAME u TO unused;
INSERT INTO t (id, g) VALUES (500, 'default');
SELECT touch();
TABLE wrong;
SELECT * FROM imat.direct WHERE g = 'default';
ALTER TABLE t DROP CONSTRAINT above_zero, ALTER n DROP DEFAULT, DROP COLUMN v, DROP COLUMN w;
ALTER TABLE t DROP unused;
CREATE RULE quiet AS ON DELETE TO t WHERE old.id = 500 DO INSTEAD NOTHING;
CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DELETE FROM t WHERE id = 500;
UPDATE t SET n = n;
SELECT count(*) FROM t WHERE id = 500;
TABLE wrong;
DROP RULE quiet ON t;
DELETE FROM t WHERE id = 500;
TABLE wrong;

-- The key of a state is what its upserts rely on; other indexes are the owner's.
CREATE UNIQUE INDEX wider ON imat.direct (g, c);
CREATE INDEX lower ON imat.direct (lower(g));
DROP INDEX imat.lower, imat.direct_key;
DROP INDEX IF EXISTS no_such_index, imat_state.joined_key;
DROP INDEX CONCURRENTLY imat_state.means_key;
DROP INDEX imat.lower, imat.wider;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid IN (SELECT state FROM imat_status) ORDER BY indexrelid::regclass::text;
SELECT touch();
TABLE wrong;

-- The same on a partitioned table and its partitions, in a join with another one.
CREATE TABLE parted (k integer NOT NULL, n integer NOT NULL) PARTITION BY RANGE (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (50);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (50) TO (100);
CREATE INDEX by_k ON parted (k);
INSERT INTO parted SELECT i, i % 7 FROM generate_series(0, 99) AS i;
CREATE VIEW parted_sums AS SELECT d.label, sum(p.n) AS s, count(*) AS c FROM parted AS p JOIN d ON d.g = chr(97 + p.k % 5) GROUP BY d.label;
SELECT create_imat('parted_sums');
CREATE FUNCTION touch_parted() RETURNS void LANGUAGE sql BEGIN ATOMIC
    INSERT INTO parted VALUES (1, 1), (51, 2);
    UPDATE parted SET n = n + 1 WHERE k IN (2, 52);
    DELETE FROM parted WHERE k IN (1, 51);
END;
VACUUM FULL parted;
VACUUM FULL parted_1;
SELECT touch_parted();
TABLE wrong;
CLUSTER parted_1 USING parted_1_k_idx;
REINDEX TABLE parted;
REINDEX INDEX CONCURRENTLY parted_2_k_idx;
SELECT touch_parted();
TABLE wrong;
SET client_min_messages = error;
CREATE TABLESPACE regress_imat LOCATION '';
RESET client_min_messages;
ALTER TABLE parted SET TABLESPACE regress_imat;
ALTER TABLE parted_2 SET TABLESPACE regress_imat;
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (100) TO (150);
INSERT INTO parted VALUES (100, 1);
SELECT touch_parted();
TABLE wrong;
ALTER TABLE parted SET TABLESPACE pg_default;
ALTER TABLE ALL IN TABLESPACE regress_imat SET TABLESPACE pg_default;
ALTER TABLE parted_3 SET (autovacuum_enabled = off), ALTER n SET STATISTICS 5, ALTER n SET STORAGE plain;
ANALYZE parted;
SELECT touch_parted();
TABLE wrong;
SELECT refusal('ALTER TABLE parted_1 SET UNLOGGED');
DROP TABLESPACE regress_imat;
