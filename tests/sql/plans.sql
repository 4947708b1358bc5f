-- imat.flush: statement
-- How the statements of a flush are planned, as the rows show that they read one by one or by scans.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE nation (id integer PRIMARY KEY, name text);
CREATE TABLE customer (id integer PRIMARY KEY, nation integer NOT NULL, segment integer);
CREATE TABLE orders (id integer PRIMARY KEY, customer integer NOT NULL, amount integer, code integer);
CREATE INDEX ON customer (nation);
CREATE INDEX ON orders (customer);
CREATE INDEX ON orders (code);
-- The rows that a statement reads by way of indexes and by scans, if they are many.
CREATE FUNCTION fetched() RETURNS numeric AS $$
    SELECT sum(pg_stat_get_xact_tuples_fetched(c.oid)) FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace $$ LANGUAGE sql;
CREATE FUNCTION scanned() RETURNS numeric AS $$
    SELECT sum(pg_stat_get_xact_tuples_returned(c.oid)) FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' $$ LANGUAGE sql;
CREATE FUNCTION reads(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE f numeric := fetched(); s numeric := scanned();
BEGIN
    EXECUTE command;
    RETURN format('%s by index, %s by scan', CASE WHEN fetched() - f > 3000 THEN 'many' ELSE 'few' END,
        CASE WHEN scanned() - s > 300000 THEN 'too many' WHEN scanned() - s > 3000 THEN 'many' ELSE 'few' END);
END $$;

-- A query that runs again has the plan that it has by itself.
CREATE VIEW whole AS SELECT c.segment, count(o.id) AS k, sum(o.amount) AS s FROM customer AS c LEFT JOIN orders AS o ON o.customer = c.id GROUP BY c.segment;
CREATE VIEW by_nation AS SELECT n.name, count(*) AS k, sum(o.amount) AS s
    FROM nation AS n JOIN customer AS c ON c.nation = n.id JOIN orders AS o ON o.customer = c.id GROUP BY n.name;
CREATE VIEW either AS SELECT n.name, count(*) AS k FROM nation AS n, orders AS o
    WHERE (n.id = o.code AND o.amount < 500) OR (o.code = n.id AND n.name < 'n10') GROUP BY n.name;
SELECT create_imat(name) FROM unnest('{whole,by_nation,either}'::text[]) AS name;
-- While the tables are empty, what looks up a row in another one has a plan for that.
INSERT INTO customer VALUES (0, 0, 0);
INSERT INTO orders VALUES (0, 0, 1, 0);
INSERT INTO nation VALUES (-1, 'none');
INSERT INTO nation SELECT i, 'n' || i FROM generate_series(0, 24) AS i;
INSERT INTO customer SELECT i, i % 25, i % 100 FROM generate_series(1, 5000) AS i;
INSERT INTO orders SELECT i, i * 37 % 5000, i % 1000, 1000 + i FROM generate_series(1, 50000) AS i;
-- It does not serve when they are full, though nobody has counted the rows yet.
SELECT reads('INSERT INTO orders VALUES (-1, 5, 5, 5)');
ANALYZE;
SELECT reads('INSERT INTO orders VALUES (-2, 5, 5, 5)');
DROP VIEW imat.whole;

-- A row that makes many has a plan for many.
SELECT reads($$UPDATE nation SET name = 'renamed' WHERE id = 7$$);
SELECT reads($$INSERT INTO nation VALUES (30, 'new')$$);
SELECT reads('UPDATE customer SET nation = 8 WHERE id = 7');
SELECT reads('UPDATE orders SET amount = amount + 1 WHERE id BETWEEN 1 AND 40');
TABLE wrong;
DROP VIEW imat.by_nation;

-- What all branches of an OR ask for is looked up.
SELECT reads($$UPDATE nation SET name = name || '!' WHERE id < 20$$);
SELECT reads($$INSERT INTO nation SELECT i, 'n' || i FROM generate_series(1100, 1160) AS i$$);
SELECT reads('UPDATE orders SET code = 1110 WHERE id = 80');
TABLE wrong;
