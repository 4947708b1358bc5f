//! Several clients that insert, update and delete at once, each its own rows and shared ones.

use crate::stats::Random;
use crate::{client, text};
use anyhow::{Result, anyhow};
use postgres::Client;
use postgres::types::ToSql;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// What the clients did.
#[derive(Default)]
pub struct Done {
    inserted: i64,
    updated: i64,
    deleted: i64,
    statements: i64,
    /// Statements that the server rolled back to resolve a conflict between clients.
    conflicts: i64,
    seconds: f64,
}

impl Done {
    fn add(&mut self, other: &Done) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.statements += other.statements;
        self.conflicts += other.conflicts;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} statements ({:.0} a second): {} rows inserted, {} updated, {} deleted, {} rolled back by a conflict",
            text::count(self.statements),
            self.statements as f64 / self.seconds,
            text::count(self.inserted),
            text::count(self.updated),
            text::count(self.deleted),
            text::count(self.conflicts),
        )
    }
}

pub fn run(url: &str, clients: usize, duration: Duration) -> Result<Done> {
    let span = "SELECT extract(epoch FROM max(time_hour) - timestamptz '2013-01-01 12:00Z')::int / 3600 FROM flights";
    let hours: i32 = client::connect_quietly(url)?.query_one(span, &[])?.get(0);
    let started = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let url = url.to_owned();
            thread::spawn(move || one_client(&url, number as u64, hours as u64, duration))
        })
        .collect();
    let mut total = Done::default();
    for thread in threads {
        total.add(&thread.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    total.seconds = started.elapsed().as_secs_f64();
    Ok(total)
}

fn one_client(url: &str, number: u64, hours: u64, duration: Duration) -> Result<Done> {
    let mut client = client::connect_quietly(url)?;
    let mut random = Random::new(number + 1);
    let mut done = Done::default();
    let started = Instant::now();
    while started.elapsed() < duration {
        let change = Change::random(&mut random, number, hours);
        match change.apply(&mut client) {
            Ok(rows) => {
                done.statements += 1;
                *change.counter(&mut done) += i64::try_from(rows)?;
            }
            Err(error) if client::is_retryable(&error) => done.conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

enum Kind {
    Insert,
    Update,
    Delete,
}

struct Change {
    kind: Kind,
    sql: &'static str,
    parameters: [i32; 2],
}

/// New flights copy a real one of some day under another number: real routes, real delays.
const INSERT_ONE: &str = "INSERT INTO flights
    SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier,
           $1::int, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
    FROM flights WHERE time_hour >= timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour' LIMIT 1
    ON CONFLICT DO NOTHING";
const INSERT_MANY: &str = "INSERT INTO flights
    SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier,
           $1::int + row_number() OVER ()::int, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
    FROM flights WHERE time_hour >= timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour' LIMIT 50
    ON CONFLICT DO NOTHING";
const DELAY: &str = "UPDATE flights SET dep_delay = dep_delay + $1 % 300, arr_delay = arr_delay + $1 % 250
    WHERE (time_hour, carrier, flight) IN (
      SELECT time_hour, carrier, flight FROM flights
      WHERE time_hour >= timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour' AND flight <> $1 LIMIT 3)";
const CHANGE_PLANE: &str = "UPDATE flights
    SET tailnum = (SELECT tailnum FROM planes ORDER BY tailnum OFFSET $1 % 100 LIMIT 1), air_time = air_time + $1 % 90
    WHERE (time_hour, carrier, flight) IN (
      SELECT time_hour, carrier, flight FROM flights
      WHERE time_hour >= timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour' LIMIT 1)";
const CANCEL: &str = "UPDATE flights
    SET dep_time = NULL, dep_delay = NULL, arr_time = NULL, arr_delay = NULL, air_time = NULL
    WHERE (time_hour, carrier, flight) IN (
      SELECT time_hour, carrier, flight FROM flights
      WHERE time_hour >= timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour' AND flight <> $1 LIMIT 1)";
const DELETE_ONE: &str = "DELETE FROM flights
    WHERE (time_hour, carrier, flight) IN (
      SELECT time_hour, carrier, flight FROM flights
      WHERE time_hour >= timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour' AND flight <> $1 LIMIT 2)";
const RENAME_AIRLINE: &str = "UPDATE airlines SET name = rtrim(name, ' *') || repeat(' *', $1 % 2)
    WHERE carrier = (SELECT carrier FROM airlines ORDER BY carrier OFFSET $2 % 6 LIMIT 1)";
const CHANGE_MAKER: &str = "UPDATE planes SET manufacturer = CASE $1 % 2 WHEN 0 THEN 'BOEING' ELSE 'AIRBUS' END
    WHERE tailnum = (SELECT tailnum FROM planes ORDER BY tailnum OFFSET $2 % 100 LIMIT 1)";
const CHANGE_WEATHER: &str = "UPDATE weather SET visib = 10 - ($1 % 3)
    WHERE origin = 'JFK' AND time_hour = timestamptz '2013-01-01 12:00Z' + $2::int * interval '1 hour'";

impl Change {
    fn random(random: &mut Random, client: u64, hours: u64) -> Change {
        // Every client numbers its flights in a range of its own.
        let number = 100_000 + client as i32 * 100_000 + random.below(90_000) as i32;
        let hour = random.below(hours) as i32;
        let (kind, sql) = match random.below(100) {
            0..=44 => (Kind::Insert, INSERT_ONE),
            45..=54 => (Kind::Insert, INSERT_MANY),
            55..=62 => (Kind::Update, DELAY),
            63..=69 => (Kind::Update, CHANGE_PLANE),
            70..=74 => (Kind::Update, CANCEL),
            75..=89 => (Kind::Delete, DELETE_ONE),
            90..=91 => (Kind::Update, RENAME_AIRLINE),
            92..=95 => (Kind::Update, CHANGE_MAKER),
            _ => (Kind::Update, CHANGE_WEATHER),
        };
        Change { kind, sql, parameters: [number, hour] }
    }

    fn apply(&self, client: &mut Client) -> Result<u64, postgres::Error> {
        let parameters = self.parameters.each_ref().map(|value| value as &(dyn ToSql + Sync));
        client.execute(self.sql, &parameters)
    }

    fn counter<'a>(&self, done: &'a mut Done) -> &'a mut i64 {
        match self.kind {
            Kind::Insert => &mut done.inserted,
            Kind::Update => &mut done.updated,
            Kind::Delete => &mut done.deleted,
        }
    }
}
