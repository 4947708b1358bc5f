//! What a maintained view adds to a statement, next to what a REFRESH costs.

use super::views::{VIEWS, View};
use crate::{stats, text};
use anyhow::Result;
use postgres::{Client, Statement};
use std::time::{Duration, Instant};

/// Microseconds, medians.
pub struct Costs {
    /// A single-row INSERT without any view, taken in turns with `maintained`.
    pub bare: f64,
    /// The same with this one view maintained.
    pub maintained: f64,
    pub refresh: f64,
}

impl Costs {
    pub fn added(&self) -> f64 {
        self.maintained - self.bare
    }
}

const ROUNDS: usize = 3;
const INSERTS: usize = 150;
/// A view whose statement is slow needs fewer samples than one where microseconds count.
const PATIENCE: Duration = Duration::from_secs(2);
/// Flight numbers from here on are ours, so that they can be taken away again.
const FIRST_FLIGHT: i32 = 900_000;

/// Makes the statement that is measured: a copy, under another number, of a flight that every
/// view has something to do with.
const INSERT: &str = "SELECT format('INSERT INTO flights
    SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier,
           $1::int, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
    FROM flights WHERE time_hour = %L AND carrier = %L AND flight = %L', f.time_hour, f.carrier, f.flight)
  FROM flights f JOIN planes USING (tailnum) JOIN weather USING (origin, time_hour) JOIN airports ON faa = dest
  WHERE f.dep_delay > 120 ORDER BY f.time_hour, f.carrier, f.flight LIMIT 1";

/// Measures every view by itself, with none of the others maintained.
pub fn all(client: &mut Client) -> Result<Vec<Costs>> {
    let bar = text::steps(VIEWS.len() as u64);
    let mut costs = Vec::new();
    for view in &VIEWS {
        bar.set_message(format!("measuring {}", view.name));
        costs.push(one(client, view)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(costs)
}

fn one(client: &mut Client, view: &View) -> Result<Costs> {
    let refresh = refresh(client, view)?;
    let insert: String = client.query_one(INSERT, &[])?.get(0);
    let insert = client.prepare(&insert)?;
    let (mut bare, mut maintained) = (Vec::new(), Vec::new());
    // In turns, because a machine that is busy for a while must not favour one side.
    for _ in 0..ROUNDS {
        inserts(client, &insert, &mut bare)?;
        super::create(client, view)?;
        inserts(client, &insert, &mut maintained)?;
        client.execute("SELECT drop_imat($1)", &[&format!("imat.{}", view.name)])?;
    }
    Ok(Costs { bare: stats::median(&bare), maintained: stats::median(&maintained), refresh })
}

fn refresh(client: &mut Client, view: &View) -> Result<f64> {
    let statement = format!("REFRESH MATERIALIZED VIEW {}", view.name);
    let mut samples = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        client.batch_execute(&statement)?;
        samples.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(stats::median(&samples))
}

/// Inserts row after row, each its own transaction, and takes them all away again.
fn inserts(client: &mut Client, insert: &Statement, samples: &mut Vec<f64>) -> Result<()> {
    let started = Instant::now();
    for index in 0..INSERTS {
        let flight = FIRST_FLIGHT + i32::try_from(index)?;
        let start = Instant::now();
        client.execute(insert, &[&flight])?;
        let took = start.elapsed().as_secs_f64() * 1e6;
        // The first ones compile and plan: the price of a session, not of a statement.
        if index >= 8 {
            samples.push(took);
        }
        if index > 10 && started.elapsed() > PATIENCE {
            break;
        }
    }
    client.execute("DELETE FROM flights WHERE flight >= $1", &[&FIRST_FLIGHT])?;
    Ok(())
}
