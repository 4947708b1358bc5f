-- Groups by bins of time, by years and by such keys together are found by the time itself.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET client_min_messages = warning;
SET TimeZone = 'Asia/Kathmandu';
CREATE TABLE event (id integer PRIMARY KEY, at timestamptz, local timestamp, day date, who integer NOT NULL);
-- Both sides of every turn of a year and of each bin; before Christ, far and infinite times.
INSERT INTO event SELECT row_number() OVER (), at, at AT TIME ZONE 'UTC', (at AT TIME ZONE 'UTC')::date, row_number() OVER () % 7
FROM (SELECT t.base + h * interval '37 minutes' FROM unnest(ARRAY['1844-12-30 Z', '1969-12-31 Z', '1999-12-31 12:00 Z', '2000-02-28 Z',
            '2023-12-31 Z', '0001-12-31 BC Z', '0044-12-31 12:00 BC Z', '0001-12-31 Z', '4001-12-30 12:00 BC Z']::timestamptz[]) AS t(base), generate_series(0, 70) AS h
    UNION ALL SELECT unnest(ARRAY['infinity', '-infinity', '4713-12-01 BC Z', '294276-12-30 Z', NULL]::timestamptz[])) AS times(at);
CREATE INDEX ON event (at);
CREATE INDEX ON event (local);
CREATE INDEX ON event (day);
CREATE FUNCTION try(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE told text;
BEGIN
    EXECUTE format('CREATE VIEW v AS SELECT %s AS k, count(*) AS n, count(DISTINCT who) AS whos, min(id) AS first FROM event GROUP BY 1', key);
    PERFORM create_imat('v');
    UPDATE event SET who = who + 1 WHERE id % 13 = 0;
    FOR i IN 0..4 LOOP UPDATE event SET who = who + 2 WHERE id % 97 = i; END LOOP;
    DELETE FROM event WHERE id IN (SELECT e.id FROM event AS e ORDER BY e.at LIMIT 3);
    DELETE FROM event WHERE id IN (SELECT e.id FROM event AS e ORDER BY e.at DESC NULLS FIRST LIMIT 3);
    DELETE FROM event WHERE id % 29 = 0;
    SELECT strategy || ', ' || exact('v') INTO told FROM imat_status;
    RAISE EXCEPTION USING MESSAGE = told, ERRCODE = 'YY000';
EXCEPTION WHEN SQLSTATE 'YY000' THEN RETURN told;
END $$;
CREATE VIEW keys AS
    SELECT format('date_bin(%L, %s, %L)', s, c, o) AS key FROM unnest(ARRAY['15 minutes', '1 day 1 hour', '7 days', '1.5 seconds']) AS s,
        unnest(ARRAY['local', 'at', 'day::timestamp']) AS c, unnest(ARRAY['2001-01-01', '2090-01-01 00:07']) AS o
    UNION ALL SELECT format('date_bin(''1 day'', at AT TIME ZONE %L, ''2000-01-01'')', z) FROM unnest(ARRAY['Pacific/Apia', 'America/Juneau']) AS z
    UNION ALL SELECT format(k, c) FROM unnest(ARRAY['extract(year FROM %s)', 'nullif(extract(year FROM %s), ''infinity'')']) AS k,
        unnest(ARRAY['local', 'at', 'day', 'at AT TIME ZONE ''Pacific/Kiritimati''']) AS c;
SELECT try(key), count(*) FROM keys GROUP BY 1;
-- As an integer, which what is infinite can't be.
DELETE FROM event WHERE NOT isfinite(at) OR at > '30000-01-01';
SELECT try(format(k, c)), count(*) FROM unnest(ARRAY['extract(year FROM %s)::int', 'date_part(''year'', %s)::smallint', 'extract(year FROM %s)::int8']) AS k,
    unnest(ARRAY['local', 'at', 'day']) AS c GROUP BY 1;
-- A change reads few rows, however many there are.
CREATE TABLE log (at timestamptz, who integer);
INSERT INTO log SELECT '2024-01-01 Z'::timestamptz + i * interval '7 minutes', i % 10 FROM generate_series(1, 20000) AS i;
INSERT INTO log VALUES ('1999-05-05', 3), ('1999-06-06', 4);
CREATE VIEW binned AS SELECT date_bin('6 hours', at, '2001-01-01') AS bin, count(*) AS n, max(who) AS most, count(DISTINCT who) AS whos FROM log GROUP BY 1;
CREATE VIEW yearly AS SELECT extract(year FROM at)::int AS year, count(*) AS n, max(who) AS most, count(DISTINCT who) AS whos FROM log GROUP BY 1;
SELECT create_imat('binned'), create_imat('yearly');
SELECT line FROM explain_imat('binned') AS e(line) WHERE line LIKE '%help%' UNION ALL SELECT line FROM explain_imat('yearly') AS e(line) WHERE line LIKE '%help%';
CREATE INDEX ON log (at);
SELECT line FROM explain_imat('binned') AS e(line) WHERE line LIKE '%help%' UNION ALL SELECT line FROM explain_imat('yearly') AS e(line) WHERE line LIKE '%help%';
CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_tuples_returned(c.oid))::bigint FROM pg_class AS c WHERE c.relname IN ('log', 'log_at_idx') $$;
BEGIN;
SELECT reads() AS before \gset
INSERT INTO log VALUES ('1999-05-05 10:30 Z', 20);
DELETE FROM log WHERE at = '1999-05-05 10:30 Z';
SELECT reads() - :before < 150 AS reads_few;
COMMIT;
SELECT exact('binned'), exact('yearly');
