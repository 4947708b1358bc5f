//! Applying the buffered deltas.
//!
//! Maintained tables are brought up to date from the ones nearest the base tables upwards:
//! what a flush writes to a state is itself collected, as the delta of whatever reads that state.

use std::rc::Rc;

use imat_compile::name::QName;
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Plan, Signs, TableUse};
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::rebuild::DIFFERENCE;
use imat_compile::sql::render::delta_name;

use crate::refuse;
use crate::catalog::content;
use crate::catalog::cache::{self, Maintained, Statements};
use crate::catalog::extent::Extent;
use crate::change::{capture, locks, queue, recompute};
use crate::change::blame::{self, Doing};
use crate::change::buffer::{Change, Changes};
use crate::pg::xact;
use crate::pg::context::{self, Role};
use crate::pg::delta::Delta;
use crate::pg::error::raise;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{Connection, Params, Prepared, Reach, Snapshot};

/// Applies what is in the buffer to every maintained table that can take it.
pub fn run() {
    locks::take_for_rebuilds();
    let mut begun = Vec::new();
    while let Some(next) = next() {
        // One that is being built may be gone by now, which writers need not know.
        if next.entry.queued {
            queue::append(&next, &capture::take(next.entry.name));
            continue;
        }
        if let Some(next) = settled(next) {
            let changes = capture::take(next.entry.name);
            one(next, &changes, &mut begun);
        }
    }
    // All at once: each makes the session compile everything anew.
    content::begin_all(begun);
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

/// Applies changes to a maintained table. It is added to `begun` if its content begins with them.
fn one(maintained: Rc<Maintained>, changes: &Changes, begun: &mut Vec<u32>) {
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
    let emptied = (0..tables.len()).any(|position| change(position).is_some_and(|change| change.emptied));
    let remade = (0..tables.len()).any(|position| change(position).is_some_and(|change| change.anew));
    let state = maintained.entry.state;
    let mut begins = emptied;
    if anew {
        begins |= rebuild(maintained) && remade;
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
            return cache::find(maintained.entry.name)
                .into_iter()
                .for_each(|maintained| one(maintained, changes, begun));
        }
    }
    if begins {
        begun.push(state);
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
    let (extent, row) = match deltas {
        [(table, delta)] if let Some((fate, row)) = delta.only_row(&maintained.plan.tables[*table].columns) => {
            (Extent::one(fate), row)
        }
        _ => {
            let extent = if maintained.is_whole() { Extent::WHOLE } else { Extent::of(rows) };
            let expected = f64::from(extent.expected);
            deltas.iter().for_each(|(position, delta)| delta.register(&connection, &delta_name(*position), expected));
            (extent, Params::default())
        }
    };
    // Nobody else writes one that is being built.
    if !maintained.entry.queued {
        // As writing will. What is locked later makes no plan invalid.
        if !changed.is_empty() {
            lock::relation(Purpose::State, maintained.entry.state, Mode::RowExclusive);
        }
        let prepare = |sql: &Sql, params: &Params| connection.prepare(sql, &params.types, extent.reach());
        let locks = maintained.locks(changed, idle, extent, |locking| locks::prepare(locking, &row, prepare));
        locks::take(maintained, &connection, &locks, &row, rows);
        if !cache::is_fresh() {
            connection.close();
            return false;
        }
    }
    if !changed.is_empty() {
        let statements = |of: &Maintained| of.statements(changed, signs(deltas), extent);
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
    let Statements { flush, digest, write, watched, .. } = &*statements;
    let on_delta = |sql: &Sql| connection.prepare(sql, &row.types, statements.extent.reach());
    if !can_be_stale(maintained) {
        connection.execute(write.get_or_init(|| on_delta(&flush.apply.write)), row, Snapshot::Transaction);
    } else {
        if let Some(sql) = &flush.digest {
            same_under_latest(connection, digest.get_or_init(|| on_delta(sql)), row);
        }
        connection.execute(watched.get_or_init(|| on_delta(&flush.apply.watched)), row, Snapshot::Transaction);
    }
    if flush.returns || can_be_stale(maintained) {
        follow_up(maintained, connection, of);
    }
}

/// Recomputes what the upsert could not compute, and deletes what it emptied.
fn follow_up(maintained: &Maintained, connection: &Connection, of: impl Fn(&Maintained) -> Rc<Statements>) {
    let ((emptied, emptied_count), (dirty, dirty_count)) = (connection.tids(1), connection.tids(2));
    if connection.number(3).unwrap_or(0) > 0 {
        return out_of_step(maintained);
    }
    if can_be_stale(maintained) {
        let Statements { flush, twins, .. } = &*of(maintained);
        let (written, _) = connection.tids(4);
        let twins = twins.get_or_init(|| connection.prepare(&flush.apply.twins, &written.types, Reach::Few));
        if connection.execute(twins, &written, Snapshot::Transaction) > 0 {
            raise(&refuse::serialization());
        }
    }
    if emptied_count == 0 && dirty_count == 0 {
        return;
    }
    // The rows may have been waited for, and a base table have got a partition meanwhile.
    let now = current(maintained.entry.name);
    let Statements { flush, recompute, delete, .. } = &*of(now.as_deref().unwrap_or(maintained));
    if let (1.., Some(sql)) = (dirty_count, &flush.recompute)
        && recompute::run(connection, sql, recompute, &dirty, can_be_stale(maintained)) != dirty_count as u64
    {
        return out_of_step(maintained);
    }
    if let (1.., Some(sql)) = (emptied_count, &flush.delete) {
        let delete = delete.get_or_init(|| connection.prepare(sql, &emptied.types, Reach::Tids));
        connection.execute(delete, &emptied, Snapshot::Transaction);
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
pub fn same_under_latest(connection: &Connection, digest: &Prepared, params: &Params) {
    connection.execute(digest, params, Snapshot::Transaction);
    let mine = connection.text(1);
    connection.execute(digest, params, Snapshot::Latest);
    if mine != connection.text(1) {
        raise(&refuse::serialization());
    }
}

/// Makes the state anew from the tables as they are. No other transaction may have changes of
/// them under way, so all of them are locked, in OID order.
/// Returns whether any row was written or deleted.
fn rebuild(maintained: Rc<Maintained>) -> bool {
    alone(maintained).is_some_and(|maintained| {
        content::require(maintained.entry.state);
        within(&maintained, Doing::Computing, || fill(&maintained.plan, &maintained.state, can_be_stale(&maintained)))
    })
}

/// Writes what a state lacks, and deletes what it should not have; returns whether there was any such row. Readers
/// are in nobody's way, and see the rows as they were until this transaction commits.
pub fn fill(plan: &Plan, state: &QName, can_be_stale: bool) -> bool {
    let rebuild = plan.rebuild(state);
    let connection = Connection::open();
    let prepare = |sql: &Sql| connection.prepare(sql, &[], Reach::Many);
    let run = |sql: &Sql| connection.execute(&prepare(sql), &Params::default(), Snapshot::Transaction);
    if can_be_stale {
        same_under_latest(&connection, &prepare(&rebuild.digest), &Params::default());
    }
    let mut difference = None;
    let written = if run(&rebuild.filled) == 0 {
        run(&rebuild.populate)
    } else if rebuild.possible.as_ref().is_some_and(|possible| run(possible) == 0) {
        run(&rebuild.clear)
    } else {
        difference = Delta::fetch(&connection, &prepare(&rebuild.difference), &Params::default());
        difference.as_ref().map_or(0, Delta::count)
    };
    if let Some(difference) = &difference {
        difference.register(&connection, DIFFERENCE, difference.count() as f64);
        run(&rebuild.delete);
        run(&rebuild.insert);
    }
    connection.close();
    difference.into_iter().for_each(Delta::end);
    written > 0
}
