//! Generated interleavings: two or three transactions of one to four changes each, over small schemas, at equal or
//! different isolation levels.
//!
//! A random program is played in several orders. Any transaction may get a serialization failure; the tables must be exact
//! in every case. A serialization failure must never happen at READ COMMITTED, nor a deadlock if no transaction has
//! more than one statement. If changes are applied at commit, and nobody reads the maintained tables before, no statement waits
//! or is a deadlock's victim unless it is so on the same tables without maintained ones.

mod schemas;

use super::runner::{self, Outcome, Sessions, Step};
use super::spec::Flush;
use super::twin::{self, Twin};
use super::worker::Inexact;
use super::{Level, Options, SCHEMA, TWIN};
use crate::dice::Dice;
use crate::pg::{PgError, Result, ident, literal};
use crate::tally::Tally;
use crate::target::Maintained;
use postgres::Client;
use schemas::{SCHEMAS, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// The most orders in which a program is played.
const ORDERS: usize = 4;

/// Transactions by the names of their sessions.
#[derive(Debug, PartialEq)]
struct Program {
    sessions: BTreeMap<String, Vec<String>>,
    levels: BTreeMap<String, Level>,
    /// Whether no transaction has more than one statement.
    single: bool,
    looks: Looks,
}

/// Which sessions compare after each statement.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Looks {
    All,
    /// Not those that are under SERIALIZABLE, where reading takes predicate locks, nor those whose snapshot may be older
    /// than a maintained table's content, where reading fails.
    Harmless,
    None,
}

pub fn run(control: &mut Client, options: &Options, levels: &[Level], cases: u64) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    let wanted = |schema: &&Schema| options.filter.as_ref().is_none_or(|filter| schema.name.contains(filter.as_str()));
    let chosen: Vec<&Schema> = SCHEMAS.iter().filter(wanted).collect();
    for (at, schema) in chosen.iter().enumerate() {
        let views: Vec<(String, String)> = schema.views.iter().map(|(n, q)| (n.to_string(), q.to_string())).collect();
        let sessions = Sessions::new(options.flush, None);
        let mut bench = Bench { schema, sessions, twin: Sessions::of_twin(), tables: Vec::new(), views };
        bench.set_up(control, options)?;
        let share = cases / chosen.len() as u64 + u64::from((at as u64) < cases % chosen.len() as u64);
        let (mut played, mut number) = (0, 0);
        while played < share {
            let mut dice = Dice::new(options.seed, (at as u64) << 32 | number);
            let program = Program::random(&mut dice, schema, levels, options.flush);
            number += 1;
            for steps in program.orders(&mut dice).into_iter().take((share - played) as usize) {
                let wrong = bench.case(control, options, &program, &steps, &mut codes)?;
                tally.count(wrong.is_empty());
                if !wrong.is_empty() {
                    report(options, number - 1, schema, &program, &steps, &wrong);
                    bench.set_up(control, options)?;
                }
                played += 1;
            }
        }
    }
    println!("exhaustive: {} interleavings, outcomes {codes:?}, seed {}", tally.passed + tally.failed, options.seed);
    Ok(tally)
}

/// A schema with its maintained tables, and the sessions that write it.
struct Bench<'a> {
    schema: &'a Schema,
    sessions: Sessions,
    /// The same sessions on the twin.
    twin: Sessions,
    tables: Vec<Maintained>,
    views: Vec<(String, String)>,
}

impl Bench<'_> {
    fn set_up(&mut self, control: &mut Client, options: &Options) -> Result<()> {
        // Sessions of a failed case may still hold locks.
        self.sessions = Sessions::new(options.flush, None);
        self.twin = Sessions::of_twin();
        runner::renew(control, TWIN, self.schema.tables)?;
        self.tables = runner::set_up(control, options.target, self.schema.tables, &self.views)?;
        Ok(())
    }

    fn case(
        &mut self,
        control: &mut Client,
        options: &Options,
        program: &Program,
        steps: &[Step],
        codes: &mut BTreeMap<String, u64>,
    ) -> Result<Vec<String>> {
        if let Err(error) = control.batch_execute(self.schema.rows) {
            return Ok(vec![format!("the rows could not be put back: {}", PgError::from(error))]);
        }
        let inside = |level| program.compares(level).then(|| runner::inside_sql(&self.views));
        let mut outcomes = runner::play(control, &options.url, &mut self.sessions, &program.levels, steps, inside)?;
        outcomes.values().for_each(|outcome| *codes.entry(outcome.code().to_owned()).or_default() += 1);
        if options.flush == Flush::Commit {
            outcomes.values_mut().for_each(Outcome::blame_the_step);
        }
        let twin = match options.flush == Flush::Commit && program.is_blind() {
            true => Some(self.play_twin(control, options, program, steps)?),
            false => None,
        };
        let mut wrong = unexpected(self.schema, program, steps, &outcomes, twin.as_ref());
        wrong.extend(runner::final_difference(control, &self.tables)?.map(|wrong| wrong.to_string()));
        Ok(wrong)
    }

    fn play_twin(
        &mut self,
        control: &mut Client,
        options: &Options,
        program: &Program,
        steps: &[Step],
    ) -> Result<Twin> {
        control.batch_execute(&format!("SET search_path = {TWIN}, public; {}", self.schema.rows))?;
        let twin = Twin::play(control, options, &mut self.twin, &program.levels, steps);
        control.batch_execute(&format!("SET search_path = {SCHEMA}, public"))?;
        twin
    }
}

/// Errors that no interleaving explains, and sessions that saw a wrong table.
fn unexpected(
    schema: &Schema,
    program: &Program,
    steps: &[Step],
    outcomes: &BTreeMap<String, Outcome>,
    twin: Option<&Twin>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    // The twin says nothing of what follows a serialization failure that it did not get.
    let like_twin = |upto: usize| twin.filter(|twin| twin.agrees(&steps[..upto], outcomes));
    let may_deadlock =
        !program.single && twin.is_none_or(|twin| twin.any_code("40P01") || twin.lacks("40001", outcomes));
    for (at, (name, session, sql)) in steps.iter().enumerate() {
        let Some(outcome) = outcomes.get(name) else {
            wrong.push(format!("{name}: never began"));
            continue;
        };
        let code = outcome.code();
        let allowed = ["ok", "25P02"].contains(&code)
            // A failed transaction can't be prepared.
            || (code == "42704" && sql.starts_with("COMMIT PREPARED"))
            || schema.codes.contains(&code)
            || (code == "40001" && program.levels[session] != Level::Rc)
            || (code == "40P01" && may_deadlock);
        if !allowed {
            let error = outcome.answer.as_ref().and_then(|a| a.error.as_ref());
            wrong.push(format!("{name}: {}", error.map_or_else(|| "never ended".to_owned(), PgError::to_string)));
        }
        // A COMMIT may wait for a transaction that is prepared, that is, whose COMMIT is under way.
        let may_wait = twin::applies(sql) && program.prepares();
        if outcome.waited && !may_wait && like_twin(at).is_some_and(|twin| !twin.waited(name)) {
            wrong.push(format!("{name}: waited, and must not"));
        }
        // If the comparison itself may get a serialization failure, its error proves nothing.
        let saw = outcome.answer.as_ref().and_then(|a| a.inexact.as_ref());
        let may_fail =
            program.levels[session] == Level::Ser || program.levels[session] == Level::Rr && program.renews();
        let is_excused = |what: &Inexact| matches!(what, Inexact::Failed(error) if error.code == "40001");
        if let Some(what) = saw.filter(|what| !may_fail || !is_excused(what)) {
            wrong.push(format!("after {name}: {what}"));
        }
    }
    wrong
}

fn report(options: &Options, number: u64, schema: &Schema, program: &Program, steps: &[Step], wrong: &[String]) {
    println!("FAIL {} program {number}, {:?}, seed {}", schema.name, program.levels, options.seed);
    for (name, query) in schema.views {
        println!("  view {name}: {query}");
    }
    for (name, _, sql) in steps {
        println!("    {name}: {sql}");
    }
    for what in wrong {
        println!("    {what}");
    }
}

impl Program {
    fn random(dice: &mut Dice, schema: &Schema, levels: &[Level], flush: Flush) -> Self {
        let names = if dice.chance(30) { vec!["a", "b", "c"] } else { vec!["a", "b"] };
        let single = dice.chance(20);
        let same = dice.chance(50).then(|| *dice.pick(levels));
        let levels: BTreeMap<String, Level> =
            names.iter().map(|name| (name.to_string(), same.unwrap_or_else(|| *dice.pick(levels)))).collect();
        let sessions: BTreeMap<String, Vec<String>> = names
            .iter()
            .map(|name| {
                let steps = match single {
                    true => vec![change(dice, schema), "COMMIT".to_owned()],
                    // One session drops and creates a maintained table.
                    false if *name == "a" && dice.chance(15) => again(dice, schema),
                    // A third session may only read.
                    false if *name == "c" && dice.chance(50) => reader(dice, schema),
                    false => transaction(dice, schema),
                };
                (name.to_string(), steps)
            })
            .collect();
        let looks = match flush {
            Flush::Commit if dice.chance(60) => Looks::None,
            _ if dice.chance(50) => Looks::All,
            _ => Looks::Harmless,
        };
        let mut program = Self { sessions, levels, single, looks };
        if program.is_blind() && dice.chance(40) {
            program.sessions.values_mut().take(1).for_each(prepare);
        }
        program
    }

    /// Whether a snapshot can be older than a maintained table's content.
    fn renews(&self) -> bool {
        self.sessions.values().flatten().any(|sql| sql.starts_with("TRUNCATE") || sql.contains("drop_imat"))
    }

    /// Whether nothing is applied before a COMMIT.
    fn is_blind(&self) -> bool {
        self.looks == Looks::None && !self.renews()
    }

    /// Whether a transaction is prepared.
    fn prepares(&self) -> bool {
        self.sessions.values().flatten().any(|sql| sql.starts_with("PREPARE"))
    }

    /// Whether sessions at this level compare after each statement.
    fn compares(&self, level: Level) -> bool {
        match self.looks {
            Looks::All => true,
            Looks::Harmless => level == Level::Rc || level == Level::Rr && !self.renews(),
            Looks::None => false,
        }
    }

    /// Different orders of the sessions' steps.
    fn orders(&self, dice: &mut Dice) -> Vec<Vec<Step>> {
        let mut orders = BTreeSet::new();
        for _ in 0..2 * ORDERS {
            if orders.len() < ORDERS {
                orders.insert(self.order(dice));
            }
        }
        orders.into_iter().collect()
    }

    fn order(&self, dice: &mut Dice) -> Vec<Step> {
        let mut left: Vec<(&String, usize)> = self.sessions.keys().map(|name| (name, 0)).collect();
        let mut out = Vec::new();
        while !left.is_empty() {
            let at = dice.index(left.len());
            let (name, done) = &mut left[at];
            let steps = &self.sessions[*name];
            out.push((format!("{name}{}", *done + 1), name.to_string(), steps[*done].clone()));
            *done += 1;
            if *done == steps.len() {
                left.remove(at);
            }
        }
        out
    }
}

fn transaction(dice: &mut Dice, schema: &Schema) -> Vec<String> {
    let mut sql: Vec<String> = (0..dice.range(1, 4)).map(|_| change(dice, schema)).collect();
    match dice.index(8) {
        2 => sql.insert(0, "SET LOCAL imat.max_key_locks = 1".into()),
        0 => sql.insert(0, format!("SELECT count(*) FROM {}", schema.reads)),
        1 => {
            sql.insert(0, "SAVEPOINT p".into());
            sql.insert(2, "ROLLBACK TO SAVEPOINT p".into());
        }
        _ => {}
    }
    sql.push(if dice.chance(85) { "COMMIT" } else { "ROLLBACK" }.into());
    sql
}

/// Ends a transaction in two steps, so that other sessions' COMMITs come between.
fn prepare(sql: &mut Vec<String>) {
    if sql.pop_if(|last| last == "COMMIT").is_some() {
        sql.extend(["PREPARE TRANSACTION 'imat-oracle'", "COMMIT PREPARED 'imat-oracle'"].map(str::to_owned));
    }
}

fn reader(dice: &mut Dice, schema: &Schema) -> Vec<String> {
    let mut sql: Vec<String> =
        (0..dice.range(2, 3)).map(|_| format!("SELECT count(*) FROM {}", schema.reads)).collect();
    sql.push("COMMIT".into());
    sql
}

/// Drops a maintained table that no other reads, and creates it again, beside another change.
fn again(dice: &mut Dice, schema: &Schema) -> Vec<String> {
    let (name, query) = schema.views.last().expect("every schema has one");
    let (name, query) = (literal(&ident(name)), literal(query));
    let again = format!("SELECT drop_imat({name}), create_imat({name}, query => {query})");
    let mut sql = vec![change(dice, schema)];
    sql.insert(dice.index(2), again);
    sql.push(if dice.chance(85) { "COMMIT" } else { "ROLLBACK" }.into());
    sql
}

fn change(dice: &mut Dice, schema: &Schema) -> String {
    let sql = dice.weighted(schema.changes);
    let (id, k, v) = (dice.range(1, 5), dice.range(1, 3), *dice.pick(&[1, 5, 6, 9]));
    sql.replace("{id}", &id.to_string()).replace("{k}", &k.to_string()).replace("{v}", &v.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_keep_each_session_in_order_and_repeat_with_the_seed() {
        let levels = [Level::Rc, Level::Rr, Level::Ser];
        for number in 0..200 {
            let schema = &SCHEMAS[number as usize % SCHEMAS.len()];
            let mut dice = Dice::new(3, number);
            let program = Program::random(&mut dice, schema, &levels, Flush::Commit);
            let orders = program.orders(&mut dice);
            let mut again = Dice::new(3, number);
            assert_eq!(program, Program::random(&mut again, schema, &levels, Flush::Commit));
            assert_eq!(orders, program.orders(&mut again));
            for steps in orders {
                for (session, sql) in &program.sessions {
                    let played: Vec<&String> = steps.iter().filter(|s| s.1 == *session).map(|s| &s.2).collect();
                    assert_eq!(played, sql.iter().collect::<Vec<_>>());
                }
            }
        }
    }
}
