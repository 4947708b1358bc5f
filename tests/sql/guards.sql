-- What PostgreSQL would not have computed is not computed: neither what FILTER, WHERE, CASE or HAVING keeps away, nor
-- what a fence does, whatever the planner's settings in the writer's session are.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE FUNCTION is_number(s text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN s ~ '^\d+$'; END $$;
CREATE FUNCTION is_not_zero(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000 AS $$ BEGIN RETURN x <> 0; END $$;
CREATE TABLE t (k int, x int, s text);
CREATE TABLE other (k int PRIMARY KEY, ok boolean);
INSERT INTO other VALUES (1, true), (2, false);
CREATE INDEX ON t (k);
-- FILTER before what is aggregated, NULL among its values.
CREATE VIEW filtered AS SELECT k, sum(s::int) FILTER (WHERE s ~ '^\d+$') AS total, avg(10 / x) FILTER (WHERE x <> 0) AS mean,
    count(10 / x) FILTER (WHERE x <> 0) AS n, bool_or(10 / x > 1) FILTER (WHERE x <> 0) AS some,
    bool_and(10 / x > 1) FILTER (WHERE nullif(x, 0) > 0) AS every, stddev(10 / x) FILTER (WHERE x <> 0) AS spread,
    min(10 / x) FILTER (WHERE is_not_zero(x)) AS least, max(s::int) FILTER (WHERE is_number(s)) AS most FROM t GROUP BY k;
-- WHERE before the select list and the keys, also of what a join keeps away.
CREATE VIEW kept AS SELECT k, sum(10 / x) AS total, max(10 / x) AS most FROM t WHERE x <> 0 GROUP BY k;
CREATE VIEW by_key AS SELECT k, 10 / x AS ratio, count(DISTINCT s) AS n, min(s) AS first FROM t WHERE is_not_zero(x) GROUP BY k, 10 / x;
CREATE VIEW by_join AS SELECT 10 / t.x AS ratio, count(DISTINCT t.s) AS n, max(t.s) AS last
    FROM t JOIN other AS o ON o.k = t.x WHERE o.ok GROUP BY 10 / t.x;
-- A literal with the character that stands for a column in the compiler.
CREATE VIEW marked AS SELECT t.k, o.ok FROM t JOIN other AS o ON CASE WHEN t.s <> E'\x01' THEN 10 / t.x END = o.k WHERE t.x <> 0;
CREATE VIEW listed AS SELECT k, 10 / x AS ratio, s::int AS number FROM t WHERE is_not_zero(x) AND is_number(s);
CREATE VIEW chosen AS SELECT sum(CASE WHEN x <> 0 THEN 10 / x END) AS a, sum(coalesce(x, 10 / nullif(x, x))) AS b,
    count(*) FILTER (WHERE CASE WHEN is_not_zero(x) THEN 10 / x > 2 END) AS c FROM t;
-- HAVING before what is read, also where a reader has a condition of his own.
CREATE VIEW having_some AS SELECT k, 100 / sum(x) AS share FROM t GROUP BY k HAVING is_not_zero(sum(x)::int);
-- Fences.
CREATE VIEW safe WITH (security_barrier) AS SELECT k, x, s FROM t WHERE is_not_zero(x);
CREATE VIEW fenced AS SELECT k, count(*) AS n, min(s) AS first FROM safe WHERE 10 / x > 1 GROUP BY k;
CREATE VIEW fenced_join AS SELECT a.k, a.x FROM safe AS a JOIN other AS o USING (k) WHERE 10 / a.x > o.k;
CREATE VIEW fenced_with AS WITH numbers AS MATERIALIZED (SELECT k, s FROM t WHERE is_number(s))
    SELECT k, sum(s::int) AS total FROM numbers WHERE s::int > 1 GROUP BY k;
CREATE VIEW fenced_twice AS WITH numbers AS (SELECT k, s FROM t WHERE is_number(s))
    SELECT a.k, b.s FROM numbers AS a JOIN numbers AS b USING (k) WHERE a.s::int > b.s::int;
CREATE PROCEDURE create_all() LANGUAGE plpgsql AS $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY '{filtered,kept,by_key,by_join,marked,listed,chosen,having_some,fenced,fenced_join,fenced_with,fenced_twice}'::text[]
    LOOP PERFORM create_imat(name); END LOOP; END $$;
CALL create_all();
SELECT name::text, strategy FROM imat_status ORDER BY 1;
-- What is left out comes alone, goes alone, and among others.
CREATE PROCEDURE change() LANGUAGE plpgsql AS $$ DECLARE r text[]; BEGIN
    FOREACH r SLICE 1 IN ARRAY '{{1,0,a},{1,2,12},{1,0,7},{2,0,NULL},{2,5,b},{NULL,0,3},{1,NULL,x},{1,2,2},{1,4,9}}'::text[]
    LOOP INSERT INTO t VALUES (r[1]::int, r[2]::int, r[3]); END LOOP;
    UPDATE t SET s = s || '0' WHERE x = 0;
    INSERT INTO t SELECT g % 3, g % 4, CASE g % 2 WHEN 0 THEN g::text ELSE 'w' END FROM generate_series(1, 20) AS g;
    UPDATE other SET ok = NOT ok;
    UPDATE t SET x = 0, s = 'z' WHERE x = 2 AND s = '12';
    DELETE FROM t WHERE x = 4;
    DELETE FROM t WHERE x = 0 AND k = 1;
    DELETE FROM t WHERE x = 1 AND s = '16';
    INSERT INTO t VALUES (2, 3, '8');
END $$;
CALL change();
TABLE wrong;
TABLE imat.filtered ORDER BY k;
SELECT * FROM imat.having_some WHERE share > 0 ORDER BY k;
-- The same under any settings.
CREATE PROCEDURE change_under(VARIADIC settings text[]) LANGUAGE plpgsql AS $$ DECLARE setting text; BEGIN
    FOREACH setting IN ARRAY settings LOOP
        PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), true);
    END LOOP;
    CALL change();
END $$;
CALL change_under('plan_cache_mode=force_custom_plan');
CALL change_under('enable_nestloop=off', 'enable_indexscan=off', 'enable_bitmapscan=off', 'enable_hashjoin=off');
CALL change_under('enable_mergejoin=off', 'enable_hashjoin=off', 'plan_cache_mode=force_generic_plan', 'enable_sort=off');
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL change_under('plan_cache_mode=force_custom_plan', 'join_collapse_limit=1', 'from_collapse_limit=1', 'geqo_threshold=2');
TABLE wrong;
COMMIT;
TABLE wrong;
-- Nor do its settings decide what is read, also when a plan is made anew: never all of the table.
CREATE TABLE large (k int, x int);
INSERT INTO large SELECT g / 2, g FROM generate_series(1, 20000) AS g;
CREATE INDEX ON large (k);
CREATE VIEW extremes AS SELECT k, max(x) AS most FROM large GROUP BY k;
SELECT create_imat('extremes');
CREATE FUNCTION scans() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_stat_get_xact_numscans('large'::regclass) $$;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
BEGIN;
SELECT scans() AS before \gset
DELETE FROM large WHERE ctid = '(0,3)';
SELECT scans() - :before AS scans;
COMMIT;
CREATE INDEX again ON large (k);
BEGIN;
SELECT scans() AS before \gset
DELETE FROM large WHERE ctid = '(0,5)';
SELECT scans() - :before AS scans;
COMMIT;
TABLE wrong;
