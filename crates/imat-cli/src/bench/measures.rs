//! What is measured, and how. Every round takes each variant once.

use super::Options;
use super::orders::{self, Shop};
use super::variants::Variant;
use crate::client::{connect_quietly, is_retryable};
use crate::stats::{Random, median};
use anyhow::{Result, anyhow};
use postgres::{Client, Statement};
use std::thread;
use std::time::{Duration, Instant};

pub const ROUNDS: usize = 4;

/// How a figure compares with `no view`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Micros,
    PerSecond,
    Bytes,
}

pub enum Kind {
    SingleRow,
    /// Transactions of many clients: BEGIN; INSERT; think; COMMIT.
    Clients {
        groups: u64,
        think: Duration,
    },
    Bulk {
        rows: i64,
    },
    Update {
        rows: i64,
    },
    Wal,
    /// Transactions of many clients that each insert an order and three lines.
    Orders(Shop),
}

pub struct Measure {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    pub kind: Kind,
}

const THINK: Duration = Duration::from_millis(2);

const fn clients(name: &'static str, title: &'static str, groups: u64, think: Duration) -> Measure {
    Measure { name, title, unit: Unit::PerSecond, kind: Kind::Clients { groups, think } }
}

const fn orders(name: &'static str, title: &'static str, at_once: bool, discounts: bool) -> Measure {
    Measure { name, title, unit: Unit::PerSecond, kind: Kind::Orders(Shop { at_once, discounts, think: THINK }) }
}

pub const MEASURES: [Measure; 11] = [
    Measure { name: "single_row", title: "single-row insert", unit: Unit::Micros, kind: Kind::SingleRow },
    clients("clients_1000", "clients, 1,000 groups", 1_000, Duration::ZERO),
    clients("clients_1000_think", "… with 2 ms think time", 1_000, THINK),
    clients("clients_hot", "clients, one hot group", 1, Duration::ZERO),
    clients("clients_hot_think", "… with 2 ms think time ", 1, THINK),
    Measure { name: "bulk", title: "insert of 100,000 rows", unit: Unit::Micros, kind: Kind::Bulk { rows: 100_000 } },
    Measure { name: "update", title: "update of 1,000 rows", unit: Unit::Micros, kind: Kind::Update { rows: 1_000 } },
    Measure { name: "wal", title: "WAL per single-row insert", unit: Unit::Bytes, kind: Kind::Wal },
    orders("orders", "join: orders, three lines in one INSERT", true, false),
    orders("orders_discounts", "… while one client updates orders", true, true),
    orders("orders_single", "… in an INSERT each", false, false),
];

/// The measures of these names, or all.
pub fn wanted(names: &[String]) -> Result<Vec<&'static Measure>> {
    let known = |name: &String| MEASURES.iter().any(|measure| measure.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = MEASURES.iter().map(|measure| measure.name).collect();
        return Err(anyhow!("there is no measure {unknown}; there are {}", all.join(", ")));
    }
    let is_wanted = |measure: &&Measure| names.is_empty() || names.iter().any(|name| name == measure.name);
    Ok(MEASURES.iter().filter(is_wanted).collect())
}

pub struct Sample {
    pub measure: &'static Measure,
    pub variant: &'static str,
    pub round: usize,
    pub value: f64,
}

const INSERT: &str = "INSERT INTO sales (region, product_id, amount) VALUES ($1, $2, $3)";
const BULK: &str = "INSERT INTO sales (region, product_id, amount)
    SELECT n % 10, n / 10 % 100, n % 97 FROM generate_series(1, $1::bigint) AS n";
const UPDATE: &str = "UPDATE sales SET amount = amount + 1 WHERE id > $1 AND id <= $1 + $2";

pub fn take(measure: &'static Measure, options: &Options, variants: &[&'static Variant]) -> Result<Vec<Sample>> {
    let time = Duration::from_secs_f64(options.seconds / ROUNDS as f64);
    let mut samples = Vec::new();
    for round in 0..ROUNDS {
        for variant in variants {
            let value = match measure.kind {
                Kind::Orders(_) if variant.orders.is_none() => continue,
                Kind::Orders(shop) => orders::run(options, variant, shop, time)?,
                Kind::SingleRow => Session::open(options, variant)?.single_row(time)?,
                Kind::Clients { groups, think } => clients_run(options, variant, groups, think, time)?,
                Kind::Bulk { rows } => Session::open(options, variant)?.bulk(rows)?,
                Kind::Update { rows } => Session::open(options, variant)?.update(rows)?,
                Kind::Wal => Session::open(options, variant)?.wal()?,
            };
            samples.push(Sample { measure, variant: variant.name, round, value });
        }
    }
    Ok(samples)
}

/// One client of one variant.
struct Session {
    client: Client,
    insert: Statement,
    after: Option<Statement>,
    random: Random,
}

impl Session {
    fn open(options: &Options, variant: &Variant) -> Result<Session> {
        Session::numbered(options, variant, 0)
    }

    fn numbered(options: &Options, variant: &Variant, number: u64) -> Result<Session> {
        let mut client = connect_quietly(&options.url)?;
        client.batch_execute(&variant.session())?;
        let insert = client.prepare(INSERT)?;
        let after = variant.after_statement.map(|sql| client.prepare(sql)).transpose()?;
        Ok(Session { client, insert, after, random: Random::new(number + 1) })
    }

    /// A row of one of the first `groups` groups.
    fn row(&mut self, groups: u64) -> [i32; 3] {
        let group = self.random.below(groups) as i32;
        [group % 10, group / 10, self.random.below(97) as i32]
    }

    fn insert(&mut self, groups: u64) -> Result<(), postgres::Error> {
        let [region, product, amount] = self.row(groups);
        self.client.execute(&self.insert, &[&region, &product, &amount])?;
        self.keep_current()
    }

    fn keep_current(&mut self) -> Result<(), postgres::Error> {
        match &self.after {
            Some(after) => self.client.execute(after, &[]).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The first statements of a session compile and plan; five make PostgreSQL keep its plan.
    fn warm_up(&mut self) -> Result<()> {
        for _ in 0..10 {
            self.insert(1_000)?;
        }
        Ok(())
    }

    fn single_row(&mut self, time: Duration) -> Result<f64> {
        self.warm_up()?;
        let (started, mut times) = (Instant::now(), Vec::new());
        while started.elapsed() < time {
            let start = Instant::now();
            self.insert(1_000)?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&times))
    }

    fn bulk(&mut self, rows: i64) -> Result<f64> {
        self.warm_up()?;
        let last = self.last_id()?;
        let start = Instant::now();
        self.client.execute(BULK, &[&rows])?;
        self.keep_current()?;
        let took = start.elapsed().as_secs_f64() * 1e6;
        // The next round starts from a table of the same size.
        self.client.execute("DELETE FROM sales WHERE id > $1", &[&last])?;
        self.keep_current()?;
        self.client.batch_execute("VACUUM sales")?;
        Ok(took)
    }

    fn update(&mut self, rows: i64) -> Result<f64> {
        self.warm_up()?;
        let statement = self.client.prepare(UPDATE)?;
        let mut times = Vec::new();
        for step in 0..10_i64 {
            let start = Instant::now();
            self.client.execute(&statement, &[&(step * rows), &rows])?;
            self.keep_current()?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&times))
    }

    /// The first change of a page after a checkpoint logs the whole page; the warm-up takes that
    /// out, so that what remains is what one more insert costs.
    fn wal(&mut self) -> Result<f64> {
        let (inserts, warm_up) = if self.after.is_some() { (20, 5) } else { (1_000, 1_000) };
        for _ in 0..warm_up {
            self.insert(1_000)?;
        }
        let before = self.wal_position()?;
        for _ in 0..inserts {
            self.insert(1_000)?;
        }
        Ok((self.wal_position()? - before) / f64::from(inserts))
    }

    fn wal_position(&mut self) -> Result<f64> {
        let query = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
        Ok(self.client.query_one(query, &[])?.get(0))
    }

    fn last_id(&mut self) -> Result<i64> {
        Ok(self.client.query_one("SELECT max(id) FROM sales", &[])?.get(0))
    }

    /// BEGIN; INSERT; think; COMMIT, over and over. Returns how many were committed.
    fn transactions(&mut self, groups: u64, think: Duration, until: Instant) -> Result<u64> {
        let mut committed = 0;
        while Instant::now() < until {
            self.client.batch_execute("BEGIN")?;
            match self.insert(groups) {
                Ok(()) => {
                    thread::sleep(think);
                    self.client.batch_execute("COMMIT")?;
                    committed += 1;
                }
                Err(error) if is_retryable(&error) => self.client.batch_execute("ROLLBACK")?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(committed)
    }
}

fn clients_run(
    options: &Options,
    variant: &'static Variant,
    groups: u64,
    think: Duration,
    time: Duration,
) -> Result<f64> {
    let mut sessions = Vec::new();
    for number in 0..options.clients {
        let mut session = Session::numbered(options, variant, number as u64)?;
        session.warm_up()?;
        sessions.push(session);
    }
    let started = Instant::now();
    let until = started + time;
    let threads: Vec<_> = sessions
        .into_iter()
        .map(|mut session| thread::spawn(move || session.transactions(groups, think, until)))
        .collect();
    let mut committed = 0;
    for thread in threads {
        committed += thread.join().map_err(|_| anyhow!("a client panicked"))??;
    }
    // The last transactions may end well after the time is up: divide by what it really took.
    Ok(committed as f64 / started.elapsed().as_secs_f64())
}
