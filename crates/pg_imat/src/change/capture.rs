//! Collects the changed rows, and decides when to flush.
//!
//! A statement on a base table *opens* in a BEFORE trigger and *closes* in an AFTER trigger, which adds
//! the changed rows to the buffer. While a statement is open, its rows are not in the buffer yet, so
//! no maintained table that reads its base table may be flushed. (A parent's DELETE that cascades closes before
//! the DELETEs of its children.) When no statement is open, all changes have been collected, and
//! [`flush`] applies them. If a query reads a maintained table earlier, the flush is done before the query,
//! for those maintained tables that have no base table with an open statement.
//!
//! A replication worker applies rows without statements ([`row`]), and there is no event after the last
//! trigger of a row. So all rows of its transaction are treated as one statement, which closes right before
//! the transaction commits: see [`before_commit`].

use std::collections::BTreeSet;

use imat_compile::error::{Error, SqlState};

use crate::catalog::cache::{self, Capture};
use crate::catalog::{bookkeeping, facts};
use crate::change::buffer::Change;
use crate::change::{flush, foreign_keys, session};
use crate::pg::entrance::Event;
use crate::pg::entrance::Reading;
use crate::pg::error::raise;
use crate::pg::transition::Transition;
use crate::pg::xact;
use crate::refuse;

/// Called at the beginning of a statement on a base table. `adopt` gets the relation and whether the bookkeeping has
/// a maintained table that reads it.
pub fn open(relation: u32, is_ours: bool, adopt: fn(u32, bool)) {
    if find_readers(relation, is_ours, adopt) {
        session::open(relation);
    }
}

/// Returns whether a maintained table follows the relation's changes. A restore can create the trigger before the
/// bookkeeping, or without it, so the maintained table is adopted here if necessary.
fn find_readers(relation: u32, is_ours: bool, adopt: fn(u32, bool)) -> bool {
    refuse_copy(relation, is_ours);
    adopt(relation, !cache::captures(relation).is_empty());
    cache::captures(relation).iter().any(Capture::is_followed)
}

/// Refuses a change of a relation that no maintained table reads and whose trigger is a copy that pg_imat did not make,
/// as on a shard of Citus. Every trigger function checks this, since some of the triggers may not have been copied.
fn refuse_copy(relation: u32, is_ours: bool) {
    if !is_ours && cache::captures(relation).is_empty() {
        let table = bookkeeping::trusted(|| facts::name(relation));
        raise(&refuse::orphaned(&table.map_or_else(String::new, |name| name.to_string())));
    }
}

/// Called at the end of a statement on `relation`; `transition` has its changed rows.
pub fn close(relation: u32, event: Event, transition: &Transition, is_ours: bool) {
    refuse_copy(relation, is_ours);
    collect(relation, event, transition);
    if session::close(relation) {
        flush::now();
    }
}

/// Called for each changed row while session_replication_role is `replica`. If a statement changed the row, that
/// statement is still open, and its AFTER trigger will collect the row with the others.
pub fn row(relation: u32, row: &Transition, is_ours: bool, adopt: fn(u32, bool)) {
    refuse_copy(relation, is_ours);
    let captures = cache::captures(relation);
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
    let captures = cache::captures(relation);
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
    let late = session::without_flush(|| written(session::pending()));
    let named = reading.tables.iter().any(|table| late.contains(table));
    if named && !reading.fresh {
        raise(&refuse::read_too_early());
    }
    let due = reading.fresh && (named || reading.opaque && !late.is_empty());
    if due {
        flush::now();
    }
    due
}

/// The states that a flush of these maintained tables would write.
fn written(readers: BTreeSet<u32>) -> BTreeSet<u32> {
    let mut states = BTreeSet::new();
    let mut next: Vec<u32> = readers.into_iter().collect();
    while let Some(reader) = next.pop() {
        let state = cache::maintained(reader).entry.state;
        if states.insert(state) {
            next.extend(cache::readers(state).iter());
        }
    }
    states
}

/// Called right before a transaction commits. No statement can be open, unless a trigger was disabled or dropped
/// unnoticed. Rows that are still in the buffer are replicated ones.
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
