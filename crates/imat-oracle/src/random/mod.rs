//! Random views under random changes, compared after every statement.
//!
//! Every statement also runs on a twin: the same tables without maintained tables. Both must succeed or fail with the
//! same SQLSTATE, and end with the same rows.

pub mod dml;
mod names;
mod report;
mod round;
pub mod schema;
mod script;
mod seen;
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

/// The options of a run; see the command line.
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
    /// By SQLSTATE, the number of statements that failed in the same way with and without maintained tables.
    pub failed_statements: BTreeMap<String, u64>,
    pub comparisons: u64,
    pub differences: u64,
}

/// Runs rounds until enough statements have been checked, or until the first difference.
pub fn run(options: &Options) -> Result<Tally> {
    let started = Instant::now();
    let mut totals = Totals::default();
    println!("random: seed {}, {} statements, {:?}", options.seed, options.statements, options.target);
    let mut control = pg::connect(&options.url, "control")?;
    options.target.install(&mut control)?;
    let version = pg::version(&mut control)?;
    let mut number = options.round.unwrap_or(0);
    loop {
        let outcome = round::run(options, number, version, &mut totals)?;
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
    Ok(Tally { passed: totals.statements.saturating_sub(totals.differences), failed: totals.differences })
}

#[cfg(test)]
mod tests {
    use super::dml::{self, Action, Dml};
    use super::round::World;
    use super::schema::{Role, Shape, Table};
    use crate::dice::Dice;

    /// A round as text, with some of its changes.
    fn round(seed: u64, number: u64) -> String {
        let mut dice = Dice::new(seed, number);
        let world = World::random(&mut dice, 160_000, None);
        let mut text = format!("{:?}\n{:?}\n{:?}", world.schema.ddl, world.views, world.rows);
        let counts = vec![0; world.schema.tables.len()];
        for _ in 0..40 {
            let mut d = Dml {
                dice: &mut dice,
                schema: &world.schema,
                views: &world.views,
                counts: &counts,
                version: world.version,
                in_transaction: true,
                limit: 30,
            };
            for action in dml::random(&mut d) {
                text += &match action {
                    Action::Sql(sql) | Action::Extended(sql) => sql,
                    Action::Copy { sql, data } => sql + &data,
                };
                text.push('\n');
            }
        }
        text
    }

    #[test]
    fn a_round_is_the_same_for_the_same_seed() {
        for number in 0..30 {
            assert_eq!(round(5, number), round(5, number));
        }
        assert_ne!(round(5, 0), round(6, 0));
        assert_ne!(round(5, 0), round(5, 1));
    }

    #[test]
    fn every_construct_turns_up() {
        let all: String = (0..150).map(|number| round(1, number)).collect();
        let wanted = "HAVING|FILTER (WHERE|USING (|CROSS JOIN|LEFT JOIN|FULL JOIN|UNION ALL|EXCEPT|INTERSECT|EXISTS (|\
            NOT IN (|OVER (|WITH RECURSIVE|LIMIT|GROUPING SETS|ROLLUP|DISTINCT ON|LATERAL|percentile_cont|\
            array_agg(|string_agg(|count(DISTINCT|stddev|var_pop|bool_and(|date_trunc(|PARTITION OF|INHERITS|\
            ATTACH PARTITION|DETACH PARTITION|ON DELETE CASCADE|ON UPDATE CASCADE|SET NULL|DEFERRABLE|GENERATED|CREATE TRIGGER|\
            MERGE INTO|ON CONFLICT (id) DO UPDATE|DO NOTHING|TRUNCATE|CASCADE|COPY |WITH s AS (DELETE|EXCEPTION WHEN|\
            CURRENT OF|PREPARE job|FETCH ALL|CREATE OR REPLACE FUNCTION|tally(|bucket(|plain groups|plain rows|\
            inside(x)|inside(id)|deeper(arg)|FROM peek(|OPEN look_cursor|FOR look_row IN";
        for construct in wanted.split('|') {
            assert!(all.contains(construct.trim_start()), "never generated: {construct}");
        }
    }

    #[test]
    fn maintained_rows_are_read() {
        let worlds = (0..150).map(|number| World::random(&mut Dice::new(1, number), 160_000, None));
        let (mut over, mut of_rows) = (0, 0);
        for world in worlds {
            let lower: Vec<_> = world.views.iter().filter(|view| view.rows).collect();
            for view in world.views.iter().filter(|view| lower.iter().any(|lower| view.is_over(lower))) {
                over += 1;
                of_rows += usize::from(view.rows);
            }
        }
        assert!(over > 60 && of_rows > 15, "{over} over maintained rows, {of_rows} of them of rows");
    }

    #[test]
    fn generated_columns_turn_up_wherever_they_are_supported() {
        let made = |version, shape| {
            let tables = |number| World::random(&mut Dice::new(1, number), version, None).schema.tables;
            let generated = |t: &Table| t.columns.iter().any(|c| c.role == Role::Generated);
            (0..150).flat_map(tables).any(|t| t.shape == shape && generated(&t))
        };
        for shape in [Shape::Plain, Shape::Partitioned, Shape::Inherited] {
            assert!(made(160_000, shape), "{shape:?}");
            assert_eq!(made(150_000, shape), shape == Shape::Plain, "{shape:?}");
        }
    }
}
