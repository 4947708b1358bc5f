-- Types of columns that are altered: enums, composite types, domains; columns that change their type.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN short AS text;
CREATE TABLE t (id integer PRIMARY KEY, m mood NOT NULL, p pair, n positive, s short, free integer, v varchar(5), i integer);
INSERT INTO t VALUES (1, 'sad', (1, 'x'), 1, 'one', 1, 'a', 1), (2, 'glad', (1, 'x'), 2, 'two', 2, 'b', 2), (3, 'sad', NULL, 3, NULL, 3, 'a', 3);
CREATE VIEW moods AS SELECT m, count(*) AS c, max(m) AS most FROM t GROUP BY m;
CREATE VIEW extremes AS SELECT max(m) AS most, min(m) AS least, string_agg(m::text, ',' ORDER BY m, id) AS all_ FROM t;
CREATE VIEW pairs AS SELECT id, p, (p).a AS a, p::text AS shown FROM t;
CREATE VIEW by_pair AS SELECT p, count(*) AS c FROM t GROUP BY p;
CREATE VIEW domains AS SELECT n, s, sum(n) AS total FROM t GROUP BY n, s;
CREATE VIEW cast_ AS SELECT id, free::positive AS n FROM t WHERE free IS NOT NULL;
CREATE VIEW lengths AS SELECT v, avg(i) AS mean FROM t GROUP BY v;
SET client_min_messages = warning;
SELECT create_imat(name) FROM unnest(ARRAY['moods', 'extremes', 'pairs', 'by_pair', 'domains', 'cast_', 'lengths']) AS name;
RESET client_min_messages;
TABLE wrong;

-- Labels: one more in between, another name. A new label can be used by those that were there.
ALTER TYPE mood ADD VALUE 'fine' BEFORE 'glad';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'thrilled';
INSERT INTO t VALUES (4, 'fine'), (5, 'thrilled');
SELECT * FROM imat.extremes;
TABLE wrong;
ALTER TYPE mood RENAME VALUE 'fine' TO 'aaa';
SELECT * FROM imat.extremes;
TABLE wrong;
UPDATE t SET m = 'aaa' WHERE id = 1;
DELETE FROM t WHERE m = 'thrilled';
TABLE wrong;
ALTER TYPE mood RENAME TO temper;
CREATE SCHEMA types;
ALTER TYPE temper SET SCHEMA types;
UPDATE t SET m = 'glad' WHERE id = 1;
TABLE wrong;
ALTER SCHEMA types RENAME TO kinds;
UPDATE t SET m = 'aaa' WHERE id = 1;
TABLE wrong;
ALTER TYPE kinds.temper SET SCHEMA public;
DROP SCHEMA kinds;
UPDATE t SET m = 'sad' WHERE id = 1;
TABLE wrong;

-- Composite types.
ALTER TYPE pair ADD ATTRIBUTE c integer;
ALTER TYPE pair DROP ATTRIBUTE b;
ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint;
ALTER TYPE pair RENAME ATTRIBUTE c TO d;
ALTER TYPE pair RENAME TO couple;
UPDATE t SET p = (2, 7) WHERE id = 2;
INSERT INTO t (id, m, p) VALUES (6, 'sad', (2, 7));
TABLE wrong;

-- Domains: a new constraint is checked where values are made, a dropped one is not.
ALTER DOMAIN positive ADD CONSTRAINT small CHECK (VALUE < 100);
INSERT INTO t (id, m, n) VALUES (7, 'sad', 200);
INSERT INTO t (id, m, free) VALUES (7, 'sad', 200);
INSERT INTO t (id, m, n, free) VALUES (7, 'sad', 50, 50);
TABLE wrong;
ALTER DOMAIN positive DROP CONSTRAINT small;
INSERT INTO t (id, m, n, free) VALUES (8, 'sad', 200, 200);
TABLE wrong;
ALTER DOMAIN positive DROP CONSTRAINT positive_check;
INSERT INTO t (id, m, n, free) VALUES (9, 'sad', -1, -1);
TABLE wrong;
ALTER DOMAIN positive ADD CHECK (VALUE > -1);
ALTER DOMAIN positive ADD CONSTRAINT late CHECK (VALUE > -1) NOT VALID;
INSERT INTO t (id, m, n) VALUES (10, 'sad', -5);
UPDATE t SET i = 7 WHERE id = 9;
DELETE FROM t WHERE id = 9;
TABLE wrong;
ALTER DOMAIN positive VALIDATE CONSTRAINT late;
ALTER DOMAIN short SET NOT NULL;
ALTER DOMAIN short SET DEFAULT 'none';
ALTER DOMAIN short RENAME TO brief;
INSERT INTO t (id, m) VALUES (11, 'sad');
TABLE wrong;

-- Columns: a used one keeps its type, as PostgreSQL wants it for any view.
ALTER TABLE t ALTER v TYPE text;
ALTER TABLE t ALTER i TYPE bigint;
ALTER TABLE t ALTER m TYPE text;
SELECT drop_imat('lengths');
DROP VIEW lengths;
ALTER TABLE t ALTER v TYPE text, ALTER i TYPE bigint USING i * 10;
CREATE VIEW lengths AS SELECT v, avg(i) AS mean FROM t GROUP BY v;
SELECT create_imat('lengths');
INSERT INTO t (id, m, v, i) VALUES (12, 'sad', 'longer than five', 5);
TABLE wrong;

-- The columns of a view, where a query uses its row as a whole.
CREATE VIEW below AS SELECT id, free AS n FROM t;
CREATE VIEW between AS SELECT b AS whole FROM below AS b;
CREATE VIEW rows_ AS SELECT to_jsonb(b) AS j FROM below AS b;
CREATE VIEW rows_between AS SELECT to_jsonb(whole) AS j FROM between;
CREATE VIEW sums_below AS SELECT n, count(*) AS c FROM below GROUP BY n;
SET client_min_messages = warning;
SELECT create_imat(name) FROM unnest(ARRAY['rows_', 'rows_between', 'sums_below']) AS name;
RESET client_min_messages;
ALTER VIEW below RENAME COLUMN n TO number;
TABLE wrong;
ALTER TABLE below RENAME COLUMN id TO key;
TABLE wrong;
SELECT DISTINCT jsonb_object_keys(j) AS key FROM imat.rows_ ORDER BY key;
ALTER VIEW between RENAME COLUMN whole TO all_;
ALTER VIEW below RENAME TO underneath;
UPDATE t SET free = 20 WHERE id = 1;
TABLE wrong;
