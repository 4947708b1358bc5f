//! `create_imat(…, online => true)`: a maintained table is built while its base tables are written.
//!
//! 1. *Begin*: all that it consists of is made, empty and under hidden names.
//! 2. *Watch*: relation by relation the triggers are made, each in a moment without open writers. From
//!    then on writers append what they change to the queues.
//! 3. *Fill*: a round takes one snapshot, takes from the queues what that snapshot sees, and brings the
//!    state to that moment; the first fills it.
//! 4. *Switch*: further rounds catch up. In a moment without open writers the rest is taken, and writers
//!    apply their changes themselves from then on.
//! 5. *Publish*, when no transaction is left that could look at the state as it was before.
//!
//! **Invariant:** writers wait for nothing but a lock that is given up within [`MOST`] milliseconds. What
//! takes longer is done under no lock that they need.
//! **Invariant:** whatever a step leaves, create_imat and drop_imat can clear away. Nothing is cleared
//! away at an error, since that would need locks, and could not be done after a crash.

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

/// For how many milliseconds a lock that keeps writers out is waited for, at first and at most.
const LEAST: u64 = 10;
const MOST: u64 = 320;

/// How many times as long writers are left alone after that.
const PAUSE: u64 = 4;

/// What a round that takes no longer than this leaves to be done may be done while writers wait.
const SHORT: Duration = Duration::from_millis(20);

/// After so many rounds each must be shorter than the one before, or it is the last.
const ROUNDS: u32 = 5;

struct Build<'a> {
    transactions: &'a Transactions,
    name: u32,
    definition: u32,
    target: QName,
    /// From which transaction on the queues are to be read.
    horizon: String,
}

/// Builds it. `source` is asked for in the first transaction.
pub fn create(transactions: &Transactions, source: impl FnOnce() -> Source, schema: &str) {
    transactions.next(Reads::Committed);
    let source = source();
    halt(transactions, &QName::new(schema, source.name.as_str()));
    let mut build = Build::begin(transactions, &source, schema);
    build.watch();
    build.fill();
    build.switch();
    build.outlast_snapshots();
    build.publish(source.view);
    build.end();
}

/// Makes writers leave alone what an earlier build left, if it had come as far as to be kept by them.
/// None may be about to write it when it is dropped.
fn halt(transactions: &Transactions, target: &QName) {
    const HALT: Sql = Sql::fixed("UPDATE imat_catalog.imat AS i SET queued = true WHERE i.name = $1");
    let caller = context::user();
    let kept = || bookkeeping::unfinished(target).filter(|left| !left.queued && analyze::owns(caller, left.state));
    let Some(left) = trusted(kept) else { return };
    if lock::is_being_built(left.definition) {
        return;
    }
    let members = || trusted(|| bookkeeping::relations(left.name)).into_iter().map(|(member, _)| member).collect();
    patiently(transactions, |patience| {
        keep_out(members, Mode::Share, patience, |members| {
            trusted(|| spi::run_with(&HALT, &[oid(left.name)]));
            members.iter().chain([&left.state]).for_each(|&relation| xact::invalidate(relation));
        })
    });
    transactions.next(Reads::Committed);
}

/// Calls `attempt`, in a transaction of its own each time, with more and more patience until it succeeds.
fn patiently(transactions: &Transactions, mut attempt: impl FnMut(u64) -> bool) {
    // A writer that waits for us must not come to take it for a deadlock.
    let most = MOST.min(procedure::deadlock_timeout() / 2).max(1);
    let mut patience = LEAST.min(most);
    loop {
        transactions.next(Reads::Committed);
        if attempt(patience) {
            return;
        }
        transactions.pause(patience * PAUSE);
        patience = most.min(patience * 2);
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

    fn tell(&self, what: &str) {
        procedure::tell(&self.activity(what));
    }

    fn activity(&self, what: &str) -> String {
        format!("create_imat {} online: {what}", self.target)
    }

    /// The entry, unless somebody dropped what it stands for.
    fn entry(&self) -> Entry {
        let entry = trusted(|| bookkeeping::entry(self.name)).filter(|entry| entry.target.is_some());
        entry.unwrap_or_else(|| raise(&refuse::build_lost(&self.target.to_string())))
    }

    fn maintained(&self) -> Rc<Maintained> {
        if let Some(reason) = self.entry().stale {
            raise(&refuse::build_stale(&self.target.to_string(), &reason));
        }
        cache::fresh();
        cache::maintained(self.name)
    }

    fn members(&self) -> Vec<u32> {
        self.maintained().members.iter().copied().collect()
    }

    /// Makes the changes of all base tables reach the queues.
    fn watch(&self) {
        self.transactions.next(Reads::Committed);
        for relation in self.members() {
            self.tell("waiting for a moment without writers, to watch them");
            patiently(self.transactions, |patience| {
                keep_out(
                    || vec![relation],
                    Mode::ShareRowExclusive,
                    patience,
                    |_| {
                        // A partition may have been detached.
                        if !self.maintained().members.contains(&relation) {
                            return;
                        }
                        lock::require_unused(relation, c"create a maintained table over");
                        trusted(|| own_ddl(|| register::watch([relation])));
                    },
                )
            });
        }
        // Triggers that were disabled before are not any more.
        self.transactions.next(Reads::Committed);
        let members: Vec<Oid> = self.members().into_iter().map(Oid::from).collect();
        rebuild(stale::follow_triggers(&members).into_iter().collect());
    }

    /// The first round.
    fn fill(&mut self) {
        self.tell("filling");
        self.round();
    }

    /// Further rounds, until one is short.
    fn catch_up(&mut self) {
        let mut before = Duration::MAX;
        for round in 1.. {
            self.tell(&format!("catching up, round {round}"));
            let took = self.round();
            if took <= SHORT || round > ROUNDS && took > before / 10 * 8 {
                return;
            }
            before = took;
        }
    }

    /// Brings the state to the moment at which this begins; returns how long it took.
    fn round(&mut self) -> Duration {
        let began = Instant::now();
        self.transactions.next(Reads::Repeatable);
        let maintained = self.maintained();
        self.horizon = self.take(&maintained);
        self.transactions.next(Reads::Nothing);
        began.elapsed()
    }

    /// Brings the state to the moment of this transaction's snapshot; returns from where on the next is to read.
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
        patiently(transactions, |patience| {
            self.tell("waiting for a moment without writers, to let them take over");
            outlast(&self.members(), Mode::Share);
            // Others went on writing meanwhile, however long it was.
            self.catch_up();
            transactions.next(Reads::Committed);
            attempt(
                || self.members(),
                Mode::Share,
                patience,
                |members| {
                    let maintained = self.maintained();
                    // First, as it can wait, and what was taken by an attempt that fails would be passed over by the next.
                    trusted(|| spi::run_with(&SWITCH, &[oid(self.name)]));
                    content::begin(maintained.entry.state);
                    self.take(&maintained);
                    members.iter().chain([&maintained.entry.state]).for_each(|&relation| xact::invalidate(relation));
                },
            )
        });
    }

    /// A snapshot from before the switch sees the state as the last round left it, which may be older
    /// than the snapshot itself. So nobody who has one may find the table. Whoever began later can have imported one from
    /// a transaction that is waited for, so what has begun until that is over is waited for too. Those that begin then are
    /// not: as long as any transaction that writes is older than the switch, their new snapshots look as old. So a snapshot
    /// that was exported and imported twice in that time is missed.
    fn outlast_snapshots(&self) {
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
        self.tell("waiting for older transactions");
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

    /// Gives it its name.
    fn publish(&self, view: u32) {
        self.tell("waiting for a moment without writers, to name it");
        patiently(self.transactions, |patience| {
            let entry = self.entry();
            // The statements of a flush name the state.
            let members = || if entry.name == entry.state { self.members() } else { Vec::new() };
            keep_out(members, Mode::Share, patience, |_| trusted(|| create::publish(&entry, view, &self.target)))
        });
    }

    /// Clears the queues away. The maintained table is there by now.
    fn end(&self) {
        self.transactions.next(Reads::Committed);
        self.tell("dropping its queues");
        trusted(|| own_ddl(|| catch_up::drop(self.name)));
        self.transactions.next(Reads::Committed);
        lock::end_build(self.definition);
    }
}

/// Runs `body` in a moment in which no transaction is writing these relations; returns whether there
/// was one. Long transactions are waited for beforehand.
fn keep_out(relations: impl Fn() -> Vec<u32>, mode: Mode, patience: u64, body: impl FnOnce(&BTreeSet<u32>)) -> bool {
    outlast(&relations(), mode);
    attempt(relations, mode, patience, body)
}

/// Waits for the transactions that are writing these relations, while others may begin.
fn outlast(relations: &[u32], mode: Mode) {
    relations.iter().for_each(|&relation| lock::wait_for_holders(relation, mode));
}

/// As [`keep_out`], without waiting for long transactions. Partitions may be attached while locks are waited for, so
/// the relations are asked for again until all of them are locked.
fn attempt(relations: impl Fn() -> Vec<u32>, mode: Mode, patience: u64, body: impl FnOnce(&BTreeSet<u32>)) -> bool {
    let kept = xact::attempt_within(patience, || {
        let until = Instant::now() + Duration::from_millis(patience);
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
