//! The locks of a flush.
//!
//! Every flush visits maintained tables in the same order, lowest first. For each it takes the key locks
//! first, then the row locks by writing. So two flushes can't deadlock.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Instant;

use imat_compile::plan::locks::Side;
use imat_compile::sql::Sql;
use imat_compile::sql::locks::{self, Locking, Step};

use crate::catalog::cache::{self, Maintained};
use crate::catalog::statements::{Keys, Locks};
use crate::change::session;
use crate::pg::error::raise;
use crate::pg::lock::{self, Mode, Purpose, Target};
use crate::pg::record::Record;
use crate::pg::spi::{Connection, Params, Prepared, Snapshot};
use crate::pg::{setting, xact};
use crate::refuse;

impl Keys {
    /// Whether it is worth computing the keys of this many changed rows, if at most `most` keys can be locked.
    fn are_computed(&self, rows: u64, most: usize) -> bool {
        let limit = ROWS_PER_KEY.saturating_mul(most);
        rows <= limit as u64
            && match self {
                Keys::Query(query) => query.expected().is_none_or(|rows| rows <= limit as f64),
                Keys::Columns(_) => true,
                Keys::All => false,
            }
    }
}

thread_local! {
    /// How many keys the transaction has locked, by subtransaction, outer ones first. The rollback of a
    /// subtransaction releases its locks.
    static HELD: RefCell<Vec<(u32, usize)>> = const { RefCell::new(Vec::new()) };
}

fn held() -> usize {
    HELD.with_borrow(|held| held.iter().map(|(_, keys)| keys).sum())
}

fn hold(subtransaction: u32, more: usize) {
    HELD.with_borrow_mut(|held| match held.last_mut() {
        Some((last, keys)) if *last == subtransaction => *keys += more,
        _ => held.push((subtransaction, more)),
    });
}

/// With more rows than this for each key that may be locked (changed rows, or rows that are read to find keys), keys
/// are not computed: that would cost more than waiting for all writers.
const ROWS_PER_KEY: usize = 100;

/// Prepares the statements that find the keys, for a change of one row with these parameters or for registered deltas.
pub fn prepare(locking: Locking, row: &Params, prepare: impl Fn(&Sql, &Params) -> Prepared) -> Locks {
    let of_columns = |(edge, side, columns)| (edge, side, Record::new(row, columns));
    let keys = |keys| match keys {
        locks::Keys::Query(query) => Keys::Query(prepare(&query, &limited(0, row))),
        locks::Keys::Columns(keys) => Keys::Columns(keys.into_iter().map(of_columns).collect()),
        locks::Keys::All => Keys::All,
    };
    match locking {
        Locking::Rows => Locks::Rows,
        Locking::View => Locks::View,
        Locking::Keys(steps) => {
            Locks::Keys(steps.into_iter().map(|Step { sides, keys: found }| (sides, keys(found))).collect())
        }
    }
}

/// The parameters of a query for keys: the most keys to return, and the changed row.
fn limited(keys: usize, row: &Params) -> Params {
    Params::number(keys as i64).and(row)
}

/// Takes the locks for a change of this many rows, then accepts invalidations from other sessions.
///
/// PostgreSQL accepts invalidations only when it gets a table lock that the transaction did not hold yet. So without
/// this a transaction that keeps writing the same tables would not notice that a partition was attached to
/// another table of the join, and would miss its rows.
pub fn take(maintained: &Maintained, connection: &Connection, locks: &Locks, row: &Params, rows: u64) {
    let view = maintained.entry.definition;
    match locks {
        Locks::Rows => return,
        // Nothing else locks the definition, so the lock stands for the whole view.
        Locks::View => lock::relation(Purpose::Whole, view, Mode::Exclusive),
        Locks::Keys(steps) => steps.iter().for_each(|(sides, keys)| step(view, connection, sides, keys, row, rows)),
    }
    xact::accept_invalidations();
}

/// Locks the keys of some edges, or all keys of these edges if there are too many.
fn step(view: u32, connection: &Connection, sides: &[(u16, Side)], keys: &Keys, row: &Params, rows: u64) {
    let most = setting::max_key_locks();
    let found = keys.are_computed(rows, most).then(|| found(connection, keys, row, most + 1));
    let mut wanted = Wanted::default();
    // If the query returns more than `most` keys, its LIMIT may have cut off others.
    let all = found.filter(|found| found.len() <= most);
    match all.filter(|all| has_room(view, all, most.saturating_sub(held()))) {
        Some(all) => all.into_iter().for_each(|(edge, side, key)| {
            wanted.add(edge, Target::Writers(side), Mode::RowExclusive);
            wanted.add(edge, Target::Key(key), mode(side));
        }),
        None => sides.iter().for_each(|&(edge, side)| {
            wanted.add(edge, Target::Writers(side), Mode::RowExclusive);
            wanted.add(edge, Target::Writers(side.other()), Mode::Share);
        }),
    }
    for ((edge, target), mode) in wanted.in_order() {
        if lock::key(view, edge, target, mode) && matches!(target, Target::Key(_)) {
            hold(xact::subtransaction(), 1);
        }
    }
}

/// Whether at most `room` of these keys are new, that is, not held yet.
fn has_room(view: u32, found: &[(u16, Side, i32)], room: usize) -> bool {
    let is_new = |&&(edge, side, key): &&(u16, Side, i32)| !lock::holds_key(view, edge, key, mode(side));
    found.len() <= room || found.iter().filter(is_new).count() <= room
}

/// The distinct keys of a step; a query returns at most `most`.
fn found(connection: &Connection, keys: &Keys, row: &Params, most: usize) -> Vec<(u16, Side, i32)> {
    let mut found: Vec<(u16, Side, i32)> = match keys {
        Keys::Query(query) => {
            // Under the latest snapshot, since the changed rows also join rows that this transaction's can't see.
            connection.execute(query, &limited(most, row), Snapshot::Latest);
            let side = |side| if side == 0 { Side::Child } else { Side::Parent };
            connection.integers().into_iter().map(|[edge, of, key]| (edge as u16, side(of), key)).collect()
        }
        Keys::Columns(keys) => {
            keys.iter().filter_map(|(edge, side, record)| Some((*edge, *side, record.hash(row)?))).collect()
        }
        Keys::All => Vec::new(),
    };
    found.sort_unstable();
    found.dedup();
    found
}

/// The mode for one side's keys: it is compatible with itself and conflicts with the other side's.
fn mode(side: Side) -> Mode {
    match side {
        Side::Child => Mode::RowExclusive,
        Side::Parent => Mode::Share,
    }
}

/// The locks to take: edge, target and mode.
#[derive(Default)]
struct Wanted(Vec<((u16, Target), Mode)>);

impl Wanted {
    fn add(&mut self, edge: u16, target: Target, mode: Mode) {
        self.0.push(((edge, target), mode));
    }

    /// Each target once, in the order in which all sessions lock. If both modes are needed, they are combined into one
    /// lock: taken one after the other, two sessions could both hold the first and deadlock on the second.
    fn in_order(self) -> Vec<((u16, Target), Mode)> {
        let mut wanted = self.0;
        wanted.sort_unstable_by_key(|(what, _)| *what);
        wanted.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same && next.1 != kept.1 {
                kept.1 = Mode::ShareRowExclusive;
            }
            same
        });
        wanted
    }
}

/// Locks the base tables of all maintained tables that the flush is to rebuild, in one order, before it takes any other
/// lock: a writer of these tables may be about to wait for one.
pub fn take_for_rebuilds(is_wanted: impl Fn(u32) -> bool) {
    let readers = session::with_unknown_rows().into_iter().flat_map(|base| cache::readers(base).to_vec());
    let mut readers: BTreeSet<u32> = readers.chain(session::due_rebuilds()).filter(|&name| is_wanted(name)).collect();
    if !readers.is_empty() {
        readers.retain(|name| session::pending().contains(name));
        lock_out_writers(readers);
    }
}

/// Waits for all writers of the base tables of these maintained tables, and blocks new ones. Views that are
/// recomputed whole have a lock of their own for that, and online builds are not written by a flush.
pub fn lock_out_writers(readers: BTreeSet<u32>) {
    let readers = readers.into_iter().filter_map(cache::find);
    let locked = readers.filter(|maintained| !maintained.is_whole() && !maintained.entry.queued);
    let members: BTreeSet<u32> = locked.flat_map(|maintained| maintained.members.clone()).collect();
    members.into_iter().for_each(|relation| lock::relation(Purpose::ShutOut, relation, Mode::Share));
}

/// Locks these relations in OID order. Raises an error if that takes longer than `until`.
pub fn lock_all(purpose: Purpose, relations: BTreeSet<u32>, mode: Mode, until: Instant) {
    for relation in relations {
        lock::relation(purpose, relation, mode);
        if Instant::now() > until {
            raise(&refuse::lock_not_available());
        }
    }
}

/// Counts the keys of a released subtransaction for its parent.
pub fn release_subtransaction(mine: u32, parent: u32) {
    if let Some((_, keys)) = HELD.with_borrow_mut(|held| held.pop_if(|(last, _)| *last == mine)) {
        hold(parent, keys);
    }
}

/// Forgets the keys of a rolled back subtransaction, whose locks PostgreSQL has released.
pub fn abort_subtransaction(mine: u32) {
    HELD.with_borrow_mut(|held| held.retain(|(owner, _)| *owner < mine));
}

/// Forgets all keys at the end of the transaction.
pub fn end_transaction() {
    HELD.with_borrow_mut(Vec::clear);
}

/// Locks the tables that the statements of a maintained table name against being renamed or replaced, and returns the
/// maintained table as it is then. PostgreSQL resolves names again when a plan is invalidated, and might find another
/// table.
pub fn keep_names(maintained: Rc<Maintained>) -> Option<Rc<Maintained>> {
    while_locked(maintained, |maintained| {
        let tables = maintained.plan.tables.iter().map(|table| table.oid);
        tables.chain([maintained.entry.state]).for_each(lock::protect);
    })
}

/// Locks a maintained table against flushes and rebuilds by other sessions, and returns it as it is then.
pub fn keep_writers_out(maintained: Rc<Maintained>) -> Option<Rc<Maintained>> {
    while_locked(maintained, |maintained| {
        maintained.members.iter().for_each(|&relation| lock::relation(Purpose::Rebuild, relation, Mode::Share));
        lock::relation(Purpose::Rebuild, maintained.entry.definition, Mode::Exclusive);
    })
}

/// Takes locks, and repeats that until the maintained table did not change while they were waited for. Returns `None`
/// if it was dropped meanwhile.
fn while_locked(mut maintained: Rc<Maintained>, lock: impl Fn(&Maintained)) -> Option<Rc<Maintained>> {
    loop {
        lock(&maintained);
        if cache::is_valid() {
            return Some(maintained);
        }
        cache::revalidate();
        maintained = cache::find(maintained.entry.name)?;
    }
}
