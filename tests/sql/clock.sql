-- imat.flush: statement
-- Text that is cast to dates and times: exact, and refused where PostgreSQL would read the clock.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET client_min_messages = warning;
SET DateStyle = 'ISO, DMY';
SET TimeZone = 'America/New_York';
-- Which texts are refused: just those whose value is of this moment.
CREATE FUNCTION is_of_now(text text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; is_of_now boolean;
BEGIN
    EXECUTE format('SELECT CASE %2$L WHEN ''time'' THEN (%1$L::%2$s)::text = now()::time::text
        ELSE abs(extract(epoch FROM coalesce(nullif((%1$L::%2$s)::text, ''infinity''), ''epoch'')::text::timestamptz - now())) < 3 * 86400 END', text, type) INTO is_of_now;
    RETURN is_of_now;
EXCEPTION WHEN OTHERS THEN
    RETURN 'no such value';
END $$;
CREATE TABLE texts AS
    SELECT DISTINCT a || b || c AS text
    FROM unnest(ARRAY['', ' ', '(', ', ', '12:00 ', '12:00', '3 ', 'y', 'T ', 'é']) AS a,
        unnest(ARRAY['now', 'NOW', 'today', 'Tomorrow', 'yesterday', 'epoch', 'infinity', 'allballs', 'nowadays', 'today_', 'yesterdays',
            '2001-02-03', 'J2451911', 'Feb 3 2001', 'now_now', 'to-day']) AS b,
        unnest(ARRAY['', ' ', '!', ' 12:00', ' 04:05:06+01', 'T12:00', '1', ' allballs', ' America/New_York', ' EST', 'é']) AS c;
BEGIN;
CREATE TABLE compared AS
    SELECT text, type, is_of_now(text, type) AS is_of_now, refusal(format('SELECT imat_catalog.clockless(%L)', text)) LIKE '0A000%' AS is_refused
    FROM texts, unnest(ARRAY['date', 'timestamp', 'timestamptz', 'time']) AS type;
SELECT * FROM compared WHERE is_of_now <> is_refused::text AND is_of_now <> 'no such value';
SELECT type, is_of_now, count(*) > 20 AS many FROM compared WHERE is_of_now <> 'no such value' GROUP BY 1, 2 ORDER BY 1, 2;
COMMIT;
-- Casts in all places of a query.
CREATE SCHEMA public_copy;
CREATE TYPE mark AS (d date);
CREATE DOMAIN day AS date CHECK (value > '1900-01-01');
CREATE TABLE raw (id integer PRIMARY KEY, t text, v varchar(30), n name, c char(20), j jsonb, w text);
CREATE TABLE dated (d date, name text);
INSERT INTO raw SELECT i, t, t, t, t, jsonb_build_object('d', t), '12:00'
    FROM (VALUES (1, '03/02/2001'), (2, '2001-02-04'), (3, 'Feb 5 2001'), (4, '2001-02-04'), (5, NULL)) AS r(i, t);
INSERT INTO dated VALUES ('2001-02-03', 'a'), ('2001-02-04', 'b'), ('2001-02-04', 'c');
CREATE TABLE queries (name text PRIMARY KEY, query text, accepted text);
INSERT INTO queries (name, query) VALUES
    ('row', 'SELECT id, t::date AS a, v::date AS b, n::date AS c, c::date AS d, (j ->> ''d'')::date AS e, w::time AS f FROM raw'),
    ('times', 'SELECT id, t::timestamp AS a, t::timestamptz(0) AS b, t::timestamp(3)::date AS c, t::day AS d, cast(t || '' 10:00'' AS timestamptz) AS e FROM raw'),
    ('keys', 'SELECT t::date AS d, count(*) AS n, min(v::timestamp) AS low, array_agg(id ORDER BY id) AS ids FROM raw GROUP BY 1'),
    ('outputs', 'SELECT count(*) AS n, max(t)::date AS d, min(v)::timestamptz AS z FROM raw WHERE id IN (1, 2, 9) GROUP BY id'),
    ('conditions', 'SELECT r.id, d.name FROM raw AS r JOIN dated AS d ON d.d = r.t::date WHERE r.v::date > ''2001-02-03'' AND d.d < r.t::timestamptz + ''1 day'''),
    ('guarded', 'SELECT id, CASE WHEN w ~ ''^\d+:\d+$'' THEN w::time END AS f, sum(id) FILTER (WHERE t::date > ''2001-02-03'') OVER () AS s FROM raw'),
    ('whole', 'SELECT d.name, r.t::date AS d, (SELECT max(x.v::date) FROM raw AS x WHERE x.id < r.id) AS m FROM dated AS d LEFT JOIN raw AS r ON r.t::date = d.d'),
    ('both', 'SELECT DISTINCT t::date AS d FROM raw UNION SELECT d FROM dated'),
    ('nested', 'WITH w AS (SELECT id, t::date AS d FROM raw) SELECT d, count(*) AS n FROM (SELECT * FROM w WHERE d > ''2001-01-01'') AS s GROUP BY d HAVING max(d)::text::date > ''2001-02-03'''),
    ('parts', 'SELECT id, ROW(t::date)::mark AS m, ARRAY[t, v]::date[] AS a, extract(year FROM t::date) AS y, (t::date - ''2001-01-01''::text::date) AS days FROM raw'),
    ('format', 'SELECT id, to_date(t, ''DD/MM/Y'') AS a, to_timestamp(w, ''HH24:MI'') AS b, to_date(w, ''HH24'') AS c FROM raw WHERE id = 1'),
    ('elements', 'SELECT id, string_to_array(t, '','')::date[] AS d FROM raw'),
    ('zoned', 'SELECT id, w::timetz AS d FROM raw'),
    ('now', 'SELECT id, ''now''::text::date AS d FROM raw');
UPDATE queries SET accepted = refusal(format('CREATE VIEW %I AS %s', name, query));
UPDATE queries SET accepted = refusal(format('SELECT create_imat(%L)', quote_ident(name))) WHERE accepted = 'accepted';
SELECT name, accepted FROM queries WHERE accepted <> 'accepted' ORDER BY 1;
SELECT name, strategy FROM imat_status ORDER BY 1;
SELECT count(*) FROM imat_catalog.imat, regexp_matches(pg_get_viewdef(definition), 'imat_catalog.clockless', 'g') WHERE name = 'imat.keys'::regclass;
-- In a session with other settings.
SET DateStyle = 'SQL, MDY'; SET TimeZone = 'Asia/Tokyo';
INSERT INTO raw VALUES (6, '04/02/2001', '04/02/2001', '04/02/2001', '04/02/2001', '{"d": "04/02/2001"}', 'x');
INSERT INTO raw SELECT i, t, t, t, t, jsonb_build_object('d', t), '1:30' FROM (VALUES (7, '03/02/2001 '), (8, '5 Feb 2001')) AS r(i, t);
UPDATE raw SET t = '2001-02-03', v = 'epoch' WHERE id IN (2, 3);
DELETE FROM raw WHERE id = 4;
SET DateStyle = 'ISO, DMY'; SET TimeZone = 'America/New_York';
SELECT * FROM wrong;
-- Of groups it is computed when they change, not when they are read.
BEGIN; SET LOCAL DateStyle = 'ISO, MDY'; TABLE imat.outputs; COMMIT;
-- Words that read the clock.
SELECT refusal(format('INSERT INTO raw VALUES (9, %L)', t)) FROM unnest(ARRAY['Today', 'now', ' YESTERDAY 10:00', 'tomorrow,allballs']) AS t;
INSERT INTO raw VALUES (9, '2001-02-03', 'today'), (10, '2001-02-03', 'today');
UPDATE raw SET w = 'now' WHERE id = 1;
SELECT * FROM wrong;
-- A view below is read as its owner made it.
CREATE VIEW below AS SELECT id, t::date AS d FROM raw;
SELECT refusal('SELECT create_imat(''over'', query => ''SELECT d, count(*) AS n FROM below GROUP BY d'')');
SELECT maintainable, reason FROM check_imat('SELECT d, count(*) AS n FROM below GROUP BY d');
-- Materialized views: the maintained table of one is read in place of it.
CREATE MATERIALIZED VIEW cast_first AS SELECT id, t::date AS d FROM raw;
CREATE MATERIALIZED VIEW then_grouped AS SELECT d, count(*) AS n FROM cast_first GROUP BY d;
SELECT create_imat('cast_first');
SELECT create_imat('then_grouped');
UPDATE raw SET t = '2001-02-09' WHERE id IN (2, 3);
REFRESH MATERIALIZED VIEW cast_first;
REFRESH MATERIALIZED VIEW then_grouped;
SELECT exact('cast_first'), exact('then_grouped');
SELECT drop_imat('imat.then_grouped'), drop_imat('imat.cast_first');
-- Built online, and made anew.
CALL create_imat('times', online => true, schema => 'public_copy');
TRUNCATE raw;
INSERT INTO raw VALUES (1, '03/02/2001', '03/02/2001', '03/02/2001', '03/02/2001', '{"d": "03/02/2001"}', '1:00');
SELECT refresh_imat('imat.keys');
INSERT INTO raw VALUES (2, '03/02/2001', '04/02/2001', '05/02/2001', '06/02/2001', '{"d": "07/02/2001"}', '2:00');
SELECT * FROM wrong;
SELECT exact('times', 'public_copy');
SELECT refusal('UPDATE raw SET v = ''now''');
