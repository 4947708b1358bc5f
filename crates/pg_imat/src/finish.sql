-- With this path no object in another schema can be found instead of a built-in operator or function.
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

-- The sessions that are building a maintained table online: each holds a lock on the definition.
CREATE VIEW imat_catalog.builders AS
    SELECT l.objid AS definition, l.pid
    FROM pg_catalog.pg_locks AS l
    WHERE l.locktype = 'object' AND l.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = 424
        AND l.mode = 'ExclusiveLock' AND l.granted
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database());

-- Their progress, which they report in pg_stat_activity.
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

-- The relations that a view reads, also through other views, and the view itself.
CREATE FUNCTION imat_catalog.below(view oid) RETURNS TABLE (relation oid) LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE below AS (
        SELECT view AS relation
        UNION SELECT d.refobjid FROM below AS b JOIN pg_rewrite AS r ON r.ev_class = b.relation
            JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass)
    SELECT b.relation FROM below AS b;
END;

-- The states without bookkeeping, from a restore, each with its mark. The name is the state, or the view over it; NULL
-- if there must be such a view and it does not exist yet.
CREATE VIEW imat_catalog.unadopted AS
    SELECT CASE pg_catalog.get_byte(t.tgargs, 0) WHEN pg_catalog.ascii('f') THEN t.tgrelid ELSE (
            SELECT v.oid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
                JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
                JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = v.oid AND g.tgfoid = 'imat_catalog.guard()'::pg_catalog.regprocedure
            WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.tgrelid LIMIT 1)
        END AS name,
        t.tgrelid AS state, q.refobjid AS definition, t.tgargs AS facts
    FROM pg_catalog.pg_depend AS f
    JOIN pg_catalog.pg_trigger AS t ON t.oid = f.objid AND t.tgname = 'imat_definition'
    JOIN pg_catalog.pg_depend AS q ON q.classid = f.classid AND q.objid = t.oid AND q.refobjid <> t.tgrelid
        AND q.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    WHERE f.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        AND f.refobjid = 'imat_catalog.definition()'::pg_catalog.regprocedure
        AND f.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
        -- A query that reads no table has no rows in imat_catalog.source.
        AND NOT EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.state = t.tgrelid
            AND (EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.name = i.name)
                OR NOT EXISTS (SELECT FROM imat_catalog.below(q.refobjid) AS b
                    JOIN pg_catalog.pg_class AS c ON c.oid = b.relation AND c.relkind IN ('r', 'p'))));

-- A maintained table over a stale one counts as stale too.
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
        l.stale,
        CASE WHEN i.target IS NOT NULL AND p.pid IS NULL THEN 'unfinished' WHEN i.target IS NOT NULL THEN 'building'
            WHEN l.stale IS NOT NULL THEN 'stale' ELSE 'ready' END AS status,
        p.progress
    FROM imat_catalog.imat AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.state
    LEFT JOIN pg_catalog.pg_stat_all_tables AS t ON t.relid = i.state
    CROSS JOIN LATERAL (SELECT coalesce(i.stale, (SELECT pg_catalog.min(s.stale) FROM stale AS s WHERE s.name = i.name))) AS l(stale)
    LEFT JOIN LATERAL (SELECT q.* FROM imat_catalog.progress AS q WHERE i.target IS NOT NULL AND q.maintained = i.name) AS p ON true
    UNION ALL SELECT coalesce(u.name, u.state), NULL, NULL, NULL, u.state, NULL,
        greatest(c.reltuples, 0)::bigint, pg_catalog.pg_total_relation_size(u.state), NULL, NULL, NULL, NULL, NULL,
        'a dump brought it without its bookkeeping', 'not adopted', NULL
    FROM imat_catalog.unadopted AS u JOIN pg_catalog.pg_class AS c ON c.oid = u.state;
COMMENT ON VIEW @extschema@.imat_status IS 'one row per maintained table';
GRANT SELECT ON @extschema@.imat_status TO PUBLIC;
-- imat_status calls it, by way of imat_catalog.unadopted.
GRANT EXECUTE ON FUNCTION imat_catalog.below(oid) TO PUBLIC;

-- Rows that a restore inserts for tables that were adopted, or will be, are skipped: see follow/restored.rs.
CREATE TRIGGER pass_over BEFORE INSERT ON imat_catalog.imat FOR EACH ROW EXECUTE FUNCTION imat_catalog.arrive();
CREATE TRIGGER pass_over BEFORE INSERT ON imat_catalog.source FOR EACH ROW EXECUTE FUNCTION imat_catalog.arrive();
ALTER TABLE imat_catalog.imat ENABLE ALWAYS TRIGGER pass_over;
ALTER TABLE imat_catalog.source ENABLE ALWAYS TRIGGER pass_over;
CREATE TRIGGER pass_over BEFORE INSERT ON imat_catalog.content FOR EACH ROW EXECUTE FUNCTION imat_catalog.arrive();
ALTER TABLE imat_catalog.content ENABLE ALWAYS TRIGGER pass_over;
-- If the bookkeeping is restored last, no other event tells that maintained tables are complete.
CREATE TRIGGER arrived AFTER INSERT ON imat_catalog.imat FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.arrive();
CREATE TRIGGER arrived AFTER INSERT ON imat_catalog.source FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.arrive();
ALTER TABLE imat_catalog.imat ENABLE ALWAYS TRIGGER arrived;
ALTER TABLE imat_catalog.source ENABLE ALWAYS TRIGGER arrived;

-- All objects that a view's query uses: the dependencies of dependents::callers in the other direction.
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

-- DDL. A role that drops or attaches a table need not own the maintained tables over it, so these look as the
-- extension's owner.
CREATE FUNCTION imat_catalog.on_drop() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_on_drop';
CREATE EVENT TRIGGER imat_drop ON sql_drop EXECUTE FUNCTION imat_catalog.on_drop();
CREATE FUNCTION imat_catalog.on_change() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_on_change';
CREATE EVENT TRIGGER imat_change ON ddl_command_end EXECUTE FUNCTION imat_catalog.on_change();

-- Bits 2 and 4 of the reason mean that new values are computed: from a default or an expression, or for another type.
CREATE FUNCTION imat_catalog.on_rewrite() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF imat_catalog.concerned_now(ARRAY[pg_event_trigger_table_rewrite_oid()]) <> '{}' THEN
        -- After any rewrite older snapshots see an empty table.
        PERFORM imat_catalog.rewrites('versions to be lost', ARRAY[pg_event_trigger_table_rewrite_oid()]);
        IF pg_event_trigger_table_rewrite_reason() & 6 <> 0 THEN
            PERFORM imat_catalog.rewrites('rows to be rewritten', ARRAY[pg_event_trigger_table_rewrite_oid()]);
        END IF;
    END IF;
END $$;
CREATE EVENT TRIGGER imat_rewrite ON table_rewrite EXECUTE FUNCTION imat_catalog.on_rewrite();

-- In C, which has the command itself and not only its tag.
CREATE EVENT TRIGGER imat_command ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'CREATE VIEW', 'CREATE RULE', 'DROP INDEX')
    EXECUTE FUNCTION imat_catalog.before_command();

-- Also under session_replication_role = replica.
ALTER EVENT TRIGGER imat_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
ALTER EVENT TRIGGER imat_rewrite ENABLE ALWAYS;
ALTER EVENT TRIGGER imat_command ENABLE ALWAYS;

-- Only the extension itself calls these.
REVOKE ALL ON FUNCTION imat_catalog.parts(oid),
    imat_catalog.on_drop(), imat_catalog.on_change(), imat_catalog.on_rewrite() FROM PUBLIC;
