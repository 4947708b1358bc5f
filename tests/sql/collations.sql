-- Types whose equality is not identity: citext, chars.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE EXTENSION citext;
CREATE TABLE t (id integer, ci citext NOT NULL, ch char(5) NOT NULL, n integer NOT NULL);
CREATE TABLE names (ci citext, label text);
CREATE VIEW by_ci AS SELECT lower(ci::text) AS l, count(*) AS c, sum(n) AS s FROM t GROUP BY lower(ci::text);
CREATE VIEW by_ch AS SELECT ch, count(*) AS c, sum(n) AS s FROM t GROUP BY ch;
CREATE VIEW key_ci AS SELECT count(*) AS c, sum(n) AS s, min(n) AS m FROM t GROUP BY ci;
CREATE VIEW filter_ci AS SELECT id, n FROM t WHERE ci = 'abc';
CREATE VIEW join_ci AS SELECT names.label, count(*) AS c FROM t JOIN names ON t.ci = names.ci GROUP BY names.label;
CREATE VIEW extremes AS SELECT count(*) AS n, lower(min(ci)::text) AS lo, lower(max(ci)::text) AS hi, count(DISTINCT ci) AS dc FROM t;
CREATE VIEW shape_ci AS SELECT ci, n FROM t;
SELECT create_imat(relname) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wrong', 'imat_status') ORDER BY relname;
SELECT name, strategy, construct FROM imat_status ORDER BY name::text;
INSERT INTO t VALUES (1, 'abc', 'abc', 1), (2, 'ABC', 'abc  ', 2), (3, 'Abc', 'ABC', 4), (4, 'xyz', 'x', 8);
INSERT INTO names VALUES ('aBC', 'one'), ('XYZ', 'two'), (NULL, 'none');
TABLE wrong;
TABLE imat.key_ci ORDER BY 1;
UPDATE t SET ci = upper(ci::text), ch = upper(ch);
TABLE wrong;
DELETE FROM t WHERE id = 1;
UPDATE t SET n = n * 10, ci = 'new' WHERE id = 2;
TABLE wrong;
TABLE imat.extremes;

-- With the key shown, which spelling a group shows is PostgreSQL's choice; there is one row each.
CREATE VIEW shown AS SELECT ci, count(*) AS c FROM t GROUP BY ci;
SELECT create_imat('shown');
INSERT INTO t VALUES (7, 'XYZ', 'x', 1), (8, 'xYz', 'x', 1), (9, 'q', 'q', 1);
DELETE FROM t WHERE id = 4;
SELECT lower(ci::text) AS ci, c FROM imat.shown ORDER BY 1;

-- An operator that the text of a view can't name: IN, CASE, USING, IS DISTINCT FROM on citext.
SELECT maintainable, strategy, reason, hint FROM check_imat($$SELECT id FROM t WHERE ci IN ('abc', 'XYZ')$$);
SELECT maintainable, strategy, reason, hint FROM check_imat($$SELECT id, CASE ci WHEN 'xyz' THEN 1 ELSE 0 END AS c FROM t$$);
SELECT maintainable, strategy, reason, hint FROM check_imat($$SELECT id, label FROM t JOIN names USING (ci)$$);
SELECT maintainable, strategy, reason, hint FROM check_imat($$SELECT id FROM t WHERE ci IS DISTINCT FROM 'XYZ'$$);
SELECT maintainable, strategy, reason, hint FROM check_imat($$SELECT id, nullif(ci, 'XYZ') IS NULL AS n FROM t$$);
SELECT maintainable, strategy, reason, hint FROM check_imat($$SELECT id FROM t WHERE ci = ANY (ARRAY['abc', 'XYZ']::citext[])$$);
CREATE VIEW case_ci AS SELECT id, CASE ci WHEN 'xyz' THEN 1 ELSE 0 END AS c FROM t;
SELECT create_imat('case_ci');
-- IN is kept with its operator, so whatever the spelling, its rows are there.
CREATE VIEW in_ci AS SELECT id FROM t WHERE ci IN ('abc', 'XYZ');
SELECT create_imat('in_ci');
INSERT INTO t VALUES (10, 'aBc', 'a', 1), (11, 'Xyz', 'x', 1), (12, 'xyzz', 'x', 1);
UPDATE t SET ci = 'abC' WHERE id = 9;
DELETE FROM t WHERE id = 8;
TABLE imat.in_ci ORDER BY id;
SELECT exact('in_ci');
