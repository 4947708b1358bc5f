-- The tables on both sides of scripts/replicate.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION pg_imat;
CREATE TABLE customer (id int PRIMARY KEY, region text, name text NOT NULL);
CREATE TABLE sale (id int PRIMARY KEY, customer int NOT NULL, amount numeric(10,2) NOT NULL, note text, unused text);
CREATE INDEX ON sale (customer);
CREATE TABLE part (id int, k int, n int NOT NULL, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
-- The columns have another order than the root's.
CREATE TABLE part_1 (n int NOT NULL, k int NOT NULL, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE root (id int PRIMARY KEY, n int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE animal (id int PRIMARY KEY, kind text NOT NULL);
CREATE TABLE dog (PRIMARY KEY (id)) INHERITS (animal);
CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE visit (id int PRIMARY KEY, shop int NOT NULL REFERENCES shop, n int NOT NULL);
CREATE TABLE tip (id int PRIMARY KEY, shop int NOT NULL REFERENCES shop, n int NOT NULL);
CREATE VIEW by_customer AS SELECT customer, count(*) AS n, sum(amount) AS total FROM sale GROUP BY customer;
CREATE VIEW extremes AS SELECT customer, min(amount) AS least, max(amount) AS most, max(note) AS note FROM sale GROUP BY customer;
CREATE VIEW by_region AS
    SELECT c.region, count(*) AS n, sum(s.amount) AS total, avg(s.amount) AS mean FROM customer AS c JOIN sale AS s ON s.customer = c.id
    GROUP BY c.region;
CREATE VIEW lines AS SELECT c.name, s.amount FROM customer AS c JOIN sale AS s ON s.customer = c.id WHERE s.amount > 10;
CREATE VIEW without_sale AS SELECT c.id, s.id AS sale FROM customer AS c LEFT JOIN sale AS s ON s.customer = c.id;
CREATE VIEW total AS SELECT count(*) AS n, sum(amount) AS total FROM sale;
CREATE VIEW parts AS SELECT k % 3 AS third, count(*) AS n, sum(n) AS s, max(n) AS most FROM part GROUP BY k % 3;
CREATE VIEW leaf AS SELECT n % 5 AS rest, count(*) AS n FROM part_1 GROUP BY n % 5;
CREATE VIEW sold_parts AS SELECT p.k, sum(p.n) AS s FROM part AS p JOIN sale AS s ON s.customer = p.k GROUP BY p.k;
CREATE VIEW roots AS SELECT n % 4 AS rest, count(*) AS n FROM root GROUP BY n % 4;
CREATE VIEW kinds AS SELECT kind, count(*) AS n FROM animal GROUP BY kind;
CREATE VIEW dogs AS SELECT count(*) AS n FROM dog;
CREATE VIEW visits AS SELECT s.name, count(*) AS n, sum(v.n) AS total FROM visit AS v JOIN shop AS s ON s.id = v.shop GROUP BY s.name;
CREATE VIEW tips AS SELECT t.id, s.name, t.n FROM tip AS t JOIN shop AS s ON s.id = t.shop;
-- The content of each side, for the comparison.
CREATE VIEW content AS
    SELECT (SELECT count(*) FROM customer) AS customers, (SELECT count(*) FROM sale) AS sales, (SELECT count(*) FROM part) AS parts,
        (SELECT count(*) FROM root) AS roots, (SELECT count(*) FROM animal) AS animals,
        md5(concat((SELECT string_agg(c::text, ' ' ORDER BY id) FROM customer AS c), (SELECT string_agg(s::text, ' ' ORDER BY id) FROM sale AS s),
            (SELECT string_agg(p::text, ' ' ORDER BY id, k) FROM part AS p), (SELECT string_agg(r::text, ' ' ORDER BY id) FROM root AS r),
            (SELECT string_agg(a::text, ' ' ORDER BY id) FROM animal AS a))) AS md5;
