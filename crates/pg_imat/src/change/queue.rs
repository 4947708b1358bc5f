//! Changes that wait for a maintained table that is being built.
//!
//! Writers append what they changed instead of applying it, in their own transaction, so a queue holds
//! exactly what has been committed since.

use std::cell::OnceCell;

use imat_compile::sql::Sql;
use imat_compile::sql::queue as sql;

use crate::catalog::cache::Maintained;
use crate::catalog::statements::Queue;
use crate::change::buffer::{Change, Changes};
use crate::change::owner::{Task, as_owner};
use crate::pg::delta::Delta;
use crate::pg::lock;
use crate::pg::spi::{Connection, Params, Prepared, Reach, Snapshot};

/// Appends what a transaction changed. If the build was cut short, nobody will ask for it.
pub fn append(maintained: &Maintained, changes: &Changes) {
    if !lock::is_being_built(maintained.entry.definition) {
        return;
    }
    let whole = maintained.is_whole();
    for queue in &maintained.queues {
        match changes.of(queue.base) {
            Some(change) if change.anew || change.truncated || whole && change.unseen => note(maintained, queue),
            Some(Change { delta: Some(delta), .. }) if !whole => append_rows(maintained, queue, delta),
            _ => {}
        }
    }
}

fn append_rows(maintained: &Maintained, queue: &Queue, delta: &Delta) {
    let Some((_, table)) = queue.table(&maintained.plan) else { return };
    // A statement can learn of a table between its rows and its flush, before that is watched.
    if !delta.has(&table.columns) {
        return note(maintained, queue);
    }
    run(maintained, &queue.append, Some(delta), || sql::append(&queue.name, table));
}

fn note(maintained: &Maintained, queue: &Queue) {
    run(maintained, &queue.note, None, || sql::note(&queue.name));
}

/// Runs a statement that is prepared the first time, and may read a change.
fn run(maintained: &Maintained, kept: &OnceCell<Prepared>, change: Option<&Delta>, sql: impl FnOnce() -> Sql) {
    as_owner(maintained, Task::Queueing, || {
        let connection = Connection::open();
        change.iter().for_each(|delta| delta.register(&connection, sql::CHANGE, 2.0));
        let statement = kept.get_or_init(|| connection.prepare(&sql(), &[], Reach::Few));
        connection.execute(statement, &Params::default(), Snapshot::Transaction);
        connection.close();
    });
}

/// Makes the build begin anew.
pub fn start_again(maintained: &Maintained) {
    maintained.queues.first().into_iter().for_each(|queue| note(maintained, queue));
}
