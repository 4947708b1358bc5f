-- Maintained tables over maintained tables.
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
