-- Who may create, read, write and manage.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE ROLE imat_ann; CREATE ROLE imat_bob; CREATE ROLE imat_cat IN ROLE imat_ann;
CREATE SCHEMA ann AUTHORIZATION imat_ann;
SET ROLE imat_ann;
CREATE TABLE ann.t (a integer NOT NULL, b integer);
INSERT INTO ann.t VALUES (1, 1), (2, 2);
CREATE VIEW ann.v AS SELECT a, avg(b) AS mean, count(*) AS n FROM ann.t GROUP BY a;
CREATE VIEW ann.rows AS SELECT a FROM ann.t WHERE b > 0;
GRANT USAGE ON SCHEMA ann TO imat_bob;
GRANT SELECT, INSERT, UPDATE, DELETE ON ann.t TO imat_bob;

-- Not the owner: neither of the view nor of the table.
RESET ROLE; SET ROLE imat_bob;
SELECT create_imat('ann.v');
SELECT create_imat('bobs', query => 'SELECT a FROM ann.t');
RESET ROLE;
GRANT CREATE ON SCHEMA public TO imat_bob;
SET ROLE imat_bob;
CREATE VIEW bobs AS SELECT a FROM ann.t;
SELECT create_imat('bobs');
SELECT create_imat('anns', query => 'SELECT * FROM ann.v');
SELECT count(*) FROM imat_status;

-- The owner, and a member of the owning role, may; no privilege on the schema imat is needed.
RESET ROLE; SET ROLE imat_ann;
SELECT create_imat('ann.v');
SELECT create_imat('ann.rows', 'ann');
SELECT create_imat('ann.rows', 'public');
SELECT create_imat('ann.rows', 'imat_state');
SELECT create_imat('ann.rows', 'pg_catalog');
RESET ROLE; SET ROLE imat_cat;
SELECT create_imat('ann.rows');
SELECT name, state FROM imat_status ORDER BY name::text;
RESET ROLE;
SELECT oid::regclass, relowner::regrole FROM pg_class WHERE relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace) AND relkind IN ('r', 'v') ORDER BY 1;

-- A writer needs no privilege on what is maintained, and gets none.
SET ROLE imat_bob;
INSERT INTO ann.t VALUES (1, 10), (3, NULL);
UPDATE ann.t SET b = 7 WHERE a = 3;
DELETE FROM ann.t WHERE a = 2;
TABLE imat.v;
TABLE imat_state.v;
INSERT INTO imat.v VALUES (1, 1, 1);
DELETE FROM imat_catalog.imat;
SELECT * FROM verify_imat('v');
SELECT refresh_imat('v');
SELECT drop_imat('v');
SELECT * FROM explain_imat('v');
DROP VIEW imat.v;
SELECT imat_catalog.rewrites('dropped', '{}');
-- Nothing that could change something, or has more rights than the caller, is left to everybody; event triggers can't be called.
SELECT proname FROM pg_proc WHERE pronamespace = 'imat_catalog'::regnamespace AND has_function_privilege(oid, 'EXECUTE')
    AND (provolatile = 'v' OR prosecdef) AND prorettype <> 'event_trigger'::regtype ORDER BY proname;
SELECT maintainable FROM check_imat('SELECT a FROM ann.t');
SELECT maintainable, reason FROM check_imat('SELECT * FROM ann.v');
RESET ROLE; SET ROLE imat_ann;
TABLE imat.v ORDER BY a;
TABLE imat.rows ORDER BY a;
SELECT * FROM verify_imat('v');
SELECT refresh_imat('v');
GRANT SELECT ON imat.v TO imat_bob;
RESET ROLE; SET ROLE imat_bob;
TABLE imat.v ORDER BY a;
TABLE imat_state.v;

-- Code of a writer's session runs as the writer, never as the owner: a function that the view
-- calls runs as the view's owner.
RESET ROLE; SET ROLE imat_ann;
CREATE FUNCTION ann.whoami(integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT current_user::text';
CREATE VIEW ann.who AS SELECT a, ann.whoami(a) AS who FROM ann.t;
SELECT create_imat('ann.who');
RESET ROLE; SET ROLE imat_bob;
INSERT INTO ann.t VALUES (5, 5);
SELECT current_user;
RESET ROLE; SET ROLE imat_ann;
SELECT who, count(*) FROM imat.who GROUP BY who;
-- Nor can such a function change who it runs as, or leave a setting behind.
CREATE FUNCTION ann.escape(integer) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    BEGIN
        PERFORM set_config('role', 'none', false);
    EXCEPTION WHEN OTHERS THEN
        PERFORM set_config('work_mem', '64kB', false), set_config('imat_test.mark', 'left', false), set_config('search_path', 'evil', false);
        RETURN current_setting('work_mem');
    END;
    RETURN 'escaped';
END $$;
CREATE VIEW ann.escaping AS SELECT a, ann.escape(a) AS e FROM ann.t;
SELECT create_imat('ann.escaping');
RESET ROLE;
SET imat_test.mark = 'as it was';
INSERT INTO ann.t VALUES (6, 6);
SELECT current_user, current_setting('work_mem') AS work_mem, current_setting('imat_test.mark') AS mark, current_setting('search_path') AS search_path;
SELECT DISTINCT e FROM imat.escaping;
SELECT drop_imat(name::text) FROM imat_status;
DROP OWNED BY imat_ann, imat_bob, imat_cat CASCADE;
DROP ROLE imat_cat, imat_bob, imat_ann;
