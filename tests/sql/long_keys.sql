-- Keys that an entry of a btree has no room for: some by themselves, some all together.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE FUNCTION digits(n int, seed int) RETURNS numeric LANGUAGE sql IMMUTABLE AS
    $$ SELECT string_agg(1 + ('x' || left(md5(seed || '-' || i), 4))::bit(16)::int % 9 || '', '' ORDER BY i)::numeric FROM generate_series(1, n) AS i $$;
CREATE FUNCTION letters(seed int) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT string_agg(chr(131072 + ('x' || left(md5(seed || '-' || i), 4))::bit(16)::int % 40000), '' ORDER BY i) FROM generate_series(1, 150) AS i $$;
CREATE DOMAIN code AS varchar(10);
CREATE DOMAIN lower_code AS code CHECK (value = lower(value));
CREATE TABLE t (n numeric, d numeric(1000, 100), s lower_code, x int NOT NULL,
    a varchar(150), b varchar(150), c varchar(150), e char(150), f varchar(150));
CREATE VIEW by_number AS SELECT n, count(*) AS c, sum(x) AS x FROM t GROUP BY n;
CREATE VIEW by_declared AS SELECT d, count(*) AS c, sum(x) AS x FROM t GROUP BY d;
CREATE VIEW by_domain AS SELECT s, count(*) AS c, sum(x) AS x FROM t GROUP BY s;
CREATE VIEW by_four AS SELECT a, b, c, f, count(*) AS n, sum(x) AS x FROM t GROUP BY a, b, c, f;
CREATE VIEW by_five AS SELECT a, b, c, e, f, count(*) AS n, sum(x) AS x FROM t WHERE e IS NOT NULL GROUP BY a, b, c, e, f;
SELECT v, create_imat(v::regclass) FROM unnest(ARRAY['by_number', 'by_declared', 'by_domain', 'by_four', 'by_five']) AS v;
SELECT s.name, line FROM imat_status AS s CROSS JOIN LATERAL explain_imat(s.name::text) AS line WHERE line LIKE '%Key:%' ORDER BY s.name::text;

INSERT INTO t SELECT digits(12000 + i, i), digits(900, i) + 0.25, i, i,
    letters(i), letters(i + 10), letters(i + 20), letters(i + 30), letters(i + 40) FROM generate_series(1, 3) AS i;
INSERT INTO t (n, x) VALUES (1.0, 1), (1.00, 2), (1, 3), ('NaN', 4), (NULL, 5);
TABLE wrong;
UPDATE t SET x = x + 1;
UPDATE t SET n = n + 0.0, f = NULL WHERE x <> 3;
TABLE wrong;
DELETE FROM t WHERE x = 4;
TABLE wrong;
SELECT (SELECT count(*) FROM imat.by_number) AS numbers, (SELECT count(*) FROM imat.by_five) AS fives;
-- As indexes of the columns they would not have been possible.
SELECT regexp_replace(refusal('CREATE INDEX ON t (n)'), ' \|.*', '') AS numbers;
SELECT regexp_replace(refusal('CREATE INDEX ON t (a, b, c, e, f)'), ' \|.*', '') AS fives;
CREATE INDEX ON t (a, b, c, f);
