//! The threads of a history: clients with random transactions, one thread that cancels them, and one that ends their
//! prepared transactions.

use super::transaction::{PREPARED, Transaction};
use super::{Options, SCHEMA};
use crate::dice::Dice;
use crate::pg::{self, CONNECTION_LOST, PgError, Result};
use crate::target::Target;
use postgres::Client;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The state that the threads share.
pub struct Shared {
    url: String,
    seed: u64,
    server: u32,
    pub stop: AtomicBool,
    /// The number of kills and restarts of the server; odd while it is down.
    pub crashes: AtomicU64,
    pids: Mutex<HashMap<u64, i32>>,
    counters: Mutex<Counters>,
    /// The stand-in with unlocked triggers fails in its own ways, which is its purpose.
    lenient: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Counters {
    pub committed: u64,
    pub rolled_back: u64,
    pub finished: u64,
    pub errors: HashMap<String, u64>,
    pub unexpected: Vec<String>,
}

/// The errors of sessions while the server goes down and comes back. At any other time they mean that a backend
/// crashed.
const CRASH: [&str; 4] = [CONNECTION_LOST, "57P01", "57P02", "57P03"];

impl Shared {
    pub fn new(options: &Options, server: u32) -> Self {
        Self {
            url: options.url.clone(),
            seed: options.seed,
            server,
            stop: AtomicBool::new(false),
            crashes: AtomicU64::new(0),
            pids: Mutex::default(),
            counters: Mutex::default(),
            lenient: options.target != Target::Extension,
        }
    }

    pub fn counters(&self) -> Counters {
        lock(&self.counters).clone()
    }

    pub fn crashes(&self) -> u64 {
        self.crashes.load(Ordering::SeqCst)
    }

    /// Whether the server has not gone down since `crashes` was read.
    pub fn is_up_since(&self, crashes: u64) -> bool {
        crashes.is_multiple_of(2) && self.crashes() == crashes
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts an error. `allowed` says whether it may occur while the server is up.
    fn note(&self, error: &PgError, crashes: u64, allowed: bool) {
        let mut counters = lock(&self.counters);
        *counters.errors.entry(error.code.clone()).or_default() += 1;
        let crash = CRASH.contains(&error.code.as_str()) && !self.is_up_since(crashes);
        if !allowed && !crash && !self.lenient {
            counters.unexpected.push(error.to_string());
        }
    }
}

/// Ignores poisoning: a panic in another thread must not hide the counts.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs `work` on a connection until told to stop, and reconnects if the connection is lost.
fn connected(shared: &Shared, purpose: &str, mut work: impl FnMut(&mut Client, u64)) {
    while !shared.stopped() {
        let crashes = shared.crashes();
        match connect(shared, purpose) {
            Ok(mut client) => {
                while !shared.stopped() && !client.is_closed() {
                    work(&mut client, crashes);
                }
            }
            Err(error) => {
                // A cancel can reach a session before it has begun.
                shared.note(&error, crashes, ["57014", "57P01"].contains(&error.code.as_str()));
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn connect(shared: &Shared, purpose: &str) -> Result<Client> {
    let mut client = pg::connect(&shared.url, purpose)?;
    // With so many clients, deadlocks are frequent.
    client.batch_execute(&format!("SET search_path = {SCHEMA}, public; SET deadlock_timeout = '20ms'"))?;
    Ok(client)
}

/// Random transactions.
pub fn client(shared: &Shared, number: u64) {
    let mut dice = Dice::new(shared.seed, number);
    let mut count = 0;
    let mut known = None;
    connected(shared, &format!("client {number}"), |client, crashes| {
        if known != Some(crashes) || count % 50 == 0 {
            if let Ok(pid) = pg::backend_pid(client) {
                lock(&shared.pids).insert(number, pid);
            }
            known = Some(crashes);
        }
        count += 1;
        let transaction = Transaction::random(&mut dice, shared.server, &format!("{number} {crashes} {count}"));
        play(shared, client, crashes, &transaction, &mut dice);
    });
}

fn play(shared: &Shared, client: &mut Client, crashes: u64, transaction: &Transaction, dice: &mut Dice) {
    for sql in &transaction.statements {
        if let Err(error) = client.batch_execute(sql) {
            let error = PgError::from(error);
            shared.note(&error, crashes, transaction.allows(&error.code));
            // A cancel can reach the rollback too. A lost connection ends the loop.
            while client.batch_execute("ROLLBACK").is_err() && !client.is_closed() {}
            lock(&shared.counters).rolled_back += 1;
            return;
        }
        if dice.chance(10) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let mut counters = lock(&shared.counters);
    if transaction.commits { counters.committed += 1 } else { counters.rolled_back += 1 }
}

/// Cancels a client's statement every few milliseconds, and sometimes ends its session.
pub fn canceller(shared: &Shared) {
    let mut dice = Dice::new(shared.seed, u64::MAX);
    connected(shared, "canceller", |client, _| {
        thread::sleep(Duration::from_millis(dice.range(10, 100) as u64));
        let pids: Vec<i32> = lock(&shared.pids).values().copied().collect();
        if !pids.is_empty() {
            let how = if dice.chance(3) { "pg_terminate_backend" } else { "pg_cancel_backend" };
            // Errors for sessions that have just ended don't matter. After a restart another process may have a
            // client's old PID, so only clients' sessions are selected.
            let _ = client.batch_execute(&format!(
                "SELECT {how}(pid) FROM pg_stat_activity WHERE pid = {} AND application_name LIKE 'imat-oracle client%'",
                dice.pick(&pids)
            ));
        }
    });
}

/// Commits or rolls back the clients' prepared transactions, from another session and possibly after a restart of the
/// server.
pub fn finisher(shared: &Shared) {
    let mut dice = Dice::new(shared.seed, u64::MAX - 1);
    connected(shared, "finisher", |client, crashes| {
        thread::sleep(Duration::from_millis(dice.range(5, 40) as u64));
        match finish(client, &mut dice) {
            Ok(finished) => lock(&shared.counters).finished += finished,
            Err(error) => shared.note(&error, crashes, false),
        }
    });
}

/// Ends all our prepared transactions.
pub fn finish(client: &mut Client, dice: &mut Dice) -> Result<u64> {
    let prepared = format!("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE '{PREPARED}%'");
    let mut finished = 0;
    for gid in pg::query(client, &prepared)?.into_iter().flatten().flatten() {
        let how = if dice.chance(70) { "COMMIT" } else { "ROLLBACK" };
        match client.batch_execute(&format!("{how} PREPARED {}", pg::literal(&gid))).map_err(PgError::from) {
            Ok(()) => finished += 1,
            // The session that prepared it has not released it yet.
            Err(error) if error.code == "55000" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(finished)
}
