//! Applying the buffered deltas.
//!
//! Maintained tables are brought up to date from the ones nearest the base tables upwards:
//! what a flush writes to a state is itself collected, as the delta of whatever reads that state.

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
use crate::pg::lock;

/// Applies what is collected.
pub fn now() {
    after(|| {});
}

/// Runs `body`, which writes a state directly, and flushes what that changes further up.
pub fn after(body: impl FnOnce()) {
    session::begin_flush();
    body();
    run();
    session::end_flush();
}

/// Applies what is in the buffer to every maintained table that can take it.
fn run() {
    locks::take_for_rebuilds();
    let mut begun = Vec::new();
    while let Some(next) = next() {
        // One that is being built may be gone by now, which writers need not know.
        if next.entry.queued {
            queue::append(&next, &session::take(next.entry.name));
            continue;
        }
        if let Some(next) = locks::keep_names(next) {
            let changes = session::take(next.entry.name);
            one(next, &changes, &mut begun);
        }
    }
    // All at once: each makes the session compile everything anew.
    content::begin_all(begun);
}

/// The lowest maintained table that has something to take.
fn next() -> Option<Rc<Maintained>> {
    let pending = session::pending().into_iter().map(cache::maintained);
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
        if !as_owner(&maintained, Task::Applying(&changed), || apply(&maintained, &changed, &idle, &deltas)) {
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

/// Makes the state anew from the tables as they are. No other transaction may have changes of
/// them under way, so all of them are locked, in OID order.
/// Returns whether any row was written or deleted.
fn rebuild(maintained: Rc<Maintained>) -> bool {
    locks::keep_writers_out(maintained).is_some_and(|maintained| {
        content::require(maintained.entry.state);
        as_owner(&maintained, Task::Computing, || fill(&maintained.plan, &maintained.state, can_be_stale(&maintained)))
    })
}
