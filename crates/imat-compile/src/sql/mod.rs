//! SQL text is made here and nowhere else.

mod builder;
mod component;
pub mod ddl;
mod grouped;
mod image;
mod implied;
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
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(Cow::Owned(text.to_string()))
    }

    /// A statement that is written out in the extension: no part of it can come from outside.
    pub const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The text of a statement made by [`Sql::fixed`].
    pub fn as_fixed(&self) -> Option<&'static str> {
        match self.0 {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The statement cut short for people: the verb and the table that it writes to, or SELECT.
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
