//! The only maker of SQL text.

pub mod ddl;
pub(crate) mod grouped;
pub(crate) mod locks;
pub mod probe;
pub mod queue;
pub mod rebuild;
pub mod recompose;
pub mod render;
pub(crate) mod rows;

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
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
