//! Interleaved transactions: hand-written specs with expected outcomes, and generated ones.

mod exhaustive;
mod mutants;
mod runner;
pub mod spec;
mod twin;
mod worker;

use crate::pg::{self, PgError, Result};
use crate::tally::Tally;
use crate::target::Target;
use clap::ValueEnum;
use postgres::Client;
use spec::{Flush, Way};

/// The schema of the tables under test.
const SCHEMA: &str = "oracle_iso";

/// The schema of the same base tables without maintained tables.
const TWIN: &str = "oracle_twin";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// READ COMMITTED
    Rc,
    /// REPEATABLE READ
    Rr,
    /// SERIALIZABLE
    Ser,
}

impl Level {
    pub fn sql(self) -> &'static str {
        match self {
            Level::Rc => "READ COMMITTED",
            Level::Rr => "REPEATABLE READ",
            Level::Ser => "SERIALIZABLE",
        }
    }

    /// Whether a session can compare without changing the outcome: reading takes predicate locks under SERIALIZABLE.
    fn can_look(self) -> bool {
        self != Level::Ser
    }
}

/// How often a spec's run is played with one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Depth {
    /// In each way, at each level and mix of levels
    All,
    /// In each way at one level, where it is not for one setting only
    Some,
    /// In one way at one level
    Few,
}

/// The options of a run; see the command line.
pub struct Options {
    pub url: String,
    pub target: Target,
    pub flush: Flush,
    pub filter: Option<String>,
    pub level: Option<Level>,
    pub depth: Depth,
    pub exhaustive: Option<u64>,
    /// Instead of the specs: checks that specs fail when locks are left out.
    pub mutants: bool,
    pub seed: u64,
    pub show: bool,
}

const FILES: &[(&str, &str)] = &[
    ("adopt", include_str!("../../specs/adopt.spec")),
    ("commit", include_str!("../../specs/commit.spec")),
    ("groups", include_str!("../../specs/groups.spec")),
    ("minmax", include_str!("../../specs/minmax.spec")),
    ("joins", include_str!("../../specs/joins.spec")),
    ("rows", include_str!("../../specs/rows.spec")),
    ("keys", include_str!("../../specs/keys.spec")),
    ("locks", include_str!("../../specs/locks.spec")),
    ("snapshots", include_str!("../../specs/snapshots.spec")),
    ("whole", include_str!("../../specs/whole.spec")),
    ("cascade", include_str!("../../specs/cascade.spec")),
    ("mixed", include_str!("../../specs/mixed.spec")),
    ("prepared", include_str!("../../specs/prepared.spec")),
    ("create", include_str!("../../specs/create.spec")),
    ("partitions", include_str!("../../specs/partitions.spec")),
    ("disabled", include_str!("../../specs/disabled.spec")),
    ("refresh", include_str!("../../specs/refresh.spec")),
    ("contents", include_str!("../../specs/contents.spec")),
];

fn specs() -> std::result::Result<Vec<spec::Spec>, String> {
    let mut out = Vec::new();
    for &(file, text) in FILES {
        for mut spec in spec::parse(file, text)? {
            spec.name = format!("{file}/{}", spec.name);
            out.push(spec);
        }
    }
    Ok(out)
}

pub fn run(options: &Options) -> Result<Tally> {
    let mut control = pg::connect(&options.url, "control")?;
    options.target.install(&mut control)?;
    let levels = match options.level {
        Some(level) => vec![level],
        None => vec![Level::Rc, Level::Rr, Level::Ser],
    };
    if let Some(n) = options.exhaustive {
        return exhaustive::run(&mut control, options, &levels, n);
    }
    let specs = specs().map_err(|message| PgError { code: "spec".into(), message, more: String::new() })?;
    if options.mutants {
        return mutants::run(&mut control, options, &specs);
    }
    let mut tally = Tally::default();
    for spec in specs.iter().filter(|s| options.filter.as_ref().is_none_or(|f| s.name.contains(f.as_str()))) {
        for (run, way, mix) in plays(spec, options, &levels) {
            let wrong = runner::check(&mut control, options, (spec, run), (way, &mix), None)?;
            tally.count(wrong.is_empty());
            let verdict = if wrong.is_empty() { "ok  " } else { "FAIL" };
            println!("{verdict} {} [{}] {way:?} {:?}", spec.name, run.steps.join(" "), mix.0);
            for what in wrong {
                println!("    {what}");
            }
        }
    }
    Ok(tally)
}

/// A play of a run.
type Play<'a> = (&'a spec::Run, Way, spec::Mix);

/// A spec's runs at each of these levels, and at the mixes of levels that it names, in each way that the setting allows.
fn all<'a>(spec: &'a spec::Spec, run: &'a spec::Run, options: &Options, levels: &[Level]) -> Vec<Play<'a>> {
    let uniform = levels.iter().map(|&level| spec::Mix(vec![level]));
    let mixed = run.mixes.iter().filter(|_| options.level.is_none()).cloned();
    let ways = |mix: &spec::Mix| match options.flush {
        Flush::Statement => vec![Way::Statement],
        Flush::Commit if looks(spec, run) && mix.0.iter().all(|level| level.can_look()) => {
            vec![Way::Looking, Way::Blind]
        }
        Flush::Commit => vec![Way::Blind],
    };
    uniform.chain(mixed).flat_map(|mix| ways(&mix).into_iter().map(move |way| (run, way, mix.clone()))).collect()
}

/// Whether sessions that collect changes are also to compare after each statement.
fn looks(spec: &spec::Spec, run: &spec::Run) -> bool {
    spec.inside && run.flush.is_none()
}

/// The plays of a spec.
fn plays<'a>(spec: &'a spec::Spec, options: &Options, levels: &[Level]) -> Vec<Play<'a>> {
    let mut out = Vec::new();
    let runs = spec.runs.iter().filter(|run| run.flush.is_none_or(|only| only == options.flush));
    for (number, run) in runs.enumerate() {
        // At REPEATABLE READ a run shows both waiting and failing.
        let rr = |way| (run, way, spec::Mix(vec![Level::Rr]));
        let looking = looks(spec, run).then(|| (run, Way::Looking, spec::Mix(vec![Level::Rc])));
        let blind = (run, Way::Blind, spec::Mix(vec![if number % 2 == 0 { Level::Rr } else { Level::Rc }]));
        match (options.depth, options.flush) {
            (Depth::All, _) => out.extend(all(spec, run, options, levels)),
            (Depth::Some, _) if run.flush.is_some() => out.extend(all(spec, run, options, levels)),
            (_, Flush::Statement) => out.push(rr(Way::Statement)),
            (Depth::Some, Flush::Commit) => out.extend([blind].into_iter().chain(looking)),
            (Depth::Few, Flush::Commit) => out.push(looking.filter(|_| number % 2 == 0).unwrap_or(blind)),
        }
    }
    out
}

/// The problems of a spec, in sessions that leave out a lock.
fn play_spec(
    control: &mut Client,
    options: &Options,
    spec: &spec::Spec,
    left_out: Option<&str>,
) -> Result<Vec<(String, runner::Wrong)>> {
    let mut wrong = Vec::new();
    for (run, way, mix) in plays(spec, options, &[Level::Rc, Level::Rr, Level::Ser]) {
        let here = runner::check(control, options, (spec, run), (way, &mix), left_out)?;
        wrong.extend(here.into_iter().map(|what| (format!("[{}] {way:?} {:?}", run.steps.join(" "), mix.0), what)));
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_played_less_often_at_less_depth() {
        let specs = specs().unwrap();
        for (flush, depth, most) in [
            (Flush::Commit, Depth::Some, 2),
            (Flush::Commit, Depth::Few, 1),
            (Flush::Statement, Depth::Some, 1),
            (Flush::Statement, Depth::Few, 1),
        ] {
            let target = Target::Extension;
            let options = |depth| Options {
                url: String::new(),
                target,
                flush,
                filter: None,
                level: None,
                depth,
                exhaustive: None,
                mutants: false,
                seed: 1,
                show: false,
            };
            for spec in specs.iter() {
                let levels = [Level::Rc, Level::Rr, Level::Ser];
                let every = plays(spec, &options(Depth::All), &levels);
                for run in spec.runs.iter().filter(|run| run.flush.is_none()) {
                    let played = plays(spec, &options(depth), &levels);
                    let played: Vec<_> = played.iter().filter(|(of, _, _)| std::ptr::eq(*of, run)).collect();
                    assert!((1..=most).contains(&played.len()), "{}", spec.name);
                    assert!(played.iter().all(|play| every.contains(play)), "{}", spec.name);
                }
                assert!(every.iter().all(|(run, _, _)| run.flush.is_none_or(|only| only == flush)));
            }
        }
    }

    #[test]
    fn every_spec_file_reads() {
        let specs = specs().unwrap();
        assert!(specs.len() >= 40);
        assert!(specs.iter().all(|s| !s.runs.is_empty() && !s.views.is_empty()));
    }
}
