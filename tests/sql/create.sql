-- create_imat: names, places, columns, indexes, grants.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer NOT NULL, b integer, c text);
INSERT INTO t VALUES (1, 10, 'x'), (1, 20, 'y'), (2, NULL, 'x');
CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS n FROM t GROUP BY a;
CREATE VIEW v AS SELECT a, sum(b) AS s, avg(b) AS mean FROM t GROUP BY a;

-- Ways to name the view and the place.
SELECT create_imat('m');
SELECT create_imat('public.v');
SELECT create_imat('"' || 'public' || '"."v"', schema => 'public');
CREATE SCHEMA elsewhere;
CREATE SCHEMA "Else Where";
SELECT create_imat('m'::regclass, 'elsewhere');
SELECT create_imat(view => 'v', schema => 'Else Where');
SELECT create_imat('by_query', query => 'SELECT c, count(b) AS n FROM t GROUP BY c');
SELECT create_imat('by_query', 'elsewhere', 'SELECT a + 1 AS a1 FROM t;');
SELECT create_imat('Folded', query => 'SELECT a FROM t');
SELECT create_imat('"Kept"', query => 'SELECT a FROM t');
SELECT create_imat('with_', query => 'WITH w AS (SELECT a FROM t) SELECT * FROM w');
SELECT create_imat('values_', query => 'VALUES (1, ''one''), (2, ''two'')');
SELECT create_imat('table_', query => 'TABLE t');
SELECT name, strategy, source, base_tables FROM imat_status ORDER BY name::text;
INSERT INTO t VALUES (1, 5, 'z'), (3, 7, 'x');
SELECT s.name, (SELECT count(*) FROM verify_imat(s.name::text)) AS differences FROM imat_status AS s ORDER BY name::text;
TABLE imat.by_query ORDER BY c;
TABLE "Else Where".v ORDER BY a;
TABLE imat.table_ ORDER BY a, b;
SELECT drop_imat(name::text) FROM imat_status;
SELECT count(*) FROM imat_catalog.source;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass;

-- Quoted, mixed-case and odd names.
CREATE TABLE "My Table" ("Group" integer NOT NULL, "a""b" integer NOT NULL, "select" text NOT NULL, "größe" bigint NOT NULL, "$1" integer, "x.y" integer, " " integer);
CREATE VIEW "My ""View"".x" AS
    SELECT "Group", "select", sum("a""b") AS "from", count(*) AS "count", max("größe") AS "größe", min("$1") AS "$1", min("x.y") AS "x.y", sum(" ") AS " "
    FROM "My Table" GROUP BY "Group", "select";
SELECT create_imat('"My ""View"".x"');
INSERT INTO "My Table" VALUES (1, 2, 'it''s', 4, 5, 6, 7), (1, 3, 'it''s', 9, NULL, 8, NULL), (2, 1, 'a "b"', 0, 0, 0, 0);
UPDATE "My Table" SET "Group" = 1 WHERE "Group" = 2;
TABLE imat."My ""View"".x" ORDER BY 1, 2;
SELECT exact('"My ""View"".x"');

CREATE TABLE keywords ("user" integer NOT NULL, "table" integer NOT NULL, "order" integer, "all" integer, "null" boolean, value integer, "end" integer NOT NULL);
CREATE VIEW "select" AS
    SELECT "user", "table", sum("order") AS "where", avg("all") AS "group", bool_and("null") AS "null", sum("end") AS "case", count(*) AS "end", min(value) AS value
    FROM keywords AS "join" GROUP BY "user", "table";
SELECT create_imat('"select"');
INSERT INTO keywords VALUES (1, 1, 1, 1, true, 1, 1), (1, 1, 2, 2, NULL, 2, 2), (2, 1, NULL, NULL, false, NULL, 3);
DELETE FROM keywords WHERE "end" = 1;
TABLE imat."select" ORDER BY 1, 2;
SELECT exact('"select"');

-- State columns of its own must not collide with the view's.
CREATE VIEW hidden AS
    SELECT a AS imat_count, sum(b) AS imat_sum, count(b) AS imat_key, avg(b) AS imat_rows, max(b) AS imat_n FROM t GROUP BY a, c;
SELECT create_imat('hidden');
CREATE VIEW hidden_rows AS SELECT a AS imat_n, b AS imat_count, c AS imat_times FROM t;
SELECT create_imat('hidden_rows');
INSERT INTO t VALUES (1, 10, 'x'), (1, 10, 'x');
DELETE FROM t WHERE a = 2;
TABLE wrong;

-- Names of 63 bytes, single and multi-byte, that only differ at the end.
CREATE FUNCTION make(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE VIEW %I AS SELECT a AS %1$I, sum(b) AS s, avg(b) AS mean FROM t GROUP BY a', name);
    RETURN create_imat(quote_ident(name))::text;
END $$;
SELECT make(repeat('n', 62) || '1');
SELECT make(repeat('n', 62) || '2');
SELECT make(repeat('ü', 31) || '1');
SELECT make(repeat('ü', 31) || '2');
SELECT make(repeat('水', 21));
INSERT INTO t VALUES (1, 100, 'long');
TABLE wrong;
SELECT name, octet_length(split_part(name::text, '.', 2)) AS bytes, state FROM imat_status WHERE length(name::text) > 25 ORDER BY name::text COLLATE "C";

-- The view's exact columns, order and types, whether a table or a view over a state.
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (l integer, r text);
CREATE TABLE typed (
    v5 varchar(5) NOT NULL, c3 char(3) NOT NULL, n numeric(7, 2) NOT NULL, n0 numeric, ts timestamp(0) NOT NULL, tz timestamptz(3),
    iv interval day to second(1), b bit(4), vb varbit(8), d positive, m mood NOT NULL, p pair, arr numeric(4, 1)[], j jsonb,
    cl text COLLATE "C" NOT NULL, po text COLLATE "POSIX", u uuid, r int4range, ia integer[], "char" "char", nm name, by bytea);
CREATE MATERIALIZED VIEW typed_keys AS
    SELECT v5, c3, n, ts, tz, iv, b, vb, d, m, arr, j, cl, po, u, r, ia, "char", nm, by, count(*) AS n1, sum(n) AS sn, max(cl) AS mx, max(po) AS mp, min(v5) AS mv, avg(n0) AS an
    FROM typed GROUP BY v5, c3, n, ts, tz, iv, b, vb, d, m, arr, j, cl, po, u, r, ia, "char", nm, by;
CREATE MATERIALIZED VIEW typed_table AS SELECT v5, n, m, ts, cl, count(*) AS c, sum(n0) FILTER (WHERE n0 IS NOT NULL) AS s, max(v5::varchar(3)) AS mx FROM typed GROUP BY v5, n, m, ts, cl;
CREATE MATERIALIZED VIEW typed_plain AS SELECT ts, cl, m, v5, n, count(*) AS n_rows, sum(n) AS total FROM typed GROUP BY v5, n, m, ts, cl;
CREATE MATERIALIZED VIEW typed_rows AS SELECT * FROM typed;
CREATE MATERIALIZED VIEW typed_whole AS SELECT DISTINCT v5, n, cl, b, arr, d FROM typed;
CREATE VIEW columns_differ AS
    SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attcollation::regcollation AS collation,
        count(*) FILTER (WHERE n.nspname = 'imat') AS here, count(*) FILTER (WHERE n.nspname = 'public') AS there
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relname LIKE 'typed\__%' AND c.relkind IN ('r', 'v', 'm') AND n.nspname IN ('imat', 'public') AND a.attnum > 0
    GROUP BY 1, 2, 3, 4, 5 HAVING count(*) <> 2;
SELECT create_imat(name) FROM unnest(ARRAY['typed_keys', 'typed_table', 'typed_plain', 'typed_rows', 'typed_whole']) AS name;
TABLE columns_differ;
INSERT INTO typed (v5, c3, n, n0, ts, tz, iv, b, vb, d, m, p, arr, cl, po) VALUES
    ('abc', 'a', 1.50, 1.234, '2024-01-01', '2024-01-01+00', '1 day', '1010', '11', 5, 'ok', ROW(1, 'x'), '{1.5,NULL}', 'c', 'p'),
    ('abc', 'a', 1.50, 2.5, '2024-01-01', '2024-01-01+00', '1 day', '1010', '11', 5, 'ok', ROW(1, 'y'), '{1.5,NULL}', 'c', 'p');
REFRESH MATERIALIZED VIEW typed_keys; REFRESH MATERIALIZED VIEW typed_table; REFRESH MATERIALIZED VIEW typed_plain;
REFRESH MATERIALIZED VIEW typed_rows; REFRESH MATERIALIZED VIEW typed_whole;
TABLE wrong;
\d imat.typed_plain
\d imat.typed_table

-- The matview's indexes come along where the state has their columns.
CREATE MATERIALIZED VIEW indexed AS SELECT a, c, count(*) AS n, sum(b) AS s FROM t WHERE b IS NOT NULL AND c IS NOT NULL GROUP BY a, c;
CREATE UNIQUE INDEX ON indexed (c, a);
CREATE INDEX ON indexed (n DESC NULLS LAST) INCLUDE (a);
CREATE INDEX ON indexed USING hash (c);
CREATE INDEX ON indexed (lower(c) text_pattern_ops) WHERE n > 1;
CREATE INDEX "Odd ""Index""" ON indexed USING brin (a) WITH (pages_per_range = 8);
CREATE UNIQUE INDEX ON indexed (s);
SELECT create_imat('indexed');
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index AS i JOIN imat_status AS s ON s.state = i.indrelid
    WHERE s.name = 'imat.indexed'::regclass ORDER BY 1;

-- Grants come along too, with the matview's owner.
CREATE ROLE imat_reader; CREATE ROLE imat_other; CREATE ROLE imat_owner;
GRANT CREATE ON SCHEMA public TO imat_owner;
CREATE MATERIALIZED VIEW granted AS SELECT a, count(*) AS n FROM t GROUP BY a;
CREATE MATERIALIZED VIEW granted_view AS SELECT a, avg(b) AS n FROM t GROUP BY a;
GRANT SELECT ON granted, granted_view TO imat_reader WITH GRANT OPTION;
GRANT SELECT ON granted_view TO PUBLIC;
SELECT create_imat('granted'), create_imat('granted_view');
SELECT c.relname, c.relowner::regrole, a.grantee::regrole, a.privilege_type, a.is_grantable
    FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.oid IN ('imat.granted'::regclass, 'imat.granted_view'::regclass) AND a.grantee <> c.relowner ORDER BY 1, 3;
SET ROLE imat_reader;
SELECT count(*) FROM imat.granted;
SELECT count(*) FROM imat.granted_view;
SET ROLE imat_other;
SELECT count(*) FROM imat.granted;
SELECT count(*) FROM imat.granted_view;
RESET ROLE;
-- A member of PUBLIC who can see the schema can list what there is.
SET ROLE imat_other;
SELECT count(*) > 5 FROM imat_status;
RESET ROLE;
DROP OWNED BY imat_reader, imat_other, imat_owner;
DROP ROLE imat_reader, imat_other, imat_owner;
TABLE wrong;
