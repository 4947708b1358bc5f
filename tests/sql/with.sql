-- WITH: a query is read where it is named.
CREATE EXTENSION pg_imat;
CREATE TABLE orders (id integer PRIMARY KEY, customer integer, state text NOT NULL, amount numeric(10,2));
CREATE TABLE customers (id integer PRIMARY KEY, region text);
CREATE VIEW one AS WITH paid AS (SELECT * FROM orders WHERE state = 'paid')
    SELECT customer, count(*) AS n, sum(amount) AS total FROM paid GROUP BY customer;
CREATE VIEW listed AS WITH paid(c, a) AS MATERIALIZED (SELECT customer, amount FROM orders WHERE state = 'paid')
    SELECT k.region, sum(a) AS total FROM paid JOIN customers AS k ON k.id = c GROUP BY k.region;
CREATE VIEW chained AS WITH a AS NOT MATERIALIZED (SELECT id, customer, amount FROM orders),
        b AS (SELECT a.id, a.amount, c.region FROM a JOIN customers c ON c.id = a.customer)
    SELECT b.region, max(b.amount) AS most, count(DISTINCT a.customer) AS buyers FROM a JOIN b USING (id) GROUP BY b.region;
CREATE VIEW twice AS WITH o AS (SELECT id, customer FROM orders) SELECT x.id, y.id AS other FROM o x JOIN o y USING (customer) WHERE x.id < y.id;
CREATE VIEW nested AS SELECT q.region, count(*) AS n FROM
    (WITH k AS (SELECT id AS customer, region FROM customers) SELECT k.region, o.id FROM k JOIN orders o USING (customer)) AS q GROUP BY q.region;
-- It hides a table of its name, here and in subqueries, but not in a plain view below.
CREATE VIEW below AS SELECT id, region FROM customers;
CREATE VIEW hides AS WITH customers AS (SELECT id, customer AS region FROM orders)
    SELECT c.region, b.region AS real, count(*) AS n FROM (SELECT * FROM customers) AS c JOIN below AS b ON b.id = c.id GROUP BY 1, 2;
-- These stay whole.
CREATE VIEW recursive AS WITH RECURSIVE r AS (SELECT id FROM orders UNION ALL SELECT r.id + 100 FROM r WHERE r.id < 100) SELECT count(*) AS n FROM r;
CREATE VIEW grouped AS WITH g AS (SELECT customer, sum(amount) AS s FROM orders GROUP BY customer) SELECT max(s) AS s FROM g;
CREATE VIEW unread AS WITH u AS (SELECT id FROM customers) SELECT count(*) AS n FROM orders;
SELECT relname, (check_imat(pg_get_viewdef(oid))).* FROM pg_class
    WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('imat_status', 'below') ORDER BY relname;
SELECT create_imat(relname) FROM pg_class
    WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('imat_status', 'below') ORDER BY relname;
SELECT name, strategy FROM imat_status ORDER BY name::text;
CREATE FUNCTION compare() RETURNS TABLE (name regclass, difference text, times bigint, content jsonb) LANGUAGE sql AS
    'SELECT s.name, v.* FROM imat_status AS s, verify_imat(s.name::text) AS v';
INSERT INTO customers VALUES (1, 'north'), (2, 'south'), (3, NULL);
INSERT INTO orders VALUES (1, 1, 'paid', 10), (2, 1, 'open', 20), (3, 2, 'paid', 5), (4, 3, 'paid', 7), (5, NULL, 'paid', 1);
SELECT * FROM compare();
UPDATE orders SET state = 'paid', customer = 2 WHERE id = 2;
UPDATE customers SET region = 'north' WHERE id = 3;
SELECT * FROM compare();
WITH gone AS (DELETE FROM orders WHERE id < 3 RETURNING *) INSERT INTO customers SELECT id + 10, state FROM gone;
SELECT * FROM compare();
DELETE FROM customers WHERE id = 2;
SELECT * FROM compare();
TABLE imat.listed ORDER BY region; TABLE imat.twice; TABLE imat.hides ORDER BY 1, 2; TABLE imat.unread;
TABLE listed ORDER BY region; TABLE twice; TABLE hides ORDER BY 1, 2; TABLE unread;
