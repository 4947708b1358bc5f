CREATE EXTENSION pg_imat;
\ir ../exact.sql

-- What a statement reads of a state grows with the groups that it empties or recomputes, and not with the state,
-- whatever PostgreSQL knew of it when the plans were made.
CREATE TABLE item (id int PRIMARY KEY, grp int NOT NULL, part int, sort int, val int NOT NULL);
CREATE INDEX ON item (grp);
CREATE INDEX ON item (part, sort);
CREATE VIEW plain AS SELECT grp, count(*) AS n, sum(val) AS s FROM item GROUP BY grp;
CREATE VIEW pairs AS SELECT part, sort, count(*) AS n, count(DISTINCT val) AS vals FROM item GROUP BY part, sort;
CREATE VIEW texts AS SELECT grp::text AS t, count(*) AS n, max(val) AS most FROM item GROUP BY grp::text;
CREATE VIEW bag AS SELECT grp, val FROM item;
CREATE VIEW distincts AS SELECT grp, count(*) AS n, count(DISTINCT val) AS vals FROM item GROUP BY grp;

-- The rows that this transaction read of the states and of their indexes.
CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_tuples_returned(c.oid))::bigint FROM pg_class AS c
    WHERE c.oid IN (SELECT s.state FROM imat_status AS s
        UNION ALL SELECT i.indexrelid FROM imat_status AS s JOIN pg_index AS i ON i.indrelid = s.state)
$$;
-- Runs a command that changes `groups` groups; tells if any maintained table read more than a few rows for each.
CREATE FUNCTION work(command text, groups int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE before bigint := reads(); read bigint;
BEGIN
    EXECUTE command;
    read := reads() - before;
    RETURN CASE WHEN read <= 6 * groups * (SELECT count(*) FROM imat_status) THEN 'as many as there are groups'
        ELSE format('%s rows for %s groups', read, groups) END;
END $$;
CREATE PROCEDURE fill(rows int) LANGUAGE sql AS $$
    INSERT INTO item SELECT i, i, i % 3, nullif(i, 7), i % 10 FROM generate_series(1, rows) AS i ON CONFLICT DO NOTHING
$$;
CREATE PROCEDURE work_all(first int) LANGUAGE plpgsql AS $$
DECLARE command text; groups int; told text;
BEGIN
    FOREACH groups IN ARRAY ARRAY[1, 100, 1000] LOOP
        FOREACH command IN ARRAY ARRAY['UPDATE item SET val = val + 1', 'DELETE FROM item'] LOOP
            told := work(format('%s WHERE id BETWEEN %s AND %s', command, first, first + groups - 1), groups);
            RAISE NOTICE '%, % groups: %', command, groups, told;
        END LOOP;
        first := first + groups;
    END LOOP;
END $$;

-- All plans are made while the states are empty, or nearly so, and PostgreSQL is never told how large they become.
CREATE PROCEDURE create_all() LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['plain', 'pairs', 'texts', 'bag', 'distincts'] LOOP PERFORM create_imat(name); END LOOP;
    -- An index that a condition on the count could tempt to.
    CREATE INDEX ON imat.plain (n);
END $$;
CALL create_all();
CALL fill(10);
CALL work_all(1);
CALL fill(3000);
DELETE FROM item WHERE id <= 1000;
CALL fill(12000);
CALL work_all(1);

-- The size is known to the row.
ANALYZE item, imat.plain, imat_state.pairs, imat_state.texts, imat_state.bag, imat_state.distincts;
CALL work_all(2001);

-- Under a snapshot there is a look for second rows of a key.
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL work_all(4001);
COMMIT;

-- A writer who wants other plans.
SET enable_tidscan = off;
SET enable_nestloop = off;
SET enable_seqscan = on;
SET cpu_tuple_cost = 0;
ALTER TABLE item ADD unused int;
CALL work_all(6001);
SELECT * FROM wrong;
