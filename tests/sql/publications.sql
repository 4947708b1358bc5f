-- A publication of all tables would publish states and bookkeeping by itself, and stop subscribers that don't have them.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE t (k int PRIMARY KEY, v int);
CREATE VIEW sums AS SELECT v, count(*) AS n FROM t GROUP BY v;
CREATE PUBLICATION bases FOR TABLE t;
SELECT create_imat('sums');
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE VIEW more AS SELECT k FROM t WHERE v > 1;
SELECT create_imat('more');
SELECT create_imat('other', query => 'SELECT k FROM t');
CALL create_imat('more', online => true);
-- What is there is maintained as before.
INSERT INTO t VALUES (1, 2);
TABLE wrong;
SELECT refresh_imat('sums');
-- Other readers than PostgreSQL's subscribers can do without.
SET imat.publish_states = on;
SELECT create_imat('more');
RESET imat.publish_states;
ALTER PUBLICATION everything SET (publish = 'insert');
DROP PUBLICATION everything;
SELECT drop_imat('more'), create_imat('more');
CREATE PUBLICATION result FOR TABLE imat.sums;
-- By its name a state may be published: nobody is warned.
CREATE PUBLICATION state FOR TABLE imat_state.more;
TABLE wrong;
