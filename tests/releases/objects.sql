-- All objects of pg_imat in this database, one line per property. The order of columns is left out, because an update
-- can only append columns.
SET search_path TO '';
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE e.extname = 'pg_imat' AND d.deptype = 'e'),
relation AS (SELECT c.* FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid),
acl(classid, objid, part, items) AS (
    SELECT 'pg_class'::regclass, oid, 0, relacl FROM pg_class
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl FROM pg_attribute
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proacl FROM pg_proc
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspacl FROM pg_namespace),
property(kind, object, value) AS (
    SELECT 'extension', extname::text, format('%s in %s, configuration %s %s', extversion, extnamespace::regnamespace, extconfig::regclass[], extcondition)
        FROM pg_extension WHERE extname = 'pg_imat'
    UNION ALL SELECT 'member', i.identity, i.type FROM member AS m, pg_identify_object(m.classid, m.objid, 0) AS i
    UNION ALL SELECT 'comment', i.identity, d.description
        FROM member AS m JOIN pg_description AS d ON d.classoid = m.classid AND d.objoid = m.objid, pg_identify_object(m.classid, m.objid, d.objsubid) AS i
    UNION ALL SELECT 'privileges', i.identity, ARRAY(SELECT item::text FROM unnest(a.items) AS item ORDER BY 1)::text
        FROM member AS m JOIN acl AS a USING (classid, objid), pg_identify_object(m.classid, m.objid, a.part) AS i WHERE a.items IS NOT NULL
    UNION ALL SELECT 'initial privileges', i.identity, ARRAY(SELECT item::text FROM unnest(p.initprivs) AS item ORDER BY 1)::text
        FROM member AS m JOIN pg_init_privs AS p ON p.classoid = m.classid AND p.objoid = m.objid, pg_identify_object(m.classid, m.objid, p.objsubid) AS i
    UNION ALL SELECT 'function', f.oid::regprocedure::text, pg_get_functiondef(f.oid)
        FROM member AS m JOIN pg_proc AS f ON m.classid = 'pg_proc'::regclass AND f.oid = m.objid
    UNION ALL SELECT 'view', r.oid::regclass::text, pg_get_viewdef(r.oid) FROM relation AS r WHERE r.relkind = 'v'
    UNION ALL SELECT 'relation', r.oid::regclass::text, concat_ws(' ', r.relkind, r.relpersistence, r.reloptions, r.relrowsecurity) FROM relation AS r
    UNION ALL SELECT 'column', r.oid::regclass::text, concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'NOT NULL' END, pg_get_expr(d.adbin, d.adrelid))
        FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
    UNION ALL SELECT 'constraint', r.oid::regclass::text, c.conname || ' ' || pg_get_constraintdef(c.oid)
        FROM relation AS r JOIN pg_constraint AS c ON c.conrelid = r.oid
    UNION ALL SELECT 'index', r.oid::regclass::text, pg_get_indexdef(i.indexrelid) FROM relation AS r JOIN pg_index AS i ON i.indrelid = r.oid
    UNION ALL SELECT 'trigger', r.oid::regclass::text, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
        FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
    UNION ALL SELECT 'event trigger', e.evtname::text, concat_ws(' ', e.evtevent, e.evtenabled, e.evtfoid::regproc, e.evttags)
        FROM member AS m JOIN pg_event_trigger AS e ON m.classid = 'pg_event_trigger'::regclass AND e.oid = m.objid)
SELECT kind || ' ' || object || ': ' || value FROM property ORDER BY 1;
