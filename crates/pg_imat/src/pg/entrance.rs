//! The functions of the extension that PostgreSQL calls. `lib.rs` passes them down as a table, because `pg` imports
//! nothing from above.

use std::sync::OnceLock;

use super::transition::Transition;

/// The kind of event that fired a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Rows,
    Truncate,
}

/// The tables and functions that a query reads, before it starts.
pub struct Reading {
    pub tables: Vec<u32>,
    /// Whether it calls user-defined functions, which can read anything, under its snapshot or in parallel.
    pub opaque: bool,
    /// Whether no other query uses its snapshot, so that it can get a new one that sees the flush.
    pub fresh: bool,
}

/// A command that begins.
pub enum Command {
    Alter {
        /// The table of which a partition is detached in two transactions.
        detached: Option<u32>,
        /// A table, and the columns that get another type.
        retyped: Option<(u32, Vec<String>)>,
    },
    /// The relations that are dropped.
    Drop(Vec<u32>),
    /// A command that can replace a view: the view, if it exists.
    Replace(Option<u32>),
}

/// The table of functions. `is_ours` says whether the trigger has the name that pg_imat gives it.
pub struct Entrances {
    /// Triggers of a base table: a statement begins.
    pub statement_begins: fn(relation: u32, is_ours: bool),
    /// A statement has ended, with its changed rows.
    pub statement_ends: fn(relation: u32, event: Event, rows: &Transition, is_ours: bool),
    /// A row was changed while session_replication_role is `replica`.
    pub row_replicated: fn(relation: u32, row: &Transition, is_ours: bool),
    /// The guard of a state, or of the view over it: a statement writes to it.
    pub state_changed: fn(relation: u32, name: &str),
    /// The trigger of a table of the bookkeeping: whether a row that a restore inserts, identified by its first
    /// columns, exists already.
    pub is_known: fn(table: &[u8], columns: [u32; 3]) -> bool,
    /// A statement has inserted rows into the bookkeeping.
    pub bookkeeping_arrived: fn(),

    /// The executor: whether collected changes must be flushed before a query reads maintained tables.
    pub must_flush_before_read: fn() -> bool,
    /// Flushes what a query is about to read; returns whether the query needs a new snapshot.
    pub before_read: fn(reading: &Reading) -> bool,
    /// Before a command that is no query.
    pub before_command: fn(),
    /// Whether the statement that begins is a flush's own.
    pub is_own_statement: fn() -> bool,
    /// MERGEs into these tables fire their AFTER triggers; `count` of them have ended.
    pub merges_begin: fn(tables: &[u32]),
    pub merges_end: fn(count: usize),

    /// Event triggers: a command, possibly an ALTER TABLE, begins or has ended.
    pub command_begins: fn(alters_table: bool, command: &Command),
    pub command_ends: fn(alters_table: bool),
    /// Objects were dropped.
    pub objects_dropped: fn(),

    /// Transactions and subtransactions.
    pub before_commit: fn(),
    pub transaction_ends: fn(),
    pub subtransaction_released: fn(mine: u32, parent: u32),
    pub subtransaction_aborted: fn(mine: u32),
    /// An invalidation: whether the cache was derived from this relation.
    pub depends_on: fn(relation: u32) -> bool,

    /// CALL create_imat(view, online, schema). `atomic` means that it can't commit.
    pub create_procedure: fn(view: Option<&str>, online: Option<bool>, schema: Option<&str>, atomic: bool),
}

static ENTRANCES: OnceLock<Entrances> = OnceLock::new();

/// Registers the functions, when the library is loaded.
pub fn open(entrances: Entrances) {
    _ = ENTRANCES.set(entrances);
}

/// The table of functions.
pub fn entrances() -> &'static Entrances {
    ENTRANCES.get().unwrap_or_else(|| unreachable!("the library is not loaded"))
}
