-- Run by scripts/warm-path, which counts the planner calls that log_planner_stats reports. The statements after the
-- mark `warm` must not call the planner, and those after `anew` only for plans that new statistics have invalidated.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION pg_imat;
CREATE TABLE wd(id int PRIMARY KEY, name text); INSERT INTO wd SELECT i, 'n'||i%3 FROM generate_series(1,10) i;
CREATE TABLE w(id int PRIMARY KEY, k int, d int, x numeric(10,2), f float8); CREATE INDEX ON w(k); CREATE INDEX ON w(d);
CREATE VIEW w1 AS SELECT k, count(*) n, sum(x) s, avg(x) a, min(x) mn, max(x) mx FROM w GROUP BY k; SELECT create_imat('w1');
CREATE VIEW w2 AS SELECT name, sum(x), count(DISTINCT k), sum(f) sf FROM w JOIN wd ON wd.id = w.d GROUP BY name; SELECT create_imat('w2');
CREATE VIEW w3 AS SELECT w.id, name, x FROM w JOIN wd ON wd.id = w.d; SELECT create_imat('w3');
PREPARE i(int) AS INSERT INTO w VALUES ($1, $1 % 5, 1 + $1 % 10, $1, $1);
PREPARE u(int) AS UPDATE w SET x = x - 1, k = (k + 1) % 5 WHERE id = $1;
PREPARE d(int) AS DELETE FROM w WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
SELECT format('EXECUTE i(%s)', i) FROM generate_series(1,300) i \gexec
SELECT format('EXECUTE u(%s)', i) FROM generate_series(1,100) i \gexec
SELECT format('EXECUTE d(%s)', i) FROM generate_series(1,100) i \gexec
ANALYZE;
EXECUTE i(1001); EXECUTE u(1001); EXECUTE u(200); EXECUTE d(1001); EXECUTE d(200); EXECUTE i(1002); EXECUTE u(300); EXECUTE d(300); EXECUTE d(299);
\echo == control
SET client_min_messages = log; SET log_planner_stats = on;
SELECT count(*) FROM wd WHERE id = 1;
\echo == warm
EXECUTE i(2001);
EXECUTE u(2001);
EXECUTE u(250);
EXECUTE d(2001);
EXECUTE d(250);
SET log_planner_stats = off;
ANALYZE w;
\echo == anew
SET log_planner_stats = on;
EXECUTE i(2002);
SET log_planner_stats = off;
-- Commands that affect no maintained table, in a session that has not run one: the lists of altered and of dropped
-- objects are planned once, and nothing else, however many relations there are.
CREATE TABLE parted (id int, n int) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE parted_%s PARTITION OF parted FOR VALUES FROM (%s) TO (%s)', i, i, i + 1) FROM generate_series(1, 100) i \gexec
CREATE VIEW w4 AS SELECT n, count(*) FROM parted GROUP BY n; SELECT create_imat('w4');
\c
\echo == ddl
SET client_min_messages = log; SET log_planner_stats = on;
CREATE TABLE alone (a int PRIMARY KEY, b int);
ALTER TABLE alone ADD c int, ALTER b SET NOT NULL;
CREATE INDEX alone_b ON alone (b);
CREATE FUNCTION alone(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE OR REPLACE FUNCTION alone(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
CREATE VIEW over_alone AS SELECT * FROM alone;
CREATE OR REPLACE VIEW over_alone AS SELECT * FROM alone;
CREATE TYPE alone_mood AS ENUM ('sad'); ALTER TYPE alone_mood ADD VALUE 'glad';
GRANT SELECT ON alone TO PUBLIC; COMMENT ON TABLE alone IS 'alone';
DROP INDEX alone_b;
DROP VIEW over_alone;
DROP TABLE alone;
DROP FUNCTION alone(int); DROP TYPE alone_mood;
SET log_planner_stats = off;
\echo == differences
SELECT v.difference FROM imat_status AS i, verify_imat(i.name::text) AS v;
