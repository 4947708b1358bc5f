//! Adopts maintained tables that were restored without their bookkeeping.
//!
//! To *adopt* such a table is to enter it into the bookkeeping from its mark ([`crate::build::mark`]), and to rebuild
//! it. If the state has no rows, that is done when the last trigger of its base tables is restored
//! ([`crate::follow::restored`]). Otherwise it is done at the first change of a base table, since the bookkeeping may
//! still be restored. Until then a query of the table is an error ([`crate::pg::content`]).
//!
//! One session adopts at a time. A verb waits for that lock. A writer of a base table does not, since others may wait
//! for the rows that it has written. It also waits only shortly for other writers of the base tables; if it can't get
//! the locks, a later change adopts the table.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use imat_compile::error::{Error, SqlState};
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::build::analyze;
use crate::build::mark::{Mark, find, without_bookkeeping};
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

/// The most milliseconds that a writer waits for others, and how many times as long it then makes no new attempt.
const PATIENCE: u64 = 320;
const PAUSE: u32 = 4;

/// Enters these into the bookkeeping, if possible. Returns the maintained tables to rebuild, and why others could not
/// be entered.
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

/// Rebuilds the adopted tables.
pub fn rebuild_adopted(names: &BTreeSet<u32>) {
    if !names.is_empty() {
        xact::register();
        let list: Vec<u32> = names.iter().copied().collect();
        let mut to_rebuild: BTreeSet<u32> = stale::follow(&list).into_iter().collect();
        to_rebuild.extend(names);
        rebuild(to_rebuild);
        names.iter().for_each(|&name| foreign_keys::check_again(name));
    }
}

thread_local! {
    /// Relations with triggers for which there is nothing left to adopt, and the generation in which that was found.
    static ALL_ADOPTED: RefCell<BTreeMap<u32, u64>> = RefCell::default();
    /// When an attempt failed last because of other sessions or a lack of resources.
    static PUT_OFF: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Whether there is nothing left to adopt for this relation, as far as this session has been notified.
fn is_all_adopted(relation: u32) -> bool {
    ALL_ADOPTED.with_borrow(|all_adopted| all_adopted.get(&relation) == Some(&xact::generation()))
}

/// Called before a relation is changed: adopts the maintained tables that read it, if no other session prevents that.
/// `is_read` says whether the bookkeeping has any that read it. If there are none at all, or adopting fails, a WARNING
/// says so once per session.
pub fn before_write(relation: u32, is_read: bool) {
    if is_all_adopted(relation) {
        return;
    }
    // Shorter than deadlock_timeout, so that the deadlock check of a waiting writer does not run.
    let patience = Duration::from_millis(PATIENCE.min(procedure::deadlock_timeout() / 2).max(1));
    if PUT_OFF.get().is_some_and(|when| when.elapsed() < patience * PAUSE) {
        return;
    }
    let marks = || trusted(|| without_bookkeeping(&[Oid::from(relation)]));
    let nobody = || (BTreeSet::new(), Vec::new());
    let (names, reasons) = match without_flush(marks).is_empty() {
        true => nobody(),
        false => match xact::attempt_or_error(patience.as_millis() as u64, || adopt(&marks, patience)) {
            Ok(Some(adopted)) => adopted,
            Ok(None) => return PUT_OFF.set(Some(Instant::now())),
            Err((code, _)) if xact::may_succeed_later(code) => return PUT_OFF.set(Some(Instant::now())),
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

/// Adopts and rebuilds these, unless another session is adopting. Before the rebuild, all base tables are locked
/// against writers.
fn adopt(marks: &impl Fn() -> Vec<Mark>, patience: Duration) -> Option<(BTreeSet<u32>, Vec<Error>)> {
    if !lock::begin_adoption(false) {
        return None;
    }
    let (names, reasons) = without_flush(|| {
        // The marks are read again, since another session may have adopted them before this one got the lock.
        let (names, reasons) = trusted(|| enter(&marks()));
        cache::revalidate();
        let members = names.iter().flat_map(|&name| cache::maintained(name).members.clone()).collect();
        locks::lock_all(Purpose::Adopted, members, Mode::Share, Instant::now() + patience);
        (names, reasons)
    });
    rebuild_adopted(&names);
    Some((names, reasons))
}

/// The mark without bookkeeping to which a verb's argument refers.
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

/// Adopts the maintained table to which a verb's argument refers, if the caller owns it.
pub fn adopt_for_verb(name: &str) -> Result<(), Error> {
    let Some(mark) = named(name) else { return Ok(()) };
    let caller = context::user();
    if !trusted(|| analyze::owns(caller, mark.state)) {
        return Err(refuse::not_owner("maintained table", name));
    }
    lock::begin_adoption(true);
    let (names, reasons) = trusted(|| enter(&without_bookkeeping(&[Oid::from(mark.state)])));
    rebuild_adopted(&names);
    match trusted(|| find(mark.state)) {
        None => Ok(()),
        Some(_) => Err(reasons.into_iter().next().unwrap_or_else(|| refuse::not_adopted(&format!("\"{name}\"")))),
    }
}
