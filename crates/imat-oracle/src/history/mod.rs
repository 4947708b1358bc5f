//! Many clients at once, with rollbacks, cancels and ended sessions, against one reader.
//!
//! The reader takes a snapshot and compares every table with its query in it, again and again:
//! between the changes of others nothing wrong may ever be visible, not only at the end.

mod clients;
mod workload;

use crate::bag;
use crate::pg::{self, Result};
use crate::tally::Tally;
use crate::target::{self, Maintained, Origin, Target};
use clients::{Counters, Shared};
use postgres::Client;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// The schema of the tables under test.
const SCHEMA: &str = "oracle_history";

/// What a run does; see the command line for the meaning of each.
pub struct Options {
    pub url: String,
    pub target: Target,
    pub seconds: u64,
    pub clients: u64,
    pub seed: u64,
}

pub fn run(options: &Options) -> Result<Tally> {
    let mut control = pg::connect(&options.url, "control")?;
    options.target.install(&mut control)?;
    let tables = set_up(&mut control, options.target)?;
    let shared = Arc::new(Shared::new(options));
    let threads: Vec<_> = (0..options.clients)
        .map(|number| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || clients::client(&shared, number))
        })
        .collect();
    let canceller = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || clients::canceller(&shared))
    };
    let mut tally = Tally::default();
    let outcome = read_until_done(options, &tables, &shared, &mut tally);
    shared.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    let _ = canceller.join();
    outcome?;
    closing(&mut control, options, &tables, &shared, &mut tally)?;
    Ok(tally)
}

fn set_up(control: &mut Client, target: Target) -> Result<Vec<Maintained>> {
    target.sweep(control)?;
    control.batch_execute(&format!(
        "DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}, public; {}",
        workload::TABLES
    ))?;
    let mut tables = Vec::new();
    for (name, query) in workload::VIEWS {
        control.batch_execute(&target.create_sql(SCHEMA, name, query, Origin::Materialized))?;
        tables.push(Maintained::describe(control, name, query)?);
    }
    Ok(tables)
}

/// One snapshot after another until the time is up or a difference is found.
fn read_until_done(options: &Options, tables: &[Maintained], shared: &Shared, tally: &mut Tally) -> Result<()> {
    let mut reader = pg::connect(&options.url, "reader")?;
    reader.batch_execute(&format!("SET search_path = {SCHEMA}, public"))?;
    let end = Instant::now() + Duration::from_secs(options.seconds);
    while Instant::now() < end {
        reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let found = target::compare(&mut reader, tables)?;
        reader.batch_execute("COMMIT")?;
        tally.count(found.is_none());
        if let Some(found) = found {
            show(options, "in a reader's snapshot", &tables[found.view], &found);
            break;
        }
        if shared.stop.load(Ordering::Relaxed) {
            break;
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

/// With everybody gone: tables equal their queries, and nothing failed that must not.
fn closing(
    control: &mut Client,
    options: &Options,
    tables: &[Maintained],
    shared: &Shared,
    tally: &mut Tally,
) -> Result<()> {
    let found = target::compare(control, tables)?;
    tally.count(found.is_none());
    if let Some(found) = found {
        show(options, "at the end", &tables[found.view], &found);
    }
    let Counters { committed, rolled_back, errors, unexpected } = shared.counters();
    let by: BTreeMap<&String, &u64> = errors.iter().collect();
    println!(
        "history: {} clients, {} s, {committed} commits, {rolled_back} rollbacks, errors {by:?}, {} snapshots compared, seed {}",
        options.clients,
        options.seconds,
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
    Ok(())
}
