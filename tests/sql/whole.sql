-- Constructs without an incremental rule: computed again, with a notice, and exact.
CREATE EXTENSION pg_imat;

-- exact(NAME) compares imat.NAME with the view public.NAME, by hand and with verify_imat;
-- `wrong` lists the maintained tables that differ.
CREATE FUNCTION exact(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE missing bigint; extra bigint; reported bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (TABLE public.%1$s EXCEPT ALL TABLE imat.%1$s) AS d', name) INTO missing;
    EXECUTE format('SELECT count(*) FROM (TABLE imat.%1$s EXCEPT ALL TABLE public.%1$s) AS d', name) INTO extra;
    SELECT count(*) INTO reported FROM verify_imat('imat.' || name);
    RETURN CASE missing + extra + reported WHEN 0 THEN 'exact'
        ELSE format('%s missing, %s extra, %s reported', missing, extra, reported) END;
END $$;
CREATE VIEW wrong AS
    SELECT name, difference FROM
        (SELECT s.name, exact(quote_ident(c.relname)) AS difference
            FROM imat_status AS s JOIN pg_class AS c ON c.oid = s.name) AS compared
    WHERE difference <> 'exact';

CREATE TABLE a (id integer, x integer, g text);
CREATE TABLE b (id integer, a_id integer, y integer);
CREATE VIEW left_ AS SELECT a.id, b.y FROM a LEFT JOIN b ON b.a_id = a.id;
CREATE VIEW left_group AS SELECT a.g, count(b.id) AS n, sum(b.y) AS s FROM a LEFT JOIN b ON b.a_id = a.id GROUP BY a.g;
CREATE VIEW right_ AS SELECT a.id, b.y FROM a RIGHT JOIN b ON b.a_id = a.id;
CREATE VIEW full_ AS SELECT a.id AS a, b.id AS b FROM a FULL JOIN b ON b.a_id = a.id;
CREATE VIEW distinct_ AS SELECT DISTINCT g, x FROM a;
CREATE VIEW distinct_on AS SELECT DISTINCT ON (g) g, x, id FROM a ORDER BY g, x DESC NULLS LAST, id;
CREATE VIEW union_ AS SELECT id, x FROM a UNION SELECT id, y FROM b;
CREATE VIEW union_all AS SELECT id, x FROM a UNION ALL SELECT id, y FROM b;
CREATE VIEW except_ AS SELECT id FROM a EXCEPT SELECT a_id FROM b;
CREATE VIEW except_all AS SELECT x FROM a EXCEPT ALL SELECT y FROM b;
CREATE VIEW intersect_ AS SELECT x FROM a INTERSECT SELECT y FROM b;
CREATE VIEW window_ AS SELECT id, g, row_number() OVER (PARTITION BY g ORDER BY x, id) AS r, sum(x) OVER w AS s, lag(x) OVER w AS l FROM a WINDOW w AS (PARTITION BY g ORDER BY id);
CREATE VIEW cte AS WITH s AS (SELECT a_id, sum(y) AS y FROM b GROUP BY a_id) SELECT a.g, max(s.y) AS m FROM a JOIN s ON s.a_id = a.id GROUP BY a.g;
CREATE VIEW recursive_ AS WITH RECURSIVE r AS (SELECT id, a_id FROM b WHERE a_id IS NULL UNION ALL SELECT b.id, b.a_id FROM b JOIN r ON b.a_id = r.id) SELECT * FROM r;
CREATE VIEW derived AS SELECT avg(n) AS mean FROM (SELECT g, count(*) AS n FROM a GROUP BY g) AS s;
CREATE VIEW scalar AS SELECT id, x - (SELECT avg(x) FROM a) AS d FROM a;
CREATE VIEW correlated AS SELECT id, (SELECT count(*) FROM b WHERE b.a_id = a.id) AS n FROM a;
CREATE VIEW exists_ AS SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.a_id = a.id);
CREATE VIEW not_exists AS SELECT g, count(*) AS n FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.a_id = a.id) GROUP BY g;
CREATE VIEW in_ AS SELECT id FROM a WHERE id IN (SELECT a_id FROM b);
CREATE VIEW not_in AS SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b);
CREATE VIEW any_ AS SELECT id FROM a WHERE x > ALL (SELECT y FROM b);
CREATE VIEW limit_ AS SELECT id, x FROM a ORDER BY x DESC NULLS LAST, id LIMIT 2;
CREATE VIEW offset_ AS SELECT id FROM a ORDER BY id, x OFFSET 1 ROW FETCH FIRST 2 ROWS WITH TIES;
CREATE VIEW top_groups AS SELECT g, count(*) AS n FROM a GROUP BY g ORDER BY count(*) DESC, g LIMIT 1;
CREATE VIEW ordered AS SELECT id, x FROM a ORDER BY x;
CREATE VIEW rollup_ AS SELECT g, x, count(*) AS n, grouping(g, x) AS level FROM a GROUP BY ROLLUP (g, x);
CREATE VIEW sets AS SELECT g, x, sum(id) AS s FROM a GROUP BY GROUPING SETS ((g), (x), ());
CREATE VIEW lateral_ AS SELECT a.id, l.y FROM a CROSS JOIN LATERAL (SELECT y FROM b WHERE b.a_id = a.id ORDER BY y DESC, id LIMIT 1) AS l;
CREATE VIEW target_set AS SELECT id, generate_series(1, x) AS i FROM a;
CREATE VIEW unnested AS SELECT a.id, w FROM a, unnest(string_to_array(a.g, ' ')) AS w;
CREATE VIEW window_over_groups AS SELECT g, sum(x) AS s, rank() OVER (ORDER BY sum(x), g) AS r FROM a GROUP BY g;
CREATE VIEW for_update AS SELECT id FROM a FOR UPDATE;
CREATE VIEW values_ AS VALUES (1), (2);
CREATE VIEW view_over_distinct AS SELECT g, count(*) AS n FROM distinct_ GROUP BY g;
CREATE VIEW view_over_groups AS SELECT lg.n, count(*) AS groups FROM left_group AS lg GROUP BY lg.n;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id FROM a WHERE x > 0;
CREATE VIEW over_barrier AS SELECT count(*) AS n FROM barrier;
SELECT create_imat(relname) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wrong', 'imat_status') ORDER BY relname;
SELECT strategy, count(*) FROM imat_status GROUP BY 1 ORDER BY 1;
SELECT name, strategy, construct FROM imat_status WHERE strategy <> 'whole' ORDER BY name::text;
TABLE wrong;
INSERT INTO a VALUES (1, 1, 'p'), (2, 2, 'p q'), (3, NULL, NULL), (3, 3, 'p');
TABLE wrong;
INSERT INTO b VALUES (1, NULL, 1), (2, 1, 5), (3, 2, NULL), (4, 1, 2), (2, 1, 5);
TABLE wrong;
TABLE imat.left_group ORDER BY g;
TABLE imat.window_ ORDER BY id, r;
UPDATE a SET x = coalesce(x, 0) + 1;
TABLE wrong;
UPDATE b SET a_id = 3 WHERE a_id = 1;
TABLE wrong;
UPDATE a SET g = 'p' WHERE g IS NULL;
TABLE wrong;
DELETE FROM b WHERE a_id IS NULL;
TABLE wrong;
WITH w AS (INSERT INTO a VALUES (7, 7, 'r') RETURNING id) INSERT INTO b SELECT 7, id, 7 FROM w;
TABLE wrong;
DELETE FROM a WHERE id = 3;
TABLE wrong;
BEGIN;
TRUNCATE b;
TABLE wrong;
SAVEPOINT s;
DELETE FROM a;
TABLE wrong;
ROLLBACK TO s;
TABLE wrong;
ROLLBACK;
TABLE wrong;
TABLE imat.limit_;
TABLE imat.top_groups;
