\set ECHO none
-- For the files in sql/, once they have the extension:
-- exact(NAME) compares imat.NAME with the view public.NAME, by hand and with verify_imat;
-- `wrong` lists the maintained tables, in any schema, that differ from the view of their name;
-- force(COMMAND) runs it on states as nobody else can; refusal(COMMAND) tells its error in a line.
CREATE FUNCTION exact(name text, place text DEFAULT 'imat') RETURNS text LANGUAGE plpgsql AS $$
DECLARE missing bigint; extra bigint; reported bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (TABLE public.%1$s EXCEPT ALL TABLE %2$s.%1$s) AS d', name, place) INTO missing;
    EXECUTE format('SELECT count(*) FROM (TABLE %2$s.%1$s EXCEPT ALL TABLE public.%1$s) AS d', name, place) INTO extra;
    SELECT count(*) INTO reported FROM verify_imat(format('%s.%s', place, name));
    RETURN CASE missing + extra + reported WHEN 0 THEN 'exact'
        ELSE format('%s missing, %s extra, %s reported', missing, extra, reported) END;
END $$;
CREATE VIEW wrong AS
    SELECT name, difference FROM
        (SELECT s.name, exact(quote_ident(c.relname), c.relnamespace::regnamespace::text) AS difference
            FROM imat_status AS s JOIN pg_class AS c ON c.oid = s.name WHERE s.status <> 'not adopted') AS compared
    WHERE difference <> 'exact';
CREATE FUNCTION force(command text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE state regclass;
BEGIN
    ALTER EVENT TRIGGER imat_change DISABLE;
    FOR state IN SELECT s.state FROM imat_status AS s LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', state); END LOOP;
    EXECUTE command;
    FOR state IN SELECT s.state FROM imat_status AS s LOOP EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER imat_guard, ENABLE ALWAYS TRIGGER imat_definition', state); END LOOP;
    ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
END $$;
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(regexp_replace(concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint), '"?pg_temp_\d+"?\.', ''), 'pg_toast_\d+', 'pg_toast_N', 'g');
END $$;
\set ECHO all
