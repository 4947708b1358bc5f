//! Applying a change to one maintained table.

use std::rc::Rc;

use imat_compile::plan::Signs;
use imat_compile::plan::references::Idle;
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::render::delta_name;

use crate::catalog::cache::{self, Maintained};
use crate::catalog::extent::Extent;
use crate::catalog::statements::Statements;
use crate::change::digest::{can_be_stale, same_under_latest};
use crate::change::{locks, recompute};
use crate::pg::delta::Delta;
use crate::pg::error::raise;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{Connection, Params, Reach, Snapshot};
use crate::pg::xact;
use crate::refuse;

/// Takes the locks for the deltas of one maintained table's base tables, and applies the deltas that are not idle.
/// Returns false if nothing was applied, because DDL invalidated the plan while a lock was waited for. An online build
/// takes no locks here.
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
    // During an online build no other session writes the state.
    if !maintained.entry.queued {
        // The same lock that the write takes. If it is held before the plans are checked, getting it later can't
        // invalidate them.
        if !changed.is_empty() {
            lock::relation(Purpose::State, maintained.entry.state, Mode::RowExclusive);
        }
        let prepare = |sql: &Sql, params: &Params| connection.prepare(sql, &params.types, extent.reach());
        let locks = maintained.locks(changed, idle, extent, |locking| locks::prepare(locking, &row, prepare));
        locks::take(maintained, &connection, &locks, &row, rows);
        if !cache::is_valid() {
            connection.close();
            return false;
        }
    }
    if !changed.is_empty() {
        let signs = signs(deltas);
        let statements = |of: &Maintained| of.statements(changed, of.plan.relevant(signs), extent);
        write(maintained, &connection, statements, &row);
    }
    connection.close();
    true
}

fn signs(deltas: &[(usize, Delta)]) -> Signs {
    match deltas {
        deltas if deltas.iter().all(|(_, delta)| !delta.removals()) => Signs::Additions,
        [(_, delta)] if delta.is_of_one_statement() => Signs::Statement,
        deltas if deltas.iter().all(|(_, delta)| delta.is_of_one_statement() || delta.is_one_way()) => Signs::Net,
        _ => Signs::Passing,
    }
}

/// Reads and writes under the locks. The change is in the registered deltas, or is `row`.
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

/// Recomputes the groups that the upsert could not compute, and deletes the rows whose count it set to 0.
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
    // While the upsert waited for row locks, a partition may have been attached to a base table.
    let now = current(maintained.entry.name);
    let Statements { flush, recompute, delete, .. } = &*of(now.as_deref().unwrap_or(maintained));
    if let (1.., Some(sql)) = (dirty_count, &flush.recompute)
        && recompute::run(connection, sql, recompute, (&dirty, dirty_count), can_be_stale(maintained))
            != dirty_count as u64
    {
        return out_of_step(maintained);
    }
    if let (1.., Some(sql)) = (emptied_count, &flush.delete) {
        let delete = delete.get_or_init(|| connection.prepare(sql, &emptied.types, Reach::Tids));
        connection.execute(delete, &emptied, Snapshot::Transaction);
    }
}

/// The state does not fit the delta. That is an error, unless the table has become stale meanwhile.
fn out_of_step(maintained: &Maintained) {
    current(maintained.entry.name);
    if cache::find(maintained.entry.name).is_some_and(|maintained| maintained.entry.stale.is_none()) {
        raise(&refuse::out_of_step(&maintained.display));
    }
}

/// The maintained table compiled again, if other sessions' DDL has invalidated its plan.
fn current(name: u32) -> Option<Rc<Maintained>> {
    xact::accept_invalidations();
    if cache::is_valid() {
        return None;
    }
    cache::revalidate();
    cache::find(name)
}
