//! The only maker of SQL text.

pub mod ddl;
mod grouped;
pub mod locks;
mod plan;
pub mod probe;
pub mod queue;
pub mod rebuild;
pub mod recompose;
pub mod render;
mod rows;
mod source;
mod state;
pub mod statements;
pub mod tids;

use std::borrow::Cow;
use std::fmt;

/// A rendered statement. The field is private: the extension can execute one, not make one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sql(Cow<'static, str>);

impl Sql {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// A statement that is written out in the extension: no part of it can come from outside.
    pub const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Its text, if it is one of those.
    pub fn as_fixed(&self) -> Option<&'static str> {
        match self.0 {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }

    /// The statement with a relation added that it reads, a WITH query.
    pub(crate) fn over(&self, relation: &str) -> Self {
        Self::new(match self.0.strip_prefix("WITH ") {
            Some(rest) => format!("WITH {relation}, {rest}"),
            None => format!("WITH {relation} {}", self.0),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it writes to, or that it reads, for people.
    pub fn abbreviated(&self) -> String {
        let verbs = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];
        let written = verbs.iter().filter_map(|verb| self.0.find(verb)).min().map(|begin| &self.0[begin..]);
        format!("{} ...", written.map_or("SELECT", |text| text.split(" AS ").next().unwrap_or(text)))
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rows of a relation, each with the `image` of `row`, columns of `b`; the sum `n` of the weights `w` of all rows with that
/// image, and its number `r` among them.
pub(crate) fn by_image(relation: &str, row: &str) -> String {
    format!(
        "SELECT v.*, pg_catalog.sum(v.w) OVER same AS n, pg_catalog.row_number() OVER same AS r \
         FROM (SELECT b.*, imat_catalog.row_image(ROW({row})) AS image FROM {relation} AS b) AS v \
         WINDOW same AS (PARTITION BY v.image)"
    )
}

#[cfg(test)]
mod tests {
    use super::Sql;

    #[test]
    fn a_statement_is_called_by_what_it_writes() {
        let cases = [
            (
                "WITH u AS (INSERT INTO \"a\".\"b\" AS s (\"c\") SELECT 1 ON CONFLICT DO UPDATE SET x = 1) SELECT 1",
                "INSERT INTO \"a\".\"b\" ...",
            ),
            ("UPDATE \"a\".\"b\" AS s SET c = 1", "UPDATE \"a\".\"b\" ..."),
            ("DELETE FROM \"a\".\"b\"", "DELETE FROM \"a\".\"b\" ..."),
            ("SELECT 1", "SELECT ..."),
        ];
        for (text, called) in cases {
            assert_eq!(Sql::new(text).abbreviated(), called);
        }
    }
}
