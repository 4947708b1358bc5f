-- MERGE into a maintained table that is a view.
-- requires: 17
CREATE EXTENSION pg_imat;
CREATE TABLE t (a integer, n integer);
CREATE VIEW means AS SELECT a, avg(n) AS mean FROM t GROUP BY a;
SELECT create_imat('means');
INSERT INTO t VALUES (1, 1);
MERGE INTO imat.means AS m USING t ON t.a = m.a WHEN MATCHED THEN DELETE;
MERGE INTO imat.means AS m USING t ON t.a = m.a WHEN MATCHED THEN UPDATE SET mean = 0;
MERGE INTO imat.means AS m USING t ON t.a = m.a + 1 WHEN NOT MATCHED THEN INSERT VALUES (9, 9);
TABLE imat.means;
