-- The schemas of maintained tables, of states that are not maintained tables themselves, and of the bookkeeping.
CREATE SCHEMA imat;
CREATE SCHEMA imat_state;
CREATE SCHEMA imat_catalog;
GRANT USAGE ON SCHEMA imat, imat_state, imat_catalog TO PUBLIC;

-- One row per maintained table. Relations are regclass, so that a dump names them.
CREATE TABLE imat_catalog.imat (
    name regclass PRIMARY KEY,          -- what users read: the state, or a view over it
    state regclass NOT NULL UNIQUE,
    definition regclass NOT NULL UNIQUE, -- a view that holds the query
    source text,                        -- the view that it was made from
    strategy text NOT NULL,
    construct text,                     -- why it is recomputed whole
    shape text NOT NULL,                -- the kind of key that the state was created with
    server_version integer NOT NULL,    -- the server that created the state: later ones must keep its form
    depth integer NOT NULL,             -- the number of maintained tables below it, on the longest path
    trusts_keys boolean NOT NULL,       -- whether it may rely on foreign keys between its base tables
    settings text[] NOT NULL,           -- name, value, name, value, ...: pinned for its expressions
    stale text,                         -- the reason, if it does not follow its base tables
    target text[],                      -- its final schema and name, during an online build
    queued boolean NOT NULL DEFAULT false, -- whether changes go to the queues instead of the state
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The relations whose changes reach a maintained table: its base tables, and their partitions, children and
-- parents, through which the rows of the base table can change.
CREATE TABLE imat_catalog.source (
    name regclass NOT NULL,
    base regclass NOT NULL,
    relation regclass NOT NULL,
    not_null smallint[],                -- the base table's columns whose NOT NULL the state relies on
    PRIMARY KEY (relation, base, name)
);
CREATE INDEX ON imat_catalog.source (name);
CREATE INDEX ON imat_catalog.source (base);

-- The queues of online builds: tables with the used columns of a base table, the weight and the transaction.
CREATE TABLE imat_catalog.queue (
    queue regclass PRIMARY KEY,
    name regclass NOT NULL,
    base regclass NOT NULL
);
CREATE INDEX ON imat_catalog.queue (name);

-- A row for each state, updated when its content begins: a snapshot that doesn't see the newest version is older.
CREATE TABLE imat_catalog.content (state regclass PRIMARY KEY);

-- Definitions that were restored when their base tables had rows already: see restored.rs.
CREATE TABLE imat_catalog.doubtful (definition oid PRIMARY KEY);
GRANT SELECT ON imat_catalog.imat, imat_catalog.source, imat_catalog.queue, imat_catalog.content TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.imat', '');
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.source', '');
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.queue', '');
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.content', '');

-- Whether queries can see rows that violate a foreign key: it is deferrable, one of its triggers is disabled, a trigger
-- or rule can prevent a cascade, one of the tables has inheritance children, whose rows it does not cover, or it is NOT
-- VALID on a partitioned table, whose later validation does not check partitions that have a valid key of their own.
CREATE FUNCTION imat_catalog.is_passable(key oid) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE keys AS (
        SELECT c.* FROM pg_constraint AS c WHERE c.oid = $1
        UNION SELECT c.* FROM keys AS k JOIN pg_constraint AS c ON c.conparentid = k.oid)
    SELECT EXISTS (SELECT FROM keys AS k WHERE k.condeferrable)
        OR EXISTS (SELECT FROM keys AS k JOIN pg_trigger AS t ON t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A'))
        OR EXISTS (SELECT FROM keys AS k JOIN pg_class AS r ON r.oid = k.conrelid
            WHERE NOT (k.confdeltype IN ('a', 'r') AND k.confupdtype IN ('a', 'r'))
            AND (r.relhasrules OR EXISTS (SELECT FROM pg_trigger AS t
                WHERE t.tgrelid = r.oid AND NOT t.tgisinternal AND t.tgtype & 3 = 3)))
        OR EXISTS (SELECT FROM keys AS k JOIN pg_class AS r ON r.oid IN (k.conrelid, k.confrelid)
            WHERE r.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhparent = r.oid))
        OR EXISTS (SELECT FROM keys AS k JOIN pg_class AS r ON r.oid = k.conrelid
            WHERE r.relkind = 'p' AND NOT k.convalidated) $$;

CREATE FUNCTION imat_catalog.open() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_open';
CREATE FUNCTION imat_catalog.capture() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_capture';
CREATE FUNCTION imat_catalog.guard() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_guard';

-- The function of a state's mark: see build/mark.rs. Only the extension's owner can make a trigger with it, so marks
-- can be trusted.
CREATE FUNCTION imat_catalog.definition() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_definition';
CREATE FUNCTION imat_catalog.arrive() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_arrive';
CREATE FUNCTION imat_catalog.replica() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_replica';
CREATE FUNCTION imat_catalog.before_command() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_before_command';
CREATE FUNCTION imat_catalog.changes_owner(pg_ddl_command) RETURNS boolean LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'imat_changes_owner';
-- A user's trigger that called these could confuse the capture.
REVOKE ALL ON FUNCTION imat_catalog.open(), imat_catalog.capture(), imat_catalog.guard(), imat_catalog.replica(),
    imat_catalog.definition(), imat_catalog.arrive(),
    imat_catalog.before_command(), imat_catalog.changes_owner(pg_ddl_command) FROM PUBLIC;

-- In the expression of each state's statistics object: the planner evaluates it for a query of the state, which loads
-- the library.
CREATE FUNCTION imat_catalog.watched() RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_watched';

CREATE FUNCTION imat_catalog.row_image(record) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_row_image';
COMMENT ON FUNCTION imat_catalog.row_image(record) IS 'SHA-256 of the row''s exact image';
CREATE FUNCTION imat_catalog.row_hash(record) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_row_hash';
-- generate_series with an estimate of one row, since most rows of a state occur once.
CREATE FUNCTION imat_catalog.series(bigint, bigint) RETURNS SETOF bigint
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE ROWS 1 AS 'generate_series_int8';
-- Applied to each text that is cast to a date or time in a definition: see pg/clock.rs.
CREATE FUNCTION imat_catalog.clockless(text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_clockless';
COMMENT ON FUNCTION imat_catalog.clockless(text) IS 'the text itself, unless it has a word in it that reads the clock';
-- Readers and owners of maintained tables call these. Granted explicitly, in case default privileges don't.
GRANT EXECUTE ON FUNCTION imat_catalog.is_passable(oid), imat_catalog.watched(), imat_catalog.row_image(record),
    imat_catalog.row_hash(record), imat_catalog.series(bigint, bigint), imat_catalog.clockless(text) TO PUBLIC;
