-- What scripts/dump-restore does where rows of some tables were left out. It prints a line for each maintained table that
-- differs from its query: of those in the bookkeeping at first, of all after changes.
\set ON_ERROR_STOP on
SET client_min_messages = error;
CREATE VIEW wrong AS SELECT i.name, d.difference FROM imat_catalog.imat AS i,
    LATERAL (SELECT count(*) FROM verify_imat(i.name::text)) AS d(difference) WHERE d.difference > 0;
TABLE wrong;
INSERT INTO t VALUES (1), (2), (8);
INSERT INTO u VALUES (20, 1), (21, 2);
INSERT INTO part VALUES (50, 1);
TABLE wrong;
UPDATE u SET x = x + 200 WHERE k IN (2, 20);
DELETE FROM t WHERE k = 2;
UPDATE part SET g = g + 1 WHERE id IN (3, 50);
TABLE wrong;
SELECT count(*) FROM imat_status WHERE status = 'ready';
