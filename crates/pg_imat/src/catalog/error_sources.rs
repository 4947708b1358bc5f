//! What an error in a maintained table's query can be of.

use crate::pg::error::Explanation;

/// What can fail in a query.
#[derive(Clone, Debug, Default)]
pub struct ErrorSources {
    /// Its subqueries that must not return more than a row.
    pub subqueries: Vec<String>,
    /// Functions of users, which run under a search path that they may not expect.
    pub functions: bool,
}

impl ErrorSources {
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
