//! Reports a failing round, and shrinks its history.

use super::dml::{Action, IMAT, inside};
use super::round::{Failure, Problem, Stage, World};
use super::script::Step;
use super::view::ViewDef;
use super::{Options, Totals, seen};
use crate::bag::show;
use crate::pg::{PgError, Result, Row, ident};
use std::fmt::Write;
use std::time::Duration;

pub fn failure(options: &Options, number: u64, failure: &Failure) {
    let world = &failure.world;
    println!("DIFFERENCE: seed {}, round {number}, statement {}", options.seed, failure.history.len());
    for sql in &world.schema.ddl {
        println!("{sql};");
    }
    if let Some(at) = failure.view {
        let view = &world.views[at];
        println!(
            "view imat.{} (strategy: {}, from {:?}):\n{}",
            ident(&view.name),
            failure.strategy,
            view.origin,
            view.query
        );
        for base in world.base_sql() {
            println!("{base};");
        }
    }
    for (step, error) in failure.history.iter().rev().take(3).rev() {
        println!("-- {}{}", step_sql(step), error.as_ref().map_or(String::new(), |e| format!("\n-- failed: {e}")));
    }
    println!("{}", failure.what);
    rows("expected", &failure.expected);
    rows("actual", &failure.actual);
    let path = options.out.join(format!("seed-{}-round-{number}.sql", options.seed));
    let written = std::fs::create_dir_all(&options.out).and_then(|()| std::fs::write(&path, replay(options, failure)));
    match written {
        Ok(()) => println!("history: {}", path.display()),
        Err(error) => println!("history could not be written to {}: {error}", path.display()),
    }
    println!("again: imat-oracle random --url … --seed {} --round {number}", options.seed);
}

fn rows(label: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let mut lines: Vec<String> = rows.iter().map(show).collect();
    lines.sort();
    println!("{label}: {} rows", lines.len());
    for line in lines.iter().take(40) {
        println!("  {line}");
    }
}

fn step_sql(step: &Step) -> String {
    match &step.action {
        Action::Sql(sql) | Action::Extended(sql) => format!("{};", sql.replace(IMAT, "imat")),
        Action::Copy { sql, data } => format!("{sql};\n{data}\\."),
    }
}

/// The round as a script for psql.
fn replay(options: &Options, failure: &Failure) -> String {
    let world = &failure.world;
    let mut out = format!(
        "-- seed {}; {}\nCREATE SCHEMA {schema};\nSET search_path = {schema}, public;\nSET timezone = '{}';\n",
        options.seed,
        failure.what.replace('\n', "\n-- "),
        world.zone,
        schema = ident(&world.schema_name)
    );
    for sql in world.schema.ddl.iter().chain(&world.base_sql()).chain(&world.rows) {
        let _ = writeln!(out, "{sql};");
    }
    for view in &world.views {
        let sql = options.target.create_sql(&world.schema_name, &view.name, &view.query_in("imat"), view.origin);
        let _ = writeln!(out, "{sql};");
    }
    for (number, (step, error)) in failure.history.iter().enumerate() {
        let _ = writeln!(out, "-- statement {}", number + 1);
        let text = step_sql(step);
        let _ = match (step.guarded, error) {
            (false, _) => writeln!(out, "{text}"),
            (true, None) => writeln!(out, "SAVEPOINT guard;\n{text}\nRELEASE SAVEPOINT guard;"),
            (true, Some(_)) => {
                writeln!(out, "SAVEPOINT guard;\n{text}\nROLLBACK TO SAVEPOINT guard;\nRELEASE SAVEPOINT guard;")
            }
        };
    }
    if let Some(at) = failure.view {
        let view = &world.views[at];
        let _ = writeln!(
            out,
            "\\echo expected\n{};\n\\echo actual\nTABLE imat.{};",
            view.query_in("imat"),
            ident(&view.name)
        );
        let _ = writeln!(out, "\\echo seen inside statements on one side only\n{};", seen::UNEQUAL);
    }
    out
}

pub fn summary(options: &Options, totals: &Totals, time: Duration) {
    let views: u64 = totals.views.values().sum();
    let by: Vec<String> = totals.views.iter().map(|(strategy, n)| format!("{n} {strategy}")).collect();
    let failed: u64 = totals.failed_statements.values().sum();
    let codes: Vec<String> = totals.failed_statements.iter().map(|(code, n)| format!("{code} {n}")).collect();
    println!("failed as expected, by SQLSTATE: {}", codes.join(", "));
    println!(
        "random: {} rounds, {views} views ({}), {} statements ({failed} failed as expected), {} comparisons, \
         {} differences, seed {}, {:.1} s",
        totals.rounds,
        by.join(", "),
        totals.statements,
        totals.comparisons,
        totals.differences,
        options.seed,
        time.as_secs_f64()
    );
}

/// The failure with as few views and statements as possible.
pub fn shrunk(
    options: &Options,
    mut world: World,
    problem: Problem,
    mut steps: Vec<Step>,
    mut strategy: String,
) -> Result<Failure> {
    let (mut found, mut history) = (problem, steps.iter().map(|s| (s.clone(), None)).collect());
    if let Some(at) = found.view {
        let all = std::mem::take(&mut world.views);
        // What the last statement's function reads depends on the statement's table, and reading a removed view would
        // be an error.
        let last = steps.last().map(step_sql).unwrap_or_default();
        let needed =
            |v: &ViewDef| [&all[at].name, inside::VIEW].contains(&v.name.as_str()) || last.contains(&ident(&v.name));
        world.views = all.iter().filter(|v| needed(v)).cloned().collect();
        match attempt(options, &world, &steps)? {
            Some((problem, kept)) => (found, history) = (problem, kept),
            None => world.views = all,
        }
    }
    steps = history.iter().map(|(s, _): &(Step, Option<PgError>)| s.clone()).collect();
    let mut chunk = steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            match attempt(options, &world, &fewer)? {
                Some((problem, kept)) => {
                    (found, history) = (problem, kept);
                    steps = history.iter().map(|(s, _)| s.clone()).collect();
                }
                None => at += chunk,
            }
        }
        if chunk == 1 {
            break;
        }
        chunk = chunk.div_ceil(2);
    }
    let mut row = 0;
    while row < world.rows.len() {
        let removed = world.rows.remove(row);
        match attempt(options, &world, &steps)? {
            Some((problem, kept)) => (found, history) = (problem, kept),
            None => {
                world.rows.insert(row, removed);
                row += 1;
            }
        }
    }
    if strategy.is_empty() {
        strategy = "see imat_status".to_owned();
    }
    let Problem { view, what, expected, actual } = found;
    Ok(Failure { world, view, strategy, history, what, expected, actual })
}

type Attempt = Option<(Problem, Vec<(Step, Option<PgError>)>)>;

/// Plays the steps from the beginning; returns the first problem with the steps before it, if there is one.
fn attempt(options: &Options, world: &World, steps: &[Step]) -> Result<Attempt> {
    let (mut stage, problem) = Stage::set_up(options, world)?;
    let mut history = Vec::new();
    if let Some(problem) = problem {
        return Ok(Some((problem, history)));
    }
    for step in steps {
        // Steps whose transaction was removed are skipped.
        if step.guarded && !stage.progress.open {
            continue;
        }
        let (error, problem) = stage.step(step)?;
        history.push((step.clone(), error));
        if let Some(problem) = problem {
            return Ok(Some((problem, history)));
        }
    }
    Ok(None)
}
