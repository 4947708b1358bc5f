-- The publisher: rows before the subscription, and changes after it.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\ir ../exact.sql
CREATE TABLE root_1 PARTITION OF root FOR VALUES FROM (0) TO (500);
CREATE TABLE root_2 PARTITION OF root FOR VALUES FROM (500) TO (2000);
INSERT INTO customer SELECT i, nullif('region ' || i % 5, 'region 4'), 'customer ' || i FROM generate_series(1, 30) AS i;
INSERT INTO sale SELECT i, i % 40, i % 17, 'note ' || i % 7, repeat('x', 10) FROM generate_series(1, 400) AS i;
INSERT INTO part SELECT i, i % 20, i FROM generate_series(1, 100) AS i;
INSERT INTO root SELECT i, i % 9 FROM generate_series(1, 1000) AS i;
INSERT INTO animal VALUES (1, 'cat'), (2, 'cat');
INSERT INTO dog VALUES (3, 'dog'), (4, 'wolf');
INSERT INTO shop SELECT i, 'shop ' || i FROM generate_series(1, 3) AS i;
INSERT INTO tip SELECT i, 1 + i % 3, i FROM generate_series(1, 9) AS i;
CREATE PUBLICATION tips_alone FOR TABLE tip;
CREATE PUBLICATION shops FOR TABLE shop, visit;
CREATE PUBLICATION rows FOR TABLE customer, sale, part, animal;
CREATE PUBLICATION rows_by_root FOR TABLE root WITH (publish_via_partition_root);
-- The publisher has maintained tables too. They are published, so each needs a replica identity for its flush.
SELECT create_imat(name) FROM unnest(ARRAY['by_customer', 'extremes', 'by_region', 'lines', 'without_sale', 'total']) AS name;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION result FOR TABLE imat.by_customer;

CREATE FUNCTION below(n int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * n)::int $$;
CREATE SEQUENCE fresh START 10000;
-- One random statement.
CREATE FUNCTION step() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    size int := CASE WHEN below(10) = 0 THEN 200 ELSE 1 + below(4) END;
BEGIN
    CASE below(22)
        WHEN 0, 1, 2, 3 THEN
            INSERT INTO sale SELECT nextval('fresh'), below(40), below(30), nullif('note ' || below(9), 'note 0') FROM generate_series(1, size);
        WHEN 4, 5 THEN UPDATE sale SET amount = amount + 1 WHERE id % 50 = below(50);
        WHEN 6 THEN UPDATE sale SET customer = below(40) WHERE id % 60 = below(60);
        WHEN 7 THEN UPDATE sale SET unused = repeat(md5(random()::text), 300) WHERE id % 90 = below(90);
        WHEN 8, 9 THEN DELETE FROM sale WHERE id % 30 = below(30);
        WHEN 10 THEN INSERT INTO customer SELECT nextval('fresh'), 'region ' || below(6), 'new' FROM generate_series(1, size % 3);
        WHEN 11 THEN INSERT INTO customer VALUES (below(45), 'region ' || below(6), 'again') ON CONFLICT (id) DO UPDATE SET name = 'changed';
        WHEN 12 THEN UPDATE customer SET region = 'region ' || below(6) WHERE id % 10 = below(10);
        WHEN 13 THEN DELETE FROM customer WHERE id % 12 = below(12);
        WHEN 14 THEN INSERT INTO part SELECT nextval('fresh'), below(20), below(50) FROM generate_series(1, size);
        -- From one partition to the other.
        WHEN 15, 16 THEN UPDATE part SET k = (k + 10) % 20 WHERE id % 9 = below(9);
        WHEN 17 THEN DELETE FROM part WHERE n % 8 = below(8);
        WHEN 18 THEN INSERT INTO root SELECT id, below(50) FROM (SELECT DISTINCT below(2000) AS id FROM generate_series(1, size)) AS i ON CONFLICT DO NOTHING;
        WHEN 19 THEN UPDATE root SET id = 1999 - id WHERE id % 100 = below(100) AND NOT EXISTS (SELECT FROM root AS r WHERE r.id = 1999 - root.id);
        WHEN 20 THEN INSERT INTO animal VALUES (nextval('fresh'), 'cat'); INSERT INTO dog VALUES (nextval('fresh'), 'dog');
        ELSE
            CASE below(12)
                WHEN 0 THEN TRUNCATE sale;
                WHEN 1 THEN TRUNCATE part_1;
                WHEN 2 THEN TRUNCATE part, customer;
                WHEN 3 THEN TRUNCATE root;
                ELSE DELETE FROM animal WHERE id % 3 = below(3);
            END CASE;
    END CASE;
END $$;
-- This number of transactions of several statements, some of them in subtransactions, some rolled back.
CREATE PROCEDURE work(transactions int, seed float) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setseed(seed);
    FOR transaction IN 1 .. transactions LOOP
        FOR statement IN 1 .. 1 + below(6) LOOP
            BEGIN
                PERFORM step();
                IF below(8) = 0 THEN RAISE data_exception; END IF;
            EXCEPTION WHEN data_exception THEN NULL;
            END;
        END LOOP;
        IF below(10) = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END $$;
