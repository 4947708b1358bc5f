//! The twin law: what sessions do that collect their changes until they commit.
//!
//! Until its COMMIT, such a session waits and fails only where it would do so without any maintained table. So the same
//! steps are played on a twin, the base tables alone, and each step must have the same outcome. At COMMIT a session may
//! also get a serialization failure, if it may get one where changes are applied right away. It never waits there, since
//! no other session is committing. When a step had another outcome than on the twin, the law says no more. Where there is
//! DDL, a step may also wait and fail as it does where changes are applied right away.

use super::runner::{self, Outcome, Sessions, Step};
use super::spec::{Expectation, Mix, Run, Spec};
use super::{Level, Options, TWIN};
use crate::pg::Result;
use crate::target::Target;
use postgres::Client;
use std::collections::BTreeMap;

/// The outcomes on the twin.
pub struct Twin(BTreeMap<String, Outcome>);

/// Whether a step applies what its session has collected.
pub fn applies(sql: &str) -> bool {
    sql.starts_with("COMMIT") || sql.starts_with("PREPARE TRANSACTION") || sql.contains("imat.")
}

/// Whether a step only reads a maintained table.
fn reads(sql: &str) -> bool {
    sql.starts_with("SELECT") && sql.contains("FROM imat.") && !sql.contains("_imat")
}

/// The same without maintained tables.
fn on_twin(sql: &str) -> &str {
    if reads(sql) { "SELECT" } else { sql }
}

impl Twin {
    /// Plays a spec's steps on the twin, if nothing in them needs a maintained table.
    pub fn of_spec(
        control: &mut Client,
        options: &Options,
        spec: &Spec,
        steps: &[Step],
        levels: &BTreeMap<String, Level>,
    ) -> Result<Option<Self>> {
        let needs = |sql: &str| sql.replace("imat.max_key_locks", "").replace("imat-oracle", "").contains("imat");
        let views = spec.views.iter().map(|(_, query)| query.as_str());
        let sqls = steps.iter().map(|(_, _, sql)| on_twin(sql)).chain([spec.setup.as_str()]).chain(views);
        if options.target != Target::Extension || sqls.into_iter().any(needs) {
            return Ok(None);
        }
        runner::renew(control, TWIN, &spec.setup)?;
        let mut sessions = Sessions::of_twin();
        Self::play(control, options, &mut sessions, levels, steps).map(Some)
    }

    /// Plays the steps in sessions on the twin.
    pub fn play(
        control: &mut Client,
        options: &Options,
        sessions: &mut Sessions,
        levels: &BTreeMap<String, Level>,
        steps: &[Step],
    ) -> Result<Self> {
        let steps: Vec<Step> =
            steps.iter().map(|(n, s, sql)| (n.clone(), s.clone(), on_twin(sql).to_owned())).collect();
        runner::play(control, &options.url, sessions, levels, &steps, |_| None).map(Self)
    }

    /// Whether the outcomes of these steps are those of the twin.
    pub fn agrees<'a>(&self, steps: impl IntoIterator<Item = &'a Step>, outcomes: &BTreeMap<String, Outcome>) -> bool {
        let code = |outcomes: &BTreeMap<String, Outcome>, step| outcomes.get(step).map(|o| o.code().to_owned());
        steps.into_iter().all(|(step, _, _)| code(&self.0, step) == code(outcomes, step))
    }

    /// Whether a step got a SQLSTATE here that it did not get on the twin.
    pub fn lacks(&self, code: &str, outcomes: &BTreeMap<String, Outcome>) -> bool {
        let has = |outcome: Option<&Outcome>| outcome.is_some_and(|outcome| outcome.code() == code);
        outcomes.iter().any(|(step, outcome)| has(Some(outcome)) && !has(self.0.get(step)))
    }

    pub fn waited(&self, step: &str) -> bool {
        self.0.get(step).is_some_and(|outcome| outcome.waited)
    }

    pub fn any_code(&self, code: &str) -> bool {
        self.0.values().any(|outcome| outcome.code() == code)
    }
}

/// What is expected of a step of a run in the way [`super::spec::Way::Blind`] that has no line for it: nothing, if an
/// earlier step had another outcome than on the twin. If the steps can't be played on a twin, they may wait.
pub fn expectation(
    twin: Option<&Twin>,
    run: &Run,
    steps: &[Step],
    at: usize,
    (level, mix): (Level, &Mix),
    outcomes: &BTreeMap<String, Outcome>,
) -> Option<Expectation> {
    let (name, session, sql) = &steps[at];
    let here = run.codes(name, mix).iter();
    let of_session = steps.iter().filter(|step| step.1 == *session).flat_map(|step| run.codes(&step.0, mix));
    let Some(twin) = twin else {
        let codes = of_session.cloned().chain(always(level)).chain(["ok".to_owned()]).collect();
        return Some(Expectation { codes, ..Expectation::nothing(name) });
    };
    if !twin.agrees(&steps[..at], outcomes) {
        return None;
    }
    let on_twin = twin.0.get(name).cloned().unwrap_or_default();
    let mut codes: Vec<String> = [on_twin.code().to_owned()].into_iter().chain(always(level)).collect();
    if applies(sql) {
        codes.extend(of_session.filter(|code| *code == "40001").cloned());
    }
    let mut waits = (!on_twin.waited && !reads(sql)).then_some(false);
    // What is pending is applied before DDL, and locks for it are taken then.
    if steps.iter().any(|(_, _, sql)| is_ddl(sql)) {
        codes.extend(here.cloned());
        waits = waits.filter(|_| run.waits(name, mix) != Some(true));
    }
    Some(Expectation { step: name.clone(), waits, codes })
}

/// PostgreSQL reserves the right to a serialization failure.
fn always(level: Level) -> impl Iterator<Item = String> {
    let codes: &[&str] = if level == Level::Ser { &["ok", "40001"] } else { &[] };
    codes.iter().map(|&code| code.to_owned())
}

fn is_ddl(sql: &str) -> bool {
    ["ALTER", "CREATE", "DROP", "TRUNCATE"].iter().any(|word| sql.starts_with(word))
}
