//! Applies the buffered deltas.
//!
//! Maintained tables over base tables only are updated first, then those over them, and so on. The rows that a
//! flush writes to a state are collected as the delta for the maintained tables that read this state.

use std::collections::BTreeSet;
use std::rc::Rc;

use imat_compile::plan::TableUse;
use imat_compile::plan::references::Idle;
use imat_compile::rel::TableSet;

use crate::catalog::cache::{self, Maintained};
use crate::catalog::content;
use crate::change::apply::apply;
use crate::change::buffer::{Change, Changes};
use crate::change::digest::can_be_stale;
use crate::change::fill::fill;
use crate::change::owner::{Task, as_owner};
use crate::change::{locks, queue, session};
use crate::pg::delta::Delta;
use crate::pg::{lock, xact};

/// Applies the collected changes.
pub fn now() {
    after(|| {});
}

/// Runs `body`, which writes a state directly, and flushes the maintained tables that read this state.
pub fn after(body: impl FnOnce()) {
    session::begin_flush();
    body();
    xact::still_writable(|| run(|_| true));
    session::end_flush(true);
}

/// Applies the collected changes to these maintained tables, among them all below each.
pub fn only(wanted: &BTreeSet<u32>) {
    session::begin_flush();
    xact::still_writable(|| run(|name| wanted.contains(&name)));
    session::end_flush(false);
}

/// Raises an error if a base table is being changed. Otherwise applies the collected changes, so that the `action` that
/// follows finds all maintained tables exact.
pub fn before(action: &str) {
    session::require_idle(action);
    if !session::is_empty() {
        now();
    }
}

/// Applies the buffer to every maintained table that `is_wanted` and has no base table with an open statement.
fn run(is_wanted: impl Fn(u32) -> bool) {
    locks::take_for_rebuilds(&is_wanted);
    let mut new_content = Vec::new();
    while let Some(next) = next(&is_wanted) {
        // An online build that was cleared away is no error for writers.
        if next.entry.queued {
            queue::append(&next, &session::take(next.entry.name));
            continue;
        }
        if let Some(next) = locks::keep_names(next) {
            let changes = session::take(next.entry.name);
            apply_to(next, &changes, &mut new_content);
        }
    }
    // In one call, because each call makes the session compile all its plans again.
    content::begin_all(new_content);
}

/// The lowest maintained table with pending changes.
fn next(is_wanted: impl Fn(u32) -> bool) -> Option<Rc<Maintained>> {
    let pending = session::pending().into_iter().filter(|&name| is_wanted(name)).map(cache::maintained);
    pending.min_by_key(|maintained| (maintained.entry.depth, maintained.entry.name))
}

/// Applies changes to a maintained table. Its state is added to `new_content` if older snapshots can't read the new
/// content.
fn apply_to(maintained: Rc<Maintained>, changes: &Changes, new_content: &mut Vec<u32>) {
    // A trigger was disabled meanwhile. The table is rebuilt when all triggers are enabled again.
    if maintained.entry.stale.is_some() {
        return;
    }
    let tables = &maintained.plan.tables;
    let whole = maintained.is_whole();
    let change = |position: usize| changes.of(tables[position].oid);
    let lacks = |table: &TableUse, change: &Change| change.delta.iter().any(|delta| !delta.has(&table.columns));
    let is_unknown =
        |table: &TableUse, change: &Change| change.rebuild || !whole && (change.rows_unknown || lacks(table, change));
    let must_rebuild = tables.iter().any(|table| changes.of(table.oid).is_some_and(|change| is_unknown(table, change)));
    let changed: TableSet = (0..tables.len())
        .filter(|&position| {
            change(position).is_some_and(|change| match whole {
                true => change.without_rows || change.rows_unknown,
                false => change.delta.is_some(),
            })
        })
        .collect();
    let truncated = (0..tables.len()).any(|position| change(position).is_some_and(|change| change.truncated));
    let requested = (0..tables.len()).any(|position| change(position).is_some_and(|change| change.rebuild));
    let state = maintained.entry.state;
    let mut begins = truncated;
    if must_rebuild {
        begins |= rebuild(maintained) && requested;
    } else if !changed.is_empty() {
        let deltas = match whole {
            true => Vec::new(),
            false => {
                changed.iter().filter_map(|&position| Some((position, change(position)?.delta.clone()?))).collect()
            }
        };
        let idle = idle(&maintained, &changed, &deltas);
        // In a join of two tables an idle change locks nothing, since there is no third table to join its rows with.
        if tables.len() == 2 && idle.len() == changed.len() {
            return;
        }
        if !as_owner(&maintained, Task::Applying(&changed), || apply(&maintained, &changed, &idle, &deltas)) {
            cache::revalidate();
            return cache::find(maintained.entry.name)
                .into_iter()
                .for_each(|maintained| apply_to(maintained, changes, new_content));
        }
    }
    if begins {
        new_content.push(state);
    }
}

/// The referenced tables whose change can't affect the result, because of foreign keys.
fn idle(maintained: &Maintained, changed: &TableSet, deltas: &[(usize, Delta)]) -> Idle {
    // A transaction snapshot may show referencing rows that another transaction has deleted since.
    if !maintained.entry.trusts_keys || lock::transaction_snapshot() {
        return Idle::new();
    }
    let one_way = deltas.iter().filter(|(_, delta)| delta.is_one_way()).map(|(position, _)| *position).collect();
    maintained.plan.idle(changed, &one_way)
}

/// Recomputes the state from the base tables. No other transaction may have uncommitted changes of these, so all of
/// them are locked, in OID order. Returns whether any row was written or deleted.
fn rebuild(maintained: Rc<Maintained>) -> bool {
    locks::keep_writers_out(maintained).is_some_and(|maintained| {
        content::require(maintained.entry.state);
        as_owner(&maintained, Task::Computing, || fill(&maintained.plan, &maintained.state, can_be_stale(&maintained)))
    })
}
