//! `create_imat(…, online => true)`: builds a maintained table while other sessions write its base tables.
//!
//! 1. *Begin*: makes all objects, empty and under temporary names.
//! 2. *Watch*: makes the triggers, one relation at a time, under a lock that waits until no transaction is open
//!    which wrote the relation. From then on writers append their deltas to the queues.
//! 3. *Fill*: the first round fills the state from the query. A round takes one snapshot, deletes the queue entries
//!    that this snapshot sees, and makes the state what the query returns under this snapshot.
//! 4. *Switch*: further rounds apply the queues. Then, under a lock that excludes writers, the last entries are
//!    applied. After that writers apply their changes themselves.
//! 5. *Publish*: gives the table its name, when no transaction is left whose snapshot is older than the switch.
//!
//! **Invariant:** writers wait only for a lock that is waited for at most [`MOST`] milliseconds. Work that can take
//! longer is done under no lock that conflicts with theirs.
//! **Invariant:** create_imat and drop_imat can remove what any step leaves behind. Nothing is removed
//! at an error, since that would need locks, and would be impossible after a crash.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use imat_compile::name::QName;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::build::create::{self, Filling};
use crate::build::register::Source;
use crate::build::{analyze, catch_up, register};
use crate::catalog::bookkeeping::{self, Entry, trusted};
use crate::catalog::cache::{self, Maintained};
use crate::catalog::content;
use crate::catalog::facts::oid;
use crate::catalog::running_ddl::own_ddl;
use crate::change::rebuild::rebuild;
use crate::change::{flush, locks, stale};
use crate::pg::error::{ok, raise};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::procedure::{self, Reads, Transactions};
use crate::pg::spi::{self, Param};
use crate::pg::{context, xact};
use crate::refuse;

/// The lock timeout in milliseconds for a lock that blocks writers, at the first attempt and at most.
const LEAST: u64 = 10;
const MOST: u64 = 320;

/// After a failed attempt this waits so many times the timeout, without a lock.
const PAUSE: u64 = 4;

/// A round that takes no longer than this is followed by the switch, which blocks writers for the remaining entries.
const SHORT: Duration = Duration::from_millis(20);

/// After so many rounds, a round that takes at least 80 % as long as the one before is the last.
const ROUNDS: u32 = 5;

struct Build<'a> {
    transactions: &'a Transactions,
    name: u32,
    definition: u32,
    target: QName,
    /// The next round reads queue entries from this transaction on.
    horizon: String,
}

/// Builds the maintained table. `source` is called in the first transaction.
pub fn create(transactions: &Transactions, source: impl FnOnce() -> Source, schema: &str) {
    transactions.next(Reads::Committed);
    let source = source();
    requeue(transactions, &QName::new(schema, source.name.as_str()));
    let mut build = Build::begin(transactions, &source, schema);
    build.watch();
    build.fill();
    build.switch();
    build.wait_for_older_snapshots();
    build.publish(source.view);
    build.end();
}

/// Makes writers stop applying changes to the table of an earlier unfinished build, if that had got past the switch.
/// Otherwise a writer could be about to write the table when it is dropped.
fn requeue(transactions: &Transactions, target: &QName) {
    const REQUEUE: Sql = Sql::fixed("UPDATE imat_catalog.imat AS i SET queued = true WHERE i.name = $1");
    let caller = context::user();
    let kept = || bookkeeping::unfinished(target).filter(|left| !left.queued && analyze::owns(caller, left.state));
    let Some(left) = trusted(kept) else { return };
    if lock::is_being_built(left.definition) {
        return;
    }
    let members = || trusted(|| bookkeeping::relations(left.name)).into_iter().map(|(member, _)| member).collect();
    with_growing_timeout(transactions, |timeout| {
        without_writers(members, Mode::Share, timeout, |members| {
            trusted(|| spi::run_with(&REQUEUE, &[oid(left.name)]));
            members.iter().chain([&left.state]).for_each(|&relation| xact::invalidate(relation));
        })
    });
    transactions.next(Reads::Committed);
}

/// Calls `attempt` with a growing lock timeout, each time in a new transaction, until it succeeds.
fn with_growing_timeout(transactions: &Transactions, mut attempt: impl FnMut(u64) -> bool) {
    // Shorter than deadlock_timeout, so that the deadlock check of a waiting writer does not run.
    let most = MOST.min(procedure::deadlock_timeout() / 2).max(1);
    let mut timeout = LEAST.min(most);
    loop {
        transactions.next(Reads::Committed);
        if attempt(timeout) {
            return;
        }
        transactions.pause(timeout * PAUSE);
        timeout = most.min(timeout * 2);
    }
}

impl<'a> Build<'a> {
    fn begin(transactions: &'a Transactions, source: &Source, schema: &str) -> Self {
        let name = ok(create::create(source, schema, Filling::Online));
        let target = QName::new(schema, source.name.as_str());
        let mut build = Build { transactions, name, definition: 0, target, horizon: "0".to_owned() };
        build.definition = build.entry().definition;
        lock::begin_build(build.definition);
        build
    }

    fn report(&self, what: &str) {
        procedure::report_activity(&self.activity(what));
    }

    fn activity(&self, what: &str) -> String {
        format!("create_imat {} online: {what}", self.target)
    }

    /// The entry in the bookkeeping. Raises an error if the unfinished table was dropped.
    fn entry(&self) -> Entry {
        let entry = trusted(|| bookkeeping::entry(self.name)).filter(|entry| entry.target.is_some());
        entry.unwrap_or_else(|| raise(&refuse::build_lost(&self.target.to_string())))
    }

    fn maintained(&self) -> Rc<Maintained> {
        if let Some(reason) = self.entry().stale {
            raise(&refuse::build_stale(&self.target.to_string(), &reason));
        }
        cache::revalidate();
        cache::maintained(self.name)
    }

    fn members(&self) -> Vec<u32> {
        self.maintained().members.iter().copied().collect()
    }

    /// Makes the triggers of all base tables, so that changes reach the queues.
    fn watch(&self) {
        self.transactions.next(Reads::Committed);
        for relation in self.members() {
            self.report("waiting for a moment without writers, to watch them");
            with_growing_timeout(self.transactions, |timeout| {
                without_writers(
                    || vec![relation],
                    Mode::ShareRowExclusive,
                    timeout,
                    |_| {
                        // The partition may have been detached meanwhile.
                        if !self.maintained().members.contains(&relation) {
                            return;
                        }
                        lock::require_unused(relation, c"create a maintained table over");
                        trusted(|| own_ddl(|| register::ensure_triggers([relation])));
                    },
                )
            });
        }
        // This may have enabled disabled triggers, so other maintained tables may no longer be stale.
        self.transactions.next(Reads::Committed);
        let members: Vec<Oid> = self.members().into_iter().map(Oid::from).collect();
        rebuild(stale::follow_triggers(&members).into_iter().collect());
    }

    /// The first round.
    fn fill(&mut self) {
        self.report("filling");
        self.round();
    }

    /// Further rounds, until one is short.
    fn catch_up(&mut self) {
        let mut before = Duration::MAX;
        for round in 1.. {
            self.report(&format!("catching up, round {round}"));
            let took = self.round();
            if took <= SHORT || round > ROUNDS && took > before / 10 * 8 {
                return;
            }
            before = took;
        }
    }

    /// Applies the queues up to a new snapshot; returns how long that took.
    fn round(&mut self) -> Duration {
        let began = Instant::now();
        self.transactions.next(Reads::Repeatable);
        let maintained = self.maintained();
        self.horizon = self.take(&maintained);
        self.transactions.next(Reads::Nothing);
        began.elapsed()
    }

    /// Applies the queues up to this transaction's snapshot; returns the horizon from which the next round reads.
    fn take(&self, maintained: &Maintained) -> String {
        let filling = self.activity("filling");
        let mut horizon = String::new();
        flush::after(|| horizon = catch_up::catch_up(maintained, &self.horizon, &filling));
        horizon
    }

    /// Makes writers apply their changes themselves.
    fn switch(&mut self) {
        const SWITCH: Sql = Sql::fixed("UPDATE imat_catalog.imat AS i SET queued = false WHERE i.name = $1");
        let transactions = self.transactions;
        with_growing_timeout(transactions, |timeout| {
            self.report("waiting for a moment without writers, to let them take over");
            wait_for_writers(&self.members(), Mode::Share);
            // Other sessions have gone on writing during that wait.
            self.catch_up();
            transactions.next(Reads::Committed);
            try_without_writers(
                || self.members(),
                Mode::Share,
                timeout,
                |members| {
                    let maintained = self.maintained();
                    // The update comes first because it can wait and so fail. After `take`, the horizon has moved, and
                    // a repeated attempt would skip the entries.
                    trusted(|| spi::run_with(&SWITCH, &[oid(self.name)]));
                    content::begin(maintained.entry.state);
                    self.take(&maintained);
                    members.iter().chain([&maintained.entry.state]).for_each(|&relation| xact::invalidate(relation));
                },
            )
        });
    }

    /// Waits until no transaction has a snapshot from before the switch. Such a snapshot sees the state as the last
    /// round left it, which may be older than the snapshot itself, so the table must not be visible to it.
    ///
    /// A newer transaction can import an old snapshot from a transaction that is waited for. So this waits twice: the
    /// second time for the transactions that have begun until the end of the first wait. Transactions that begin still
    /// later are not waited for: as long as a writing transaction is older than the switch, the xmin of new snapshots
    /// looks as old. So a snapshot that is exported and imported twice in that time is missed.
    fn wait_for_older_snapshots(&self) {
        const NOW: Sql = Sql::fixed(
            "SELECT pg_catalog.clock_timestamp()::text, pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text",
        );
        const OLDER: Sql = Sql::fixed(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a \
                 WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() \
                   AND pg_catalog.age(a.backend_xmin) > pg_catalog.age($2::xid8::xid) \
                   AND coalesce(a.xact_start <= $1::timestamptz, true) \
                   AND a.backend_type NOT IN ('walsender', 'autovacuum worker'))",
        );
        self.transactions.next(Reads::Committed);
        self.report("waiting for older transactions");
        let now = || trusted(|| spi::first(&NOW, &[], |row| (row.need::<String>(1), row.need::<String>(2))));
        let (mut begun, switched) = now().unwrap_or_default();
        for _ in 0..2 {
            let params = || [Param::from(begun.as_str()), Param::from(switched.as_str())];
            let older = || trusted(|| spi::first(&OLDER, &params(), |row| row.need(1))) == Some(true);
            while older() {
                self.transactions.pause(LEAST);
                self.transactions.next(Reads::Committed);
            }
            begun = now().unwrap_or_default().0;
        }
    }

    /// Gives the maintained table its name.
    fn publish(&self, view: u32) {
        self.report("waiting for a moment without writers, to name it");
        with_growing_timeout(self.transactions, |timeout| {
            let entry = self.entry();
            // If the state itself is renamed, writers are excluded, because the statements of a flush name it.
            let members = || if entry.name == entry.state { self.members() } else { Vec::new() };
            without_writers(members, Mode::Share, timeout, |_| trusted(|| create::publish(&entry, view, &self.target)))
        });
    }

    /// Drops the queues. The maintained table is complete by now.
    fn end(&self) {
        self.transactions.next(Reads::Committed);
        self.report("dropping its queues");
        trusted(|| own_ddl(|| catch_up::drop(self.name)));
        self.transactions.next(Reads::Committed);
        lock::end_build(self.definition);
    }
}

/// Waits for the open writers of these relations without a lock, then runs `body` under locks that exclude writers.
/// Returns false if the locks were not granted within `timeout` milliseconds.
fn without_writers(
    relations: impl Fn() -> Vec<u32>,
    mode: Mode,
    timeout: u64,
    body: impl FnOnce(&BTreeSet<u32>),
) -> bool {
    wait_for_writers(&relations(), mode);
    try_without_writers(relations, mode, timeout, body)
}

/// Waits for the transactions that are writing these relations now, without blocking new writers.
fn wait_for_writers(relations: &[u32], mode: Mode) {
    relations.iter().for_each(|&relation| lock::wait_for_holders(relation, mode));
}

/// The same without the first wait. Partitions may be attached while locks are waited for, so `relations` is called
/// again until all of its relations are locked.
fn try_without_writers(
    relations: impl Fn() -> Vec<u32>,
    mode: Mode,
    timeout: u64,
    body: impl FnOnce(&BTreeSet<u32>),
) -> bool {
    let kept = xact::attempt_with_timeout(timeout, || {
        let until = Instant::now() + Duration::from_millis(timeout);
        let mut locked = BTreeSet::new();
        loop {
            let open: BTreeSet<u32> = relations().into_iter().filter(|relation| !locked.contains(relation)).collect();
            if open.is_empty() {
                break;
            }
            locked.extend(&open);
            locks::lock_all(Purpose::Online, open, mode, until);
        }
        body(&locked);
    });
    kept.is_some()
}
