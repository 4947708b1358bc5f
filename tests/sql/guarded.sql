-- A maintained table against its owner's DDL, names that are near each other, what create_imat carries over.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (k integer NOT NULL, n numeric NOT NULL, x integer);
INSERT INTO t VALUES (1, 1.4, 1), (2, 2.5, NULL);
CREATE VIEW plain AS SELECT k, sum(n) AS s, count(*) AS c FROM t GROUP BY k;
CREATE VIEW read AS SELECT k, avg(x) AS mean FROM t GROUP BY k;
SELECT create_imat('plain'), create_imat('read');

-- Columns of the state and of the result stay what they are.
ALTER TABLE imat.plain ALTER s TYPE integer;
ALTER TABLE imat.plain ALTER c TYPE numeric;
ALTER TABLE imat.plain RENAME c TO d;
ALTER TABLE imat.plain ADD extra integer;
ALTER TABLE imat.plain DROP s;
ALTER VIEW imat.read RENAME mean TO m;
ALTER TABLE imat.read RENAME mean TO m;
ALTER TABLE imat_state.read ADD extra integer;
CREATE OR REPLACE VIEW imat.read AS SELECT k, 0::numeric AS mean FROM imat_state.read;
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO imat.read DO INSTEAD SELECT k, 0::numeric AS mean FROM imat_state.read;
INSERT INTO t VALUES (1, 1.4, 5);
TABLE wrong;

-- So do its triggers, rules and policies; one that is disabled is noticed.
ALTER TABLE imat.plain DISABLE TRIGGER imat_guard;
ALTER TABLE imat.plain DISABLE TRIGGER ALL;
ALTER TABLE imat_state.read ENABLE REPLICA TRIGGER imat_guard;
DROP TRIGGER imat_guard ON imat.plain;
DROP TRIGGER imat_guard ON imat_state.read;
DROP TRIGGER imat_guard ON imat.read;
ALTER TRIGGER imat_guard ON imat.plain RENAME TO other;
ALTER TABLE t DISABLE TRIGGER imat_replica;
DROP TRIGGER imat_replica ON t;
ALTER TRIGGER imat_open ON t RENAME TO other;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE TG_ARGV[0]; RETURN NEW; END $$;
CREATE TRIGGER early BEFORE UPDATE ON imat.plain FOR EACH ROW EXECUTE FUNCTION meddle('SELECT');
CREATE RULE gone AS ON DELETE TO imat.plain DO INSTEAD NOTHING;
CREATE RULE gone AS ON INSERT TO imat_state.read DO ALSO NOTHING;
ALTER TABLE imat.plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE imat.plain SET UNLOGGED;
-- A trigger that is enabled by a plain ENABLE fires always again.
ALTER TABLE t ENABLE TRIGGER imat_update, ENABLE TRIGGER imat_replica;
ALTER TABLE imat.plain ENABLE TRIGGER ALL;
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'imat_%' AND tgrelid <> 'imat.read'::regclass ORDER BY 1, 2;
SET session_replication_role = replica;
UPDATE t SET n = n + 1;
RESET session_replication_role;
TABLE wrong;

-- Nor can rows come in by inheritance.
CREATE TABLE child () INHERITS (imat.plain);
CREATE TABLE child (LIKE imat.plain);
ALTER TABLE child INHERIT imat.plain;
ALTER TABLE imat.plain INHERIT child;
CREATE TABLE parted (k integer, s numeric, c bigint) PARTITION BY LIST (k);
ALTER TABLE parted ATTACH PARTITION imat.plain DEFAULT;
DROP TABLE parted, child;
TABLE wrong;

-- An AFTER trigger on it is allowed, but can't write it: only the flush itself can.
CREATE TABLE log (k integer);
CREATE TRIGGER tell AFTER INSERT ON imat.plain FOR EACH ROW EXECUTE FUNCTION meddle('INSERT INTO public.log VALUES (1)');
INSERT INTO t VALUES (3, 3, 3);
TABLE log;
CREATE TRIGGER spoil AFTER UPDATE ON imat.plain FOR EACH ROW EXECUTE FUNCTION meddle('UPDATE imat.plain SET c = 100 WHERE c <> 100');
UPDATE t SET n = 7;
INSERT INTO t VALUES (3, 1, 1);
DROP TRIGGER spoil ON imat.plain;
UPDATE t SET n = 7;
TABLE wrong;
DROP TRIGGER tell ON imat.plain;

-- What an owner may do.
CREATE INDEX mine ON imat.plain (s);
ALTER INDEX imat.mine RENAME TO yours;
DROP INDEX imat.yours;
ALTER TABLE imat.plain SET (fillfactor = 50);
ALTER TABLE imat.plain ALTER s SET STATISTICS 10;
ALTER TABLE imat.plain CLUSTER ON plain_key;
ALTER TABLE imat.plain RENAME TO renamed;
ALTER TABLE imat.renamed RENAME TO plain;
COMMENT ON TABLE imat.plain IS 'mine';
UPDATE t SET n = n - 1;
TABLE wrong;

-- A new owner owns the view, the state and the definition, or none of them.
CREATE ROLE imat_old; CREATE ROLE imat_new;
CREATE VIEW owners AS
    SELECT i.name, a.relowner::regrole AS name_owner, b.relowner::regrole AS state_owner, c.relowner::regrole AS definition_owner
    FROM imat_catalog.imat AS i JOIN pg_class AS a ON a.oid = i.name JOIN pg_class AS b ON b.oid = i.state
        JOIN pg_class AS c ON c.oid = i.definition;
ALTER VIEW imat.read OWNER TO imat_new;
GRANT SELECT ON t TO imat_new;
ALTER VIEW imat.read OWNER TO imat_new;
ALTER TABLE t OWNER TO imat_new;
ALTER VIEW imat.read OWNER TO imat_new;
SELECT * FROM owners WHERE name = 'imat.read'::regclass;
ALTER TABLE imat.plain OWNER TO imat_new;
SELECT * FROM owners WHERE name = 'imat.plain'::regclass;
INSERT INTO t VALUES (4, 4, 4);
TABLE wrong;
SET ROLE imat_new;
SELECT count(*) FROM imat.read;
SELECT * FROM verify_imat('imat.read');
SELECT refresh_imat('imat.plain');
RESET ROLE;
REASSIGN OWNED BY imat_new TO imat_old;
SELECT * FROM owners ORDER BY name::text;
INSERT INTO t VALUES (5, 5, 5);
TABLE wrong;
ALTER TABLE imat_state.read OWNER TO CURRENT_USER;
SELECT count(DISTINCT o) FROM owners, unnest(ARRAY[name_owner, state_owner, definition_owner]) AS o WHERE name = 'imat.read'::regclass;
REASSIGN OWNED BY imat_old TO CURRENT_USER;
DROP OWNED BY imat_old, imat_new; DROP ROLE imat_old, imat_new;

-- Names that are near each other: PostgreSQL's array types have names too.
CREATE VIEW v1 AS SELECT k, avg(n) AS mean FROM t GROUP BY k;
CREATE VIEW _v1 AS SELECT k, avg(n) AS mean FROM t GROUP BY k;
CREATE VIEW __v1 AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE VIEW w AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE VIEW _w AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE VIEW v1_key AS SELECT k, count(*) AS n FROM t GROUP BY k;
SELECT create_imat('v1'), create_imat('_v1'), create_imat('__v1'), create_imat('_w'), create_imat('w'), create_imat('v1_key');
CREATE FUNCTION make(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE VIEW %I AS SELECT k, sum(n) AS s, avg(n) AS mean FROM t GROUP BY k', name);
    RETURN create_imat(quote_ident(name))::text;
END $$;
SELECT make(name) FROM unnest(ARRAY[repeat('n', 62) || '1', repeat('n', 62) || '2', '_' || repeat('n', 62), repeat('ü', 31) || '1',
    repeat('ü', 31) || '2', '_' || repeat('ü', 31)]) AS name;
CREATE VIEW repeated AS SELECT k FROM t;
CREATE VIEW _repeated AS SELECT k FROM t;
SELECT create_imat('_repeated'), create_imat('repeated');
INSERT INTO t VALUES (6, 6, 6);
TABLE wrong;
SELECT drop_imat(name::text) FROM imat_status;

-- Indexes, their names and options; comments.
CREATE TABLE words (a integer NOT NULL, b integer NOT NULL, w text NOT NULL, v integer);
INSERT INTO words VALUES (1, 1, 'one', 10), (1, 2, 'two', 20), (2, 1, 'Two', NULL);
CREATE MATERIALIZED VIEW m AS SELECT a, b, w, count(*) AS n, sum(v) AS s, avg(v) AS mean FROM words GROUP BY a, b, w;
CREATE UNIQUE INDEX m_key ON m (b, a, w) WITH (fillfactor = 60);
CREATE UNIQUE INDEX "By Word" ON m (w COLLATE "C" text_pattern_ops) INCLUDE (a, b);
CREATE UNIQUE INDEX m_all ON m (a, b, w) INCLUDE (n) WHERE a > 0;
CREATE UNIQUE INDEX m_posix ON m (a, b, w COLLATE "POSIX");
CREATE UNIQUE INDEX m_lower ON m (lower(w), a, b, w);
CREATE INDEX m_desc ON m (a DESC NULLS LAST, w COLLATE "C") INCLUDE (b) WITH (fillfactor = 50, deduplicate_items = off) WHERE b > 0;
CREATE INDEX m_mean ON m (mean);
CREATE INDEX m_count ON m (n);
CREATE INDEX m_row ON m ((m IS NULL));
CREATE INDEX m_hash ON m USING hash (w) WITH (fillfactor = 40);
CREATE INDEX m_brin ON m USING brin (a int4_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 8);
COMMENT ON MATERIALIZED VIEW m IS E'what''s in \\ it';
COMMENT ON COLUMN m.mean IS 'the mean';
COMMENT ON COLUMN m.a IS 'the first';
COMMENT ON INDEX m_key IS 'the key';
COMMENT ON INDEX m_mean IS 'not carried';
SELECT create_imat('m');
CREATE VIEW carried AS
    SELECT s.name, pg_get_indexdef(i.indexrelid) AS index, obj_description(i.indexrelid, 'pg_class') AS comment
    FROM pg_index AS i JOIN imat_status AS s ON s.state = i.indrelid;
SELECT index, comment FROM carried ORDER BY index COLLATE "C";
SELECT obj_description('imat.m'::regclass, 'pg_class'), a.attname, col_description(a.attrelid, a.attnum)
    FROM pg_attribute AS a WHERE a.attrelid = 'imat.m'::regclass AND a.attnum > 0;
CREATE MATERIALIZED VIEW flat AS SELECT a, b, w, count(*) AS n, sum(b) AS s FROM words GROUP BY a, b, w;
CREATE UNIQUE INDEX flat_s ON flat (s, a);
CREATE UNIQUE INDEX flat_w ON flat (w) INCLUDE (a, b);
CREATE INDEX flat_n ON flat (n DESC);
COMMENT ON MATERIALIZED VIEW flat IS 'flat';
COMMENT ON COLUMN flat.s IS 'the sum';
SELECT create_imat('flat');
SELECT index FROM carried WHERE name = 'imat.flat'::regclass ORDER BY index COLLATE "C";
SELECT obj_description('imat.flat'::regclass, 'pg_class'), col_description('imat.flat'::regclass, 5);
UPDATE words SET w = 'swap' WHERE w = 'one';
UPDATE words SET w = CASE w WHEN 'two' THEN 'swap' WHEN 'swap' THEN 'two' ELSE w END;
REFRESH MATERIALIZED VIEW m; REFRESH MATERIALIZED VIEW flat;
TABLE wrong;
SELECT drop_imat(name::text) FROM imat_status;

-- drop_imat in a trigger of a base table, whether other maintained tables read the table or not.
CREATE FUNCTION call() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE TG_ARGV[0]; RETURN NULL; END $$;
CREATE VIEW one AS SELECT k, count(*) AS n FROM t GROUP BY k;
CREATE VIEW two AS SELECT count(*) AS n FROM t;
SELECT create_imat('one'), create_imat('two');
CREATE TRIGGER later AFTER INSERT ON t EXECUTE FUNCTION call('SELECT drop_imat(''one'')');
INSERT INTO t VALUES (7, 7, 7);
SELECT drop_imat('two');
INSERT INTO t VALUES (7, 7, 7);
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t;
FETCH c \gset
SELECT drop_imat('one');
ROLLBACK;
TABLE wrong;
