//! Finds the maintained table for which a verb is called.

use imat_compile::error::Error;

use crate::build::analyze;
use crate::catalog::bookkeeping::{self, Entry, trusted};
use crate::catalog::names;
use crate::follow::adopt;
use crate::pg::context;
use crate::refuse;

pub fn owned(name: &str) -> Result<Entry, Error> {
    let left = |why| adopt::named(name).map_or(why, |_| refuse::not_adopted(&format!("\"{name}\"")));
    let entry = bookkeeping::find(name, names::resolve(name)).map_err(left)?;
    let caller = context::user();
    match trusted(|| analyze::owns(caller, entry.state)) {
        true => Ok(entry),
        false => Err(refuse::not_owner("maintained table", name)),
    }
}

/// The same, but an error if its online build is unfinished.
pub fn finished(name: &str) -> Result<Entry, Error> {
    let entry = owned(name)?;
    match &entry.target {
        None => Ok(entry),
        Some(target) => Err(refuse::unfinished(&target.to_string())),
    }
}
