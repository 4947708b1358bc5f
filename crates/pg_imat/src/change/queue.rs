//! The queues of an online build.
//!
//! Writers append their deltas to a queue instead of applying them, in their own transaction. So a snapshot sees in
//! the queue exactly the deltas that were committed before it.

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

/// Appends the changes of a transaction, unless the build has ended early: then no one reads the queue.
pub fn append(maintained: &Maintained, changes: &Changes) {
    if !lock::is_being_built(maintained.entry.definition) {
        return;
    }
    let whole = maintained.is_whole();
    for queue in &maintained.queues {
        match changes.of(queue.base) {
            Some(change) if change.rebuild || change.rows_unknown || whole && change.without_rows => {
                note(maintained, queue)
            }
            Some(Change { delta: Some(delta), .. }) if !whole => append_rows(maintained, queue, delta),
            _ => {}
        }
    }
}

fn append_rows(maintained: &Maintained, queue: &Queue, delta: &Delta) {
    let Some((_, table)) = queue.table(&maintained.plan) else { return };
    // The build can begin between a statement's capture and its flush. Then the delta may lack columns.
    if !delta.has(&table.columns) {
        return note(maintained, queue);
    }
    run(maintained, &queue.append, Some(delta), || sql::append(&queue.name, table));
}

fn note(maintained: &Maintained, queue: &Queue) {
    run(maintained, &queue.note, None, || sql::note(&queue.name));
}

/// Runs a statement, which may read `change`. It is prepared at the first use.
fn run(maintained: &Maintained, kept: &OnceCell<Prepared>, change: Option<&Delta>, sql: impl FnOnce() -> Sql) {
    as_owner(maintained, Task::Queueing, || {
        let connection = Connection::open();
        change.iter().for_each(|delta| delta.register(&connection, sql::CHANGE, 2.0));
        let statement = kept.get_or_init(|| connection.prepare(&sql(), &[], Reach::Few));
        connection.execute(statement, &Params::default(), Snapshot::Transaction);
        connection.close();
    });
}

/// Makes the build fill the state again from the query.
pub fn restart_build(maintained: &Maintained) {
    maintained.queues.first().into_iter().for_each(|queue| note(maintained, queue));
}
