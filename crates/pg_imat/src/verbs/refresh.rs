//! `refresh_imat`: make a maintained table anew.

use imat_compile::error::Error;

use crate::catalog::bookkeeping::Entry;
use crate::change::rebuild::rebuild;
use crate::change::{session, stale};
use crate::follow::adopt;
use crate::verbs::named::finished;

/// Makes the state anew from the base tables.
pub fn refresh(name: &str) -> Result<(), Error> {
    session::require_idle("refresh a maintained table");
    adopt::by_verb(name)?;
    let entry = finished(name)?;
    remake(&entry);
    Ok(())
}

/// Enables the triggers that it needs, and makes it anew.
pub fn remake(entry: &Entry) {
    let healed = stale::heal(entry);
    rebuild(healed.into_iter().chain([entry.name]).collect());
}
