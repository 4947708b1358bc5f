-- Kinds of relations below a maintained table that errors.sql doesn't have: refused with a reason, or right.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE TABLE t (a integer NOT NULL, b text);
INSERT INTO t VALUES (1, 'x'), (2, 'y');

-- PostgreSQL's and pg_imat's own.
SELECT refusal(format('SELECT create_imat(''x'', query => ''SELECT chunk_id FROM %s'')', reltoastrelid::regclass)) FROM pg_class WHERE oid = 't'::regclass;
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT relname FROM pg_stat_user_tables'')');
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT rolname FROM pg_roles'')');
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT column_name::text FROM information_schema.columns'')');
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT strategy, count(*) FROM imat_catalog.imat GROUP BY strategy'')');
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT count(*) FROM imat_catalog.source'')');
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT strategy FROM imat_status'')');

-- Functions in FROM, in a view below, and a materialized view below a view.
CREATE FUNCTION pairs(integer) RETURNS TABLE (n integer) LANGUAGE sql IMMUTABLE AS 'SELECT $1 UNION ALL SELECT $1 + 1';
CREATE FUNCTION peek() RETURNS SETOF t LANGUAGE sql STABLE AS 'SELECT * FROM public.t';
CREATE VIEW below AS SELECT a, n FROM t, pairs(a) AS n;
CREATE VIEW functions AS SELECT n, count(*) AS c FROM below GROUP BY n;
CREATE VIEW constants AS SELECT n FROM generate_series(1, 3) AS n;
SELECT create_imat('functions');
SELECT refusal('SELECT create_imat(''constants'')');
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT a FROM peek()'')');
CREATE MATERIALIZED VIEW stored AS SELECT a, count(*) AS n FROM t GROUP BY a;
CREATE VIEW over_stored AS SELECT sum(n) AS s FROM stored;
CREATE MATERIALIZED VIEW stored_again AS SELECT a FROM stored;
SELECT refusal('SELECT create_imat(''over_stored'')');
SELECT refusal('SELECT create_imat(''stored_again'')');
SELECT create_imat('stored');
CREATE VIEW over_maintained AS SELECT sum(n) AS s FROM imat.stored;
SELECT create_imat('over_maintained');
INSERT INTO t VALUES (1, 'z');
REFRESH MATERIALIZED VIEW stored;
TABLE wrong;

-- A child or partition of a kind that can't be followed, from the start and later.
CREATE TABLE parent (a integer);
CREATE UNLOGGED TABLE unlogged () INHERITS (parent);
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT a FROM parent'')');
DROP TABLE unlogged;
CREATE TEMPORARY TABLE passing () INHERITS (parent);
SELECT refusal('SELECT create_imat(''x'', query => ''SELECT a FROM parent'')');
DROP TABLE passing;
CREATE VIEW parents AS SELECT a, count(*) AS n FROM parent GROUP BY a;
CREATE TABLE parted (a integer) PARTITION BY LIST (a);
CREATE VIEW parts AS SELECT a, count(*) AS n FROM parted GROUP BY a;
SELECT create_imat('parents'), create_imat('parts');
SELECT refusal(command) FROM unnest(ARRAY['CREATE UNLOGGED TABLE later () INHERITS (parent)', 'CREATE TEMPORARY TABLE later () INHERITS (parent)',
    'CREATE FOREIGN TABLE later () INHERITS (parent) SERVER files OPTIONS (filename ''/dev/null'')', 'CREATE UNLOGGED TABLE later PARTITION OF parted DEFAULT',
    'CREATE FOREIGN TABLE later PARTITION OF parted DEFAULT SERVER files OPTIONS (filename ''/dev/null'')', 'CREATE TEMPORARY TABLE later PARTITION OF parted DEFAULT']) AS command;
CREATE TABLE sub PARTITION OF parted DEFAULT PARTITION BY LIST (a);
SELECT refusal('CREATE FOREIGN TABLE later PARTITION OF sub DEFAULT SERVER files OPTIONS (filename ''/dev/null'')');
CREATE TABLE leaf PARTITION OF sub DEFAULT;
INSERT INTO parent VALUES (1); INSERT INTO parted VALUES (1), (NULL);
TABLE wrong;

-- What reads a maintained table is temporary or unlogged: that is the reader's affair.
CREATE TEMPORARY VIEW mine AS SELECT * FROM imat.parts;
CREATE UNLOGGED TABLE copied AS SELECT * FROM imat.parts;
CREATE MATERIALIZED VIEW of_maintained AS SELECT * FROM imat.parts;
INSERT INTO parted VALUES (2);
TABLE mine ORDER BY a;
SELECT refusal('SELECT create_imat(''mine'')');
SELECT drop_imat('mine');
SELECT create_imat('of_maintained');
INSERT INTO parted VALUES (3);
REFRESH MATERIALIZED VIEW of_maintained;
TABLE wrong;
