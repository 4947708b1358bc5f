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

-- Whoever may bypass it is no exception, nor is a superuser: the maintained table is for all readers.
RESET ROLE;
CREATE ROLE imat_bypass BYPASSRLS;
CREATE SCHEMA b AUTHORIZATION imat_bypass;
SET ROLE imat_bypass;
CREATE TABLE b.t (a integer);
ALTER TABLE b.t ENABLE ROW LEVEL SECURITY;
CREATE VIEW b.v AS SELECT a FROM b.t;
SELECT create_imat('b.v');
RESET ROLE;
SELECT create_imat('b.v');

-- A writer's row_security changes nothing.
SET row_security = off;
INSERT INTO o.t VALUES (2, 'off');
RESET row_security;
TABLE imat.lists ORDER BY a;

-- The owner may put policies on what readers see. FORCE would concern the maintenance.
CREATE ROLE imat_reader;
GRANT USAGE ON SCHEMA o TO imat_reader;
SET ROLE imat_rls;
CREATE VIEW o.counts AS SELECT a, count(*) AS n FROM o.t GROUP BY a;
SELECT create_imat('o.counts');
GRANT SELECT ON imat.counts TO imat_reader;
ALTER TABLE imat.counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON imat.counts USING (n < 2);
ALTER TABLE imat.counts FORCE ROW LEVEL SECURITY;
INSERT INTO o.t VALUES (2, 'more'), (3, 'new');
DELETE FROM o.t WHERE a = 1;
SELECT count(*) FROM verify_imat('counts');
TABLE imat.counts ORDER BY a;
RESET ROLE; SET ROLE imat_reader;
TABLE imat.counts ORDER BY a;
RESET ROLE; SET ROLE imat_rls;
-- It is no base table then.
SELECT create_imat('above', query => 'SELECT sum(n) FROM imat.counts');
ALTER TABLE imat.counts DISABLE ROW LEVEL SECURITY;
SELECT create_imat('above', query => 'SELECT sum(n) FROM imat.counts');
ALTER TABLE imat.counts ENABLE ROW LEVEL SECURITY;
SELECT drop_imat('above'), drop_imat('counts');

-- A superuser who switches off the event triggers can switch it on. Then nothing is computed from what
-- is left of the rows.
SELECT create_imat('o.counts');
CREATE VIEW o.whole AS SELECT DISTINCT a FROM o.t;
SELECT create_imat('o.whole');
RESET ROLE;
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER TABLE o.t ENABLE ROW LEVEL SECURITY;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
SELECT relforcerowsecurity FROM pg_class WHERE oid = 'o.t'::regclass;
SET ROLE imat_rls;
INSERT INTO o.t VALUES (4, 'unseen');
DELETE FROM o.t;
SELECT refresh_imat('lists');
SELECT * FROM verify_imat('lists');
SELECT refresh_imat('whole');
ALTER TABLE o.t DISABLE ROW LEVEL SECURITY;
INSERT INTO o.t VALUES (4, 'seen');
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
TABLE imat.lists ORDER BY a;
-- The same for a state.
RESET ROLE;
ALTER EVENT TRIGGER imat_change DISABLE;
ALTER TABLE imat.counts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER EVENT TRIGGER imat_change ENABLE ALWAYS;
SET ROLE imat_rls;
INSERT INTO o.t VALUES (5, 'filtered');
ALTER TABLE imat.counts NO FORCE ROW LEVEL SECURITY;
INSERT INTO o.t VALUES (5, 'seen');
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;

-- Security barriers and leakproof functions, below it.
CREATE FUNCTION o.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 IMMUTABLE AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
CREATE VIEW o.barrier WITH (security_barrier) AS SELECT a, b FROM o.t WHERE a < 4;
CREATE VIEW o.over_barrier AS SELECT a, b FROM o.barrier WHERE o.leak(b);
SELECT create_imat('o.over_barrier');
INSERT INTO o.t VALUES (1, 'shown'), (9, 'hidden');
TABLE imat.over_barrier ORDER BY a, b;
SELECT count(*) FROM verify_imat('over_barrier');
RESET ROLE;
DROP OWNED BY imat_rls, imat_bypass, imat_reader CASCADE;
DROP ROLE imat_rls, imat_bypass, imat_reader;
