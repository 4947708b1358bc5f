-- The subscriber: its tables belong to a role that may do nothing else, and maintained tables are
-- there before the first row comes.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\ir ../exact.sql
-- Partitioned otherwise than on the publisher.
CREATE TABLE root_even PARTITION OF root FOR VALUES FROM (0) TO (1500);
CREATE TABLE root_rest PARTITION OF root DEFAULT;
SELECT create_imat(name) FROM unnest(ARRAY['by_customer', 'extremes', 'by_region', 'lines', 'without_sale', 'total',
    'parts', 'leaf', 'sold_parts', 'roots', 'kinds', 'dogs']) AS name;
CREATE VIEW stacked AS SELECT n, count(*) AS customers, sum(total) AS total FROM imat.by_customer GROUP BY n;
SELECT create_imat('stacked');
