//! The extension's settings.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

/// When changes are applied to the maintained tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum Flush {
    /// At the end of the transaction that made them.
    #[name = c"commit"]
    Commit,
    /// At the end of the statement that made them.
    #[name = c"statement"]
    Statement,
}

static FLUSH: GucSetting<Flush> = GucSetting::<Flush>::new(Flush::Statement);

/// The default is that of `max_locks_per_transaction`.
static MAX_KEY_LOCKS: GucSetting<i32> = GucSetting::<i32>::new(64);

static PUBLISH_STATES: GucSetting<bool> = GucSetting::<bool>::new(false);

/// Defines the settings, when the library is loaded.
pub fn define() {
    GucRegistry::define_enum_guc(
        c"imat.flush",
        c"Sets when changes are applied to the maintained tables.",
        c"A query that reads a maintained table sees all changes before it in any case.",
        &FLUSH,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"imat.max_key_locks",
        c"Sets how many join keys a transaction locks one by one.",
        c"Beyond that, a change of one table of a join waits for all writers of the tables that it joins, and they for it.",
        &MAX_KEY_LOCKS,
        0,
        1_000_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"imat.publish_states",
        c"Lets create_imat make what a publication FOR ALL TABLES, or of the schema, publishes.",
        c"Subscribers of PostgreSQL stop at tables that they don't have; other readers may leave them out.",
        &PUBLISH_STATES,
        GucContext::Userset,
        GucFlags::default(),
    );
}

/// When this session's changes are applied.
pub fn flush() -> Flush {
    FLUSH.get()
}

pub fn publish_states() -> bool {
    PUBLISH_STATES.get()
}

pub fn max_key_locks() -> usize {
    usize::try_from(MAX_KEY_LOCKS.get()).unwrap_or(0)
}
