-- imat.flush: statement
-- imat.max_key_locks counts what the transaction holds.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE parents (id int, name text);
CREATE TABLE children (parent int, n int);
INSERT INTO parents SELECT i, 'p' || i FROM generate_series(1, 20) AS i;
CREATE VIEW joined AS SELECT p.name, sum(c.n) AS n FROM children AS c JOIN parents AS p ON p.id = c.parent GROUP BY p.name;
SELECT create_imat('joined', 'imat');
-- Keys, and all writers of a side: announced by RowExclusiveLock, waited for by ShareLock.
CREATE VIEW held AS
    SELECT CASE objsubid & 1 WHEN 1 THEN 'key' ELSE 'writers' END AS what, mode, count(*)
    FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() GROUP BY 1, 2 ORDER BY 1, 2;
SET imat.max_key_locks = 3;

-- One by one up to that many, and then no more.
BEGIN;
INSERT INTO children VALUES (1, 1), (2, 1), (3, 1);
TABLE held;
-- Those that it holds already are no more.
UPDATE children SET n = n + 1;
TABLE held;
INSERT INTO children VALUES (4, 1), (1, 1);
TABLE held;
COMMIT;

-- The next transaction begins anew, however the last one ended.
BEGIN;
INSERT INTO children VALUES (5, 1), (6, 1);
ROLLBACK;
BEGIN;
INSERT INTO children VALUES (7, 1), (8, 1);
TABLE held;
COMMIT;
SELECT exact('joined');

-- What a savepoint was rolled back to is not held, and what it was released with is.
BEGIN;
INSERT INTO children VALUES (9, 1);
SAVEPOINT a;
INSERT INTO children VALUES (10, 1), (11, 1);
ROLLBACK TO a;
INSERT INTO children VALUES (12, 1);
RELEASE a;
SAVEPOINT b;
SAVEPOINT c;
INSERT INTO children VALUES (9, 1), (13, 1);
RELEASE c;
TABLE held;
ROLLBACK TO b;
TABLE held;
INSERT INTO children VALUES (14, 1);
TABLE held;
INSERT INTO children VALUES (15, 1);
TABLE held;
COMMIT;
SELECT exact('joined');

-- Lowered in the middle, it is less than what is held.
SET imat.max_key_locks = 64;
BEGIN;
INSERT INTO children SELECT i, 1 FROM generate_series(1, 5) AS i;
TABLE held;
SET LOCAL imat.max_key_locks = 2;
UPDATE children SET n = n + 1 WHERE parent <= 2;
TABLE held;
INSERT INTO children SELECT i, 1 FROM generate_series(1, 10) AS i;
TABLE held;
COMMIT;
SELECT exact('joined');
-- A customer leads to his orders, and of these no more than three are asked for then. That all three are held says nothing
-- of the others: whichever one of six was not locked before, writers of lines are kept out. As are those of orders: his
-- own key was not locked in this mode.
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer int, n int);
CREATE TABLE lines (ord int, n int);
INSERT INTO customers VALUES (1, 'c');
INSERT INTO orders SELECT i, 1, 0 FROM generate_series(1, 6) AS i;
CREATE VIEW bought AS SELECT c.name, o.n AS o, l.n FROM lines AS l JOIN orders AS o ON o.id = l.ord JOIN customers AS c ON c.id = o.customer;
SELECT create_imat('bought');
CREATE PROCEDURE lower() LANGUAGE plpgsql AS $$
DECLARE before text; after text;
BEGIN
    FOR missing IN 1..6 LOOP
        UPDATE orders SET n = n + 1 WHERE id <> missing;
        SELECT string_agg(format('%s %s %s', count, what, mode), ', ' ORDER BY what, mode) FROM held INTO before;
        SET LOCAL imat.max_key_locks = 2;
        UPDATE customers SET name = name || '.';
        SELECT string_agg(format('%s %s %s', count, what, mode), ', ' ORDER BY what, mode) FROM held INTO after;
        RAISE NOTICE 'order % not locked: %', missing, before;
        RAISE NOTICE 'its customer locked: %', after;
        ROLLBACK;
    END LOOP;
END $$;
CALL lower();

-- A cast that can fail is not made for rows that the query does not make it for; all of them have one key.
RESET imat.max_key_locks;
CREATE TABLE a (id int, kind text, t text);
CREATE TABLE b (k int, n bigint);
CREATE VIEW cast_number AS SELECT a.id, b.k FROM a JOIN b ON a.t::int = b.k WHERE a.kind = 'n';
CREATE VIEW cast_text AS SELECT a.id, b.k FROM a JOIN b ON a.t = b.k::text;
CREATE VIEW cast_integer AS SELECT a.id, b.k FROM a JOIN b ON a.id = b.n::int WHERE b.n < 1000;
SELECT v, create_imat(v::regclass) FROM unnest(ARRAY['cast_number', 'cast_text', 'cast_integer']) AS v;
SELECT v, line FROM unnest(ARRAY['cast_number', 'cast_text', 'cast_integer']) AS v, explain_imat(v) AS line WHERE line LIKE '%Locks%';
INSERT INTO a VALUES (1, 's', 'abc');
INSERT INTO a VALUES (2, 's', 'def'), (3, 'n', '7');
INSERT INTO b VALUES (7, 3);
INSERT INTO b VALUES (7, 10000000000);
INSERT INTO b SELECT 7, n FROM b;
UPDATE a SET t = 'x' WHERE kind = 's';
TABLE wrong;
INSERT INTO a VALUES (4, 'n', 'abc');
-- By way of tables that nothing joins every row is met: then which keys these have is not asked, and all are locked.
CREATE TABLE c (n bigint, w int);
CREATE VIEW crossed AS SELECT a.id, c.w FROM a, b, c WHERE c.n = a.id;
SELECT create_imat('crossed');
SELECT line FROM explain_imat('crossed') AS line WHERE line LIKE '%Locks%';
