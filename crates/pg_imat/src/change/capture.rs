//! Collects the changed rows, and decides when to flush.
//!
//! A statement on a base table *opens* in a BEFORE trigger and *closes* in an AFTER trigger, which adds
//! the changed rows to the buffer. [`flush`] applies the buffer right before the transaction commits
//! ([`before_commit`]), or with `imat.flush = statement` as soon as no statement is open, as after a TRUNCATE, which keeps
//! others from the table in any case. What a query is about to read is applied before it ([`before_read`]), and
//! everything is before DDL ([`before_command`]).
//!
//! While a statement is open, its rows are not in the buffer yet, so no maintained table that reads its base table may
//! be flushed. (A parent's DELETE that cascades closes before the DELETEs of its children.) So whatever code that the
//! statement runs could read is applied before the statement opens ([`before_code`]), and it finds the maintained
//! tables as they were then.
//!
//! A replication worker applies rows without statements ([`row`]), and there is no event after the last
//! trigger of a row. So its rows are always applied right before the transaction commits.

use std::rc::Rc;

use imat_compile::error::{Error, SqlState};

use crate::catalog::cache::{self, Capture};
use crate::catalog::{bookkeeping, facts};
use crate::change::buffer::Change;
use crate::change::{flush, foreign_keys, reach, session};
use crate::pg::entrance::Event;
use crate::pg::entrance::Reading;
use crate::pg::error::raise;
use crate::pg::lock;
use crate::pg::setting::{self, Flush};
use crate::pg::transition::Transition;
use crate::pg::xact;
use crate::refuse;

/// Called at the beginning of a statement on a base table. `adopt` gets the relation and whether the bookkeeping has
/// a maintained table that reads it.
pub fn open(relation: u32, is_ours: bool, adopt: fn(u32, bool)) {
    if find_readers(relation, is_ours, adopt) {
        if session::must_flush_before_read() && session::without_flush(|| cache::runs_code(relation)) {
            before_code(relation);
        }
        if setting::flush() == Flush::Commit {
            keep_tables(relation);
        }
        session::open(relation);
    }
}

/// Locks the tables that the flush will read, so that it does not have to wait for whoever truncates or alters one of them
/// and waits for this transaction.
fn keep_tables(relation: u32) {
    session::without_flush(|| cache::partners(relation)).iter().copied().for_each(lock::protect);
}

/// Applies what is pending for the maintained tables over a relation, before a statement on it runs code that may read
/// them.
fn before_code(relation: u32) {
    let reached = session::without_flush(|| {
        let over: Vec<Rc<[u32]>> = session::bases_of(relation).into_iter().map(cache::states_over).collect();
        reach::needed(reach::over(session::pending()), |state| over.iter().any(|states| states.contains(&state)))
    });
    if !reached.is_empty() {
        flush::only(&reached);
    }
}

/// Returns whether a maintained table follows the relation's changes. A restore can create the trigger before the
/// bookkeeping, or without it, so the maintained table is adopted here if necessary.
fn find_readers(relation: u32, is_ours: bool, adopt: fn(u32, bool)) -> bool {
    refuse_copy(relation, is_ours);
    adopt(relation, !captures(relation).is_empty());
    captures(relation).iter().any(Capture::is_followed)
}

/// How to collect the changes of a relation. Queries of the bookkeeping must not flush.
fn captures(relation: u32) -> Rc<Vec<Capture>> {
    session::without_flush(|| cache::captures(relation))
}

/// Refuses a change of a relation that no maintained table reads and whose trigger is a copy that pg_imat did not make,
/// as on a shard of Citus. Every trigger function checks this, since some of the triggers may not have been copied.
fn refuse_copy(relation: u32, is_ours: bool) {
    if !is_ours && captures(relation).is_empty() {
        let table = session::without_flush(|| bookkeeping::trusted(|| facts::name(relation)));
        raise(&refuse::orphaned(&table.map_or_else(String::new, |name| name.to_string())));
    }
}

/// Called at the end of a statement on `relation`; `transition` has its changed rows.
pub fn close(relation: u32, event: Event, transition: &Transition, is_ours: bool) {
    refuse_copy(relation, is_ours);
    collect(relation, event, transition);
    if session::close(relation) && (setting::flush() == Flush::Statement || session::has_unknown_rows()) {
        flush::now();
    }
}

/// Called for each changed row while session_replication_role is `replica`. If a statement changed the row, that
/// statement is still open, and its AFTER trigger will collect the row with the others.
pub fn row(relation: u32, row: &Transition, is_ours: bool, adopt: fn(u32, bool)) {
    refuse_copy(relation, is_ours);
    let captures = captures(relation);
    session::without_flush(|| {
        captures.iter().flat_map(Capture::trusting).for_each(|&name| foreign_keys::note_unchecked_row(name))
    });
    if !session::is_open() {
        session::note_replication();
        find_readers(relation, is_ours, adopt);
        collect(relation, Event::Rows, row);
    }
}

fn collect(relation: u32, event: Event, transition: &Transition) {
    let captures = captures(relation);
    session::note_rows();
    for capture in captures.iter() {
        if session::is_flushing() && !capture.is_state {
            raise(&refuse::changed_by_flush());
        }
        let unknown = match event {
            Event::Truncate => Some(Change::truncated()),
            Event::Rows => session::is_merging(relation).then(Change::rows_unknown),
        };
        match unknown {
            Some(change) => session::add(capture.base, change),
            None => collect_rows(capture, transition),
        }
    }
}

/// Collects rows for all maintained tables that follow the base table.
pub fn collect_rows(capture: &Capture, rows: &Transition) {
    let layout = capture.layout(rows);
    if capture.notes_changes && !rows.is_empty() {
        session::add(capture.base, Change::without_rows());
    }
    if let Some(layout) = &layout {
        session::collect(capture.base, rows, layout);
    }
}

/// Refuses a write to a maintained table, except by its own flush.
pub fn guard(relation: u32, name: &str) {
    if !session::is_flush_of(relation) {
        raise(
            &Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change maintained table \"{name}\""))
                .detail("Its content is the result of its query, and follows the base tables by itself.")
                .hint("Change the base tables instead."),
        );
    }
}

/// Flushes the maintained tables that a query is about to read. Returns whether the query needs a new snapshot.
pub fn before_read(reading: &Reading) -> bool {
    let is_read = |state: u32| reading.tables.contains(&state);
    if !reading.opaque && !session::without_flush(|| reaches(is_read)) {
        return false;
    }
    let (reached, named) = session::without_flush(|| {
        require_taken(is_read);
        let reached = reach::over(session::pending());
        (!reached.is_empty(), reach::needed(reached, is_read))
    });
    if !named.is_empty() && !reading.fresh {
        raise(&refuse::read_too_early());
    }
    match reading.fresh && reached && reading.opaque {
        true => flush::now(),
        false if named.is_empty() => return false,
        false => flush::only(&named),
    }
    true
}

/// Whether the changes in the buffer can reach a state that `is_read`.
fn reaches(is_read: impl Fn(u32) -> bool) -> bool {
    session::changed().into_iter().any(|base| cache::states_over(base).iter().any(|&state| is_read(state)))
        || !session::due_rebuilds().is_empty()
}

/// Raises an error if a state that `is_read` lacks changes from before a statement that is still open.
fn require_taken(is_read: impl Fn(u32) -> bool) {
    let held_back = session::held_back();
    if let Some(lacking) = reach::over(held_back).iter().find(|over| is_read(over.entry.state)) {
        raise(&refuse::read_during_change(&lacking.display));
    }
}

/// Called before a command that is no query, such as DDL, which would not fit changes that were collected before it.
pub fn before_command() {
    flush::now();
}

/// Called right before a transaction commits. No statement can be open, unless a trigger was disabled or dropped
/// unnoticed.
pub fn before_commit() {
    if session::is_open() {
        raise(
            &Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "a change was not collected for the maintained tables")
                .detail("A trigger of pg_imat on a base table is disabled or was dropped.")
                .hint("Enable all of the table's triggers named imat_*, and call refresh_imat."),
        );
    }
    // The flush queues no deferred triggers, since a security-restricted operation can't.
    if !session::is_empty() {
        xact::at_end(flush::now);
    }
    session::free();
}
