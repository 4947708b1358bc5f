-- Garbage in, a proper error out; nothing breaks and nothing is left.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer);
CREATE VIEW v AS SELECT a FROM t;
CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;
-- NULL is no name and no query.
SELECT call, outcome('SELECT ' || call) FROM unnest(ARRAY['create_imat(NULL)', 'create_imat(NULL::regclass)', 'create_imat(NULL, query => ''SELECT 1 AS one'')',
    'drop_imat(NULL)', 'refresh_imat(NULL)', 'verify_imat(NULL)', 'explain_imat(NULL)', 'check_imat(NULL)']) AS call;
SELECT create_imat(''); SELECT create_imat(' '); SELECT create_imat('.'); SELECT create_imat('..'); SELECT create_imat('"'); SELECT create_imat('""');
SELECT create_imat('a.b'); SELECT create_imat('a.b.c'); SELECT create_imat('a.b.c.d'); SELECT create_imat('v.'); SELECT create_imat('.v'); SELECT create_imat('v;'); SELECT create_imat('v v');
SELECT create_imat('v"'); SELECT create_imat('"v'); SELECT create_imat('''v'''); SELECT create_imat('v; DROP TABLE t; --'); SELECT create_imat('v/**/');
SELECT create_imat('1'); SELECT create_imat('-1'); SELECT create_imat('0'); SELECT create_imat('4294967296'); SELECT create_imat('-');
SET client_min_messages = warning;
SELECT create_imat(repeat('x', 64));
SELECT create_imat(repeat('x', 64), query => 'SELECT a FROM t');
RESET client_min_messages;
SELECT create_imat('v', ''); SELECT create_imat('v', ' '); SELECT create_imat('v', '"public"'); SELECT create_imat('v', 'public.imat'); SELECT create_imat('v', 'pg_temp'); SELECT create_imat('v', 'pg_toast'); SELECT create_imat('v', 'x; DROP TABLE t');
SELECT create_imat('x', query => NULL);
SELECT create_imat('q', query => 'SELECT ' || repeat('(', 20000) || '1' || repeat(')', 20000));
SELECT outcome($$SELECT create_imat('q', query => 'SELECT ' || repeat('(', 1000000) || '1')$$);
-- A sum of many terms is too deep for PostgreSQL's stack, or for ours: either way it is an error.
SELECT outcome($$SELECT create_imat('q', query => 'SELECT a FROM t WHERE a = ' || repeat('1 + ', 100000) || '1')$$);
SELECT outcome($$SELECT create_imat('q', query => 'SELECT a FROM t WHERE ' || repeat('(a = 1 OR ', 300) || 'a = 2' || repeat(')', 300))$$);
SELECT create_imat('many', query => 'SELECT ' || string_agg(format('a + %s AS c%s', i, i), ', ') || ' FROM t') FROM generate_series(1, 400) AS i;
SELECT create_imat('too_many', query => 'SELECT ' || string_agg(format('a + %s AS c%s', i, i), ', ') || ' FROM t') FROM generate_series(1, 1600) AS i;
SELECT create_imat('wide_key', query => 'SELECT ' || string_agg(format('a + %s AS c%s', i, i), ', ') || ', count(*) AS n FROM t GROUP BY ' || string_agg(format('a + %s', i), ', ')) FROM generate_series(1, 40) AS i;
SELECT create_imat('long', query => 'SELECT count(*) FILTER (WHERE a IN (' || string_agg(i::text, ', ') || ')) AS n FROM t') FROM generate_series(1, 5000) AS i;
SELECT create_imat('quotes', query => $q$SELECT a, 'it''s' AS "a""b", E'back\\slash' AS "c\d", $$dollar$$ AS "$$", '{{"x"}}' AS "{}", '$1 %s %I' AS "%" FROM t$q$);
SELECT create_imat('comment', query => 'SELECT a /* ; */ FROM t -- the end');
SELECT create_imat('unicode', query => $q$SELECT a, U&'\0441\043B\043E\043D' AS "слон", '🐘' AS "🐘" FROM t$q$);
SELECT create_imat('🐘', query => 'SELECT a FROM t');
SELECT create_imat('unnamed', query => 'SELECT 1, 2 FROM t');
SELECT create_imat('unnamed', query => 'SELECT 1 FROM t');
SELECT create_imat('record', query => 'SELECT ROW(a, 1) AS r FROM t');
SELECT create_imat('pseudo', query => 'SELECT ARRAY[]::anyarray AS r FROM t');
SELECT create_imat('xids', query => $q$SELECT '1'::xid AS x, '(0,1)'::tid AS t, a FROM t$q$);
SELECT create_imat('json_key', query => $q$SELECT count(*) AS n FROM t GROUP BY '{}'::json::text$q$);
SELECT create_imat('json_distinct', query => $q$SELECT DISTINCT '{}'::json AS j FROM t$q$);
INSERT INTO t VALUES (1), (2), (3), (3), (NULL);
DELETE FROM t WHERE a = 2;
UPDATE t SET a = a + 1;
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
TABLE imat.quotes LIMIT 1;
TABLE imat.unicode LIMIT 1;

SELECT drop_imat(''); SELECT drop_imat('.'); SELECT drop_imat('a.b.c.d'); SELECT drop_imat('"'); SELECT drop_imat('t'); SELECT drop_imat('public.v'); SELECT drop_imat('pg_class');
SELECT refresh_imat(''); SELECT refresh_imat('a.b.c.d'); SELECT * FROM verify_imat('"'); SELECT * FROM verify_imat('x y'); SELECT * FROM explain_imat('');
SELECT imat_catalog.guard(); SELECT imat_catalog.open(); SELECT imat_catalog.capture();
CREATE TRIGGER stray AFTER INSERT ON t EXECUTE FUNCTION imat_catalog.capture();
INSERT INTO t VALUES (9);
DROP TRIGGER stray ON t;
CREATE TABLE bystander (a integer);
CREATE TRIGGER stray BEFORE INSERT ON bystander FOR EACH ROW EXECUTE FUNCTION imat_catalog.open();
INSERT INTO bystander VALUES (1);
DROP TABLE bystander;
SELECT imat_catalog.row_image(NULL), imat_catalog.row_hash(NULL);
SELECT length(imat_catalog.row_image(ROW())), length(imat_catalog.row_image(ROW(NULL, 1, 'x', ARRAY[1])));
INSERT INTO t VALUES (10);
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
SELECT drop_imat(name::text) FROM imat_status;
SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace) OR (relnamespace = 'imat_catalog'::regnamespace AND relkind = 'v' AND relname NOT IN ('builders', 'progress', 'unadopted'));
TABLE t;
