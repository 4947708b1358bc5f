//! Orders and their lines, entered by many clients: what a join costs those who write its two sides.

use super::Options;
use super::variants::{ORDERS, Variant};
use crate::client::connect_quietly;
use crate::stats::Random;
use anyhow::{Result, anyhow};
use postgres::{Client, Statement};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ORDER: &str = "INSERT INTO orders (customer, discount) VALUES ($1, 0) RETURNING id";
const LINE: &str = "INSERT INTO lines (ord, qty, price) VALUES ($1, $2, $3)";
const LINES: &str = "INSERT INTO lines (ord, qty, price) VALUES ($1, $2, $3), ($1, $4, $5), ($1, $6, $7)";
const DISCOUNT: &str = "UPDATE orders SET discount = $2 WHERE id = $1";

/// How the clerks work, and whether somebody else does meanwhile.
#[derive(Clone, Copy)]
pub struct Shop {
    /// The three lines of an order are one INSERT.
    pub at_once: bool,
    /// Somebody changes discounts meanwhile.
    pub discounts: bool,
    pub think: Duration,
}

/// Enters an order and its three lines, and thinks before it commits.
struct Clerk {
    client: Client,
    order: Statement,
    line: Statement,
    lines: Statement,
    random: Random,
}

impl Clerk {
    fn open(options: &Options, variant: &Variant, number: u64) -> Result<Clerk> {
        let mut client = open(options, variant)?;
        let (order, line, lines) = (client.prepare(ORDER)?, client.prepare(LINE)?, client.prepare(LINES)?);
        let mut clerk = Clerk { client, order, line, lines, random: Random::new(number + 1) };
        // The first statements of a session compile and plan.
        for step in 0..20 {
            clerk.enter(step % 2 == 0, Duration::ZERO)?;
        }
        Ok(clerk)
    }

    /// Nothing here may fail: not even a deadlock is expected.
    fn enter(&mut self, at_once: bool, think: Duration) -> Result<()> {
        self.client.batch_execute("BEGIN")?;
        let customer = self.random.below(1_000) as i32;
        let order: i64 = self.client.query_one(&self.order, &[&customer])?.get(0);
        let lines: [(i32, i32); 3] =
            std::array::from_fn(|_| (self.random.below(9) as i32 + 1, self.random.below(97) as i32));
        match at_once {
            true => {
                let [(q1, p1), (q2, p2), (q3, p3)] = lines;
                self.client.execute(&self.lines, &[&order, &q1, &p1, &q2, &p2, &q3, &p3])?;
            }
            false => {
                for (qty, price) in lines {
                    self.client.execute(&self.line, &[&order, &qty, &price])?;
                }
            }
        }
        thread::sleep(think);
        self.client.batch_execute("COMMIT")?;
        Ok(())
    }

    fn work(&mut self, shop: Shop, until: Instant) -> Result<u64> {
        let mut orders = 0;
        while Instant::now() < until {
            self.enter(shop.at_once, shop.think)?;
            orders += 1;
        }
        Ok(orders)
    }
}

fn open(options: &Options, variant: &Variant) -> Result<Client> {
    let mut client = connect_quietly(&options.url)?;
    client.batch_execute(&variant.session())?;
    Ok(client)
}

/// Changes the discounts of orders that were there before, until it is told to stop.
fn discount(mut client: Client, think: Duration, stop: &AtomicBool) -> Result<()> {
    let statement = client.prepare(DISCOUNT)?;
    let mut random = Random::new(0);
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("BEGIN")?;
        let (order, percent) = (random.below(ORDERS) as i64 + 1, random.below(50) as i32);
        client.execute(&statement, &[&order, &percent])?;
        thread::sleep(think);
        client.batch_execute("COMMIT")?;
    }
    Ok(())
}

/// Orders committed a second.
pub fn run(options: &Options, variant: &'static Variant, shop: Shop, time: Duration) -> Result<f64> {
    let clerks = (0..options.clients).map(|number| Clerk::open(options, variant, number as u64));
    let clerks = clerks.collect::<Result<Vec<Clerk>>>()?;
    let stop = Arc::new(AtomicBool::new(false));
    let manager = shop.discounts.then(|| open(options, variant)).transpose()?.map(|client| {
        let stop = stop.clone();
        thread::spawn(move || discount(client, shop.think, &stop))
    });
    let started = Instant::now();
    let until = started + time;
    let threads: Vec<_> = clerks.into_iter().map(|mut clerk| thread::spawn(move || clerk.work(shop, until))).collect();
    let mut committed = 0;
    for thread in threads {
        committed += thread.join().map_err(|_| anyhow!("a client panicked"))??;
    }
    let took = started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    if let Some(manager) = manager {
        manager.join().map_err(|_| anyhow!("a client panicked"))??;
    }
    Ok(committed as f64 / took)
}
