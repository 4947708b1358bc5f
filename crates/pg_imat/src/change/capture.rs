//! Capture, and the moment of the flush.
//!
//! A statement on a base table *opens* in a BEFORE trigger and *closes* in an AFTER trigger that
//! hands over its rows to the [`Buffer`]. While a base table is open, its delta is missing, so
//! nothing that reads it may be flushed: a parent's DELETE that cascades closes before its
//! children's do. When nothing is open, every change made so far has been collected, and
//! [`crate::change::flush::run`] applies them. A query that reads a maintained table before that makes
//! the flush come early, for those maintained tables whose base tables are all at rest.
//!
//! A replication worker applies rows without statements ([`row`]), and nobody is told when the last
//! trigger of a row has fired. So what it does is taken for one statement, which closes when the
//! transaction is about to commit: see [`before_commit`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use imat_compile::error::{Error, SqlState};

use crate::refuse;
use crate::catalog::{bookkeeping, facts};
use crate::catalog::cache::{self, Capture};
use crate::change::{flush, locks, trust};
use crate::change::buffer::{Buffer, Change, Changes};
use crate::follow::adopt;
use crate::pg::xact;
use crate::pg::error::raise;
use crate::pg::transition::Transition;
use crate::pg::trigger::{self, Event};

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
    /// The subtransaction in which the extension's own DDL is running.
    own_ddl: Option<u32>,
    /// The relations whose rows the running ALTER TABLE computes anew.
    rewritten: Vec<Rewritten>,
    /// Rows have come without a statement.
    applying: bool,
    /// In which command of the transaction rows were collected last.
    collected: Option<u32>,
    /// The ALTER TABLEs that are running, each within the one before.
    altering: Vec<Altering>,
}

struct Altering {
    subtransaction: u32,
    /// The command of the transaction with which it began.
    command: u32,
}

struct Rewritten {
    subtransaction: u32,
    relation: u32,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

/// Nothing in `f` may run a statement, whose start comes back here.
fn session<T>(f: impl FnOnce(&mut Session) -> T) -> T {
    SESSION.with_borrow_mut(f)
}

/// A statement on a base table begins.
pub fn open(relation: u32, is_ours: bool) {
    if announce(relation, is_ours) {
        let subtransaction = xact::subtransaction();
        session(|session| session.open.push(Open { subtransaction, relation }));
    }
}

/// Returns whether anybody follows the relation's changes. A dump may have brought back a trigger that is ours before
/// what it is for, or without it.
fn announce(relation: u32, is_ours: bool) -> bool {
    refuse_copy(relation, is_ours);
    let captures = cache::captures(relation);
    adopt::before_write(relation, !captures.is_empty());
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
    let due = session(|session| {
        let opened = session.open.iter().rposition(|open| open.relation == relation);
        opened.map(|opened| session.open.remove(opened));
        session.open.is_empty() && session.flushing.is_none() && !session.buffer.is_empty()
    });
    if due && !is_applying() {
        as_collected(|| {});
    }
}

/// A row was changed in a session that is a replica. If that was done by a statement, the row
/// comes with the others, and the statement is open: triggers fire before it closes.
pub fn row(relation: u32, row: &Transition, is_ours: bool) {
    refuse_copy(relation, is_ours);
    let captures = cache::captures(relation);
    looking_up(|| captures.iter().flat_map(Capture::trusting).for_each(|&name| trust::unchecked(name)));
    if session(|session| session.open.is_empty()) {
        session(|session| session.applying = true);
        announce(relation, is_ours);
        collect(relation, Event::Rows, row);
    }
}

/// Whether there may be rows in a table of which the trigger has not fired yet, and no statement
/// is open that would tell.
fn is_applying() -> bool {
    session(|session| session.applying) || xact::is_replication_worker()
}

fn collect(relation: u32, event: Event, transition: &Transition) {
    let captures = cache::captures(relation);
    let (subtransaction, command) = (xact::subtransaction(), xact::command());
    session(|session| session.collected = Some(command));
    for capture in captures.iter() {
        if is_flushing() && !capture.is_state {
            raise(&refuse::changed_by_flush());
        }
        let untold = match event {
            Event::Truncate => Some(Change::truncated()),
            Event::Rows => session(|session| session.merges.contains(&relation)).then(Change::untold),
        };
        match untold {
            Some(change) => session(|session| session.buffer.add(subtransaction, capture.base, change)),
            None => collect_rows(subtransaction, capture, transition),
        }
    }
}

/// Collects rows for whoever follows the base table.
pub fn collect_rows(subtransaction: u32, capture: &Capture, rows: &Transition) {
    let layout = capture.layout(rows);
    session(|Session { buffer, .. }| {
        if capture.tells && !rows.is_empty() {
            buffer.add(subtransaction, capture.base, Change::unseen());
        }
        if let Some(layout) = &layout {
            buffer.collect(subtransaction, capture.base, rows, layout);
        }
    });
}

fn is_flushing() -> bool {
    session(|session| session.flushing.is_some())
}

/// Whether a change is under way, of which the rest is not collected or applied yet.
pub fn is_busy() -> bool {
    is_applying() || session(|session| !session.open.is_empty() || session.flushing.is_some())
}

/// Notes that something has begun in this subtransaction, if it has not in an outer one, and returns what was noted.
fn begin(running: &mut Option<u32>) -> Option<u32> {
    let before = *running;
    running.get_or_insert(xact::subtransaction());
    before
}

/// Runs DDL of the extension's own, which its event triggers need not look at.
/// **Invariant:** `body` runs no code of users, whose own DDL would not be looked at either.
pub fn own_ddl<T>(body: impl FnOnce() -> T) -> T {
    let before = session(|session| begin(&mut session.own_ddl));
    let value = body();
    session(|session| session.own_ddl = before);
    value
}

/// A command is about to compute the rows of this relation anew, which no trigger sees.
pub fn before_rewrite(relation: u32) {
    xact::register();
    let subtransaction = xact::subtransaction();
    session(|session| session.rewritten.push(Rewritten { subtransaction, relation }));
}

/// The relations of which the command that is over did so.
pub fn rewritten() -> BTreeSet<u32> {
    session(|session| session.rewritten.iter().map(|rewritten| rewritten.relation).collect())
}

pub fn forget_rewritten() {
    session(|session| session.rewritten.clear());
}

/// An ALTER TABLE begins.
pub fn begin_alter() {
    xact::register();
    let altering = Altering { subtransaction: xact::subtransaction(), command: xact::command() };
    session(|session| session.altering.push(altering));
}

/// The ALTER TABLE that began last is over.
pub fn end_alter() {
    session(|session| session.altering.pop());
}

/// Whether an ALTER TABLE is running within which nothing else has happened: neither were rows collected since it
/// began, nor does another one run in it.
pub fn is_plain_alter() -> bool {
    session(|session| matches!(session.altering[..], [Altering { command, .. }] if session.collected <= Some(command)))
}

/// Whether such DDL is under way.
pub fn is_own_ddl() -> bool {
    session(|session| session.own_ddl.is_some())
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

/// Has these maintained tables made anew, and what `collect` collects applied, in one flush: what reads several of
/// them, or one of them and a base table, gets it all at once. If a change is under way, that is its own.
pub fn remake(readers: &BTreeSet<u32>, collect: impl FnOnce()) {
    let subtransaction = xact::subtransaction();
    session(|session| readers.iter().for_each(|&reader| session.buffer.remake(subtransaction, reader)));
    if !is_busy() {
        as_collected(collect);
    }
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

/// Refuses a change of a maintained table that is not its own flush: the flush's own statement
/// fires the guard one trigger deeper, the statement of a trigger on the state two.
pub fn guard(relation: u32, name: &str) {
    let flush = (relation, trigger::depth() - 1);
    if session(|session| session.writing != Some(flush)) {
        raise(
            &Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change maintained table \"{name}\""))
                .detail("Its content is the result of its query, and follows the base tables by itself.")
                .hint("Change the base tables instead."),
        );
    }
}

/// Runs `body`, which writes this state.
pub fn writing<T>(state: u32, body: impl FnOnce() -> T) -> T {
    let before = session(|session| session.writing.replace((state, trigger::depth())));
    let value = body();
    session(|session| session.writing = before);
    value
}

/// Whether the statement that begins is a flush's own, and not one of a trigger that it fires.
pub fn is_own_statement() -> bool {
    session(|session| session.writing).is_some_and(|(_, depth)| depth == trigger::depth())
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

/// Runs `body`, which writes a state directly, and flushes what that changes further up.
pub fn as_collected(body: impl FnOnce()) {
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
    body();
    flush::run();
    end_flush();
}

/// Forgets what has been applied.
fn end_flush() {
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

/// What a query that is about to start reads.
pub struct Reading {
    pub tables: Vec<u32>,
    /// It calls functions of users, which can read anything, under its snapshot or in parallel.
    pub opaque: bool,
    /// Its snapshot is nobody else's, so that it can still be given one that sees the flush.
    pub fresh: bool,
}

/// Whether there is something that a query could read too early.
pub fn is_waiting() -> bool {
    session(|session| session.flushing.is_none() && !session.buffer.is_empty()) && !is_applying()
}

/// Flushes what a query is about to read; returns whether it has to be given a new snapshot.
pub fn before_read(reading: &Reading) -> bool {
    let late = looking_up(|| written(pending()));
    let named = reading.tables.iter().any(|table| late.contains(table));
    if named && !reading.fresh {
        raise(&refuse::read_too_early());
    }
    let due = reading.fresh && (named || reading.opaque && !late.is_empty());
    if due {
        as_collected(|| {});
    }
    due
}

/// Runs `body`, which reads and writes the bookkeeping: nothing is flushed for its queries.
pub fn looking_up<T>(body: impl FnOnce() -> T) -> T {
    let before = session(|session| begin(&mut session.flushing));
    let value = body();
    session(|session| session.flushing = before);
    value
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
    if session(|session| !session.open.is_empty()) {
        raise(
            &Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "a change was not collected for the maintained tables")
                .detail("A trigger of pg_imat on a base table is disabled or was dropped.")
                .hint("Enable all of the table's triggers named imat_*, and call refresh_imat."),
        );
    }
    // A flush leaves no deferred triggers: in a security-restricted operation none can be queued.
    if session(|session| !session.buffer.is_empty()) {
        xact::at_end(|| as_collected(|| {}));
    }
    session(|session| session.buffer.free());
}

/// The transaction is over, and with it the memory that the buffer points to.
pub fn end_transaction() {
    session(|session| *session = Session::default());
    locks::end_transaction();
}

/// What a subtransaction did belongs to its parent now.
pub fn release_subtransaction(mine: u32, parent: u32) {
    session(|Session { open, flushing, own_ddl, rewritten, altering, buffer, .. }| {
        let owners = open.iter_mut().map(|open| &mut open.subtransaction);
        let owners = owners.chain(rewritten.iter_mut().map(|rewritten| &mut rewritten.subtransaction));
        let owners = owners.chain(altering.iter_mut().map(|altering| &mut altering.subtransaction));
        owners.chain(flushing).chain(own_ddl).filter(|owner| **owner == mine).for_each(|owner| *owner = parent);
        buffer.release(mine, parent);
    });
    locks::release_subtransaction(mine, parent);
}

/// What a subtransaction did never happened.
pub fn abort_subtransaction(mine: u32) {
    session(|session| {
        session.open.retain(|open| open.subtransaction < mine);
        session.flushing = session.flushing.filter(|&owner| owner < mine);
        session.writing = session.writing.filter(|_| session.flushing.is_some());
        // One that goes on is then made anew as well, which is right too.
        session.merges.retain(|_| !session.open.is_empty());
        session.own_ddl = session.own_ddl.filter(|&owner| owner < mine);
        session.rewritten.retain(|rewritten| rewritten.subtransaction < mine);
        session.altering.retain(|altering| altering.subtransaction < mine);
        session.buffer.abort(mine);
    });
    locks::abort_subtransaction(mine);
}
