//! Whose view an error is of.
//!
//! An expression of a view fails in the face of whoever writes to a base table, or has a maintained table made. He is
//! told which one, what was being done with it, and what he can't see from the message.

use imat_compile::rel::TableSet;

use crate::catalog::cache::Maintained;
use crate::pg::error::{Explanation, explaining};

/// What is done with a maintained table.
#[derive(Clone, Copy)]
pub enum Doing<'a> {
    /// A change of these of its tables is applied.
    Applying(&'a TableSet),
    /// All of it is computed.
    Computing,
    /// A change is put aside, while it is being built.
    Queueing,
    /// Rows of its tables are looked for that refer to nothing.
    Checking,
}

/// What can fail in a query.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// Its subqueries that must not return more than a row.
    pub subqueries: Vec<String>,
    /// Functions of users, which run under a search path that they may not expect.
    pub functions: bool,
}

/// Runs `body`, which does that with a maintained table.
pub fn blaming<T>(maintained: &Maintained, doing: Doing<'_>, body: impl FnOnce() -> T) -> T {
    explaining(&|state| maintained.suspects.explain(context(maintained, doing), state), body)
}

fn context(maintained: &Maintained, doing: Doing<'_>) -> String {
    let name = &maintained.display;
    match doing {
        Doing::Applying(changed) => {
            let tables = changed.iter().map(|&table| maintained.plan.tables[table].name.to_string());
            let tables = tables.collect::<Vec<String>>().join(" and ");
            format!("applying a change of {tables} to maintained table {name}")
        }
        Doing::Computing => format!("computing maintained table {name}"),
        Doing::Queueing => format!("collecting a change for maintained table {name}"),
        Doing::Checking => format!("checking the foreign keys below maintained table {name}"),
    }
}

impl Suspects {
    /// What to tell of an error with this SQLSTATE.
    pub fn explain(&self, context: String, state: &str) -> Explanation {
        let detail = (state == CARDINALITY_VIOLATION && !self.subqueries.is_empty())
            .then(|| format!("It is one of these that its query has: {}.", self.subqueries.join("; ")));
        let hint = (self.functions && UNRESOLVED.contains(&state)).then(|| SET_PATH.to_owned());
        Explanation { context, detail, hint }
    }
}

const CARDINALITY_VIOLATION: &str = "21000";

/// The SQLSTATEs of names that were not found: of a function, a table, a schema, and of other things.
pub const UNRESOLVED: [&str; 4] = ["42883", "42P01", "3F000", "42704"];

/// What to do about them.
pub const SET_PATH: &str = "Functions that a view calls find only pg_catalog on the search path. If it is one of them that \
                            looked for this, write the schema in it, or call ALTER FUNCTION ... SET search_path for it.";
