//! Locks on functions, operators, types and other objects that a query uses.
//!
//! A transaction does not see uncommitted changes of another one. So create_imat locks the objects that its query uses
//! before it reads them, and a command that alters such an object locks it before looking for maintained tables that
//! use it. The second of the two waits for the first, and then sees its changes. Two create_imat don't wait for each
//! other, nor do two such commands, nor transactions with different objects.
//!
//! Objects are locked before tables if the command allows that. ALTER TABLE locks its table first, and may deadlock
//! (40P01).

use std::cell::Cell;
use std::collections::BTreeSet;

use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::dependents::{self, Bookkeeping, Object};
use crate::catalog::facts::oid;
use crate::pg::lock::{self, Mode};
use crate::pg::{spi, xact};

/// After this many objects a transaction locks all objects at once, since restoring a dump would fill the lock table.
const MOST: u32 = 64;

thread_local! {
    static ALTERED: Cell<u32> = const { Cell::new(0) };
}

fn object(row: &spi::Row) -> Object {
    (row.oid(1), row.oid(2))
}

/// Locks the objects that the view's query uses against being altered. Returns whether any is new in `kept`.
pub fn lock_used(view: u32, kept: &mut BTreeSet<Object>) -> bool {
    const USED: Sql = Sql::fixed(
        "SELECT p.class, p.object FROM imat_catalog.parts($1) AS p \
         WHERE p.class NOT IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass, \
             'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_language'::pg_catalog.regclass) ORDER BY 1, 2",
    );
    let used = spi::rows(&USED, &[oid(view)], object);
    let new: Vec<Object> = used.into_iter().filter(|&used| kept.insert(used)).collect();
    if !new.is_empty() {
        lock::object(None, Mode::Share);
    }
    new.iter().for_each(|&new| lock::object(Some(new), Mode::Share));
    !new.is_empty()
}

/// Locks altered objects. Returns the maintained tables whose query may use them.
pub fn lock_altered(bookkeeping: &Bookkeeping, altered: impl IntoIterator<Item = Object>) -> Vec<Oid> {
    let objects: BTreeSet<Object> = altered.into_iter().flat_map(dependents::redefined).collect();
    if objects.is_empty() {
        return Vec::new();
    }
    xact::register();
    objects.iter().copied().for_each(alter);
    bookkeeping.callers(objects).into_iter().map(Oid::from).collect()
}

fn alter(object: Object) {
    let altered = ALTERED.get();
    ALTERED.set(altered.saturating_add(1));
    // The lock on all objects is taken each time, since rolling back to a savepoint may have released it.
    lock::object((altered < MOST).then_some(object), Mode::RowExclusive);
}

/// Forgets the count at the end of the transaction.
pub fn end_transaction() {
    ALTERED.set(0);
}
