-- requires: 18
-- Constraints that PostgreSQL 18 has: NOT NULL that is not valid, or not for children.
CREATE EXTENSION pg_imat;
SET client_min_messages = warning;

CREATE TABLE n (k integer, x integer);
INSERT INTO n VALUES (1, NULL), (1, 5), (NULL, 1);
ALTER TABLE n ADD CONSTRAINT x_given NOT NULL x NOT VALID;
ALTER TABLE n ADD CONSTRAINT k_given NOT NULL k NOT VALID;
CREATE VIEW sums AS SELECT k, count(x) AS c, sum(x) AS s, avg(x) AS a FROM n GROUP BY k;
CREATE VIEW of_k AS SELECT k, count(k) AS c FROM n GROUP BY k;
SELECT create_imat('sums'), create_imat('of_k');
INSERT INTO n VALUES (1, 1), (2, 2);
DELETE FROM n WHERE x = 5;
TABLE imat.sums ORDER BY k;
TABLE sums ORDER BY k;
TABLE imat.of_k ORDER BY k;
TABLE of_k ORDER BY k;
SELECT * FROM verify_imat('sums');
SELECT * FROM verify_imat('of_k');
-- Valid at last, it is still not relied on, and may go.
DELETE FROM n WHERE x IS NULL OR k IS NULL;
ALTER TABLE n VALIDATE CONSTRAINT x_given;
ALTER TABLE n VALIDATE CONSTRAINT k_given;
INSERT INTO n VALUES (3, 3);
ALTER TABLE n ALTER x DROP NOT NULL;
INSERT INTO n VALUES (3, NULL), (4, NULL);
TABLE imat.sums ORDER BY k;
TABLE sums ORDER BY k;
-- One that was relied on can't come back unvalidated.
CREATE TABLE m (k integer NOT NULL, x integer NOT NULL);
CREATE VIEW given AS SELECT k, sum(x) AS s FROM m GROUP BY k;
SELECT create_imat('given');
ALTER TABLE m ALTER x DROP NOT NULL, ADD CONSTRAINT x_given NOT NULL x NOT VALID;

-- NO INHERIT: a child may have NULLs.
CREATE TABLE mother (k integer, x integer, CONSTRAINT k_given NOT NULL k NO INHERIT, CONSTRAINT x_given NOT NULL x NO INHERIT);
CREATE VIEW own AS SELECT k, count(x) AS c, sum(x) AS s FROM mother GROUP BY k;
SELECT create_imat('own');
INSERT INTO mother VALUES (1, 1);
CREATE TABLE child () INHERITS (mother);
SELECT drop_imat('own');
CREATE TABLE child () INHERITS (mother);
SELECT create_imat('own');
INSERT INTO child VALUES (1, NULL), (NULL, 1), (NULL, 2);
TABLE imat.own ORDER BY k;
TABLE own ORDER BY k;
SELECT * FROM verify_imat('own');

-- A foreign key that is not enforced says nothing, and is relied on from when it is enforced until it is no more.
CREATE TABLE orders (id integer PRIMARY KEY, c integer);
CREATE TABLE lines (ord integer CONSTRAINT of_order REFERENCES orders NOT ENFORCED, q integer);
CREATE FUNCTION locked() RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() $$;
CREATE VIEW spent AS SELECT o.c, sum(l.q) AS s FROM lines AS l JOIN orders AS o ON o.id = l.ord GROUP BY o.c;
INSERT INTO lines VALUES (1, 10);
SELECT create_imat('spent');
BEGIN; INSERT INTO orders VALUES (1, 7); SELECT locked() > 0 AS locked; COMMIT;
INSERT INTO lines VALUES (2, 20);
TABLE imat.spent;
ALTER TABLE lines ALTER CONSTRAINT of_order ENFORCED;
BEGIN; INSERT INTO orders VALUES (2, 7); SELECT locked() > 0 AS locked; COMMIT;
TABLE imat.spent;
ALTER TABLE lines ALTER CONSTRAINT of_order ENFORCED;
BEGIN; INSERT INTO orders VALUES (3, 7); SELECT locked(); COMMIT;
ALTER TABLE lines ALTER CONSTRAINT of_order NOT ENFORCED;
INSERT INTO lines VALUES (4, 40);
BEGIN; INSERT INTO orders VALUES (4, 7); SELECT locked() > 0 AS locked; COMMIT;
DELETE FROM orders WHERE id = 1;
TABLE imat.spent;
TABLE spent;
SELECT * FROM verify_imat('spent');
