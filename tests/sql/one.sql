-- Changes of one row, which are passed as parameters: joins that it is one row of, and joins that it is many of.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE customers (id int PRIMARY KEY, region text, rate numeric);
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, day date);
CREATE TABLE lines (ord int, product int, amount int);
CREATE TABLE prices (product int, valid int, price numeric, PRIMARY KEY (product, valid));
CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, name text);
CREATE TABLE family (id int PRIMARY KEY, name text);
CREATE TABLE younger () INHERITS (family);
CREATE TABLE scaled (id numeric PRIMARY KEY, name text);
CREATE TABLE staff (id int PRIMARY KEY, boss int, pay int);

CREATE VIEW chain AS SELECT c.region, count(*) AS n, sum(l.amount * c.rate) AS paid, max(l.amount) AS most, array_agg(l.amount ORDER BY l.amount) AS all_
    FROM lines l JOIN orders o ON o.id = l.ord JOIN customers c ON c.id = o.customer GROUP BY c.region;
CREATE VIEW filtered AS SELECT o.day, count(*) AS n, min(l.amount) AS least FROM lines l JOIN orders o ON o.id = l.ord
    WHERE l.amount > 1 AND o.customer IS NOT NULL GROUP BY o.day;
CREATE VIEW total AS SELECT count(*) AS n, sum(l.amount) AS amount FROM lines l JOIN orders o ON o.id = l.ord;
CREATE VIEW part_of_a_key AS SELECT p.price, sum(l.amount) AS amount FROM lines l JOIN prices p ON p.product = l.product GROUP BY p.price;
CREATE VIEW all_of_a_key AS SELECT p.price, sum(l.amount) AS amount FROM lines l JOIN prices p ON p.product = l.product AND p.valid = l.ord GROUP BY p.price;
CREATE VIEW key_of_two AS SELECT p.price, sum(l.amount) AS amount FROM lines l JOIN orders o ON o.id = l.ord
    JOIN prices p ON p.product = l.product AND p.valid = o.customer GROUP BY p.price;
CREATE VIEW deferred AS SELECT d.name, sum(l.amount) AS amount FROM lines l JOIN late d ON d.id = l.product GROUP BY d.name;
CREATE VIEW inherited AS SELECT f.name, sum(l.amount) AS amount FROM lines l JOIN family f ON f.id = l.product GROUP BY f.name;
CREATE VIEW cast_key AS SELECT s.name, sum(l.amount) AS amount FROM lines l JOIN scaled s ON s.id::int = l.product GROUP BY s.name;
CREATE VIEW self AS SELECT b.id, sum(e.pay) AS pays, count(*) AS n FROM staff e JOIN staff b ON b.id = e.boss GROUP BY b.id;
CREATE VIEW rows AS SELECT l.amount, c.region FROM lines l JOIN orders o ON o.id = l.ord JOIN customers c ON c.id = o.customer;
CREATE VIEW no_key AS SELECT o.day, count(*) AS n FROM lines l, orders o WHERE l.amount > o.customer GROUP BY o.day;

INSERT INTO customers VALUES (1, 'north', 1.0), (2, 'south', 2.00), (3, NULL, 3);
INSERT INTO orders VALUES (1, 1, '2024-01-01'), (2, 2, '2024-01-02'), (3, NULL, '2024-01-03');
INSERT INTO prices VALUES (1, 1, 10), (1, 2, 10), (2, 1, 20);
INSERT INTO family VALUES (1, 'one');
INSERT INTO younger VALUES (1, 'one');
INSERT INTO scaled VALUES (0.8, 'one'), (1.2, 'one');
SET client_min_messages = warning;
SELECT create_imat(name) FROM unnest(ARRAY['chain', 'filtered', 'total', 'part_of_a_key', 'all_of_a_key', 'key_of_two', 'deferred',
    'inherited', 'cast_key', 'self', 'rows', 'no_key']) AS name;
RESET client_min_messages;

INSERT INTO lines VALUES (1, 1, 5);
TABLE wrong;
INSERT INTO lines VALUES (1, 1, 1);
INSERT INTO lines VALUES (2, 2, 7);
INSERT INTO lines VALUES (3, 1, 8);
INSERT INTO lines VALUES (9, NULL, 9);
INSERT INTO lines VALUES (NULL, 1, NULL);
TABLE wrong;
TABLE imat.chain ORDER BY region;
TABLE imat.part_of_a_key ORDER BY price;
TABLE imat.inherited;
TABLE imat.cast_key;
-- Each table's rows come and go.
INSERT INTO orders VALUES (9, 3, '2024-01-03');
TABLE wrong;
UPDATE orders SET customer = 1 WHERE id = 3;
TABLE wrong;
UPDATE customers SET rate = 1.50 WHERE id = 1;
TABLE wrong;
DELETE FROM lines WHERE amount = 7;
TABLE wrong;
DELETE FROM lines WHERE amount = 9;
TABLE wrong;
DELETE FROM customers WHERE id = 1;
TABLE wrong;
INSERT INTO prices VALUES (1, 3, 10);
TABLE wrong;
DELETE FROM prices WHERE valid = 2;
TABLE wrong;
DELETE FROM younger;
TABLE wrong;
-- A key that holds at the end only.
BEGIN;
INSERT INTO late VALUES (1, 'twice');
INSERT INTO late VALUES (1, 'twice');
INSERT INTO lines VALUES (1, 1, 100);
TABLE wrong;
TABLE imat.deferred;
DELETE FROM late WHERE ctid = (SELECT max(ctid) FROM late);
COMMIT;
TABLE wrong;
TABLE imat.deferred;
-- Both ends at once.
INSERT INTO staff VALUES (1, 1, 100);
INSERT INTO staff VALUES (2, 1, 50);
TABLE wrong;
UPDATE staff SET boss = 2 WHERE id = 2;
TABLE wrong;
DELETE FROM staff WHERE id = 1;
TABLE wrong;
TABLE imat.self;
-- The same under another snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO lines VALUES (2, 2, 70);
INSERT INTO lines VALUES (2, 1, 71);
DELETE FROM lines WHERE amount = 70;
TABLE wrong;
COMMIT;
TABLE wrong;
-- Prepared, so that the statement is planned once.
PREPARE add AS INSERT INTO lines VALUES ($1, $2, $3);
EXECUTE add (1, 1, 3);
EXECUTE add (2, 2, 4);
EXECUTE add (NULL, NULL, NULL);
TABLE wrong;
-- One table leads twice to another, which is read by its primary key.
CREATE TABLE airport (k int PRIMARY KEY, name text);
CREATE TABLE flight (a int, b int, x int);
CREATE VIEW routes AS SELECT count(*) AS n, sum(f.x) AS total, max(f.x) AS most
    FROM flight AS f, airport AS x, airport AS y WHERE x.k = f.a AND y.k = f.b;
CREATE VIEW departures AS SELECT x.name, count(*) AS n, avg(f.x) AS mean, min(f.x) AS least, count(DISTINCT f.x) AS kinds
    FROM flight AS f JOIN airport AS x ON x.k = f.a JOIN airport AS y ON y.k = f.b GROUP BY x.name;
SELECT create_imat('routes'), create_imat('departures');
INSERT INTO airport VALUES (1, 'ams'), (2, 'ber');
INSERT INTO flight VALUES (1, 2, 5);
INSERT INTO flight VALUES (2, 1, 7);
INSERT INTO flight VALUES (1, 2, 9);
TABLE wrong;
TABLE imat.routes;
UPDATE flight SET x = 8 WHERE x = 9;
TABLE wrong;
DELETE FROM flight WHERE x = 8;
TABLE wrong;
INSERT INTO airport VALUES (3, 'ams');
INSERT INTO flight VALUES (3, 3, 1);
TABLE wrong;
UPDATE airport SET name = 'muc' WHERE k = 3;
TABLE wrong;
DELETE FROM airport WHERE k = 3;
TABLE wrong;
TABLE imat.routes;
