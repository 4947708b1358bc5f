-- What is dropped by other roads: schemas, roles, columns, views, the extension. Nothing of pg_imat is left.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE VIEW leftovers AS
    SELECT 'bookkeeping' AS kind, name::text AS what FROM imat_catalog.source WHERE name NOT IN (SELECT i.name FROM imat_catalog.imat AS i)
    UNION ALL SELECT 'trigger', tgrelid::regclass::text || ' ' || tgname FROM pg_trigger
        WHERE tgname LIKE 'imat\_%' AND tgrelid NOT IN (SELECT relation FROM imat_catalog.source UNION SELECT name FROM imat_catalog.imat
            UNION SELECT state FROM imat_catalog.imat)
    UNION ALL SELECT 'relation', oid::regclass::text FROM pg_class
        WHERE relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace) AND relkind IN ('r', 'v')
            AND oid NOT IN (SELECT name FROM imat_catalog.imat UNION SELECT state FROM imat_catalog.imat)
    UNION ALL SELECT 'definition', oid::regclass::text FROM pg_class
        WHERE relnamespace = 'imat_catalog'::regnamespace AND relkind = 'v' AND relname NOT IN ('builders', 'progress', 'unadopted')
            AND oid NOT IN (SELECT definition FROM imat_catalog.imat);

CREATE SCHEMA app;
CREATE TABLE app.t (id integer PRIMARY KEY, g text, n integer, spare integer);
CREATE TABLE stays (id integer PRIMARY KEY, label text);
INSERT INTO app.t VALUES (1, 'a', 1, 0), (2, 'b', 2, 0);
INSERT INTO stays VALUES (1, 'one'), (2, 'two');
CREATE MATERIALIZED VIEW groups_ AS SELECT g, avg(n) AS mean FROM app.t GROUP BY g;
CREATE VIEW joined AS SELECT s.label, t.n FROM app.t JOIN stays AS s USING (id);
CREATE VIEW labels AS SELECT label, count(*) AS c FROM stays GROUP BY label;
SELECT create_imat('groups_'), create_imat('joined'), create_imat('labels');
CREATE VIEW stacked AS SELECT count(*) AS c FROM imat.groups_;
SELECT create_imat('stacked');

-- A schema that holds base tables: refused, or with all that reads them.
DROP SCHEMA app;
BEGIN;
DROP SCHEMA app CASCADE;
SELECT name FROM imat_status ORDER BY name::text;
TABLE leftovers;
INSERT INTO stays VALUES (3, 'three');
TABLE wrong;
ROLLBACK;
-- Columns that are used: refused, and the maintained tables that use them with CASCADE.
ALTER TABLE app.t DROP spare;
ALTER TABLE app.t DROP n;
BEGIN;
ALTER TABLE app.t DROP n CASCADE;
SELECT name FROM imat_status ORDER BY name::text;
INSERT INTO app.t VALUES (3, 'c');
TABLE leftovers;
TABLE wrong;
ROLLBACK;
-- A constraint that a query relies on.
CREATE VIEW by_key AS SELECT t.id, t.g, count(*) AS c FROM app.t AS t GROUP BY t.id;
SELECT create_imat('by_key');
ALTER TABLE app.t DROP CONSTRAINT t_pkey;
BEGIN;
ALTER TABLE app.t DROP CONSTRAINT t_pkey CASCADE;
SELECT name FROM imat_status ORDER BY name::text;
TABLE leftovers;
ROLLBACK;
-- The views themselves, in whatever way.
DROP MATERIALIZED VIEW groups_;
CREATE SCHEMA views;
ALTER VIEW joined SET SCHEMA views;
DROP SCHEMA views CASCADE;
INSERT INTO app.t VALUES (4, 'a', 4);
INSERT INTO stays VALUES (4, 'four');
SELECT s.name, count(v) FROM imat_status AS s LEFT JOIN LATERAL verify_imat(s.name::text) AS v ON true GROUP BY s.name ORDER BY s.name::text;
-- A maintained table that another one reads; its schemas.
DROP VIEW imat.groups_;
DROP SCHEMA imat CASCADE;
DROP TABLE imat_catalog.imat CASCADE;
DROP FUNCTION imat_catalog.capture() CASCADE;
BEGIN;
DROP VIEW imat.groups_ CASCADE;
SELECT name FROM imat_status ORDER BY name::text;
TABLE leftovers;
INSERT INTO app.t VALUES (5, 'a', 5);
ROLLBACK;
CREATE SCHEMA mine;
SELECT create_imat('labels'::regclass, 'mine');
ALTER SCHEMA mine RENAME TO ours;
INSERT INTO stays VALUES (5, 'five');
SELECT * FROM verify_imat('ours.labels');
DROP SCHEMA ours;
DROP SCHEMA ours CASCADE;
TABLE leftovers;
INSERT INTO stays VALUES (6, 'six');
SELECT * FROM verify_imat('labels');

-- What a role owns.
CREATE ROLE regress_owner;
GRANT CREATE, USAGE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE owned (a integer, b integer);
INSERT INTO owned VALUES (1, 1), (2, 2);
CREATE VIEW sums AS SELECT a, avg(b) AS mean FROM owned GROUP BY a;
SELECT create_imat('sums');
RESET ROLE;
CREATE ROLE regress_heir;
REASSIGN OWNED BY regress_owner TO regress_heir;
INSERT INTO owned VALUES (1, 2);
SELECT * FROM verify_imat('sums');
SELECT i.name, array_agg(DISTINCT c.relowner::regrole) FROM imat_catalog.imat AS i JOIN pg_class AS c ON c.oid IN (i.name, i.state, i.definition)
    WHERE i.name = 'imat.sums'::regclass GROUP BY i.name;
DROP OWNED BY regress_heir;
TABLE leftovers;
SELECT to_regclass('owned') IS NULL AND to_regclass('imat.sums') IS NULL AS gone;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner, regress_heir;

-- The extension: it stays where it is; when it goes, tables and views stay and can be written.
ALTER EXTENSION pg_imat SET SCHEMA app;
\set VERBOSITY terse
DROP EXTENSION pg_imat;
\set VERBOSITY verbose
SELECT count(*) FROM imat_status;
SET client_min_messages = warning;
BEGIN;
DROP EXTENSION pg_imat CASCADE;
ROLLBACK;
RESET client_min_messages;
INSERT INTO app.t VALUES (7, 'rolled', 7);
SELECT s.name, count(v) FROM imat_status AS s LEFT JOIN LATERAL verify_imat(s.name::text) AS v ON true GROUP BY s.name ORDER BY s.name::text;
CREATE MATERIALIZED VIEW kept AS SELECT g, count(*) AS c FROM app.t GROUP BY g;
SELECT create_imat('kept');
SET client_min_messages = warning;
DROP EXTENSION pg_imat CASCADE;
RESET client_min_messages;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'imat%'
    UNION ALL SELECT evtname FROM pg_event_trigger UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'imat\_%';
INSERT INTO app.t VALUES (8, 'free', 8);
UPDATE stays SET label = 'new' WHERE id = 1;
DELETE FROM app.t WHERE id = 7;
TRUNCATE stays;
ALTER TABLE app.t ALTER n TYPE bigint;
REFRESH MATERIALIZED VIEW kept;
SELECT * FROM kept ORDER BY g;
CREATE EXTENSION pg_imat;
SELECT create_imat('kept');
INSERT INTO app.t VALUES (9, 'free', 9);
SELECT * FROM imat.kept ORDER BY g;
SELECT * FROM verify_imat('kept');
