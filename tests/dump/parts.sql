-- Run by scripts/dump-restore after the restore of a partial dump: changes the base tables, or prints the errors.
-- Tables that are maintained must equal their queries; the others are listed.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT 'maintained: ' || count(*), 'stale: ' || count(stale) FROM imat_status WHERE status = 'ready';
CREATE VIEW wrong AS SELECT 'differs: ' || name FROM imat_status
    WHERE CASE WHEN status = 'ready' AND stale IS NULL THEN EXISTS (SELECT FROM verify_imat(name::text)) END;
TABLE wrong;
INSERT INTO sale (id, amount, region, at) VALUES (2000, 1, 'a', '2025-01-01');
UPDATE sale SET amount = amount + 1 WHERE id = 2000;
INSERT INTO parent VALUES (2000, 1);
INSERT INTO part VALUES (50, 'g', 1) ON CONFLICT DO NOTHING;
TRUNCATE span;
SELECT 'maintained: ' || count(*), 'stale: ' || count(stale) FROM imat_status WHERE status = 'ready';
TABLE wrong;
