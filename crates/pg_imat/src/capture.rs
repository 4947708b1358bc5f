//! Capture, buffer and the moment of the flush.
//!
//! A statement on a base table *opens* in a BEFORE trigger and *closes* in an AFTER trigger that
//! hands over its rows. While anything is open a delta is missing, so nothing may be flushed:
//! a parent's DELETE that cascades closes before its children's do. When nothing is open,
//! every change made so far has been collected, and [`crate::flush::run`] applies them.
//!
//! A flush at commit instead of at the statement's end would start from the same buffer: see
//! [`before_commit`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use imat_compile::error::{Error, SqlState};

use crate::cache;
use crate::pg::delta::{Delta, Transition};
use crate::pg::error::raise;
use crate::pg::trigger::Event;
use crate::pg::xact;

/// What one statement did to one base table, and the subtransaction that it did it in.
struct Chunk {
    subtransaction: u32,
    base: u32,
    change: Change,
}

enum Change {
    Rows(Delta),
    /// Rows changed, and nobody needs to know which.
    Unseen,
    Truncated,
}

#[derive(Default)]
struct Session {
    /// The subtransactions of the statements that are open.
    open: Vec<u32>,
    buffer: Vec<Chunk>,
    /// The subtransaction in which a flush is running.
    flushing: Option<u32>,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

fn session<T>(f: impl FnOnce(&mut Session) -> T) -> T {
    SESSION.with_borrow_mut(f)
}

/// The net change of one base table since the last flush.
#[derive(Default)]
pub struct Net {
    pub delta: Option<Delta>,
    /// Something changed of which no rows are known.
    pub unseen: bool,
    pub truncated: bool,
}

/// A statement on a base table begins.
pub fn open() {
    let subtransaction = xact::subtransaction();
    session(|session| session.open.push(subtransaction));
}

/// A statement on `relation` is over; `transition` are its rows.
pub fn close(relation: u32, event: Event, transition: &Transition) {
    let captures = cache::captures(relation);
    let subtransaction = xact::subtransaction();
    let push = |base, change| {
        session(|session| session.buffer.push(Chunk { subtransaction, base, change }));
    };
    for capture in captures.iter() {
        if event == Event::Truncate {
            push(capture.base, Change::Truncated);
            continue;
        }
        if capture.tells && !transition.is_empty() {
            push(capture.base, Change::Unseen);
        }
        if let Some(layout) = capture.layout(transition)
            && let Some(delta) = Delta::collect(transition, layout)
        {
            push(capture.base, Change::Rows(delta));
        }
    }
    let due = session(|session| {
        session.open.pop();
        session.open.is_empty() && session.flushing.is_none() && !session.buffer.is_empty()
    });
    if due {
        as_collected(|| {});
    }
}

/// Forgets what has been applied.
fn end_flush() {
    session(|session| {
        session.flushing = None;
        for chunk in session.buffer.drain(..) {
            if let Change::Rows(delta) = chunk.change {
                delta.end();
            }
        }
    });
}

/// The base tables with something in the buffer.
pub fn changed() -> BTreeSet<u32> {
    session(|session| session.buffer.iter().map(|chunk| chunk.base).collect())
}

/// The net changes of these base tables, one delta each.
pub fn net(bases: &BTreeSet<u32>) -> BTreeMap<u32, Net> {
    session(|session| {
        merge(&mut session.buffer);
        let mut nets: BTreeMap<u32, Net> = BTreeMap::new();
        for chunk in session.buffer.iter().filter(|chunk| bases.contains(&chunk.base)) {
            let net = nets.entry(chunk.base).or_default();
            match &chunk.change {
                Change::Rows(delta) => net.delta = Some(delta.clone()),
                Change::Unseen => net.unseen = true,
                Change::Truncated => net.truncated = true,
            }
        }
        nets
    })
}

/// Makes the rows of each base table one chunk.
fn merge(buffer: &mut Vec<Chunk>) {
    let mut merged: Vec<Chunk> = Vec::with_capacity(buffer.len());
    for chunk in buffer.drain(..) {
        let base = chunk.base;
        let same = |known: &&mut Chunk| known.base == base && matches!(known.change, Change::Rows(_));
        match chunk.change {
            Change::Rows(delta) => match merged.iter_mut().find(same).map(|known| &mut known.change) {
                Some(Change::Rows(first)) => first.append(delta),
                _ => merged.push(Chunk { change: Change::Rows(delta), ..chunk }),
            },
            _ => merged.push(chunk),
        }
    }
    *buffer = merged;
}

/// Refuses a change of a maintained table that is no flush.
pub fn guard(name: &str) {
    if session(|session| session.flushing.is_none()) {
        raise(
            &Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change maintained table \"{name}\""))
                .detail("Its content is the result of its query, and follows the base tables by itself.")
                .hint("Change the base tables instead."),
        );
    }
}

/// Refuses what can't be done while a change is being collected.
pub fn require_idle(action: &str) {
    if session(|session| !session.open.is_empty() || session.flushing.is_some()) {
        raise(
            &Error::new(SqlState::OBJECT_IN_USE, format!("cannot {action} while a base table is being changed"))
                .hint("Call it outside of triggers, in a statement of its own."),
        );
    }
}

/// Runs `body`, which writes a state directly, and flushes what that changes further up.
pub fn as_collected(body: impl FnOnce()) {
    let subtransaction = xact::subtransaction();
    session(|session| session.flushing = Some(subtransaction));
    body();
    crate::flush::run();
    end_flush();
}

/// All statements are over before a transaction commits, so the buffer is empty, unless one of
/// a table's triggers was switched off by hand.
pub fn before_commit() {
    if session(|session| !session.buffer.is_empty() || !session.open.is_empty()) {
        raise(
            &Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "a change was not collected for the maintained tables")
                .detail("A trigger of pg_imat on a base table is disabled or was dropped.")
                .hint("Enable all of the table's triggers named imat_*, and call refresh_imat."),
        );
    }
}

/// The transaction is over, and with it the memory that the buffer points to.
pub fn end_transaction() {
    session(|session| *session = Session::default());
}

/// What a subtransaction did belongs to its parent now.
pub fn release_subtransaction(mine: u32, parent: u32) {
    let adopt = |owner: &mut u32| {
        if *owner == mine {
            *owner = parent;
        }
    };
    session(|session| {
        session.open.iter_mut().for_each(adopt);
        session.flushing.iter_mut().for_each(adopt);
        session.buffer.iter_mut().for_each(|chunk| adopt(&mut chunk.subtransaction));
    });
}

/// What a subtransaction did never happened. Its memory is freed with the transaction.
pub fn abort_subtransaction(mine: u32) {
    session(|session| {
        session.open.retain(|&owner| owner < mine);
        session.flushing = session.flushing.filter(|&owner| owner < mine);
        session.buffer.retain(|chunk| chunk.subtransaction < mine);
    });
}
