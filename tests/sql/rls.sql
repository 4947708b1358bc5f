-- Row-level security never filters a maintained table: where it is on, there is none.
CREATE EXTENSION pg_imat;

CREATE ROLE imat_rls;
CREATE SCHEMA o AUTHORIZATION imat_rls;
SET ROLE imat_rls;
CREATE TABLE o.t (a integer, b text);
CREATE VIEW o.lists AS SELECT a, array_agg(b ORDER BY b) AS bs FROM o.t GROUP BY a;
SELECT create_imat('o.lists');
INSERT INTO o.t VALUES (1, 'hidden'), (1, 'shown');

-- It can't be switched on, by whomever and in whatever company.
CREATE POLICY p ON o.t USING (b <> 'hidden') WITH CHECK (true);
ALTER TABLE o.t FORCE ROW LEVEL SECURITY;
ALTER TABLE o.t ENABLE ROW LEVEL SECURITY;
ALTER TABLE o.t ADD COLUMN c integer, ENABLE ROW LEVEL SECURITY;
RESET ROLE;
ALTER TABLE o.t ENABLE ROW LEVEL SECURITY;
SET session_replication_role = replica;
ALTER TABLE o.t ENABLE ROW LEVEL SECURITY;
RESET session_replication_role;
SET ROLE imat_rls;
-- A policy and FORCE mean nothing without it.
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'o.t'::regclass;
INSERT INTO o.t VALUES (1, 'more');
TABLE imat.lists;
SELECT refresh_imat('lists');
TABLE imat.lists;
SELECT * FROM verify_imat('lists');

-- Without the maintained table it can, and filters what the owner reads; then none can be made.
SELECT drop_imat('lists');
ALTER TABLE o.t ENABLE ROW LEVEL SECURITY;
TABLE o.lists;
SELECT create_imat('o.lists');
ALTER TABLE o.t DISABLE ROW LEVEL SECURITY;
SELECT create_imat('o.lists');
TABLE imat.lists;
RESET ROLE;
DROP OWNED BY imat_rls CASCADE;
DROP ROLE imat_rls;
