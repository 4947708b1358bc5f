//! Is every lock needed? Without it, a spec that is named for it must fail.
//!
//! Needs an extension that was built with the feature `mutants` (`scripts/mutants`).

use super::spec::Spec;
use super::{Options, play_spec};
use crate::pg::{PgError, Result};
use crate::tally::Tally;
use postgres::Client;

/// Locks and specs, a line each.
const LOCKS: &str = include_str!("../../specs/locks.txt");

pub fn run(control: &mut Client, options: &Options, specs: &[Spec]) -> Result<Tally> {
    let mut tally = Tally::default();
    for line in LOCKS.lines().filter(|line| !line.starts_with('#')) {
        let (lock, name) = line.split_once(": ").ok_or_else(|| unreadable(line))?;
        let spec = specs.iter().find(|spec| spec.name == name).ok_or_else(|| unreadable(line))?;
        let with = play_spec(control, options, spec, None)?;
        let without = play_spec(control, options, spec, Some(lock))?;
        // A run that fails only by not waiting has shown nothing wrong yet.
        let caught = with.is_empty() && without.iter().any(|what| !what.ends_with("did not wait"));
        println!("{} without {lock}: {name} fails", if caught { "ok  " } else { "FAIL" });
        if options.show || !caught {
            with.iter().for_each(|what| println!("    with all locks: {what}"));
            without.iter().for_each(|what| println!("    {what}"));
        }
        tally.count(caught);
    }
    Ok(tally)
}

fn unreadable(line: &str) -> PgError {
    PgError { code: "locks".into(), message: format!("neither a lock nor a spec: {line}"), more: String::new() }
}
