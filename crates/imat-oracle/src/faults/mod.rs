//! Faults at every point of a change: the change must happen completely or not at all, and the session must work as
//! before.
//!
//! A script of changes is run repeatedly. At first its first call of the injector fails, then its second, until a run
//! meets no fault. After each fault, and after further changes in the same session, every maintained table must equal
//! its query.

mod disk;
mod memory;
mod schema;
mod spill;

use crate::pg::{self, PgError, Result};
use crate::tally::Tally;
use crate::target::{self, Maintained, Origin, Target};
use postgres::Client;
use schema::SCHEMA;
use std::collections::BTreeMap;

/// The options of a run; see the command line.
pub struct Options {
    pub url: String,
    pub target: Target,
    pub filter: Option<String>,
    /// Errors are injected at every n-th point, slower kinds of faults at every 12n-th.
    pub stride: u64,
    pub seed: u64,
}

/// The kind of fault at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Error,
    Cancel,
    StatementTimeout,
    LockTimeout,
    Terminate,
    TransactionTimeout,
}

impl Fault {
    const ALL: [Fault; 6] = [
        Fault::Error,
        Fault::Cancel,
        Fault::StatementTimeout,
        Fault::LockTimeout,
        Fault::Terminate,
        Fault::TransactionTimeout,
    ];

    /// The injector's number for it.
    fn kind(self) -> u32 {
        match self {
            Fault::Error => 0,
            Fault::Cancel => 1,
            Fault::StatementTimeout | Fault::TransactionTimeout => 2,
            Fault::LockTimeout => 3,
            Fault::Terminate => 4,
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Fault::StatementTimeout => "SET statement_timeout = '100ms'",
            Fault::LockTimeout => "SET lock_timeout = '10ms'",
            Fault::TransactionTimeout => "SET transaction_timeout = '200ms'",
            _ => "",
        }
    }

    fn codes(self) -> &'static [&'static str] {
        match self {
            Fault::Error => &["IM001"],
            Fault::Cancel | Fault::StatementTimeout => &["57014"],
            Fault::LockTimeout => &["55P03"],
            Fault::Terminate => &["57P01", pg::CONNECTION_LOST],
            Fault::TransactionTimeout => &["25P04", pg::CONNECTION_LOST],
        }
    }

    fn ends_session(self) -> bool {
        matches!(self, Fault::Terminate | Fault::TransactionTimeout)
    }
}

/// How a session continues after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    /// Every statement is its own transaction.
    Alone,
    /// The transaction is rolled back.
    Rollback,
    /// Each statement has a savepoint to roll back to, inside another savepoint that is released.
    Savepoint,
    /// Rolls back to a savepoint before the whole script, and runs the script again.
    Again,
    /// The whole script is one DO block, each statement in a block that catches its error.
    Block,
}

const RECOVERIES: [Recovery; 5] =
    [Recovery::Alone, Recovery::Rollback, Recovery::Savepoint, Recovery::Again, Recovery::Block];

pub fn run(options: &Options) -> Result<Tally> {
    let mut bench = Bench::new(options)?;
    let mut tally = Tally::default();
    for (name, views) in schema::SETS {
        if options.filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        bench.set_up(views)?;
        for fault in Fault::ALL {
            // transaction_timeout came with PostgreSQL 17.
            if fault == Fault::TransactionTimeout && bench.version < 170_000 {
                continue;
            }
            for recovery in RECOVERIES {
                let (points, wrong) = bench.all_points(fault, recovery)?;
                println!("{} {name} {fault:?} {recovery:?}: {points} points", verdict(&wrong));
                wrong.iter().for_each(|what| println!("    {what}"));
                tally.count(wrong.is_empty());
            }
        }
        let others = [Some(spill::check(&mut bench)?), Some(idle(&mut bench)?), memory::check(&mut bench)?];
        others.into_iter().flatten().for_each(|outcome| report(name, outcome, &mut tally));
    }
    if options.filter.as_ref().is_none_or(|filter| "disk".contains(filter.as_str())) {
        bench.set_up(disk::VIEWS)?;
        disk::check(&mut bench)?.into_iter().for_each(|outcome| report("large", outcome, &mut tally));
    }
    bench.counts.iter().for_each(|(code, n)| println!("  {code}: {n}"));
    Ok(tally)
}

fn report(name: &str, (what, wrong): (&str, Vec<String>), tally: &mut Tally) {
    println!("{} {name} {what}", verdict(&wrong));
    wrong.iter().for_each(|what| println!("    {what}"));
    tally.count(wrong.is_empty());
}

fn verdict(wrong: &[String]) -> &'static str {
    if wrong.is_empty() { "ok  " } else { "FAIL" }
}

/// The session under test, a control session, and the maintained tables.
struct Bench<'a> {
    options: &'a Options,
    version: u32,
    control: Client,
    session: Client,
    tables: Vec<Maintained>,
    counts: BTreeMap<String, u64>,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options) -> Result<Self> {
        let mut control = pg::connect(&options.url, "control")?;
        options.target.install(&mut control)?;
        let version = pg::version(&mut control)?;
        let session = connect(options)?;
        Ok(Self { options, version, control, session, tables: Vec::new(), counts: BTreeMap::new() })
    }

    fn set_up(&mut self, views: &[(&str, &str)]) -> Result<()> {
        let (control, target) = (&mut self.control, self.options.target);
        target.sweep(control)?;
        let reads = format!("imat.{}", pg::ident(views[0].0));
        control.batch_execute(&format!(
            "DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}, public; \
             {} {}; {} {}; {}",
            schema::INJECTOR,
            schema::CATCH,
            schema::TABLES,
            schema::inner_changes(&reads),
            schema::BASE_TRIGGERS
        ))?;
        self.tables.clear();
        for (name, query) in views {
            control.batch_execute(&target.create_sql(SCHEMA, name, query, Origin::Query))?;
            self.tables.push(Maintained::describe(control, name, query)?);
        }
        if target == Target::Extension {
            control.batch_execute(schema::STATE_TRIGGERS)?;
        }
        // A session that waits for this lock times out.
        control.batch_execute("SELECT pg_advisory_lock(7)")?;
        Ok(())
    }

    /// Injects a fault at the first point, the second, and so on, until a run meets none.
    fn all_points(&mut self, fault: Fault, recovery: Recovery) -> Result<(u64, Vec<String>)> {
        let stride = self.options.stride * if fault == Fault::Error { 1 } else { 12 };
        let (mut point, mut tried) = (1 + self.options.seed % stride, 0);
        loop {
            let (met, wrong) = self.one_point(fault, recovery, point)?;
            if !met || !wrong.is_empty() {
                let wrong = wrong.into_iter().map(|what| format!("point {point}: {what}")).collect();
                return Ok((tried, wrong));
            }
            tried += 1;
            point += stride;
        }
    }

    /// Returns whether the fault was met, and the problems found.
    fn one_point(&mut self, fault: Fault, recovery: Recovery, point: u64) -> Result<(bool, Vec<String>)> {
        self.session.batch_execute(&format!("SELECT setval('target', 0); {}", schema::ROWS))?;
        let mut wrong = Vec::new();
        self.session.batch_execute(&format!(
            "SELECT setval('kind', {}), setval('target', {point}), setval('calls', 1, false); {}",
            fault.kind(),
            fault.setting()
        ))?;
        self.play(fault, recovery, &mut wrong);
        let met = pg::scalar(&mut self.control, "SELECT last_value >= (SELECT last_value FROM target) FROM calls")?;
        let met = met.as_deref() == Some("t");
        self.control.batch_execute("SELECT setval('target', 0)")?;
        if self.session.is_closed() || (met && fault.ends_session()) {
            self.session = connect(self.options)?;
        }
        self.session.batch_execute("RESET statement_timeout; RESET lock_timeout")?;
        if fault == Fault::TransactionTimeout {
            self.session.batch_execute("RESET transaction_timeout")?;
        }
        self.compare("afterwards", &mut wrong);
        for sql in schema::AFTERWARDS {
            if let Err(error) = self.session.batch_execute(sql).map_err(PgError::from) {
                wrong.push(format!("afterwards {sql}: {error}"));
            }
        }
        self.compare("after further changes", &mut wrong);
        Ok((met, wrong))
    }

    /// Runs the script and recovers from any error, which must be the injected one.
    fn play(&mut self, fault: Fault, recovery: Recovery, wrong: &mut Vec<String>) {
        let script = schema::SCRIPT;
        match recovery {
            Recovery::Alone => {
                for sql in script {
                    self.step(fault, sql, wrong);
                }
            }
            Recovery::Rollback => {
                self.step(fault, "BEGIN", wrong);
                let whole = script.iter().all(|sql| self.step(fault, sql, wrong));
                self.step(fault, if whole { "COMMIT" } else { "ROLLBACK" }, wrong);
            }
            Recovery::Savepoint => {
                self.step(fault, "BEGIN", wrong);
                self.step(fault, "SAVEPOINT outside", wrong);
                for sql in script {
                    self.step(fault, "SAVEPOINT inside", wrong);
                    if !self.step(fault, sql, wrong) {
                        self.step(fault, "ROLLBACK TO SAVEPOINT inside", wrong);
                        self.compare(&format!("back before {sql}"), wrong);
                    }
                    self.step(fault, "RELEASE SAVEPOINT inside", wrong);
                }
                self.step(fault, "RELEASE SAVEPOINT outside", wrong);
                self.step(fault, "COMMIT", wrong);
            }
            Recovery::Again => {
                self.step(fault, "BEGIN", wrong);
                self.step(fault, "SAVEPOINT before", wrong);
                if !script.iter().all(|sql| self.step(fault, sql, wrong)) {
                    self.step(fault, "ROLLBACK TO SAVEPOINT before", wrong);
                    self.compare("back before everything", wrong);
                    self.step(fault, "SET LOCAL statement_timeout = 0", wrong);
                    for sql in script {
                        self.step(fault, sql, wrong);
                    }
                }
                self.step(fault, "COMMIT", wrong);
            }
            Recovery::Block => {
                let block = |sql: &&str| {
                    format!(
                        "BEGIN {sql}; EXCEPTION WHEN query_canceled OR OTHERS THEN PERFORM catch(SQLSTATE, SQLERRM); END;"
                    )
                };
                let body: String = script.iter().map(block).collect();
                self.step(fault, &format!("DO $do$ BEGIN {body} END $do$"), wrong);
            }
        }
    }

    /// Whether the statement succeeded. If the session has ended, nothing is run.
    fn step(&mut self, fault: Fault, sql: &str, wrong: &mut Vec<String>) -> bool {
        if self.session.is_closed() {
            return false;
        }
        match self.session.batch_execute(sql).map_err(PgError::from) {
            Ok(()) => true,
            Err(error) => {
                *self.counts.entry(error.code.clone()).or_default() += 1;
                if !fault.codes().contains(&error.code.as_str()) {
                    wrong.push(format!("{sql}: {error}"));
                }
                false
            }
        }
    }

    /// Compares under the session's own snapshot.
    fn compare(&mut self, when: &str, wrong: &mut Vec<String>) {
        if self.session.is_closed() {
            return;
        }
        match target::compare(&mut self.session, &self.tables) {
            Ok(None) => {}
            Ok(Some(found)) => wrong.push(format!(
                "{when}: imat.{} differs: expected {:?}, actual {:?}",
                self.tables[found.view].name, found.expected, found.actual
            )),
            Err(error) => wrong.push(format!("{when}: {error}")),
        }
    }
}

fn connect(options: &Options) -> Result<Client> {
    let mut session = pg::connect(&options.url, "session")?;
    session.batch_execute(&format!("SET search_path = {SCHEMA}, public; SET client_min_messages = error"))?;
    Ok(session)
}

/// A transaction that is ended by an idle timeout must leave no change.
fn idle(bench: &mut Bench) -> Result<(&'static str, Vec<String>)> {
    let mut wrong = Vec::new();
    bench.session.batch_execute(&format!(
        "SELECT setval('target', 0); {} SET idle_in_transaction_session_timeout = '30ms'; BEGIN; {}",
        schema::ROWS,
        schema::SCRIPT.join(";")
    ))?;
    std::thread::sleep(std::time::Duration::from_millis(120));
    match bench.session.batch_execute("COMMIT").map_err(PgError::from) {
        Err(error) if ["25P03", pg::CONNECTION_LOST].contains(&error.code.as_str()) => {}
        other => wrong.push(format!("the idle session was not ended: {other:?}")),
    }
    bench.session = connect(bench.options)?;
    bench.compare("after the idle session", &mut wrong);
    Ok(("idle in transaction", wrong))
}
