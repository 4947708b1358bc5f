//! What a query uses that is no relation: functions, operators, types and the like.
//!
//! Nobody sees what another transaction has not committed. So whoever creates a maintained table locks
//! what its query uses before reading it, and whoever alters such an object locks that before looking for
//! the maintained tables that use it. The one who comes second then sees what the other one did.
//! Neither kind excludes itself, and what has nothing in common does not wait.
//!
//! Objects are locked before tables where the command allows; ALTER TABLE has its table first, and may deadlock (40P01).

use std::cell::Cell;
use std::collections::BTreeSet;

use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::dependents::{self, Bookkeeping, Object};
use crate::catalog::facts::oid;
use crate::pg::lock::{self, Mode};
use crate::pg::{spi, xact};

/// So many a transaction locks one by one, and then all. One that restores a dump would fill the lock table.
const MOST: u32 = 64;

thread_local! {
    static ALTERED: Cell<u32> = const { Cell::new(0) };
}

fn object(row: &spi::Row) -> Object {
    (row.oid(1), row.oid(2))
}

/// Keeps what the view's query uses from being altered; returns whether some of it was not `kept` before.
pub fn keep(view: u32, kept: &mut BTreeSet<Object>) -> bool {
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

/// The maintained tables whose query can mean something else since these objects were altered.
pub fn redefine(bookkeeping: &Bookkeeping, altered: impl IntoIterator<Item = Object>) -> Vec<Oid> {
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
    // Locked every time, since a savepoint that is rolled back gives the lock on all of them back.
    lock::object((altered < MOST).then_some(object), Mode::RowExclusive);
}

/// The transaction has ended.
pub fn end_transaction() {
    ALTERED.set(0);
}
