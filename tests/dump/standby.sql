-- Run by scripts/replica on a hot standby, which can't write.
\set ON_ERROR_STOP off
SELECT pg_is_in_recovery(), status, count(*) FROM imat_status GROUP BY status ORDER BY status;
SELECT * FROM imat.by_region ORDER BY region;
TABLE imat.total;
SELECT s.name, count(v) FROM (SELECT name FROM imat_status WHERE status = 'ready') AS s LEFT JOIN LATERAL verify_imat(s.name::text) AS v ON true GROUP BY s.name HAVING count(v) > 0;
SELECT count(*) > 3 FROM explain_imat('by_region');
SELECT * FROM check_imat('SELECT count(*) FROM sale');
SELECT verify_imat('total', repair => true);
SELECT refresh_imat('total');
SELECT create_imat('by_region', 'public');
SELECT drop_imat('total');
INSERT INTO sale (id, amount, at) VALUES (1000, 1, now());
