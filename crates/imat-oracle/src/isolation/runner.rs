//! Plays one order of steps at one level and judges it.

use super::spec::{Expectation, Flush, Mix, Run, Spec, Way};
use super::twin::{self, Twin};
use super::worker::{Answer, Inexact, STUCK, Worker};
use super::{Level, Options, SCHEMA, TWIN};
use crate::bag::show;
use crate::pg::{self, Result, ident};
use crate::target::{self, Maintained, Origin, Target};
use postgres::Client;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Instant;

/// The SQLSTATE of a failed ASSERT.
const ASSERTION: &str = "P0004";

/// The outcome of a step.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub waited: bool,
    pub answer: Option<Answer>,
}

impl Outcome {
    pub fn code(&self) -> &str {
        match &self.answer {
            None => "stuck",
            Some(Answer { error: Some(error), .. }) => &error.code,
            Some(_) => "ok",
        }
    }

    /// Makes an error of the comparison after a step an error of the step: what is applied before a query belongs to the
    /// statements before it.
    pub fn blame_the_step(&mut self) {
        if let Some(answer) = &mut self.answer
            && let Some(Inexact::Failed(error)) = &answer.inexact
        {
            answer.error = Some(error.clone());
            answer.inexact = None;
        }
    }
}

/// Creates a fresh schema with the spec's tables, rows and maintained tables.
pub fn set_up(
    control: &mut Client,
    target: Target,
    setup: &str,
    views: &[(String, String)],
) -> Result<Vec<Maintained>> {
    pg::end_prepared(control)?;
    target.sweep(control)?;
    renew(control, SCHEMA, setup)?;
    let mut tables = Vec::new();
    for (name, query) in views {
        // The materialized view is kept, and would be read if it were the source of a view over maintained tables.
        let origin = if query.contains("imat.") { Origin::Query } else { Origin::Materialized };
        control.batch_execute(&target.create_sql(SCHEMA, name, query, origin))?;
        tables.push(Maintained::describe(control, name, query)?);
    }
    Ok(tables)
}

/// Creates a fresh schema with tables and rows.
pub fn renew(control: &mut Client, schema: &str, setup: &str) -> Result<()> {
    control.batch_execute(&format!(
        "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema}, public; {setup}"
    ))?;
    Ok(())
}

/// One row per maintained table that differs from its query within a single snapshot.
pub fn inside_sql(views: &[(String, String)]) -> String {
    let one = |(name, query): &(String, String)| {
        let table = format!("TABLE imat.{}", ident(name));
        format!(
            "SELECT 'imat.{name} differs within the session' WHERE EXISTS \
             ((({table}) EXCEPT ALL ({query})) UNION ALL (({query}) EXCEPT ALL ({table})))"
        )
    };
    views.iter().map(one).collect::<Vec<_>>().join(" UNION ALL ")
}

/// Sessions by name, kept for the next play.
pub struct Sessions {
    workers: BTreeMap<String, Worker>,
    settings: String,
}

impl Sessions {
    /// Sessions on the tables under test. They leave out the lock `left_out`.
    pub fn new(flush: Flush, left_out: Option<&str>) -> Self {
        let left_out = left_out.map(|lock| format!("; SET imat.leave_out = {}", pg::literal(lock))).unwrap_or_default();
        let flush = flush.name();
        let settings = format!("SET search_path = {SCHEMA}, public; SET imat.flush = {flush}{left_out}");
        Self { workers: BTreeMap::new(), settings }
    }

    /// Sessions on the same base tables without maintained tables.
    pub fn of_twin() -> Self {
        Self { workers: BTreeMap::new(), settings: format!("SET search_path = {TWIN}, public") }
    }

    /// Begins a transaction in each of these sessions.
    fn begin(
        &mut self,
        url: &str,
        sessions: &BTreeMap<String, Level>,
        inside: impl Fn(Level) -> Option<String>,
    ) -> Result<()> {
        for (name, &level) in sessions {
            if !self.workers.contains_key(name) {
                self.workers.insert(name.clone(), Worker::start(url, name, &self.settings)?);
            }
            let worker = self.workers.get_mut(name).expect("was just started");
            if let Some(error) = worker.begin(level, inside(level).as_deref()) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends open transactions, and drops sessions that can't be used any more.
    fn end(&mut self) {
        self.workers.retain(|_, worker| !worker.busy && worker.end());
    }
}

/// A step: its name, its session and its SQL.
pub type Step = (String, String, String);

/// Plays the steps in order. A step of a session that is waiting is deferred until it no longer waits.
pub fn play(
    control: &mut Client,
    url: &str,
    sessions: &mut Sessions,
    levels: &BTreeMap<String, Level>,
    steps: &[Step],
    inside: impl Fn(Level) -> Option<String>,
) -> Result<BTreeMap<String, Outcome>> {
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    let mut running: BTreeMap<String, String> = BTreeMap::new();
    sessions.begin(url, levels, inside)?;
    let workers = &mut sessions.workers;
    let mut pending: Vec<&Step> = steps.iter().collect();
    let mut idle_since = Instant::now();
    while !pending.is_empty() && idle_since.elapsed() < STUCK {
        // All sessions wait: a deadlock, which the server resolves.
        let Some(at) = pending.iter().position(|(_, session, _)| !workers[session].busy) else {
            drain(control, workers, &running, &mut outcomes)?;
            continue;
        };
        let (name, session, sql) = pending.remove(at);
        let worker = workers.get_mut(session).expect("every session was started");
        worker.send(sql);
        running.insert(session.clone(), name.clone());
        let answer = worker.settle(control)?;
        outcomes.insert(name.clone(), Outcome { waited: answer.is_none(), answer });
        drain(control, workers, &running, &mut outcomes)?;
        idle_since = Instant::now();
    }
    finish(control, workers, &running, &mut outcomes)?;
    sessions.end();
    Ok(outcomes)
}

/// Lets unblocked sessions run until they end or wait again.
fn drain(
    control: &mut Client,
    workers: &mut BTreeMap<String, Worker>,
    running: &BTreeMap<String, String>,
    outcomes: &mut BTreeMap<String, Outcome>,
) -> Result<()> {
    for (session, worker) in workers.iter_mut().filter(|(_, w)| w.busy) {
        if let Some(answer) = worker.settle(control)? {
            outcomes.entry(running[session].clone()).or_default().answer = Some(answer);
        }
    }
    Ok(())
}

/// Collects the last answers. A statement without an answer is cancelled.
fn finish(
    control: &mut Client,
    workers: &mut BTreeMap<String, Worker>,
    running: &BTreeMap<String, String>,
    outcomes: &mut BTreeMap<String, Outcome>,
) -> Result<()> {
    for (session, worker) in workers.iter_mut().filter(|(_, w)| w.busy) {
        match worker.answer(STUCK) {
            Some(answer) => outcomes.entry(running[session].clone()).or_default().answer = Some(answer),
            None => control.batch_execute(&format!("SELECT pg_terminate_backend({})", worker.pid))?,
        }
    }
    Ok(())
}

/// The problem of a run.
#[derive(Debug)]
pub enum Wrong {
    /// The spec could not be set up, or its tables could not be compared.
    Failed(String),
    /// A table differs from its query, or an assertion of the spec failed.
    Result(String),
    /// A step got another SQLSTATE than expected, or none.
    Code(String, String),
    /// A step waited unexpectedly, did not wait, or never ended.
    Wait(String),
}

impl Display for Wrong {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let (Wrong::Failed(what) | Wrong::Result(what) | Wrong::Code(_, what) | Wrong::Wait(what)) = self;
        f.write_str(what)
    }
}

/// Plays one run of a spec in a way, at a mix of levels; returns the problems.
pub fn check(
    control: &mut Client,
    options: &Options,
    (spec, run): (&Spec, &Run),
    (way, mix): (Way, &Mix),
    left_out: Option<&str>,
) -> Result<Vec<Wrong>> {
    let steps: Vec<_> = run
        .steps
        .iter()
        .map(|name| (name.clone(), spec.steps[name].session.clone(), spec.steps[name].sql.clone()))
        .collect();
    let mut levels: BTreeMap<String, Level> = steps.iter().map(|step| (step.1.clone(), Level::Rc)).collect();
    for (level, &wanted) in levels.values_mut().zip(mix.0.iter().cycle()) {
        *level = wanted;
    }
    let tables = match set_up(control, options.target, &spec.setup, &spec.views) {
        Ok(tables) => tables,
        Err(error) => return Ok(vec![Wrong::Failed(format!("setup failed: {error}"))]),
    };
    let looks = spec.inside && way != Way::Blind;
    let inside = |level: Level| (looks && level.can_look()).then(|| inside_sql(&spec.views));
    let mut sessions = Sessions::new(way.flush(), left_out);
    let mut outcomes = play(control, &options.url, &mut sessions, &levels, &steps, inside)?;
    if way == Way::Looking {
        outcomes.values_mut().for_each(Outcome::blame_the_step);
    }
    let mut wrong = Vec::new();
    wrong.extend(final_difference(control, &tables)?);
    let twin = match way {
        Way::Blind => Twin::of_spec(control, options, spec, &steps, &levels)?,
        _ => None,
    };
    for (at, step) in steps.iter().enumerate() {
        let (name, session, _) = step;
        let outcome = outcomes.get(name).cloned().unwrap_or_default();
        if options.show {
            println!("      {name}: {}{}", outcome.code(), if outcome.waited { " (waited)" } else { "" });
        }
        let aborted = steps[..at]
            .iter()
            .any(|(n, s, _)| s == session && outcomes.get(n).is_some_and(|o| !["ok", "stuck"].contains(&o.code())));
        let level = levels[session];
        let law = || twin::expectation(twin.as_ref(), run, &steps, at, (level, mix), &outcomes);
        let expected = run.written(name, level, way, mix).or_else(law);
        judge(options.target, name, expected.as_ref(), &outcome, aborted, &mut wrong);
    }
    Ok(wrong)
}

/// Adds what is wrong about a step. Without an expectation any SQLSTATE is right.
fn judge(
    target: Target,
    name: &str,
    expected: Option<&Expectation>,
    outcome: &Outcome,
    aborted: bool,
    wrong: &mut Vec<Wrong>,
) {
    if let Some(Answer { inexact: Some(what), .. }) = &outcome.answer {
        let message = format!("after {name}: {what}");
        wrong.push(match what {
            Inexact::Differs(_) => Wrong::Result(message),
            Inexact::Failed(error) => Wrong::Code(error.code.clone(), message),
        });
    }
    if outcome.code() == "stuck" {
        wrong.push(Wrong::Wait(format!("{name} never ended")));
        return;
    }
    // The stand-ins lock and fail in their own ways, so only their results count.
    if target != Target::Extension || (aborted && ["25P02", "ok"].contains(&outcome.code())) {
        return;
    }
    let Some(expected) = expected else { return };
    if !expected.codes.iter().any(|code| code == outcome.code()) {
        let detail = outcome.answer.as_ref().and_then(|a| a.error.as_ref()).map(|e| format!(" ({e})"));
        let what = format!(
            "{name} gave {}{}, expected {}",
            outcome.code(),
            detail.unwrap_or_default(),
            expected.codes.join(" or ")
        );
        wrong.push(match outcome.code() {
            ASSERTION => Wrong::Result(what),
            code => Wrong::Code(code.to_owned(), what),
        });
    }
    match expected.waits {
        Some(true) if !outcome.waited => wrong.push(Wrong::Wait(format!("{name} did not wait"))),
        Some(false) if outcome.waited => wrong.push(Wrong::Wait(format!("{name} waited, and must not"))),
        _ => {}
    }
}

/// After all sessions have ended the tables must equal their queries.
pub fn final_difference(control: &mut Client, tables: &[Maintained]) -> Result<Option<Wrong>> {
    Ok(match target::compare(control, tables) {
        Ok(found) => found.map(|found| {
            let rows = |rows: &[crate::pg::Row]| rows.iter().map(show).collect::<Vec<_>>().join(" ");
            Wrong::Result(format!(
                "imat.{} differs at the end\n      expected {}\n      actual   {}",
                tables[found.view].name,
                rows(&found.expected),
                rows(&found.actual)
            ))
        }),
        Err(error) => Some(Wrong::Failed(format!("the final comparison failed: {error}"))),
    })
}
