-- What types and constraints promise: NOT NULL, primary keys, equality, scale, collation, images.
CREATE EXTENSION pg_imat;
SET client_min_messages = warning;

-- Compares by text, which tells values apart that are equal but not identical.
CREATE FUNCTION differences(name text) RETURNS TABLE (side text, "row" text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT ''query'', d.* FROM (SELECT v::text FROM public.%1$I AS v EXCEPT ALL SELECT v::text FROM imat.%1$I AS v) AS d
         UNION ALL SELECT ''imat'', d.* FROM (SELECT v::text FROM imat.%1$I AS v EXCEPT ALL SELECT v::text FROM public.%1$I AS v) AS d', name);
END $$;
CREATE VIEW wrong AS
    SELECT c.relname AS name, d.side, d."row" FROM imat_status AS s JOIN pg_class AS c ON c.oid = s.name
    CROSS JOIN LATERAL differences(c.relname::text) AS d ORDER BY 1, 2, 3;

-- A child may drop the NOT NULL of its parent: the parent's column can be NULL then.
CREATE TABLE mother (k integer NOT NULL, x integer NOT NULL, y integer NOT NULL);
CREATE TABLE child (own integer) INHERITS (mother);
CREATE TABLE grandchild () INHERITS (child);
ALTER TABLE grandchild ALTER x DROP NOT NULL, ALTER k DROP NOT NULL;
INSERT INTO mother VALUES (1, 5, 5);
INSERT INTO grandchild (k, x, y) VALUES (1, NULL, 1), (2, NULL, 1);
CREATE VIEW nulls AS SELECT k, count(x) AS c, sum(x) AS s, avg(x) AS a FROM mother GROUP BY k;
CREATE VIEW by_y AS SELECT y, count(y) AS c, sum(y) AS s FROM mother GROUP BY y;
SELECT create_imat('nulls'), create_imat('by_y');
TABLE wrong;
INSERT INTO grandchild (k, x, y) VALUES (1, NULL, 1), (NULL, 1, 1);
INSERT INTO mother VALUES (3, 3, 3);
INSERT INTO grandchild (k, x, y) VALUES (NULL, 2, 2), (3, NULL, 3);
TABLE wrong;
TABLE imat.nulls ORDER BY k;
DELETE FROM mother WHERE x IS NULL OR k IS NULL;
TABLE wrong;
-- What a state relies on can't be dropped, above or below; what it doesn't can.
ALTER TABLE grandchild ALTER y DROP NOT NULL;
ALTER TABLE child ALTER y DROP NOT NULL;
ALTER TABLE child ALTER x DROP NOT NULL;
-- Nor can a child come that has NULLs.
CREATE TABLE late (k integer NOT NULL, x integer NOT NULL, y integer NOT NULL);
CREATE TABLE later () INHERITS (late);
ALTER TABLE later ALTER y DROP NOT NULL;
ALTER TABLE late INHERIT mother;
INSERT INTO later VALUES (4, 4, NULL);
ALTER TABLE late INHERIT mother;
TABLE wrong;
DROP TABLE mother, late CASCADE;

-- A parent's primary key says nothing about the children's rows.
CREATE TABLE mother (id integer PRIMARY KEY, name text);
CREATE TABLE child () INHERITS (mother);
INSERT INTO mother VALUES (1, 'a');
INSERT INTO child VALUES (1, 'b');
CREATE VIEW by_id AS SELECT id, name IS NOT NULL AS named, count(*) AS n FROM mother GROUP BY id;
SELECT create_imat('by_id');
INSERT INTO mother VALUES (2, 'c');
INSERT INTO child VALUES (2, 'd');
TABLE wrong;
DROP TABLE child;
TABLE wrong;
SELECT strategy, construct FROM imat_status;
DROP TABLE mother CASCADE;
-- While there are none the state relies on it, and no child can come.
CREATE TABLE mother (id integer PRIMARY KEY, name text);
CREATE TABLE other (id integer PRIMARY KEY, name text);
CREATE VIEW by_id AS SELECT id, name, count(*) AS n FROM mother GROUP BY id;
SELECT create_imat('by_id');
SELECT strategy, construct FROM imat_status;
CREATE TABLE child () INHERITS (mother);
ALTER TABLE other INHERIT mother;
INSERT INTO mother VALUES (1, 'a'), (2, 'b');
UPDATE mother SET name = 'c' WHERE id = 1;
TABLE wrong;
TABLE imat.by_id ORDER BY id;
DROP TABLE mother, other CASCADE;
