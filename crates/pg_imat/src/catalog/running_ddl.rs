//! The DDL commands that are running: our own, ALTER TABLE, and rewrites of rows. The end of a command needs to know
//! these.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::pg::xact;

struct Altering {
    subtransaction: u32,
    /// The transaction's command counter at its beginning.
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
    /// The relations for whose rows the running ALTER TABLE computes new values.
    rewritten: Vec<Rewritten>,
    /// The running ALTER TABLEs, each nested in the one before.
    altering: Vec<Altering>,
}

thread_local! {
    static RUNNING: RefCell<Running> = RefCell::default();
}

/// `f` must not run a statement: the end of that would call this function again.
fn running<T>(f: impl FnOnce(&mut Running) -> T) -> T {
    RUNNING.with_borrow_mut(f)
}

/// Sets `running` to this subtransaction, unless it is set already. Returns the previous value.
pub fn begin(running: &mut Option<u32>) -> Option<u32> {
    let before = *running;
    running.get_or_insert(xact::subtransaction());
    before
}

/// Runs DDL of the extension's own, which its event triggers ignore.
/// **Invariant:** `body` runs no user-defined code, since DDL in that would be ignored too.
pub fn own_ddl<T>(body: impl FnOnce() -> T) -> T {
    let before = running(|running| begin(&mut running.own_ddl));
    let value = body();
    running(|running| running.own_ddl = before);
    value
}

/// Whether DDL of the extension's own is running.
pub fn is_own_ddl() -> bool {
    running(|running| running.own_ddl.is_some())
}

/// Called before a command computes new values for the rows of this relation, for which no row or statement trigger
/// fires.
pub fn before_rewrite(relation: u32) {
    xact::register();
    let subtransaction = xact::subtransaction();
    running(|running| running.rewritten.push(Rewritten { subtransaction, relation }));
}

/// The relations for whose rows the command has computed new values.
pub fn rewritten() -> BTreeSet<u32> {
    running(|running| running.rewritten.iter().map(|rewritten| rewritten.relation).collect())
}

pub fn forget_rewritten() {
    running(|running| running.rewritten.clear());
}

/// Called at the beginning of an ALTER TABLE.
pub fn begin_alter() {
    xact::register();
    let altering = Altering { subtransaction: xact::subtransaction(), command: xact::command() };
    running(|running| running.altering.push(altering));
}

/// Called at the end of the innermost running ALTER TABLE.
pub fn end_alter() {
    running(|running| running.altering.pop());
}

/// Whether exactly one ALTER TABLE is running, and nothing was collected since it began: `last` is the command in which rows
/// were collected last, if there is one.
pub fn is_plain_alter(last: Option<u32>) -> bool {
    running(|running| matches!(running.altering[..], [Altering { command, .. }] if last <= Some(command)))
}

/// Forgets everything at the end of the transaction.
pub fn end_transaction() {
    running(|running| *running = Running::default());
}

/// Gives the entries of a released subtransaction to its parent.
pub fn release_subtransaction(mine: u32, parent: u32) {
    running(|Running { own_ddl, rewritten, altering }| {
        let owners = rewritten.iter_mut().map(|rewritten| &mut rewritten.subtransaction);
        let owners = owners.chain(altering.iter_mut().map(|altering| &mut altering.subtransaction)).chain(own_ddl);
        owners.filter(|owner| **owner == mine).for_each(|owner| *owner = parent);
    });
}

/// Drops the entries of a subtransaction that is rolled back.
pub fn abort_subtransaction(mine: u32) {
    running(|running| {
        running.own_ddl = running.own_ddl.filter(|&owner| owner < mine);
        running.rewritten.retain(|rewritten| rewritten.subtransaction < mine);
        running.altering.retain(|altering| altering.subtransaction < mine);
    });
}
