//! Capture, and the moment of the flush.
//!
//! A statement on a base table *opens* in a BEFORE trigger and *closes* in an AFTER trigger that
//! hands over its rows to the buffer. While a base table is open, its delta is missing, so
//! nothing that reads it may be flushed: a parent's DELETE that cascades closes before its
//! children's do. When nothing is open, every change made so far has been collected, and
//! [`flush`] applies them. A query that reads a maintained table before that makes
//! the flush come early, for those maintained tables whose base tables are all at rest.
//!
//! A replication worker applies rows without statements ([`row`]), and nobody is told when the last
//! trigger of a row has fired. So what it does is taken for one statement, which closes when the
//! transaction is about to commit: see [`before_commit`].

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

/// A statement on a base table begins. `adopt` is told which one, and whether anybody is known to read it.
pub fn open(relation: u32, is_ours: bool, adopt: fn(u32, bool)) {
    if announce(relation, is_ours, adopt) {
        session::open(relation);
    }
}

/// Returns whether anybody follows the relation's changes. A dump may have brought back a trigger that is ours before
/// what it is for, or without it.
fn announce(relation: u32, is_ours: bool, adopt: fn(u32, bool)) -> bool {
    refuse_copy(relation, is_ours);
    adopt(relation, !cache::captures(relation).is_empty());
    cache::captures(relation).iter().any(Capture::is_followed)
}

/// Refuses a change of a relation that nobody reads and that has somebody's copy of a trigger of ours, as a part of the
/// table has that is kept elsewhere. Each trigger asks, whichever of them fires, since not all may have been copied.
fn refuse_copy(relation: u32, is_ours: bool) {
    if !is_ours && cache::captures(relation).is_empty() {
        let table = bookkeeping::trusted(|| facts::name(relation));
        raise(&refuse::orphaned(&table.map_or_else(String::new, |name| name.to_string())));
    }
}

/// A statement on `relation` is over; `transition` are its rows.
pub fn close(relation: u32, event: Event, transition: &Transition, is_ours: bool) {
    refuse_copy(relation, is_ours);
    collect(relation, event, transition);
    if session::close(relation) {
        flush::now();
    }
}

/// A row was changed in a session that is a replica. If that was done by a statement, the row
/// comes with the others, and the statement is open: triggers fire before it closes.
pub fn row(relation: u32, row: &Transition, is_ours: bool, adopt: fn(u32, bool)) {
    refuse_copy(relation, is_ours);
    let captures = cache::captures(relation);
    session::looking_up(|| captures.iter().flat_map(Capture::trusting).for_each(|&name| foreign_keys::unchecked(name)));
    if !session::is_open() {
        session::apply_rows();
        announce(relation, is_ours, adopt);
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
        let untold = match event {
            Event::Truncate => Some(Change::truncated()),
            Event::Rows => session::is_merging(relation).then(Change::untold),
        };
        match untold {
            Some(change) => session::add(capture.base, change),
            None => collect_rows(capture, transition),
        }
    }
}

/// Collects rows for whoever follows the base table.
pub fn collect_rows(capture: &Capture, rows: &Transition) {
    let layout = capture.layout(rows);
    if capture.tells && !rows.is_empty() {
        session::add(capture.base, Change::unseen());
    }
    if let Some(layout) = &layout {
        session::collect(capture.base, rows, layout);
    }
}

/// Refuses a change of a maintained table that is not its own flush.
pub fn guard(relation: u32, name: &str) {
    if !session::is_flush_of(relation) {
        raise(
            &Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change maintained table \"{name}\""))
                .detail("Its content is the result of its query, and follows the base tables by itself.")
                .hint("Change the base tables instead."),
        );
    }
}

/// Flushes what a query is about to read; returns whether it has to be given a new snapshot.
pub fn before_read(reading: &Reading) -> bool {
    let late = session::looking_up(|| written(session::pending()));
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

/// All statements are over before a transaction commits, unless one of a table's triggers went
/// behind our back. What is still in the buffer came without a statement.
pub fn before_commit() {
    if session::is_open() {
        raise(
            &Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "a change was not collected for the maintained tables")
                .detail("A trigger of pg_imat on a base table is disabled or was dropped.")
                .hint("Enable all of the table's triggers named imat_*, and call refresh_imat."),
        );
    }
    // A flush leaves no deferred triggers: in a security-restricted operation none can be queued.
    if !session::is_empty() {
        xact::at_end(flush::now);
    }
    session::free();
}
