-- Inherited tables.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE mother (id integer, g text NOT NULL, n integer);
CREATE TABLE child (extra integer) INHERITS (mother);
CREATE TABLE other (g text NOT NULL, more date, n integer, id integer);
ALTER TABLE other INHERIT mother;
CREATE TABLE grandchild () INHERITS (child);
CREATE VIEW by_g AS SELECT g, count(*) AS k, sum(n) AS s FROM mother GROUP BY g;
CREATE VIEW only_mother AS SELECT g, count(*) AS k FROM ONLY mother GROUP BY g;
CREATE VIEW of_child AS SELECT extra, count(*) AS k FROM child GROUP BY extra;
CREATE VIEW rows_ AS SELECT id, n FROM mother;
SELECT create_imat('by_g'), create_imat('only_mother'), create_imat('of_child'), create_imat('rows_');
INSERT INTO mother VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO child VALUES (3, 'a', 3, 30), (4, 'c', 4, NULL);
INSERT INTO other VALUES ('b', '2024-01-01', 5, 5);
INSERT INTO grandchild VALUES (6, 'a', 6, 60);
TABLE wrong;
TABLE imat.by_g ORDER BY g;
TABLE imat.only_mother ORDER BY g;
UPDATE mother SET n = n * 10;
TABLE wrong;
UPDATE ONLY mother SET g = 'z';
TABLE wrong;
UPDATE child SET g = 'y', extra = 1;
TABLE wrong;
DELETE FROM mother WHERE g = 'y' AND n = 30;
TABLE wrong;
DELETE FROM ONLY child;
TABLE wrong;
CREATE TABLE late () INHERITS (child);
INSERT INTO late VALUES (7, 'late', 7, 70);
TABLE wrong;
ALTER TABLE other NO INHERIT mother;
TABLE wrong;
INSERT INTO other VALUES ('b', '2024-01-01', 5, 5);
TABLE wrong;
ALTER TABLE other INHERIT mother;
TABLE wrong;
ALTER TABLE child NO INHERIT mother;
TABLE wrong;
ALTER TABLE child INHERIT mother;
TABLE wrong;
TRUNCATE grandchild;
TABLE wrong;
TRUNCATE ONLY mother;
TABLE wrong;
DROP TABLE late;
TABLE wrong;
TRUNCATE mother;
TABLE wrong;
TABLE imat.by_g;

-- Before 16 generated columns of tables with children are refused, also when they come later.
CREATE TABLE one (k integer NOT NULL, v integer);
CREATE TABLE parent (k integer NOT NULL, v integer);
CREATE TABLE kid () INHERITS (parent);
CREATE TABLE parts (k integer NOT NULL, v integer) PARTITION BY LIST (k);
CREATE TABLE part PARTITION OF parts DEFAULT;
SELECT create_imat(name, query => format('SELECT k, count(*) AS n FROM %I GROUP BY k', substr(name, 4)))
    FROM unnest(ARRAY['of_one', 'of_parent', 'of_parts']) AS name;
CREATE FUNCTION as_expected(command text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN result = 'accepted'
        ELSE result ~ '^55000 \| cannot add a generated column to .* because maintained table .* reads it' END THEN 'yes' ELSE result END
    FROM refusal(command) AS result $$;
SELECT as_expected('ALTER TABLE parent ADD COLUMN g integer GENERATED ALWAYS AS (v + 1) STORED');
SELECT as_expected('ALTER TABLE kid ADD COLUMN h integer GENERATED ALWAYS AS (v + 1) STORED');
SELECT as_expected('ALTER TABLE parts ADD COLUMN g integer GENERATED ALWAYS AS (v + 1) STORED');
ALTER TABLE one ADD COLUMN g integer GENERATED ALWAYS AS (v + 1) STORED;
INSERT INTO one (k, v) VALUES (1, 1);
SELECT count(*) FROM verify_imat('of_one');
