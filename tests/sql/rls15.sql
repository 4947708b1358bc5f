-- requires: 15
-- Views that are checked and filtered as whoever reads them: what is maintained is the owner's.
CREATE EXTENSION pg_imat;
CREATE ROLE imat_ann; CREATE ROLE imat_bob;
CREATE SCHEMA s AUTHORIZATION imat_ann;
GRANT USAGE ON SCHEMA s TO imat_bob;
SET ROLE imat_ann;
CREATE TABLE s.t (a integer NOT NULL, b integer);
INSERT INTO s.t VALUES (1, 1), (2, 2);
CREATE VIEW s.below WITH (security_invoker) AS SELECT a, b FROM s.t WHERE a > 0;
CREATE VIEW s.grouped WITH (security_invoker) AS SELECT a, count(*) AS n FROM s.below GROUP BY a;
CREATE VIEW s.whole WITH (security_invoker, security_barrier) AS SELECT DISTINCT b FROM s.below;
CREATE VIEW s.having WITH (security_invoker) AS SELECT a, avg(b) AS mean FROM s.below GROUP BY a HAVING count(*) > 1;
GRANT SELECT ON s.grouped, s.whole, s.having TO imat_bob;
GRANT INSERT ON s.t TO imat_bob;
RESET ROLE;
-- A reader of the view needs the right to read the table; a reader of the maintained table doesn't.
SET ROLE imat_bob;
SELECT * FROM s.grouped;
RESET ROLE; SET ROLE imat_ann;
SELECT create_imat('s.grouped'), create_imat('s.whole'), create_imat('s.having');
RESET ROLE; SET ROLE imat_bob;
INSERT INTO s.t VALUES (1, 3), (3, 3);
SELECT * FROM imat.grouped ORDER BY a;
SELECT * FROM imat.whole ORDER BY b;
SELECT * FROM imat.having ORDER BY a;
-- Who doesn't own the table can't make one over such a view, though he may read it.
RESET ROLE;
GRANT SELECT ON s.t, s.below TO imat_bob;
CREATE SCHEMA b AUTHORIZATION imat_bob;
SET ROLE imat_bob;
CREATE VIEW b.v WITH (security_invoker) AS SELECT a FROM s.below;
SELECT create_imat('b.v');
-- Nor does it come with a superuser's rights, if he makes it.
RESET ROLE;
SELECT create_imat('b.v');
REVOKE SELECT ON s.t FROM imat_bob;
SELECT refresh_imat('b.v');
SELECT refresh_imat('v');
GRANT SELECT ON s.t TO imat_bob;
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
SELECT count(drop_imat(name::text)) FROM imat_status;
DROP OWNED BY imat_ann, imat_bob CASCADE;
DROP ROLE imat_ann, imat_bob;
