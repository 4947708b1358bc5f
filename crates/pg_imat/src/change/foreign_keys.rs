//! Whether foreign keys are to be relied on.
//!
//! "Valid" in the catalogs is not "holds". So a maintained table begins with a look for orphans, rows that
//! refer to nothing, and is told of whatever could leave one since: a row that a replica changed
//! ([`unchecked`]), a key that rows can get past ([`follow_keys`]), rows that came with their table
//! ([`look_among`]), what happened while nobody watched ([`look_again`]).
//!
//! **Invariant:** whoever relies on a key learns that it is not to be relied on before an orphan is committed.

use imat_compile::name::QName;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping::{self, Entry, trusted};
use crate::catalog::cache::{self, Maintained};
use crate::catalog::facts::{self, oid};
use crate::change::locks;
use crate::change::owner::{Task, as_owner};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{self, Connection, Params, Reach, Snapshot};
use crate::pg::xact;

/// Never again relies on the keys of a maintained table. Whoever writes a referenced table next must know that, so
/// those who do are waited for, and kept from it until this transaction is over. Writers of the other tables never
/// relied on anything, and are not kept out: of replicas that write only those one waits for another's note alone.
fn distrust(entry: &Entry) {
    trusted(|| {
        // The changes of one that is being built are not applied yet.
        if !entry.queued {
            let lock = |relation| lock::relation(Purpose::Trust, relation, Mode::Share);
            bookkeeping::referenced(entry.name).into_iter().for_each(lock);
        }
        // In this order this session forgets its plans with the update, and not at some later command.
        xact::invalidate(entry.state);
        bookkeeping::distrust_keys(entry.name);
    });
}

/// Rows have come, or gone, for which no foreign key of this maintained table was checked. That is told of each
/// row and not seen from the setting at the end of the statement, which a function may have changed meanwhile.
pub fn unchecked(name: u32) {
    distrust(&cache::maintained(name).entry);
}

/// Keys of these relations may not be what they were. What got past one stays when nothing can any more.
pub fn follow_keys(relations: &[Oid]) {
    bookkeeping::over_passable_keys(relations)
        .into_iter()
        .filter_map(bookkeeping::entry)
        .for_each(|entry| distrust(&entry));
}

/// Whether none of these queries finds an orphan, whatever the transaction's snapshot.
pub fn hold(queries: &[Sql]) -> bool {
    let connection = Connection::open();
    let is_orphan = |sql: &Sql| {
        connection.execute(&connection.prepare(sql, &[], Reach::Many), &Params::default(), Snapshot::Latest) > 0
    };
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
    locks::keep_writers_out(maintained).iter().for_each(|maintained| look(maintained));
}

/// Looks for orphans among all rows.
pub fn look(maintained: &Maintained) {
    ask(maintained, &maintained.plan.orphans());
}

/// Looks for orphans among the rows of relations, each of which came to a base table of this maintained
/// table: (base, relation). PostgreSQL adopts the foreign key of a new partition without a look at its rows.
pub fn look_among(name: u32, came: &[(u32, u32)]) {
    cache::fresh();
    let maintained = cache::maintained(name);
    let mut queries = Vec::new();
    for &(base, relation) in came {
        let named: Option<QName> = trusted(|| facts::name(relation));
        let orphans = named.map(|name| maintained.plan.orphans_among(base, &name)).unwrap_or_default();
        if !orphans.is_empty() && !trusted(|| may_read(maintained.entry.owner, relation)) {
            return distrust(&maintained.entry);
        }
        queries.extend(orphans);
    }
    ask(&maintained, &queries);
}

fn ask(maintained: &Maintained, queries: &[Sql]) {
    if !queries.is_empty() && !as_owner(maintained, Task::Checking, || hold(queries)) {
        distrust(&maintained.entry);
    }
}

/// Whether a role sees all rows of a relation when it asks for them by its name.
fn may_read(role: u32, relation: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT NOT c.relrowsecurity AND pg_catalog.has_table_privilege($1, c.oid, 'SELECT') \
             AND pg_catalog.has_schema_privilege($1, c.relnamespace, 'USAGE') \
         FROM pg_catalog.pg_class AS c WHERE c.oid = $2",
    );
    spi::first(&QUERY, &[oid(role), oid(relation)], |row| row.need(1)).unwrap_or(false)
}
