-- Groups by arrays and ranges. Equal ones can be stored in different ways, which nobody sees.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET client_min_messages = warning;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN tags AS text[];
CREATE DOMAIN word AS text;
CREATE DOMAIN nested AS tags[];
CREATE TABLE k (id integer PRIMARY KEY, ints integer[], texts text[], fixed bigint[], lows integer[], at tsrange, days daterange,
    several int4multirange, moods mood[], t tags, words word[], money numeric(10,2)[], padded char(3)[], n numeric[], ranges int4range[],
    lists tags[], nests nested[]);
-- Arrays with and without room for NULLs, with short and long headers, of lower bounds other than 1; also within each other.
CREATE FUNCTION stored(i integer) RETURNS SETOF k LANGUAGE sql AS $$
    SELECT i, CASE i % 3 WHEN 0 THEN ARRAY[g, 2] WHEN 1 THEN (ARRAY[g, 2, NULL])[1:2] ELSE array_remove(ARRAY[NULL, g, 2], NULL) END,
        CASE i % 3 WHEN 0 THEN ARRAY[repeat('x', g * 60), 'y'] WHEN 1 THEN (ARRAY[NULL, repeat('x', g * 60), 'y'])[2:3] ELSE ARRAY[repeat('x', g * 60)] || ARRAY['y'] END,
        CASE i % 2 WHEN 0 THEN ARRAY[g]::bigint[] ELSE (ARRAY[g, NULL]::bigint[])[:1] END,
        CASE i % 4 WHEN 0 THEN ARRAY[1, 2] WHEN 1 THEN '[0:1]={1,2}' WHEN 2 THEN '[0:0][1:2]={{1,2}}' ELSE '{}' END::integer[],
        CASE i % 4 WHEN 0 THEN 'empty' WHEN 1 THEN tsrange('2024-01-01', '2024-01-01') ELSE tsrange('2024-01-01', '2024-01-02'::timestamp + make_interval(days => g)) END,
        CASE i % 2 WHEN 0 THEN daterange('2024-01-01', '2024-01-05', '[]') ELSE '[2024-01-01,2024-01-06)' END,
        CASE i % 3 WHEN 0 THEN '{[1,3),[3,5)}' WHEN 1 THEN '{[1,5)}' ELSE '{}' END::int4multirange,
        CASE i % 3 WHEN 0 THEN '{sad}' WHEN 1 THEN (ARRAY['sad', NULL]::mood[])[:1] ELSE '{glad,NULL}' END::mood[],
        CASE i % 2 WHEN 0 THEN ARRAY['a'] ELSE (ARRAY[NULL, 'a'])[2:] END, ARRAY['w' || g]::word[],
        ARRAY[g]::numeric(10,2)[], ARRAY[CASE i % 2 WHEN 0 THEN 'A' ELSE 'a' END], ARRAY[CASE i % 2 WHEN 0 THEN 1.0 ELSE 1.00 END],
        CASE i % 2 WHEN 0 THEN ARRAY[int4range(1, g)] ELSE (ARRAY[int4range(1, g), NULL])[:1] END,
        CASE i % 2 WHEN 0 THEN ARRAY[ARRAY['l' || g]::tags] ELSE ARRAY[(ARRAY['l' || g, NULL])[:1]::tags] END,
        CASE i % 2 WHEN 0 THEN ARRAY[ARRAY[ARRAY['l']::tags]::nested] ELSE ARRAY[ARRAY[(ARRAY['l', NULL])[:1]::tags]::nested] END
    FROM (SELECT i / 6 AS g) AS g $$;
INSERT INTO k SELECT (stored(i)).* FROM generate_series(6, 29) AS i;
CREATE TABLE keys (name text PRIMARY KEY, shown text);
INSERT INTO keys SELECT attname, format(CASE WHEN attname IN ('at', 'days') THEN 'lower(%I)' ELSE '%I::text' END, attname) FROM pg_attribute WHERE attrelid = 'k'::regclass AND attnum > 1;
SELECT bool_and(refusal(format('CREATE VIEW %1$I AS SELECT %2$I AS key, count(*) AS n, sum(id) AS s, max(id) AS m, %3$s AS shown FROM k GROUP BY 1', 'v_' || name, name, shown)) = 'accepted') FROM keys;
SELECT name, refusal(format('SELECT create_imat(%L)', 'v_' || name)) FROM keys ORDER BY 1;
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
SELECT * FROM wrong;
-- One row and several, the other way round than they came, also as they are stored in the table.
DELETE FROM k WHERE id = 6;
DELETE FROM k WHERE id IN (7, 8, 29);
INSERT INTO k SELECT (stored(30)).*;
UPDATE k SET (ints, texts, fixed) = (SELECT s.ints, s.texts, s.fixed FROM stored((k.id / 6) * 6 + (k.id + 1) % 6) AS s) WHERE id % 2 = 0;
UPDATE k SET ints = NULL, at = NULL, several = NULL WHERE id = 11;
UPDATE k SET padded = ARRAY['B'], n = ARRAY[2] WHERE id < 12;
SELECT * FROM wrong;
DELETE FROM k WHERE id < 12;
DELETE FROM k;
SELECT * FROM wrong;
SELECT sum(rows) FROM (SELECT count(*) AS rows FROM imat.v_ints UNION ALL SELECT count(*) FROM imat.v_ranges) AS r;
-- Ranges of a user's can have an equality of their own.
CREATE TYPE pair AS (a integer, b integer);
CREATE TYPE textrange AS RANGE (subtype = text);
SELECT strategy, reason FROM check_imat('SELECT textrange(id::text, NULL) AS r, count(*) AS n FROM k GROUP BY 1');
SELECT strategy, reason FROM check_imat('SELECT ARRAY[ROW(id, 1)::pair] AS r, count(*) AS n FROM k GROUP BY 1');
SELECT strategy, reason FROM check_imat('SELECT numrange(id, NULL) AS r, count(*) AS n FROM k GROUP BY 1');
