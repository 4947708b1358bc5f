-- Schemas: the users' maintained tables; their states; bookkeeping.
CREATE SCHEMA imat;
CREATE SCHEMA imat_state;
CREATE SCHEMA imat_catalog;
GRANT USAGE ON SCHEMA imat, imat_state, imat_catalog TO PUBLIC;

-- One row per maintained table. Relations are regclass, so that a dump names them.
CREATE TABLE imat_catalog.imat (
    name regclass PRIMARY KEY,          -- what users read: the state, or a view over it
    state regclass NOT NULL UNIQUE,
    definition regclass NOT NULL UNIQUE, -- a view that holds the query
    source text,                        -- the view it was made from
    strategy text NOT NULL,
    construct text,                     -- why it is recomputed whole
    shape text NOT NULL,                -- the kind of key that the state was created with
    server_version integer NOT NULL,    -- where: a later server must keep its state
    depth integer NOT NULL,             -- maintained tables below it, on the longest path
    trusts_keys boolean NOT NULL,       -- the foreign keys among its tables have held all the time
    settings text[] NOT NULL,           -- name, value, name, value, ...: pinned for its expressions
    stale text,                         -- why it does not follow its base tables, if it doesn't
    target text[],                      -- schema and name to come, of one that is still being built
    queued boolean NOT NULL DEFAULT false, -- changes go to queues and not yet to the state
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Which relations' changes reach a maintained table: the table that its query reads, and the
-- partitions, children or parents through which that table's rows can change.
CREATE TABLE imat_catalog.source (
    name regclass NOT NULL,
    base regclass NOT NULL,
    relation regclass NOT NULL,
    not_null smallint[],                -- of the base: columns whose NOT NULL the state relies on
    PRIMARY KEY (relation, base, name)
);
CREATE INDEX ON imat_catalog.source (name);
CREATE INDEX ON imat_catalog.source (base);

-- Where changes of the base tables of one that is being built wait: used columns, weight, transaction.
CREATE TABLE imat_catalog.queue (
    queue regclass PRIMARY KEY,
    name regclass NOT NULL,
    base regclass NOT NULL
);
CREATE INDEX ON imat_catalog.queue (name);

-- States, each written anew when its content begins: whoever doesn't see the newest version has a snapshot from before.
CREATE TABLE imat_catalog.content (state regclass PRIMARY KEY);

-- Definitions that a dump brought where their tables had rows already: see restored.rs.
CREATE TABLE imat_catalog.doubtful (definition oid PRIMARY KEY);
GRANT SELECT ON imat_catalog.imat, imat_catalog.source, imat_catalog.queue, imat_catalog.content TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.imat', '');
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.source', '');
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.queue', '');
SELECT pg_catalog.pg_extension_config_dump('imat_catalog.content', '');

-- Whether rows can get past a foreign key, or be read that did: it is checked when the transaction ends, a trigger
-- of it is off, a cascade can be kept from a row, one of the tables has children, of whose rows it says nothing, or
-- it is yet to be validated, which will leave out partitions that were attached with a valid one.
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

-- Says of a state what it is the state of: see build/mark.rs. Nobody else can make a trigger with it, so what one says is true.
CREATE FUNCTION imat_catalog.definition() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_definition';
CREATE FUNCTION imat_catalog.arrive() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_arrive';
CREATE FUNCTION imat_catalog.replica() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_replica';
CREATE FUNCTION imat_catalog.before_command() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'imat_before_command';
CREATE FUNCTION imat_catalog.changes_owner(pg_ddl_command) RETURNS boolean LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'imat_changes_owner';
-- Whoever could call them from a trigger of his own could confuse the capture.
REVOKE ALL ON FUNCTION imat_catalog.open(), imat_catalog.capture(), imat_catalog.guard(), imat_catalog.replica(),
    imat_catalog.definition(), imat_catalog.arrive(),
    imat_catalog.before_command(), imat_catalog.changes_owner(pg_ddl_command) FROM PUBLIC;

-- Evaluated by whoever plans a query of a state, whose statistics object has it: so the library is there.
CREATE FUNCTION imat_catalog.watched() RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_watched';

CREATE FUNCTION imat_catalog.row_image(record) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_row_image';
COMMENT ON FUNCTION imat_catalog.row_image(record) IS 'SHA-256 of the row''s exact image';
CREATE FUNCTION imat_catalog.row_hash(record) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_row_hash';
-- generate_series, of which the planner expects one row: a row that is repeated is seldom there more than once.
CREATE FUNCTION imat_catalog.series(bigint, bigint) RETURNS SETOF bigint
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE ROWS 1 AS 'generate_series_int8';
-- In place of a text that is cast to a date or time, in a maintained table's definition: see pg/clock.rs.
CREATE FUNCTION imat_catalog.clockless(text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imat_clockless';
COMMENT ON FUNCTION imat_catalog.clockless(text) IS 'the text itself, unless it has a word in it that reads the clock';
-- Whoever reads or owns a maintained table calls them, also where the defaults give functions to nobody.
GRANT EXECUTE ON FUNCTION imat_catalog.is_passable(oid), imat_catalog.watched(), imat_catalog.row_image(record),
    imat_catalog.row_hash(record), imat_catalog.series(bigint, bigint), imat_catalog.clockless(text) TO PUBLIC;
