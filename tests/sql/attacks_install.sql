-- Objects that somebody made before the extension comes are neither taken over nor used by it.
CREATE ROLE imat_mallory;
SELECT format('GRANT CREATE ON DATABASE %I TO imat_mallory', current_database()) \gexec
GRANT CREATE ON SCHEMA public TO imat_mallory;
CREATE SCHEMA hidden;
CREATE TABLE hidden.seen (what text, who text);
GRANT USAGE ON SCHEMA hidden TO PUBLIC; GRANT INSERT ON hidden.seen TO PUBLIC;
CREATE FUNCTION hidden.attempt() RETURNS text LANGUAGE plpgsql AS $$ BEGIN CREATE EXTENSION pg_imat; RETURN 'created'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
CREATE FUNCTION hidden.preplaced(statement text, undo text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE outcome text;
BEGIN
    SET LOCAL ROLE imat_mallory;
    EXECUTE statement;
    RESET ROLE;
    outcome := hidden.attempt();
    EXECUTE undo;
    RETURN outcome;
END $$;
SELECT hidden.preplaced('CREATE SCHEMA ' || s, 'DROP SCHEMA ' || s) FROM unnest(ARRAY['imat', 'imat_state', 'imat_catalog']) AS s;
SELECT hidden.preplaced('CREATE VIEW public.imat_status AS SELECT 1', 'DROP VIEW public.imat_status');
SELECT hidden.preplaced('CREATE TYPE public.imat_status AS (a integer)', 'DROP TYPE public.imat_status');
SELECT hidden.preplaced(format('CREATE FUNCTION public.%s RETURNS void LANGUAGE sql AS ''SELECT''', f), format('DROP FUNCTION public.%s', f))
    FROM unnest(ARRAY['create_imat(text, text, text)', 'create_imat(regclass, text)', 'drop_imat(text)', 'refresh_imat(text)', 'verify_imat(text, boolean)', 'explain_imat(text)', 'check_imat(text)']) AS f;
SELECT count(*) FROM pg_extension WHERE extname = 'pg_imat';
SELECT count(*) FROM pg_event_trigger;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'imat%';

-- What fits better than what its script and its functions call, is passed by.
SET ROLE imat_mallory;
CREATE FUNCTION public.noted(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN INSERT INTO hidden.seen VALUES (what, current_user); RETURN true; END $$;
CREATE FUNCTION public.unnest(oid[]) RETURNS SETOF oid LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('unnest'); RETURN; END $$;
CREATE FUNCTION public.array_fill(oid, integer[]) RETURNS oid[] LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('array_fill'); RETURN NULL; END $$;
CREATE FUNCTION public.pg_event_trigger_ddl_commands() RETURNS SETOF pg_class LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('ddl_commands'); RETURN; END $$;
CREATE FUNCTION public.greatest_of(real, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('operator'); RETURN true; END $$;
CREATE OPERATOR public.= (FUNCTION = public.greatest_of, LEFTARG = real, RIGHTARG = integer);
CREATE FUNCTION public.same(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('=(oid, oid)'); RETURN true; END $$;
CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = oid, RIGHTARG = oid);
CREATE DOMAIN public.oid AS pg_catalog.oid CHECK (public.noted('type oid'));
CREATE DOMAIN public.text AS pg_catalog.text CHECK (public.noted('type text'));
CREATE DOMAIN public.event_trigger AS integer;
-- An overload that fits a call better is called: install the extension in a schema of its own where
-- everybody may create in public.
CREATE FUNCTION public.create_imat(varchar) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN PERFORM public.noted('create_imat(varchar)'); RETURN NULL; END $$;
RESET ROLE;
SET search_path = public, pg_catalog;
CREATE EXTENSION pg_imat;
RESET search_path;
SELECT count(*) FROM pg_depend AS d WHERE d.refobjid IN (SELECT oid FROM pg_proc WHERE proowner = (SELECT oid FROM pg_roles WHERE rolname = 'imat_mallory')
        UNION ALL SELECT oid FROM pg_type WHERE typowner = (SELECT oid FROM pg_roles WHERE rolname = 'imat_mallory'))
    AND d.objid IN (SELECT e.objid FROM pg_depend AS e JOIN pg_extension AS x ON x.oid = e.refobjid AND x.extname = 'pg_imat' WHERE e.deptype = 'e');
CREATE TABLE t (a integer NOT NULL);
CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a;
SET search_path = public, pg_catalog;
SELECT public.create_imat('public.v'::pg_catalog.regclass);
INSERT INTO public.t VALUES (1), (1);
ALTER TABLE public.t ADD b integer;
CREATE SCHEMA elements CREATE TABLE t (a integer) CREATE VIEW v AS SELECT a FROM t CREATE INDEX ON t (a);
DROP SCHEMA elements CASCADE;
SELECT * FROM imat.v;
SELECT pg_catalog.count(*) FROM public.imat_status WHERE state OPERATOR(pg_catalog.=) name;
SET search_path = pg_catalog;
SELECT * FROM hidden.seen;
RESET search_path;
SELECT create_imat('v'::varchar);
SELECT * FROM hidden.seen;
DROP EXTENSION pg_imat CASCADE;
SELECT count(*) FROM pg_event_trigger;

-- In a schema of its own.
CREATE SCHEMA keeping;
CREATE EXTENSION pg_imat SCHEMA keeping;
SELECT keeping.create_imat('v'), (SELECT count(*) FROM keeping.imat_status) AS there;
SELECT keeping.drop_imat('v'), keeping.create_imat('v'::regclass);
INSERT INTO t VALUES (2);
TABLE imat.v ORDER BY a;
DROP EXTENSION pg_imat CASCADE;
DROP OWNED BY imat_mallory CASCADE;
DROP ROLE imat_mallory;
