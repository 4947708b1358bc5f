-- Session settings and search paths must not change a result.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

SET TimeZone = 'UTC';
CREATE TABLE t (at timestamptz NOT NULL, d date NOT NULL, n integer NOT NULL, f double precision, iv interval);
CREATE VIEW days AS SELECT date_trunc('day', at) AS day, count(*) AS k, sum(n) AS s FROM t GROUP BY date_trunc('day', at);
CREATE VIEW texts AS SELECT d::text AS d, at::text AS at, count(*) AS k FROM t GROUP BY d::text, at::text;
CREATE VIEW floats AS SELECT f::text AS f, iv::text AS iv, n FROM t;
CREATE VIEW parsed AS SELECT to_char(at, 'Day DD.MM.YYYY HH24') AS c, extract(hour FROM at) AS h, at::date AS d, n FROM t;
CREATE VIEW plain AS SELECT n, count(*) AS k FROM t WHERE at > '2024-01-01 00:00' GROUP BY n;
SELECT create_imat('days'), create_imat('texts'), create_imat('floats'), create_imat('parsed'), create_imat('plain');
INSERT INTO t VALUES ('2024-03-01 23:30+00', '2024-03-01', 1, 0.1, '1 day 02:00'), ('2024-03-02 00:30+00', '2024-03-02', 2, 1e20, '1 mon');
TABLE wrong;
-- A session elsewhere writes: the groups are still those of the time zone of the creation.
SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -10; SET lc_time = 'C';
INSERT INTO t VALUES ('2024-03-01 23:45+00', '2024-03-01', 4, 0.1234567890123, '1 day 02:00'), ('2024-03-03 12:00+00', '2024-03-03', 8, 1 / 3.0, '1 h');
SELECT difference, times FROM verify_imat('days');
SELECT difference, times FROM verify_imat('texts');
SELECT difference, times FROM verify_imat('floats');
DELETE FROM t WHERE n = 1;
UPDATE t SET n = n + 10 WHERE n = 2;
SELECT current_setting('TimeZone') AS tz, current_setting('DateStyle') AS ds, current_setting('IntervalStyle') AS style, current_setting('extra_float_digits') AS digits;
RESET TimeZone; RESET DateStyle; RESET IntervalStyle; RESET extra_float_digits; RESET lc_time;
SET TimeZone = 'UTC';
TABLE wrong;
TABLE imat.days ORDER BY day;
-- What is made under one setting and read under another: the text of constants.
CREATE VIEW constants AS SELECT n || 'a\b' AS text, d >= '2024-02-01' AS late, count(*) AS k FROM t GROUP BY 1, 2;
SELECT create_imat('constants');
SET DateStyle = 'SQL, DMY'; SET standard_conforming_strings = off;
DELETE FROM t WHERE n = 4;
SET DateStyle = 'SQL, MDY'; SET standard_conforming_strings = on;
INSERT INTO t VALUES ('2024-01-15', '2024-01-15', 5);
RESET DateStyle; RESET standard_conforming_strings;
TABLE wrong;
SELECT drop_imat('constants');
-- An index that may leave rows out.
CREATE TABLE tagged (g integer NOT NULL, n integer, tags integer[]);
CREATE INDEX ON tagged USING gin (tags) WITH (fastupdate = off);
INSERT INTO tagged SELECT i % 3, i, '{1}' FROM generate_series(1, 900) AS i;
CREATE VIEW tags AS SELECT g, count(DISTINCT n) AS d FROM tagged WHERE tags @> '{1}' GROUP BY g;
SELECT create_imat('tags');
SET gin_fuzzy_search_limit = 1;
INSERT INTO tagged VALUES (0, 901, '{1}');
RESET gin_fuzzy_search_limit;
TABLE wrong;
SELECT drop_imat('tags');
-- A failing flush gives the session's settings back.
SET TimeZone = 'Asia/Tokyo';
CREATE FUNCTION picky(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 100 / $1; END $$;
CREATE VIEW picks AS SELECT picky(n) AS p, date_trunc('day', at) AS day FROM t;
SELECT create_imat('picks');
CREATE VIEW pinned AS SELECT name, settings[i] AS setting, settings[i + 1] AS value
    FROM imat_catalog.imat, generate_series(1, cardinality(settings), 2) AS i WHERE settings[i] = 'TimeZone';
-- What depends on a setting pins its value of now; what does not, none.
SELECT * FROM pinned WHERE name::text IN ('imat.days', 'imat.picks', 'imat.plain') ORDER BY name::text;
SELECT drop_imat('picks');
SET TimeZone = 'UTC';
SELECT create_imat('picks');
SET TimeZone = 'Asia/Tokyo';
INSERT INTO t VALUES ('2024-03-05', '2024-03-05', 0);
SELECT current_setting('TimeZone'), current_user;
INSERT INTO t VALUES ('2024-03-05', '2024-03-05', 5);
SET TimeZone = 'UTC';
TABLE wrong;
SELECT * FROM pinned WHERE name = 'imat.picks'::regclass;

-- Schemas in front of pg_catalog with operators, functions, types and tables of the same names.
CREATE SCHEMA evil;
CREATE FUNCTION evil.plus(integer, integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.bigplus(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.gt(bigint, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE OPERATOR evil.+ (FUNCTION = evil.plus, LEFTARG = integer, RIGHTARG = integer);
CREATE OPERATOR evil.+ (FUNCTION = evil.bigplus, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR evil.> (FUNCTION = evil.gt, LEFTARG = bigint, RIGHTARG = integer);
CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = bigint, RIGHTARG = bigint);
CREATE FUNCTION evil.sum(integer) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
CREATE FUNCTION evil.date_trunc(text, timestamptz) RETURNS timestamptz LANGUAGE sql AS 'SELECT now()';
CREATE FUNCTION evil.generate_series(bigint, bigint) RETURNS SETOF bigint LANGUAGE sql AS 'SELECT 1::bigint WHERE false';
CREATE TABLE evil.t (at timestamptz, d date, n integer, f double precision, iv interval);
CREATE TABLE evil.pg_class (oid oid, relname name, relnamespace oid);
CREATE TABLE evil.imat (name regclass);
SET search_path = evil, pg_catalog, public;
INSERT INTO public.t VALUES ('2024-03-06', '2024-03-06', 6, 6, '6 h');
UPDATE public.t SET n = n OPERATOR(pg_catalog.*) 2;
DELETE FROM public.t WHERE n OPERATOR(pg_catalog.=) 16;
SELECT difference, times FROM verify_imat('imat.days');
SELECT difference, times FROM verify_imat('imat.floats');
CREATE VIEW public.again AS SELECT n, pg_catalog.sum(n) AS s FROM public.t GROUP BY n;
SELECT create_imat('public.again');
SELECT refresh_imat('imat.again');
SELECT count(*) FROM explain_imat('imat.again');
-- What the view itself means by a name is settled when it is made.
CREATE VIEW public.own AS SELECT evil.sum(n) AS s, n FROM public.t;
ALTER FUNCTION evil.sum(integer) IMMUTABLE;
SELECT create_imat('public.own');
INSERT INTO public.t VALUES ('2024-03-07', '2024-03-07', 7, 7, '7 h');
RESET search_path;
SET search_path = '';
INSERT INTO public.t VALUES ('2024-03-08', '2024-03-08', 8, 8, '8 h');
SELECT public.create_imat('public.plain', 'evil');
RESET search_path;
TABLE wrong;
SELECT DISTINCT s FROM imat.own;

-- Temporary tables that shadow base tables, states and the extension's own.
CREATE TEMPORARY TABLE t (at timestamptz, d date, n integer, f double precision, iv interval);
CREATE TEMPORARY TABLE days (day timestamptz, k bigint, s bigint);
CREATE TEMPORARY TABLE imat (name regclass);
CREATE TEMPORARY TABLE pg_class (oid oid);
INSERT INTO t VALUES ('2030-01-01', '2030-01-01', 99);
INSERT INTO public.t VALUES ('2024-03-09', '2024-03-09', 9, 9, '9 h');
SELECT create_imat('days');
SELECT create_imat('public.days', 'evil');
SELECT difference, times FROM verify_imat('imat.days');
DROP TABLE t, days, imat, pg_temp.pg_class;
TABLE wrong;
-- Names that the extension gives to its deltas and passing views.
CREATE TEMPORARY VIEW imat_query AS SELECT 1 AS one;
SELECT maintainable FROM check_imat('SELECT n FROM t');
SELECT create_imat('passing', query => 'SELECT n FROM t');
SELECT * FROM imat_query;
SELECT drop_imat('passing');
DROP VIEW imat_query;
CREATE TEMPORARY TABLE delta_0 (n integer); CREATE TEMPORARY TABLE imat_delta_0 (n integer);
INSERT INTO t VALUES ('2024-03-10', '2024-03-10', 10, 10, '10 h');
TABLE wrong;
