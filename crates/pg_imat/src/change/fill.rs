//! Writes the query's current result to a state.

use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::sql::Sql;
use imat_compile::sql::rebuild::DIFFERENCE;

use crate::change::digest::same_under_latest;
use crate::pg::delta::Delta;
use crate::pg::spi::{Connection, Params, Reach, Snapshot};

/// Inserts the rows that a state lacks, and deletes those that the query does not return. Returns whether there were
/// any. Readers don't wait, and see the old rows until this transaction commits.
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
