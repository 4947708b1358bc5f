-- What a writer puts in the way of names and settings must not be met by the maintenance, which runs as
-- the maintained table's owner. Each trap notes in `seen` who went into it.
CREATE EXTENSION pg_imat;
CREATE ROLE imat_ann; CREATE ROLE imat_mallory LOGIN;
CREATE SCHEMA ann AUTHORIZATION imat_ann;
GRANT CREATE ON SCHEMA public TO imat_mallory;
CREATE SCHEMA hidden;
CREATE TABLE hidden.seen (what text, who text);
GRANT USAGE ON SCHEMA hidden TO PUBLIC; GRANT INSERT ON hidden.seen TO PUBLIC;
CREATE FUNCTION hidden.taken() RETURNS TABLE (what text, who text) LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (DELETE FROM hidden.seen RETURNING *) SELECT DISTINCT g.what, g.who FROM gone AS g ORDER BY 1, 2 $$;

SET ROLE imat_ann;
CREATE TABLE ann.t (k varchar(10) NOT NULL, n integer NOT NULL, x numeric, code char(3), at timestamptz, tags integer[], f double precision);
CREATE TABLE ann.u (k varchar(10) NOT NULL, weight integer);
CREATE INDEX ON ann.t USING gin (tags);
INSERT INTO ann.t SELECT 'k' || i % 3, i, i / 7.0, 'c' || i % 2, '2024-03-01 00:00+00', ARRAY[i, i % 5], i / 3.0 FROM generate_series(1, 200) AS i;
INSERT INTO ann.u VALUES ('k0', 10), ('k1', 20), ('k2', NULL);
CREATE FUNCTION ann.plain(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1 WHERE lower(''A''::varchar) = ''a''';
CREATE FUNCTION ann.slow(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 + length(lower('Aa'::varchar)); END $$;
CREATE VIEW ann.grouped AS SELECT lower(k) AS k, code, sum(n) AS s, avg(x) AS a, max(n) AS m, count(*) AS c FROM ann.t WHERE n > 0 GROUP BY lower(k), code;
CREATE VIEW ann.joined AS SELECT t.k, u.weight, count(DISTINCT t.n) AS d FROM ann.t AS t JOIN ann.u AS u ON t.k = u.k WHERE t.tags @> '{1}' GROUP BY t.k, u.weight;
CREATE VIEW ann.whole AS SELECT DISTINCT k, n + 1 AS n FROM ann.t;
CREATE VIEW ann.called AS SELECT ann.plain(n) AS p, ann.slow(n) AS s, x FROM ann.t;
CREATE VIEW ann.printed AS SELECT at AT TIME ZONE 'IST' AS local, at::text AS at, f::text AS f, to_char(at, 'TMDay') AS day, count(*) AS c
    FROM ann.t GROUP BY at AT TIME ZONE 'IST', at::text, f::text, to_char(at, 'TMDay');
SELECT create_imat('ann.' || v) FROM unnest(ARRAY['grouped', 'joined', 'whole', 'called', 'printed']) AS v;
GRANT USAGE ON SCHEMA ann TO imat_mallory;
GRANT SELECT, INSERT, UPDATE, DELETE ON ann.t, ann.u TO imat_mallory;
RESET ROLE;
CREATE FUNCTION hidden.differences() RETURNS TABLE (name regclass, differences bigint) LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
    'SELECT s.name, (SELECT count(*) FROM public.verify_imat(s.name::text)) FROM public.imat_status AS s ORDER BY s.name::text';

-- 1. Names. Public has functions, operators, aggregates and types that fit better than PostgreSQL's, or as well.
SET ROLE imat_mallory;
CREATE FUNCTION public.noted(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN INSERT INTO hidden.seen VALUES (what, current_user); RETURN true; END $$;
CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('lower(varchar)'); RETURN 'evil'; END $$;
CREATE FUNCTION public.length(text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('length(text)'); RETURN 666; END $$;
CREATE FUNCTION public.same(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('=(varchar, varchar)'); RETURN true; END $$;
CREATE FUNCTION public.same(bpchar, bpchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('=(bpchar, bpchar)'); RETURN true; END $$;
CREATE FUNCTION public.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('=(text, text)'); RETURN true; END $$;
CREATE FUNCTION public.same(pg_catalog.oid, pg_catalog.oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('=(oid, oid)'); RETURN true; END $$;
CREATE FUNCTION public.same(bigint, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('=(bigint, integer)'); RETURN true; END $$;
CREATE FUNCTION public.plus(integer, integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('+(integer, integer)'); RETURN 666; END $$;
CREATE FUNCTION public.plus(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('+(bigint, bigint)'); RETURN 666; END $$;
CREATE FUNCTION public.plus(numeric, numeric) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('+(numeric, numeric)'); RETURN 666; END $$;
CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = varchar, RIGHTARG = varchar);
CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = bpchar, RIGHTARG = bpchar);
CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = pg_catalog.oid, RIGHTARG = pg_catalog.oid);
CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = bigint, RIGHTARG = integer);
CREATE OPERATOR public.+ (FUNCTION = public.plus, LEFTARG = integer, RIGHTARG = integer);
CREATE OPERATOR public.+ (FUNCTION = public.plus, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR public.+ (FUNCTION = public.plus, LEFTARG = numeric, RIGHTARG = numeric);
CREATE AGGREGATE public.sum (integer) (SFUNC = public.plus, STYPE = integer);
CREATE AGGREGATE public.max (integer) (SFUNC = public.plus, STYPE = integer);
CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('to_regclass(text)'); RETURN NULL; END $$;
CREATE DOMAIN public.oid AS pg_catalog.oid CHECK (public.noted('type oid'));
CREATE DOMAIN public.name AS pg_catalog.name CHECK (public.noted('type name'));
CREATE DOMAIN public.text AS pg_catalog.text CHECK (public.noted('type text'));
CREATE DOMAIN public.regclass AS pg_catalog.regclass CHECK (public.noted('type regclass'));
CREATE DOMAIN public.tid AS pg_catalog.tid CHECK (public.noted('type tid'));
CREATE TABLE public.t (LIKE ann.t); CREATE TABLE public.u (LIKE ann.u);

-- She writes under a path that finds all of this first, and temporary objects as well.
\c - imat_mallory
SET search_path = public, pg_temp, pg_catalog;
CREATE TEMPORARY TABLE t (k varchar); CREATE TEMPORARY TABLE grouped (k varchar); CREATE TEMPORARY TABLE pg_class (oid pg_catalog.oid);
CREATE TEMPORARY TABLE imat_delta_0 (c1 varchar, w integer); CREATE TEMPORARY TABLE imat (name pg_catalog.regclass); CREATE TEMPORARY TABLE source (name pg_catalog.regclass);
CREATE DOMAIN pg_temp.bigint AS pg_catalog.int8 CHECK (public.noted('type pg_temp.bigint'));
CREATE DOMAIN pg_temp.int8 AS pg_catalog.int8 CHECK (public.noted('type pg_temp.int8'));
-- They are traps for her: the same expressions in a query of her own.
SELECT lower(k) AS k, sum(n + 1) AS s, max(n) AS m FROM ann.t WHERE code = 'c1' AND n OPERATOR(pg_catalog.=) 1 GROUP BY lower(k);
SELECT to_regclass('ann.t'::text)::oid, 'x'::name, 1::int8, ann.plain(1), ann.slow(1), '{}'::regclass[], 1::pg_catalog.int8 = 1;
\c - postgres
SELECT * FROM hidden.taken();
\c - imat_mallory
SET search_path = public, pg_temp, pg_catalog;
CREATE TEMPORARY TABLE t (k varchar); CREATE TEMPORARY TABLE grouped (k varchar); CREATE TEMPORARY TABLE imat_delta_0 (c1 varchar, w integer);
CREATE DOMAIN pg_temp.bigint AS pg_catalog.int8 CHECK (public.noted('type pg_temp.bigint'));
CREATE DOMAIN pg_temp.int8 AS pg_catalog.int8 CHECK (public.noted('type pg_temp.int8'));
-- And not for what is maintained.
INSERT INTO ann.t VALUES ('K9', 1000, 1.5, 'c1', '2024-03-02 00:00+00', '{1,2}', 0.1);
INSERT INTO ann.t SELECT k, n OPERATOR(pg_catalog.*) 2, x, code, at, tags, f FROM ann.t;
UPDATE ann.t SET n = n OPERATOR(pg_catalog.-) 1, x = 2 WHERE n OPERATOR(pg_catalog.>) 150;
DELETE FROM ann.t WHERE n OPERATOR(pg_catalog.=) 7;
UPDATE ann.u SET weight = 5;
\c - postgres
SELECT * FROM hidden.taken();
SELECT * FROM hidden.differences();
SELECT * FROM hidden.taken();
-- Nor do the verbs go into them, whoever calls them under such a path.
SET search_path = public, pg_temp, pg_catalog;
SELECT public.refresh_imat('imat.grouped'), public.refresh_imat('joined');
SELECT pg_catalog.count(*) FROM public.verify_imat('imat.whole', true);
SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 FROM public.explain_imat('imat.joined');
SELECT maintainable, strategy FROM public.check_imat('SELECT k FROM ann.u');
SELECT public.create_imat('ann.grouped', 'public');
SELECT public.create_imat('ann.joined'::pg_catalog.regclass, 'public');
SELECT public.create_imat('passing', query => 'SELECT k FROM ann.u');
SELECT public.drop_imat('passing'), public.drop_imat('public.grouped'), public.drop_imat('public.joined');
ALTER TABLE ann.u ADD more integer;
CREATE INDEX ON ann.u (k);
DROP INDEX ann.u_k_idx;
SET search_path = pg_catalog;
SELECT * FROM hidden.taken();
RESET search_path;

-- 2. Settings, of a session or of the role: no value of what she may set makes a table differ.
CREATE TABLE hidden.setting (number integer GENERATED ALWAYS AS IDENTITY, name text, value text);
INSERT INTO hidden.setting (name, value) VALUES ('search_path', 'pg_temp, public, ann'), ('DateStyle', 'SQL, DMY'), ('IntervalStyle', 'iso_8601'), ('TimeZone', 'Asia/Tokyo'),
    ('timezone_abbreviations', 'India'), ('extra_float_digits', '-15'), ('bytea_output', 'escape'), ('xmlbinary', 'hex'), ('xmloption', 'document'), ('lc_time', 'C'), ('lc_monetary', 'C'),
    ('lc_numeric', 'C'), ('standard_conforming_strings', 'off'), ('escape_string_warning', 'off'), ('backslash_quote', 'on'), ('transform_null_equals', 'on'), ('array_nulls', 'off'),
    ('quote_all_identifiers', 'on'), ('row_security', 'off'), ('plan_cache_mode', 'force_custom_plan'), ('gin_fuzzy_search_limit', '1'), ('constraint_exclusion', 'on'),
    ('enable_indexscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_hashagg', 'off'), ('enable_sort', 'off'), ('enable_nestloop', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
    ('from_collapse_limit', '1'), ('join_collapse_limit', '1'), ('geqo_threshold', '2'), ('work_mem', '64kB'), ('parallel_setup_cost', '0'), ('parallel_tuple_cost', '0'),
    ('min_parallel_table_scan_size', '0'), ('default_transaction_isolation', 'serializable'), ('default_transaction_deferrable', 'on'), ('check_function_bodies', 'off'), ('client_min_messages', 'error'),
    ('default_table_access_method', 'heap'), ('default_toast_compression', 'pglz'), ('jit_above_cost', '0'), ('synchronize_seqscans', 'off'), ('plpgsql.variable_conflict', 'use_column'),
    ('imat.max_key_locks', '0'), ('imat.flush', 'never'), ('imat_catalog.owner', 'imat_mallory');
GRANT SELECT ON hidden.setting TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA imat TO imat_mallory;
\c - imat_mallory
CREATE PROCEDURE public.write_under(name text, value text, number integer) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM set_config(name, value, false);
    INSERT INTO ann.t SELECT 'k' || number % 4, number * 10 + i, i / 7.0, 'c1', timestamptz '2024-03-01 20:00+00' + number * interval '1 day', ARRAY[1, number], number / 3.0 FROM generate_series(1, 3) AS i;
    UPDATE ann.t SET x = x + 1, k = upper(k) WHERE n = number;
    DELETE FROM ann.t WHERE n = number + 100;
    UPDATE ann.u SET weight = number WHERE k = 'k1';
EXCEPTION WHEN insufficient_privilege OR syntax_error THEN RAISE NOTICE '%: %', name, SQLERRM;
END $$;
DROP DOMAIN public.text, public.name, public.oid, public.regclass, public.tid;
DROP FUNCTION public.to_regclass(text);
SELECT format('CALL public.write_under(%L, %L, %s)', name, value, number), format('SET %I TO DEFAULT', name) FROM hidden.setting WHERE name NOT LIKE '%.%' ORDER BY number \gexec
SELECT format('CALL public.write_under(%L, %L, %s)', name, value, number) FROM hidden.setting WHERE name LIKE '%.%' ORDER BY number \gexec
\c - postgres
SELECT * FROM hidden.differences();
-- All of them at once, for the role.
SELECT format('ALTER ROLE imat_mallory SET %I TO %s', name, CASE name WHEN 'search_path' THEN value ELSE quote_literal(value) END) FROM hidden.setting
    WHERE name NOT IN ('plpgsql.variable_conflict', 'default_transaction_isolation', 'imat.max_key_locks', 'imat.flush', 'imat_catalog.owner') ORDER BY number \gexec
\c - imat_mallory
SHOW extra_float_digits;
INSERT INTO ann.t SELECT 'z' || i, i, i, 'c2', timestamptz '2024-06-01 20:00+00', ARRAY[1, i], i / 9.0 FROM pg_catalog.generate_series(1, 50) AS i;
UPDATE ann.t SET n = n OPERATOR(pg_catalog.*) 3 WHERE code OPERATOR(pg_catalog.=) 'c2';
DELETE FROM ann.t WHERE code OPERATOR(pg_catalog.=) 'c0';
UPDATE ann.u SET weight = 9;
TABLE imat.printed ORDER BY local, f LIMIT 2;
\c - postgres
SELECT * FROM hidden.differences();
SELECT * FROM hidden.taken();
-- What loads code is for superusers to set.
SET ROLE imat_mallory;
ALTER ROLE imat_mallory SET session_preload_libraries = 'evil';
SET session_replication_role = replica;
RESET ROLE;

-- 3. Calls of the extension's own functions. These are everybody's:
SELECT p.oid::regprocedure, p.prosecdef, p.provolatile FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_imat' WHERE has_function_privilege('imat_mallory', p.oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text;
SELECT count(*) FROM pg_proc WHERE pronamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace, 'imat_catalog'::regnamespace) AND prosecdef AND NOT ('search_path=pg_catalog, pg_temp' = ANY (proconfig));
SELECT n.nspname, p.privilege FROM pg_namespace AS n, unnest(ARRAY['USAGE', 'CREATE']) AS p(privilege) WHERE n.nspname LIKE 'imat%' AND has_schema_privilege('imat_mallory', n.oid, p.privilege) ORDER BY 1, 2;
SELECT c.oid::regclass, p.privilege FROM pg_class AS c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p(privilege)
    WHERE c.relnamespace = 'imat_catalog'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege('imat_mallory', c.oid, p.privilege) ORDER BY 1, 2;
SET ROLE imat_mallory;
SELECT imat_catalog.rewrites('rows to be rewritten', '{}');
SELECT imat_catalog.on_change();
SELECT imat_catalog.before_command();
SELECT * FROM imat_catalog.concerned_now('{}');
SELECT imat_catalog.on_change();
CREATE TABLE public.own (n integer);
CREATE TRIGGER mine BEFORE INSERT ON public.own EXECUTE FUNCTION imat_catalog.open();
CREATE TRIGGER mine AFTER INSERT ON public.own EXECUTE FUNCTION imat_catalog.capture();
CREATE TRIGGER mine BEFORE INSERT ON public.own EXECUTE FUNCTION imat_catalog.guard();
CREATE TRIGGER mine AFTER INSERT ON public.own FOR EACH ROW EXECUTE FUNCTION imat_catalog.replica();
CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION imat_catalog.on_change();
INSERT INTO imat_catalog.source VALUES ('ann.t', 'ann.t', 'public.own');
UPDATE imat_status SET source = 'x';
BEGIN; LOCK TABLE imat_catalog.imat IN EXCLUSIVE MODE; ROLLBACK;
CREATE TABLE imat.mine ();
CREATE TABLE imat_state.mine ();
CREATE VIEW imat_catalog.mine AS SELECT 1;
-- A row can be nested as deep as anybody likes: an error, not the end of the server.
CREATE FUNCTION pg_temp.nested(depth integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE r record := ROW(1);
BEGIN
    FOR i IN 1..depth LOOP r := ROW(r); END LOOP;
    RETURN imat_catalog.row_image(r) IS NOT NULL AND imat_catalog.row_hash(r) IS NOT NULL;
END $$;
SELECT pg_temp.nested(100);
SELECT pg_temp.nested(20000);
SELECT imat_catalog.row_image(NULL), imat_catalog.row_image(ROW()), imat_catalog.row_hash(NULL), imat_catalog.row_image(ROW(NULL)) = imat_catalog.row_image(ROW(NULL, NULL)) AS same;
SELECT imat_catalog.row_image(1);
SELECT count(imat_catalog.row_image(c.*)) > 0 AS hashed FROM pg_class AS c;
RESET ROLE;
SELECT count(drop_imat(name::text)) FROM imat_status;
DROP OWNED BY imat_mallory, imat_ann CASCADE;
DROP ROLE imat_mallory, imat_ann;
