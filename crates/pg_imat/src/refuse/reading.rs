//! Why a maintained table can't be read now.

use imat_compile::error::{Error, SqlState};

use super::UNSUPPORTED;

pub fn read_too_early() -> Error {
    Error::new(UNSUPPORTED, "cannot read a maintained table here")
        .detail("Changes of its base tables are pending, and the statement reads under the snapshot of another one.")
        .hint("Read it with a query of its own, in a function that is not marked STABLE or IMMUTABLE.")
}

pub fn read_during_change(name: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot read maintained table {name} here"))
        .detail(
            "A statement that is changing one of its base tables is running, and changes from before it are pending.",
        )
        .hint("Set imat.flush to \"statement\".")
}

pub fn not_adopted(name: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("maintained table {name} does not follow its base tables yet"),
    )
    .detail("A dump brought it without its bookkeeping, and no change of its base tables has taken it up again.")
    .hint("Call refresh_imat, which makes it anew, or drop_imat.")
}

pub fn older_than_content(state: &str) -> Error {
    Error::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
        .detail(format!("The transaction's snapshot is older than the content of maintained table \"{state}\"."))
        .hint("The transaction might succeed if retried.")
}
