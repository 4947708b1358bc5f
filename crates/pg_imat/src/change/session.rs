//! What this session has collected, and what is under way in it.
//!
//! All of it belongs to the transaction; each part is dated with the subtransaction that it belongs to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use imat_compile::error::{Error, SqlState};

use crate::catalog::cache;
use crate::catalog::running_ddl::begin;
use crate::change::buffer::{Buffer, Change, Changes};
use crate::pg::error::raise;
use crate::pg::layout::Layout;
use crate::pg::transition::Transition;
use crate::pg::{trigger, xact};
use crate::refuse;

/// A statement whose rows are not handed over yet.
struct Open {
    subtransaction: u32,
    relation: u32,
}

#[derive(Default)]
struct Session {
    open: Vec<Open>,
    buffer: Buffer,
    /// The subtransaction in which a flush is running.
    flushing: Option<u32>,
    /// The tables of the MERGEs that are finishing, whose rows are not all handed over.
    merges: Vec<u32>,
    /// The state that the flush is writing, and how many triggers deep the flush is.
    writing: Option<(u32, i32)>,
    /// Rows have come without a statement.
    applying: bool,
    /// In which command of the transaction rows were collected last.
    collected: Option<u32>,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

/// Nothing in `f` may run a statement, whose start comes back here.
fn session<T>(f: impl FnOnce(&mut Session) -> T) -> T {
    SESSION.with_borrow_mut(f)
}

/// A statement on a relation begins.
pub fn open(relation: u32) {
    let subtransaction = xact::subtransaction();
    session(|session| session.open.push(Open { subtransaction, relation }));
}

/// A statement on a relation is over; returns whether what was collected is to be applied now.
pub fn close(relation: u32) -> bool {
    let due = session(|session| {
        let opened = session.open.iter().rposition(|open| open.relation == relation);
        opened.map(|opened| session.open.remove(opened));
        session.open.is_empty() && session.flushing.is_none() && !session.buffer.is_empty()
    });
    due && !is_applying()
}

/// Whether a statement is open.
pub fn is_open() -> bool {
    session(|session| !session.open.is_empty())
}

/// Rows come without a statement.
pub fn apply_rows() {
    session(|session| session.applying = true);
}

/// Whether there may be rows in a table of which the trigger has not fired yet, and no statement
/// is open that would tell.
fn is_applying() -> bool {
    session(|session| session.applying) || xact::is_replication_worker()
}

pub fn is_flushing() -> bool {
    session(|session| session.flushing.is_some())
}

/// Whether a change is under way, of which the rest is not collected or applied yet.
pub fn is_busy() -> bool {
    is_applying() || session(|session| !session.open.is_empty() || session.flushing.is_some())
}

/// Refuses what can't be done while a change is being collected.
pub fn require_idle(action: &str) {
    if is_busy() {
        raise(
            &Error::new(SqlState::OBJECT_IN_USE, format!("cannot {action} while a base table is being changed"))
                .hint("Call it outside of triggers, in a statement of its own."),
        );
    }
}

/// Notes that rows are being collected in the command that is running.
pub fn note_rows() {
    let command = xact::command();
    session(|session| session.collected = Some(command));
}

/// The command of the transaction in which rows were collected last.
pub fn last_rows() -> Option<u32> {
    session(|session| session.collected)
}

/// Adds to what is known of a base table's changes.
pub fn add(base: u32, change: Change) {
    let subtransaction = xact::subtransaction();
    session(|session| session.buffer.add(subtransaction, base, change));
}

/// Adds rows to them.
pub fn collect(base: u32, rows: &Transition, layout: &Rc<Layout>) {
    let subtransaction = xact::subtransaction();
    session(|session| session.buffer.collect(subtransaction, base, rows, layout));
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

/// Whether such a one is finishing on this table.
pub fn is_merging(relation: u32) -> bool {
    session(|session| session.merges.contains(&relation))
}

/// Whether nothing is collected that is not applied.
pub fn is_empty() -> bool {
    session(|session| session.buffer.is_empty())
}

/// Whether there is something that a query could read too early.
pub fn is_waiting() -> bool {
    session(|session| session.flushing.is_none() && !session.buffer.is_empty()) && !is_applying()
}

/// The base tables with something in the buffer.
fn changed() -> BTreeSet<u32> {
    session(|session| session.buffer.changed().into_iter().map(|(base, _)| base).collect())
}

/// The base tables that were truncated.
pub fn truncated() -> BTreeSet<u32> {
    session(|session| session.buffer.truncated())
}

/// The maintained tables that are to be made anew.
pub fn remade() -> BTreeSet<u32> {
    let remade = session(|session| session.buffer.remade());
    remade.into_iter().filter(|&reader| cache::find(reader).is_some()).collect()
}

/// Has these maintained tables made anew.
pub fn remake(readers: &BTreeSet<u32>) {
    let subtransaction = xact::subtransaction();
    session(|session| readers.iter().for_each(|&reader| session.buffer.remake(subtransaction, reader)));
}

/// The maintained tables that have not taken everything, and whose base tables are all at rest.
pub fn pending() -> BTreeSet<u32> {
    let changed = session(|session| session.buffer.changed());
    let mut pending = remade();
    for (base, epoch) in changed {
        let lacks = |reader: &&u32| session(|session| session.buffer.taken(**reader)) < Some(epoch);
        pending.extend(cache::readers(base).iter().filter(lacks));
    }
    let open: BTreeSet<u32> = session(|session| session.open.iter().map(|open| open.relation).collect());
    if !open.is_empty() {
        let busy: BTreeSet<u32> = open.into_iter().flat_map(bases_of).collect();
        pending.retain(|&reader| cache::maintained(reader).bases.is_disjoint(&busy));
    }
    pending
}

fn bases_of(relation: u32) -> Vec<u32> {
    cache::captures(relation).iter().map(|capture| capture.base).collect()
}

/// What a maintained table has to take now.
pub fn take(reader: u32) -> Changes {
    let maintained = cache::maintained(reader);
    let subtransaction = xact::subtransaction();
    session(|session| {
        let net = session.buffer.net(reader, &maintained.plan.tables, !maintained.is_whole());
        session.buffer.take(subtransaction, reader);
        net
    })
}

/// A flush begins.
pub fn begin_flush() {
    let subtransaction = xact::subtransaction();
    let torn = session(|Session { open, flushing, buffer, .. }| {
        *flushing = Some(subtransaction);
        // With nothing open, every statement that ran inside of another is over.
        let idle = open.is_empty();
        buffer.tidy(|left, right| idle || left == right);
        buffer.is_torn()
    });
    if torn {
        raise(&refuse::torn());
    }
}

/// It is over: forgets what has been applied.
pub fn end_flush() {
    let idle = session(|session| session.open.is_empty());
    let readers = match idle {
        true => BTreeMap::new(),
        false => changed().into_iter().map(|base| (base, cache::readers(base))).collect(),
    };
    session(|session| {
        session.flushing = None;
        if idle {
            session.merges.clear();
            session.buffer.clear();
        } else {
            session.buffer.end_epoch(&readers);
        }
    });
}

/// Runs `body`, which reads and writes the bookkeeping: nothing is flushed for its queries.
pub fn looking_up<T>(body: impl FnOnce() -> T) -> T {
    let before = session(|session| begin(&mut session.flushing));
    let value = body();
    session(|session| session.flushing = before);
    value
}

/// Runs `body`, which writes this state.
pub fn writing<T>(state: u32, body: impl FnOnce() -> T) -> T {
    let before = session(|session| session.writing.replace((state, trigger::depth())));
    let value = body();
    session(|session| session.writing = before);
    value
}

/// Whether the statement whose trigger is running is the flush's own on this state: it fires triggers one deeper than
/// the flush, the statement of a trigger on the state two.
pub fn is_flush_of(state: u32) -> bool {
    session(|session| session.writing) == Some((state, trigger::depth() - 1))
}

/// Whether the statement that begins is a flush's own, and not one of a trigger that it fires.
pub fn is_own_statement() -> bool {
    session(|session| session.writing).is_some_and(|(_, depth)| depth == trigger::depth())
}

/// Frees what could not be freed before.
pub fn free() {
    session(|session| session.buffer.free());
}

/// The transaction is over, and with it the memory that the buffer points to.
pub fn end_transaction() {
    session(|session| *session = Session::default());
}

/// What a subtransaction did belongs to its parent now.
pub fn release_subtransaction(mine: u32, parent: u32) {
    session(|Session { open, flushing, buffer, .. }| {
        let owners = open.iter_mut().map(|open| &mut open.subtransaction).chain(flushing);
        owners.filter(|owner| **owner == mine).for_each(|owner| *owner = parent);
        buffer.release(mine, parent);
    });
}

/// What a subtransaction did never happened.
pub fn abort_subtransaction(mine: u32) {
    session(|session| {
        session.open.retain(|open| open.subtransaction < mine);
        session.flushing = session.flushing.filter(|&owner| owner < mine);
        session.writing = session.writing.filter(|_| session.flushing.is_some());
        // One that goes on is then made anew as well, which is right too.
        session.merges.retain(|_| !session.open.is_empty());
        session.buffer.abort(mine);
    });
}
