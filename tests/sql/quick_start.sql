-- The README's example: a summary of sales, current in the same transaction.
CREATE EXTENSION pg_imat;

CREATE TABLE sales (region text NOT NULL, product_id integer NOT NULL, amount numeric(10, 2) NOT NULL);
INSERT INTO sales VALUES ('north', 1, 10.00), ('north', 1, 5.50), ('south', 2, 7.25);
CREATE MATERIALIZED VIEW my_sales_summary AS
    SELECT region, product_id, sum(amount) AS total, count(*) AS n FROM sales GROUP BY region, product_id;
CREATE VIEW truth AS
    SELECT region, product_id, sum(amount) AS total, count(*) AS n FROM sales GROUP BY region, product_id;

SELECT create_imat('my_sales_summary');
\d imat.my_sales_summary
TABLE imat.my_sales_summary ORDER BY 1, 2;

-- Each change is visible at once, in the same transaction.
BEGIN;
INSERT INTO sales VALUES ('north', 1, 1.00), ('west', 3, 2.00);
TABLE imat.my_sales_summary ORDER BY 1, 2;
UPDATE sales SET region = 'east', amount = amount * 2 WHERE product_id = 2;
TABLE imat.my_sales_summary ORDER BY 1, 2;
DELETE FROM sales WHERE amount = 10.00;
TABLE imat.my_sales_summary ORDER BY 1, 2;
TABLE my_sales_summary EXCEPT ALL TABLE truth;
TABLE imat.my_sales_summary EXCEPT ALL TABLE truth;
TABLE truth EXCEPT ALL TABLE imat.my_sales_summary;
SELECT * FROM verify_imat('my_sales_summary');
TRUNCATE sales;
TABLE imat.my_sales_summary;
SELECT * FROM verify_imat('my_sales_summary');
ROLLBACK;

-- After ROLLBACK nothing of it is left.
TABLE imat.my_sales_summary ORDER BY 1, 2;
SELECT * FROM verify_imat('imat.my_sales_summary');
TABLE imat.my_sales_summary EXCEPT ALL TABLE truth;
TABLE truth EXCEPT ALL TABLE imat.my_sales_summary;

TRUNCATE sales;
TABLE imat.my_sales_summary;
INSERT INTO sales SELECT 'bulk', i % 3, i FROM generate_series(1, 1000) AS i;
TABLE imat.my_sales_summary ORDER BY 1, 2;
DELETE FROM sales WHERE product_id = 1;
TABLE imat.my_sales_summary ORDER BY 1, 2;

-- The matview itself is left as it was, and a REFRESH changes nothing here.
TABLE my_sales_summary ORDER BY 1, 2;
REFRESH MATERIALIZED VIEW my_sales_summary;
SELECT * FROM verify_imat('my_sales_summary');
SELECT name, strategy, construct, source, state, base_tables FROM imat_status;

SELECT drop_imat('my_sales_summary');
TABLE imat_status;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'sales'::regclass;
INSERT INTO sales VALUES ('after', 1, 1);
TABLE imat.my_sales_summary;
