-- Inner joins of every form.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE a (id integer PRIMARY KEY, x integer, g text);
CREATE TABLE b (id integer PRIMARY KEY, a_id integer, y integer, at integer);
CREATE TABLE c (b_id integer, z numeric NOT NULL, tag text);
CREATE VIEW two AS SELECT a.g, count(*) AS n, sum(b.y) AS s FROM a JOIN b ON b.a_id = a.id GROUP BY a.g;
CREATE VIEW three AS SELECT a.g, c.tag, count(*) AS n, sum(c.z) AS z, sum(b.y * a.x) AS w FROM a JOIN b ON b.a_id = a.id JOIN c ON c.b_id = b.id WHERE a.x > 0 GROUP BY a.g, c.tag;
CREATE VIEW comma AS SELECT a.id, count(*) AS n, avg(c.z) AS z FROM a, b, c WHERE a.id = b.a_id AND b.id = c.b_id AND b.y IS NOT NULL GROUP BY a.id;
CREATE VIEW using_ AS SELECT id, a.g, b.y FROM a JOIN b USING (id);
CREATE VIEW using_alias AS SELECT u.id, count(*) AS n FROM a JOIN b USING (id) AS u GROUP BY u.id;
CREATE VIEW natural_ AS SELECT * FROM a NATURAL JOIN b;
CREATE VIEW self AS SELECT l.g, count(*) AS n, sum(r.x - l.x) AS d FROM a AS l JOIN a AS r ON l.x < r.x GROUP BY l.g;
CREATE VIEW self_rows AS SELECT l.id AS l, r.id AS r FROM a AS l JOIN a AS r ON l.g = r.g;
CREATE VIEW self_three AS SELECT count(*) AS n FROM a AS p JOIN a AS q ON p.x = q.x JOIN a AS r ON q.g = r.g;
CREATE VIEW non_equal AS SELECT a.id, max(b.y) AS m, count(*) AS n FROM a JOIN b ON b.at BETWEEN a.x AND a.x + 10 GROUP BY a.id;
CREATE VIEW crossed AS SELECT a.g, count(*) AS n, sum(a.x + c.z) AS s FROM a CROSS JOIN c GROUP BY a.g;
CREATE VIEW on_true AS SELECT a.id, c.tag FROM a JOIN c ON true;
CREATE VIEW is_not_distinct AS SELECT a.g, c.tag, count(*) AS n FROM a JOIN c ON a.g IS NOT DISTINCT FROM c.tag GROUP BY a.g, c.tag;
CREATE VIEW under AS SELECT b.id, b.a_id, b.y, c.z FROM b JOIN c ON c.b_id = b.id WHERE c.z > 0;
CREATE VIEW over AS SELECT a.g, sum(u.z) AS z, count(*) AS n FROM a JOIN under AS u ON u.a_id = a.id GROUP BY a.g;
CREATE VIEW over_twice AS SELECT u.id, v.z FROM under AS u JOIN under AS v ON u.id = v.id;
CREATE VIEW parens AS SELECT a.id, b.id AS b, c.tag FROM a JOIN (b JOIN c ON c.b_id = b.id) ON b.a_id = a.id;
CREATE VIEW parens_alias AS SELECT j.g, count(*) AS n FROM (a JOIN b ON b.a_id = a.id) AS j (id, x, g) GROUP BY j.g;
CREATE VIEW extremes AS SELECT a.g, min(b.y) AS lo, max(c.z) AS hi, count(DISTINCT c.tag) AS d, array_agg(c.tag ORDER BY c.tag, c.z) AS tags FROM a JOIN b ON b.a_id = a.id JOIN c ON c.b_id = b.id GROUP BY a.g;
CREATE VIEW sub AS SELECT a.g, sum(s.y) AS y FROM a JOIN (SELECT a_id, y FROM b WHERE y > 0) AS s ON s.a_id = a.id GROUP BY a.g;
CREATE VIEW no_group AS SELECT count(*) AS n, sum(b.y) AS y FROM a JOIN b ON b.a_id = a.id;
CREATE VIEW with_values AS SELECT a.g, v.label, count(*) AS n FROM a JOIN (VALUES (1, 'one'), (2, 'two')) AS v (x, label) ON v.x = a.x GROUP BY a.g, v.label;
CREATE VIEW with_function AS SELECT a.id, s.i FROM a CROSS JOIN LATERAL generate_series(1, a.x) AS s (i);
SELECT create_imat(relname) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wrong', 'imat_status', 'under') ORDER BY relname;
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
TABLE imat.no_group;

-- One side, then the other, in both orders.
INSERT INTO a VALUES (1, 1, 'p'), (2, 2, 'p'), (3, 3, 'q'), (4, NULL, NULL);
TABLE wrong;
INSERT INTO b VALUES (1, 1, 10, 5), (2, 1, 20, 12), (3, 2, NULL, 3), (4, NULL, 40, 4), (9, 9, 90, 9);
TABLE wrong;
INSERT INTO c VALUES (1, 1.5, 'p'), (1, 2.5, 'q'), (3, 3, NULL), (NULL, 4, 'p'), (1, 1.5, 'p'), (9, -1, 'r');
TABLE wrong;
INSERT INTO a VALUES (9, 9, 'late');
TABLE wrong;
TABLE imat.three ORDER BY 1, 2;
-- Join columns, filtered columns, keys.
UPDATE b SET a_id = 2 WHERE a_id = 1;
TABLE wrong;
UPDATE a SET x = -x WHERE id IN (1, 2);
TABLE wrong;
UPDATE a SET g = 'p';
TABLE wrong;
UPDATE c SET b_id = coalesce(b_id, 0) + 1, z = z - 2;
TABLE wrong;
UPDATE a SET id = id + 10;
TABLE wrong;
UPDATE b SET a_id = a_id + 10, id = id + 100 WHERE a_id < 9;
TABLE wrong;
-- Two and three sides in one statement.
WITH na AS (INSERT INTO a VALUES (20, 5, 'new') RETURNING id), nb AS (INSERT INTO b SELECT 20, id, 5, 6 FROM na RETURNING id)
    INSERT INTO c SELECT 20, 5, 'new';
TABLE wrong;
WITH da AS (DELETE FROM a WHERE id = 20 RETURNING id), ub AS (UPDATE b SET a_id = 12 WHERE id = 20 RETURNING id)
    UPDATE c SET b_id = 21 WHERE b_id = 20;
TABLE wrong;
WITH da AS (DELETE FROM a WHERE id = 12 RETURNING *) INSERT INTO a SELECT id + 100, x, g FROM da;
TABLE wrong;
DELETE FROM b WHERE y = 20;
TABLE wrong;
DELETE FROM c WHERE tag IS NULL;
TABLE wrong;
TRUNCATE b;
TABLE wrong;
INSERT INTO b SELECT i, 11 + i % 5, i, i % 9 FROM generate_series(1, 300) AS i;
TABLE wrong;
INSERT INTO c SELECT i, i % 11 - 4, 'bulk' || i % 3 FROM generate_series(1, 250) AS i;
TABLE wrong;
DELETE FROM b WHERE id % 3 = 0;
TABLE wrong;
TRUNCATE a, b, c;
TABLE wrong;
TABLE imat.no_group;
