//! Work on a maintained table is done as its owner, and errors in it say so.
//!
//! An expression of a view fails in the face of whoever writes to a base table, or has a maintained table made. He is
//! told which one, what was being done with it, and what he can't see from the message.

use imat_compile::rel::TableSet;

use crate::catalog::cache::Maintained;
use crate::change::session;
use crate::pg::context::{self, Role};
use crate::pg::error::explaining;

/// What is done with a maintained table.
#[derive(Clone, Copy)]
pub enum Task<'a> {
    /// A change of these of its tables is applied.
    Applying(&'a TableSet),
    /// All of it is computed.
    Computing,
    /// A change is put aside, while it is being built.
    Queueing,
    /// Rows of its tables are looked for that refer to nothing.
    Checking,
}

/// Runs `body`, which does that with a maintained table, as its owner, with the settings of its creation.
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
