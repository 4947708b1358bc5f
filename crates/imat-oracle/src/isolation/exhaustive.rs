//! Generated interleavings: two transactions of two or three changes each, over a small join.
//!
//! Any session may fail to serialize or lose a deadlock; the tables must be exact whatever happens.
//! The views come in small sets, because the locks of one view can hide what another lacks.

use super::runner::{self, Outcome};
use super::{Level, Options};
use crate::dice::Dice;
use crate::pg::{PgError, Result};
use crate::tally::Tally;
use crate::target::Maintained;
use postgres::Client;
use std::collections::BTreeMap;

const SETUP: &str = "CREATE TABLE a (id int, k int, v int); CREATE TABLE b (id int, k int, w int);";

const ROWS: &str = "TRUNCATE a, b; INSERT INTO a VALUES (1, 1, 5), (2, 1, 9), (3, 2, 5); \
                    INSERT INTO b VALUES (1, 1, 10), (2, 2, 20), (3, 2, 30)";

const SETS: [&[(&str, &str)]; 8] = [
    &[("sums", "SELECT k, sum(v) AS s, count(*) AS n FROM a GROUP BY k")],
    &[("extremes", "SELECT k, min(v) AS low, max(v) AS high FROM a GROUP BY k")],
    &[("joined", "SELECT a.k, sum(a.v * b.w) AS s, count(*) AS n FROM a JOIN b ON a.k = b.k GROUP BY a.k")],
    &[("pairs", "SELECT a.v, b.w FROM a, b WHERE a.k = b.k")],
    &[
        (
            "joined lows",
            "SELECT b.k, min(a.v) AS low, array_agg(b.w ORDER BY b.w) AS ws FROM b JOIN a ON a.k = b.k GROUP BY b.k",
        ),
        ("overall", "SELECT count(*) AS n, avg(v) AS v, max(v) AS high FROM a"),
    ],
    &[("twins", "SELECT x.k, count(*) AS n FROM a x JOIN a y ON x.k = y.v - 4 GROUP BY x.k")],
    &[("outer rows", "SELECT a.id, b.w FROM a LEFT JOIN b ON a.k = b.k")],
    &[
        ("keys", "SELECT DISTINCT k FROM a"),
        ("kinds", "SELECT k, count(DISTINCT w) AS n FROM b GROUP BY k HAVING count(*) > 1"),
    ],
];

/// Steps as (name, session, SQL), in the order in which they are sent.
type Steps = Vec<(String, String, String)>;

pub fn run(control: &mut Client, options: &Options, levels: &[Level], cases: u64) -> Result<Tally> {
    let mut tally = Tally::default();
    let per_set = cases.div_ceil(SETS.len() as u64);
    let mut number = 0;
    for set in SETS {
        let views: Vec<(String, String)> = set.iter().map(|(n, q)| (n.to_string(), q.to_string())).collect();
        let mut tables = runner::set_up(control, options.target, SETUP, &views)?;
        for _ in 0..per_set.min(cases - number) {
            let level = levels[number as usize % levels.len()];
            let steps = interleaving(&mut Dice::new(options.seed, number), level);
            let wrong = case(control, options, level, &steps, (&views, &tables))?;
            tally.count(wrong.is_empty());
            if !wrong.is_empty() {
                report(options, number, level, set, &steps, &wrong);
                tables = runner::set_up(control, options.target, SETUP, &views)?;
            }
            number += 1;
        }
    }
    println!("exhaustive: {number} interleavings, seed {}", options.seed);
    Ok(tally)
}

fn case(
    control: &mut Client,
    options: &Options,
    level: Level,
    steps: &Steps,
    (views, tables): (&[(String, String)], &[Maintained]),
) -> Result<Vec<String>> {
    if let Err(error) = control.batch_execute(ROWS) {
        return Ok(vec![format!("the rows could not be put back: {}", PgError::from(error))]);
    }
    let inside = (level != Level::Ser).then(|| runner::inside_sql(views));
    let outcomes = runner::play(control, &options.url, level, steps, inside)?;
    let mut wrong = unexpected(level, &outcomes);
    wrong.extend(runner::final_difference(control, tables)?);
    Ok(wrong)
}

/// Errors that no interleaving excuses, and sessions that saw a wrong table.
fn unexpected(level: Level, outcomes: &BTreeMap<String, Outcome>) -> Vec<String> {
    let allowed: &[&str] = match level {
        Level::Rc => &["ok", "40P01", "25P02"],
        _ => &["ok", "40001", "40P01", "25P02"],
    };
    let mut wrong = Vec::new();
    for (name, outcome) in outcomes {
        if !allowed.contains(&outcome.code()) {
            let error = outcome.answer.as_ref().and_then(|a| a.error.as_ref());
            wrong.push(format!("{name}: {}", error.map_or_else(|| "never ended".to_owned(), PgError::to_string)));
        }
        if let Some(what) = outcome.answer.as_ref().and_then(|a| a.inexact.as_ref()) {
            wrong.push(format!("after {name}: {what}"));
        }
    }
    wrong
}

fn report(options: &Options, number: u64, level: Level, set: &[(&str, &str)], steps: &Steps, wrong: &[String]) {
    println!("FAIL interleaving {number}, {level:?}, seed {}", options.seed);
    for (name, query) in set {
        println!("  view {name}: {query}");
    }
    for (name, _, sql) in steps {
        println!("    {name}: {sql}");
    }
    for what in wrong {
        println!("    {what}");
    }
}

/// Two transactions, their steps merged in a random order.
fn interleaving(dice: &mut Dice, level: Level) -> Steps {
    let mut sides: Vec<Vec<(String, String, String)>> =
        ["a", "b"].iter().map(|s| transaction(dice, s, level)).collect();
    let mut out = Vec::new();
    while sides.iter().any(|side| !side.is_empty()) {
        let side = dice.index(2);
        if !sides[side].is_empty() {
            out.push(sides[side].remove(0));
        }
    }
    out
}

fn transaction(dice: &mut Dice, session: &str, level: Level) -> Steps {
    let mut sql: Vec<String> = (0..dice.range(2, 3)).map(|_| change(dice, level)).collect();
    match dice.index(8) {
        0 => sql.insert(0, "SELECT count(*) FROM a".into()),
        1 => {
            sql.insert(0, "SAVEPOINT p".into());
            sql.insert(2, "ROLLBACK TO SAVEPOINT p".into());
        }
        _ => {}
    }
    sql.push(if dice.chance(85) { "COMMIT" } else { "ROLLBACK" }.into());
    sql.into_iter().enumerate().map(|(i, sql)| (format!("{session}{}", i + 1), session.to_owned(), sql)).collect()
}

fn change(dice: &mut Dice, level: Level) -> String {
    let (id, k, v) = (dice.range(1, 5), dice.range(1, 3), *dice.pick(&[1, 5, 6, 9]));
    let table = *dice.pick(&["a", "a", "b"]);
    match dice.weighted(&[(8, 0), (4, 1), (3, 2), (3, 3), (2, 4), (1, 5)]) {
        0 => format!("INSERT INTO {table} VALUES ({id}, {k}, {v})"),
        1 => format!("DELETE FROM {table} WHERE id = {id}"),
        2 => format!("UPDATE {table} SET k = {k} WHERE id = {id}"),
        3 => format!("DELETE FROM {table} WHERE k = {k}"),
        4 => format!("WITH x AS (INSERT INTO a VALUES ({id}, {k}, {v})) INSERT INTO b VALUES ({id}, {k}, {v})"),
        // What a snapshot older than a TRUNCATE sees is not what it was: PostgreSQL's own caveat.
        _ if level == Level::Rc => format!("TRUNCATE {table}"),
        _ => format!("DELETE FROM {table}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleavings_keep_each_session_in_order_and_repeat_with_the_seed() {
        for number in 0..200 {
            let steps = interleaving(&mut Dice::new(3, number), Level::Rc);
            assert_eq!(steps, interleaving(&mut Dice::new(3, number), Level::Rc));
            for session in ["a", "b"] {
                let names: Vec<&String> = steps.iter().filter(|s| s.1 == session).map(|s| &s.0).collect();
                let sorted: Vec<String> = (1..=names.len()).map(|i| format!("{session}{i}")).collect();
                assert_eq!(names, sorted.iter().collect::<Vec<_>>());
            }
        }
    }
}
