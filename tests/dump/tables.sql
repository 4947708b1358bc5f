-- The maintained tables of every kind that scripts/dump-restore dumps.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_imat;
CREATE SCHEMA "App 2";
CREATE TABLE "App 2".product (id int PRIMARY KEY, name text NOT NULL, price numeric);
CREATE TABLE sale (id int PRIMARY KEY, product int REFERENCES "App 2".product, region text, amount numeric(10,2) NOT NULL,
    at timestamptz NOT NULL, twice numeric GENERATED ALWAYS AS (amount * 2) STORED);
CREATE INDEX ON sale (product);
INSERT INTO "App 2".product SELECT i, 'product ' || i, i * 1.5 FROM generate_series(1, 20) AS i;
INSERT INTO sale (id, product, region, amount, at)
    SELECT i, i % 20 + 1, nullif(chr(97 + i % 4), 'd'), i % 7, '2024-01-01'::timestamptz + i * interval '5 hours' FROM generate_series(1, 200) AS i;

-- Columns that depend on the primary key: a dump creates such views at first without their query.
CREATE VIEW by_key AS SELECT p.id, p.name, p.price, sum(s.amount) AS total, count(*) AS n, avg(s.amount) AS mean
    FROM "App 2".product AS p JOIN sale AS s ON s.product = p.id GROUP BY p.id;
CREATE VIEW below AS SELECT p.id, upper(p.name) AS name, count(*) AS n FROM "App 2".product AS p GROUP BY p.id;
CREATE VIEW over_below AS SELECT b.name, b.n FROM below AS b WHERE b.id > 3;
CREATE MATERIALIZED VIEW by_region AS SELECT region, count(*) AS n, sum(amount) AS total, min(at) AS first, max(amount) AS most
    FROM sale GROUP BY region;
CREATE INDEX ON by_region (total DESC);
CREATE UNIQUE INDEX ON by_region (region);
CREATE VIEW having_ AS SELECT product, stddev(amount) AS s FROM sale GROUP BY product HAVING count(*) > 9;
CREATE VIEW rows_ AS SELECT region, amount, twice FROM sale WHERE amount > 2;
CREATE VIEW joined AS SELECT s.id, p.name, s.at::text AS at FROM sale AS s JOIN "App 2".product AS p ON p.id = s.product;
CREATE VIEW lists AS SELECT region, array_agg(product ORDER BY id) AS products FROM sale GROUP BY region;
CREATE VIEW whole_ AS SELECT p.name, s.amount FROM "App 2".product AS p LEFT JOIN sale AS s ON s.product = p.id AND s.amount > 4;
CREATE VIEW total AS SELECT count(*) AS n, sum(amount) AS total FROM sale;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FUNCTION mood_of(numeric) RETURNS mood IMMUTABLE LANGUAGE sql AS $$ SELECT CASE WHEN $1 > 3 THEN 'glad'::public.mood ELSE 'sad' END $$;
CREATE VIEW moods AS SELECT mood_of(amount) AS mood, count(*) AS n FROM sale GROUP BY mood_of(amount);

CREATE TABLE span (k int, age interval);
INSERT INTO span VALUES (1, '1 day'), (2, '2 days'), (2, NULL);
CREATE VIEW spans AS SELECT k, sum(age) AS age FROM span GROUP BY k;

CREATE TABLE part (id int NOT NULL, g text, n int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 (n int, g text, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (100) TO (200);
ALTER TABLE part ADD PRIMARY KEY (id);
CREATE TABLE parent (id int NOT NULL, n int);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO part SELECT i, 'g' || i % 5, i FROM generate_series(1, 199) AS i;
INSERT INTO parent VALUES (1, 1); INSERT INTO child VALUES (2, 2, 'x');
CREATE VIEW parts AS SELECT g, sum(n) AS s FROM part GROUP BY g;
CREATE VIEW parts_by_key AS SELECT id, g, n, count(*) AS c FROM part GROUP BY id;
CREATE VIEW leaf AS SELECT g, count(*) AS c FROM part_1 GROUP BY g;
CREATE VIEW inherited AS SELECT id, sum(n) AS s FROM parent GROUP BY id;

SELECT create_imat(name) FROM unnest(ARRAY['by_key', 'over_below', 'by_region', 'having_', 'rows_', 'joined', 'lists', 'whole_',
    'total', 'moods', 'spans', 'parts', 'parts_by_key', 'leaf', 'inherited']) AS name;
CREATE VIEW stacked AS SELECT region IS NULL AS nowhere, sum(n) AS n FROM imat.by_region GROUP BY region IS NULL;
CREATE VIEW over_key AS SELECT b.name, b.mean FROM imat.by_key AS b WHERE b.n > 1;
SELECT create_imat('stacked'), create_imat('over_key');
CREATE INDEX moods_n ON imat.moods (n);
GRANT SELECT ON imat.by_region TO pg_monitor;
GRANT SELECT ON imat.by_key TO pg_monitor;
-- A build that fails with a division by zero.
\set ON_ERROR_STOP off
CREATE TABLE zero (a int NOT NULL);
INSERT INTO zero VALUES (0);
CREATE VIEW unfinished AS SELECT sum(1 / a) AS s FROM zero;
CALL create_imat('unfinished', online => true);
