//! One round: a fresh schema, its views, and statements with a comparison after each.

use super::dml::{self, Action, TWIN, inside};
use super::schema::{self, Schema};
use super::script::{Progress, Script, Step};
use super::session::Session;
use super::view::{self, Base, ViewDef};
use super::{Options, Totals, seen, values};
use crate::bag::{self, Kind};
use crate::dice::Dice;
use crate::pg::{self, CONNECTION_LOST, PgError, Result, Row, ident};
use crate::target::{self, Maintained, Target};
use postgres::Client;

/// The input of a round, before any statement runs.
pub struct World {
    /// The server's version, on which random choices depend.
    pub version: u32,
    pub schema_name: String,
    /// The time zone of both sides.
    pub zone: &'static str,
    pub schema: Schema,
    pub bases: Vec<Base>,
    pub views: Vec<ViewDef>,
    pub rows: Vec<String>,
}

/// A failure, with all that is needed to reproduce it.
pub struct Failure {
    pub world: World,
    pub view: Option<usize>,
    pub strategy: String,
    /// The steps up to the failing one, each with its error.
    pub history: Vec<(Step, Option<PgError>)>,
    pub what: String,
    pub expected: Vec<Row>,
    pub actual: Vec<Row>,
}

/// A problem, before the round's context is added.
pub struct Problem {
    pub view: Option<usize>,
    pub what: String,
    pub expected: Vec<Row>,
    pub actual: Vec<Row>,
}

impl Problem {
    pub fn new(view: Option<usize>, what: impl Into<String>) -> Self {
        Self { view, what: what.into(), expected: Vec::new(), actual: Vec::new() }
    }
}

impl World {
    /// The tables, rows and views of a round, the same for the same seed, number and major version.
    pub fn random(dice: &mut Dice, version: u32, views: Option<usize>) -> Self {
        let schema_name = dice.pick(&["oracle", "oracle", "Oracle Mixed", "select"]).to_string();
        let zone = dice.pick(&values::ZONES);
        let schema = schema::random(dice, version);
        let bases = view::bases(dice, &schema);
        let n = views.unwrap_or_else(|| dice.range(4, 10) as usize);
        let mut views = view::random(dice, &schema, &bases, n);
        views.push(inside::view());
        let rows = dml::initial(dice, &schema);
        Self { version, schema_name, zone, schema, bases, views, rows }
    }

    /// The plain views that maintained ones may read.
    pub fn base_sql(&self) -> Vec<String> {
        self.bases.iter().map(|b| format!("CREATE VIEW {}{} AS {}", ident(&b.name), b.options, b.query.sql)).collect()
    }
}

/// The two schemas of a round on the server.
pub struct Stage {
    pub main: Session,
    twin: Session,
    pub tables: Vec<Maintained>,
    pub progress: Progress,
}

pub fn run(options: &Options, number: u64, version: u32, totals: &mut Totals) -> Result<Option<Failure>> {
    let mut dice = Dice::new(options.seed, number);
    let world = World::random(&mut dice, version, options.views_per_round);
    let (mut stage, problem) = Stage::set_up(options, &world)?;
    for view in &stage.tables {
        let strategy = options.target.strategy(&mut stage.main.client, &view.name)?;
        *totals.views.entry(strategy).or_default() += 1;
    }
    let mut history = Vec::new();
    let found = match problem {
        Some(problem) => Some(problem),
        None => play(options, &world, &mut stage, &mut dice, totals, &mut history)?,
    };
    let failure = match found {
        None => None,
        Some(problem) => Some(fail(options, world, stage, problem, history)?),
    };
    Ok(failure)
}

/// Runs statements until the round's number is reached, then the final checks.
fn play(
    options: &Options,
    world: &World,
    stage: &mut Stage,
    dice: &mut Dice,
    totals: &mut Totals,
    history: &mut Vec<(Step, Option<PgError>)>,
) -> Result<Option<Problem>> {
    let mut script = Script::default();
    let mut counts = vec![0; world.schema.tables.len()];
    for n in 0..options.statements_per_round {
        if n % 4 == 0 && !stage.progress.aborted {
            counts = stage.counts(&world.schema)?;
        }
        let step = script.next(dice, &stage.progress, (&world.schema, &world.views, world.version), &counts);
        let (error, problem) = stage.step(&step)?;
        totals.statements += 1;
        if let Some(error) = &error {
            *totals.failed_statements.entry(error.code.clone()).or_default() += 1;
        }
        totals.comparisons += if stage.progress.aborted { 0 } else { stage.tables.len() as u64 };
        history.push((step, error));
        if problem.is_some() {
            return Ok(problem);
        }
    }
    let end = Step { action: Action::Sql("COMMIT".into()), guarded: false };
    let (error, problem) = stage.step(&end)?;
    history.push((end, error));
    match problem {
        Some(problem) => Ok(Some(problem)),
        None => stage.closing(options, world),
    }
}

fn fail(
    options: &Options,
    world: World,
    mut stage: Stage,
    problem: Problem,
    history: Vec<(Step, Option<PgError>)>,
) -> Result<Failure> {
    let steps: Vec<Step> = history.iter().map(|(step, _)| step.clone()).collect();
    let strategy = match problem.view {
        // After a lost connection the server can't be asked.
        Some(v) => options.target.strategy(&mut stage.main.client, &world.views[v].name).unwrap_or_default(),
        None => String::new(),
    };
    drop(stage);
    if options.shrink {
        return super::report::shrunk(options, world, problem, steps, strategy);
    }
    let Problem { view, what, expected, actual } = problem;
    Ok(Failure { world, view, strategy, history, what, expected, actual })
}

impl Stage {
    /// Creates both schemas. A view that can't be created, or is wrong at first, is a problem.
    pub fn set_up(options: &Options, world: &World) -> Result<(Self, Option<Problem>)> {
        let mut main = pg::connect(&options.url, "main")?;
        let mut twin = pg::connect(&options.url, "twin")?;
        clear(options.target, &mut main, &world.schema_name)?;
        for (client, schema) in [(&mut main, world.schema_name.as_str()), (&mut twin, TWIN)] {
            client.batch_execute(&format!("CREATE SCHEMA {}", ident(schema)))?;
        }
        let mut main = Session::new(main, &world.schema_name, "imat", world.zone)?;
        let mut twin = Session::new(twin, TWIN, TWIN, world.zone)?;
        for client in [&mut main.client, &mut twin.client] {
            populate(client, world)?;
        }
        let mut stage = Self { main, twin, tables: Vec::new(), progress: Progress::default() };
        let problem = stage.create_views(options, world)?;
        let problem = match problem {
            None => stage.compare()?,
            some => some,
        };
        Ok((stage, problem))
    }

    fn create_views(&mut self, options: &Options, world: &World) -> Result<Option<Problem>> {
        for (at, view) in world.views.iter().enumerate() {
            // If PostgreSQL rejects a query, that is a mistake of the generator, not a problem.
            self.twin
                .client
                .batch_execute(&format!("CREATE VIEW {} AS\n{}", ident(&view.name), view.query_in(TWIN)))
                .map_err(|e| {
                let error = PgError::from(e);
                PgError { more: format!("{}\ngenerated query: {}", error.more, view.query), ..error }
            })?;
            let query = view.query_in("imat");
            let sql = options.target.create_sql(&world.schema_name, &view.name, &query, view.origin);
            if let Err(error) = self.main.client.batch_execute(&sql) {
                return Ok(Some(Problem::new(Some(at), format!("creation failed: {}", PgError::from(error)))));
            }
            match Maintained::describe(&mut self.main.client, &view.name, &query) {
                Ok(table) => self.tables.push(table),
                Err(error) => return Ok(Some(Problem::new(Some(at), error.to_string()))),
            }
            let construct = options.target.construct(&mut self.main.client, &view.name)?;
            if construct.is_some_and(|construct| view.is_needlessly_whole(&construct)) {
                return Ok(Some(Problem::new(Some(at), "it runs again for how another maintained table is read")));
            }
        }
        Ok(None)
    }

    /// Runs a step on both sides, and compares.
    pub fn step(&mut self, step: &Step) -> Result<(Option<PgError>, Option<Problem>)> {
        let ours = self.main.run(step).err();
        let twins = self.twin.run(step).err();
        self.progress.follow(step, ours.is_some());
        if let Some(problem) = disagreement(step, ours.as_ref(), twins.as_ref()) {
            return Ok((ours, Some(problem)));
        }
        let problem = if self.progress.aborted { None } else { self.compare()? };
        Ok((ours, problem))
    }

    /// Compares what the last statement's functions have read, and all tables.
    fn compare(&mut self) -> Result<Option<Problem>> {
        let found = match seen::compare(&mut self.main.client, &self.tables) {
            Ok(None) => target::compare(&mut self.main.client, &self.tables).map(|found| (found, "")),
            inside => inside.map(|found| (found, " inside the statement")),
        };
        Ok(match found {
            Ok((None, _)) => None,
            Ok((Some(found), when)) => Some(Problem {
                view: Some(found.view),
                what: format!(
                    "{} rows missing, {} rows extra{when}",
                    found.difference.missing.len(),
                    found.difference.extra.len()
                ),
                expected: found.expected,
                actual: found.actual,
            }),
            Err(error) => Some(Problem::new(None, format!("comparison failed: {error}"))),
        })
    }

    /// Rows per table, so that the generator can keep tables small.
    fn counts(&mut self, schema: &Schema) -> Result<Vec<i64>> {
        let list: Vec<String> =
            schema.tables.iter().map(|t| format!("(SELECT count(*) FROM {})", ident(&t.name))).collect();
        let row = pg::query(&mut self.main.client, &format!("SELECT {}", list.join(", ")))?.pop().unwrap_or_default();
        Ok(row.iter().map(|v| v.as_deref().and_then(|t| t.parse().ok()).unwrap_or(0)).collect())
    }

    /// After the last statement: the base tables of both sides agree, `verify_imat` finds nothing,
    /// and every maintained table can be dropped.
    fn closing(&mut self, options: &Options, world: &World) -> Result<Option<Problem>> {
        for table in &world.schema.tables {
            let sql = format!("SELECT * FROM {}", ident(&table.name));
            let kinds: Vec<Kind> =
                self.main.client.prepare(&sql)?.columns().iter().map(|c| Kind::of(c.type_())).collect();
            let ours = pg::query(&mut self.main.client, &sql)?;
            let twins = pg::query(&mut self.twin.client, &sql)?;
            if !bag::difference(&twins, &ours, &kinds).is_empty() {
                let what = format!("base table {} differs from its twin", table.name);
                return Ok(Some(Problem { view: None, what, expected: twins, actual: ours }));
            }
        }
        for (at, view) in world.views.iter().enumerate().rev() {
            match options.target.verify(&mut self.main.client, &view.name) {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => {
                    let what = "verify_imat reports rows although the comparison finds none";
                    return Ok(Some(Problem { actual: rows, ..Problem::new(Some(at), what) }));
                }
                Err(error) => {
                    return Ok(Some(Problem::new(Some(at), format!("verify_imat failed: {error}"))));
                }
            }
            let source = options.target.drop_source_sql(&world.schema_name, &view.name, view.origin);
            let drops = [options.target.drop_sql(&view.name)].into_iter().chain(source.filter(|_| view.is_stacked()));
            if let Err(error) = self.main.client.batch_execute(&drops.collect::<Vec<_>>().join("; ")) {
                return Ok(Some(Problem::new(Some(at), format!("drop failed: {}", PgError::from(error)))));
            }
        }
        Ok(None)
    }
}

/// Both sides must succeed, or fail with the same SQLSTATE. An internal error is a problem on either side.
fn disagreement(step: &Step, ours: Option<&PgError>, twins: Option<&PgError>) -> Option<Problem> {
    let text = |e: Option<&PgError>| e.map_or("success".to_owned(), PgError::to_string);
    let internal = |e: &&PgError| e.code.starts_with("XX") || e.code == CONNECTION_LOST;
    // A COPY that violates several constraints reports the first that it meets, and rows are not inserted in batches
    // into a table with a trigger.
    let copy = matches!(step.action, Action::Copy { .. });
    let integrity = |e: &PgError| e.code.starts_with("23");
    let alike = match (ours, twins) {
        (Some(ours), Some(twins)) => ours.code == twins.code || (copy && integrity(ours) && integrity(twins)),
        (None, None) => true,
        _ => false,
    };
    if alike && !ours.iter().any(internal) {
        return None;
    }
    Some(Problem::new(None, format!("outcome: {}\nwithout maintained tables: {}", text(ours), text(twins))))
}

/// Removes the objects of an earlier round.
fn clear(target: Target, client: &mut Client, schema: &str) -> Result<()> {
    target.sweep(client)?;
    for name in [schema, TWIN, "oracle", "Oracle Mixed", "select"] {
        client.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", ident(name)))?;
    }
    Ok(())
}

fn populate(client: &mut Client, world: &World) -> Result<()> {
    for sql in &world.schema.ddl {
        client.batch_execute(sql).map_err(|e| {
            let error = PgError::from(e);
            PgError { more: format!("{}\ngenerated statement: {sql}", error.more), ..error }
        })?;
    }
    for sql in world.base_sql() {
        client.batch_execute(&sql)?;
    }
    for sql in &world.rows {
        // A row may violate a foreign key; the other rows are enough.
        let _ = client.batch_execute(sql);
    }
    Ok(())
}
