//! Errors as values, in PostgreSQL's terms.

use std::fmt;

/// A five-character SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlState(pub &'static str);

impl SqlState {
    pub const WARNING: SqlState = SqlState("01000");
    pub const NULL_VALUE_NOT_ALLOWED: SqlState = SqlState("22004");
    pub const INVALID_PARAMETER_VALUE: SqlState = SqlState("22023");
    pub const ACTIVE_SQL_TRANSACTION: SqlState = SqlState("25001");
    pub const DEPENDENT_OBJECTS_STILL_EXIST: SqlState = SqlState("2BP01");
    pub const UNDEFINED_SCHEMA: SqlState = SqlState("3F000");
    pub const INVALID_NAME: SqlState = SqlState("42602");
    pub const DUPLICATE_TABLE: SqlState = SqlState("42P07");
    pub const LOCK_NOT_AVAILABLE: SqlState = SqlState("55P03");
    pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState("0A000");
    pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState("42501");
    pub const WRONG_OBJECT_TYPE: SqlState = SqlState("42809");
    pub const DUPLICATE_OBJECT: SqlState = SqlState("42710");
    pub const UNDEFINED_TABLE: SqlState = SqlState("42P01");
    pub const UNDEFINED_OBJECT: SqlState = SqlState("42704");
    pub const SYNTAX_ERROR: SqlState = SqlState("42601");
    pub const OBJECT_IN_USE: SqlState = SqlState("55006");
    pub const NOT_IN_PREREQUISITE_STATE: SqlState = SqlState("55000");
    pub const SERIALIZATION_FAILURE: SqlState = SqlState("40001");
    pub const DATA_CORRUPTED: SqlState = SqlState("XX001");
}

/// An error: what is wrong, why, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub state: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl Error {
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), detail: None, hint: None }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A construct without an incremental rule. The view is then recomputed whole and not refused, so this is a reason to
/// show, not an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The construct as a user would name it: `LEFT JOIN`, `window function`.
    pub construct: String,
}

impl Unsupported {
    pub fn new(construct: impl Into<String>) -> Self {
        Self { construct: construct.into() }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.construct)
    }
}
