-- Row-level security that is switched on later never filters a maintained table silently.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE ROLE imat_rls;
CREATE SCHEMA o AUTHORIZATION imat_rls;
SET ROLE imat_rls;
CREATE TABLE o.t (a integer, b text);
CREATE VIEW o.lists AS SELECT a, array_agg(b ORDER BY b) AS bs FROM o.t GROUP BY a;
SELECT create_imat('o.lists');
INSERT INTO o.t VALUES (1, 'hidden'), (1, 'shown');
ALTER TABLE o.t ENABLE ROW LEVEL SECURITY;
-- The owner is not subject to it yet.
INSERT INTO o.t VALUES (1, 'more');
TABLE imat.lists;
ALTER TABLE o.t FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON o.t USING (b <> 'hidden');
INSERT INTO o.t VALUES (1, 'last');
TABLE imat.lists;
SELECT refresh_imat('lists');
SELECT * FROM verify_imat('lists');
ALTER TABLE o.t NO FORCE ROW LEVEL SECURITY;
INSERT INTO o.t VALUES (1, 'after');
TABLE imat.lists;
SELECT * FROM verify_imat('lists');
RESET ROLE;
DROP OWNED BY imat_rls CASCADE;
DROP ROLE imat_rls;
