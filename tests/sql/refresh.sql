-- refresh_imat writes what differs and nothing else.
CREATE EXTENSION pg_imat;
\ir ../exact.sql
CREATE TABLE a (id int PRIMARY KEY, g int, x numeric, f float8, t text);
CREATE TABLE b (g int NOT NULL, y int NOT NULL);
INSERT INTO a SELECT i, nullif(i % 10, 0), i / 8.0, i * 0.5, repeat('x', i) FROM generate_series(1, 200) AS i;
INSERT INTO b SELECT i, i * 2 FROM generate_series(1, 9) AS i;
CREATE VIEW sums AS SELECT g, count(*) AS n, sum(x) AS s, avg(f) AS m FROM a GROUP BY g;
CREATE VIEW extremes AS SELECT t, min(x) AS low, max(f) AS top, array_agg(id ORDER BY id) AS ids FROM a GROUP BY t;
CREATE VIEW one AS SELECT count(*) AS n, sum(x) AS s FROM a;
CREATE VIEW rows_ AS SELECT a.t, b.y, 1 AS one FROM a JOIN b USING (g) UNION ALL SELECT 'twice', g, 1 FROM b;
CREATE VIEW joined AS SELECT a.g, a.x::numeric(10,2) AS x, b.y FROM a JOIN b USING (g);
CREATE VIEW whole_ AS SELECT id, x, lag(x) OVER (ORDER BY id) AS before FROM a;
SET client_min_messages = warning;
SELECT create_imat('sums'), create_imat('extremes'), create_imat('one'), create_imat('rows_'), create_imat('joined'), create_imat('whole_');
RESET client_min_messages;
-- What there is on maintained tables and states, and their files.
CREATE VIEW counts AS SELECT g, count(*) AS n FROM a GROUP BY g;
SELECT create_imat('counts');
CREATE ROLE regress_refresh_reader;
CREATE INDEX counts_n ON imat.counts (n DESC) INCLUDE (g);
CREATE INDEX counts_odd ON imat.counts ((n + g)) WHERE n > 1;
GRANT SELECT ON imat.counts TO regress_refresh_reader WITH GRANT OPTION;
GRANT SELECT (g, s) ON imat.sums TO regress_refresh_reader;
CREATE VIEW above AS SELECT c.g, c.n, s.s FROM imat.counts AS c LEFT JOIN imat.sums AS s ON s.g = c.g;
CREATE VIEW objects AS
    SELECT c.oid, c.oid::regclass::text AS name, c.relkind, pg_relation_filenode(c.oid) AS file, c.relacl::text AS privileges,
        (SELECT string_agg(format('%s %s', attname, attacl), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL) AS of_columns,
        CASE c.relkind WHEN 'i' THEN pg_get_indexdef(c.oid) WHEN 'v' THEN pg_get_viewdef(c.oid) END AS definition
    FROM pg_class AS c WHERE c.relnamespace IN ('imat'::regnamespace, 'imat_state'::regnamespace) OR c.oid = 'above'::regclass;
CREATE TABLE kept AS SELECT * FROM objects;
SELECT name, relkind, privileges IS NOT NULL AS granted, of_columns IS NOT NULL AS by_column FROM kept
    WHERE name ~ 'counts|above|whole_|imat.sums' ORDER BY name;
CREATE VIEW lost AS (SELECT 'gone' AS what, kept.* FROM kept EXCEPT SELECT 'gone', objects.* FROM objects)
    UNION ALL (SELECT 'new', objects.* FROM objects EXCEPT SELECT 'new', kept.* FROM kept);
CREATE EXTENSION amcheck;
-- Every row version of every state.
CREATE FUNCTION versions() RETURNS TABLE (state text, version text) LANGUAGE plpgsql AS $$
BEGIN
    FOR state IN SELECT s.state::text FROM imat_status AS s LOOP
        RETURN QUERY EXECUTE format('SELECT %L, format(''%%s %%s'', ctid, xmin) FROM %s', state, state);
    END LOOP;
END $$;
CREATE FUNCTION refresh_all() RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM refresh_imat(s.name::text) FROM imat_status AS s; END $$;

-- Nothing where nothing differs, also after changes, and under a transaction snapshot.
CREATE TEMP TABLE before AS SELECT * FROM versions();
SELECT state, count(*) FROM before GROUP BY state ORDER BY state;
SELECT refresh_all();
SELECT * FROM versions() EXCEPT SELECT * FROM before;
INSERT INTO a VALUES (201, 1, 5, 0.5, 'x'), (202, NULL, 6, NULL, NULL);
DELETE FROM a WHERE id BETWEEN 50 AND 60;
UPDATE b SET y = 1 WHERE g = 3;
DROP TABLE before;
CREATE TEMP TABLE before AS SELECT * FROM versions();
SELECT refresh_all();
SELECT state, count(*) FROM (SELECT * FROM versions() EXCEPT SELECT * FROM before) AS d GROUP BY state;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT refresh_all();
COMMIT;
SELECT state, count(*) FROM (SELECT * FROM versions() EXCEPT SELECT * FROM before) AS d GROUP BY state;
SELECT * FROM wrong;

-- What differs, and only that: extra, missing, changed, identical but for its scale.
SELECT force('DELETE FROM imat_state.sums WHERE g = 1');
SELECT force('UPDATE imat_state.sums SET n = n + 1 WHERE g = 2');
SELECT force('INSERT INTO imat_state.sums (g, n, imat_3, imat_4, imat_5, imat_6, imat_7) SELECT 99, n, imat_3, imat_4, imat_5, imat_6, imat_7 FROM imat_state.sums WHERE g = 5');
SELECT force('UPDATE imat_state.whole_ SET x = 25.000 WHERE id = 200');
SELECT force('UPDATE imat_state.one SET n = 0');
SELECT name, difference FROM wrong ORDER BY name::text;
SELECT x FROM imat.whole_ WHERE id = 200;
DROP TABLE before;
CREATE TEMP TABLE before AS SELECT * FROM versions();
SELECT refresh_all();
SELECT * FROM wrong;
SELECT x FROM imat.whole_ WHERE id = 200;
SELECT state, count(*) FROM (SELECT * FROM versions() EXCEPT SELECT * FROM before) AS d GROUP BY state ORDER BY state;
SELECT * FROM lost;

-- Indexes, privileges, views over it, and its files stay, even if all of its rows differ.
SELECT force('UPDATE imat_state.sums SET n = n + 1'), force('UPDATE imat.counts SET n = -n'), force('DELETE FROM imat_state.whole_');
SELECT name FROM wrong ORDER BY name::text;
SELECT refresh_imat('counts'), refresh_imat('sums');
SELECT count(*) FROM verify_imat('whole_', true);
SELECT * FROM wrong;
SELECT * FROM lost;
SELECT count(bt_index_check(i, true)) FROM unnest(ARRAY['imat.counts_n', 'imat.counts_odd']::regclass[]) AS i;
SELECT count(*) FROM (TABLE above EXCEPT ALL SELECT c.g, c.n, s.s FROM counts AS c LEFT JOIN sums AS s ON s.g = c.g) AS differs;
SET ROLE regress_refresh_reader;
SELECT n, g FROM imat.counts ORDER BY g NULLS FIRST LIMIT 1;
SELECT g, s FROM imat.sums ORDER BY g NULLS FIRST LIMIT 1;
SELECT n FROM imat.sums;
RESET ROLE;

-- An emptied table, and one that is filled again.
TRUNCATE b;
SELECT * FROM wrong;
SELECT count(*) FROM imat.joined;
INSERT INTO b VALUES (1, 1), (1, 1), (2, 2);
TRUNCATE a;
SELECT * FROM wrong;
TABLE imat.one;
INSERT INTO a VALUES (1, 1, 1, 1, 'x');
SELECT * FROM wrong;
SELECT * FROM lost;
DROP OWNED BY regress_refresh_reader;
DROP ROLE regress_refresh_reader;
