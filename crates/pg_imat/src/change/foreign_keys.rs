//! Whether a maintained table may rely on foreign keys.
//!
//! A foreign key that the catalogs call valid can still be violated. So creating a maintained table searches for
//! orphans, rows whose referenced row is missing. Later, trust ends or the search is repeated at each event that could
//! leave an orphan: a row changed as a replica ([`note_unchecked_row`]), DDL that lets rows get past the key
//! ([`follow_keys`]), a new partition or child with rows ([`check_arrived`]), a time with disabled triggers
//! ([`check_again`]).
//!
//! **Invariant:** a session that relies on a key learns that it must not before an orphan is committed.

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

/// Ends the trust in the foreign keys of a maintained table, forever. The next writer of a referenced table must know
/// that, so this waits for writers of these tables and blocks them until this transaction ends. Writers of the other
/// tables don't rely on foreign keys, so they are not blocked. Replicas that write only those wait for each other just
/// for the update of the bookkeeping.
fn distrust(entry: &Entry) {
    trusted(|| {
        // In an online build no changes are applied yet that could rely on a key.
        if !entry.queued {
            let lock = |relation| lock::relation(Purpose::Trust, relation, Mode::Share);
            bookkeeping::referenced(entry.name).into_iter().for_each(lock);
        }
        // Before the update, so that this session drops its plans at the end of that command, not of a later one.
        xact::invalidate(entry.state);
        bookkeeping::distrust_keys(entry.name);
    });
}

/// PostgreSQL has checked no foreign keys for a changed row. This is called for each row, because a function may change
/// session_replication_role before the end of the statement.
pub fn note_unchecked_row(name: u32) {
    distrust(&cache::maintained(name).entry);
}

/// DDL may have made foreign keys of these relations passable. Trust ends even if they no longer are at the end of
/// the transaction, because an orphan that got past one stays.
pub fn follow_keys(relations: &[Oid]) {
    bookkeeping::over_passable_keys(relations)
        .into_iter()
        .filter_map(bookkeeping::entry)
        .for_each(|entry| distrust(&entry));
}

/// Whether none of these queries finds an orphan under the latest snapshot.
pub fn hold_no_orphans(queries: &[Sql]) -> bool {
    let connection = Connection::open();
    let is_orphan = |sql: &Sql| {
        connection.execute(&connection.prepare(sql, &[], Reach::Many), &Params::default(), Snapshot::Latest) > 0
    };
    let orphans = queries.iter().any(is_orphan);
    connection.close();
    !orphans
}

/// Searches all rows for orphans, after a time in which changes were not captured.
pub fn check_again(name: u32) {
    cache::revalidate();
    let maintained = cache::maintained(name);
    // The first round of an online build searches.
    if maintained.entry.queued || maintained.plan.orphans().is_empty() {
        return;
    }
    // Writers are waited for, since the search would not see their uncommitted rows.
    locks::keep_writers_out(maintained).iter().for_each(|maintained| check(maintained));
}

/// Searches all rows for orphans.
pub fn check(maintained: &Maintained) {
    check_with(maintained, &maintained.plan.orphans());
}

/// Searches the rows of new partitions and children for orphans. `arrived` has pairs (base table, new relation).
/// PostgreSQL lets a new partition keep a matching foreign key without checking its rows.
pub fn check_arrived(name: u32, arrived: &[(u32, u32)]) {
    cache::revalidate();
    let maintained = cache::maintained(name);
    let mut queries = Vec::new();
    for &(base, relation) in arrived {
        let named: Option<QName> = trusted(|| facts::name(relation));
        let orphans = named.map(|name| maintained.plan.orphans_among(base, &name)).unwrap_or_default();
        if !orphans.is_empty() && !trusted(|| can_read_all_rows(maintained.entry.owner, relation)) {
            return distrust(&maintained.entry);
        }
        queries.extend(orphans);
    }
    check_with(&maintained, &queries);
}

fn check_with(maintained: &Maintained, queries: &[Sql]) {
    if !queries.is_empty() && !as_owner(maintained, Task::Checking, || hold_no_orphans(queries)) {
        distrust(&maintained.entry);
    }
}

/// Whether a role may read a relation, and no row-level security hides rows of it.
fn can_read_all_rows(role: u32, relation: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT NOT c.relrowsecurity AND pg_catalog.has_table_privilege($1, c.oid, 'SELECT') \
             AND pg_catalog.has_schema_privilege($1, c.relnamespace, 'USAGE') \
         FROM pg_catalog.pg_class AS c WHERE c.oid = $2",
    );
    spi::first(&QUERY, &[oid(role), oid(relation)], |row| row.need(1)).unwrap_or(false)
}
