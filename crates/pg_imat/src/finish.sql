-- Nothing in another schema can stand in for an operator or a function here.
SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.create_imat(view regclass, schema text DEFAULT 'imat') RETURNS regclass
    LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT @extschema@.create_imat(view::text, schema, NULL);
END;

CREATE PROCEDURE @extschema@.create_imat(view text, online boolean, schema text DEFAULT 'imat')
    LANGUAGE c AS 'MODULE_PATHNAME', 'imat_create_online';
COMMENT ON PROCEDURE @extschema@.create_imat(text, boolean, text) IS
    'the same as the function; with online => true, in several transactions, without keeping writers waiting';

-- Who is building which maintained table: sessions hold a lock that says so.
CREATE VIEW imat_catalog.builders AS
    SELECT l.objid AS definition, l.pid
    FROM pg_catalog.pg_locks AS l
    WHERE l.locktype = 'object' AND l.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = 424
        AND l.mode = 'ExclusiveLock' AND l.granted
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database());

-- How far they are, which they tell in pg_stat_activity.
CREATE VIEW imat_catalog.progress AS
    SELECT i.name AS maintained, pg_catalog.format('%I.%I', i.target[1], i.target[2]) AS name, b.pid,
        pg_catalog.substring(t.told, '^[^,]*') AS phase,
        pg_catalog.substring(t.told, '([0-9]+) of about [0-9]+ rows$')::bigint AS rows_done,
        pg_catalog.substring(t.told, '([0-9]+) rows$')::bigint AS rows_expected,
        t.told AS progress
    FROM imat_catalog.imat AS i
    LEFT JOIN imat_catalog.builders AS b ON b.definition = i.definition
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
    CROSS JOIN LATERAL pg_catalog.substring(a.query, '^create_imat .* online: (.*)') AS t(told)
    WHERE i.target IS NOT NULL;
COMMENT ON VIEW imat_catalog.progress IS 'one row per maintained table that is being built online, or was not built to the end';
GRANT SELECT ON imat_catalog.progress TO PUBLIC;


-- A maintained table over a stale one holds the result of its query over what that one holds.
CREATE VIEW @extschema@.imat_status AS
    WITH RECURSIVE stale AS (
        SELECT i.name, i.state, i.stale FROM imat_catalog.imat AS i WHERE i.stale IS NOT NULL
        UNION SELECT i.name, i.state, pg_catalog.format('%s is stale', l.name) FROM stale AS l
            JOIN imat_catalog.source AS s ON s.base = l.state JOIN imat_catalog.imat AS i ON i.name = s.name)
    SELECT i.name, i.strategy, i.construct, i.source, i.state,
        (SELECT pg_catalog.array_agg(DISTINCT s.base::text ORDER BY s.base::text)
         FROM imat_catalog.source AS s WHERE s.name = i.name) AS base_tables,
        greatest(c.reltuples, 0)::bigint AS rows,
        pg_catalog.pg_total_relation_size(i.state) AS size,
        t.n_tup_ins AS inserted, t.n_tup_upd AS updated, t.n_tup_hot_upd AS updated_in_page, t.n_tup_del AS deleted,
        i.created_at,
        coalesce(i.stale, (SELECT pg_catalog.min(l.stale) FROM stale AS l WHERE l.name = i.name)) AS stale,
        CASE WHEN i.target IS NULL THEN 'ready' WHEN p.pid IS NULL THEN 'unfinished' ELSE 'building' END AS status,
        p.progress
    FROM imat_catalog.imat AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.state
    LEFT JOIN pg_catalog.pg_stat_all_tables AS t ON t.relid = i.state
    LEFT JOIN LATERAL (SELECT q.* FROM imat_catalog.progress AS q WHERE i.target IS NOT NULL AND q.maintained = i.name) AS p ON true;
COMMENT ON VIEW @extschema@.imat_status IS 'one row per maintained table';
GRANT SELECT ON @extschema@.imat_status TO PUBLIC;

-- What a dump brings of tables that have been adopted, or will be, is passed over: see adopt.rs.
CREATE TRIGGER pass_over BEFORE INSERT ON imat_catalog.imat FOR EACH ROW EXECUTE FUNCTION imat_catalog.arrive();
CREATE TRIGGER pass_over BEFORE INSERT ON imat_catalog.source FOR EACH ROW EXECUTE FUNCTION imat_catalog.arrive();
ALTER TABLE imat_catalog.imat ENABLE ALWAYS TRIGGER pass_over;
ALTER TABLE imat_catalog.source ENABLE ALWAYS TRIGGER pass_over;

-- Of relations, of what inherits from them and of what they inherit from: those that some
-- maintained table has to do with.
CREATE FUNCTION imat_catalog.concerned(relations oid[]) RETURNS SETOF oid LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE down AS (
        SELECT r.oid FROM unnest(relations) AS r(oid)
        UNION SELECT i.inhrelid FROM down AS d JOIN pg_inherits AS i ON i.inhparent = d.oid),
    up AS (
        SELECT r.oid FROM unnest(relations) AS r(oid)
        UNION SELECT i.inhparent FROM up AS u JOIN pg_inherits AS i ON i.inhrelid = u.oid)
    SELECT f.oid FROM (SELECT d.oid FROM down AS d UNION SELECT u.oid FROM up AS u) AS f
    WHERE EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.relation = f.oid)
       OR EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.name = f.oid)
       OR EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.state = f.oid)
       OR EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.definition = f.oid)
       -- A view that is read by another one.
       OR EXISTS (SELECT FROM pg_class AS c JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
           WHERE c.oid = f.oid AND c.relkind = 'v' AND d.classid = 'pg_rewrite'::regclass AND d.deptype = 'n')
       -- A dump may have brought the triggers without the bookkeeping.
       OR EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = f.oid AND t.tgname = 'imat_open')
       OR EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = f.oid AND t.tgname = 'imat_guard');
END;

-- What changes when these objects are created or altered. A relation stands for its row type, since what it
-- does to its own rows is seen elsewhere; a function, an operator and a cast for those that a query's
-- text could have meant until now.
CREATE FUNCTION imat_catalog.redefined(classes oid[], objects oid[]) RETURNS TABLE (class oid, object oid) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT o.class, o.object FROM unnest(classes, objects) AS o(class, object)
    WHERE o.class NOT IN ('pg_class'::regclass, 'pg_namespace'::regclass, 'pg_language'::regclass)
    UNION SELECT 'pg_type'::regclass, c.reltype FROM unnest(classes, objects) AS o(class, object)
        JOIN pg_class AS c ON c.oid = o.object AND c.reltype <> 0 WHERE o.class = 'pg_class'::regclass
    UNION SELECT o.class, same.oid FROM unnest(classes, objects) AS o(class, object)
        JOIN pg_proc AS p ON p.oid = o.object
        JOIN pg_proc AS same ON same.proname = p.proname AND same.pronamespace = p.pronamespace
        WHERE o.class = 'pg_proc'::regclass
    UNION SELECT o.class, same.oid FROM unnest(classes, objects) AS o(class, object)
        JOIN pg_operator AS p ON p.oid = o.object
        JOIN pg_operator AS same ON same.oprname = p.oprname AND same.oprnamespace = p.oprnamespace
        WHERE o.class = 'pg_operator'::regclass
    UNION SELECT 'pg_type'::regclass, t.oid FROM unnest(classes, objects) AS o(class, object)
        JOIN pg_cast AS c ON c.oid = o.object CROSS JOIN LATERAL unnest(ARRAY[c.castsource, c.casttarget]) AS t(oid)
        WHERE o.class = 'pg_cast'::regclass;
END;

-- The maintained tables whose query means something else when these objects do: through views,
-- functions whose bodies PostgreSQL knows, operators and their classes, types and columns.
CREATE FUNCTION imat_catalog.callers(classes oid[], objects oid[]) RETURNS SETOF oid LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE above AS (
        SELECT r.class, r.object FROM imat_catalog.redefined(classes, objects) AS r
        UNION SELECT v.class, v.object FROM above AS a CROSS JOIN LATERAL (
            SELECT d.classid, d.objid FROM pg_depend AS d
            WHERE d.refclassid = a.class AND d.refobjid = a.object AND d.deptype IN ('n', 'a', 'i')
            -- What it is a part of: a rule of its view, a constraint of its domain, and all
            -- that a class of operators consists of belongs together.
            UNION ALL SELECT d.refclassid, d.refobjid FROM pg_depend AS d
            WHERE d.classid = a.class AND d.objid = a.object AND (
                a.class = 'pg_rewrite'::regclass AND d.deptype = 'i'
                OR a.class = 'pg_constraint'::regclass AND d.refclassid = 'pg_type'::regclass
                OR a.class IN ('pg_amop'::regclass, 'pg_amproc'::regclass, 'pg_opclass'::regclass)
                    AND d.refclassid IN ('pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass))
        ) AS v(class, object))
    SELECT i.name FROM above AS a
        JOIN imat_catalog.imat AS i ON a.class = 'pg_class'::regclass AND i.definition = a.object;
END;

-- What a view's query is made of: the same way downwards.
CREATE FUNCTION imat_catalog.parts(view oid) RETURNS TABLE (class oid, object oid) LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE below AS (
        SELECT 'pg_class'::regclass::oid AS class, view AS object
        UNION SELECT p.class, p.object FROM below AS b CROSS JOIN LATERAL (
            SELECT d.refclassid, d.refobjid FROM pg_depend AS d
            WHERE d.classid = b.class AND d.objid = b.object AND d.deptype IN ('n', 'a', 'i')
            UNION ALL SELECT d.classid, d.objid FROM pg_depend AS d
            WHERE d.refclassid = b.class AND d.refobjid = b.object AND (
                d.classid = 'pg_rewrite'::regclass AND d.deptype = 'i'
                OR d.classid = 'pg_constraint'::regclass AND b.class = 'pg_type'::regclass
                OR d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass, 'pg_opclass'::regclass)
                    AND b.class IN ('pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass))
        ) AS p(class, object))
    SELECT b.class, b.object FROM below AS b;
END;

-- DDL. The functions run as the extension's owner, because whoever drops or attaches a table
-- need not own what is maintained over it. Each begins with a query that costs other commands
-- little, if its plan is kept, and goes on only for what concerns a maintained table.
CREATE FUNCTION imat_catalog.on_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    relations oid[];
    types oid[];
    callers oid[];
BEGIN
    -- The extension itself being dropped has no tables to look at.
    IF to_regclass('imat_catalog.source') IS NULL THEN
        RETURN;
    END IF;
    -- Of a trigger the name of its table is told.
    relations := imat_catalog.concerned_now(ARRAY(
        SELECT d.objid FROM pg_event_trigger_dropped_objects() AS d WHERE d.classid = 'pg_class'::regclass
        UNION SELECT to_regclass(format('%I.%I', d.address_names[1], d.address_names[2])) FROM pg_event_trigger_dropped_objects() AS d
            WHERE d.classid = 'pg_trigger'::regclass AND d.address_names[3] LIKE 'imat\_%'));
    IF relations <> '{}' THEN
        PERFORM imat_catalog.told('dropped', relations);
    END IF;
    -- Without a cast the text of a query can mean another way to the same type.
    types := ARRAY(SELECT to_regtype(t.name) FROM pg_event_trigger_dropped_objects() AS d
        CROSS JOIN LATERAL unnest(d.address_names || d.address_args) AS t(name)
        WHERE d.classid = 'pg_cast'::regclass AND to_regtype(t.name) IS NOT NULL);
    IF types <> '{}' THEN
        callers := imat_catalog.redefine(array_fill('pg_type'::regclass::oid, ARRAY[cardinality(types)]), types);
    END IF;
    IF callers <> '{}' THEN
        PERFORM imat_catalog.told('meaning changed', callers);
    END IF;
END $$;
CREATE EVENT TRIGGER imat_drop ON sql_drop EXECUTE FUNCTION imat_catalog.on_drop();

CREATE FUNCTION imat_catalog.on_change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    classes oid[];
    objects oid[];
    relations oid[];
    touched oid[];
    restored oid[];
    views oid[];
    callers oid[];
    given boolean;
BEGIN
    -- A table that is new is nothing that anybody uses.
    SELECT array_agg(c.classid) FILTER (WHERE c.command_tag NOT IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')),
        array_agg(c.objid) FILTER (WHERE c.command_tag NOT IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')),
        array_agg(c.objid) FILTER (WHERE c.classid = 'pg_class'::regclass),
        array_agg(coalesce(t.tgrelid, r.ev_class)) FILTER (WHERE t.oid IS NOT NULL OR r.oid IS NOT NULL),
        array_agg(t.tgrelid) FILTER (WHERE t.tgname IN ('imat_update', 'imat_definition')),
        array_agg(coalesce(r.ev_class, c.objid)) FILTER (WHERE c.command_tag = 'CREATE VIEW' OR r.ev_type = '1'),
        bool_and(imat_catalog.changes_owner(c.command))
    INTO classes, objects, relations, touched, restored, views, given
    FROM pg_event_trigger_ddl_commands() AS c
        LEFT JOIN pg_trigger AS t ON c.classid = 'pg_trigger'::regclass AND t.oid = c.objid
        LEFT JOIN pg_rewrite AS r ON c.classid = 'pg_rewrite'::regclass AND r.oid = c.objid
    WHERE c.objid IS NOT NULL AND c.command_tag NOT IN ('COMMENT', 'SECURITY LABEL');
    callers := imat_catalog.redefine(classes, objects);
    relations := imat_catalog.concerned_now(relations);
    touched := imat_catalog.concerned_now(touched);
    IF 'pg_subscription'::regclass = ANY (classes) THEN
        PERFORM imat_catalog.told('subscribed', ARRAY(SELECT r.srrelid FROM pg_subscription_rel AS r));
    END IF;
    IF touched <> '{}' THEN
        PERFORM imat_catalog.told('triggers altered', touched);
    END IF;
    IF restored IS NOT NULL THEN
        PERFORM imat_catalog.told('triggers restored', restored);
    END IF;
    IF views IS NOT NULL THEN
        PERFORM imat_catalog.told('views replaced', views);
    END IF;
    IF relations <> '{}' THEN
        PERFORM imat_catalog.told(CASE WHEN given THEN 'owner changed' ELSE 'altered' END, relations);
    END IF;
    IF callers <> '{}' THEN
        PERFORM imat_catalog.told('meaning changed', callers);
    END IF;
    IF tg_tag = 'ALTER TABLE' THEN
        PERFORM imat_catalog.told('table altered', '{}');
    END IF;
END $$;
CREATE EVENT TRIGGER imat_change ON ddl_command_end EXECUTE FUNCTION imat_catalog.on_change();

-- Bits 2 and 4 of the reason: rows are computed anew, from a default or an expression, or for a type.
CREATE FUNCTION imat_catalog.on_rewrite() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_event_trigger_table_rewrite_reason() & 6 <> 0
        AND imat_catalog.concerned_now(ARRAY[pg_event_trigger_table_rewrite_oid()]) <> '{}' THEN
        PERFORM imat_catalog.told('rows to be rewritten', ARRAY[pg_event_trigger_table_rewrite_oid()]);
    END IF;
END $$;
CREATE EVENT TRIGGER imat_rewrite ON table_rewrite EXECUTE FUNCTION imat_catalog.on_rewrite();

-- In C, where the command is told and not only its tag.
CREATE EVENT TRIGGER imat_command ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'CREATE VIEW', 'CREATE RULE', 'DROP INDEX')
    EXECUTE FUNCTION imat_catalog.before_command();

-- In a session that calls itself a replica too.
ALTER EVENT TRIGGER imat_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
ALTER EVENT TRIGGER imat_rewrite ENABLE ALWAYS;
ALTER EVENT TRIGGER imat_command ENABLE ALWAYS;

-- Only the event triggers need them.
REVOKE ALL ON FUNCTION imat_catalog.concerned(oid[]), imat_catalog.callers(oid[], oid[]),
    imat_catalog.redefined(oid[], oid[]), imat_catalog.parts(oid),
    imat_catalog.on_drop(), imat_catalog.on_change(), imat_catalog.on_rewrite() FROM PUBLIC;
