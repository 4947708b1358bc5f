//! DDL that is running, as far as its end must know of it: our own, ALTER TABLE, rows that are computed anew.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::pg::xact;

struct Altering {
    subtransaction: u32,
    /// The command of the transaction with which it began.
    command: u32,
}

struct Rewritten {
    subtransaction: u32,
    relation: u32,
}

#[derive(Default)]
struct Running {
    /// The subtransaction in which the extension's own DDL is running.
    own_ddl: Option<u32>,
    /// The relations whose rows the running ALTER TABLE computes anew.
    rewritten: Vec<Rewritten>,
    /// The ALTER TABLEs that are running, each within the one before.
    altering: Vec<Altering>,
}

thread_local! {
    static RUNNING: RefCell<Running> = RefCell::default();
}

/// Nothing in `f` may run a statement, whose end comes back here.
fn running<T>(f: impl FnOnce(&mut Running) -> T) -> T {
    RUNNING.with_borrow_mut(f)
}

/// Notes that something has begun in this subtransaction, if it has not in an outer one, and returns what was noted.
pub fn begin(running: &mut Option<u32>) -> Option<u32> {
    let before = *running;
    running.get_or_insert(xact::subtransaction());
    before
}

/// Runs DDL of the extension's own, which its event triggers need not look at.
/// **Invariant:** `body` runs no code of users, whose own DDL would not be looked at either.
pub fn own_ddl<T>(body: impl FnOnce() -> T) -> T {
    let before = running(|running| begin(&mut running.own_ddl));
    let value = body();
    running(|running| running.own_ddl = before);
    value
}

/// Whether such DDL is under way.
pub fn is_own_ddl() -> bool {
    running(|running| running.own_ddl.is_some())
}

/// A command is about to compute the rows of this relation anew, which no trigger sees.
pub fn before_rewrite(relation: u32) {
    xact::register();
    let subtransaction = xact::subtransaction();
    running(|running| running.rewritten.push(Rewritten { subtransaction, relation }));
}

/// The relations of which the command that is over did so.
pub fn rewritten() -> BTreeSet<u32> {
    running(|running| running.rewritten.iter().map(|rewritten| rewritten.relation).collect())
}

pub fn forget_rewritten() {
    running(|running| running.rewritten.clear());
}

/// An ALTER TABLE begins.
pub fn begin_alter() {
    xact::register();
    let altering = Altering { subtransaction: xact::subtransaction(), command: xact::command() };
    running(|running| running.altering.push(altering));
}

/// The ALTER TABLE that began last is over.
pub fn end_alter() {
    running(|running| running.altering.pop());
}

/// Whether one ALTER TABLE is running, with no other in it, and nothing was done in it that was done last with `command`.
pub fn is_plain_alter(last: Option<u32>) -> bool {
    running(|running| matches!(running.altering[..], [Altering { command, .. }] if last <= Some(command)))
}

/// The transaction is over.
pub fn end_transaction() {
    running(|running| *running = Running::default());
}

/// What a subtransaction did belongs to its parent now.
pub fn release_subtransaction(mine: u32, parent: u32) {
    running(|Running { own_ddl, rewritten, altering }| {
        let owners = rewritten.iter_mut().map(|rewritten| &mut rewritten.subtransaction);
        let owners = owners.chain(altering.iter_mut().map(|altering| &mut altering.subtransaction)).chain(own_ddl);
        owners.filter(|owner| **owner == mine).for_each(|owner| *owner = parent);
    });
}

/// What a subtransaction did never happened.
pub fn abort_subtransaction(mine: u32) {
    running(|running| {
        running.own_ddl = running.own_ddl.filter(|&owner| owner < mine);
        running.rewritten.retain(|rewritten| rewritten.subtransaction < mine);
        running.altering.retain(|altering| altering.subtransaction < mine);
    });
}
