//! What of the extension PostgreSQL calls. It is handed down once, as `pg` imports nothing from above.

use std::sync::OnceLock;

use super::transition::Transition;

/// What fired a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Rows,
    Truncate,
}

/// What a query that is about to start reads.
pub struct Reading {
    pub tables: Vec<u32>,
    /// It calls functions of users, which can read anything, under its snapshot or in parallel.
    pub opaque: bool,
    /// Its snapshot is nobody else's, so that it can still be given one that sees the flush.
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
    /// One that can replace a view: that, if it exists.
    Replace(Option<u32>),
}

/// All entrances, by who calls. `is_ours` says whether a trigger is called as we call ours.
pub struct Entrances {
    /// Triggers of a base table: a statement begins,
    pub statement_begins: fn(relation: u32, is_ours: bool),
    /// is over, with its rows,
    pub statement_ends: fn(relation: u32, event: Event, rows: &Transition, is_ours: bool),
    /// and a row was changed in a session that is a replica.
    pub row_replicated: fn(relation: u32, row: &Transition, is_ours: bool),
    /// The trigger of a state, or of the view over it, that somebody changes.
    pub state_changed: fn(relation: u32, name: &str),
    /// The trigger of a table of the bookkeeping: whether a row that a dump brings, told by its first columns, is
    /// known already.
    pub is_known: fn(table: &[u8], columns: [u32; 3]) -> bool,
    /// All rows of a statement of that kind have come.
    pub bookkeeping_arrived: fn(),

    /// The executor: whether a query could read something too early,
    pub must_flush_before_read: fn() -> bool,
    /// what one is about to read; whether it has to be given a new snapshot,
    pub before_read: fn(reading: &Reading) -> bool,
    /// whether the statement that begins is a flush's own,
    pub is_own_statement: fn() -> bool,
    /// and which tables' MERGEs fire their triggers now, and how many are over.
    pub merges_begin: fn(tables: &[u32]),
    pub merges_end: fn(count: usize),

    /// Event triggers: a command begins, which may be ALTER TABLE, and is over,
    pub command_begins: fn(alters_table: bool, command: &Command),
    pub command_ends: fn(alters_table: bool),
    /// and objects were dropped.
    pub objects_dropped: fn(),

    /// Transactions and subtransactions.
    pub before_commit: fn(),
    pub transaction_ends: fn(),
    pub subtransaction_released: fn(mine: u32, parent: u32),
    pub subtransaction_aborted: fn(mine: u32),
    /// An invalidation: whether anything was compiled from this relation.
    pub depends_on: fn(relation: u32) -> bool,

    /// CALL create_imat(view, online, schema), where `atomic` says that it can't commit.
    pub create_procedure: fn(view: Option<&str>, online: Option<bool>, schema: Option<&str>, atomic: bool),
}

static ENTRANCES: OnceLock<Entrances> = OnceLock::new();

/// Registers the callbacks, when the library is loaded.
pub fn open(entrances: Entrances) {
    _ = ENTRANCES.set(entrances);
}

/// The entrances. PostgreSQL calls nothing of a library that it has not loaded.
pub fn entrances() -> &'static Entrances {
    ENTRANCES.get().unwrap_or_else(|| unreachable!("the library is not loaded"))
}
