-- A maintained table must mean what its view means, whatever PostgreSQL's text of it leaves out,
-- and must not rest on functions that can change their mind unseen.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

-- Operators that the text of a view can't name, where the view uses the text operators as well.
CREATE EXTENSION citext;
CREATE TABLE t (id integer, c citext, s text);
CREATE TABLE u (c citext, label text);
INSERT INTO t VALUES (1, 'A', 'z'), (2, 'b', 'a'), (3, NULL, NULL);
INSERT INTO u VALUES ('a', 'one'), ('B', 'two'), (NULL, 'none');
CREATE VIEW cases AS SELECT id, CASE c WHEN 'a' THEN 1 ELSE 0 END AS x, c = 'b' AS y, s = 'z' AS z FROM t;
CREATE VIEW using_ci AS SELECT id, label, c, s = 'z' AS z FROM t JOIN u USING (c);
CREATE VIEW nullifs AS SELECT id, nullif(c, 'A') IS NULL AS n, c IS DISTINCT FROM 'B' AS d, nullif(s, 'z') AS z FROM t;
CREATE VIEW in_query AS SELECT id FROM t WHERE c IN (SELECT u.c FROM u) AND s IN ('z', 'a');
CREATE VIEW natural_ci AS SELECT label, count(*) AS n FROM t NATURAL JOIN u GROUP BY label;
SELECT create_imat(v) FROM unnest('{cases,using_ci,nullifs,in_query,natural_ci}'::text[]) AS v;
TABLE imat.cases ORDER BY id;
TABLE wrong;
INSERT INTO t VALUES (4, 'a', 'z'), (5, 'B', 'z');
UPDATE t SET c = upper(c::text) WHERE id = 2;
DELETE FROM u WHERE label = 'one';
TABLE wrong;
TABLE imat.nullifs ORDER BY id;
-- check_imat says what create_imat does.
SELECT maintainable, strategy, reason FROM check_imat('SELECT * FROM t WHERE c IS DISTINCT FROM ''A''');
-- A view over such a view is made of its text.
CREATE VIEW over AS SELECT x, count(*) AS n FROM cases GROUP BY x;
SELECT create_imat('over');
INSERT INTO t VALUES (6, 'a', 'z'), (7, 'A', 'z');
TABLE wrong;
-- Types that have no other operator than that of their extension.
CREATE EXTENSION hstore;
CREATE TABLE h (id integer, h hstore);
CREATE VIEW distinct_h AS SELECT id, h IS DISTINCT FROM 'a=>1' AS d FROM h;
SELECT create_imat('distinct_h');
INSERT INTO h VALUES (1, 'a=>1'), (2, 'a=>2'), (3, NULL);
TABLE wrong;
SELECT maintainable, strategy, reason FROM check_imat('SELECT label FROM t JOIN u USING (c)');
SELECT create_imat('checked', query => 'SELECT label FROM t JOIN u USING (c)');
SELECT drop_imat('checked');
-- The operator that is meant comes before PostgreSQL's own of the same types: no path finds it.
CREATE SCHEMA odd;
CREATE FUNCTION odd.eq(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2 OPERATOR(pg_catalog.=) $2 / 2';
CREATE OPERATOR odd.= (FUNCTION = odd.eq, LEFTARG = integer, RIGHTARG = integer);
SET search_path = odd, pg_catalog, public;
CREATE VIEW public.halves AS SELECT id, CASE id WHEN 2 THEN 'two' ELSE '' END AS x, id OPERATOR(pg_catalog.=) 3 AS y FROM public.t;
RESET search_path;
SELECT create_imat('halves');
SELECT * FROM check_imat('TABLE halves');
CREATE VIEW named AS SELECT id, id OPERATOR(odd.=) 2 AS two, id = 3 AS three FROM t;
SELECT create_imat('named');
INSERT INTO t VALUES (2, 'x', 'x');
TABLE wrong;

-- What PostgreSQL reads in another form than it wrote it, tables altered since, and ORDER BY.
CREATE TABLE a (k integer, v varchar(9), n numeric, i integer, gone integer);
CREATE TABLE b (k integer, w text);
INSERT INTO a VALUES (1, 'x', 1, 1), (2, 'y', 2.0, 2), (3, NULL, NULL, NULL);
INSERT INTO b VALUES (1, 'one'), (2, 'two');
CREATE VIEW lists AS SELECT k FROM a WHERE v IN ('x', 'y') AND n = ANY (ARRAY[1, 2, i]) ORDER BY upper(v), k DESC;
CREATE VIEW altered AS SELECT k, v, w FROM a JOIN b USING (k) ORDER BY w;
CREATE VIEW full_join AS SELECT k, a.v, b.w FROM a FULL JOIN b USING (k);
CREATE VIEW whole_join AS SELECT to_json(j)::text AS j FROM (a JOIN b USING (k)) AS j;
CREATE VIEW windows AS SELECT k, rank() OVER (ORDER BY n) AS r, sum(n) OVER (ORDER BY k RANGE 1 PRECEDING) AS s FROM a;
CREATE VIEW unions AS SELECT k, v FROM a UNION SELECT k, w FROM b INTERSECT SELECT 1, 'one' ORDER BY 1;
CREATE VIEW constants AS SELECT k, interval '1' day AS i, '{"a": 1.0}'::jsonb AS j, 1.50 AS n, -1 AS m, 1e300 AS big, '[1,2)'::int4range AS r,
    'a'::regclass::oid = 'a'::regclass AS c, CAST('ab' AS char(3)) AS ch, B'101' AS bits, '\x01'::bytea AS b FROM a;
ALTER TABLE a DROP COLUMN gone;
ALTER TABLE a ADD COLUMN late text;
ALTER TABLE a RENAME COLUMN v TO renamed;
SELECT create_imat(v) FROM unnest('{lists,altered,full_join,windows,unions,constants}'::text[]) AS v;
SELECT create_imat('whole_join');
CREATE VIEW whole_again AS SELECT to_json(j)::text AS j FROM (a JOIN b USING (k)) AS j;
SELECT create_imat('whole_again');
INSERT INTO a VALUES (4, 'x', 2, 2, 'l');
INSERT INTO b VALUES (4, 'four');
TABLE wrong;

CREATE TYPE row2 AS (a integer, b text);
CREATE VIEW typed AS SELECT k, ROW(k, renamed)::row2 AS r, '(1,x)'::row2 AS c, ARRAY['(1,x)'::row2] AS cs FROM a;
ALTER TYPE row2 ADD ATTRIBUTE z integer;
SELECT create_imat('typed');
INSERT INTO a VALUES (5, 'z', 2, 2, 'l');
TABLE wrong;

-- The settings of a maintained table are those of the session that creates it.
SET DateStyle = 'German'; SET extra_float_digits = 0; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'escape';
CREATE TABLE d (d date, f float8, i interval, b bytea);
INSERT INTO d VALUES ('2020-12-24', 0.1::float8 + 0.2, '1 day 2 hours', '\x4142');
CREATE VIEW texts AS SELECT d::text AS d, f::text AS f, i::text AS i, b::text AS b FROM d;
CREATE VIEW folded AS SELECT d, interval '1 day 02:00'::text AS i, (0.1::float8 + 0.2)::text AS f FROM d;
SELECT create_imat('texts'), create_imat('folded');
TABLE imat.texts;
TABLE texts;
TABLE imat.folded;
TABLE folded;
RESET DateStyle; RESET extra_float_digits; RESET IntervalStyle; RESET bytea_output;
INSERT INTO d VALUES ('2020-12-25', 0.1::float8 + 0.2, '1 day 3 hours', '\x4142');
SET DateStyle = 'German'; SET extra_float_digits = 0; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'escape';
SELECT exact('texts'), exact('folded');
TABLE imat.folded;
RESET DateStyle; RESET extra_float_digits; RESET IntervalStyle; RESET bytea_output;
SELECT drop_imat('texts'), drop_imat('folded');

-- Functions that print a value of any type do so by the type's own function.
CREATE TYPE pair AS (a integer, r regclass);
CREATE TABLE refs (id integer, r regclass, rs regclass[], p pair, f float8, n integer, js jsonb);
INSERT INTO refs VALUES (1, 't', '{t}', '(1,t)', 1, 1, '{}');
SELECT q, maintainable, reason FROM unnest(ARRAY['concat(r)', 'to_jsonb(r)', $$'x' || r$$, 'rs::text', 'array_to_string(rs, $$,$$)', 'p::text', 'format($$%s$$, r)', 'to_json(ROW(id, r))',
    'jsonb_build_object(id, rs)', 'quote_literal(r)', 'XMLELEMENT(name e, r)::text', 'XMLFOREST(r AS r)::text', 'r', 'rs[1]', 'concat(n, f)', 'to_jsonb(ROW(id, n))', 'array_fill(r, $${1}$$)'])
    AS q, check_imat('SELECT id, ' || q || ' AS q FROM refs');
SELECT q, maintainable, reason FROM unnest(ARRAY['json_agg(r)', 'json_agg(n)', 'jsonb_object_agg(n, p)', 'array_agg(r)', 'count(r)', 'string_agg(concat(n), $$,$$)'])
    AS q, check_imat('SELECT ' || q || ' AS q FROM refs GROUP BY id');
SELECT maintainable, reason FROM check_imat('SELECT row_to_json(q) FROM (SELECT id, r FROM refs) AS q');
SELECT maintainable, reason FROM check_imat('SELECT row_to_json(q) FROM (SELECT id, n FROM refs) AS q');
SELECT maintainable, reason FROM check_imat('SELECT row_to_json(refs) FROM refs');
SELECT maintainable, reason FROM check_imat('SELECT row_to_json(v) FROM (VALUES (1, 2)) AS v, refs');
SELECT maintainable, reason FROM check_imat('SELECT row_to_json(j) FROM (refs JOIN t USING (id)) AS j');
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN '1'; END $$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE TABLE moods (id integer, m mood);
SELECT q, maintainable, reason FROM unnest('{to_json(m),to_jsonb(ARRAY[m]),m}'::text[]) AS q, check_imat('SELECT ' || q || ' AS q FROM moods');

-- Constructs that read or print values without being functions.
CREATE TABLE x (id integer, x xml, b bytea, a text);
INSERT INTO x VALUES (1, '<r><t>1</t></r>', '\x02', 'a');
SELECT c, maintainable, reason FROM unnest('{integer,text,timestamptz,date,numeric,timestamptz[]}'::text[]) AS c,
    check_imat(format('SELECT x.id, q.t FROM x, XMLTABLE(''/r'' PASSING x COLUMNS t %s PATH ''t'') AS q', c));
CREATE VIEW elements AS SELECT id, XMLELEMENT(name e, b)::text AS e, XMLFOREST(id, a)::text AS f FROM x;
CREATE VIEW quoted AS SELECT quote_ident(a) AS q, format('%I', a) AS f FROM x;
SELECT create_imat('elements'), create_imat('quoted');
SET xmlbinary = hex; SET quote_all_identifiers = on;
INSERT INTO x VALUES (2, '<r/>', '\x03', 'b');
RESET xmlbinary; RESET quote_all_identifiers;
TABLE imat.elements ORDER BY id;
TABLE imat.quoted ORDER BY q;
TABLE wrong;
SET quote_all_identifiers = on;
CREATE VIEW quoted_all AS SELECT id, quote_ident(a) AS q FROM x;
SELECT create_imat('quoted_all');
TABLE imat.quoted_all ORDER BY id;
RESET quote_all_identifiers;
INSERT INTO x VALUES (3, '<r/>', '\x03', 'c');
TABLE imat.quoted_all ORDER BY id;
SELECT drop_imat('quoted_all');

-- SET search_path of functions that are called by types, indexes and triggers.
CREATE SCHEMA app;
CREATE FUNCTION app.ok(integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
CREATE FUNCTION app.valid(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql SET search_path = app AS 'BEGIN RETURN ok($1); END';
CREATE FUNCTION app.hash(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql SET search_path = app AS 'BEGIN RETURN ok($1)::integer; END';
CREATE DOMAIN app.positive AS integer CHECK (app.valid(VALUE));
CREATE TABLE e (k integer, n integer);
INSERT INTO e VALUES (1, 2);
CREATE VIEW domains AS SELECT k, n::app.positive AS d FROM e;
CREATE MATERIALIZED VIEW indexed AS SELECT k, count(*) AS c FROM e GROUP BY k;
CREATE INDEX ON indexed (app.hash(k));
CREATE VIEW later AS SELECT k, count(*) AS c FROM e GROUP BY k;
CREATE VIEW arrays AS SELECT k, ('{5}'::app.positive[])[1]::integer AS five FROM e;
SELECT create_imat('domains'), create_imat('indexed'), create_imat('later'), create_imat('arrays');
INSERT INTO e VALUES (2, 3);
CREATE INDEX ON imat.later (app.hash(k));
INSERT INTO e VALUES (3, 3);
CREATE FUNCTION app.heed() RETURNS trigger LANGUAGE plpgsql SET search_path = app AS 'BEGIN PERFORM ok(1); RETURN NULL; END';
CREATE TRIGGER heed AFTER INSERT ON imat.later FOR EACH ROW EXECUTE FUNCTION app.heed();
DROP INDEX imat.later_hash_idx;
INSERT INTO e VALUES (4, 3);
REFRESH MATERIALIZED VIEW indexed;
TABLE wrong;
SELECT * FROM imat.later ORDER BY k;
