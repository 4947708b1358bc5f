-- imat.flush: statement
-- Maintained tables over maintained tables without aggregates: each state row is as many rows as it counts.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (id integer PRIMARY KEY, g integer, n numeric, label text);
CREATE TABLE u (g integer, name text);
INSERT INTO t SELECT i, i % 3, i % 4, CASE i % 5 WHEN 0 THEN NULL ELSE 'l' || i % 2 END FROM generate_series(1, 24) AS i;
INSERT INTO u VALUES (0, 'none'), (1, 'one'), (1, 'one'), (NULL, 'null');
CREATE VIEW kept AS SELECT g, n, label FROM t WHERE n > 0;
CREATE VIEW pairs AS SELECT t.g, u.name FROM t JOIN u ON u.g = t.g;
SELECT create_imat('kept'), create_imat('pairs');
CREATE VIEW sums AS SELECT g, count(*) AS k, sum(n) AS s, avg(n) AS mean FROM imat.kept GROUP BY g;
CREATE VIEW total AS SELECT count(*) AS k, max(n) AS most FROM imat.kept;
CREATE VIEW extremes AS SELECT label, min(n) AS least, max(g) AS most FROM imat.kept GROUP BY label;
CREATE VIEW kinds AS SELECT g, count(DISTINCT n) AS k, array_agg(round(n, 1) ORDER BY n) AS all_n FROM imat.kept GROUP BY g;
CREATE VIEW again AS SELECT g, label FROM imat.kept WHERE n < 3;
CREATE VIEW joined AS SELECT s.g, s.n, p.name FROM imat.kept AS s JOIN imat.pairs AS p ON p.g = s.g;
CREATE VIEW by_name AS SELECT p.name, count(*) AS k, sum(s.n) AS s, min(s.n) AS least FROM imat.kept AS s JOIN imat.pairs AS p ON p.g = s.g GROUP BY p.name;
CREATE VIEW itself AS SELECT a.g, count(*) AS k, max(b.n) AS most FROM imat.kept AS a JOIN imat.kept AS b ON b.g = a.g AND b.n <= a.n GROUP BY a.g;
CREATE VIEW with_base AS SELECT t.g, count(*) AS k, sum(s.n + t.n) AS s FROM t JOIN imat.kept AS s ON s.g = t.g GROUP BY t.g;
CREATE VIEW five_times AS SELECT a.g, count(*) AS k, sum(e.n) AS s FROM imat.kept AS a, imat.kept AS b, imat.kept AS c, imat.kept AS d, imat.kept AS e
    WHERE a.g = b.g AND b.g = c.g AND c.g = d.g AND d.g = e.g AND a.n = 1 AND b.n = 2 AND c.n = 3 AND d.n = 1 GROUP BY a.g;
CREATE VIEW renamed AS SELECT a.x, count(*) AS k FROM (SELECT * FROM imat.kept) AS a(x, y, z) JOIN imat.pairs AS b(x, c) USING (x) GROUP BY a.x;
SELECT create_imat(v) FROM unnest('{sums,total,extremes,kinds,again,joined,by_name,itself,with_base,five_times,renamed}'::text[]) AS v;
CREATE VIEW over_again AS SELECT label, count(*) AS k FROM imat.again GROUP BY label;
CREATE VIEW rows_again AS SELECT label FROM imat.again WHERE g < 2;
SELECT create_imat('over_again'), create_imat('rows_again');
-- All of them are incremental.
SELECT name, strategy FROM imat_status ORDER BY name::text;
TABLE wrong;

-- One more of the same, one row and several; one less, and none.
INSERT INTO t VALUES (101, 1, 1, 'l1');
TABLE wrong;
INSERT INTO t VALUES (102, 1, 1, 'l1'), (103, 1, 1, 'l1'), (104, 9, 1, NULL);
TABLE wrong;
DELETE FROM t WHERE id = 101;
DELETE FROM t WHERE id = 104;
TABLE wrong;
DELETE FROM t WHERE g = 1;
TABLE wrong;
INSERT INTO t SELECT i, 1, i % 3, 'l' || i % 2 FROM generate_series(200, 220) AS i;
TABLE wrong;
-- Values that are equal and not the same.
INSERT INTO t VALUES (301, 1, 1.0, 'l1'), (302, 1, 1.00, 'l1'), (303, 1, 2.50, 'l1');
TABLE wrong;
DELETE FROM t WHERE id IN (302, 303);
TABLE wrong;
UPDATE t SET n = n + 1 WHERE g = 0;
TABLE wrong;
UPDATE t SET g = g + 1, label = NULL WHERE id % 2 = 0;
TABLE wrong;
-- Both sides of a join in one statement, and a statement that has a maintained table and its base table change.
WITH added AS (INSERT INTO u VALUES (2, 'two'), (1, 'one') RETURNING g) INSERT INTO t SELECT 400 + g, g, 2, 'l0' FROM added;
TABLE wrong;
WITH gone AS (DELETE FROM u WHERE name = 'one' RETURNING g) DELETE FROM t WHERE g IN (SELECT g FROM gone);
TABLE wrong;
BEGIN;
INSERT INTO t VALUES (500, 2, 3, 'l0'), (501, 2, 3, 'l0');
SAVEPOINT a;
DELETE FROM t WHERE id < 20;
TABLE wrong;
ROLLBACK TO a;
DELETE FROM t WHERE id = 500;
UPDATE t SET n = 7 WHERE id = 501;
TABLE wrong;
TRUNCATE t;
TABLE wrong;
INSERT INTO t VALUES (1, 1, 1, 'l1'), (2, 1, 1, 'l1');
TABLE wrong;
ROLLBACK;
TABLE wrong;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO t VALUES (600, 2, 3, 'l0'), (601, 2, 3, 'l0'), (602, 0, 3, NULL);
DELETE FROM t WHERE id = 601;
TABLE wrong;
COMMIT;
TABLE wrong;
SELECT refresh_imat('kept'), refresh_imat('sums');
TABLE wrong;
-- One is built while others write.
CREATE VIEW late AS SELECT n, count(*) AS k FROM imat.kept GROUP BY n;
CALL create_imat('late', online => true);
SELECT name, strategy FROM imat_status WHERE name::text ~ 'late';
INSERT INTO t VALUES (700, 2, 3, 'l0'), (701, 2, 3, 'l0');
TABLE wrong;

-- A row that is counted once more takes nothing away, so no extreme is computed anew for it, whatever else the statement did.
CREATE TABLE many (g integer, n integer);
INSERT INTO many SELECT 1, i FROM generate_series(1, 500) AS i;
INSERT INTO many SELECT 1, 1 FROM generate_series(1, 4) AS i;
CREATE VIEW many_rows AS SELECT g, n FROM many;
SELECT create_imat('many_rows');
CREATE VIEW least AS SELECT g, min(n) AS least, sum(n) AS s FROM imat.many_rows GROUP BY g;
SELECT create_imat('least');
ANALYZE;
CREATE FUNCTION reads(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state oid := (SELECT s.state FROM imat_status AS s WHERE s.name = 'imat.many_rows'::regclass); before bigint; after bigint;
BEGIN
    before := pg_stat_get_xact_tuples_returned(state) + pg_stat_get_xact_tuples_fetched(state);
    EXECUTE command;
    after := pg_stat_get_xact_tuples_returned(state) + pg_stat_get_xact_tuples_fetched(state);
    RETURN CASE WHEN after - before < 100 THEN 'few' ELSE 'many' END;
END $$;
SELECT reads('INSERT INTO many VALUES (1, 1)');
SELECT reads('UPDATE many SET n = 1 WHERE n = 77');
SELECT reads('DELETE FROM many WHERE n = 1');
TABLE imat.least;
SELECT reads('DELETE FROM many WHERE n = 1');
TABLE imat.least;
TABLE wrong;

-- What came and went in several flushes was never there for what reads it.
CREATE TABLE gate (g integer, note text);
INSERT INTO gate VALUES (1, 'a'), (2, 'b');
CREATE VIEW gated AS SELECT r.g, min(r.n) AS least, max(r.n) AS most, count(*) AS k FROM imat.many_rows AS r JOIN gate ON gate.g = r.g GROUP BY r.g;
SELECT create_imat('gated');
CREATE FUNCTION to_and_fro() RETURNS text LANGUAGE plpgsql AS $$
DECLARE seen bigint;
BEGIN
    INSERT INTO many VALUES (1, -7), (1, 3), (1, 9999);
    SELECT count(*) INTO seen FROM imat.many_rows WHERE n IN (-7, 9999);
    DELETE FROM many WHERE n IN (-7, 9999);
    RETURN seen || ' seen, then ' || (SELECT count(*) FROM imat.many_rows WHERE n IN (-7, 9999));
END $$;
UPDATE gate SET note = to_and_fro() WHERE g = 1;
TABLE gate ORDER BY g;
TABLE imat.gated;
TABLE wrong;

-- What others read can't go by itself.
SELECT refusal($$SELECT drop_imat('kept')$$);
SET client_min_messages = warning;
DROP TABLE t, many CASCADE;
SELECT name FROM imat_status;

-- A view of one's own of that shape. A count can be NULL, zero or less; what such rows would fail with is not computed.
CREATE TABLE own (a integer, n bigint, m bigint, few integer, x integer);
INSERT INTO own VALUES (1, 2, 1, 1, 1), (1, NULL, 2, 2, 0), (2, 0, 3, 1, 0), (2, -3, 1, 0, 0), (3, 4, 2, 1, 5);
CREATE VIEW own_rows AS SELECT o.a, o.n, o.x FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n);
CREATE VIEW own_groups AS SELECT o.a, count(*) AS k, sum(o.n) AS s, min(10 / o.x) AS least FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS g(i) GROUP BY o.a;
CREATE VIEW own_keys AS SELECT 10 / o.x AS q, count(DISTINCT o.a) AS k FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) GROUP BY 10 / o.x;
CREATE VIEW own_twice AS SELECT o.a FROM (own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS i) CROSS JOIN LATERAL generate_series(1::bigint, o.m) AS j;
CREATE VIEW own_squares AS SELECT o.a FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS i CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS j;
CREATE VIEW own_fence AS WITH kept AS MATERIALIZED (SELECT o.a, o.x FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n)) SELECT kept.a FROM kept WHERE 10 / kept.x > 1;
CREATE VIEW own_join AS SELECT o.a, gate.note FROM (own AS o JOIN gate ON gate.g = o.a) CROSS JOIN LATERAL generate_series(1::bigint, o.n);
-- What only looks like it.
CREATE VIEW reads_it AS SELECT o.a, i FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS g(i);
CREATE VIEW filters_it AS SELECT o.a FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS g(i) WHERE i > 1;
CREATE VIEW counts_it AS SELECT o.a, count(g) AS k FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS g GROUP BY o.a;
CREATE VIEW takes_all AS SELECT o.a, g.* FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) AS g;
CREATE VIEW from_two AS SELECT o.a FROM own AS o CROSS JOIN LATERAL generate_series(2::bigint, o.n);
CREATE VIEW by_steps AS SELECT o.a FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n, 2);
CREATE VIEW of_integers AS SELECT o.a FROM own AS o CROSS JOIN LATERAL generate_series(1, o.few);
CREATE VIEW of_expression AS SELECT o.a FROM (SELECT own.a, own.n + 1 AS n FROM own) AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n);
CREATE VIEW numbered AS SELECT o.a FROM own AS o CROSS JOIN LATERAL generate_series(1::bigint, o.n) WITH ORDINALITY;
CREATE VIEW left_join AS SELECT o.a FROM own AS o LEFT JOIN LATERAL generate_series(1::bigint, o.n) ON true;
CREATE VIEW to_the_right AS SELECT o.a FROM own AS p CROSS JOIN (own AS o CROSS JOIN LATERAL generate_series(1::bigint, p.n));
CREATE FUNCTION public.generate_series(bigint, bigint) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS $$ SELECT i FROM pg_catalog.generate_series($1, 2 * $2) AS i $$;
CREATE VIEW of_mine AS SELECT o.a FROM own AS o CROSS JOIN LATERAL public.generate_series(1::bigint, o.n);
SELECT v, left(refusal(format('SELECT create_imat(%L)', v)), 60) FROM unnest('{own_rows,own_groups,own_keys,own_twice,own_squares,own_fence,own_join,
    reads_it,filters_it,counts_it,takes_all,from_two,by_steps,of_integers,of_expression,numbered,left_join,to_the_right,of_mine}'::text[]) AS v;
SELECT name, strategy, construct FROM imat_status WHERE 'own' = ANY (base_tables) OR 'public.own' = ANY (base_tables) ORDER BY name::text;
TABLE wrong;
INSERT INTO own VALUES (1, 1, 1, 1, 2);
TABLE wrong;
INSERT INTO own VALUES (2, 0, 0, 0, 0);
TABLE wrong;
INSERT INTO own VALUES (2, NULL, 1, 1, 0), (3, 2, -1, 1, 3);
TABLE wrong;
UPDATE own SET n = n + 1 WHERE x <> 0;
TABLE wrong;
UPDATE own SET n = 0 WHERE a = 3;
TABLE wrong;
UPDATE own SET n = -n, x = 1, m = n;
TABLE wrong;
UPDATE gate SET g = 3 WHERE g = 2;
TABLE wrong;
DELETE FROM own WHERE n IS NULL OR n < 0;
TABLE wrong;
TRUNCATE own;
TABLE wrong;
