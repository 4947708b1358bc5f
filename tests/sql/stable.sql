-- Stable functions whose result depends on nothing but their arguments and settings, which are pinned; and those beside
-- them that read the clock.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET client_min_messages = warning;
SET default_text_search_config = 'pg_catalog.english';
SET IntervalStyle = 'sql_standard';
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE dated AS (a integer, d date);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE DOMAIN numbers AS integer[] CHECK (cardinality(value) < 4);
CREATE TABLE doc (id integer PRIMARY KEY, body text, j jsonb, k json, tm time DEFAULT '10:00', tt timetz DEFAULT '10:00+00',
    tz timestamptz DEFAULT '2024-07-01 10:00+00');
INSERT INTO doc VALUES (1, 'The cats are running', '{"a": 1, "b": "x", "c": [1, 2]}', '{"a": 1, "b": "x"}'),
    (2, 'A dog ran', '[{"a": 2}, {"a": 3, "b": "y"}]', '[{"a": 2}]');
CREATE TABLE tried (place serial, expression text, accepted text);
INSERT INTO tried (expression) SELECT unnest(ARRAY[
    -- Text search.
    'to_tsvector(body)', 'body @@ ''cat''::text', 'body @@ to_tsquery(''cats & run'')', 'ts_headline(body, plainto_tsquery(''cats''))',
    'to_tsvector(j)', 'websearch_to_tsquery(body)', 'phraseto_tsquery(body)',
    -- Text read as other types.
    '(id || '' 1:00:00'')::text::interval', '(''{'' || id || '',2}'')::text::integer[]', '(''{'' || id || '' days}'')::text::interval[]',
    '(''['' || id || '',9)'')::text::int4range', '(''('' || id || '',z)'')::text::pair', '(''{"('' || id || '',z)"}'')::text::pair[]',
    'CASE id WHEN 1 THEN ''low'' ELSE ''high'' END::text::mood', '(''{'' || id || ''}'')::text::numbers', 'id::text::money',
    'pg_typeof(body)',
    -- Rows of JSON.
    '(jsonb_populate_record(NULL::pair, j -> 0)).a', '(json_populate_record(NULL::pair, k -> 0)).b',
    '(SELECT sum(r.a) FROM jsonb_to_recordset(CASE jsonb_typeof(j) WHEN ''array'' THEN j END) AS r(a integer, b text))',
    '(SELECT sum(r.a) FROM json_populate_recordset(NULL::pair, CASE json_typeof(k) WHEN ''array'' THEN k END) AS r)',
    '(SELECT r.c FROM jsonb_to_record(CASE jsonb_typeof(j) WHEN ''object'' THEN j END) AS r(c integer[]))',
    -- With what reads the clock in it.
    '(''{'' || body || ''}'')::text::date[]', '(''['' || body || '',)'')::text::tsrange', '(''(1,'' || body || '')'')::text::dated',
    '(''{"(1,'' || body || '')"}'')::text::dated[]', '(jsonb_populate_record(NULL::dated, j -> 0)).a',
    '(SELECT r.d FROM jsonb_to_record(j) AS r(d date))', '(SELECT r.d FROM jsonb_to_recordset(j) AS r(d timestamptz[]))',
    '(SELECT r.d FROM json_to_record(k) AS r(d dated))', '(SELECT r.a FROM json_populate_recordset(NULL::dated, k) AS r)',
    'body::regclass::oid',
    -- The offset of a zone today, and input functions of a type that is an argument.
    'tt AT TIME ZONE ''Europe/Berlin''', 'tm::timetz', 'tm AT TIME ZONE ''Europe/Berlin''', 'timezone(body, tt)', 'tm = tt',
    'array_in(textout(body), ''date''::regtype, -1)::text', 'record_in(textout(body), ''dated''::regtype, -1)::text',
    -- And those of a moment, or one that is given.
    'tz::timetz', 'tt AT TIME ZONE interval ''2 hours''', 'tz AT TIME ZONE ''Europe/Berlin''', 'tt::time']);
UPDATE tried SET accepted = refusal(format('CREATE VIEW v%s AS SELECT id, %s AS v FROM doc', place, expression));
UPDATE tried SET accepted = refusal(format('SELECT create_imat(%L)', 'v' || place)) WHERE accepted = 'accepted';
SELECT expression, split_part(accepted, ' | ', 2) AS refused FROM tried WHERE accepted <> 'accepted' ORDER BY place;
-- The same in a session with other settings.
SET default_text_search_config = 'pg_catalog.german'; SET IntervalStyle = 'iso_8601'; SET DateStyle = 'SQL, DMY';
INSERT INTO doc VALUES (3, 'Die Katzen are the cats', '{"a": 4}', '{"b": "z"}');
UPDATE doc SET body = body || ' and cats', id = id + 5 WHERE id < 3;
DELETE FROM doc WHERE id = 6;
RESET DateStyle; SET IntervalStyle = 'sql_standard'; SET default_text_search_config = 'pg_catalog.english';
SELECT expression, exact('v' || place) FROM tried WHERE accepted = 'accepted' AND exact('v' || place) <> 'exact';
SELECT count(*) FROM tried WHERE accepted = 'accepted';
-- A label that gets another name is another text to read.
UPDATE tried SET accepted = 'dropped' WHERE expression NOT LIKE '%mood%' AND accepted = 'accepted' AND drop_imat('v' || place) IS NOT NULL;
SELECT refusal($$ALTER TYPE mood RENAME VALUE 'low' TO 'lower'$$);
-- A configuration of a user's can be altered, and a setting does not tell on which it relies.
CREATE TEXT SEARCH CONFIGURATION own (COPY = pg_catalog.english);
SET default_text_search_config = 'public.own';
SELECT create_imat('own', query => 'SELECT to_tsvector(body) AS v FROM doc');
SELECT maintainable, reason, hint FROM check_imat('SELECT body @@ ''cat''::text AS v FROM doc');
SELECT create_imat('own', query => 'SELECT to_tsvector(''public.own'', body) AS v FROM doc');
