//! Applying the buffered deltas.
//!
//! Maintained tables are brought up to date from the ones nearest the base tables upwards:
//! what a flush writes to a state is itself collected, as the delta of whatever reads that state.

use std::cell::OnceCell;
use std::rc::Rc;

use imat_compile::name::QName;
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Flush, Plan, Signs, Size, TableUse};
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::rebuild::DIFFERENCE;
use imat_compile::sql::render::delta_name;

use crate::blame::Doing;
use crate::buffer::{Change, Changes};
use crate::cache::{self, Maintained, Statements};
use crate::capture;
use crate::pg::context::{self, Role};
use crate::pg::delta::Delta;
use crate::pg::error::raise;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{Connection, Params, Prepared, Snapshot};
use crate::pg::xact;
use crate::{blame, locks, queue, refuse};

/// From how many rows on a change is applied by the plans made for many.
const LARGE: u64 = 200;

/// Applies what is in the buffer to every maintained table that can take it.
pub fn run() {
    locks::take_for_rebuilds();
    while let Some(next) = next() {
        // One that is being built may be gone by now, which writers need not know.
        if next.entry.queued {
            queue::append(&next, &capture::take(next.entry.name));
            continue;
        }
        if let Some(next) = settled(next) {
            let changes = capture::take(next.entry.name);
            one(next, &changes);
        }
    }
}

/// The maintained table as it is when nobody can rename or replace what its statements name.
/// PostgreSQL looks names up again when a plan has become invalid, and might find another table.
fn settled(maintained: Rc<Maintained>) -> Option<Rc<Maintained>> {
    locked(maintained, |maintained| {
        let tables = maintained.plan.tables.iter().map(|table| table.oid);
        tables.chain([maintained.entry.state]).for_each(lock::keep);
    })
}

/// The maintained table as it is when nobody else writes or makes it.
pub fn alone(maintained: Rc<Maintained>) -> Option<Rc<Maintained>> {
    locked(maintained, |maintained| {
        maintained.members.iter().for_each(|&relation| lock::relation(Purpose::Alone, relation, Mode::Share));
        lock::relation(Purpose::Alone, maintained.entry.definition, Mode::Exclusive);
    })
}

/// The maintained table as it is under locks, which may have been waited for; `None` if it was dropped meanwhile.
fn locked(mut maintained: Rc<Maintained>, lock: impl Fn(&Maintained)) -> Option<Rc<Maintained>> {
    loop {
        lock(&maintained);
        if cache::is_fresh() {
            return Some(maintained);
        }
        cache::fresh();
        maintained = cache::find(maintained.entry.name)?;
    }
}

/// The lowest maintained table that has something to take.
fn next() -> Option<Rc<Maintained>> {
    let pending = capture::pending().into_iter().map(cache::maintained);
    pending.min_by_key(|maintained| (maintained.entry.depth, maintained.entry.name))
}

fn one(maintained: Rc<Maintained>, changes: &Changes) {
    // Somebody has disabled a trigger meanwhile. It is made anew when all are enabled.
    if maintained.entry.stale.is_some() {
        return;
    }
    let tables = &maintained.plan.tables;
    let whole = maintained.is_whole();
    let change = |position: usize| changes.of(tables[position].oid);
    let lacks = |table: &TableUse, change: &Change| change.delta.iter().any(|delta| !delta.has(&table.columns));
    let is_unknown =
        |table: &TableUse, change: &Change| change.anew || !whole && (change.truncated || lacks(table, change));
    let anew = tables.iter().any(|table| changes.of(table.oid).is_some_and(|change| is_unknown(table, change)));
    let changed: TableSet = (0..tables.len())
        .filter(|&position| {
            change(position).is_some_and(|change| match whole {
                true => change.unseen || change.truncated,
                false => change.delta.is_some(),
            })
        })
        .collect();
    if anew {
        rebuild(maintained);
    } else if !changed.is_empty() {
        let deltas = match whole {
            true => Vec::new(),
            false => {
                changed.iter().filter_map(|&position| Some((position, change(position)?.delta.clone()?))).collect()
            }
        };
        let idle = idle(&maintained, &changed, &deltas);
        // Beside the table that references it there is none to which its keys could lead.
        if tables.len() == 2 && idle.len() == changed.len() {
            return;
        }
        if !within(&maintained, Doing::Applying(&changed), || apply(&maintained, &changed, &idle, &deltas)) {
            cache::fresh();
            cache::find(maintained.entry.name).into_iter().for_each(|maintained| one(maintained, changes));
        }
    }
}

/// The tables whose change makes no difference, as far as foreign keys tell.
fn idle(maintained: &Maintained, changed: &TableSet, deltas: &[(usize, Delta)]) -> Idle {
    // A transaction's snapshot may show rows that reference one which others have made sure that nobody does.
    if !maintained.entry.trusts_keys || lock::transaction_snapshot() {
        return Idle::new();
    }
    let one_way = deltas.iter().filter(|(_, delta)| delta.is_one_way()).map(|(position, _)| *position).collect();
    maintained.plan.idle(changed, &one_way)
}

/// Runs `body`, which does that, as the maintained table's owner, with the settings of its creation.
pub fn within<T>(maintained: &Maintained, doing: Doing<'_>, body: impl FnOnce() -> T) -> T {
    let role = Role::Restricted(maintained.entry.owner);
    let body = || blame::blaming(maintained, doing, body);
    context::within(role, &maintained.settings, || capture::writing(maintained.entry.state, body))
}

/// Takes the locks for the deltas of one maintained table's base tables, and applies those that are not idle.
/// Returns whether that was done: what it is made of can have changed while a lock was waited for. One that is being
/// built has no locks to wait for.
#[must_use]
pub fn apply(maintained: &Maintained, changed: &TableSet, idle: &Idle, deltas: &[(usize, Delta)]) -> bool {
    let busy: TableSet;
    let changed = if idle.is_empty() {
        changed
    } else {
        busy = changed.iter().copied().filter(|position| !idle.contains_key(position)).collect();
        &busy
    };
    let connection = Connection::open();
    let rows: u64 = deltas.iter().map(|(_, delta)| delta.count()).sum();
    let (size, row) = match deltas {
        [(table, delta)] if let Some((fate, row)) = delta.only_row(&maintained.plan.tables[*table].columns) => {
            (Size::One(fate), row)
        }
        _ => {
            let (size, expected) = if rows < LARGE { (Size::Small, 2.0) } else { (Size::Large, 10_000.0) };
            deltas.iter().for_each(|(position, delta)| delta.register(&connection, &delta_name(*position), expected));
            (size, Params::default())
        }
    };
    // Nobody else writes one that is being built.
    if !maintained.entry.queued {
        // As writing will. What is locked later makes no plan invalid.
        if !changed.is_empty() {
            lock::relation(Purpose::State, maintained.entry.state, Mode::RowExclusive);
        }
        let point = |sql: &Sql, params: &Params| connection.prepare(sql, &params.types, size != Size::Large);
        let locks = maintained.locks(changed, idle, size, |locking| locks::prepare(locking, &row, point));
        locks::take(maintained, &connection, &locks, &row, rows);
        if !cache::is_fresh() {
            connection.close();
            return false;
        }
    }
    if !changed.is_empty() {
        let prepare = |flush| prepare(&connection, flush, size, &row);
        let statements = |of: &Maintained| of.statements(changed, signs(deltas), size, prepare);
        write(maintained, &connection, statements, &row);
    }
    connection.close();
    true
}

fn signs(deltas: &[(usize, Delta)]) -> Signs {
    match deltas {
        deltas if deltas.iter().all(|(_, delta)| !delta.removals()) => Signs::Additions,
        [(_, delta)] if delta.is_of_one_statement() => Signs::Statement,
        _ => Signs::Net,
    }
}

/// Reads and writes, under the locks; the change is registered, or is this row.
fn write(maintained: &Maintained, connection: &Connection, of: impl Fn(&Maintained) -> Rc<Statements>, row: &Params) {
    let statements = of(maintained);
    if let Some(digest) = &statements.digest
        && can_be_stale(maintained)
    {
        same_under_latest(connection, digest, row);
    }
    connection.execute(&statements.apply, row, Snapshot::Transaction);
    if statements.flush.returns {
        follow_up(maintained, connection, of);
    }
    if let Some(twins) = &statements.twins
        && can_be_stale(maintained)
        && connection.execute(twins, row, Snapshot::Transaction) > 0
    {
        raise(&refuse::serialization());
    }
}

/// Recomputes what the upsert could not compute, and deletes what it emptied.
fn follow_up(maintained: &Maintained, connection: &Connection, of: impl Fn(&Maintained) -> Rc<Statements>) {
    let (emptied, dirty) = (connection.tids(1), connection.tids(2));
    if connection.number(3).unwrap_or(0) > 0 {
        return out_of_step(maintained);
    }
    if emptied.is_none() && dirty.is_none() {
        return;
    }
    // The rows may have been waited for, and a base table have got a partition meanwhile.
    let now = current(maintained.entry.name);
    let statements = of(now.as_deref().unwrap_or(maintained));
    let on = |tids: &Params, sql: &Sql| connection.prepare(sql, &tids.types, statements.size != Size::Large);
    if let (Some((tids, count)), Some((recompute, digest))) = (dirty, &statements.flush.recompute) {
        let (recompute, digest) = statements.recompute.get_or_init(|| (on(&tids, recompute), on(&tids, digest)));
        if can_be_stale(maintained) {
            same_under_latest(connection, digest, &tids);
        }
        let written = connection.execute(recompute, &tids, Snapshot::Transaction);
        if written != count as u64 {
            return out_of_step(maintained);
        }
    }
    if let (Some((tids, _)), Some(delete)) = (emptied, &statements.flush.delete) {
        connection.execute(statements.delete.get_or_init(|| on(&tids, delete)), &tids, Snapshot::Transaction);
    }
}

/// The state is not what it was: it is broken, unless rows were changed meanwhile that nobody was told of.
fn out_of_step(maintained: &Maintained) {
    current(maintained.entry.name);
    if cache::find(maintained.entry.name).is_some_and(|maintained| maintained.entry.stale.is_none()) {
        raise(&refuse::out_of_step(&maintained.display));
    }
}

/// The maintained table as other sessions' DDL has left it.
fn current(name: u32) -> Option<Rc<Maintained>> {
    xact::accept_invalidations();
    if cache::is_fresh() {
        return None;
    }
    cache::fresh();
    cache::find(name)
}

/// Whether the flush's snapshot may be too old for what it reads. While a maintained table is being
/// built, nobody else writes its state, which is brought to the moment of a snapshot.
fn can_be_stale(maintained: &Maintained) -> bool {
    lock::transaction_snapshot() && !maintained.entry.queued
}

/// Under a transaction snapshot, what is read must not have changed since it was taken: the
/// other transaction did not see this one's change, so nobody would combine the two.
fn same_under_latest(connection: &Connection, digest: &Prepared, params: &Params) {
    connection.execute(digest, params, Snapshot::Transaction);
    let mine = connection.text(1);
    connection.execute(digest, params, Snapshot::Latest);
    if mine != connection.text(1) {
        raise(&refuse::serialization());
    }
}

/// Prepares a flush whose delta is in registered relations, or a row like this one.
/// What follows the first statement is prepared when it is first needed: the state may be empty
/// before that, and a plan made for an empty table serves no other.
fn prepare(connection: &Connection, flush: Flush, size: Size, row: &Params) -> Statements {
    let on_delta = |sql: &Sql| connection.prepare(sql, &row.types, size != Size::Large);
    Statements {
        digest: flush.digest.as_ref().map(on_delta),
        apply: on_delta(&flush.apply),
        twins: flush.twins.as_ref().map(on_delta),
        recompute: OnceCell::new(),
        delete: OnceCell::new(),
        flush,
        size,
    }
}

/// Makes the state anew from the tables as they are. No other transaction may have changes of
/// them under way, so all of them are locked, in OID order.
fn rebuild(maintained: Rc<Maintained>) {
    let Some(maintained) = alone(maintained) else { return };
    within(&maintained, Doing::Computing, || fill(&maintained.plan, &maintained.state, can_be_stale(&maintained)));
}

/// Writes what a state lacks, and deletes what it should not have. Readers are in nobody's way, and
/// see the rows as they were until this transaction commits.
pub fn fill(plan: &Plan, state: &QName, can_be_stale: bool) {
    let rebuild = plan.rebuild(state);
    let connection = Connection::open();
    let prepare = |sql: &Sql| connection.prepare(sql, &[], false);
    let run = |sql: &Sql| connection.execute(&prepare(sql), &Params::default(), Snapshot::Transaction);
    if can_be_stale {
        same_under_latest(&connection, &prepare(&rebuild.digest), &Params::default());
    }
    let mut difference = None;
    if run(&rebuild.filled) == 0 {
        run(&rebuild.populate);
    } else if rebuild.possible.as_ref().is_some_and(|possible| run(possible) == 0) {
        run(&rebuild.clear);
    } else {
        difference = Delta::fetch(&connection, &prepare(&rebuild.difference));
    }
    if let Some(difference) = &difference {
        difference.register(&connection, DIFFERENCE, difference.count() as f64);
        run(&rebuild.delete);
        run(&rebuild.insert);
    }
    connection.close();
    difference.into_iter().for_each(Delta::end);
}
