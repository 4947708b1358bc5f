//! Tables that are built online while other sessions write: they must be exact at the end, and no writer may wait long.
//!
//! Every kind of view is built under writers. Then a build is ended early in each of its phases, by a cancel or with
//! its session, and the table is built again.

pub mod writers;

use crate::pg::{self, PgError, Result};
use crate::tally::Tally;
use crate::target;
use postgres::Client;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use writers::{Shared, Writer};

/// The schema of the tables under test.
const SCHEMA: &str = "oracle_online";

/// The number of rows at the beginning.
const ROWS: i64 = 200_000;

/// No statement of a writer may take longer. The measured times are printed; this limit is for slow machines.
const LONGEST: Duration = Duration::from_millis(1500);

pub struct Options {
    pub url: String,
    pub writers: u64,
}

const TABLES: &str = "
CREATE TABLE dim (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, grp int NOT NULL, dim int NOT NULL, price int NOT NULL)
  PARTITION BY RANGE (id);
CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (MINVALUE) TO (100000);
CREATE TABLE item_2 PARTITION OF item FOR VALUES FROM (100000) TO (MAXVALUE);
CREATE INDEX ON item (grp);
CREATE INDEX ON item (dim);
CREATE FUNCTION scaled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 10';
INSERT INTO dim SELECT i, 'n' || i % 7 FROM generate_series(0, 199) i;
INSERT INTO item (grp, dim, price) SELECT i % 1000, i % 210, i % 5000 FROM generate_series(1, 200000) i;
ANALYZE";

const VIEWS: [(&str, &str); 6] = [
    ("sums", "SELECT grp, count(*) AS n, sum(price) AS total FROM oracle_online.item GROUP BY grp"),
    (
        "extremes",
        "SELECT grp, max(price) AS top, array_agg(price ORDER BY price) AS all FROM oracle_online.item WHERE grp < 50 GROUP BY grp",
    ),
    (
        "joined",
        "SELECT d.name, count(*) AS n, avg(i.price) AS mean, min(i.price) AS low \
         FROM oracle_online.item i JOIN oracle_online.dim d ON d.id = i.dim GROUP BY d.name",
    ),
    (
        "rows",
        "SELECT i.id, d.name, i.price FROM oracle_online.item i JOIN oracle_online.dim d ON d.id = i.dim WHERE i.grp < 20",
    ),
    ("called", "SELECT oracle_online.scaled(grp) AS g, count(*) AS n FROM oracle_online.item GROUP BY 1"),
    ("whole", "SELECT name, rank() OVER (ORDER BY count(*)) AS place FROM oracle_online.dim GROUP BY name"),
];

pub fn run(options: &Options) -> Result<Tally> {
    let mut control = pg::connect(&options.url, "control")?;
    set_up(&mut control)?;
    let shared = Arc::new(Shared::default());
    let threads: Vec<_> = (0..options.writers)
        .map(|number| {
            let (shared, url) = (Arc::clone(&shared), options.url.clone());
            let writer = Writer { url, schema: SCHEMA, seed: 1, number, statement: writers::statement };
            thread::spawn(move || writers::write(&writer, &shared))
        })
        .collect();
    let mut run = Run { url: &options.url, control, shared, tally: Tally::default() };
    let outcome = run.all();
    run.shared.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    outcome?;
    run.no_errors();
    Ok(run.tally)
}

fn set_up(control: &mut Client) -> Result<()> {
    control.batch_execute(
        "DROP EXTENSION IF EXISTS pg_imat CASCADE; CREATE EXTENSION pg_imat; SET search_path = oracle_online, public; \
         DROP SCHEMA IF EXISTS oracle_online CASCADE; CREATE SCHEMA oracle_online",
    )?;
    control.batch_execute(TABLES)?;
    for (name, query) in VIEWS {
        control.batch_execute(&format!("CREATE VIEW \"{name}\" AS {query}"))?;
    }
    Ok(())
}

/// A call of create_imat in its own session.
struct Call {
    pid: i32,
    thread: JoinHandle<Result<()>>,
}

impl Call {
    fn outcome(self) -> Result<()> {
        self.thread.join().unwrap_or_else(|_| {
            Err(PgError { code: "panic".into(), message: "the call's thread panicked".into(), more: String::new() })
        })
    }
}

struct Run<'a> {
    url: &'a str,
    control: Client,
    shared: Arc<Shared>,
    tally: Tally,
}

impl Run<'_> {
    fn all(&mut self) -> Result<()> {
        thread::sleep(Duration::from_millis(300));
        let alone = self.shared.take();
        println!("online: longest statement of a writer before: {:?}", alone.longest.0);
        let [(first, _), others @ ..] = VIEWS;
        self.build(first)?;
        // Beside a maintained table that already has triggers, which the writers know.
        for (name, _) in others {
            self.build(name)?;
            self.drop(name)?;
        }
        self.exact("beside others", &[first]);
        self.drop(first)?;
        for how in ["pg_cancel_backend", "pg_terminate_backend"] {
            for phase in PHASES {
                self.cut_short(phase, how)?;
            }
        }
        self.hold_up()?;
        self.redefine()?;
        self.truncate()?;
        self.partition()
    }

    fn check(&mut self, what: &str, passed: bool) {
        self.tally.count(passed);
        if !passed {
            println!("FAILED: {what}");
        }
    }

    fn call(&self, name: &str) -> Result<Call> {
        let mut client = pg::connect(self.url, "builder")?;
        client.batch_execute("SET search_path = oracle_online, public")?;
        let pid = pg::backend_pid(&mut client)?;
        let sql = format!("CALL create_imat('\"{name}\"', online => true)");
        let thread = thread::spawn(move || client.batch_execute(&sql).map_err(PgError::from));
        Ok(Call { pid, thread })
    }

    /// Builds a table while other sessions write.
    fn build(&mut self, name: &str) -> Result<()> {
        self.shared.take();
        let (began, before) = (Instant::now(), self.shared.committed.load(Ordering::Relaxed));
        let outcome = self.call(name)?.outcome();
        let took = began.elapsed();
        let noted = self.shared.take();
        let committed = self.shared.committed.load(Ordering::Relaxed) - before;
        println!(
            "online: {name} built in {took:?} beside {committed} commits; longest statement {:?} ({})",
            noted.longest.0, noted.longest.1
        );
        self.check(&format!("{name}: {outcome:?}"), outcome.is_ok());
        self.check("writers went on", committed > 0);
        self.check("no writer waited long", noted.longest.0 < LONGEST);
        self.errors(&noted);
        self.exact("once it is built", &[name]);
        Ok(())
    }

    /// Drops a table, as soon as the writers' locks allow it.
    fn drop(&mut self, name: &str) -> Result<()> {
        let mut left = 50;
        loop {
            match self.control.batch_execute(&format!("SELECT drop_imat('imat.{name}')")).map_err(PgError::from) {
                Err(error) if error.code == "40P01" && left > 0 => left -= 1,
                outcome => return outcome,
            }
        }
    }

    /// Drops a table, builds it again, ends that build in the given phase, and then builds the table completely.
    fn cut_short(&mut self, phase: &Phase, how: &str) -> Result<()> {
        let name = "rows";
        let mut obstacle = pg::connect(self.url, "obstacle")?;
        let (call, reached) = self.call_until(name, phase, &mut obstacle)?;
        self.check(&format!("{how}: reaches '{}'", phase.text), reached);
        let found = pg::scalar(&mut self.control, &format!("SELECT to_regclass('imat.{name}')::text"))?;
        self.check("it is not there yet", found.is_none());
        self.control.batch_execute(&format!("SELECT {how}({})", call.pid))?;
        let code = call.outcome().map_err(|error| error.code).err().unwrap_or_default();
        let expected = ["57014", "57P01", pg::CONNECTION_LOST];
        self.check(&format!("{how} in '{}': {code}", phase.text), expected.contains(&code.as_str()));
        obstacle.batch_execute("ROLLBACK")?;
        let status = pg::scalar(&mut self.control, "SELECT status FROM imat_status WHERE status <> 'ready'")?;
        self.check(&format!("'{}': {status:?}", phase.text), status.as_deref() == Some("unfinished"));
        self.queues_rest(phase)?;
        let again = self.call(name)?.outcome();
        self.check(&format!("again after '{}': {again:?}", phase.text), again.is_ok());
        self.exact(phase.text, &[name]);
        self.drop(name)
    }

    /// A writer delays the switch of a build, while others change many rows. Then another session locks the bookkeeping
    /// for a while, so that the switch is attempted repeatedly.
    fn hold_up(&mut self) -> Result<()> {
        let name = "sums";
        let mut obstacle = pg::connect(self.url, "obstacle")?;
        let (call, reached) = self.call_until(name, &HOLD_UP, &mut obstacle)?;
        self.check(&format!("held up: reaches '{}'", HOLD_UP.text), reached);
        self.control.batch_execute(
            "INSERT INTO oracle_online.item (grp, dim, price) SELECT i % 1000, i % 210, i FROM generate_series(1, 300000) i",
        )?;
        self.shared.take();
        obstacle.batch_execute("ROLLBACK")?;
        thread::sleep(Duration::from_millis(200));
        obstacle.batch_execute("BEGIN; SELECT FROM imat_catalog.imat FOR UPDATE; SELECT pg_sleep(2); ROLLBACK")?;
        let outcome = call.outcome();
        self.check(&format!("{name} held up: {outcome:?}"), outcome.is_ok());
        let noted = self.shared.take();
        println!("online: {name} held up; longest statement {:?} ({})", noted.longest.0, noted.longest.1);
        self.check("no writer waited for what was done meanwhile", noted.longest.0 < LONGEST);
        self.errors(&noted);
        self.exact("once it is no longer held up", &[name]);
        self.drop(name)
    }

    /// Replaces a function of a view while its table is filled, in a transaction that lasts longer than the filling.
    fn redefine(&mut self) -> Result<()> {
        let name = "called";
        let phase = Phase {
            text: "filling",
            obstacle: "",
            later: "BEGIN; CREATE OR REPLACE FUNCTION oracle_online.scaled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 20'",
        };
        let mut other = pg::connect(self.url, "redefining")?;
        let (call, reached) = self.call_until(name, &phase, &mut other)?;
        self.check("redefined: reaches 'filling'", reached);
        thread::sleep(Duration::from_secs(3));
        other.batch_execute("COMMIT")?;
        let outcome = call.outcome();
        self.check(&format!("{name} redefined: {outcome:?}"), outcome.is_ok());
        self.exact("after its function was replaced", &[name]);
        self.drop(name)
    }

    /// Begins a build and waits until it is in this phase; whether it gets there. On a busy machine a phase can pass
    /// between two looks: then the table is dropped and built again, a few times.
    fn call_until(&mut self, name: &str, phase: &Phase, obstacle: &mut Client) -> Result<(Call, bool)> {
        let mut left = 5;
        loop {
            obstacle.batch_execute(phase.obstacle)?;
            let call = self.call(name)?;
            let reached = self.reaches(phase, obstacle, &call)?;
            left -= 1;
            if reached || left == 0 || !call.thread.is_finished() {
                return Ok((call, reached));
            }
            call.outcome()?;
            obstacle.batch_execute("ROLLBACK")?;
            self.drop(name)?;
        }
    }

    /// Waits until a build is in this phase, or has ended.
    fn reaches(&mut self, phase: &Phase, obstacle: &mut Client, call: &Call) -> Result<bool> {
        let end = Instant::now() + Duration::from_secs(10);
        let mut hindered = phase.later.is_empty();
        while Instant::now() < end && !call.thread.is_finished() {
            let now = pg::scalar(&mut self.control, "SELECT phase FROM imat_catalog.progress")?.unwrap_or_default();
            if !hindered && now.starts_with("filling") {
                obstacle.batch_execute(phase.later)?;
                hindered = true;
            }
            if hindered && now.starts_with(phase.text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks that writers append nothing to the queues of a build that has ended early.
    fn queues_rest(&mut self, phase: &Phase) -> Result<()> {
        let size = "SELECT coalesce(sum(pg_relation_size(queue)), 0)::text FROM imat_catalog.queue";
        thread::sleep(Duration::from_millis(30));
        let before = pg::scalar(&mut self.control, size)?;
        thread::sleep(Duration::from_millis(150));
        let after = pg::scalar(&mut self.control, size)?;
        self.check(&format!("queues grow after '{}': {before:?} to {after:?}", phase.text), before == after);
        Ok(())
    }

    /// Truncates a base table while a maintained table over it is filled.
    fn truncate(&mut self) -> Result<()> {
        for name in ["joined", "whole"] {
            let call = self.call(name)?;
            let mut other = pg::connect(self.url, "truncating")?;
            other.batch_execute(
                "SET search_path = oracle_online; BEGIN; TRUNCATE dim; \
                 INSERT INTO dim SELECT i, 't' || i % 3 FROM generate_series(0, 100) i; COMMIT",
            )?;
            let outcome = call.outcome();
            self.check(&format!("{name} beside TRUNCATE: {outcome:?}"), outcome.is_ok());
            self.exact("after TRUNCATE", &[name]);
            self.drop(name)?;
        }
        Ok(())
    }

    /// Detaches and attaches a partition after the state was filled: the DDL waits for the first round.
    fn partition(&mut self) -> Result<()> {
        for ddl in ["DETACH PARTITION item_1", "ATTACH PARTITION item_1 FOR VALUES FROM (MINVALUE) TO (100000)"] {
            let mut other = pg::connect(self.url, "altering")?;
            let (call, reached) = self.call_until("sums", &PHASES[1], &mut other)?;
            self.check(&format!("fills before {ddl}"), reached);
            other.batch_execute(&format!("SET search_path = oracle_online; ALTER TABLE item {ddl}"))?;
            let outcome = call.outcome();
            self.check(&format!("beside {ddl}: {outcome:?}"), outcome.is_ok());
            self.exact(ddl, &["sums"]);
            self.drop("sums")?;
        }
        Ok(())
    }

    /// Compares tables with their queries.
    fn exact(&mut self, when: &str, names: &[&str]) {
        let views: Vec<(&str, &str)> = VIEWS.into_iter().filter(|(name, _)| names.contains(name)).collect();
        let passed = target::agree(&mut self.control, &views);
        self.check(&format!("exact {when}: {names:?}"), passed);
    }

    fn errors(&mut self, noted: &writers::Noted) {
        noted.unexpected.iter().take(3).for_each(|error| println!("unexpected: {error}"));
        self.check("writers met no error", noted.unexpected.is_empty());
    }

    fn no_errors(&mut self) {
        let noted = self.shared.take();
        println!("online: errors of writers {:?}, longest statement {:?}", noted.errors, noted.longest);
        self.errors(&noted);
    }
}

/// A phase of a build, by its name in imat_catalog.progress, and SQL that keeps a build in this phase: run before the
/// build begins, or while it fills.
struct Phase {
    text: &'static str,
    obstacle: &'static str,
    later: &'static str,
}

const WRITING: &str = "BEGIN; INSERT INTO oracle_online.item (grp, dim, price) VALUES (1, 1, 1)";

/// A writer's lock without a transaction ID, since that would limit what a round reads from the queues.
const HOLD_UP: Phase = Phase {
    text: "waiting for a moment without writers",
    obstacle: "",
    later: "BEGIN; LOCK TABLE oracle_online.item IN ROW EXCLUSIVE MODE",
};

const PHASES: &[Phase] = &[
    Phase { text: "waiting for a moment without writers", obstacle: WRITING, later: "" },
    Phase { text: "filling", obstacle: "", later: "" },
    Phase { text: "waiting for a moment without writers", obstacle: "", later: WRITING },
    Phase {
        text: "waiting for older transactions",
        obstacle: "",
        later: "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM oracle_online.dim",
    },
];
