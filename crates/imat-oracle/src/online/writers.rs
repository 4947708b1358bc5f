//! Clients that write while tables are built. They measure the duration of each statement.

use super::ROWS;
use crate::dice::Dice;
use crate::pg::{self, PgError, Result};
use postgres::Client;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Shared {
    pub stop: AtomicBool,
    pub committed: AtomicU64,
    noted: Mutex<Noted>,
}

#[derive(Default, Clone)]
pub struct Noted {
    pub longest: (Duration, String),
    pub errors: BTreeMap<String, u64>,
    pub unexpected: Vec<String>,
}

/// The errors of writers that change both sides of a join in one transaction, or under a transaction snapshot.
const EXPECTED: [&str; 2] = ["40001", "40P01"];

impl Shared {
    /// The notes since the last call.
    pub fn take(&self) -> Noted {
        std::mem::take(&mut *self.noted())
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A client and its statements.
pub struct Writer {
    pub url: String,
    pub schema: &'static str,
    pub seed: u64,
    pub number: u64,
    pub statement: fn(&mut Dice) -> String,
}

/// Random transactions until told to stop.
pub fn write(writer: &Writer, shared: &Shared) -> Result<()> {
    let mut client = pg::connect(&writer.url, &format!("writer {}", writer.number))?;
    client.batch_execute(&format!("SET search_path = {}, public", writer.schema))?;
    let mut dice = Dice::new(writer.seed, writer.number);
    while !shared.stop.load(Ordering::Relaxed) {
        transaction(&mut client, shared, &mut dice, writer.statement);
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn transaction(client: &mut Client, shared: &Shared, dice: &mut Dice, statement: fn(&mut Dice) -> String) {
    let level = *dice.pick(&["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ"]);
    let mut statements = vec![format!("BEGIN ISOLATION LEVEL {level}"), statement(dice)];
    match dice.range(0, 9) {
        0 => statements.extend(["SAVEPOINT s".into(), statement(dice), "ROLLBACK TO s".into(), statement(dice)]),
        1 => statements.extend(["SAVEPOINT s".into(), statement(dice), "RELEASE s".into()]),
        2 => statements.push(statement(dice)),
        _ => {}
    }
    let commit = dice.chance(85);
    statements.push(if commit { "COMMIT" } else { "ROLLBACK" }.into());
    for sql in statements {
        let began = Instant::now();
        let outcome = client.batch_execute(&sql);
        let took = began.elapsed();
        let mut noted = shared.noted();
        if took > noted.longest.0 {
            noted.longest = (took, sql);
        }
        if let Err(error) = outcome {
            let error = PgError::from(error);
            *noted.errors.entry(error.code.clone()).or_default() += 1;
            if !EXPECTED.contains(&error.code.as_str()) {
                noted.unexpected.push(error.to_string());
            }
            drop(noted);
            let _ = client.batch_execute("ROLLBACK");
            return;
        }
    }
    if commit {
        shared.committed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A change of one table, of one row or several, on either side of the join.
pub fn statement(dice: &mut Dice) -> String {
    let row = dice.range(1, ROWS);
    let dim = dice.range(0, 199);
    match dice.range(0, 30) {
        0..=16 => format!("INSERT INTO item (grp, dim, price) VALUES ({}, {dim}, {row})", row % 1000),
        17 | 18 => format!(
            "INSERT INTO item (grp, dim, price) SELECT i % 1000, i % 210, i FROM generate_series({row}, {row} + 20) i"
        ),
        19..=23 => format!("UPDATE item SET price = price + 1 WHERE id = {row}"),
        24 | 25 => format!("UPDATE item SET grp = grp / 2, dim = {dim} WHERE id BETWEEN {row} AND {row} + 10"),
        26 | 27 => format!("DELETE FROM item WHERE id BETWEEN {row} AND {row} + 2"),
        28 => format!("UPDATE dim SET name = 'n' || {} WHERE id = {dim}", row % 7),
        29 => format!(
            "INSERT INTO dim (id, name) VALUES ({}, 'new') ON CONFLICT (id) DO UPDATE SET name = 'old'",
            dim + 20
        ),
        _ => format!("DELETE FROM dim WHERE id = {dim} AND name <> 'n1'"),
    }
}
