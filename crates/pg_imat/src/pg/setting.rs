//! The extension's settings.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

/// The default is that of `max_locks_per_transaction`.
static MAX_KEY_LOCKS: GucSetting<i32> = GucSetting::<i32>::new(64);

static PUBLISH_STATES: GucSetting<bool> = GucSetting::<bool>::new(false);

/// Defines the settings, when the library is loaded.
pub fn define() {
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

pub fn publish_states() -> bool {
    PUBLISH_STATES.get()
}

pub fn max_key_locks() -> usize {
    usize::try_from(MAX_KEY_LOCKS.get()).unwrap_or(0)
}
