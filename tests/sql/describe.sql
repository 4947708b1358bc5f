-- explain_imat, check_imat and imat_status.
CREATE EXTENSION pg_imat;
\ir ../exact.sql

CREATE TABLE t (a integer NOT NULL, b integer NOT NULL, c text);
CREATE TABLE u (a integer NOT NULL, label text);
CREATE VIEW simple AS SELECT a, sum(b) AS s, count(*) AS k FROM t GROUP BY a;
CREATE VIEW joined AS SELECT u.label, min(t.b) AS m FROM t JOIN u ON u.a = t.a GROUP BY u.label;
CREATE VIEW lists AS SELECT a, string_agg(c, ',' ORDER BY c) AS cs FROM t GROUP BY a;
CREATE VIEW whole_ AS SELECT DISTINCT a FROM t;
CREATE VIEW rows_ AS SELECT a FROM t;
SELECT create_imat('simple'), create_imat('joined'), create_imat('lists'), create_imat('whole_'), create_imat('rows_');
-- The statements themselves are the compiler's own tests; here: the lines around them.
SELECT name, line FROM imat_status, explain_imat(name::text) AS line WHERE line !~ '^    (Applies|Recomputes|Deletes)';
SELECT count(*) > 0 AS has_sql FROM explain_imat('simple') AS line WHERE line ~ '^    Applies: ';
SELECT * FROM explain_imat('nothing');
SELECT * FROM explain_imat('t');

SELECT * FROM check_imat('SELECT a, sum(b) FROM t GROUP BY a');
SELECT * FROM check_imat('SELECT a, array_agg(b) FROM t GROUP BY a');
SELECT * FROM check_imat('SELECT a FROM t LEFT JOIN u USING (a)');
SELECT * FROM check_imat('SELECT a, now() FROM t');
SELECT * FROM check_imat('SELECT a, random() FROM t;');
SELECT * FROM check_imat('SELECT ctid FROM t');
SELECT * FROM check_imat('SELECT relname FROM pg_class');
SELECT * FROM check_imat('SELECT 1');
SELECT * FROM check_imat('SELECT a, a FROM t');
SELECT * FROM check_imat('SELECT count(*), count(*) FROM t');
SELECT * FROM check_imat('SELECT nothing FROM t');
SELECT * FROM check_imat('DELETE FROM t');
SELECT * FROM check_imat('SELECT 1; SELECT 2');
SELECT * FROM check_imat('');
-- It leaves nothing behind.
SELECT relname FROM pg_class WHERE relname IN ('imat_query', 'guard');

INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y');
INSERT INTO u VALUES (1, 'one');
ANALYZE imat.simple, imat_state.joined;
SELECT name, strategy, construct, source, state, base_tables, rows, size > 0 AS has_size, created_at <= now() AS created FROM imat_status ORDER BY name::text;
\d imat_status
