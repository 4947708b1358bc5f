-- Nothing in another schema can stand in for an operator or a function here.
SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.create_imat(view regclass, schema text DEFAULT 'imat') RETURNS regclass
    LANGUAGE sql VOLATILE AS $$ SELECT @extschema@.create_imat(view::text, schema, NULL) $$;

CREATE VIEW @extschema@.imat_status AS
    SELECT i.name, i.strategy, i.construct, i.source, i.state,
        (SELECT pg_catalog.array_agg(DISTINCT s.base::text ORDER BY s.base::text)
         FROM imat_catalog.source AS s WHERE s.name = i.name) AS base_tables,
        greatest(c.reltuples, 0)::bigint AS rows,
        pg_catalog.pg_total_relation_size(i.state) AS size,
        t.n_tup_ins AS inserted, t.n_tup_upd AS updated, t.n_tup_hot_upd AS updated_in_page, t.n_tup_del AS deleted,
        i.created_at
    FROM imat_catalog.imat AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.state
    LEFT JOIN pg_catalog.pg_stat_all_tables AS t ON t.relid = i.state;
COMMENT ON VIEW @extschema@.imat_status IS 'one row per maintained table';
GRANT SELECT ON @extschema@.imat_status TO PUBLIC;

-- DDL. The functions run as the extension's owner, because whoever drops or attaches a table
-- need not own what is maintained over it.
CREATE FUNCTION imat_catalog.on_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A dump being restored, or the extension itself being dropped, has no tables to look at.
    IF to_regclass('imat_catalog.source') IS NOT NULL AND EXISTS (
        SELECT FROM pg_event_trigger_dropped_objects() AS d WHERE d.object_type IN ('table', 'view', 'trigger')) THEN
        PERFORM imat_catalog.after_drop();
    END IF;
END $$;
CREATE EVENT TRIGGER imat_drop ON sql_drop EXECUTE FUNCTION imat_catalog.on_drop();

CREATE FUNCTION imat_catalog.on_change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tables oid[] := ARRAY(
        SELECT coalesce(t.tgrelid, r.ev_class, c.objid) FROM pg_event_trigger_ddl_commands() AS c
            LEFT JOIN pg_trigger AS t ON c.classid = 'pg_trigger'::regclass AND t.oid = c.objid
            LEFT JOIN pg_rewrite AS r ON c.classid = 'pg_rewrite'::regclass AND r.oid = c.objid
        WHERE c.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass));
BEGIN
    CASE tg_tag
        WHEN 'CREATE VIEW' THEN
            PERFORM imat_catalog.after_view(tables);
        WHEN 'CREATE FUNCTION', 'ALTER FUNCTION', 'CREATE AGGREGATE', 'ALTER AGGREGATE', 'ALTER TYPE' THEN
            PERFORM imat_catalog.after_function(ARRAY(
                SELECT c.objid FROM pg_event_trigger_ddl_commands() AS c WHERE c.classid IN ('pg_proc'::regclass, 'pg_type'::regclass)));
        WHEN 'CREATE TRIGGER', 'ALTER TRIGGER' THEN
            PERFORM imat_catalog.after_trigger(tables);
        WHEN 'CREATE RULE' THEN
            PERFORM imat_catalog.after_trigger(tables);
            PERFORM imat_catalog.after_view(tables);
        ELSE
            PERFORM imat_catalog.after_alter(tables);
    END CASE;
END $$;
CREATE EVENT TRIGGER imat_change ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'ALTER TABLE', 'CREATE VIEW', 'ALTER VIEW',
        'CREATE RULE', 'CREATE TRIGGER', 'ALTER TRIGGER',
        'CREATE FUNCTION', 'ALTER FUNCTION', 'CREATE AGGREGATE', 'ALTER AGGREGATE', 'ALTER TYPE')
    EXECUTE FUNCTION imat_catalog.on_change();
