-- A statement that changes several tables of a join reads the rows that it concerns, not the tables.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE parent (id integer PRIMARY KEY, g integer, over integer REFERENCES parent);
CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parent ON UPDATE CASCADE ON DELETE CASCADE, n integer);
CREATE TABLE grandchild (id integer PRIMARY KEY, child integer NOT NULL REFERENCES child ON DELETE CASCADE, n integer);
CREATE INDEX ON parent (over);
CREATE INDEX ON child (parent);
CREATE INDEX ON grandchild (child);
INSERT INTO parent SELECT i, i % 100, i / 10 FROM generate_series(0, 5000) AS i;
INSERT INTO child SELECT i, i / 10, i % 7 FROM generate_series(1, 20000) AS i;
INSERT INTO grandchild SELECT i, i, i % 5 FROM generate_series(1, 20000) AS i;
CREATE VIEW two AS SELECT p.g, count(*) AS k, sum(c.n) AS s FROM parent AS p JOIN child AS c ON c.parent = p.id GROUP BY p.g;
CREATE VIEW three AS SELECT p.g, count(*) AS k, sum(c.n * d.n) AS s
    FROM parent AS p JOIN child AS c ON c.parent = p.id JOIN grandchild AS d ON d.child = c.id GROUP BY p.g;
CREATE VIEW pairs AS SELECT p.id, p.g, c.n FROM parent AS p JOIN child AS c ON c.parent = p.id;
CREATE VIEW itself AS SELECT o.g, count(*) AS k, sum(p.id) AS s FROM parent AS p JOIN parent AS o ON o.id = p.over GROUP BY o.g;
-- More leaves than are multiplied out.
CREATE VIEW ancestors AS SELECT e.g, count(*) AS k, sum(a.id) AS s FROM parent AS a
    JOIN parent AS b ON b.id = a.over JOIN parent AS c ON c.id = b.over JOIN parent AS d ON d.id = c.over
    JOIN parent AS e ON e.id = d.over JOIN parent AS f ON f.id = e.over GROUP BY e.g;
CREATE VIEW per_parent AS SELECT parent, count(*) AS k, sum(n) AS s FROM child GROUP BY parent;
SELECT create_imat(name) FROM unnest('{two,three,pairs,itself,ancestors,per_parent}'::text[]) AS name;
CREATE VIEW shares AS SELECT c.n, sum(t.s) AS s, count(*) AS k FROM child AS c JOIN imat.per_parent AS t ON t.parent = c.parent GROUP BY c.n;
SELECT create_imat('shares');
ANALYZE;

-- How many rows a statement reads, if they are many.
CREATE FUNCTION read() RETURNS numeric AS $$
    SELECT sum(pg_stat_get_xact_tuples_fetched(c.oid) + CASE relkind WHEN 'r' THEN pg_stat_get_xact_tuples_returned(c.oid) ELSE 0 END)
    FROM pg_class AS c WHERE relnamespace IN ('public'::regnamespace, 'imat_state'::regnamespace) $$ LANGUAGE sql;
CREATE FUNCTION flat(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE before numeric := read();
BEGIN
    EXECUTE command;
    RETURN CASE WHEN read() - before < 3000 THEN 'flat' ELSE format('reads %s rows', read() - before) END;
END $$;
SELECT flat('DELETE FROM parent WHERE id = 700');
SELECT flat('DELETE FROM parent WHERE id BETWEEN 710 AND 714');
SELECT flat('UPDATE parent SET id = -id WHERE id = 730');
SELECT flat('UPDATE parent SET id = -id, g = g + 1 WHERE id BETWEEN 740 AND 744');
SELECT flat('WITH p AS (INSERT INTO parent VALUES (6000, 5, 70)), c AS (INSERT INTO child VALUES (30000, 6000, 1), (30001, 6000, 2))
    INSERT INTO grandchild VALUES (30000, 30000, 1)');
SELECT flat('WITH p AS (UPDATE parent SET g = g + 1 WHERE id = 760), c AS (DELETE FROM child WHERE parent = 760 AND n = 1)
    UPDATE child SET n = n + 1 WHERE parent IN (760, 761) AND n <> 1');
SELECT flat('UPDATE child SET n = n + 1 WHERE parent = 770');
SELECT flat('INSERT INTO child VALUES (30010, 771, 3)');
SELECT flat('INSERT INTO parent VALUES (6001, 5, 70)');
SELECT flat('INSERT INTO parent VALUES (6002, 5, 71), (6003, 6, 72)');
SELECT flat('UPDATE parent SET over = over + 1 WHERE id IN (6002, 6003, 4000)');
SELECT flat('DELETE FROM parent WHERE id = 6003');
TABLE wrong;
