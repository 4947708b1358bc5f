-- Functions of a view that look for names on the search path: told when the maintained table is created, or how to mend it.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
\set SHOW_CONTEXT never
CREATE TABLE t (a integer, b text, c numeric);
CREATE TABLE rate (factor integer);
CREATE DOMAIN small AS integer CHECK (value < 100);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE pair AS (a integer, b text);
CREATE FUNCTION g(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE OPERATOR @# (FUNCTION = g, RIGHTARG = integer);
CREATE FUNCTION in_sql(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 > 100 THEN g($1) ELSE 0 END';
CREATE FUNCTION in_plpgsql(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN g($1); END';
CREATE FUNCTION strict(integer, text, small, mood, pair, integer[], jsonb, timestamptz, boolean, uuid, int4range, interval, inet) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN RETURN g($1); END';
CREATE FUNCTION operator_in(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN @# $1; END';
CREATE FUNCTION table_in(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * (SELECT min(factor) FROM rate); END';
CREATE FUNCTION type_in(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1::small; END';
CREATE FUNCTION below(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.in_plpgsql($1); END';
CREATE FUNCTION step(integer, integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + g($2); END';
CREATE AGGREGATE total(integer) (SFUNC = step, STYPE = integer, INITCOND = '0');
CREATE FUNCTION noisy(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE NOTICE ''noisy %'', $1; RETURN $1; END';
CREATE FUNCTION picky(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF $1 < 100 THEN RAISE ''no %'', $1; END IF; RETURN $1; END';
CREATE FUNCTION dynamic(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'DECLARE r integer; BEGIN EXECUTE ''SELECT min(factor) FROM public.'' || $1 INTO r; RETURN r; END';
CREATE FUNCTION polymorphic(anyelement) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 ->> ''a''; END';
CREATE FUNCTION branches(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF $1 > 5 THEN RETURN g($1); END IF; RETURN $1; END';
CREATE FUNCTION bound(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN g($1);
CREATE FUNCTION with_path(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE SET search_path = public AS 'BEGIN RETURN g($1); END';

-- Told at once, over a table without rows, by create_imat and check_imat alike.
CREATE TABLE tried (place serial, expression text, at_creation text, by_check text);
INSERT INTO tried (expression) SELECT unnest(ARRAY['in_sql(a)', 'in_plpgsql(a)',
    'strict(a, b, a, ''low'', ROW(a, b)::pair, ARRAY[a], to_jsonb(a), to_timestamp(a), a > 1, md5(b)::uuid, int4range(a, a), make_interval(a), ''1.2.3.4'')',
    'operator_in(a)', 'table_in(a)', 'type_in(a)', 'below(a)', 'total(a)', 'noisy(a)', 'picky(a)', 'dynamic(b)', 'polymorphic(to_jsonb(b))',
    'branches(a)', 'bound(a)', 'with_path(a)']);
UPDATE tried SET at_creation = refusal(format('SELECT create_imat(%L, query => %L)', 'v' || place, format('SELECT %s AS v FROM t', expression))),
    by_check = (SELECT concat_ws(' | ', maintainable, strategy, reason) FROM check_imat(format('SELECT %s AS v FROM t', expression)));
SELECT expression, at_creation FROM tried ORDER BY place;
SELECT expression, by_check FROM tried WHERE (by_check LIKE 't %') <> (at_creation = 'accepted') ORDER BY place;
SELECT hint FROM check_imat('SELECT in_plpgsql(a) FROM t');

-- Those that are accepted work, but for branches; and the error says how to mend that.
INSERT INTO rate VALUES (2);
SELECT count(drop_imat('v' || place)) FROM tried WHERE expression = 'noisy(a)';
INSERT INTO t VALUES (200, 'rate', 1);
SELECT count(drop_imat('v' || place)) FROM tried WHERE expression = 'branches(a)';
INSERT INTO t VALUES (200, 'rate', 1);
SELECT count(*), min(v) FROM (TABLE imat.v10 UNION ALL TABLE imat.v11 UNION ALL TABLE imat.v14 UNION ALL TABLE imat.v15) AS u(v);
CREATE VIEW branched AS SELECT branches(a) AS b, count(*) AS n FROM t GROUP BY 1;
SELECT refusal($$SELECT create_imat('branched')$$);
ALTER FUNCTION branches(integer) SET search_path FROM CURRENT;
SELECT create_imat('branched');
INSERT INTO t VALUES (300, 'rate', 1), (3, 'rate', 1);
SELECT exact('branched');
ALTER FUNCTION branches(integer) RESET search_path;
SELECT refusal($$INSERT INTO t VALUES (400, 'rate', 1)$$);

-- As told.
ALTER FUNCTION in_sql(integer) SET search_path FROM CURRENT;
CREATE VIEW mended AS SELECT in_sql(a) AS v FROM t;
SELECT create_imat('mended');
SELECT exact('mended');

-- They are tried as the view's owner, whoever asks, and what they do is undone.
CREATE ROLE imat_author;
CREATE SCHEMA his AUTHORIZATION imat_author;
CREATE TABLE tries (who text);
GRANT INSERT ON tries TO PUBLIC;
SET ROLE imat_author;
CREATE TABLE his.t (a integer);
CREATE FUNCTION his.note() RETURNS void LANGUAGE sql VOLATILE AS 'INSERT INTO public.tries VALUES (current_user)';
CREATE FUNCTION his.trier(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM his.note(); RETURN $1; END';
CREATE FUNCTION his.teller(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN RAISE ''nothing for % under %'', current_user, current_setting(''search_path'') USING ERRCODE = ''undefined_function''; END';
CREATE VIEW his.trying AS SELECT his.trier(a) AS v FROM his.t;
CREATE VIEW his.telling AS SELECT his.teller(a) AS v FROM his.t;
RESET ROLE;
SELECT refusal($$SELECT create_imat('his.telling')$$), refusal($$SELECT create_imat('his.trying')$$);
SELECT maintainable, reason FROM check_imat('his.telling');
-- Who only asks of a query runs the functions of nobody else.
SELECT maintainable, reason FROM check_imat('SELECT his.teller(a) AS v FROM his.t');
TABLE tries;
-- One who does not own the view is told so.
CREATE ROLE imat_stranger;
GRANT USAGE ON SCHEMA his TO imat_stranger;
SET ROLE imat_stranger;
SELECT maintainable, reason FROM check_imat('his.telling');
RESET ROLE;
DROP OWNED BY imat_stranger;
DROP ROLE imat_stranger;
-- What fails of a made-up value alone stands in nobody's way: no text search configuration has the number 1, and
-- a function may go on for ever for some value.
CREATE FUNCTION searched(regconfig, text) RETURNS tsvector IMMUTABLE LANGUAGE sql AS 'SELECT to_tsvector($1, $2)';
CREATE FUNCTION endless(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN IF $1 = 1 THEN RETURN public.endless($1); END IF; RETURN $1; END';
CREATE TABLE words (id integer PRIMARY KEY, body text);
CREATE VIEW found AS SELECT id, searched('english', body) AS v, endless(id) FROM words;
SELECT create_imat('found');
INSERT INTO words VALUES (2, 'two words');
SELECT exact('found');
DROP OWNED BY imat_author CASCADE;
DROP ROLE imat_author;
