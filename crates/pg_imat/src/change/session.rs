//! The session's buffer of collected changes, its open statements and its running flush.
//!
//! All of this belongs to the transaction; each entry names the subtransaction that made it.

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

/// A statement whose rows have not been collected yet.
struct Open {
    subtransaction: u32,
    relation: u32,
    /// How many changes had been collected before it: see [`Buffer::collected`].
    after: u64,
}

#[derive(Default)]
struct Session {
    open: Vec<Open>,
    buffer: Buffer,
    /// The subtransaction in which a flush is running.
    flushing: Option<u32>,
    /// The target tables of MERGEs that are firing their AFTER triggers.
    merges: Vec<u32>,
    /// The state that the flush is writing, and the trigger depth of the flush.
    writing: Option<(u32, i32)>,
    /// Replicated rows have been applied, without a statement.
    replicating: bool,
    /// The command of the transaction in which rows were collected last.
    last_rows: Option<u32>,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

/// `f` must not run a statement: that would call this function again.
fn session<T>(f: impl FnOnce(&mut Session) -> T) -> T {
    SESSION.with_borrow_mut(f)
}

/// A statement on a relation begins.
pub fn open(relation: u32) {
    let subtransaction = xact::subtransaction();
    session(|session| {
        let after = session.buffer.collected();
        session.open.push(Open { subtransaction, relation, after });
    });
}

/// A statement on a relation has ended. Returns whether the collected changes can be flushed now.
pub fn close(relation: u32) -> bool {
    let due = session(|session| {
        let opened = session.open.iter().rposition(|open| open.relation == relation);
        opened.map(|opened| session.open.remove(opened));
        session.open.is_empty() && session.flushing.is_none() && !session.buffer.is_empty()
    });
    due && !is_replicating()
}

/// Whether a statement is open.
pub fn is_open() -> bool {
    session(|session| !session.open.is_empty())
}

/// Notes that a replicated row was applied without a statement.
pub fn note_replication() {
    session(|session| session.replicating = true);
}

/// Whether replicated rows may be in a table whose triggers have not fired yet. No open statement shows that.
fn is_replicating() -> bool {
    session(|session| session.replicating) || xact::is_replication_worker()
}

pub fn is_flushing() -> bool {
    session(|session| session.flushing.is_some())
}

/// Whether a change is being collected or flushed.
pub fn is_busy() -> bool {
    is_replicating() || session(|session| !session.open.is_empty() || session.flushing.is_some())
}

/// Raises an error if a change is being collected or flushed.
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
    session(|session| session.last_rows = Some(command));
}

/// The command of the transaction in which rows were collected last.
pub fn last_rows() -> Option<u32> {
    session(|session| session.last_rows)
}

/// Adds a change of a base table to the buffer.
pub fn add(base: u32, change: Change) {
    let subtransaction = xact::subtransaction();
    session(|session| session.buffer.add(subtransaction, base, change));
}

/// Adds changed rows of a base table to the buffer.
pub fn collect(base: u32, rows: &Transition, layout: &Rc<Layout>) {
    let subtransaction = xact::subtransaction();
    session(|session| session.buffer.collect(subtransaction, base, rows, layout));
}

/// Notes that MERGEs into these tables, whose changed rows PostgreSQL does not fully report, fire their AFTER triggers.
pub fn begin_merges(tables: &[u32]) {
    if !tables.is_empty() {
        session(|session| session.merges.extend(tables));
    }
}

/// Notes that the last `count` of these MERGEs have ended.
pub fn end_merges(count: usize) {
    if count > 0 {
        session(|session| session.merges.truncate(session.merges.len().saturating_sub(count)));
    }
}

/// Whether such a MERGE into this table is firing its AFTER triggers.
pub fn is_merging(relation: u32) -> bool {
    session(|session| session.merges.contains(&relation))
}

/// Whether all collected changes have been applied.
pub fn is_empty() -> bool {
    session(|session| session.buffer.is_empty())
}

/// Whether there are collected changes that must be flushed before a query reads the maintained tables.
pub fn must_flush_before_read() -> bool {
    session(|session| session.flushing.is_none() && !session.buffer.is_empty()) && !is_replicating()
}

/// The base tables with changes in the buffer.
pub fn changed() -> BTreeSet<u32> {
    session(|session| session.buffer.changed().into_iter().map(|(base, _)| base).collect())
}

/// The base tables with changes whose rows are not known.
pub fn with_unknown_rows() -> BTreeSet<u32> {
    session(|session| session.buffer.with_unknown_rows())
}

/// Whether there are changes whose rows are not known.
pub fn has_unknown_rows() -> bool {
    session(|session| session.buffer.has_unknown_rows())
}

/// The maintained tables that must be rebuilt.
pub fn due_rebuilds() -> BTreeSet<u32> {
    let due = session(|session| session.buffer.due_rebuilds());
    due.into_iter().filter(|&reader| cache::find(reader).is_some()).collect()
}

/// Requests that these maintained tables are rebuilt.
pub fn request_rebuilds(readers: &BTreeSet<u32>) {
    let subtransaction = xact::subtransaction();
    session(|session| readers.iter().for_each(|&reader| session.buffer.request_rebuild(subtransaction, reader)));
}

/// The maintained tables with pending changes, and without a base table that has an open statement.
pub fn pending() -> BTreeSet<u32> {
    let changed = session(|session| session.buffer.changed());
    let mut pending = due_rebuilds();
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

/// The maintained tables over a base table that is being changed, which lack changes that were collected before.
pub fn held_back() -> BTreeSet<u32> {
    let open: Vec<(u32, u64)> =
        session(|session| session.open.iter().map(|open| (open.relation, open.after)).collect());
    let open: Vec<(u32, u64)> = open
        .into_iter()
        .flat_map(|(relation, after)| bases_of(relation).into_iter().map(move |base| (base, after)))
        .collect();
    let lacks = |&reader: &u32| {
        let bases = &cache::maintained(reader).bases;
        let begun = open.iter().filter(|(base, _)| bases.contains(base)).map(|&(_, after)| after).min();
        begun.is_some_and(|after| session(|session| session.buffer.lacks(reader, bases, after)))
    };
    let readers: BTreeSet<u32> = open.iter().flat_map(|&(base, _)| cache::readers(base).to_vec()).collect();
    readers.into_iter().filter(lacks).collect()
}

pub fn bases_of(relation: u32) -> Vec<u32> {
    cache::captures(relation).iter().map(|capture| capture.base).collect()
}

/// Takes the pending changes for a maintained table.
pub fn take(reader: u32) -> Changes {
    let maintained = cache::maintained(reader);
    let subtransaction = xact::subtransaction();
    session(|session| {
        let pending = session.buffer.pending(reader, &maintained.plan.tables, !maintained.is_whole());
        session.buffer.take(subtransaction, reader);
        pending
    })
}

/// A flush begins.
pub fn begin_flush() {
    let subtransaction = xact::subtransaction();
    let torn = session(|Session { flushing, buffer, .. }| {
        *flushing = Some(subtransaction);
        buffer.tidy();
        buffer.is_torn()
    });
    if torn {
        raise(&refuse::torn());
    }
}

/// A flush ends: drops the changes that have been applied. `all` says that it was to apply all of them.
pub fn end_flush(all: bool) {
    let subtransaction = xact::subtransaction();
    let idle = session(|session| session.open.is_empty());
    let done = all && idle && session(|session| session.buffer.is_of(subtransaction));
    let readers = match done {
        true => BTreeMap::new(),
        false => changed().into_iter().map(|base| (base, cache::readers(base))).collect(),
    };
    session(|session| {
        session.flushing = None;
        if idle {
            session.merges.clear();
        }
        match done {
            true => session.buffer.clear(),
            false => session.buffer.end_epoch(&readers),
        }
    });
}

/// Runs `body`, which reads and writes the bookkeeping, without a flush before its queries.
pub fn without_flush<T>(body: impl FnOnce() -> T) -> T {
    let before = session(|session| begin(&mut session.flushing));
    let value = body();
    session(|session| session.flushing = before);
    value
}

/// Runs `body`, which writes to this state.
pub fn writing<T>(state: u32, body: impl FnOnce() -> T) -> T {
    let before = session(|session| session.writing.replace((state, trigger::depth())));
    let value = body();
    session(|session| session.writing = before);
    value
}

/// Whether the running trigger was fired by the flush's own statement on this state. Such a trigger is one level deeper
/// than the flush. A trigger that is fired by a statement of another trigger on the state is two levels deeper.
pub fn is_flush_of(state: u32) -> bool {
    session(|session| session.writing) == Some((state, trigger::depth() - 1))
}

/// Whether the statement that begins is a flush's own, and not one of a trigger that the flush fires.
pub fn is_own_statement() -> bool {
    session(|session| session.writing).is_some_and(|(_, depth)| depth == trigger::depth())
}

/// Frees what could not be freed before.
pub fn free() {
    session(|session| session.buffer.free());
}

/// Forgets everything at the end of the transaction, which frees the memory that the buffer points to.
pub fn end_transaction() {
    session(|session| *session = Session::default());
}

/// Gives the entries of a released subtransaction to its parent.
pub fn release_subtransaction(mine: u32, parent: u32) {
    session(|Session { open, flushing, buffer, .. }| {
        let owners = open.iter_mut().map(|open| &mut open.subtransaction).chain(flushing);
        owners.filter(|owner| **owner == mine).for_each(|owner| *owner = parent);
        buffer.release(mine, parent);
    });
}

/// Drops the entries of a subtransaction that is rolled back.
pub fn abort_subtransaction(mine: u32) {
    session(|session| {
        session.open.retain(|open| open.subtransaction < mine);
        session.flushing = session.flushing.filter(|&owner| owner < mine);
        session.writing = session.writing.filter(|_| session.flushing.is_some());
        // A MERGE stays if any statement is open. At worst that rebuilds a table without need.
        session.merges.retain(|_| !session.open.is_empty());
        session.buffer.abort(mine);
    });
}
