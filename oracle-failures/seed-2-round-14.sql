-- seed 2; creation failed: 0A000: cannot maintain report
--   DETAIL: PostgreSQL's own text of its query does not mean the same as the query.
--   HINT: Create the view again from the text that pg_get_viewdef returns, if that is what you mean.
CREATE SCHEMA "select";
SET search_path = "select", public;
SET timezone = 'XYZ+100';
CREATE FUNCTION bucket(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x / 2';
CREATE AGGREGATE tally(int) (sfunc = int4larger, stype = int4, initcond = '-100');
CREATE DOMAIN ints AS int[];
CREATE DOMAIN texts AS text[];
CREATE FUNCTION is_not_zero(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000 AS 'BEGIN RETURN x <> 0; END';
CREATE FUNCTION is_number(s text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000 AS $body$ BEGIN RETURN s ~ '^[0-9]{1,9}$'; END $body$;
CREATE TABLE "sales_2024" (
  "id" int NOT NULL,
  "user id" int,
  "note" timestamptz,
  "end" numeric(10,2) NOT NULL,
  "n" float8,
  "qty" int DEFAULT 1
) PARTITION BY RANGE (id);
CREATE TABLE "sales_2024_lo" PARTITION OF "sales_2024" FOR VALUES FROM (MINVALUE) TO (15) PARTITION BY RANGE (id);
CREATE TABLE "sales_2024_lo_a" PARTITION OF "sales_2024_lo" FOR VALUES FROM (MINVALUE) TO (7);
CREATE TABLE "sales_2024_lo_b" PARTITION OF "sales_2024_lo" FOR VALUES FROM (7) TO (15);
CREATE TABLE "sales_2024_mid" (
  "user id" int,
  "id" int NOT NULL,
  "end" numeric(10,2) NOT NULL,
  "n" float8,
  "qty" int,
  "note" timestamptz
);
ALTER TABLE "sales_2024" ATTACH PARTITION "sales_2024_mid" FOR VALUES FROM (15) TO (30);
CREATE TABLE "sales_2024_rest" PARTITION OF "sales_2024" DEFAULT;
ALTER TABLE "sales_2024" ADD PRIMARY KEY (id);
CREATE INDEX ON "sales_2024" ("user id");
CREATE TABLE "T1" (
  "id" int NOT NULL,
  "user id" int,
  "ref" int,
  "desc" timestamp,
  "from" float8,
  "count" timestamptz NOT NULL,
  "qty" int
);
ALTER TABLE "T1" ADD PRIMARY KEY (id);
ALTER TABLE "T1" ADD FOREIGN KEY (ref) REFERENCES "sales_2024" ON DELETE CASCADE ON UPDATE CASCADE;
CREATE INDEX ON "T1" ("user id");
CREATE TABLE seen (step bigint, view text, ours boolean, cells text[]);
CREATE SEQUENCE looks;
CREATE FUNCTION peek(query text) RETURNS TABLE (ours boolean, cells text[]) LANGUAGE plpgsql STABLE AS $body$ BEGIN RETURN QUERY EXECUTE query; END $body$;
CREATE TABLE outer_t (n int PRIMARY KEY, m int);
INSERT INTO outer_t VALUES (1, 1), (2, 1);
CREATE FUNCTION call_inside() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.m := inside(NEW.n); RETURN NEW; END $body$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON outer_t FOR EACH ROW WHEN (NEW.m = -1) EXECUTE FUNCTION call_inside();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON outer_t FOR EACH ROW WHEN (NEW.m = -2) EXECUTE FUNCTION call_inside();
CREATE TABLE phase (k int PRIMARY KEY, p int NOT NULL);
INSERT INTO phase SELECT k, k % 2 FROM generate_series(0, 3) AS k;
CREATE TABLE one_side (k int, x int NOT NULL, s text);
CREATE TABLE other_side (k int, y int NOT NULL, s text);
CREATE VIEW "plain rows" AS SELECT a1."user id" AS c1, (a1."count"::text) AS c2, (a1."user id" + 1) AS c3 FROM "T1" AS a1;
CREATE VIEW "plain groups" AS SELECT a1."user id" AS c1, count(*) AS c2, sum(coalesce(a1."qty", -1::int)) AS c3 FROM "T1" AS a1 GROUP BY a1."user id";
CREATE VIEW "kept rows" WITH (security_barrier) AS SELECT a1."user id" AS c1, (CASE WHEN a1."qty" IS NULL THEN a1."ref" ELSE 0 END) AS c2, a1."user id" AS c3 FROM "T1" AS a1 WHERE is_not_zero((CASE WHEN a1."qty" IS NULL THEN a1."ref" ELSE 0 END));
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (0, 1, NULL, '-1.25'::numeric(10,2), '2'::float8, 6) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (1, NULL, '2011-12-30 11:00:00+00'::timestamptz, '8.00'::numeric(10,2), '0.75'::float8, (-3)) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (2, 2, '2024-10-26 22:00:00+00'::timestamptz, '5.00'::numeric(10,2), '4'::float8, 9) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (3, NULL, '2011-12-29 12:59:00+00'::timestamptz, '-2.25'::numeric(10,2), '2.75'::float8, 2) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (4, 3, '2024-10-27 00:30:00+00'::timestamptz, '4.50'::numeric(10,2), NULL, 7) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (5, 2, NULL, '10.00'::numeric(10,2), NULL, 9) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (6, 2, '2024-10-27 00:59:00+00'::timestamptz, '8.99'::numeric(10,2), NULL, NULL) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (7, 0, '2024-10-27 00:00:00+00'::timestamptz, '7.05'::numeric(10,2), '7.25'::float8, 0) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (8, 1, '2011-12-29 12:30:00+00'::timestamptz, '8.25'::numeric(10,2), '1.25'::float8, 1) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (9, 1, '2024-12-31 23:00:00+00'::timestamptz, '9.00'::numeric(10,2), '-3'::float8, 2) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (10, 1, '2024-10-31 23:30:00+00'::timestamptz, '7.05'::numeric(10,2), '5.75'::float8, 8) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (11, 1, '2024-10-27 00:00:00+00'::timestamptz, '12.99'::numeric(10,2), '7.25'::float8, (-1)) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (12, 2, '2024-10-31 23:30:00+00'::timestamptz, '3.05'::numeric(10,2), '7.5'::float8, (-1)) ON CONFLICT DO NOTHING;
INSERT INTO "sales_2024" ("id", "user id", "note", "end", "n", "qty") VALUES (13, 1, NULL, '-2.25'::numeric(10,2), NULL, 3) ON CONFLICT DO NOTHING;
INSERT INTO "T1" ("id", "user id", "ref", "desc", "from", "count", "qty") VALUES (0, 4, 10, '2024-01-03 17:59:00'::timestamp, NULL, '2024-10-31 09:00:00+00'::timestamptz, NULL) ON CONFLICT DO NOTHING;
INSERT INTO "T1" ("id", "user id", "ref", "desc", "from", "count", "qty") VALUES (1, 1, 10, NULL, '9.25'::float8, '2024-10-31 09:59:00+00'::timestamptz, 8) ON CONFLICT DO NOTHING;
INSERT INTO "T1" ("id", "user id", "ref", "desc", "from", "count", "qty") VALUES (2, 0, NULL, '2024-01-03 23:59:00'::timestamp, '3.25'::float8, '2024-10-01 11:30:00+00'::timestamptz, 9) ON CONFLICT DO NOTHING;
CREATE VIEW "select"."report" AS
SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY (CASE WHEN a1."user id" >= (-2) THEN a1."ref" ELSE 0 END)) FILTER (WHERE a1."qty" IN (1, 2, 3)) AS "sum", percentile_disc(0.5) WITHIN GROUP (ORDER BY a1."id")::text AS "Key"
FROM "T1" AS a1
WHERE (a1."count" = '2024-10-27 00:00:00+00'::timestamptz)
GROUP BY (a1."desc"::text)
ORDER BY 1;
SELECT create_imat('"select"."report"', 'imat');
CREATE VIEW "select"."v""q" AS
SELECT ARRAY[(a1.c3::text), (a1.c3::text)] AS "y", avg(a1.c2) FILTER (WHERE a1.c1 % 2 = 0) AS "order", sum((CASE WHEN a1.c2 <= 1 THEN a1.c1 ELSE 0 END)) AS "Key", coalesce(sum(a1.c1), 0) + count(*) AS "limit"
FROM "plain groups" AS a1(c1, c2, c3)
GROUP BY 1
HAVING min(abs(a1.c1)) IS NOT NULL;
SELECT create_imat('"select"."v""q"', 'imat');
CREATE MATERIALIZED VIEW "select"."summary" AS
SELECT count(*) * 100.0 / nullif(count(a1."id"), 0) AS "all", (CASE WHEN a1."id" IS NULL THEN ARRAY[(a2."user id"::text), (a1."user id"::text)] ELSE (ARRAY[(a2."user id"::text), (a1."user id"::text), NULL])[1:2] END) AS "x", (a1."id" % 3) AS "group"
FROM "sales_2024" AS a1, "T1" AS a2, "T1" AS "Order"
WHERE (a2."id" = a1."qty") AND ("Order"."id" = a1."qty") AND (a2."user id" BETWEEN 0 AND 4)
GROUP BY (CASE WHEN a1."id" IS NULL THEN ARRAY[(a2."user id"::text), (a1."user id"::text)] ELSE (ARRAY[(a2."user id"::text), (a1."user id"::text), NULL])[1:2] END), a2."user id", (a1."id" % 3);
SELECT create_imat('"select"."summary"');
CREATE MATERIALIZED VIEW "select"."select" AS
SELECT (length("Order".c2) % 3) AS "x", a1."desc" AS "count"
FROM "T1" AS a1
  INNER JOIN (SELECT a2."user id" AS c1, (a2."user id"::text) AS c2, a2."id" AS c3 FROM "T1" AS a2) AS "Order"(c1, c2, c3) ON a1."ref" = "Order".c3
  INNER JOIN "plain groups" AS a4(c1, c2, c3) ON ("Order".c1 = a4.c1 AND NOT (a4.c1 BETWEEN 0 AND 4) OR ("Order".c1 <= (-2) AND a4.c1 IN (1, 2, 3)) AND a4.c1 = "Order".c1)
WITH NO DATA;
SELECT create_imat('"select"."select"');
CREATE VIEW "select"."m" AS
SELECT v.c1 AS x, avg((12 / v.c2)), max(v.c1) AS z FROM "kept rows" AS v JOIN "sales_2024" AS a1 ON a1."user id" = v.c1 WHERE (12 / v.c2) < -3 GROUP BY 1;
SELECT create_imat('"select"."m"', 'imat');
CREATE MATERIALIZED VIEW "select"."outer view" AS
SELECT m, count(*) AS rows, sum(n) AS total FROM outer_t GROUP BY m;
SELECT create_imat('"select"."outer view"');
\echo expected
SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY (CASE WHEN a1."user id" >= (-2) THEN a1."ref" ELSE 0 END)) FILTER (WHERE a1."qty" IN (1, 2, 3)) AS "sum", percentile_disc(0.5) WITHIN GROUP (ORDER BY a1."id")::text AS "Key"
FROM "T1" AS a1
WHERE (a1."count" = '2024-10-27 00:00:00+00'::timestamptz)
GROUP BY (a1."desc"::text)
ORDER BY 1;
\echo actual
TABLE imat."report";
\echo seen inside statements on one side only
SELECT step, view, cells, sum(CASE WHEN ours THEN 1 ELSE -1 END) AS extra FROM seen GROUP BY step, view, cells HAVING sum(CASE WHEN ours THEN 1 ELSE -1 END) <> 0 ORDER BY step, view;
