//! Random views under random changes, compared after every statement.
//!
//! Every statement also runs on a twin: the same tables without any maintained table. Both must
//! succeed or fail with the same SQLSTATE, and end with the same rows.

pub mod dml;
mod names;
mod report;
mod round;
pub mod schema;
mod script;
mod session;
mod triggers;
mod values;
pub mod view;

use crate::pg::{self, Result};
use crate::tally::Tally;
use crate::target::Target;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// What a run does; see the command line for the meaning of each.
#[derive(Debug, Clone)]
pub struct Options {
    pub url: String,
    pub seed: u64,
    pub statements: u64,
    pub views_per_round: Option<usize>,
    pub statements_per_round: u64,
    pub round: Option<u64>,
    pub target: Target,
    pub out: PathBuf,
    pub keep_going: bool,
    pub shrink: bool,
}

/// Sums over all rounds.
#[derive(Debug, Default)]
pub struct Totals {
    pub rounds: u64,
    pub views: BTreeMap<String, u64>,
    pub statements: u64,
    /// Statements that failed alike with and without maintained tables, by SQLSTATE.
    pub failed_statements: BTreeMap<String, u64>,
    pub comparisons: u64,
    pub differences: u64,
}

/// Runs rounds until enough statements have been checked, or to the first difference.
pub fn run(options: &Options) -> Result<Tally> {
    let started = Instant::now();
    let mut totals = Totals::default();
    println!(
        "random: seed {}, {} statements, {:?}",
        options.seed, options.statements, options.target
    );
    let mut control = pg::connect(&options.url, "control")?;
    options.target.install(&mut control)?;
    let mut number = options.round.unwrap_or(0);
    loop {
        let outcome = round::run(options, number, &mut totals)?;
        totals.rounds += 1;
        if let Some(failure) = outcome {
            totals.differences += 1;
            report::failure(options, number, &failure);
            if !options.keep_going {
                break;
            }
        }
        number += 1;
        if options.round.is_some() || totals.statements >= options.statements {
            break;
        }
        if totals.rounds % 50 == 0 {
            println!(
                "  {} rounds, {} statements, {} differences",
                totals.rounds, totals.statements, totals.differences
            );
        }
    }
    report::summary(options, &totals, started.elapsed());
    Ok(Tally {
        passed: totals.statements.saturating_sub(totals.differences),
        failed: totals.differences,
    })
}
