//! Creates and drops maintained tables over a table while other sessions write it.
//!
//! The columns that are collected, and the statements that apply a change, depend on the maintained tables over the
//! base table. Each kind of view stays while every other kind is created, online or not, and dropped; columns are added
//! and dropped too. Some of the writers' statements take long, so that maintained tables are created or dropped between
//! their first rows and their last.

use crate::dice::Dice;
use crate::online::writers::{self, Shared, Writer};
use crate::pg::{self, PgError, Result};
use crate::tally::Tally;
use crate::target;
use postgres::Client;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

const SCHEMA: &str = "oracle_readers";

pub struct Options {
    pub url: String,
    pub pairs: usize,
    pub seed: u64,
}

/// One partition has its columns in another order. Writing a row with `slow` also changes other rows in the same
/// statement; tables that are new to the transaction make its session accept invalidations.
const TABLES: &str = "
CREATE TABLE dim (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY, grp int NOT NULL, dim int NOT NULL, price int NOT NULL, note text,
  PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (MINVALUE) TO (1000);
CREATE TABLE item_2 (note text, gone int, price int NOT NULL, id int NOT NULL, dim int NOT NULL, grp int NOT NULL);
ALTER TABLE item_2 DROP gone;
ALTER TABLE item ATTACH PARTITION item_2 FOR VALUES FROM (1000) TO (MAXVALUE);
CREATE INDEX ON item (grp);
CREATE INDEX ON item (dim);
CREATE TABLE news_1 (); CREATE TABLE news_2 (); CREATE TABLE news_3 ();
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE item SET grp = grp + 1, dim = NEW.dim WHERE id BETWEEN NEW.price AND NEW.price + 5;
    PERFORM pg_sleep(0.04), count(*) FROM news_1;
    UPDATE item SET price = price + 1 WHERE id = NEW.price + 3;
    PERFORM pg_sleep(0.04), count(*) FROM news_2;
    DELETE FROM item WHERE id = NEW.price + 7;
    PERFORM count(*) FROM news_3;
    RETURN CASE WHEN NEW.grp % 2 = 0 THEN NEW END;
END $$;
CREATE TRIGGER slow BEFORE INSERT ON item FOR EACH ROW WHEN (NEW.note = 'slow') EXECUTE FUNCTION slow();
INSERT INTO dim SELECT i, 'n' || i % 7 FROM generate_series(0, 19) i;
INSERT INTO item (grp, dim, price) SELECT i % 50, i % 20, i % 100 FROM generate_series(1, 2000) i;
ANALYZE";

/// A view, with SQL that is run before it is created and after it is dropped.
struct Kind {
    name: &'static str,
    query: &'static str,
    before: &'static str,
    after: &'static str,
}

const fn kind(name: &'static str, query: &'static str) -> Kind {
    Kind { name, query, before: "", after: "" }
}

const KINDS: [Kind; 6] = [
    kind("sums", "SELECT grp, count(*) AS n, sum(price) AS total FROM oracle_readers.item GROUP BY grp"),
    kind("extremes", "SELECT dim, min(price) AS low, max(note) AS last FROM oracle_readers.item GROUP BY dim"),
    kind(
        "joined",
        "SELECT d.name, count(*) AS n, avg(i.price) AS mean \
         FROM oracle_readers.item i JOIN oracle_readers.dim d ON d.id = i.dim GROUP BY d.name",
    ),
    kind(
        "rows",
        "SELECT i.id, d.name, i.price FROM oracle_readers.item i JOIN oracle_readers.dim d ON d.id = i.dim WHERE i.grp < 20",
    ),
    kind("whole", "SELECT grp, rank() OVER (ORDER BY count(*), grp) AS place FROM oracle_readers.item GROUP BY grp"),
    Kind {
        before: "ALTER TABLE item ADD added int DEFAULT 3",
        after: "ALTER TABLE item DROP added",
        ..kind(
            "added",
            "SELECT added, dim, count(*) AS n, max(id) AS last FROM oracle_readers.item GROUP BY added, dim",
        )
    },
];

/// A change of several rows, of one row, or of the other table; or a long one.
fn statement(dice: &mut Dice) -> String {
    let (row, grp, dim) = (dice.range(1, 2000), dice.range(0, 49), dice.range(0, 19));
    match dice.range(0, 13) {
        0..=3 => format!("UPDATE item SET grp = {grp}, dim = {dim} WHERE id BETWEEN {row} AND {row} + 10"),
        4 | 5 => format!("UPDATE item SET price = price + 1 WHERE id = {row}"),
        6..=8 => format!("INSERT INTO item (grp, dim, price) VALUES ({grp}, {dim}, {row})"),
        9 => format!("UPDATE item_2 SET grp = {grp}, price = price + 1, note = 'n{dim}' WHERE id % 100 = {grp}"),
        10 => format!("DELETE FROM item WHERE id BETWEEN {row} AND {row} + 2"),
        11 => format!("UPDATE dim SET name = 'n{}' WHERE id = {dim}", row % 7),
        _ => format!("DELETE FROM item WHERE id = {row}; INSERT INTO item (grp, dim, price) VALUES ({grp}, {dim}, 1)"),
    }
}

fn slow_statement(dice: &mut Dice) -> String {
    let (row, grp, dim) = (dice.range(1, 2000), dice.range(0, 49), dice.range(0, 19));
    format!("INSERT INTO item (grp, dim, price, note) VALUES ({grp}, {dim}, {row}, 'slow')")
}

pub fn run(options: &Options) -> Result<Tally> {
    let mut control = pg::connect(&options.url, "control")?;
    control.batch_execute(&format!(
        "DROP EXTENSION IF EXISTS pg_imat CASCADE; CREATE EXTENSION pg_imat; DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; \
         CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}, public"
    ))?;
    control.batch_execute(TABLES)?;
    let shared = Arc::new(Shared::default());
    let kinds: [fn(&mut Dice) -> String; 4] = [statement, statement, statement, slow_statement];
    let threads: Vec<_> = (0..)
        .zip(kinds)
        .map(|(number, statement)| {
            let (shared, url) = (Arc::clone(&shared), options.url.clone());
            let writer = Writer { url, schema: SCHEMA, seed: options.seed, number, statement };
            thread::spawn(move || writers::write(&writer, &shared))
        })
        .collect();
    let dice = Dice::new(options.seed, 100);
    let mut run = Run { control, dice, tally: Tally::default(), there: Vec::new() };
    let outcome = run.pairs(options.pairs.div_ceil(KINDS.len()));
    shared.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    outcome?;
    let noted = shared.take();
    let committed = shared.committed.load(Ordering::Relaxed);
    println!("readers: {committed} transactions committed; errors of writers {:?}", noted.errors);
    noted.unexpected.iter().take(3).for_each(|error| println!("unexpected: {error}"));
    run.check("writers met no error", noted.unexpected.is_empty());
    run.check("writers wrote", committed > 0);
    Ok(run.tally)
}

struct Run {
    control: Client,
    dice: Dice,
    tally: Tally,
    /// The kinds that are maintained now.
    there: Vec<usize>,
}

impl Run {
    /// Plays this number of pairs.
    fn pairs(&mut self, mut others: usize) -> Result<()> {
        let all = KINDS.len() - 1;
        for round in 0.. {
            self.round(round, others.min(all))?;
            if others <= all {
                break;
            }
            others -= all;
        }
        Ok(())
    }

    /// Creates and drops other kinds beside each kind; every second round with the other way of creating.
    fn round(&mut self, round: usize, others: usize) -> Result<()> {
        let order = self.dice.shuffled(&(0..KINDS.len()).collect::<Vec<_>>());
        for &stays in &order {
            self.build(stays, self.is_online(round, stays))?;
            let order = self.dice.shuffled(&order);
            for &comes in order.iter().filter(|&&comes| comes != stays).take(others) {
                self.build(comes, self.is_online(round, stays + comes))?;
                let refreshed = *self.dice.pick(&[stays, comes]);
                if self.dice.chance(30) {
                    self.patiently(&format!("SELECT refresh_imat('imat.{}')", KINDS[refreshed].name))?;
                }
                self.drop(comes)?;
            }
            self.drop(stays)?;
        }
        println!(
            "readers: round {round}: {} checks, {} failed",
            self.tally.passed + self.tally.failed,
            self.tally.failed
        );
        Ok(())
    }

    fn is_online(&self, round: usize, pair: usize) -> bool {
        (round + pair).is_multiple_of(2)
    }

    fn build(&mut self, number: usize, online: bool) -> Result<()> {
        let Kind { name, query, before, .. } = &KINDS[number];
        self.patiently(before)?;
        self.control.batch_execute(&format!("CREATE VIEW \"{name}\" AS {query}"))?;
        self.patiently(&match online {
            true => format!("CALL create_imat('\"{name}\"', online => true)"),
            false => format!("SELECT create_imat('\"{name}\"')"),
        })?;
        self.there.push(number);
        self.exact(&format!("{name} comes, online: {online}"));
        Ok(())
    }

    fn drop(&mut self, number: usize) -> Result<()> {
        let Kind { name, after, .. } = &KINDS[number];
        // Lets the writers continue for a moment with their current plans.
        thread::sleep(std::time::Duration::from_millis(20));
        self.exact(&format!("{name} is there"));
        self.patiently(&format!("SELECT drop_imat('imat.{name}')"))?;
        self.control.batch_execute(&format!("DROP VIEW \"{name}\""))?;
        self.patiently(after)?;
        self.there.retain(|&there| there != number);
        self.exact(&format!("{name} goes"));
        Ok(())
    }

    /// Runs a statement that needs a lock against writers, repeatedly until it succeeds.
    fn patiently(&mut self, sql: &str) -> Result<()> {
        let mut left = 50;
        loop {
            match self.control.batch_execute(sql).map_err(PgError::from) {
                Err(error) if error.code == "40P01" && left > 0 => left -= 1,
                outcome => return outcome,
            }
        }
    }

    fn check(&mut self, what: &str, passed: bool) {
        self.tally.count(passed);
        if !passed {
            println!("FAILED: {what}");
        }
    }

    /// Compares all tables with their queries.
    fn exact(&mut self, when: &str) {
        let there: Vec<(&str, &str)> = self.there.iter().map(|&kind| (KINDS[kind].name, KINDS[kind].query)).collect();
        let passed = target::agree(&mut self.control, &there);
        let names: Vec<&str> = there.iter().map(|(name, _)| *name).collect();
        self.check(&format!("{names:?} exact when {when}"), passed);
    }
}
