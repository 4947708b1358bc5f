-- imat.flush: statement
-- An error of a view's expression tells which maintained table it is of, and what was being done with it.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
\set SHOW_CONTEXT errors
\set VERBOSITY default

CREATE TABLE t (a integer, b integer);
CREATE TABLE u (a integer, b integer);
INSERT INTO t VALUES (1, 1), (2, 2);
INSERT INTO u VALUES (1, 1);
CREATE VIEW grouped AS SELECT a, sum(10 / b) AS s FROM t GROUP BY a;
CREATE VIEW joined AS SELECT t.a, 100 / (t.b - u.b - 5) AS q FROM t JOIN u ON u.a = t.a;
CREATE VIEW extremes AS SELECT a, (array_agg(20 / (b - 9)))[1] AS m FROM t GROUP BY a;
CREATE VIEW below AS SELECT a, (SELECT u.b FROM u WHERE u.a = t.a) AS looked_up FROM t;
CREATE VIEW subqueries AS SELECT a, looked_up, EXISTS (SELECT FROM u) AS e FROM below
    WHERE a <> (SELECT max(b) + 77 FROM u) AND a NOT IN (SELECT b FROM u WHERE b > 100);

-- When it is created.
INSERT INTO t VALUES (3, 0);
\set SHOW_CONTEXT never
SELECT create_imat('grouped');
DO $$
DECLARE said text;
BEGIN
    PERFORM create_imat('grouped');
EXCEPTION WHEN division_by_zero THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_CONTEXT;
    RAISE INFO '%', substring(said, '(creating.*?)\n');
END $$;
\set SHOW_CONTEXT errors
DELETE FROM t WHERE a = 3;
SELECT create_imat(v) FROM unnest(ARRAY['grouped', 'joined', 'extremes', 'subqueries']) AS v;

-- By the change of one row, of few and of many.
INSERT INTO t VALUES (1, 0);
INSERT INTO t VALUES (1, 0), (1, 1);
INSERT INTO t SELECT 1, i % 300 FROM generate_series(1, 300) AS i;
UPDATE t SET b = 6 WHERE a = 1;
UPDATE u SET b = -4;
-- Of two tables at once.
WITH w AS (UPDATE u SET b = 2 RETURNING a) UPDATE t SET b = 7 FROM w WHERE t.a = w.a;
-- While a group is recomputed, and in a whole query.
INSERT INTO t VALUES (2, 9);
INSERT INTO u VALUES (1, 1);
-- In a statement of a function, and for a query that reads too early for it.
DO $$ BEGIN INSERT INTO t VALUES (1, 0); END $$;
CREATE FUNCTION reads() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM imat.grouped; RETURN NULL; END $$;
CREATE TRIGGER reads AFTER INSERT ON u EXECUTE FUNCTION reads();
WITH w AS (INSERT INTO t VALUES (1, 0)) INSERT INTO u VALUES (9, 9);
DROP TRIGGER reads ON u;

-- It stays what it is: an error that is caught, with the SQLSTATE and the names that a function gave it.
CREATE FUNCTION picky(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF $1 > 50 THEN RAISE 'too much' USING ERRCODE = 'AB123', DETAIL = 'of it', HINT = 'less', TABLE = 'u', COLUMN = 'b'; END IF;
    RAISE NOTICE 'picky %', $1;
    RETURN $1;
END $$;
CREATE VIEW picked AS SELECT picky(b) AS p, count(*) AS n FROM u GROUP BY 1;
SELECT create_imat('picked');
\set VERBOSITY verbose
INSERT INTO u VALUES (8, 51);
\set VERBOSITY default
DO $$
DECLARE said text; state text; place text;
BEGIN
    INSERT INTO u VALUES (8, 51);
EXCEPTION WHEN SQLSTATE 'AB123' THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_CONTEXT, state = RETURNED_SQLSTATE, place = TABLE_NAME;
    RAISE INFO E'% of %\n%', state, place, said;
END $$;

-- When the query is only planned, and by other verbs.
CREATE FUNCTION pole(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE VIEW changing AS SELECT b, 10 / pole(b) AS p FROM u;
SELECT create_imat('changing');
ALTER EVENT TRIGGER imat_change DISABLE;
CREATE OR REPLACE FUNCTION pole(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
SELECT refresh_imat('changing');
INSERT INTO u VALUES (8, 3);
SELECT drop_imat('changing'), drop_imat('picked');

-- What is wrong with the state is an error of ours; the next one is told as the one before.
SELECT force('UPDATE imat_state.grouped SET imat_2 = 0');
DELETE FROM t WHERE a = 2;
INSERT INTO t VALUES (1, 0);
SELECT difference FROM verify_imat('grouped', repair => true);
INSERT INTO t VALUES (1, 0);
TABLE wrong;
