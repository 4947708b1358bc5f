-- Select-project-join views without aggregation: bags of rows.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer, b text, n numeric, j json, x xml, p point, d jsonb, ar integer[]);
CREATE TABLE u (a integer, c text);
CREATE VIEW everything AS SELECT * FROM t;
CREATE VIEW few AS SELECT b, n FROM t WHERE a > 1;
CREATE VIEW computed AS SELECT a * 2 AS a2, coalesce(b, '-') AS b, n + 1 AS n1, d -> 'k' AS k, ar[1] AS first FROM t;
CREATE VIEW constant AS SELECT 1 AS one, NULL::text AS nothing FROM t WHERE a IS NOT NULL;
CREATE VIEW joined AS SELECT t.*, u.c FROM t JOIN u ON u.a = t.a;
CREATE VIEW whole_row AS SELECT u AS u, u.c FROM u;
CREATE VIEW no_from AS SELECT 1 AS one, 'text' AS t, NULL AS n;
CREATE VIEW never AS SELECT a FROM t WHERE false;
-- json, xml and point have no equality: their rows are compared as text.
CREATE FUNCTION same(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE missing bigint; extra bigint; reported bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT v::text FROM public.%1$s AS v EXCEPT ALL SELECT i::text FROM imat.%1$s AS i) AS d', name) INTO missing;
    EXECUTE format('SELECT count(*) FROM (SELECT i::text FROM imat.%1$s AS i EXCEPT ALL SELECT v::text FROM public.%1$s AS v) AS d', name) INTO extra;
    SELECT count(*) INTO reported FROM verify_imat('imat.' || name);
    RETURN CASE missing + extra + reported WHEN 0 THEN 'exact'
        ELSE format('%s missing, %s extra, %s reported', missing, extra, reported) END;
END $$;
CREATE VIEW differ AS
    SELECT name, difference FROM (SELECT s.name, same(split_part(s.name::text, '.', 2)) AS difference FROM imat_status AS s) AS compared
    WHERE difference <> 'exact';
SELECT create_imat(name) FROM unnest(ARRAY['everything', 'few', 'computed', 'constant', 'joined', 'whole_row', 'no_from', 'never']) AS name;
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
INSERT INTO t VALUES
    (1, 'x', 1.0, '{"k": 1}', '<a/>', '(1,2)', '{"k": 1}', '{1}'), (1, 'x', 1.0, '{"k": 1}', '<a/>', '(1,2)', '{"k": 1}', '{1}'),
    (1, 'x', 1.00, '{"k":1}', '<a></a>', '(1,2)', '{"k": 1.0}', '{1}'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (2, 'y', 2, 'null', NULL, NULL, 'null', '{}'),
    (NULL, 'z', 'NaN', '[]', NULL, NULL, '[]', '{NULL}');
INSERT INTO u VALUES (1, 'one'), (1, 'one'), (2, 'two'), (NULL, 'none');
TABLE differ;
SELECT b, n, count(*) FROM imat.everything GROUP BY b, n, n::text ORDER BY b, n::text;
-- One of three twins goes, and it is the right spelling that goes.
DELETE FROM t WHERE n::text = '1.00';
TABLE differ;
SELECT n, j FROM imat.everything WHERE a = 1;
DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1);
TABLE differ;
SELECT count(*) FROM imat.everything WHERE a = 1;
UPDATE t SET n = 1.000 WHERE a = 1;
TABLE differ;
UPDATE t SET j = '{ "k" : 1 }' WHERE a = 1;
TABLE differ;
UPDATE t SET a = coalesce(a, 0) + 1;
TABLE differ;
UPDATE u SET a = 3 - a;
TABLE differ;
INSERT INTO t SELECT * FROM t;
TABLE differ;
INSERT INTO t SELECT * FROM t;
TABLE differ;
DELETE FROM t WHERE ctid IN (SELECT ctid FROM t ORDER BY a NULLS FIRST, ctid LIMIT 7);
TABLE differ;
INSERT INTO t (a, n) SELECT i % 5, i % 3 FROM generate_series(1, 1000) AS i;
TABLE differ;
DELETE FROM u WHERE ctid = (SELECT max(ctid) FROM u);
TABLE differ;
TRUNCATE u;
TABLE differ;
TABLE imat.no_from;
TABLE imat.never;
