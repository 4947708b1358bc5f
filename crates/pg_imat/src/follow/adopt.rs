//! Maintained tables of which a dump brought back the schema and not the bookkeeping.
//!
//! A mark ([`crate::build::mark`]) without bookkeeping is *adopted*: entered into it, and the table made anew. That is
//! done when the last trigger of its base tables is back and the state has no rows ([`crate::follow::restored`]); or
//! else at the first change of a base table, since rows of the bookkeeping may be yet to come. Until then nobody can
//! read it: [`crate::pg::content`] raises an error.
//!
//! One session adopts at a time. A verb waits for its turn. Whoever changes a base table does not, since others may
//! wait for what he has written, and he gives up soon where others are writing what would be made anew: it is left to a
//! later change.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use imat_compile::error::{Error, SqlState};
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::build::analyze;
use crate::build::mark::{Mark, find, left_behind};
use crate::catalog::bookkeeping::{self, trusted};
use crate::catalog::{cache, facts, names};
use crate::change::rebuild::rebuild;
use crate::change::session::without_flush;
use crate::change::{foreign_keys, locks, stale};
use crate::pg::context;
use crate::pg::error::warn;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{self, Param};
use crate::pg::{procedure, xact};
use crate::refuse;

/// For how many milliseconds a writer waits for others at most, and how many times as long it is not tried again.
const PATIENCE: u64 = 320;
const PAUSE: u32 = 4;

/// Adopts these, as far as they can be; returns what is to be made anew, and why others can't be.
pub fn enter(marks: &[Mark]) -> (BTreeSet<u32>, Vec<Error>) {
    let (mut names, mut reasons) = (BTreeSet::new(), Vec::new());
    for mark in marks {
        match mark.enter() {
            Ok(name) => names.extend(name),
            Err(why) => reasons.push(why),
        }
    }
    (names, reasons)
}

/// Makes what was adopted the result of its query.
pub fn make(names: &BTreeSet<u32>) {
    if !names.is_empty() {
        xact::register();
        let list: Vec<u32> = names.iter().copied().collect();
        let mut anew: BTreeSet<u32> = stale::follow(&list).into_iter().collect();
        anew.extend(names);
        rebuild(anew);
        names.iter().for_each(|&name| foreign_keys::check_again(name));
    }
}

thread_local! {
    /// Relations with triggers of which nobody is left to adopt, and when that was found.
    static ALL_ADOPTED: RefCell<BTreeMap<u32, u64>> = RefCell::default();
    /// When others were in the way last, or something was missing.
    static PUT_OFF: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Whether nobody is left to adopt who reads this relation, as far as the session has been told.
fn is_all_adopted(relation: u32) -> bool {
    ALL_ADOPTED.with_borrow(|all_adopted| all_adopted.get(&relation) == Some(&xact::generation()))
}

/// A relation is about to be changed: adopts who reads it, if nobody is in the way. Others may be known to read it
/// already. If nobody does, nothing is maintained for it, which is told once a session, as is why somebody can't be
/// adopted.
pub fn before_write(relation: u32, is_read: bool) {
    if is_all_adopted(relation) {
        return;
    }
    // A writer that waits for us must not come to take it for a deadlock.
    let patience = Duration::from_millis(PATIENCE.min(procedure::deadlock_timeout() / 2).max(1));
    if PUT_OFF.get().is_some_and(|when| when.elapsed() < patience * PAUSE) {
        return;
    }
    let marks = || trusted(|| left_behind(&[Oid::from(relation)]));
    let nobody = || (BTreeSet::new(), Vec::new());
    let (names, reasons) = match without_flush(marks).is_empty() {
        true => nobody(),
        false => match xact::attempt_aside(patience.as_millis() as u64, || adopt(&marks, patience)) {
            Ok(Some(adopted)) => adopted,
            Ok(None) => return PUT_OFF.set(Some(Instant::now())),
            Err((code, _)) if xact::may_pass(code) => return PUT_OFF.set(Some(Instant::now())),
            Err((_, message)) => (BTreeSet::new(), vec![Error::new(SqlState::WARNING, message)]),
        },
    };
    let before = match names.is_empty() {
        true => ALL_ADOPTED.with_borrow_mut(|all_adopted| all_adopted.insert(relation, xact::generation())),
        false => None,
    };
    if before.is_none() && (names.is_empty() && !is_read || !reasons.is_empty()) {
        let name = without_flush(|| trusted(|| facts::name(relation)));
        warn(&refuse::unread(&name.map_or_else(String::new, |name| name.to_string()), reasons.first()));
    }
}

/// Adopts these and makes them anew, unless somebody else is adopting. All that write what they read are waited for,
/// and kept out, before anything is made.
fn adopt(marks: &impl Fn() -> Vec<Mark>, patience: Duration) -> Option<(BTreeSet<u32>, Vec<Error>)> {
    if !lock::begin_adoption(false) {
        return None;
    }
    let (names, reasons) = without_flush(|| {
        // Another one may have ended meanwhile.
        let (names, reasons) = trusted(|| enter(&marks()));
        cache::revalidate();
        let members = names.iter().flat_map(|&name| cache::maintained(name).members.clone()).collect();
        locks::lock_all(Purpose::Adopted, members, Mode::Share, Instant::now() + patience);
        (names, reasons)
    });
    make(&names);
    Some((names, reasons))
}

/// What was left behind that is called so by a verb.
pub fn named(name: &str) -> Option<Mark> {
    const IN_IMAT: Sql = Sql::fixed(
        "SELECT pg_catalog.to_regclass(pg_catalog.format('imat.%I', p[1]))::pg_catalog.oid \
         FROM pg_catalog.parse_ident($1) AS p WHERE pg_catalog.cardinality(p) = 1",
    );
    let in_imat = || spi::first(&IN_IMAT, &[Param::from(name)], |row| row.get::<Oid>(1)).flatten().map(Oid::to_u32);
    let resolved = names::resolve(name);
    trusted(|| match resolved.filter(|&relation| bookkeeping::entry(relation).is_some()) {
        Some(_) => None,
        None => resolved.and_then(find).or_else(|| in_imat().and_then(find)),
    })
}

/// Adopts what a verb calls so, if the caller owns it.
pub fn by_verb(name: &str) -> Result<(), Error> {
    let Some(mark) = named(name) else { return Ok(()) };
    let caller = context::user();
    if !trusted(|| analyze::owns(caller, mark.state)) {
        return Err(refuse::not_owner("maintained table", name));
    }
    lock::begin_adoption(true);
    let (names, reasons) = trusted(|| enter(&left_behind(&[Oid::from(mark.state)])));
    make(&names);
    match trusted(|| find(mark.state)) {
        None => Ok(()),
        Some(_) => Err(reasons.into_iter().next().unwrap_or_else(|| refuse::not_adopted(&format!("\"{name}\"")))),
    }
}
