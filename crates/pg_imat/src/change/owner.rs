//! Runs work on a maintained table as its owner, and adds context to errors.
//!
//! If an expression of a view fails, the role that writes a base table gets the error, and may not know the view. So
//! the error's context names the maintained table and the task, and its detail adds what the message does not say.

use imat_compile::rel::TableSet;

use crate::catalog::cache::Maintained;
use crate::change::session;
use crate::pg::context::{self, Role};
use crate::pg::error::explaining;

/// The kinds of work on a maintained table.
#[derive(Clone, Copy)]
pub enum Task<'a> {
    /// Applying a change of these base tables.
    Applying(&'a TableSet),
    /// Computing the whole content.
    Computing,
    /// Appending a change to a queue, during an online build.
    Queueing,
    /// Searching the base tables for orphans.
    Checking,
}

/// Runs `body`, which does this task for a maintained table, as its owner and with its pinned settings.
pub fn as_owner<T>(maintained: &Maintained, task: Task<'_>, body: impl FnOnce() -> T) -> T {
    let explain = |state: &str| maintained.error_sources.explain(context(maintained, task), state);
    let body = || explaining(&explain, body);
    let role = Role::Restricted(maintained.entry.owner);
    context::as_role(role, &maintained.settings, || session::writing(maintained.entry.state, body))
}

fn context(maintained: &Maintained, task: Task<'_>) -> String {
    let name = &maintained.display;
    match task {
        Task::Applying(changed) => {
            let tables = changed.iter().map(|&table| maintained.plan.tables[table].name.to_string());
            let tables = tables.collect::<Vec<String>>().join(" and ");
            format!("applying a change of {tables} to maintained table {name}")
        }
        Task::Computing => format!("computing maintained table {name}"),
        Task::Queueing => format!("collecting a change for maintained table {name}"),
        Task::Checking => format!("checking the foreign keys below maintained table {name}"),
    }
}
