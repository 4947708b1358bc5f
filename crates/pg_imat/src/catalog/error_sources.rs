//! Explains errors of a maintained table's query.

use crate::pg::error::Explanation;

/// The parts of a query whose errors need an explanation.
#[derive(Clone, Debug, Default)]
pub struct ErrorSources {
    /// The texts of its scalar subqueries, which must not return more than one row.
    pub subqueries: Vec<String>,
    /// Whether it has user-defined functions, which run under a search path that they may not expect.
    pub functions: bool,
}

impl ErrorSources {
    /// The context, detail and hint to add to an error with this SQLSTATE.
    pub fn explain(&self, context: String, state: &str) -> Explanation {
        let detail = (state == CARDINALITY_VIOLATION && !self.subqueries.is_empty())
            .then(|| format!("It is one of these that its query has: {}.", self.subqueries.join("; ")));
        let hint = (self.functions && UNRESOLVED.contains(&state)).then(|| SET_PATH.to_owned());
        Explanation { context, detail, hint }
    }
}

const CARDINALITY_VIOLATION: &str = "21000";

/// The SQLSTATEs for names that were not found: of a function, a table, a schema, another object.
pub const UNRESOLVED: [&str; 4] = ["42883", "42P01", "3F000", "42704"];

/// The hint for these errors.
pub const SET_PATH: &str = "Functions that a view calls find only pg_catalog on the search path. If it is one of them that \
                            looked for this, write the schema in it, or call ALTER FUNCTION ... SET search_path for it.";
