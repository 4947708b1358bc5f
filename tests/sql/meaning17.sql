-- requires: 17
-- SQL/JSON constructs read and print values without being functions.
CREATE EXTENSION pg_imat;
CREATE TYPE pair AS (a integer, r regclass);
CREATE TABLE j (id integer, ts timestamptz, js jsonb, r regclass);
INSERT INTO j VALUES (1, '2020-01-01 00:00+00', '{"t":"2020-01-01 00:00"}', 'j');
SELECT q, maintainable, reason FROM unnest(ARRAY[$$JSON_VALUE(js, '$.t' RETURNING timestamptz)$$, $$JSON_VALUE(js, '$.t' RETURNING integer)$$, $$JSON_VALUE(js, '$.t')$$,
    $$JSON_QUERY(js, '$.t' RETURNING date[])$$, $$JSON_QUERY(js, '$.t')$$, $$JSON_QUERY(js, '$.t' RETURNING pair)$$, $$JSON_EXISTS(js, '$.t')$$, $$JSON_OBJECT('t': ts)$$, $$JSON_OBJECT('r': r)$$,
    $$JSON_ARRAY(r, id)$$, $$JSON_ARRAY(id)$$, $$JSON_SCALAR(ts)$$, $$JSON_SERIALIZE(js)$$, $$JSON('{}')$$, $$js IS JSON OBJECT$$,
    $$JSON_VALUE(js, '$.t' RETURNING integer DEFAULT 7 ON EMPTY)$$]) AS q, check_imat('SELECT id, ' || q || ' AS q FROM j');
SELECT q, maintainable, reason FROM unnest('{integer,timestamptz,text,jsonb,date[]}'::text[]) AS c,
    concat('SELECT id, q.t FROM j, JSON_TABLE(js, ''$'' COLUMNS (t ', c, ' PATH ''$.t'')) AS q') AS q, check_imat(q);
SELECT q, maintainable, reason FROM unnest('{JSON_ARRAYAGG(r),JSON_ARRAYAGG(ts),JSON_OBJECTAGG(id: r)}'::text[]) AS q, check_imat('SELECT ' || q || ' AS q FROM j');
CREATE VIEW constructed AS SELECT id, JSON_OBJECT('t': ts)::text AS o, JSON_ARRAY(ts)::text AS a, JSON_SCALAR(ts)::text AS s, JSON_VALUE(js, '$.t.datetime()') AS v FROM j;
SELECT create_imat('constructed');
SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German';
INSERT INTO j VALUES (2, '2020-01-01 00:00+00', '{"t":"2020-01-01"}', 'j');
RESET TimeZone; RESET DateStyle;
TABLE imat.constructed ORDER BY id;
TABLE constructed ORDER BY id;
SELECT difference, times FROM verify_imat('constructed');
