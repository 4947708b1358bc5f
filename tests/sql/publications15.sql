-- requires: 15
-- Publications of schemas.
CREATE EXTENSION pg_imat;
CREATE SCHEMA app;
CREATE TABLE t (k int PRIMARY KEY, v int);
CREATE VIEW sums AS SELECT v, count(*) AS n FROM t GROUP BY v;
CREATE PUBLICATION bases FOR TABLES IN SCHEMA public;
SELECT create_imat('sums');
ALTER PUBLICATION bases ADD TABLES IN SCHEMA app;
CREATE VIEW more AS SELECT avg(v) AS mean FROM t;
SELECT create_imat('more', schema => 'app');
SELECT create_imat('more');
ALTER PUBLICATION bases ADD TABLES IN SCHEMA imat_state;
SELECT drop_imat('more'), create_imat('more');
ALTER PUBLICATION bases DROP TABLES IN SCHEMA imat_state;
SELECT create_imat('more');
