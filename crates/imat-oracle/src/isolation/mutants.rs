//! Checks that every lock is needed: without it, its spec must show a wrong result or the deadlock that it prevents.
//!
//! Needs an extension that was built with the feature `mutants` (`scripts/mutants`).

use super::runner::Wrong;
use super::spec::Spec;
use super::{Options, play_spec};
use crate::pg::{PgError, Result};
use crate::tally::Tally;
use postgres::Client;

/// The file describes its format.
const LOCKS: &str = include_str!("../../specs/locks.txt");

/// The locks, each with its spec, or with the reason why there is none.
fn lines() -> impl Iterator<Item = &'static str> {
    LOCKS.lines().filter(|line| !line.starts_with('#'))
}

/// A lock, the name of its spec, and the SQLSTATE that a step gets without the lock, if no result is wrong.
fn tested(line: &str) -> Option<(&str, &str, Option<&str>)> {
    let (lock, spec) = line.split_once(": ").filter(|(lock, _)| !lock.contains(" - "))?;
    let (name, code) = spec.split_once(' ').map_or((spec, None), |(name, code)| (name, Some(code)));
    Some((lock, name, code))
}

pub fn run(control: &mut Client, options: &Options, specs: &[Spec]) -> Result<Tally> {
    let mut tally = Tally::default();
    for line in lines() {
        let Some((lock, name, code)) = tested(line) else { continue };
        let spec = specs.iter().find(|spec| spec.name == name).ok_or_else(|| unreadable(line))?;
        if options.filter.as_ref().is_some_and(|filter| !line.contains(filter.as_str())) {
            continue;
        }
        let with = play_spec(control, options, spec, None)?;
        let without = play_spec(control, options, spec, Some(lock))?;
        // A step that did not wait, or succeeded unexpectedly, is not a wrong result yet.
        let shows = |wrong: &Wrong| match (wrong, code) {
            (Wrong::Result(_), None) => true,
            (Wrong::Code(got, _), Some(code)) => got == code,
            _ => false,
        };
        let caught = with.is_empty() && without.iter().any(|(_, wrong)| shows(wrong));
        println!("{} without {lock}: {name} fails", if caught { "ok  " } else { "FAIL" });
        if options.show || !caught {
            with.iter().for_each(|(run, wrong)| println!("    with all locks: {run}: {wrong}"));
            without.iter().for_each(|(run, wrong)| println!("    {run}: {wrong}"));
        }
        tally.count(caught);
    }
    Ok(tally)
}

fn unreadable(line: &str) -> PgError {
    PgError { code: "locks".into(), message: format!("neither a lock nor a spec: {line}"), more: String::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The variants of `Purpose` in the extension.
    fn purposes() -> BTreeSet<&'static str> {
        let source = include_str!("../../../pg_imat/src/pg/lock.rs");
        let (_, after) = source.split_once("pub enum Purpose {").unwrap();
        let (variants, _) = after.split_once('}').unwrap();
        let lines = variants.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        lines.filter_map(|line| line.strip_suffix(',')).collect()
    }

    #[test]
    fn every_lock_of_the_extension_is_listed() {
        let listed = super::lines().filter_map(|line| line.split([' ', ':']).next()).collect();
        assert_eq!(purposes(), listed);
    }

    #[test]
    fn every_lock_has_a_spec_or_a_reason() {
        let specs = crate::isolation::specs().unwrap();
        let exists = |name: &str| specs.iter().any(|spec| spec.name == name);
        for line in super::lines() {
            assert!(super::tested(line).map_or(line.contains(" - "), |(_, name, _)| exists(name)), "{line}");
        }
    }
}
