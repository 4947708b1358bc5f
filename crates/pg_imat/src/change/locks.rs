//! The locks of a flush.
//!
//! A flush visits maintained tables in one order, from the lowest upwards, and takes at each of them
//! first its locks and then, writing, its rows. Two flushes thus can't wait for each other.

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
    /// Whether those of this many changed rows are, where no more than `most` can be locked.
    fn are_asked_for(&self, rows: u64, most: usize) -> bool {
        let limit = ROWS_A_KEY.saturating_mul(most);
        rows <= limit as u64
            && match self {
                Keys::Query(query) => query.expected().is_none_or(|rows| rows <= limit as f64),
                Keys::Columns(_) => true,
                Keys::All => false,
            }
    }
}

thread_local! {
    /// How many keys the transaction holds, by the subtransaction that locked them, outer ones first:
    /// what is rolled back gives its locks back.
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

/// From how many rows for each key that may be locked on, changed ones or such as must be followed from them,
/// nobody asks for their keys: that would cost more than to wait for all.
const ROWS_A_KEY: usize = 100;

/// For changes like that of this row, or for registered ones.
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

/// How many keys are wanted, and the changed row.
fn limited(keys: usize, row: &Params) -> Params {
    Params::number(keys as i64).and(row)
}

/// Waits for the locks of a change of this many rows, and takes note of what others did meanwhile.
///
/// PostgreSQL looks at what other sessions have done to its catalogs when it gets a lock on a table that it did
/// not have. So a transaction that goes on writing the same tables would not see a partition that somebody attached to
/// another one of the join, nor rows in it.
pub fn take(maintained: &Maintained, connection: &Connection, locks: &Locks, row: &Params, rows: u64) {
    let view = maintained.entry.definition;
    match locks {
        Locks::Rows => return,
        // A relation that nothing else ever locks.
        Locks::View => lock::relation(Purpose::Whole, view, Mode::Exclusive),
        Locks::Keys(steps) => steps.iter().for_each(|(sides, keys)| step(view, connection, sides, keys, row, rows)),
    }
    xact::accept_invalidations();
}

/// Locks the keys of some edges, or all of their keys where there are too many.
fn step(view: u32, connection: &Connection, sides: &[(u16, Side)], keys: &Keys, row: &Params, rows: u64) {
    let most = setting::max_key_locks();
    let found = keys.are_asked_for(rows, most).then(|| found(connection, keys, row, most + 1));
    let mut wanted = Wanted::default();
    // Of more there may be some that were not asked for.
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

/// Whether no more of these keys than that are not held yet.
fn has_room(view: u32, found: &[(u16, Side, i32)], room: usize) -> bool {
    let is_new = |&&(edge, side, key): &&(u16, Side, i32)| !lock::holds_key(view, edge, key, mode(side));
    found.len() <= room || found.iter().filter(is_new).count() <= room
}

/// The keys of a step, each once, no more than `most` where there can be any number.
fn found(connection: &Connection, keys: &Keys, row: &Params, most: usize) -> Vec<(u16, Side, i32)> {
    let mut found: Vec<(u16, Side, i32)> = match keys {
        Keys::Query(query) => {
            // What others have committed decides what there is to meet, whatever this transaction sees.
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

/// Compatible with itself, and not with that of the other side.
fn mode(side: Side) -> Mode {
    match side {
        Side::Child => Mode::RowExclusive,
        Side::Parent => Mode::Share,
    }
}

/// Locks on targets of edges.
#[derive(Default)]
struct Wanted(Vec<((u16, Target), Mode)>);

impl Wanted {
    fn add(&mut self, edge: u16, target: Target, mode: Mode) {
        self.0.push(((edge, target), mode));
    }

    /// Each once, in the order in which everybody takes them. Whoever needs both modes must not get one after
    /// the other, as another could hold the first too.
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

/// Locks the tables of what is to be made anew, in one order, before the flush has any other lock:
/// whoever is changing them may be about to wait for one.
pub fn take_for_rebuilds() {
    let truncated = session::truncated().into_iter().flat_map(|base| cache::readers(base).to_vec());
    shut_out(truncated.chain(session::remade()).collect());
}

/// Waits for all that write the base tables of these maintained tables, and keeps them out. Those that are
/// recomputed whole have a lock for that, and those that are being built are not written.
pub fn shut_out(readers: BTreeSet<u32>) {
    let readers = readers.into_iter().filter_map(cache::find);
    let locked = readers.filter(|maintained| !maintained.is_whole() && !maintained.entry.queued);
    let members: BTreeSet<u32> = locked.flat_map(|maintained| maintained.members.clone()).collect();
    members.into_iter().for_each(|relation| lock::relation(Purpose::ShutOut, relation, Mode::Share));
}

/// Locks these relations in one order; raises an error where that has not been done in time.
pub fn together(purpose: Purpose, relations: BTreeSet<u32>, mode: Mode, until: Instant) {
    for relation in relations {
        lock::relation(purpose, relation, mode);
        if Instant::now() > until {
            raise(&refuse::lock_not_available());
        }
    }
}

/// What a subtransaction holds belongs to its parent now.
pub fn release_subtransaction(mine: u32, parent: u32) {
    if let Some((_, keys)) = HELD.with_borrow_mut(|held| held.pop_if(|(last, _)| *last == mine)) {
        hold(parent, keys);
    }
}

/// Its locks are gone.
pub fn abort_subtransaction(mine: u32) {
    HELD.with_borrow_mut(|held| held.retain(|(owner, _)| *owner < mine));
}

/// The transaction is over, and its locks are gone.
pub fn end_transaction() {
    HELD.with_borrow_mut(Vec::clear);
}

/// The maintained table as it is when nobody can rename or replace what its statements name.
/// PostgreSQL looks names up again when a plan has become invalid, and might find another table.
pub fn keep_names(maintained: Rc<Maintained>) -> Option<Rc<Maintained>> {
    while_locked(maintained, |maintained| {
        let tables = maintained.plan.tables.iter().map(|table| table.oid);
        tables.chain([maintained.entry.state]).for_each(lock::keep);
    })
}

/// The maintained table as it is when nobody else writes or makes it.
pub fn keep_writers_out(maintained: Rc<Maintained>) -> Option<Rc<Maintained>> {
    while_locked(maintained, |maintained| {
        maintained.members.iter().for_each(|&relation| lock::relation(Purpose::Rebuild, relation, Mode::Share));
        lock::relation(Purpose::Rebuild, maintained.entry.definition, Mode::Exclusive);
    })
}

/// The maintained table as it is under locks, which may have been waited for; `None` if it was dropped meanwhile.
fn while_locked(mut maintained: Rc<Maintained>, lock: impl Fn(&Maintained)) -> Option<Rc<Maintained>> {
    loop {
        lock(&maintained);
        if cache::is_fresh() {
            return Some(maintained);
        }
        cache::fresh();
        maintained = cache::find(maintained.entry.name)?;
    }
}
