//! The threads of a history: clients with random transactions, and one that cancels them.

use super::{Options, SCHEMA, workload};
use crate::dice::Dice;
use crate::pg::{self, CONNECTION_LOST, PgError, Result};
use crate::target::Target;
use postgres::Client;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What the threads have in common.
pub struct Shared {
    url: String,
    seed: u64,
    pub stop: AtomicBool,
    pids: Mutex<HashMap<u64, i32>>,
    counters: Mutex<Counters>,
    /// Unlocked triggers collide in their own ways; that is what they are there for.
    lenient: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Counters {
    pub committed: u64,
    pub rolled_back: u64,
    pub errors: HashMap<String, u64>,
    pub unexpected: Vec<String>,
}

/// Serialization, deadlock, cancel, an ended session, and constraints that random data breaks.
const EXPECTED: [&str; 7] = ["40001", "40P01", "57014", "57P01", CONNECTION_LOST, "23503", "23505"];

/// A crash of the server ends sessions like this; nothing may cause it.
const CRASH: [&str; 2] = ["57P02", "57P03"];

impl Shared {
    pub fn new(options: &Options) -> Self {
        Self {
            url: options.url.clone(),
            seed: options.seed,
            stop: AtomicBool::new(false),
            pids: Mutex::default(),
            counters: Mutex::default(),
            lenient: options.target != Target::Extension,
        }
    }

    pub fn counters(&self) -> Counters {
        lock(&self.counters).clone()
    }

    fn note(&self, error: &PgError) {
        let mut counters = lock(&self.counters);
        *counters.errors.entry(error.code.clone()).or_default() += 1;
        let known = EXPECTED.contains(&error.code.as_str()) || self.lenient;
        if !known || CRASH.contains(&error.code.as_str()) {
            counters.unexpected.push(error.to_string());
        }
    }
}

/// A panic elsewhere must not hide what was counted.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Random transactions until told to stop; a lost connection is opened again.
pub fn client(shared: &Shared, number: u64) {
    let mut dice = Dice::new(shared.seed, number);
    while !shared.stop.load(Ordering::Relaxed) {
        match connect(shared, number) {
            Ok(mut connection) => {
                while !shared.stop.load(Ordering::Relaxed) && !connection.is_closed() {
                    transaction(shared, &mut connection, &mut dice);
                }
            }
            Err(error) => {
                shared.note(&error);
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn connect(shared: &Shared, number: u64) -> Result<Client> {
    let mut client = pg::connect(&shared.url, &format!("client {number}"))?;
    client.batch_execute(&format!("SET search_path = {SCHEMA}, public; SET lock_timeout = 0"))?;
    let pid = pg::backend_pid(&mut client)?;
    lock(&shared.pids).insert(number, pid);
    Ok(client)
}

fn transaction(shared: &Shared, client: &mut Client, dice: &mut Dice) {
    let level = *dice.pick(&["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
    let mut statements = vec![format!("BEGIN ISOLATION LEVEL {level}")];
    for _ in 0..dice.range(1, 4) {
        let statement = workload::statement(dice);
        if dice.chance(15) {
            statements.extend(["SAVEPOINT p".into(), statement, "ROLLBACK TO SAVEPOINT p".into()]);
        } else {
            statements.push(statement);
        }
    }
    let commit = dice.chance(80);
    statements.push(if commit { "COMMIT" } else { "ROLLBACK" }.into());
    for sql in &statements {
        if let Err(error) = client.batch_execute(sql) {
            shared.note(&PgError::from(error));
            // A cancel can hit the rollback too; a lost connection ends the attempts.
            while client.batch_execute("ROLLBACK").is_err() && !client.is_closed() {}
            lock(&shared.counters).rolled_back += 1;
            return;
        }
        if dice.chance(10) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let mut counters = lock(&shared.counters);
    if commit { counters.committed += 1 } else { counters.rolled_back += 1 }
}

/// Cancels a client's statement every few milliseconds, and now and then ends its session.
pub fn canceller(shared: &Shared) {
    let mut dice = Dice::new(shared.seed, u64::MAX);
    let Ok(mut client) = pg::connect(&shared.url, "canceller") else {
        return;
    };
    while !shared.stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(dice.range(2, 30) as u64));
        let pids: Vec<i32> = lock(&shared.pids).values().copied().collect();
        if pids.is_empty() {
            continue;
        }
        let how = if dice.chance(3) { "pg_terminate_backend" } else { "pg_cancel_backend" };
        // A session that has just gone is no concern of ours.
        let _ = client.batch_execute(&format!("SELECT {how}({})", dice.pick(&pids)));
    }
}
