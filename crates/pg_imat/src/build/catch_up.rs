//! The builder's side of the queues of an online build.
//!
//! Under one snapshot, the builder takes the entries that this snapshot sees and applies them to the state, which then
//! equals the query's result under this snapshot.

use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::plan::references::Idle;
use imat_compile::sql::queue as sql;
use imat_compile::sql::{Sql, ddl};

use crate::build::carry_over;
use crate::build::scratch::Scratch;
use crate::catalog::bookkeeping;
use crate::catalog::cache::Maintained;
use crate::catalog::facts::{self, oid};
use crate::catalog::names::{is_taken, unused};
use crate::change::apply::apply;
use crate::change::fill::fill;
use crate::change::foreign_keys;
use crate::change::owner::{Task, as_owner};
use crate::pg::delta::Delta;
use crate::pg::progress;
use crate::pg::spi::{self, Connection, Params, Reach, Snapshot};

/// A queue's name in the scratch schema.
const QUEUE: &str = "queue";

/// Makes a queue for each base table. A note in one of them makes the first round fill the state.
pub fn create(name: u32, plan: &Plan, scratch: &Scratch) {
    const ENTRY: Sql = Sql::fixed("INSERT INTO imat_catalog.queue (queue, name, base) VALUES ($1::regclass, $2, $3)");
    let made = scratch.name(QUEUE);
    for (position, table) in plan.tables.iter().enumerate() {
        let columns = facts::columns_by_number(table.oid);
        let column = |number| columns.get(&number).cloned().unwrap_or_default();
        scratch.run(&sql::create(&made, table, column));
        if position == 0 {
            scratch.run(&sql::note(&made));
        }
        let queue = QName::new("imat_catalog", unused("queue_1", |name| is_taken("imat_catalog", name)));
        scratch.deliver(QUEUE, &queue);
        carry_over::revoke_default_grants(&queue);
        spi::run(&sql::create_index(&queue));
        spi::run_with(&ENTRY, &[queue.to_string().into(), oid(name), oid(table.oid)]);
    }
}

/// Drops the queues of a maintained table.
pub fn drop(name: u32) {
    const ENTRY: Sql = Sql::fixed("DELETE FROM imat_catalog.queue AS q WHERE q.name = $1");
    bookkeeping::queues(name).iter().for_each(|(_, queue)| spi::run(&ddl::drop_table(queue, false)));
    spi::run_with(&ENTRY, &[oid(name)]);
}

/// The entries that a round has taken from the queues.
struct Taken {
    /// There was a note: not all changed rows are known, so the state must be filled again.
    noted: bool,
    /// The deltas, each with the position of its table.
    deltas: Vec<(usize, Delta)>,
}

/// The oldest transaction that the snapshot may not see.
fn horizon(connection: &Connection) -> String {
    const HORIZON: Sql = Sql::fixed("SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text");
    connection.execute(&connection.prepare(&HORIZON, &[], Reach::Few), &Params::default(), Snapshot::Transaction);
    connection.text(1).unwrap_or_default()
}

/// Takes the entries that this transaction's snapshot sees. All of them were made by transaction `from` or later ones.
fn take(maintained: &Maintained, connection: &Connection, from: &str) -> Taken {
    let prepare = |sql: &Sql| connection.prepare(sql, &[], Reach::Few);
    let run = |sql: &Sql| connection.execute(&prepare(sql), &Params::default(), Snapshot::Transaction);
    let notes: u64 = maintained.queues.iter().map(|queue| run(&sql::take_notes(&queue.name, from))).sum();
    let mut deltas = Vec::new();
    for queue in &maintained.queues {
        match queue.table(&maintained.plan) {
            Some((position, table)) if notes == 0 => {
                let delta =
                    Delta::fetch(connection, &prepare(&sql::take(&queue.name, table, from)), &Params::default());
                deltas.extend(delta.map(|delta| (position, delta)));
            }
            _ => {
                run(&sql::skip(&queue.name, from));
            }
        }
    }
    Taken { noted: notes > 0, deltas }
}

/// Applies the queues up to this transaction's snapshot, after an earlier round with the horizon `from`. Returns the
/// horizon of this round.
pub fn catch_up(maintained: &Maintained, from: &str, activity: &str) -> String {
    as_owner(maintained, Task::Computing, || {
        let connection = Connection::open();
        let horizon = horizon(&connection);
        let taken = take(maintained, &connection, from);
        connection.close();
        if taken.noted {
            _ = progress::during(activity, || fill(&maintained.plan, &maintained.state, false));
            spi::run(&ddl::analyze(&maintained.state));
            foreign_keys::check(maintained);
        } else if !taken.deltas.is_empty() {
            let changed = taken.deltas.iter().map(|(position, _)| *position).collect();
            let done = apply(maintained, &changed, &Idle::new(), &taken.deltas);
            debug_assert!(done);
        }
        taken.deltas.into_iter().for_each(|(_, delta)| delta.end());
        horizon
    })
}
