//! Many concurrent clients, with rollbacks, cancels, ended sessions and crashes of the server, against one reader.
//!
//! The reader repeatedly takes a snapshot and compares every table with its query under it. So the tables must be exact
//! at any time, not only at the end.

mod clients;
mod transaction;
mod workload;

use crate::bag;
use crate::dice::Dice;
use crate::pg::{self, PgError, Result};
use crate::tally::Tally;
use crate::target::{self, Maintained, Origin, Target};
use clients::{Counters, Shared};
use postgres::Client;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// The schema of the tables under test.
const SCHEMA: &str = "oracle_history";

/// The options of a run; see the command line.
pub struct Options {
    pub url: String,
    pub target: Target,
    pub seconds: u64,
    pub clients: u64,
    pub seed: u64,
    /// A shell command that kills the server and starts it again.
    pub crash: Option<String>,
    pub crash_every: u64,
}

pub fn run(options: &Options) -> Result<Tally> {
    let mut control = pg::connect(&options.url, "control")?;
    pg::end_prepared(&mut control)?;
    options.target.install(&mut control)?;
    let tables = set_up(&mut control, options)?;
    let shared = Arc::new(Shared::new(options, pg::version(&mut control)?));
    let spawn = |work: Box<dyn Fn(&Shared) + Send>| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || work(&shared))
    };
    let mut threads: Vec<_> =
        (0..options.clients).map(|number| spawn(Box::new(move |shared| clients::client(shared, number)))).collect();
    threads.push(spawn(Box::new(clients::canceller)));
    let finisher = spawn(Box::new(clients::finisher));
    let mut tally = Tally::default();
    let outcome = read_until_done(options, &tables, &shared, &mut tally);
    shared.stop.store(true, Ordering::Relaxed);
    let _ = finisher.join();
    // Clients may be waiting for prepared transactions, and prepare others when they continue.
    let mut control = pg::connect(&options.url, "control")?;
    while !threads.iter().all(thread::JoinHandle::is_finished) {
        clients::finish(&mut control, &mut Dice::new(options.seed, u64::MAX - 2))?;
        thread::sleep(Duration::from_millis(10));
    }
    while clients::finish(&mut control, &mut Dice::new(options.seed, u64::MAX - 2))? > 0 {}
    outcome?;
    closing(&mut control, options, &tables, &shared, &mut tally)?;
    Ok(tally)
}

fn set_up(control: &mut Client, options: &Options) -> Result<Vec<Maintained>> {
    let target = options.target;
    target.sweep(control)?;
    if options.crash.is_some() {
        // A killed process may have written half a page.
        control.batch_execute("ALTER SYSTEM SET full_page_writes = on")?;
        control.batch_execute("SELECT pg_reload_conf()")?;
    }
    control.batch_execute(&format!(
        "DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}, public; {}",
        workload::TABLES
    ))?;
    let mut tables = Vec::new();
    for (name, query) in workload::VIEWS {
        control.batch_execute(&target.create_sql(SCHEMA, name, query, Origin::Query))?;
        tables.push(Maintained::describe(control, name, query)?);
    }
    Ok(tables)
}

/// Takes one snapshot after another until the time is up or a difference is found, with crashes in between.
fn read_until_done(options: &Options, tables: &[Maintained], shared: &Shared, tally: &mut Tally) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut next_crash = Instant::now() + Duration::from_secs(options.crash_every);
    thread::scope(|scope| {
        let mut crasher: Option<thread::ScopedJoinHandle<Result<()>>> = None;
        let joined = |crasher: thread::ScopedJoinHandle<Result<()>>| {
            crasher.join().unwrap_or_else(|_| Err(failed("the thread that crashes the server panicked")))
        };
        while Instant::now() < end && !shared.stop.load(Ordering::Relaxed) {
            let crashes = shared.crashes();
            match read(options, tables, shared, tally, (end, next_crash)) {
                Ok(()) => {}
                // The connection was lost with the server.
                Err(_) if !shared.is_up_since(crashes) => thread::sleep(Duration::from_millis(50)),
                Err(error) => return Err(error),
            }
            if let Some(done) = crasher.take_if(|crasher| crasher.is_finished()) {
                joined(done)?;
                next_crash = Instant::now() + Duration::from_secs(options.crash_every);
            }
            if let Some(command) = options.crash.as_deref()
                && crasher.is_none()
                && Instant::now() >= next_crash
            {
                crasher = Some(scope.spawn(move || crash(command, shared)));
            }
        }
        crasher.map_or(Ok(()), joined)
    })
}

fn failed(message: &str) -> PgError {
    PgError { code: "crash".into(), message: message.to_owned(), more: String::new() }
}

/// Kills the server and starts it again.
fn crash(command: &str, shared: &Shared) -> Result<()> {
    shared.crashes.fetch_add(1, Ordering::SeqCst);
    let status = Command::new("sh").args(["-c", command]).status();
    shared.crashes.fetch_add(1, Ordering::SeqCst);
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(failed(&format!("{command}: {other:?}"))),
    }
}

/// Compares on one connection until the time is up, a difference is found or a crash is due.
fn read(
    options: &Options,
    tables: &[Maintained],
    shared: &Shared,
    tally: &mut Tally,
    (end, next_crash): (Instant, Instant),
) -> Result<()> {
    let mut reader = pg::connect(&options.url, "reader")?;
    reader.batch_execute(&format!("SET search_path = {SCHEMA}, public"))?;
    let due = || options.crash.is_some() && Instant::now() >= next_crash;
    while Instant::now() < end && !due() && !shared.stop.load(Ordering::Relaxed) {
        reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let found = target::compare(&mut reader, tables)?;
        reader.batch_execute("COMMIT")?;
        tally.count(found.is_none());
        if let Some(found) = found {
            show(options, "in a reader's snapshot", &tables[found.view], &found);
            shared.stop.store(true, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(3));
    }
    Ok(())
}

fn show(options: &Options, when: &str, table: &Maintained, found: &target::Found) {
    println!("DIFFERENCE {when}: imat.{}, seed {}", table.name, options.seed);
    for (label, rows) in [("missing", &found.difference.missing), ("extra", &found.difference.extra)] {
        for row in rows {
            println!("  {label} {}", bag::show(row));
        }
    }
}

/// After all clients have ended: tables must equal their queries, and only allowed errors must have occurred.
fn closing(
    control: &mut Client,
    options: &Options,
    tables: &[Maintained],
    shared: &Shared,
    tally: &mut Tally,
) -> Result<()> {
    control.batch_execute(&format!("SET search_path = {SCHEMA}, public"))?;
    let found = target::compare(control, tables)?;
    tally.count(found.is_none());
    if let Some(found) = found {
        show(options, "at the end", &tables[found.view], &found);
    }
    let Counters { committed, rolled_back, finished, errors, unexpected } = shared.counters();
    let by: BTreeMap<&String, &u64> = errors.iter().collect();
    println!(
        "history: {} clients, {} s, {committed} commits, {rolled_back} rollbacks, {finished} prepared, {} crashes, \
         errors {by:?}, {} snapshots compared, seed {}",
        options.clients,
        options.seconds,
        shared.crashes() / 2,
        tally.passed + tally.failed,
        options.seed
    );
    for error in unexpected.iter().take(5) {
        println!("unexpected: {error}");
    }
    tally.failed += unexpected.len() as u64;
    if committed == 0 {
        println!("no transaction committed");
        tally.failed += 1;
    }
    if options.crash.is_some() && shared.crashes() == 0 {
        println!("the server was never killed");
        tally.failed += 1;
    }
    Ok(())
}
