//! Whether foreign keys are to be relied on.
//!
//! "Valid" in the catalogs is not "holds". So a maintained table begins with a look for orphans, rows that
//! refer to nothing, and is told of whatever could leave one since: a row that a replica changed
//! ([`unchecked`]), a key that rows can get past ([`follow_keys`]), what happened while nobody watched
//! ([`look_again`]).
//!
//! **Invariant:** whoever relies on a key learns that it is not to be relied on before an orphan is committed.

use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::cache::{self, Maintained};
use crate::catalog::{self, Entry, trusted};
use crate::flush;
use crate::pg::lock::{self, Mode};
use crate::pg::spi::{Connection, Params, Snapshot};
use crate::pg::xact;

/// Never again relies on the keys of a maintained table. Whoever writes a referenced table next must know that, so
/// those who do are waited for, and kept from it until this transaction is over. Writers of the other tables never
/// relied on anything: replicas that write only those don't wait for each other here.
fn distrust(entry: &Entry) {
    trusted(|| {
        // The changes of one that is being built are not applied yet.
        if !entry.queued {
            catalog::referenced(entry.name).into_iter().for_each(|relation| lock::relation(relation, Mode::Share));
        }
        // In this order this session forgets its plans with the update, and not at some later command.
        xact::invalidate(entry.state);
        catalog::distrust_keys(entry.name);
    });
}

/// Rows have come, or gone, for which no foreign key of this maintained table was checked. That is told of each
/// row and not seen from the setting at the end of the statement, which a function may have changed meanwhile.
pub fn unchecked(name: u32) {
    distrust(&cache::maintained(name).entry);
}

/// Whether a maintained table relies on foreign keys, or would if they were validated.
pub fn relies_on_keys(maintained: &Maintained) -> bool {
    maintained.entry.trusts_keys
        && !maintained.is_whole()
        && maintained.bases.len() > 1
        && !trusted(|| catalog::referenced(maintained.entry.name)).is_empty()
}

/// Keys of these relations may not be what they were. What got past one stays when nothing can any more.
pub fn follow_keys(relations: &[Oid]) {
    catalog::over_passable_keys(relations).into_iter().filter_map(catalog::entry).for_each(|entry| distrust(&entry));
}

/// Whether none of these queries finds an orphan, whatever the transaction's snapshot.
pub fn hold(queries: &[Sql]) -> bool {
    let connection = Connection::open();
    let is_orphan =
        |sql: &Sql| connection.execute(&connection.prepare(sql, &[], false), &Params::default(), Snapshot::Latest) > 0;
    let orphans = queries.iter().any(is_orphan);
    connection.close();
    !orphans
}

/// Looks for orphans among all rows, after a time in which nobody was told of changes.
pub fn look_again(name: u32) {
    cache::fresh();
    let maintained = cache::maintained(name);
    // The first round of a build will look.
    if maintained.entry.queued || maintained.plan.orphans().is_empty() {
        return;
    }
    // Of what is not committed yet nothing is seen.
    flush::alone(maintained).iter().for_each(|maintained| look(maintained));
}

/// Looks for orphans among all rows.
pub fn look(maintained: &Maintained) {
    let queries = maintained.plan.orphans();
    if !queries.is_empty() && !flush::within(maintained, || hold(&queries)) {
        distrust(&maintained.entry);
    }
}
