-- What comes back from PostgreSQL's own text in another form, and means the same.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
SET client_min_messages = warning;
CREATE TABLE t (a int, v numeric, n int, f double precision);
-- A minus before a constant.
CREATE VIEW negative AS SELECT a, sum(v * -1.5::numeric) AS s, count(*) FILTER (WHERE v > -0.01::numeric) AS c,
    sum(coalesce(v, -1.0::numeric)) AS d, max(n * -(2::int)) AS m, sum(n - (-(-(3::int)))) AS p,
    sum(f * -1.5::double precision) AS g, min(n + -5::bigint) AS b, min(- 2147483648) AS least
    FROM t WHERE n <> -7::integer OR n IS NULL GROUP BY a;
CREATE VIEW doubled_minus AS SELECT a, v * -(-(2.5::numeric)) AS v, -(1.50::numeric) AS k, -(0.0::numeric) AS z FROM t;
CREATE VIEW below AS SELECT a, v * -1.5::numeric AS w FROM t;
CREATE VIEW above AS SELECT a, sum(w) AS w FROM below WHERE w < -1.0::numeric GROUP BY a;
-- Equal expressions in one clause.
CREATE VIEW twice AS SELECT a AS x, a AS y, count(*) AS c FROM t GROUP BY 1, 2;
CREATE VIEW thrice AS SELECT a AS x, n AS y, a AS z, a + n AS s, sum(v) AS v FROM t GROUP BY 1, 2, 3, 4;
CREATE VIEW ordered AS SELECT a, count(*) AS c1, count(*) AS c2 FROM t GROUP BY a ORDER BY c1, c2;
CREATE VIEW ordered_rows AS SELECT a AS x, a AS y FROM t ORDER BY 1, 2 DESC, 1;
CREATE VIEW windows AS SELECT a, count(*) OVER (PARTITION BY a, a) AS c, count(*) OVER (PARTITION BY a) AS d,
    rank() OVER (PARTITION BY a ORDER BY n, n) AS r FROM t;
CREATE VIEW windows_twice AS SELECT a AS x, a AS y, count(*) OVER p AS c, sum(n) OVER q AS d FROM t
    WINDOW p AS (PARTITION BY a), q AS (PARTITION BY a);
CREATE VIEW distinct_twice AS SELECT DISTINCT a AS x, a AS y, n FROM t;
SELECT create_imat(c.relname::text) FROM pg_class AS c
    WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace AND c.relname NOT IN ('below', 'wrong', 'imat_status') ORDER BY c.relname;
SELECT name::text, strategy FROM imat_status ORDER BY 1;
INSERT INTO t VALUES (1, 2.50, 3, 1), (1, -1.5, NULL, 0), (2, 0, 7, -3), (NULL, NULL, -7, NULL), (2, -0.001, 1, 2);
TABLE wrong;
INSERT INTO t VALUES (1, -2, 2, 5);
INSERT INTO t VALUES (3, 1.000, 2, 5);
TABLE wrong;
UPDATE t SET v = v - 1, n = -n WHERE a = 1;
DELETE FROM t WHERE a = 2 AND n = 7;
TABLE wrong;
TABLE imat.negative ORDER BY a;
-- They are read again when the tables change.
ALTER TABLE t ADD COLUMN more int;
INSERT INTO t VALUES (1, 1, 1, 1, 1);
TABLE wrong;
-- What does not mean the same is refused for what it is. Of two equal columns ROLLUP makes one NULL, its text both.
CREATE VIEW sets AS SELECT a AS x, a AS y, count(*) AS c FROM t GROUP BY ROLLUP (1, 2);
SELECT refusal($$SELECT create_imat('sets')$$);
CREATE SCHEMA own;
CREATE FUNCTION own.same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 OPERATOR(pg_catalog.=) $2 % 2';
CREATE OPERATOR own.= (LEFTARG = int, RIGHTARG = int, FUNCTION = own.same);
SET search_path = own, pg_catalog, public;
CREATE VIEW public.odd AS SELECT a, count(*) AS c FROM t WHERE nullif(n, 1) IS NULL AND (n OPERATOR(pg_catalog.=) 1) GROUP BY a;
CREATE VIEW public.mixed AS SELECT a, CASE n WHEN 1 THEN 'x' END AS c FROM t WHERE a BETWEEN SYMMETRIC 1 AND 2;
RESET search_path;
SELECT refusal($$SELECT create_imat('odd')$$);
SELECT refusal($$SELECT create_imat('mixed')$$);
