-- The subscriber. The maintained tables exist before the first row arrives. From version 16 on a worker writes as the
-- tables' owner, who has no other privileges.
\set ON_ERROR_STOP on
\ir ../exact.sql
-- Partitioned differently from the publisher.
CREATE TABLE root_even PARTITION OF root FOR VALUES FROM (0) TO (1500);
CREATE TABLE root_rest PARTITION OF root DEFAULT;
DO $$
DECLARE relation regclass;
BEGIN
    CREATE ROLE regress_replicated;
    FOR relation IN SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
        AND c.relname NOT IN ('imat_status', 'wrong') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO regress_replicated', relation);
    END LOOP;
END $$;
SELECT create_imat(name) FROM unnest(ARRAY['by_customer', 'extremes', 'by_region', 'lines', 'without_sale', 'total',
    'parts', 'leaf', 'sold_parts', 'roots', 'kinds', 'dogs', 'visits', 'tips']) AS name;
CREATE VIEW stacked AS SELECT n, count(*) AS customers, sum(total) AS total FROM imat.by_customer GROUP BY n;
SELECT create_imat('stacked');
