-- Built online: CALL create_imat(view, online => true).
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE ROLE regress_online_reader;
CREATE TABLE item (id int PRIMARY KEY, grp int NOT NULL, price numeric NOT NULL, qty int) PARTITION BY RANGE (id);
CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (0) TO (100);
CREATE TABLE item_2 PARTITION OF item FOR VALUES FROM (100) TO (MAXVALUE);
CREATE TABLE kind (grp int PRIMARY KEY, name text);
INSERT INTO item SELECT i, i % 7, i / 4.0, nullif(i % 5, 0) FROM generate_series(1, 300) AS i;
INSERT INTO kind SELECT i, 'k' || i % 3 FROM generate_series(0, 5) AS i;

-- One of each strategy.
CREATE VIEW sums AS SELECT grp, count(*) AS n, sum(qty) AS qty FROM item GROUP BY grp;
CREATE MATERIALIZED VIEW direct AS SELECT grp, count(*) AS n FROM item GROUP BY grp;
CREATE VIEW lists AS SELECT grp, array_agg(qty ORDER BY id) AS qtys, max(price) AS top FROM item GROUP BY grp;
CREATE VIEW joined AS SELECT k.name, sum(i.price) AS total, avg(i.qty) AS mean FROM item AS i JOIN kind AS k USING (grp) GROUP BY k.name;
CREATE VIEW plain AS SELECT k.name, i.price FROM item AS i JOIN kind AS k USING (grp) WHERE i.id < 50;
CREATE VIEW ranked AS SELECT grp, rank() OVER (ORDER BY count(*) DESC, grp) AS place FROM item GROUP BY grp;
CREATE VIEW only_row AS SELECT count(*) AS n, min(price) AS low FROM item;
CREATE INDEX direct_n ON direct (n);
CREATE UNIQUE INDEX direct_grp ON direct (grp);
COMMENT ON MATERIALIZED VIEW direct IS 'counts';
COMMENT ON COLUMN direct.n IS 'how many';
GRANT SELECT ON direct TO regress_online_reader;
GRANT SELECT ON sums TO PUBLIC;
CALL create_imat('sums', online => true);
CALL create_imat('direct', true);
CALL create_imat('lists', online => true);
CALL create_imat('joined', online => true);
CALL create_imat('plain', online => true);
CALL create_imat('ranked', online => true);
CALL create_imat('only_row', online => true);
CREATE VIEW above AS SELECT n, count(*) AS groups FROM imat.direct GROUP BY n;
CALL create_imat('above', online => true);
SELECT name, strategy, source, state, status FROM imat_status ORDER BY name::text;
SELECT name, pid, phase FROM imat_catalog.progress;
SELECT * FROM imat_catalog.queue;
SELECT * FROM imat_catalog.builders;
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'direct' AND schemaname = 'imat' ORDER BY 1;
SELECT obj_description('imat.direct'::regclass), col_description('imat.direct'::regclass, 2);
SELECT has_table_privilege('regress_online_reader', 'imat.direct', 'SELECT'), has_table_privilege('regress_online_reader', 'imat.sums', 'SELECT'),
    has_table_privilege('regress_online_reader', 'imat.joined', 'SELECT');
SELECT * FROM wrong;
INSERT INTO item VALUES (301, 6, 1, 1), (302, 1, 2, NULL);
UPDATE item SET grp = 5, price = price * 2 WHERE id BETWEEN 90 AND 110;
DELETE FROM item WHERE id % 10 = 3;
UPDATE kind SET name = 'k9' WHERE grp = 5;
REFRESH MATERIALIZED VIEW direct;
SELECT * FROM wrong;
TABLE imat.sums ORDER BY grp;
INSERT INTO imat.direct VALUES (1, 1);
TABLE imat.above ORDER BY n;

-- With online => false, and in another schema.
CREATE SCHEMA other;
CALL create_imat('direct', online => false, schema => 'other');
CALL create_imat('joined', online => true, schema => 'other');
SELECT name, status FROM imat_status WHERE name::text LIKE 'other.%' ORDER BY name::text;
SELECT drop_imat('other.direct'), drop_imat('other.joined');

-- By an owner who is nobody else.
CREATE ROLE regress_online_owner;
CREATE SCHEMA owned AUTHORIZATION regress_online_owner;
SET ROLE regress_online_owner;
CREATE TABLE owned.t (a int NOT NULL, b text);
INSERT INTO owned.t SELECT i % 3, 'b' || i FROM generate_series(1, 10) AS i;
CREATE VIEW owned.lists AS SELECT a, string_agg(b, ',' ORDER BY b) AS bs FROM owned.t GROUP BY a;
CALL create_imat('owned.lists', online => true, schema => 'owned_too');
CALL create_imat('owned.lists', online => true, schema => 'imat');
SELECT drop_imat('lists');
CALL create_imat('owned.lists', online => true, schema => 'other');
RESET ROLE;
GRANT CREATE, USAGE ON SCHEMA other TO regress_online_owner;
SET ROLE regress_online_owner;
CALL create_imat('owned.lists', online => true, schema => 'other');
INSERT INTO owned.t VALUES (1, 'new');
SELECT * FROM verify_imat('other.lists');
SELECT drop_imat('other.lists');
RESET ROLE;
REVOKE CREATE ON SCHEMA other FROM regress_online_owner;

-- Refused.
BEGIN;
CALL create_imat('sums', online => true);
ROLLBACK;
DO $$ BEGIN CALL create_imat('sums', online => true, schema => 'other'); END $$;
SELECT count(*) FROM imat_status WHERE name::text = 'other.sums';
CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL create_imat('sums', online => true); END $$;
SELECT calls();
SELECT create_imat('sums', online => true);
CALL create_imat('sums');
CALL create_imat('sums', online => NULL);
CALL create_imat(NULL, online => true);
CALL create_imat('sums', online => true);
CALL create_imat('nothing', online => true);
CALL create_imat('item', online => true);
CREATE VIEW volatile AS SELECT grp, random() FROM item;
CALL create_imat('volatile', online => true);
SET ROLE regress_online_reader;
CALL create_imat('public.joined', online => true);
RESET ROLE;
SELECT count(*) FROM imat_status;

-- A build that fails is left as it is, in nobody's way.
CREATE VIEW failing AS SELECT grp, sum(10 / qty) AS s FROM item GROUP BY grp;
UPDATE item SET qty = 0 WHERE id = 200;
CALL create_imat('failing', online => true);
SELECT status, count(*) FROM imat_status GROUP BY status ORDER BY status;
SELECT name, pid, phase, rows_done FROM imat_catalog.progress;
SELECT to_regclass('imat.failing');
SELECT refresh_imat('failing');
SELECT * FROM verify_imat('imat.failing');
SELECT explain_imat('failing');
SELECT pg_relation_size(queue) > 0 AS noted FROM imat_catalog.queue;
INSERT INTO item VALUES (303, 1, 1, 0), (304, 1, 1, 1);
TRUNCATE kind;
ALTER TABLE item ADD COLUMN extra text;
CREATE TABLE item_0 PARTITION OF item FOR VALUES FROM (-100) TO (0);
INSERT INTO item VALUES (-1, 1, 1, 1);
ALTER TABLE item DETACH PARTITION item_0;
SELECT count(*) AS queued FROM imat_catalog.queue_1 WHERE w <> 0;
-- It is cleared away by either form, ...
CALL create_imat('failing', online => true);
SELECT create_imat('failing');
UPDATE item SET qty = 1 WHERE qty = 0;
SELECT create_imat('failing');
SELECT name, status FROM imat_status WHERE name::text ~ 'failing|unfinished';
SELECT exact('failing');
SELECT drop_imat('failing');
UPDATE item SET qty = 0 WHERE id = 200;
CALL create_imat('failing', online => true);
UPDATE item SET qty = 1 WHERE qty = 0;
CALL create_imat('failing', online => true);
SELECT name, status FROM imat_status WHERE name::text ~ 'failing|unfinished';
SELECT exact('failing');
SELECT drop_imat('failing');
-- ... by drop_imat, ...
UPDATE item SET qty = 0 WHERE id = 200;
CALL create_imat('failing', online => true);
SELECT drop_imat('imat.failing');
SELECT status, count(*) FROM imat_status GROUP BY status ORDER BY status;
-- ... with its tables, ...
CREATE TABLE lone (a int NOT NULL);
INSERT INTO lone VALUES (0);
CREATE VIEW over_lone AS SELECT sum(1 / a) AS s FROM lone;
CALL create_imat('over_lone', online => true);
DROP TABLE lone;
DROP TABLE lone CASCADE;
SELECT status, count(*) FROM imat_status GROUP BY status ORDER BY status;
SELECT relname FROM pg_class WHERE relnamespace IN ('imat_catalog'::regnamespace, 'imat_state'::regnamespace) AND relname ~ 'queue_[0-9]|lone|failing|unfinished';
-- ... and with the extension.
CALL create_imat('failing', online => true);
DROP VIEW above;
SET client_min_messages = warning;
DROP EXTENSION pg_imat CASCADE;
SELECT tgname FROM pg_trigger WHERE tgname LIKE 'imat%';
DROP OWNED BY regress_online_reader, regress_online_owner;
DROP ROLE regress_online_reader, regress_online_owner;
