-- Every kind of aggregate, through inserts, updates, deletes and an emptied table.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (k integer, g text NOT NULL, i integer, s smallint, big bigint, n numeric, m numeric(8, 2) NOT NULL DEFAULT 0, f double precision, r real,
    b boolean, at timestamp, iv interval, cash money, j jsonb, id serial PRIMARY KEY);
CREATE VIEW counts AS SELECT k, count(*) AS n, count(i) AS ni, count(*) FILTER (WHERE i > 2) AS nf, count(n) FILTER (WHERE b) AS nb FROM t GROUP BY k;
CREATE VIEW sums AS SELECT k, sum(i) AS i, sum(s) AS s, sum(big) AS big, sum(n) AS n, sum(m) AS m, sum(f) AS f, sum(r) AS r, sum(iv) AS iv, sum(cash) AS cash FROM t GROUP BY k;
CREATE VIEW averages AS SELECT k, g, avg(i) AS i, avg(s) AS s, avg(big) AS big, avg(n) AS n, avg(f) AS f, avg(r) AS r, avg(iv) AS iv FROM t GROUP BY k, g;
CREATE VIEW extremes AS SELECT k, min(i) AS i, max(s) AS s, min(big) AS big, max(n) AS n, min(f) AS f, max(g) AS g, min(at) AS at, max(iv) AS iv, min(cash) AS cash, max(i) FILTER (WHERE NOT b) AS mf FROM t GROUP BY k;
CREATE VIEW booleans AS SELECT g, bool_and(b) AS ba, bool_or(b) AS bo, every(i > 1) AS ev, bool_or(n > 1) FILTER (WHERE k = 1) AS bf FROM t GROUP BY g;
CREATE VIEW spreads AS SELECT k, variance(i) AS v, var_pop(i) AS vp, var_samp(s) AS vs, stddev(big) AS d, stddev_pop(n) AS dp, stddev_samp(m) AS ds, stddev(n) FILTER (WHERE i > 1) AS df, round(variance(f)::numeric, 6) AS vf, round(stddev(r)::numeric, 3) AS sr FROM t GROUP BY k;
CREATE VIEW having_ AS SELECT k, count(*) AS n, sum(i) AS s FROM t GROUP BY k HAVING count(*) > 1 AND sum(i) IS NOT NULL;
CREATE VIEW expressions AS SELECT k + 1 AS k1, upper(g) || '!' AS g, sum(i) / nullif(count(*), 0) AS mean, round(avg(n), 2)::text AS t, max(i) - min(i) AS width, CASE WHEN bool_or(b) THEN 'yes' ELSE 'no' END AS c, coalesce(sum(n * i), 0) AS w, 'x' AS const FROM t WHERE m >= 0 GROUP BY k, g;
CREATE VIEW expression_keys AS SELECT date_trunc('hour', at) AS h, i % 3 AS r, count(*) AS n, sum(m) AS m FROM t GROUP BY date_trunc('hour', at), i % 3;
CREATE VIEW keys_not_shown AS SELECT sum(i) AS s, count(*) AS n FROM t GROUP BY k, g;
CREATE VIEW no_aggregate AS SELECT k, g FROM t GROUP BY k, g;
CREATE VIEW only_keys AS SELECT k FROM t GROUP BY k HAVING bool_and(b);
CREATE VIEW one_row AS SELECT count(*) AS n, sum(i) AS s, avg(n) AS a, min(at) AS lo, max(at) AS hi, bool_and(b) AS b, sum(f) AS f FROM t;
CREATE VIEW one_row_where AS SELECT sum(i) AS s, count(DISTINCT g) AS d FROM t WHERE k > 1;
CREATE VIEW one_row_having AS SELECT sum(i) AS s FROM t HAVING count(*) > 3;
CREATE VIEW no_columns_used AS SELECT 1 AS one, count(*) AS n FROM t GROUP BY ();
CREATE VIEW distinct_ AS SELECT k, count(DISTINCT g) AS n, sum(DISTINCT i) AS s, avg(DISTINCT n) AS a, max(DISTINCT s) AS m, array_agg(DISTINCT g ORDER BY g) AS gs FROM t GROUP BY k;
CREATE VIEW ordered AS SELECT k, array_agg(i ORDER BY id) AS a, string_agg(g, ',' ORDER BY id DESC) AS s, array_agg(n ORDER BY n NULLS FIRST, id) FILTER (WHERE b) AS f, (array_agg(g ORDER BY id))[1] AS first, jsonb_agg(i ORDER BY id) AS j, json_object_agg(id, g ORDER BY id)::text AS o FROM t GROUP BY k;
CREATE VIEW percentiles AS SELECT g, percentile_cont(0.5) WITHIN GROUP (ORDER BY i) AS p, percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY i) AS d, mode() WITHIN GROUP (ORDER BY s) AS m, rank(2) WITHIN GROUP (ORDER BY i) AS r FROM t GROUP BY g;
CREATE VIEW two_arguments AS SELECT k, round(corr(i, f)::numeric, 6) AS c, round(regr_slope(i, f)::numeric, 6) AS s, round(covar_pop(i, f)::numeric, 6) AS p FROM t WHERE f BETWEEN -1000 AND 1000 GROUP BY k;
CREATE VIEW bits AS SELECT k, bit_and(i) AS a, bit_or(big) AS o FROM t GROUP BY k;
CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = 1);
CREATE AGGREGATE public.sum(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE VIEW user_defined AS SELECT k, product(n) AS p, sum(g ORDER BY id) AS s, count(*) AS c FROM t WHERE n IS NOT NULL GROUP BY k;
CREATE VIEW key_types AS SELECT n, f, b, iv, cash, count(*) AS c FROM t GROUP BY n, f, b, iv, cash;
SELECT format('%-16s %s', relname, (SELECT create_imat(relname) IS NOT NULL)) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wrong', 'imat_status') ORDER BY 1;
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
TABLE imat.one_row; TABLE imat.one_row_where; TABLE imat.one_row_having; TABLE imat.no_columns_used;
TABLE wrong;

INSERT INTO t VALUES
    (1, 'a', 1, 1, 10, 1.5, 1.25, 0.5, 0.5, true, '2024-01-01 10:15', '1 day', 1.50, '{"a": 1}'),
    (1, 'a', 2, NULL, 20, 2.50, 2.75, 1.5, 2, true, '2024-01-01 10:45', '24 hours', 2, '{"a": 1.0}'),
    (1, 'b', NULL, 3, NULL, NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (2, 'b', 4, 4, 40, 4, 0, 4, 4, false, '2024-01-01 11:00', '-1 hour', -4, '{}'),
    (NULL, 'c', 5, 5, 50, 5.000, 0, 5, 5, true, 'infinity', '1 mon', 5, 'null'),
    (NULL, 'c', 6, 6, 60, 5.0, 0, -0.0, 6, false, '-infinity', '30 days', 6, '[]');
TABLE wrong;
TABLE imat.spreads ORDER BY k;
TABLE imat.sums ORDER BY k;
INSERT INTO t (k, g) VALUES (3, 'a'), (3, 'a');
TABLE wrong;
UPDATE t SET i = i + 1, n = n * 2, b = NOT b WHERE k = 1;
TABLE wrong;
UPDATE t SET k = k + 1;
TABLE wrong;
UPDATE t SET g = 'c', k = NULL WHERE k = 3;
TABLE wrong;
UPDATE t SET i = NULL, s = NULL, n = NULL, f = NULL, iv = NULL, cash = NULL, b = NULL WHERE id = 1;
TABLE wrong;

-- Values with arithmetic of their own.
INSERT INTO t (k, g, n, f, r) VALUES (7, 'x', 'NaN', 'NaN', 'NaN'), (7, 'x', 1, 1, 1);
TABLE wrong;
DELETE FROM t WHERE n = 'NaN';
TABLE wrong;
INSERT INTO t (k, g, n, f, r) VALUES (7, 'x', 'Infinity', 'Infinity', 'Infinity');
TABLE wrong;
INSERT INTO t (k, g, n, f, r) VALUES (7, 'x', '-Infinity', '-Infinity', '-Infinity');
TABLE wrong;
TABLE imat.spreads ORDER BY k;
DELETE FROM t WHERE f = 'Infinity';
TABLE wrong;
DELETE FROM t WHERE f = '-Infinity';
TABLE wrong;
SELECT k, n, f, r FROM imat.sums WHERE k = 7;
INSERT INTO t (k, g, f, r) VALUES (8, 'y', 1e16, 1e16), (8, 'y', 1, 1), (8, 'y', -1e16, -1e16);
DELETE FROM t WHERE k = 8 AND f <> 1;
TABLE wrong;
SELECT k, f, r FROM imat.sums WHERE k = 8;
INSERT INTO t (k, g, n, i) VALUES (9, 'z', 0.000000000000000001, 2147483647), (9, 'z', 99999999999999999999999999, 2147483647);
TABLE wrong;
SELECT n, i FROM imat.sums WHERE k = 9;
TABLE imat.spreads ORDER BY k;
DELETE FROM t WHERE k = 9 AND n > 1;
TABLE wrong;
-- An overflow is the query's own error, and fails the statement that causes it.
INSERT INTO t (k, g, f) VALUES (10, 'z', 1e308), (10, 'z', 1e308);
INSERT INTO t (k, g, cash) VALUES (10, 'z', '92233720368547758.07'), (10, 'z', 1);
TABLE wrong;
SELECT count(*) FROM t WHERE k = 10;

-- Keys that are equal without being the same.
INSERT INTO t (k, g, n, f) VALUES (11, 'q', 1.0, 0), (11, 'q', 1.00, '-0'), (11, 'q', 1, 0);
SELECT count(*) FROM imat.key_types WHERE n = 1 AND f = 0;
DELETE FROM t WHERE k = 11 AND n::text = '1.0';
TABLE wrong;

-- Every row at once, and none at all.
UPDATE t SET k = 1, g = 'all', i = 1;
TABLE wrong;
INSERT INTO t (k, g, i, n, f, b, at) SELECT x % 7, chr(97 + x % 5), x, x / 3.0, x * 1.5, x % 2 = 0, '2024-02-02'::timestamp + x * interval '7 min' FROM generate_series(1, 500) AS x;
TABLE wrong;
DELETE FROM t WHERE id % 2 = 0;
TABLE wrong;
DELETE FROM t;
TABLE wrong;
TABLE imat.one_row; TABLE imat.one_row_where; TABLE imat.one_row_having; TABLE imat.no_columns_used;
SELECT count(*) FROM imat_state.averages;
INSERT INTO t (k, g, i) VALUES (1, 'a', 1);
TRUNCATE t;
TABLE wrong;
TABLE imat.one_row;

-- A row counts though all of its fields are NULL; and jsonb's hash can't tell {} from [].
CREATE TABLE odd (k integer, i integer, n numeric, j jsonb);
CREATE VIEW rows_counted AS SELECT k, count((i, n)) AS r FROM odd GROUP BY k;
CREATE VIEW json_keys AS SELECT j, j ->> 'a' AS a, count(*) AS c FROM odd GROUP BY j;
SELECT create_imat('rows_counted'), create_imat('json_keys');
INSERT INTO odd SELECT 1, NULL, NULL FROM generate_series(1, 3);
DELETE FROM odd WHERE ctid = (SELECT min(ctid) FROM odd);
TABLE imat.rows_counted;
INSERT INTO odd (j) VALUES ('{}'), ('[]'), ('{"a": 1}'), ('{"a": 1.0}'), ('{"a": []}'), ('{"a": {}}'), ('null'), (NULL);
DELETE FROM odd WHERE j = '{}';
TABLE wrong;
