-- Small tables with joins of rows, of stars and of a table with itself, so that writers often have equal keys.
CREATE EXTENSION pg_imat;
CREATE TABLE cities (name int PRIMARY KEY, country int);
CREATE TABLE customers (id int PRIMARY KEY, city int, name int);
CREATE TABLE orders (id int PRIMARY KEY, customer int, clerk int, n int);
CREATE TABLE lines (ord int, qty int);
CREATE TABLE staff (id int PRIMARY KEY, boss int, pay int);
CREATE INDEX ON lines (ord);
CREATE INDEX ON orders (customer);
CREATE INDEX ON orders (clerk);
CREATE INDEX ON customers (city);
-- Some keys have no matching row, so that later inserts complete result rows.
INSERT INTO cities SELECT i, i % 3 FROM generate_series(1, 6) AS i;
INSERT INTO customers SELECT i, 1 + i % 8, i FROM generate_series(1, 12) AS i;
INSERT INTO staff SELECT i, i / 2, i FROM generate_series(1, 12) AS i;
INSERT INTO orders SELECT i, 1 + i % 14, 1 + i % 13, 1 FROM generate_series(1, 30) AS i;
INSERT INTO lines SELECT 1 + i % 35, i FROM generate_series(1, 100) AS i;

CREATE VIEW chain AS
    SELECT t.country, c.name, count(*) AS n, sum(l.qty) AS qty
    FROM lines l JOIN orders o ON o.id = l.ord JOIN customers c ON c.id = o.customer JOIN cities t ON t.name = c.city
    GROUP BY t.country, c.name;
CREATE VIEW star AS
    SELECT o.id, c.name, s.pay, sum(o.n) AS n, max(s.boss) AS boss
    FROM orders o JOIN customers c ON c.id = o.customer JOIN staff s ON s.id = o.clerk GROUP BY o.id, c.name, s.pay;
CREATE VIEW bosses AS
    SELECT b.id, count(*) AS n, sum(s.pay) AS pay FROM staff s JOIN staff b ON b.id = s.boss GROUP BY b.id;
CREATE VIEW details AS
    SELECT t.country, l.qty FROM lines l, orders o, customers c, cities t, staff s
    WHERE o.id = l.ord AND c.id = o.customer AND t.name = c.city AND s.id = o.clerk;
SELECT create_imat('chain'), create_imat('star'), create_imat('bosses'), create_imat('details');
CREATE VIEW above AS
    SELECT b.id, b.n, sum(x.n) AS orders FROM imat.bosses b JOIN imat.star x ON x.boss = b.id GROUP BY b.id, b.n;
SELECT create_imat('above');
