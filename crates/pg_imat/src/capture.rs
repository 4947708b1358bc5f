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
use std::rc::Rc;

use imat_compile::error::{Error, SqlState};

use crate::pg::delta::{Delta, Layout, Transition};
use crate::pg::error::raise;
use crate::pg::lock::{self, TagMode};
use crate::pg::trigger::Event;
use crate::pg::xact;
use crate::{cache, refuse};

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
    /// The tables of the MERGEs that are finishing, whose rows are not all handed over.
    merges: Vec<u32>,
    /// The state that the flush is writing.
    writing: Option<u32>,
    /// The subtransaction in which the extension's own DDL is running.
    own_ddl: Option<u32>,
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

/// A statement on a base table begins. Where writers of another table must be able to wait for
/// it, it says so before it changes anything.
pub fn open(relation: u32) {
    let subtransaction = xact::subtransaction();
    for capture in cache::captures(relation).iter().filter(|capture| capture.tagged) {
        lock::tag(capture.base, TagMode::Writer);
    }
    session(|session| session.open.push(subtransaction));
}

/// A statement on `relation` is over; `transition` are its rows.
pub fn close(relation: u32, event: Event, transition: &Transition) {
    let captures = cache::captures(relation);
    let subtransaction = xact::subtransaction();
    for capture in captures.iter() {
        if session(|session| session.flushing.is_some()) && !capture.is_state {
            raise(&refuse::changed_by_flush());
        }
        if event == Event::Truncate || session(|session| session.merges.contains(&relation)) {
            push(subtransaction, capture.base, Change::Truncated);
            continue;
        }
        if capture.tells && !transition.is_empty() {
            push(subtransaction, capture.base, Change::Unseen);
        }
        if let Some(layout) = capture.layout(transition) {
            collect(subtransaction, capture.base, transition, layout);
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

/// Buffers what needs no rows, once.
fn push(subtransaction: u32, base: u32, change: Change) {
    session(|session| {
        let same = |chunk: &Chunk| {
            chunk.base == base
                && chunk.subtransaction == subtransaction
                && std::mem::discriminant(&chunk.change) == std::mem::discriminant(&change)
        };
        if !session.buffer.iter().any(same) {
            session.buffer.push(Chunk { subtransaction, base, change });
        }
    });
}

/// Buffers a statement's rows, together with those of earlier statements of the subtransaction.
fn collect(subtransaction: u32, base: u32, transition: &Transition, layout: &Rc<Layout>) {
    session(|session| {
        let known = session.buffer.iter_mut().find_map(|chunk| match &mut chunk.change {
            Change::Rows(delta) if chunk.base == base && chunk.subtransaction == subtransaction => Some(delta),
            _ => None,
        });
        match known {
            Some(delta) => delta.extend(transition, layout),
            None => {
                if let Some(delta) = Delta::collect(transition, layout) {
                    session.buffer.push(Chunk { subtransaction, base, change: Change::Rows(delta) });
                }
            }
        }
    });
}

/// Makes the next flush build anew whatever reads these base tables, if a change is under way;
/// returns whether one is.
pub fn defer_rebuild(bases: &[u32]) -> bool {
    let subtransaction = xact::subtransaction();
    let busy = session(|session| !session.open.is_empty() || session.flushing.is_some());
    if busy {
        bases.iter().for_each(|&base| push(subtransaction, base, Change::Truncated));
    }
    busy
}

/// Runs DDL of the extension's own, which its event triggers need not look at.
pub fn own_ddl<T>(body: impl FnOnce() -> T) -> T {
    let before = session(|session| session.own_ddl.replace(xact::subtransaction()));
    let value = body();
    session(|session| session.own_ddl = before);
    value
}

/// Whether such DDL is under way.
pub fn is_own_ddl() -> bool {
    session(|session| session.own_ddl.is_some())
}

/// Forgets what has been applied.
fn end_flush() {
    session(|session| {
        session.flushing = None;
        if session.open.is_empty() {
            session.merges.clear();
        }
        session.buffer.drain(..).for_each(Chunk::end);
    });
}

/// Statements with such MERGEs fire their AFTER triggers now.
pub fn begin_merges(tables: &[u32]) {
    if !tables.is_empty() {
        session(|session| session.merges.extend(tables));
    }
}

/// The last `count` of them are over.
pub fn end_merges(count: usize) {
    if count > 0 {
        session(|session| session.merges.truncate(session.merges.len().saturating_sub(count)));
    }
}

/// The base tables with something in the buffer.
pub fn changed() -> BTreeSet<u32> {
    session(|session| session.buffer.iter().map(|chunk| chunk.base).collect())
}

/// Whether something in the buffer is not applied under row locks alone.
pub fn needs_locks() -> bool {
    let lone = |chunk: &Chunk| matches!(chunk.change, Change::Rows(_)) && cache::is_lone(chunk.base);
    session(|session| !session.buffer.iter().all(lone))
}

/// The base tables that were truncated.
pub fn truncated() -> BTreeSet<u32> {
    session(|session| {
        let truncated = session.buffer.iter().filter(|chunk| matches!(chunk.change, Change::Truncated));
        truncated.map(|chunk| chunk.base).collect()
    })
}

/// The net changes of these base tables, one delta each.
pub fn net(bases: &BTreeSet<u32>) -> BTreeMap<u32, Net> {
    session(|session| {
        merge(&mut session.buffer, |_, _| true);
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

/// From how many chunks on the buffer is tidied before the flush.
const MANY: usize = 64;

/// Makes the rows of each base table one chunk, where their subtransactions may be put together.
/// When a flush begins all may: every statement that was open inside of another is over.
fn merge(buffer: &mut Vec<Chunk>, may: impl Fn(u32, u32) -> bool) {
    let mut merged: Vec<Chunk> = Vec::with_capacity(buffer.len());
    for chunk in buffer.drain(..) {
        let (base, owner) = (chunk.base, chunk.subtransaction);
        let same = |known: &&mut Chunk| {
            known.base == base && may(known.subtransaction, owner) && matches!(known.change, Change::Rows(_))
        };
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

/// Refuses a change of a maintained table that is not its own flush.
pub fn guard(relation: u32, name: &str) {
    if session(|session| session.writing != Some(relation)) {
        raise(
            &Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change maintained table \"{name}\""))
                .detail("Its content is the result of its query, and follows the base tables by itself.")
                .hint("Change the base tables instead."),
        );
    }
}

/// Runs `body`, which writes this state.
pub fn writing<T>(state: u32, body: impl FnOnce() -> T) -> T {
    let before = session(|session| session.writing.replace(state));
    let value = body();
    session(|session| session.writing = before);
    value
}

/// Refuses a row that arrives without its statement having opened.
pub fn replica(table: &str) {
    if session(|session| session.open.is_empty()) {
        raise(&refuse::replicated(table));
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
        session.flushing.iter_mut().chain(&mut session.own_ddl).for_each(adopt);
        session.buffer.iter_mut().for_each(|chunk| adopt(&mut chunk.subtransaction));
        // A trigger with an exception block leaves a chunk for each row.
        if session.buffer.len() > MANY {
            merge(&mut session.buffer, |left, right| left == right);
        }
    });
}

/// What a subtransaction did never happened.
pub fn abort_subtransaction(mine: u32) {
    session(|session| {
        session.open.retain(|&owner| owner < mine);
        session.flushing = session.flushing.filter(|&owner| owner < mine);
        session.writing = session.writing.filter(|_| session.flushing.is_some());
        // One that goes on is then made anew as well, which is right too.
        session.merges.retain(|_| !session.open.is_empty());
        session.own_ddl = session.own_ddl.filter(|&owner| owner < mine);
        let (kept, dropped) = session.buffer.drain(..).partition(|chunk| chunk.subtransaction < mine);
        session.buffer = kept;
        for chunk in dropped {
            chunk.end();
        }
    });
}

impl Chunk {
    fn end(self) {
        if let Change::Rows(delta) = self.change {
            delta.end();
        }
    }
}
