-- Nobody but the extension writes to a maintained table.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer NOT NULL, b integer NOT NULL, c integer);
INSERT INTO t VALUES (1, 10, 1), (2, 20, NULL);
CREATE VIEW as_table AS SELECT a, count(*) AS n, sum(b) AS s FROM t GROUP BY a;
CREATE VIEW as_view AS SELECT a, avg(c) AS mean FROM t GROUP BY a;
CREATE VIEW as_rows AS SELECT a, b FROM t;
CREATE VIEW as_whole AS SELECT DISTINCT b FROM t;
SELECT create_imat('as_table'), create_imat('as_view'), create_imat('as_rows'), create_imat('as_whole');
SELECT name, state = name AS is_the_state, relkind FROM imat_status JOIN pg_class AS c ON c.oid = name ORDER BY name::text;

INSERT INTO imat.as_table VALUES (9, 9, 9);
UPDATE imat.as_table SET n = 0;
UPDATE imat.as_table SET n = 0 WHERE false;
DELETE FROM imat.as_table;
TRUNCATE imat.as_table;
COPY imat.as_table FROM stdin;
9	9	9
\.
INSERT INTO imat.as_table VALUES (1, 1, 1) ON CONFLICT DO NOTHING;
WITH w AS (DELETE FROM imat.as_table RETURNING *) SELECT * FROM w;

INSERT INTO imat.as_view VALUES (9, 9);
UPDATE imat.as_view SET mean = 0;
UPDATE imat.as_view SET mean = 0 WHERE false;
DELETE FROM imat.as_view WHERE a = 1;
TRUNCATE imat.as_view;
COPY imat.as_view FROM stdin;
9	9
\.
INSERT INTO imat_state.as_view SELECT * FROM imat_state.as_view;
UPDATE imat_state.as_view SET a = a;
DELETE FROM imat_state.as_view;
TRUNCATE imat_state.as_view;

INSERT INTO imat.as_rows VALUES (9, 9);
DELETE FROM imat.as_rows;
UPDATE imat.as_rows SET b = 1;
INSERT INTO imat.as_whole VALUES (9);
DELETE FROM imat.as_whole;
UPDATE imat.as_whole SET b = 1;
TABLE wrong;

-- Not by way of a base table's trigger or a foreign key either.
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE TG_ARGV[0]; RETURN NULL; END $$;
CREATE TRIGGER meddle AFTER INSERT ON t EXECUTE FUNCTION meddle('DELETE FROM imat.as_table');
INSERT INTO t VALUES (3, 30, 3);
DROP TRIGGER meddle ON t;
CREATE TRIGGER meddle AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle('UPDATE imat.as_view SET mean = 1');
INSERT INTO t VALUES (3, 30, 3);
DROP TRIGGER meddle ON t;

-- Nor by a function that the view itself calls while it is maintained. PostgreSQL lets none that is
-- declared immutable write, but what such a one calls may.
CREATE FUNCTION accomplice() RETURNS void LANGUAGE plpgsql VOLATILE AS $$ BEGIN DELETE FROM imat.as_table; END $$;
CREATE FUNCTION sly(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.accomplice(); RETURN $1; END $$;
CREATE VIEW slyly AS SELECT sly(a) AS a FROM t;
SELECT create_imat('slyly');
CREATE OR REPLACE FUNCTION accomplice() RETURNS void LANGUAGE plpgsql VOLATILE AS $$ BEGIN END $$;
SELECT create_imat('slyly');
CREATE OR REPLACE FUNCTION sly(integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM public.accomplice(); RETURN $1; END $$;
CREATE OR REPLACE FUNCTION accomplice() RETURNS void LANGUAGE plpgsql VOLATILE AS $$ BEGIN DELETE FROM imat.as_table; END $$;
INSERT INTO t VALUES (4, 40, 4);
SELECT refresh_imat('slyly');
SELECT drop_imat('slyly');
INSERT INTO t VALUES (5, 50, 5);
TABLE wrong;

-- Reading, locking and maintenance commands are allowed.
SELECT count(*) FROM imat.as_table, imat.as_view, imat.as_rows, imat.as_whole;
VACUUM imat.as_table;
ANALYZE imat.as_table, imat_state.as_view;
CREATE INDEX ON imat.as_table (s);
COPY imat.as_table TO stdout;
INSERT INTO t VALUES (6, 60, 6);
TABLE wrong;

-- What a schema-only dump restores: triggers without a catalog. The change finds its maintained table.
CREATE TABLE orphan (n integer);
CREATE VIEW over_orphan AS SELECT count(*) AS k FROM orphan;
SELECT create_imat('over_orphan');
DELETE FROM imat_catalog.source WHERE base = 'orphan'::regclass;
\c
INSERT INTO orphan VALUES (1);
TABLE imat.over_orphan;
-- A trigger of ours under another name is somebody's copy.
DELETE FROM imat_catalog.source WHERE base = 'orphan'::regclass;
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER TRIGGER imat_open ON orphan RENAME TO imat_open_1;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
\c
INSERT INTO orphan VALUES (2);
