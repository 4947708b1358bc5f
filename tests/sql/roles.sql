-- imat.flush: statement
-- Rights that come along, memberships, owners that change, roles that change in the middle.
CREATE EXTENSION pg_imat;
CREATE ROLE imat_ann; CREATE ROLE imat_bob; CREATE ROLE imat_cat; CREATE ROLE imat_dan LOGIN;
CREATE SCHEMA ann AUTHORIZATION imat_ann;
GRANT USAGE ON SCHEMA ann TO PUBLIC;
CREATE VIEW granted AS
    SELECT c.oid::regclass AS relation, a.column, coalesce(g.rolname, 'PUBLIC') AS grantee, string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY x.privilege_type) AS privileges
    FROM pg_class AS c CROSS JOIN LATERAL (SELECT NULL::name AS column, c.relacl AS acl UNION ALL SELECT attname, attacl FROM pg_attribute WHERE attrelid = c.oid) AS a
        CROSS JOIN LATERAL aclexplode(a.acl) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee
    WHERE c.relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace, 'imat_catalog'::regnamespace) AND c.relkind IN ('r', 'v') AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = 'imat_ann')
        AND x.grantee <> c.relowner GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS FIRST, 3;

-- Grants on the view and its columns come along; what default privileges would add does not.
SET ROLE imat_ann;
CREATE TABLE ann.t (a integer NOT NULL, b integer, secret text);
INSERT INTO ann.t VALUES (1, 1, 'x'), (2, 2, 'y');
CREATE MATERIALIZED VIEW ann.plain AS SELECT a, count(*) AS n FROM ann.t GROUP BY a;
CREATE MATERIALIZED VIEW ann.read AS SELECT a, avg(b) AS mean, min(secret) AS secret FROM ann.t GROUP BY a;
CREATE VIEW ann.everybodys AS SELECT a FROM ann.t;
GRANT SELECT ON ann.plain TO imat_bob WITH GRANT OPTION;
GRANT ALL ON ann.plain TO imat_cat;
GRANT SELECT (a, mean) ON ann.read TO imat_bob;
GRANT SELECT (a) ON ann.read TO imat_cat WITH GRANT OPTION;
GRANT SELECT (mean) ON ann.read TO PUBLIC;
GRANT UPDATE (a) ON ann.everybodys TO imat_bob;
GRANT SELECT ON ann.everybodys TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO imat_dan;
SELECT create_imat('ann.' || v) FROM unnest(ARRAY['plain', 'read', 'everybodys']) AS v;
ALTER DEFAULT PRIVILEGES REVOKE SELECT, INSERT ON TABLES FROM imat_dan;
RESET ROLE;
SELECT * FROM granted;
SET ROLE imat_bob;
SELECT a, mean FROM imat.read ORDER BY a;
SELECT secret FROM imat.read;
SELECT * FROM imat_state.read;
GRANT SELECT ON imat.plain TO imat_cat;
SELECT * FROM imat.plain ORDER BY a;
SELECT * FROM imat_catalog.plain;
RESET ROLE; SET ROLE imat_dan;
SELECT mean FROM imat.read ORDER BY mean;
SELECT * FROM imat.plain;
RESET ROLE;
SELECT count(drop_imat(name::text)) FROM imat_status;

-- A reader's function doesn't see the groups that HAVING leaves out.
SET ROLE imat_ann;
CREATE MATERIALIZED VIEW ann.having AS SELECT secret, count(*) AS n FROM ann.t GROUP BY secret HAVING min(a) > 1;
GRANT SELECT ON ann.having TO imat_bob;
SELECT create_imat('ann.having');
RESET ROLE;
CREATE SCHEMA bob AUTHORIZATION imat_bob;
SET ROLE imat_bob;
CREATE FUNCTION bob.peep(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
SELECT * FROM imat.having WHERE bob.peep(secret);
RESET ROLE;
SELECT drop_imat('having');

-- Writers need no rights but on what they write; whoever lost the right to maintain stops them.
SET ROLE imat_ann;
CREATE TABLE ann.u (a integer NOT NULL, w integer);
INSERT INTO ann.u VALUES (1, 10), (2, 20);
CREATE FUNCTION ann.f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
REVOKE ALL ON FUNCTION ann.f(integer) FROM PUBLIC;
CREATE VIEW ann.joined AS SELECT t.a, sum(u.w) AS s, count(*) AS n FROM ann.t AS t JOIN ann.u AS u ON u.a = t.a GROUP BY t.a;
CREATE VIEW ann.called AS SELECT DISTINCT ann.f(a) AS f FROM ann.t;
SELECT create_imat('ann.joined'), create_imat('ann.called');
GRANT INSERT ON ann.t TO imat_dan;
RESET ROLE; SET ROLE imat_dan;
INSERT INTO ann.t VALUES (1, 5), (2, 6), (3, 7);
SELECT * FROM ann.t;
SELECT * FROM ann.u;
SELECT * FROM imat.joined;
SELECT ann.f(1);
RESET ROLE;
TABLE imat.joined ORDER BY a;
TABLE imat.called ORDER BY f;
REVOKE SELECT ON ann.u FROM imat_ann;
SET ROLE imat_dan;
INSERT INTO ann.t VALUES (1, 5);
RESET ROLE;
GRANT SELECT ON ann.u TO imat_ann;
SET ROLE imat_dan;
INSERT INTO ann.t VALUES (1, 5);
RESET ROLE;
TABLE imat.joined ORDER BY a;

-- Members of the owner, with and without inheritance.
GRANT imat_ann TO imat_cat;
ALTER ROLE imat_cat NOINHERIT;
REVOKE imat_ann FROM imat_cat; GRANT imat_ann TO imat_cat;
SET ROLE imat_cat;
SELECT refresh_imat('joined');
SELECT create_imat('ann.everybodys');
SELECT create_imat('cats', query => 'SELECT a FROM ann.u');
SELECT drop_imat('joined');
SET ROLE imat_ann;
SELECT refresh_imat('joined');
RESET ROLE;
GRANT imat_ann TO imat_bob;
SET ROLE imat_bob;
SELECT refresh_imat('joined');
CREATE VIEW bob.members AS SELECT a, count(*) AS n FROM ann.t GROUP BY a;
SELECT create_imat('bob.members'), create_imat('ann.everybodys');
RESET ROLE;
SELECT oid::regclass, relowner::regrole FROM pg_class WHERE oid IN ('imat.members'::regclass, 'imat.everybodys'::regclass) ORDER BY 1;
-- A member no longer: the member's maintained table needs the right to read.
REVOKE imat_ann FROM imat_bob;
INSERT INTO ann.t VALUES (4, 4);
GRANT SELECT ON ann.t TO imat_bob;
INSERT INTO ann.t VALUES (4, 4);
SET ROLE imat_bob;
SELECT count(*) FROM verify_imat('members');
SELECT refresh_imat('members');
SELECT drop_imat('everybodys');
SELECT create_imat('again', query => 'SELECT a FROM ann.t');
RESET ROLE;

-- Who owns a base table gets rid of what is maintained over it, and is not in the way of its functions.
SET ROLE imat_ann;
SELECT refresh_imat('members');
SELECT drop_imat('members');
SELECT drop_imat('everybodys');
RESET ROLE;
CREATE FUNCTION bob.g(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
ALTER FUNCTION bob.g(integer) OWNER TO imat_bob;
CREATE VIEW bob.foreigns AS SELECT bob.g(a) AS g, count(*) AS n FROM ann.t GROUP BY bob.g(a);
ALTER VIEW bob.foreigns OWNER TO imat_bob;
SELECT create_imat('bob.foreigns');
SELECT relowner::regrole FROM pg_class WHERE oid = 'imat.foreigns'::regclass;
SET ROLE imat_bob;
CREATE OR REPLACE FUNCTION bob.g(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2';
SELECT count(*) FROM verify_imat('foreigns');
TABLE imat.foreigns ORDER BY g;
RESET ROLE;
-- A base table that changes hands: the maintained table is as before, and needs the right to read.
ALTER TABLE ann.t OWNER TO imat_cat;
SET ROLE imat_cat;
INSERT INTO ann.t VALUES (5, 5);
ALTER TABLE ann.t RENAME b TO bb;
GRANT SELECT ON ann.t TO imat_ann;
INSERT INTO ann.t VALUES (5, 5);
ALTER TABLE ann.t RENAME b TO bb;
ALTER TABLE ann.t RENAME bb TO b;
RESET ROLE; SET ROLE imat_ann;
SELECT count(*) FROM verify_imat('joined');
SELECT count(*) FROM verify_imat('called');
SELECT create_imat('ann.everybodys');
RESET ROLE; SET ROLE imat_cat;
SELECT refresh_imat('joined');
SELECT drop_imat('joined'), drop_imat('foreigns');
RESET ROLE;
REASSIGN OWNED BY imat_cat TO imat_ann;
REASSIGN OWNED BY imat_ann TO imat_bob;
INSERT INTO ann.t VALUES (6, 6);
SET ROLE imat_bob;
SELECT count(*) FROM verify_imat('called');
RESET ROLE;
REASSIGN OWNED BY imat_bob TO imat_ann;
SELECT count(drop_imat(name::text)) FROM imat_status;

-- The owner of a maintained table, with and without the right to create in its schema.
SET ROLE imat_ann;
SELECT create_imat('ann.joined'), create_imat('ann.plain');
CREATE INDEX ON imat.plain (n);
ALTER TABLE imat.plain RENAME TO renamed;
RESET ROLE;
GRANT CREATE ON SCHEMA imat TO imat_ann;
SET ROLE imat_ann;
CREATE INDEX ON imat.plain (n);
ALTER TABLE imat.plain RENAME TO renamed;
ALTER TABLE imat.renamed SET SCHEMA ann;
SELECT drop_imat('ann.renamed');
RESET ROLE;
REVOKE CREATE ON SCHEMA imat FROM imat_ann;

-- The role changes in the middle: of a transaction, by a function, under an error.
SET ROLE imat_ann;
CREATE FUNCTION ann.add(integer) RETURNS name LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN INSERT INTO ann.t VALUES ($1, $1); RETURN current_user; END $$;
CREATE FUNCTION ann.try(integer) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN INSERT INTO ann.t VALUES ($1, $1); RETURN 'done'; EXCEPTION WHEN division_by_zero THEN RETURN current_user; END $$;
CREATE VIEW ann.failing AS SELECT a, 10 / (a - 66) AS q FROM ann.t;
SELECT create_imat('ann.failing');
GRANT SELECT, UPDATE, DELETE ON ann.t TO imat_dan;
GRANT SELECT ON imat.joined TO imat_dan;
RESET ROLE;
BEGIN;
INSERT INTO ann.t VALUES (1, 1);
SET LOCAL ROLE imat_dan;
INSERT INTO ann.t VALUES (1, 1);
SELECT ann.add(1), current_user;
SELECT ann.try(66), current_user;
SAVEPOINT s;
INSERT INTO ann.t VALUES (66, 1);
ROLLBACK TO s;
SELECT current_user, session_user, current_setting('search_path') AS path;
DECLARE held CURSOR WITH HOLD FOR SELECT * FROM imat.joined ORDER BY a;
FETCH 1 FROM held;
SET SESSION AUTHORIZATION imat_dan;
UPDATE ann.t SET a = 2 WHERE a = 3;
RESET SESSION AUTHORIZATION;
SET CONSTRAINTS ALL DEFERRED;
DELETE FROM ann.t WHERE a = 2 AND b = 6;
COMMIT;
SELECT current_user;
FETCH ALL FROM held;
CLOSE held;
SET ROLE imat_dan;
PREPARE add(integer) AS INSERT INTO ann.t VALUES ($1, $1);
EXECUTE add(1); EXECUTE add(2); EXECUTE add(66);
SET ROLE imat_ann;
EXECUTE add(1);
SET ROLE imat_bob;
EXECUTE add(1);
RESET ROLE;
EXECUTE add(2);
SET ROLE imat_ann;
SELECT name, (SELECT count(*) FROM verify_imat(name::text)) AS differences FROM imat_status ORDER BY name::text;
TABLE imat.joined ORDER BY a;
-- A writer's role that is gone before he commits.
RESET ROLE;
CREATE ROLE imat_eve;
GRANT INSERT ON ann.t TO PUBLIC;
BEGIN;
SET LOCAL ROLE imat_eve;
INSERT INTO ann.t VALUES (1, 1);
RESET ROLE;
DROP ROLE imat_eve;
INSERT INTO ann.t VALUES (2, 2);
COMMIT;
SELECT count(*) FROM verify_imat('joined');
SELECT count(drop_imat(name::text)) FROM imat_status;

-- REASSIGN OWNED, of which no event trigger is told, asks nothing of the new owner: bob owns none of these tables.
CREATE ROLE imat_fay;
GRANT imat_ann TO imat_fay;
CREATE SCHEMA fay AUTHORIZATION imat_fay;
SET ROLE imat_fay;
CREATE VIEW fay.given AS SELECT a, count(*) AS n, array_agg(b ORDER BY b) AS bs FROM ann.t GROUP BY a;
SELECT create_imat('fay.given');
RESET ROLE;
ALTER TABLE imat.given OWNER TO imat_bob;
REASSIGN OWNED BY imat_fay TO imat_bob;
-- What has to read the base table does so as bob.
SELECT count(*) FROM verify_imat('given');
INSERT INTO ann.t VALUES (3, 3);
GRANT SELECT ON ann.t TO imat_bob;
INSERT INTO ann.t VALUES (3, 3);
SELECT count(*) FROM verify_imat('given');

-- Who owns a base table drops no view of somebody else's, but can always write.
GRANT SELECT ON imat.given TO imat_dan;
CREATE SCHEMA dan AUTHORIZATION imat_dan;
SET ROLE imat_dan;
CREATE VIEW dan.above AS SELECT n FROM imat.given;
SET ROLE imat_ann;
SELECT drop_imat('given');
REVOKE SELECT ON ann.t FROM imat_bob;
INSERT INTO ann.t VALUES (4, 400);
ALTER TABLE ann.t DISABLE TRIGGER USER;
INSERT INTO ann.t VALUES (4, 400);
SELECT count(*) FROM ann.t WHERE b = 400;
SELECT stale FROM imat_status WHERE name = 'imat.given'::regclass;
RESET ROLE;
DROP VIEW dan.above;
SELECT count(drop_imat(name::text)) FROM imat_status;
DROP OWNED BY imat_ann, imat_bob, imat_cat, imat_dan, imat_fay CASCADE;
DROP ROLE imat_ann, imat_bob, imat_cat, imat_dan, imat_fay;
