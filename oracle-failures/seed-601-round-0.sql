-- seed 601; creation failed: 42883: function imat_catalog.definition() does not exist
CREATE SCHEMA "oracle";
SET search_path = "oracle", public;
CREATE FUNCTION bucket(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x / 2';
CREATE AGGREGATE tally(int) (sfunc = int4larger, stype = int4, initcond = '-100');
CREATE TABLE "Mixed Case" (
  gone text,
  "id" int NOT NULL,
  "k" int,
  "desc" date,
  "qty" int NOT NULL,
  "twice" int GENERATED ALWAYS AS ("k" * 2) STORED
);
ALTER TABLE "Mixed Case" ADD PRIMARY KEY (id);
CREATE TABLE "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" (
  "id" int NOT NULL,
  "k" int,
  "when" numeric(10,2) NOT NULL,
  "note" float8,
  "qty" int
);
CREATE TABLE "a_table_whose_name_is_exactly_sixty_thre_c" (more int DEFAULT 1) INHERITS ("a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx");
ALTER TABLE "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" DROP COLUMN IF EXISTS gone CASCADE;
CREATE TABLE "größe" (
  "id" int NOT NULL,
  "k" int,
  "ref" int,
  "desc" boolean,
  "sum" boolean,
  "amount" timestamp,
  "qty" int NOT NULL
);
ALTER TABLE "größe" ADD PRIMARY KEY (id);
ALTER TABLE "größe" ADD FOREIGN KEY (ref) REFERENCES "Mixed Case" ON DELETE NO ACTION ON UPDATE CASCADE;
CREATE INDEX ON "größe" ("k");
CREATE FUNCTION change_0() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN IF NEW."k" = 3 THEN RETURN NULL; END IF; RETURN NEW; END $body$;
CREATE TRIGGER "AAA_first_row" BEFORE INSERT OR UPDATE ON "Mixed Case" FOR EACH ROW EXECUTE FUNCTION change_0();
CREATE TABLE seen (step bigint, view text, ours boolean, cells text[]);
CREATE SEQUENCE looks;
CREATE FUNCTION peek(query text) RETURNS TABLE (ours boolean, cells text[]) LANGUAGE plpgsql STABLE AS $body$ BEGIN RETURN QUERY EXECUTE query; END $body$;
CREATE TABLE outer_t (n int PRIMARY KEY, m int);
INSERT INTO outer_t VALUES (1, 1), (2, 1);
CREATE FUNCTION call_inside() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.m := inside(NEW.n); RETURN NEW; END $body$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON outer_t FOR EACH ROW WHEN (NEW.m = -1) EXECUTE FUNCTION call_inside();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON outer_t FOR EACH ROW WHEN (NEW.m = -2) EXECUTE FUNCTION call_inside();
CREATE VIEW "plain rows" AS SELECT a1."k" AS c1, (a1."id"::text) AS c2, coalesce(a1."id", 0) AS c3 FROM "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" AS a1;
CREATE VIEW "plain groups" AS SELECT a1."k" AS c1, count(*) AS c2, sum((a1."qty" + 1)) AS c3 FROM "größe" AS a1 GROUP BY a1."k";
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (0, 0, NULL, 6) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (1, 4, '2024-03-01'::date, 5) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (2, 0, '2024-03-15'::date, 9) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (3, 3, '2024-02-01'::date, 8) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (4, NULL, '2024-03-15'::date, 5) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (5, 4, '2024-02-01'::date, 1) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (6, 1, '2024-03-15'::date, 1) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (7, NULL, '2024-03-28'::date, 3) ON CONFLICT DO NOTHING;
INSERT INTO "Mixed Case" ("id", "k", "desc", "qty") VALUES (8, 2, '2024-02-28'::date, 6) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (0, 2, '1.00'::numeric(10,2), '8.75'::float8, (-1)) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (1, 0, '-3.25'::numeric(10,2), NULL, NULL) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (2, NULL, '3.00'::numeric(10,2), NULL, (-3)) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (3, 3, '2.00'::numeric(10,2), '1.75'::float8, (-3)) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (4, 0, '3.50'::numeric(10,2), '3.5'::float8, 4) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (5, 0, '8.25'::numeric(10,2), '6.5'::float8, 7) ON CONFLICT DO NOTHING;
INSERT INTO "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" ("id", "k", "when", "note", "qty") VALUES (6, NULL, '-1.99'::numeric(10,2), NULL, 1) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (0, 2, NULL, NULL, 'f'::boolean, '2024-01-02 01:59:00'::timestamp, 9) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (1, NULL, 12, 't'::boolean, 't'::boolean, '2024-01-02 13:00:00'::timestamp, 5) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (2, 3, NULL, 't'::boolean, 't'::boolean, '2024-01-01 10:59:00'::timestamp, 5) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (3, 4, 13, 'f'::boolean, 't'::boolean, '2024-01-02 06:00:00'::timestamp, 8) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (4, 4, 8, 't'::boolean, 't'::boolean, NULL, 6) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (5, 0, NULL, 't'::boolean, 't'::boolean, '2024-01-02 21:59:00'::timestamp, 2) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (6, NULL, 5, 't'::boolean, 't'::boolean, '2024-01-02 09:15:00'::timestamp, 3) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (7, 0, 11, 'f'::boolean, 'f'::boolean, '2024-01-01 08:15:00'::timestamp, 0) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (8, 2, 1, 'f'::boolean, 't'::boolean, '2024-01-02 05:15:00'::timestamp, 8) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (9, 3, NULL, 't'::boolean, 'f'::boolean, '2024-01-01 05:00:00'::timestamp, 3) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (10, NULL, 1, 't'::boolean, 't'::boolean, '2024-01-01 05:00:00'::timestamp, 9) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (11, 2, 7, 't'::boolean, NULL, '2024-01-03 03:15:00'::timestamp, 3) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (12, 0, 0, 'f'::boolean, 't'::boolean, NULL, 4) ON CONFLICT DO NOTHING;
INSERT INTO "größe" ("id", "k", "ref", "desc", "sum", "amount", "qty") VALUES (13, 4, NULL, 'f'::boolean, 'f'::boolean, '2024-01-03 06:00:00'::timestamp, 2) ON CONFLICT DO NOTHING;
CREATE VIEW "oracle"."V2" AS
SELECT date_trunc('hour', a2."amount") AS "x", max(a1.c1) AS "all", min(a1.c3) AS "group", CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END AS "total"
FROM "plain rows" AS a1(c1, c2, c3)
  JOIN "größe" AS a2 ON (a1.c3 % 3 = a2."ref" % 3 AND a1.c1 BETWEEN 0 AND 4 OR a2."id" BETWEEN 0 AND 4 AND a2."ref" % 3 = a1.c3 % 3)
GROUP BY date_trunc('hour', a2."amount");
SELECT create_imat('"oracle"."V2"', 'imat');
CREATE MATERIALIZED VIEW "oracle"."summary" AS
SELECT coalesce(length(a1.c2), -1) AS "null"
FROM (VALUES (1, 'one'), (2, 'two'), (2, 'zwei'), (NULL, 'none')) AS a1(c1, c2)
WHERE (a1.c1 IS NULL)
GROUP BY coalesce(length(a1.c2), -1)
WITH NO DATA;
SELECT create_imat('"oracle"."summary"');
CREATE MATERIALIZED VIEW "oracle"."übersicht" AS
SELECT a1."k" AS "order", (a1."twice"::text) AS "count", (abs(a1."qty") % 3) AS "total"
FROM "Mixed Case" AS a1
WHERE ((a1."k" IS NULL OR a1."twice" % 2 = 0))
GROUP BY (abs(a1."qty") % 3), (a1."twice"::text), a1."k";
SELECT create_imat('"oracle"."übersicht"');
CREATE MATERIALIZED VIEW "oracle"."Sales" AS
SELECT DISTINCT ON (c1) c1, c2, c3 FROM (SELECT a2."k" AS c1, (a2."when"::text) AS c2, coalesce(a2."qty", 0) AS c3 FROM ONLY "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" AS a2 WHERE NOT (a2."k" > 9)) AS q ORDER BY c1, c2, c3;
SELECT create_imat('"oracle"."Sales"');
CREATE MATERIALIZED VIEW "oracle"."v""q" AS
SELECT DISTINCT * FROM (SELECT count(*) AS "avg"
FROM "größe" AS a1
WHERE (NOT ((a1."amount" > '2024-01-01 16:00:00'::timestamp OR a1."sum")))) AS d;
SELECT create_imat('"oracle"."v""q"');
CREATE MATERIALIZED VIEW "oracle"."report" AS
WITH RECURSIVE s(n) AS (
  SELECT 0 UNION SELECT n + 1 FROM s WHERE n < 5
)
SELECT s.n, g.c2 AS total FROM s JOIN (SELECT a1."k" AS c1, count(*) AS c2, sum((a1."ref" * 2)) AS c3 FROM "größe" AS a1 GROUP BY a1."k") AS g ON g.c1 = s.n;
SELECT create_imat('"oracle"."report"');
CREATE MATERIALIZED VIEW "oracle"."view" AS
SELECT (a2."ref"::text) AS "Key"
FROM "plain groups" AS a1(c1, c2, c3)
  INNER JOIN "größe" AS a2 ON a1.c1 = a2."k"
WHERE (a2."amount" <> '2024-01-02 14:15:00'::timestamp)
GROUP BY (a2."ref"::text);
SELECT create_imat('"oracle"."view"');
CREATE MATERIALIZED VIEW "oracle"."m" AS
SELECT (a1."qty"::text) AS "order", a1."when" AS "avg", (CASE WHEN a1."k" < 7 THEN a1."qty" ELSE 0 END) AS "y"
FROM "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" AS a1
WHERE (a1."k" > ALL (SELECT a2."k" FROM "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx" AS a2 WHERE a2."id" % 2 = 0));
SELECT create_imat('"oracle"."m"');
CREATE MATERIALIZED VIEW "oracle"."outer view" AS
SELECT m, count(*) AS rows, sum(n) AS total FROM outer_t GROUP BY m;
SELECT create_imat('"oracle"."outer view"');
\echo expected
SELECT date_trunc('hour', a2."amount") AS "x", max(a1.c1) AS "all", min(a1.c3) AS "group", CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END AS "total"
FROM "plain rows" AS a1(c1, c2, c3)
  JOIN "größe" AS a2 ON (a1.c3 % 3 = a2."ref" % 3 AND a1.c1 BETWEEN 0 AND 4 OR a2."id" BETWEEN 0 AND 4 AND a2."ref" % 3 = a1.c3 % 3)
GROUP BY date_trunc('hour', a2."amount");
\echo actual
TABLE imat."V2";
\echo seen inside statements on one side only
SELECT step, view, cells, sum(CASE WHEN ours THEN 1 ELSE -1 END) AS extra FROM seen GROUP BY step, view, cells HAVING sum(CASE WHEN ours THEN 1 ELSE -1 END) <> 0 ORDER BY step, view;
