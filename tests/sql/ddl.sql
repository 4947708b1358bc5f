-- DDL on base tables, views, maintained tables and the extension.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE SCHEMA app;
CREATE TABLE app.t (id integer PRIMARY KEY, g text NOT NULL, n integer, unused text);
CREATE TABLE app.u (id integer PRIMARY KEY, label varchar(10));
INSERT INTO app.t VALUES (1, 'a', 1, 'x'), (2, 'a', 2, 'y'), (3, 'b', 3, 'z');
INSERT INTO app.u VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE MATERIALIZED VIEW groups_ AS SELECT g, count(*) AS k, sum(n) AS s, min(n) AS m FROM app.t GROUP BY g;
CREATE MATERIALIZED VIEW joined AS SELECT u.label, t.g, t.n FROM app.t JOIN app.u USING (id);
CREATE MATERIALIZED VIEW whole_ AS SELECT DISTINCT g FROM app.t;
SELECT create_imat('groups_'), create_imat('joined'), create_imat('whole_');
-- The view may go, or change: the maintained table keeps the query it was made with.
DROP MATERIALIZED VIEW groups_;
ALTER MATERIALIZED VIEW joined RENAME TO something_else;
INSERT INTO app.t VALUES (4, 'b', 4, 'w');
INSERT INTO app.u VALUES (4, 'four');
SELECT name, source FROM imat_status ORDER BY name::text;
CREATE FUNCTION differences() RETURNS TABLE (name regclass, differences bigint) LANGUAGE sql AS
    'SELECT s.name, (SELECT count(*) FROM verify_imat(s.name::text)) FROM imat_status AS s ORDER BY s.name::text';
SELECT * FROM differences();

-- Renames: table, column, schema; then changes.
ALTER TABLE app.t RENAME TO renamed;
INSERT INTO app.renamed VALUES (5, 'c', 5, 'v');
ALTER TABLE app.renamed RENAME COLUMN n TO "New Name";
UPDATE app.renamed SET "New Name" = 50 WHERE id = 5;
ALTER TABLE app.renamed RENAME COLUMN g TO grp;
UPDATE app.renamed SET grp = 'd' WHERE id = 5;
ALTER SCHEMA app RENAME TO "App 2";
DELETE FROM "App 2".renamed WHERE id = 1;
ALTER TABLE "App 2".renamed SET SCHEMA public;
INSERT INTO renamed VALUES (6, 'e', 6, 'u');
SELECT * FROM differences();
TABLE imat.groups_ ORDER BY g;
SELECT name, base_tables FROM imat_status ORDER BY name::text;
ALTER TABLE imat.groups_ RENAME TO summary;
INSERT INTO renamed VALUES (7, 'e', 7, 'u');
SELECT count(*) FROM verify_imat('summary');
ALTER TABLE imat.summary SET SCHEMA public;
DELETE FROM renamed WHERE id = 7;
SELECT count(*) FROM verify_imat('public.summary');
SELECT count(*) FROM verify_imat('summary');
ALTER TABLE summary SET SCHEMA imat;
ALTER TABLE imat.summary RENAME TO groups_;

-- Columns: unused ones come and go, used ones stay as they are.
ALTER TABLE renamed DROP COLUMN unused;
ALTER TABLE renamed ADD COLUMN added integer DEFAULT 7;
INSERT INTO renamed VALUES (8, 'f', 8, 8);
ALTER TABLE renamed DROP COLUMN "New Name";
ALTER TABLE renamed ALTER COLUMN "New Name" TYPE bigint;
ALTER TABLE "App 2".u ALTER COLUMN label TYPE varchar(20);
ALTER TABLE renamed ALTER COLUMN added TYPE bigint;
INSERT INTO renamed VALUES (9, 'f', 9, 9);
SELECT * FROM differences();
-- What the compiler relied on: a NOT NULL, a key.
ALTER TABLE renamed ALTER COLUMN grp DROP NOT NULL;
INSERT INTO renamed VALUES (10, NULL, 10, NULL);
SELECT * FROM differences();
ALTER TABLE renamed DROP CONSTRAINT t_pkey;
INSERT INTO renamed VALUES (10, 'g', 10, NULL);
SELECT * FROM differences();

-- Storage: VACUUM FULL, CLUSTER, REINDEX, of tables and states; rewrites.
VACUUM FULL renamed;
INSERT INTO renamed VALUES (11, 'g', 11);
CREATE INDEX renamed_id ON renamed (id);
CLUSTER renamed USING renamed_id;
INSERT INTO renamed VALUES (12, 'g', 12);
VACUUM FULL imat.whole_;
SELECT format('VACUUM FULL %s', state) FROM imat_status ORDER BY 1 \gexec
SELECT format('REINDEX TABLE %s', state) FROM imat_status ORDER BY 1 \gexec
INSERT INTO renamed VALUES (13, 'g', 13);
ALTER TABLE renamed SET (fillfactor = 50);
ALTER TABLE renamed ADD COLUMN rewritten timestamptz DEFAULT clock_timestamp();
DELETE FROM renamed WHERE id = 13;
ALTER TABLE renamed SET UNLOGGED;
ALTER TABLE renamed SET LOGGED;
ALTER TABLE renamed ENABLE ROW LEVEL SECURITY;
ALTER TABLE renamed DISABLE ROW LEVEL SECURITY;
INSERT INTO renamed VALUES (14, 'h', 14);
SELECT * FROM differences();

-- Drops: refused, CASCADE, and nothing is left.
DROP TABLE renamed;
BEGIN;
DROP TABLE "App 2".u CASCADE;
SELECT name FROM imat_status ORDER BY name::text;
INSERT INTO renamed VALUES (15, 'h', 15);
ROLLBACK;
INSERT INTO "App 2".u VALUES (15, 'late');
SELECT * FROM differences();
DROP TABLE imat.groups_;
DROP VIEW imat.groups_;
SELECT * FROM differences();
SELECT drop_imat('joined');
SELECT * FROM differences();
SELECT tgrelid::regclass, count(*) FROM pg_trigger WHERE tgname LIKE 'imat%' GROUP BY 1 ORDER BY 1;
DROP TABLE renamed CASCADE;
SELECT * FROM differences();
SELECT count(*) FROM imat_catalog.source;
SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace);
DROP SCHEMA "App 2" CASCADE;

-- The extension: dropped with what it maintains, and made again.
CREATE TABLE t (a integer, b integer);
CREATE VIEW v AS SELECT a, sum(b) AS s FROM t GROUP BY a;
SELECT create_imat('v');
DROP EXTENSION pg_imat;
DROP EXTENSION pg_imat CASCADE;
SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'imat%';
INSERT INTO t VALUES (1, 1);
CREATE EXTENSION pg_imat;
SELECT create_imat('v');
INSERT INTO t VALUES (1, 2), (2, NULL);
TABLE imat.v ORDER BY a;
SELECT * FROM verify_imat('v');
-- A constraint that the state relies on goes: refused at once, with the way out.
CREATE TABLE relied (g integer NOT NULL, n integer NOT NULL);
CREATE VIEW sums AS SELECT g, sum(n) AS s, count(*) AS k FROM relied GROUP BY g;
SELECT create_imat('sums');
INSERT INTO relied VALUES (1, 1);
ALTER TABLE relied ALTER COLUMN n DROP NOT NULL;
INSERT INTO relied VALUES (2, NULL), (1, NULL);
SELECT drop_imat('sums');
ALTER TABLE relied ALTER COLUMN n DROP NOT NULL;
SELECT create_imat('sums');
INSERT INTO relied VALUES (2, NULL), (1, NULL);
TABLE imat.sums ORDER BY g;
SELECT * FROM verify_imat('sums');
-- A function of the view is replaced: the rows are made anew with it at once.
CREATE FUNCTION scaled(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE VIEW scales AS SELECT scaled(n) AS s, count(*) AS k FROM relied GROUP BY scaled(n);
SELECT create_imat('scales');
CREATE OR REPLACE FUNCTION scaled(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 10';
TABLE imat.scales ORDER BY s;
INSERT INTO relied VALUES (1, 5);
TABLE imat.scales ORDER BY s;
SELECT * FROM verify_imat('scales');
-- An enum's label is renamed; one trigger of five can't be switched off.
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE moods (m mood);
CREATE VIEW mooded AS SELECT m, count(*) AS k FROM moods GROUP BY m;
SELECT create_imat('mooded');
INSERT INTO moods VALUES ('sad');
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
INSERT INTO moods VALUES ('blue'), ('glad');
TABLE imat.mooded ORDER BY m;
ALTER TABLE moods DISABLE TRIGGER imat_insert;
INSERT INTO moods VALUES ('blue');
ALTER TABLE moods ENABLE TRIGGER imat_insert;
INSERT INTO moods VALUES ('blue');
TABLE imat.mooded ORDER BY m;
SELECT * FROM verify_imat('mooded');

CREATE SCHEMA tools;
DROP EXTENSION pg_imat CASCADE;
CREATE EXTENSION pg_imat SCHEMA tools;
SELECT tools.create_imat('v');
SELECT tools.create_imat('v'::regclass, 'public');
INSERT INTO t VALUES (2, 3);
TABLE imat.v ORDER BY a;
SELECT * FROM tools.verify_imat('v');
SELECT name FROM tools.imat_status;
