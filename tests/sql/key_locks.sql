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
