-- imat.flush: statement
-- Code of one role must never run with the rights of another. Each attack notes in `seen` who it runs
-- as; only its own author may be there.
CREATE EXTENSION pg_imat;
CREATE ROLE imat_mallory; CREATE SCHEMA m AUTHORIZATION imat_mallory;
CREATE TABLE seen (what text, who text);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION taken() RETURNS TABLE (what text, who text) LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM public.seen RETURNING *) SELECT DISTINCT g.what, g.who FROM gone AS g ORDER BY 1, 2 $$;
SET ROLE imat_mallory;
-- What she can do with the rights of whom she is run by is done by `act`, which what is called immutable
-- calls.
CREATE FUNCTION m.act(what text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO public.seen VALUES (what, current_user);
    BEGIN
        EXECUTE 'ALTER ROLE imat_mallory SUPERUSER';
        INSERT INTO public.seen VALUES ('a superuser by way of ' || what, current_user);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
END $$;
CREATE FUNCTION m.evil(n integer, what text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM m.act(what); RETURN coalesce(n, 0); END $$;
CREATE FUNCTION m.evil(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM m.act('operator'); RETURN n; END $$;
CREATE FUNCTION m.evil(a integer, b integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM m.act('aggregate'); RETURN a + b; END $$;
CREATE OPERATOR m.@ (FUNCTION = m.evil, RIGHTARG = integer);
CREATE AGGREGATE m.total (integer) (SFUNC = m.evil, STYPE = integer, INITCOND = '0');
CREATE DOMAIN m.checked AS integer CHECK (m.evil(value, 'domain') IS NOT NULL);
CREATE TYPE m.pair AS (a m.checked);
CREATE TYPE m.number AS (n integer);
CREATE FUNCTION m.evil(n m.number) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM m.act('cast'); RETURN n.n; END $$;
CREATE CAST (m.number AS integer) WITH FUNCTION m.evil(m.number) AS IMPLICIT;
CREATE TABLE m.t (a integer NOT NULL, b integer, c m.number);
INSERT INTO m.t VALUES (1, 1, ROW(1)), (2, NULL, ROW(2));

-- 1. An owner against a superuser: by what the view, and what the matview's indexes, call.
CREATE VIEW m.called AS SELECT a, m.evil(b, 'function') AS f, OPERATOR(m.@) a AS o, c::integer AS c, b::m.checked AS d FROM m.t;
CREATE MATERIALIZED VIEW m.grouped AS SELECT a, m.total(b) AS t, count(*) AS n FROM m.t GROUP BY a;
CREATE INDEX ON m.grouped (m.evil(a, 'index'), a) WHERE m.evil(a, 'predicate') > 0;
CREATE VIEW m.whole AS SELECT DISTINCT m.evil(a, 'distinct') AS a, '(1)'::m.pair AS constant FROM m.t WHERE m.evil(1, 'constant') = 1;
CREATE VIEW m.having AS SELECT a, m.evil(count(*)::integer, 'outer') AS n FROM m.t GROUP BY a HAVING m.evil(a, 'having') > 0;
RESET ROLE;
DELETE FROM seen;
SELECT create_imat(v) FROM unnest(ARRAY['m.called', 'm.grouped', 'm.whole', 'm.having']) AS v;
SELECT * FROM taken();
INSERT INTO m.t VALUES (1, 2, ROW(3)), (4, 4, NULL);
UPDATE m.t SET b = 5 WHERE a = 1;
DELETE FROM m.t WHERE a = 2;
SELECT * FROM taken();
SELECT count(refresh_imat(name::text)) FROM imat_status;
SELECT * FROM taken();
SELECT name, v.* FROM imat_status, verify_imat(name::text) AS v;
SELECT * FROM taken();
SELECT name, v.* FROM imat_status, verify_imat(name::text, true) AS v;
SELECT * FROM taken();
SELECT count(*) > 0 FROM imat_status, explain_imat(name::text);
TRUNCATE m.t;
COPY m.t (a, b) FROM stdin;
1	1
2	2
\.
SELECT * FROM taken();
-- In a new session nothing has been looked up or planned.
\c
INSERT INTO m.t VALUES (3, 3, ROW(3));
SELECT * FROM taken();
ALTER FUNCTION m.evil(integer, text) COST 10;
SELECT * FROM taken();
VACUUM ANALYZE;
VACUUM FULL imat_state.grouped;
REINDEX TABLE imat_state.grouped;
CLUSTER imat_state.grouped USING grouped_key;
SELECT * FROM taken();
ALTER TABLE m.t ADD d integer DEFAULT 1;
ALTER TABLE m.t RENAME b TO bb;
ALTER TABLE m.t RENAME bb TO b;
SELECT * FROM taken();
ALTER TABLE imat.called OWNER TO CURRENT_USER;
ALTER TABLE imat.called OWNER TO imat_mallory;
SELECT count(drop_imat(name::text)) FROM imat_status;
SELECT * FROM taken();
-- Built online, in a superuser's CALL that commits in between.
CALL create_imat('m.called', online => true);
CALL create_imat('m.grouped', online => true);
CALL create_imat('m.whole', online => true);
CALL create_imat('m.having', online => true);
SELECT * FROM taken();
INSERT INTO m.t VALUES (5, 5, ROW(5));
DELETE FROM m.t WHERE a = 5;
SELECT * FROM taken();
SELECT count(drop_imat(name::text)) FROM imat_status;
SELECT * FROM taken();
-- Whoever reads a view runs its functions: that is PostgreSQL's rule, and what `act` would do.
SELECT create_imat('m.having');
DELETE FROM seen;
BEGIN;
SELECT count(*) > 0 FROM imat.having;
SELECT * FROM taken();
ROLLBACK;
SELECT drop_imat('having');

-- 2. The same by what is on a table: planning evaluates constants. The rows of a new child are read by a scan without a
-- plan, so that nothing of it runs.
CREATE VIEW m.counted AS SELECT a, count(*) AS n FROM m.t GROUP BY a;
ALTER VIEW m.counted OWNER TO imat_mallory;
SELECT create_imat('m.counted');
SET ROLE imat_mallory;
CREATE TABLE m.indexed (LIKE m.t);
CREATE TABLE m.counting (LIKE m.t);
INSERT INTO m.indexed VALUES (7, 7, NULL); INSERT INTO m.counting VALUES (8, 8, NULL);
CREATE INDEX ON m.indexed (m.evil(1, 'constant of an index'));
CREATE STATISTICS m.counting_statistics ON m.evil(1, 'constant of statistics'), b FROM m.counting;
RESET ROLE;
DELETE FROM seen;
\c
SET ROLE imat_mallory;
ALTER TABLE m.indexed INHERIT m.t;
ALTER TABLE m.counting INHERIT m.t;
ALTER TABLE m.counting NO INHERIT m.t;
RESET ROLE;
SELECT * FROM taken();
INSERT INTO m.t VALUES (9, 9);
SELECT * FROM taken();
-- A superuser's own query plans the same, so that create_imat warns where one is to maintain it.
BEGIN;
SELECT count(*) FROM m.counting;
SELECT * FROM taken();
ROLLBACK;
BEGIN;
SELECT create_imat('superuser', query => 'SELECT count(*) AS n FROM m.counting');
ROLLBACK;
ALTER TABLE m.indexed NO INHERIT m.t;
SELECT drop_imat('counted');
DELETE FROM seen;

-- The same by what is on a partition of a table whose foreign key is relied on: a query looks for orphans in it, as the
-- owner of the maintained table. Where he may not read it there is none, and the key is not relied on any more.
SET ROLE imat_mallory;
CREATE TABLE m.orders (id integer PRIMARY KEY, c integer NOT NULL);
CREATE TABLE m.lines (ord integer REFERENCES m.orders, q integer NOT NULL) PARTITION BY LIST (q);
CREATE TABLE m.lines_1 (ord integer REFERENCES m.orders, q integer NOT NULL);
CREATE TABLE m.lines_2 (ord integer REFERENCES m.orders, q integer NOT NULL);
CREATE TABLE m.lines_3 (ord integer REFERENCES m.orders, q integer NOT NULL);
CREATE TABLE m.lines_4 (ord integer REFERENCES m.orders, q integer NOT NULL);
INSERT INTO m.orders VALUES (1, 7), (2, 7), (3, 7);
INSERT INTO m.lines_1 VALUES (1, 1);
INSERT INTO m.lines_2 VALUES (2, 2);
INSERT INTO m.lines_3 VALUES (3, 3);
INSERT INTO m.lines_4 VALUES (NULL, 4);
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO m.lines_4 VALUES (77, 4);
RESET session_replication_role;
SET ROLE imat_mallory;
CREATE INDEX ON m.lines_1 (m.evil(1, 'constant of an index'));
CREATE INDEX ON m.lines_1 (ord) WHERE m.evil(1, 'predicate of an index') = 1;
CREATE STATISTICS m.statistics_1 ON m.evil(1, 'statistics 1'), q FROM m.lines_1;
CREATE STATISTICS m.statistics_2 ON m.evil(1, 'statistics 2'), q FROM m.lines_2;
CREATE STATISTICS m.statistics_3 ON m.evil(1, 'statistics 3'), q FROM m.lines_3;
CREATE INDEX ON m.lines_4 (m.evil(1, 'constant of a private index'));
CREATE STATISTICS m.statistics_4 ON m.evil(1, 'statistics 4'), q FROM m.lines_4;
REVOKE SELECT ON m.lines_3, m.lines_4 FROM imat_mallory;
CREATE VIEW m.ordered AS SELECT o.c, count(*) AS n FROM m.lines AS l JOIN m.orders AS o ON o.id = l.ord GROUP BY o.c;
SELECT create_imat('m.ordered');
CREATE FUNCTION m.trusts() RETURNS boolean LANGUAGE sql AS $$ SELECT trusts_keys FROM imat_catalog.imat WHERE name = 'imat.ordered'::regclass $$;
RESET ROLE;
DELETE FROM seen;
\c
-- She attaches it herself: the event trigger has a superuser's rights.
SET ROLE imat_mallory;
ALTER TABLE m.lines ATTACH PARTITION m.lines_1 FOR VALUES IN (1);
RESET ROLE;
SELECT * FROM taken();
-- A superuser does. He would run what is on its indexes without pg_imat too, as PostgreSQL compares them with those of its
-- new parent, and not its statistics.
ALTER TABLE m.lines ATTACH PARTITION m.lines_2 FOR VALUES IN (2);
SELECT * FROM taken();
SELECT m.trusts();
TABLE imat.ordered;
ALTER TABLE m.lines ATTACH PARTITION m.lines_3 FOR VALUES IN (3);
SELECT * FROM taken();
SELECT m.trusts();
TABLE imat.ordered;
SET ROLE imat_mallory;
ALTER TABLE m.lines ATTACH PARTITION m.lines_4 FOR VALUES IN (4);
RESET ROLE;
SELECT * FROM taken();
INSERT INTO m.orders VALUES (77, 7);
SELECT DISTINCT who FROM taken();
TABLE imat.ordered;
SELECT * FROM verify_imat('ordered');
SELECT DISTINCT who FROM taken();
-- In a superuser's own query it works.
\c
BEGIN;
SELECT (SELECT count(*) FROM m.lines_1), (SELECT count(*) FROM m.lines_2), (SELECT count(*) FROM m.lines_3), (SELECT count(*) FROM m.lines_4);
SELECT * FROM taken();
ROLLBACK;
SELECT drop_imat('ordered');
DELETE FROM seen;

-- The same by what is on a state: bookkeeping looks whether one that always has a row has it.
SET ROLE imat_mallory;
CREATE MATERIALIZED VIEW m.single AS SELECT count(*) AS n FROM m.t;
CREATE INDEX ON m.single (n) WHERE m.evil(1, 'constant of a state''s index') = 1;
SELECT create_imat('m.single');
SET client_min_messages = error;
ALTER TABLE m.t DISABLE TRIGGER ALL;
ALTER TABLE m.t ENABLE TRIGGER ALL;
RESET client_min_messages;
RESET ROLE;
SELECT * FROM taken();
SELECT drop_imat('single');
DELETE FROM seen;

-- 3. Out of the restricted context, during a superuser's statement, and past its end.
SET ROLE imat_mallory;
CREATE TABLE m.later (n integer);
CREATE FUNCTION m.on_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM m.act('deferred trigger'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON m.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.on_later();
CREATE FUNCTION m.try(command text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION m.try_each(VARIADIC commands text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE command text;
BEGIN
    FOREACH command IN ARRAY commands LOOP
        INSERT INTO public.seen VALUES (command || ': ' || m.try(command), current_user);
    END LOOP;
END $$;
CREATE FUNCTION m.try_all(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM m.try_each('SET ROLE NONE', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION DEFAULT', $c$SELECT set_config('role', 'none', true)$c$,
        'CREATE TEMPORARY TABLE trap ()', $c$PREPARE trap AS SELECT m.evil(1, 'prepared')$c$, 'LISTEN trap', 'DISCARD ALL', 'INSERT INTO m.later VALUES (1)',
        'SET CONSTRAINTS ALL DEFERRED', 'SET search_path = m', 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', $c$DECLARE trap CURSOR WITH HOLD FOR SELECT m.evil(1, 'cursor')$c$,
        'ALTER TABLE m.t DISABLE TRIGGER imat_insert', 'DELETE FROM imat_catalog.imat', $c$SELECT imat_catalog.rewrites('rows to be rewritten', '{}')$c$,
        'SELECT public.drop_imat(''trying'')', 'INSERT INTO m.t VALUES (100)');
    RETURN $1;
END $$;
CREATE VIEW m.trying AS SELECT m.try_all(a) AS a FROM m.t WHERE b = 77;
RESET ROLE;
SELECT create_imat('m.trying');
BEGIN;
INSERT INTO m.t VALUES (7, 77);
SELECT * FROM taken();
SELECT current_user, current_setting('role') AS role, current_setting('search_path') AS search_path, current_setting('default_transaction_read_only') AS read_only;
SELECT (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors, (SELECT count(*) FROM pg_prepared_statements) AS statements, (SELECT count(*) FROM pg_listening_channels()) AS channels;
COMMIT;
SELECT * FROM taken();
-- While it is verified, no flush is under way: what she does then, she does as herself.
SELECT count(*) FROM verify_imat('trying');
SELECT * FROM taken();
SELECT drop_imat('trying');
-- Built online: neither the role nor anything else outlasts the fill, nor is there anything at the CALL's commits.
CALL create_imat('m.trying', online => true);
SELECT * FROM taken();
SELECT current_user, current_setting('role') AS role, current_setting('search_path') AS search_path, current_setting('default_transaction_read_only') AS read_only;
SELECT (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors, (SELECT count(*) FROM pg_prepared_statements) AS statements, (SELECT count(*) FROM pg_listening_channels()) AS channels;
SELECT name, status, stale FROM imat_status;
SELECT drop_imat('trying');
-- The same functions, called by a superuser himself: most of these would work.
BEGIN;
SELECT m.try_all(1);
SELECT * FROM public.taken();
ROLLBACK;
-- An AFTER trigger on the maintained table runs as its owner, and not later than the flush.
CREATE VIEW m.watched AS SELECT a, count(*) AS n FROM m.t GROUP BY a;
ALTER VIEW m.watched OWNER TO imat_mallory;
SELECT create_imat('m.watched');
SET ROLE imat_mallory;
CREATE FUNCTION m.on_watched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM m.act(TG_NAME); RETURN NULL; END $$;
CREATE TRIGGER watch AFTER INSERT OR UPDATE ON imat.watched FOR EACH ROW EXECUTE FUNCTION m.on_watched();
RESET ROLE;
INSERT INTO m.t VALUES (1, 1);
SELECT * FROM taken();
SET ROLE imat_mallory;
CREATE CONSTRAINT TRIGGER watch_later AFTER INSERT OR UPDATE ON imat.watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.on_watched();
RESET ROLE;
INSERT INTO m.t VALUES (1, 1);
SELECT * FROM taken();
SELECT drop_imat('watched');

-- 4. A table's owner against another's maintained table over it: DDL by a view's function, in create_imat. A
-- trigger that she disables is noticed, and the maintained table stale.
CREATE ROLE imat_group; CREATE ROLE imat_ann IN ROLE imat_group;
GRANT imat_group TO imat_mallory;
CREATE SCHEMA g AUTHORIZATION imat_group;
SET ROLE imat_group;
CREATE TABLE g.shared (a integer NOT NULL);
CREATE TABLE g.other (a integer NOT NULL);
INSERT INTO g.other VALUES (1);
RESET ROLE;
SET ROLE imat_ann;
CREATE VIEW g.anns AS SELECT a, count(*) AS n FROM g.shared GROUP BY a;
RESET ROLE;
SET ROLE imat_ann;
SELECT create_imat('g.anns');
RESET ROLE;
SET ROLE imat_mallory;
CREATE FUNCTION m.disable(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM m.try_each('ALTER TABLE g.shared DISABLE TRIGGER imat_insert', 'DROP TRIGGER imat_open ON g.shared', 'ALTER TABLE g.shared ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE imat.anns DISABLE TRIGGER imat_guard', $c$SELECT public.refresh_imat('anns')$c$, 'INSERT INTO g.shared VALUES (1)');
    RETURN $1;
END $$;
CREATE VIEW g.mallorys AS SELECT m.disable(a) AS a FROM g.other;
SELECT create_imat('g.mallorys');
RESET ROLE;
SELECT * FROM taken();
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'g.shared'::regclass ORDER BY 1;
SELECT count(*) FROM verify_imat('anns');

RESET ROLE;
SELECT count(drop_imat(name::text)) FROM imat_status;
DROP OWNED BY imat_mallory, imat_ann, imat_group CASCADE;
DROP ROLE imat_mallory, imat_ann, imat_group;
