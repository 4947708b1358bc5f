-- Maintained tables over maintained tables.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE sales (region text NOT NULL, product integer NOT NULL, amount integer NOT NULL);
CREATE TABLE regions (region text PRIMARY KEY, country text NOT NULL);
CREATE TABLE targets (country text, goal integer);
CREATE VIEW by_product AS SELECT region, product, sum(amount) AS total, count(*) AS k FROM sales GROUP BY region, product;
CREATE VIEW means AS SELECT region, avg(amount) AS mean FROM sales GROUP BY region;
SELECT create_imat('by_product'), create_imat('means');
CREATE VIEW by_region AS SELECT region, sum(total) AS total, max(total) AS best, count(*) AS products FROM imat.by_product GROUP BY region;
CREATE VIEW with_region AS SELECT r.country, sum(b.total) AS total, sum(b.k) AS k FROM imat.by_product AS b JOIN regions AS r ON r.region = b.region GROUP BY r.country;
CREATE VIEW both_levels AS SELECT s.region, s.product, b.total - s.amount AS rest FROM sales AS s JOIN imat.by_product AS b ON b.region = s.region AND b.product = s.product;
CREATE VIEW over_view AS SELECT count(*) AS k, max(mean) AS m FROM imat.means;
CREATE VIEW top AS SELECT region FROM imat.by_product ORDER BY total DESC, region LIMIT 1;
SELECT create_imat('by_region'), create_imat('with_region'), create_imat('both_levels'), create_imat('over_view'), create_imat('top');
CREATE VIEW goals AS SELECT t.country, max(w.total) - max(t.goal) AS above FROM imat.with_region AS w JOIN targets AS t USING (country) GROUP BY t.country;
CREATE VIEW whole_over AS SELECT DISTINCT products FROM imat.by_region;
SELECT create_imat('goals'), create_imat('whole_over');
SELECT name, strategy, base_tables FROM imat_status ORDER BY name::text;
INSERT INTO regions VALUES ('n', 'A'), ('s', 'A'), ('e', 'B');
INSERT INTO targets VALUES ('A', 10), ('B', 20);
TABLE wrong;
INSERT INTO sales VALUES ('n', 1, 10), ('n', 2, 20), ('s', 1, 30), ('e', 9, 5), ('n', 1, 1);
TABLE wrong;
TABLE imat.by_region ORDER BY region;
TABLE imat.with_region ORDER BY country;
-- A maintained table and a base table that it is joined with change in one statement.
WITH r AS (INSERT INTO regions VALUES ('w', 'C') RETURNING region), t AS (INSERT INTO targets VALUES ('C', 1)) INSERT INTO sales SELECT region, 5, 50 FROM r;
TABLE wrong;
WITH r AS (UPDATE regions SET country = 'B' WHERE region = 'n') UPDATE sales SET amount = amount + 1 WHERE region = 'n';
TABLE wrong;
WITH r AS (DELETE FROM regions WHERE region = 'w') DELETE FROM sales WHERE region = 'w';
TABLE wrong;
UPDATE sales SET region = 's' WHERE product = 1;
TABLE wrong;
BEGIN;
DELETE FROM sales WHERE region = 's';
TABLE wrong;
SAVEPOINT a;
TRUNCATE sales;
TABLE wrong;
ROLLBACK TO a;
TRUNCATE regions;
TABLE wrong;
ROLLBACK;
TABLE wrong;
SELECT refresh_imat('by_product');
TABLE wrong;
-- What others read can't go, unless they go as well.
SELECT drop_imat('by_product');
SELECT drop_imat('means');
DROP VIEW imat.over_view;
DROP TABLE imat.by_product;
TABLE wrong;
SET client_min_messages = warning;
BEGIN;
DROP TABLE imat.by_product CASCADE;
SELECT name FROM imat_status;
INSERT INTO sales VALUES ('n', 1, 1);
ROLLBACK;
INSERT INTO sales VALUES ('n', 1, 1);
TABLE wrong;
DROP TABLE sales CASCADE;
SELECT name FROM imat_status;
SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace);
SELECT c.relname FROM pg_class AS c WHERE relnamespace = 'imat_catalog'::regnamespace AND relkind IN ('v', 'r') ORDER BY 1;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname LIKE 'imat%';
INSERT INTO regions VALUES ('last', 'Z');
-- What is not read any more is still maintained itself, and only that.
CREATE VIEW lower_ AS SELECT country, count(*) AS n FROM regions GROUP BY country;
SELECT create_imat('lower_');
CREATE VIEW upper_ AS SELECT n, count(*) AS k FROM imat.lower_ GROUP BY n;
SELECT create_imat('upper_');
SELECT drop_imat('upper_');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'imat.lower_'::regclass;
DELETE FROM imat.lower_;
INSERT INTO regions VALUES ('more', 'Z');
TABLE wrong;

-- A materialized view that reads another one, which is maintained by now: that is read in its place.
CREATE TABLE sale (day integer NOT NULL, item integer NOT NULL, amount numeric(10,2));
INSERT INTO sale VALUES (1, 1, 10), (1, 2, 5), (2, 1, 7);
CREATE MATERIALIZED VIEW daily AS SELECT day, item, sum(amount) AS total, count(*) AS n FROM sale GROUP BY day, item;
CREATE MATERIALIZED VIEW items AS SELECT item, total FROM daily;
CREATE MATERIALIZED VIEW "Best" AS SELECT daily.day, max(daily.total) AS best, 'public.daily' AS origin FROM daily WHERE daily.n > 0 GROUP BY daily.day;
CREATE MATERIALIZED VIEW pairs AS SELECT d.day, other.item, other.total FROM daily AS d JOIN daily AS other ON other.day = d.day + 1
    WHERE NOT EXISTS (SELECT FROM "Best" WHERE "Best".best > 1000);
CREATE MATERIALIZED VIEW rows AS SELECT daily FROM daily;
CREATE VIEW below AS SELECT day FROM daily;
CREATE VIEW over_daily AS SELECT day, count(*) AS n FROM below GROUP BY day;
SELECT refusal($$SELECT create_imat('"Best"')$$);
SELECT create_imat('daily');
SELECT maintainable, strategy FROM check_imat('"Best"');
SET client_min_messages = notice;
SELECT create_imat('"Best"');
SELECT create_imat('pairs');
SET client_min_messages = warning;
SELECT create_imat('items');
SELECT create_imat('twice', query => 'SELECT item, count(*) AS n FROM daily GROUP BY item');
SELECT d.name, m.read[1] FROM unnest(ARRAY['"Best"', 'pairs']) AS d(name), regexp_matches(pg_get_viewdef('imat_catalog.' || d.name), 'imat\.\S+ \w+|imat\.\S+', 'g') AS m(read);
INSERT INTO sale VALUES (1, 1, 90), (3, 1, 4);
DELETE FROM sale WHERE item = 2;
CREATE FUNCTION as_refreshed(matview text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE differences bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((TABLE %1$s EXCEPT ALL TABLE imat.%1$s) UNION ALL (TABLE imat.%1$s EXCEPT ALL TABLE %1$s)) AS d', matview)
        INTO differences;
    RETURN differences;
END $$;
REFRESH MATERIALIZED VIEW daily; REFRESH MATERIALIZED VIEW "Best"; REFRESH MATERIALIZED VIEW pairs; REFRESH MATERIALIZED VIEW items;
SELECT m, as_refreshed(m) FROM unnest(ARRAY['daily', '"Best"', 'pairs', 'items']) AS m;
SELECT v.* FROM unnest(ARRAY['daily', '"Best"', 'pairs', 'items', 'twice']) AS m, verify_imat('imat.' || m) AS v;
-- Not where the text would mean something else, or a view below names it.
SELECT refusal($$SELECT create_imat('rows')$$);
SELECT refusal($$SELECT create_imat('over_daily')$$);
-- Nor one that has the name and another query, or is stale.
SELECT count(drop_imat('imat.' || m)) FROM unnest(ARRAY['twice', 'items', 'pairs', '"Best"']) AS m;
ALTER TABLE sale DISABLE TRIGGER imat_update;
SELECT refusal($$SELECT create_imat('items')$$);
ALTER TABLE sale ENABLE ALWAYS TRIGGER imat_update;
DROP MATERIALIZED VIEW daily CASCADE;
CREATE MATERIALIZED VIEW daily AS SELECT day, item, sum(amount) AS total, count(*) AS n FROM sale WHERE day > 1 GROUP BY day, item;
CREATE MATERIALIZED VIEW items AS SELECT item, total FROM daily;
SELECT refusal($$SELECT create_imat('items')$$);
