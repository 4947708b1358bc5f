-- Inherited tables.
CREATE EXTENSION pg_imat;

-- exact(NAME) compares imat.NAME with the view public.NAME, by hand and with verify_imat;
-- `wrong` lists the maintained tables that differ.
CREATE FUNCTION exact(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE missing bigint; extra bigint; reported bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (TABLE public.%1$s EXCEPT ALL TABLE imat.%1$s) AS d', name) INTO missing;
    EXECUTE format('SELECT count(*) FROM (TABLE imat.%1$s EXCEPT ALL TABLE public.%1$s) AS d', name) INTO extra;
    SELECT count(*) INTO reported FROM verify_imat('imat.' || name);
    RETURN CASE missing + extra + reported WHEN 0 THEN 'exact'
        ELSE format('%s missing, %s extra, %s reported', missing, extra, reported) END;
END $$;
CREATE VIEW wrong AS
    SELECT name, difference FROM
        (SELECT s.name, exact(quote_ident(c.relname)) AS difference
            FROM imat_status AS s JOIN pg_class AS c ON c.oid = s.name) AS compared
    WHERE difference <> 'exact';

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
TRUNCATE grandchild;
TABLE wrong;
TRUNCATE ONLY mother;
TABLE wrong;
DROP TABLE late;
TABLE wrong;
TRUNCATE mother;
TABLE wrong;
TABLE imat.by_g;
