-- Temporary objects in a query, which end with the session and would take along what uses them.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE t (k integer NOT NULL, v text);
CREATE DOMAIN pg_temp.whole AS integer;
CREATE DOMAIN pg_temp.checked AS integer CHECK (VALUE > 0);
CREATE TYPE pg_temp.pair AS (a integer, b text);
CREATE TYPE pg_temp.mood AS ENUM ('sad', 'glad');
CREATE COLLATION pg_temp.plain FROM "C";
CREATE OPERATOR pg_temp.### (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer);
CREATE FUNCTION pg_temp.same(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE AGGREGATE pg_temp.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TEXT SEARCH CONFIGURATION pg_temp.words (COPY = simple);
CREATE TEMPORARY TABLE passing (k integer);
CREATE VIEW pg_temp.below AS SELECT k FROM t;
CREATE VIEW shown AS SELECT k::pg_temp.whole AS k FROM t;
CREATE VIEW hidden AS SELECT (k::pg_temp.whole)::integer AS k FROM t;
CREATE VIEW above AS SELECT k, count(*) AS n FROM hidden GROUP BY k;
CREATE FUNCTION refused(query text) RETURNS text LANGUAGE sql AS $$
    SELECT refusal(format('SELECT create_imat(''it'', query => %L)', query)) $$;
SELECT refusal('SELECT create_imat(''shown'')'), refusal('SELECT create_imat(''hidden'')'), refusal('SELECT create_imat(''above'')');
SELECT refused('SELECT (k::pg_temp.checked)::integer AS k FROM t');
SELECT refused('SELECT (ROW(k, v)::pg_temp.pair)::text AS r FROM t');
SELECT refused('SELECT k FROM t WHERE ''sad''::pg_temp.mood < ''glad''');
SELECT refused('SELECT k FROM t WHERE v < ''b'' COLLATE pg_temp.plain');
SELECT refused('SELECT k OPERATOR(pg_temp.###) 1 AS k FROM t');
SELECT refused('SELECT pg_temp.same(k) AS k FROM t');
SELECT refused('SELECT k, pg_temp.total(k) AS n FROM t GROUP BY k');
SELECT refused('SELECT to_tsvector(''pg_temp.words''::regconfig, v)::text AS w FROM t');
SELECT refused('SELECT k FROM passing');
SELECT refused('SELECT k, count(*) AS n FROM pg_temp.below GROUP BY k');
SELECT * FROM check_imat('SELECT k FROM pg_temp.below');
SELECT name FROM imat_status;
SELECT create_imat('it', query => 'SELECT k, count(*) AS n FROM t GROUP BY k');
