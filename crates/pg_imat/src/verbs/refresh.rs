//! `refresh_imat`: recomputes a maintained table.

use imat_compile::error::Error;

use crate::catalog::bookkeeping::Entry;
use crate::change::rebuild::rebuild;
use crate::change::{flush, stale};
use crate::follow::adopt;
use crate::verbs::named::finished;

/// Recomputes the state from the base tables.
pub fn refresh(name: &str) -> Result<(), Error> {
    flush::before("refresh a maintained table");
    adopt::adopt_for_verb(name)?;
    let entry = finished(name)?;
    enable_and_rebuild(&entry);
    Ok(())
}

/// Enables the triggers of a maintained table, and rebuilds it.
pub fn enable_and_rebuild(entry: &Entry) {
    let enabled = stale::enable_all(entry);
    rebuild(enabled.into_iter().chain([entry.name]).collect());
}
