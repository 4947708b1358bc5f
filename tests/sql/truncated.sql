CREATE EXTENSION pg_imat;
\ir ../exact.sql

-- Groups by a time that is truncated are found by the time itself, in any zone and at the ends of all time.
SET TimeZone = 'Europe/Berlin';
CREATE TABLE event (id int PRIMARY KEY, at timestamptz, local timestamp, day date, who int NOT NULL);
CREATE TABLE kept AS SELECT name FROM unnest(ARRAY['Pacific/Apia', 'Asia/Manila', 'America/Juneau', 'Australia/Lord_Howe',
    'Africa/Monrovia', 'Europe/Berlin', 'Pacific/Kiritimati', 'Etc/GMT+12', 'Asia/Kathmandu', 'UTC']) AS z(name);

-- Every day on which a clock was moved, every hour around it; far and infinite times.
INSERT INTO event SELECT row_number() OVER (), at, at AT TIME ZONE 'UTC', (at AT TIME ZONE 'UTC')::date, row_number() OVER () % 7
FROM (SELECT t.base + h * interval '37 minutes' FROM unnest(ARRAY['1844-12-30 Z', '1867-10-17 Z', '1972-01-06 Z', '2011-12-29 Z',
            '2023-03-25 12:00 Z', '2023-10-28 12:00 Z', '1999-12-31 Z', '0001-12-31 BC Z']::timestamptz[]) AS t(base), generate_series(0, 90) AS h
    -- All days of a year, and the ends of others.
    UNION ALL SELECT generate_series('2023-01-01 01:00 Z', '2024-01-01 23:00 Z', interval '23 hours')
    UNION ALL SELECT generate_series('1899-12-31 12:00 Z', '2021-12-31 12:00 Z', interval '1 year')
    UNION ALL SELECT unnest(ARRAY['infinity', '-infinity', '4713-12-01 BC Z', '294276-12-30 Z', NULL]::timestamptz[])) AS times(at);

-- A view for each field, zone and type; taking rows away and putting other ones there recomputes.
CREATE FUNCTION try(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE told text;
BEGIN
    EXECUTE format('CREATE VIEW v AS SELECT %s AS k, count(*) AS n, count(DISTINCT who) AS whos, min(id) AS first FROM event WHERE isfinite(at) IS NOT FALSE OR id > 0 GROUP BY 1', key);
    PERFORM create_imat('v');
    UPDATE event SET who = who + 1 WHERE id % 13 = 0;
    DELETE FROM event WHERE id % 29 = 0 OR NOT isfinite(at) OR at > '290000-01-01';
    FOR i IN 0..4 LOOP UPDATE event SET who = who + 2 WHERE id % 97 = i; END LOOP;
    told := exact('v');
    RAISE EXCEPTION USING MESSAGE = told, ERRCODE = 'YY000';
EXCEPTION WHEN SQLSTATE 'YY000' THEN RETURN told;
END $$;
CREATE VIEW keys AS
    SELECT format('date_trunc(%L, %s)', f, c) AS key FROM unnest(ARRAY['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'decade', 'century']) AS f,
        unnest(ARRAY['at', 'local', 'day']) AS c
    UNION ALL SELECT format('date_trunc(%L, at, %L)', f, name) FROM kept, unnest(ARRAY['hour', 'day']) AS f
    UNION ALL SELECT format('date_trunc(%L, at AT TIME ZONE %L)', f, name) FROM kept, unnest(ARRAY['hour']) AS f
    UNION ALL SELECT format('(at AT TIME ZONE %L)::date', name) FROM kept
    UNION ALL SELECT unnest(ARRAY['at::date', 'local::date', 'day::timestamp::date']);
SET client_min_messages = error;
DELETE FROM event WHERE at < '4000-01-01 BC';
CREATE INDEX ON event (at);
CREATE INDEX ON event (local);
CREATE INDEX ON event (day);
SELECT try(key), count(*) FROM keys GROUP BY 1;
-- Days away from everybody else.
SET TimeZone = 'XYZ+100';
DELETE FROM event WHERE day > '290000-01-01' AND isfinite(day);
SELECT try(key), count(*) FROM keys WHERE key ~ 'UTC|Kiritimati|at::date' GROUP BY 1;
RESET TimeZone;

-- A time that a join keeps away is at the ends of all time, where some keys fail; what changes is elsewhere.
CREATE TABLE edge (id int, at timestamptz, local timestamp, day date, who int NOT NULL);
CREATE TABLE known (who int PRIMARY KEY);
INSERT INTO known SELECT generate_series(1, 9);
INSERT INTO edge SELECT i, t, t AT TIME ZONE 'UTC', (t AT TIME ZONE 'UTC')::date, 1 + i % 9
    FROM generate_series(1, 40) AS i, LATERAL (SELECT '2024-01-01 Z'::timestamptz + i * interval '5 hours' AS t) AS times;
INSERT INTO edge VALUES (-1, '4714-11-24 BC Z', '4714-11-24 BC', '4714-11-24 BC', 0),
    (-2, '294276-12-31 23:59:59.999999 Z', '294276-12-31 23:59:59.999999', '5874897-12-31', 0);
CREATE FUNCTION try_edge(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE told text;
BEGIN
    EXECUTE format('CREATE VIEW v AS SELECT %s AS k, count(*) AS n, count(DISTINCT who) AS whos FROM edge JOIN known USING (who) GROUP BY 1', key);
    PERFORM create_imat('v');
    DELETE FROM edge WHERE id = 7;
    told := exact('v');
    RAISE EXCEPTION USING MESSAGE = told, ERRCODE = 'YY000';
EXCEPTION WHEN SQLSTATE 'YY000' THEN RETURN told;
    WHEN datetime_field_overflow THEN RETURN SQLERRM || ': ' || key;
END $$;
CREATE VIEW casts AS SELECT format(k, c) AS key FROM unnest(ARRAY['%s', '%s::date', '%s::timestamp', '%s::timestamptz', '%s::text', '%s::time',
        'date_trunc(''hour'', %s)', 'date_trunc(''week'', %s)', 'extract(year FROM %s)', 'date_part(''month'', %s)',
        '(%s AT TIME ZONE ''America/Juneau'')::date',
        'timezone(''Pacific/Kiritimati'', %s)', 'extract(epoch FROM %s AT TIME ZONE ''X-160'')', '(%s AT TIME ZONE ''X+160'')::time']) AS k, unnest(ARRAY['at', 'local', 'day']) AS c
    WHERE NOT (c = 'day' AND k LIKE '%::time');
SET TimeZone = 'XYZ+160';
SELECT try_edge(key), count(*) FROM casts GROUP BY 1;
RESET TimeZone;
RESET client_min_messages;

-- The advice of explain_imat can be followed: then a change reads few rows, however many there are.
CREATE TABLE log (at timestamptz, who int);
INSERT INTO log SELECT '2024-01-01 Z'::timestamptz + i * interval '7 minutes', i % 10 FROM generate_series(1, 20000) AS i;
CREATE VIEW hourly AS SELECT date_trunc('hour', at) AS hour, count(*) AS n, max(who) AS most, count(DISTINCT who) AS whos FROM log GROUP BY 1;
SELECT create_imat('hourly');
SELECT line FROM explain_imat('hourly') AS e(line) WHERE line LIKE '%help%';
CREATE INDEX ON log (at);
SELECT line FROM explain_imat('hourly') AS e(line) WHERE line LIKE '%help%';
CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_tuples_returned(c.oid))::bigint FROM pg_class AS c WHERE c.relname IN ('log', 'log_at_idx') $$;
BEGIN;
SELECT reads() AS before \gset
INSERT INTO log VALUES ('2024-02-01 10:30 Z', 20);
DELETE FROM log WHERE at = '2024-02-01 10:30 Z';
SELECT reads() - :before < 150 AS reads_few;
-- Also many rows, if few groups have to be computed again.
INSERT INTO log SELECT '2024-02-01 10:30 Z'::timestamptz + i * interval '1 second', 20 + i FROM generate_series(1, 400) AS i;
SELECT reads() AS before \gset
DELETE FROM log WHERE at BETWEEN '2024-02-01 10:30 Z' AND '2024-02-01 10:40 Z' AND who > 20;
SELECT reads() - :before < 2000 AS reads_few;
COMMIT;
SELECT exact('hourly');
-- An offset as POSIX writes it can be a week.
CREATE VIEW far AS SELECT date_trunc('day', at AT TIME ZONE 'X-160') AS day, count(*) AS n, max(who) AS most, count(DISTINCT who) AS whos FROM log GROUP BY 1;
SELECT create_imat('far');
UPDATE log SET who = 50 WHERE at BETWEEN '2024-02-03 Z' AND '2024-02-03 01:00 Z';
DELETE FROM log WHERE at = (SELECT min(at) FROM log WHERE who = 50);
DELETE FROM log WHERE who = 50;
SELECT exact('far');

-- Without an index the rows of groups are found by one pass, also if a key can be NULL.
CREATE TABLE bare (k int, l text, must int NOT NULL, v int);
INSERT INTO bare SELECT i % 500, i % 3, i % 5, i FROM generate_series(1, 20000) AS i;
ANALYZE bare;
CREATE FUNCTION how(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    PERFORM create_imat('of_bare', query => query);
    EXECUTE (SELECT format('PREPARE recompute(tid[]) AS %s', substring(e.line, 'Recomputes: (.*)')) FROM explain_imat('of_bare') AS e(line)
        WHERE e.line ~ 'Recomputes: ');
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) EXECUTE recompute(''{}'')' LOOP
        IF line ~ 'Join|on bare' THEN RETURN NEXT substring(line, '[A-Z].*'); END IF;
    END LOOP;
    DEALLOCATE recompute;
    PERFORM drop_imat('of_bare');
END $$;
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SELECT how('SELECT k, max(v) AS top FROM public.bare GROUP BY k');
SELECT how('SELECT k, l, must, max(v) AS top FROM public.bare GROUP BY k, l, must');
CREATE INDEX ON bare (k);
SELECT how('SELECT k, max(v) AS top FROM public.bare GROUP BY k');
SELECT how('SELECT k, l, must, max(v) AS top FROM public.bare GROUP BY k, l, must');
