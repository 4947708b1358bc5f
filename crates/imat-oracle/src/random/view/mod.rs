//! Random view definitions. Each has exactly one right result as a bag of rows: every order that matters is total, and
//! no expression shows which of several equal values was kept.

mod aggregate;
mod expr;
mod grouped;
mod guarded;
mod paired;
mod source;
mod whole;

use super::dml::IMAT;
use super::names;
use super::schema::Schema;
use super::values::Ty;
use crate::dice::Dice;
use crate::pg::ident;
use crate::target::Origin;

pub use source::Base;

/// A view to be maintained.
#[derive(Debug, Clone)]
pub struct ViewDef {
    pub name: String,
    pub query: String,
    pub origin: Origin,
    /// Whether the bags can be compared by SQL's own `=` on rows.
    pub exact: bool,
    /// Whether it has no groups, so that readers depend on how often each row occurs.
    pub rows: bool,
}

impl ViewDef {
    /// The query, with the maintained tables in this schema.
    pub fn query_in(&self, schema: &str) -> String {
        self.query.replace(IMAT, &ident(schema))
    }

    /// Whether only a function in FROM, which it does not have itself, prevents that it is incremental.
    pub fn is_needlessly_whole(&self, construct: &str) -> bool {
        construct == "a function in FROM" && !self.query.contains("generate_series")
    }

    /// Whether it reads this maintained table.
    pub fn is_over(&self, lower: &ViewDef) -> bool {
        self.query.contains(&format!("{IMAT}.{} ", ident(&lower.name)))
    }

    /// Whether it reads another maintained table.
    pub fn is_stacked(&self) -> bool {
        self.query.contains(IMAT)
    }
}

/// An expression and its type.
#[derive(Debug, Clone)]
pub struct Expr {
    pub sql: String,
    pub ty: Ty,
}

/// A query and the types of its columns.
#[derive(Debug, Clone)]
pub struct Query {
    pub sql: String,
    pub types: Vec<Ty>,
    /// Whether each result row is made of a group of rows. Groups are few.
    has_groups: bool,
}

impl Query {
    pub fn of_rows(sql: String, types: Vec<Ty>) -> Self {
        Self { sql, types, has_groups: false }
    }

    /// A query with GROUP BY, or with aggregates only.
    pub fn of_groups(sql: String, types: Vec<Ty>) -> Self {
        Self { sql, types, has_groups: true }
    }

    /// Whether all columns compare exactly under SQL's own equality.
    pub fn exact(&self) -> bool {
        !self.types.contains(&Ty::Float)
    }
}

/// A maintained table that others may read.
#[derive(Debug, Clone)]
pub struct Lower {
    name: String,
    query: Query,
    /// The number of base table rows from which each of its rows is made.
    factors: usize,
}

/// The most of these for a query. The number of its result rows grows with this power of the tables' sizes.
const MOST_FACTORS: usize = 4;

/// The input of the generator.
pub struct Gen<'a> {
    pub dice: &'a mut Dice,
    pub schema: &'a Schema,
    /// Plain views that the maintained ones may read.
    pub bases: &'a [Base],
    /// Maintained tables that they may read.
    pub maintained: Vec<Lower>,
    /// Those of them without groups.
    pub rows: Vec<Lower>,
    aliases: usize,
    /// The number of base table rows from which each row of the current query is made so far.
    factors: usize,
}

impl<'a> Gen<'a> {
    pub fn new(dice: &'a mut Dice, schema: &'a Schema, bases: &'a [Base]) -> Self {
        Self { dice, schema, bases, maintained: Vec::new(), rows: Vec::new(), aliases: 0, factors: 0 }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        match self.aliases {
            3 => "\"Order\"".to_owned(),
            n => format!("a{n}"),
        }
    }

    /// A query of any kind, and whether it is of plain rows.
    fn query(&mut self) -> (Query, bool) {
        let over_rows = if self.rows.is_empty() { 0 } else { 50 };
        let kinds = [(32, 0), (24, 1), (8, 2), (14, 3), (22, 4), (10, 5), (19, 6), (over_rows, 7), (18, 8)];
        let query = match self.dice.weighted(&kinds) {
            0 => grouped::query(self, 1, None),
            1 => {
                let n = self.dice.weighted(&[(6, 2), (3, 3), (1, 4)]);
                grouped::query(self, n, None)
            }
            2 => grouped::query(self, 1, Some(0)),
            3 => return (grouped::rows(self), true),
            5 => grouped::twice(self),
            6 => guarded::query(self),
            7 => {
                let query = grouped::over_rows(self);
                let rows = !query.has_groups;
                return (query, rows);
            }
            8 => paired::query(self),
            _ => whole::query(self),
        };
        (query, false)
    }
}

/// The names of the plain views.
pub const BASES: [&str; 3] = ["plain rows", "plain groups", "kept rows"];

/// The plain views for the maintained ones to read: one of rows, one of groups, and one that excludes rows.
pub fn bases(dice: &mut Dice, schema: &Schema) -> Vec<Base> {
    let make = [grouped::simple_rows, grouped::simple_groups, guarded::kept_rows];
    let options = ["", "", " WITH (security_barrier)"];
    let mut out = Vec::new();
    for ((name, make), options) in BASES.into_iter().zip(make).zip(options) {
        let query = make(&mut Gen::new(dice, schema, &[]));
        out.push(Base { name: name.to_owned(), options, query });
    }
    out
}

/// The views of one round.
pub fn random(dice: &mut Dice, schema: &Schema, bases: &[Base], n: usize) -> Vec<ViewDef> {
    let names = names::views(dice, n);
    let (mut maintained, mut of_rows) = (Vec::new(), Vec::new());
    names
        .into_iter()
        .map(|name| {
            let (query, rows, factors) = bounded(dice, schema, bases, &maintained, &of_rows);
            let lower = Lower { name: name.clone(), query: query.clone(), factors };
            if rows {
                of_rows.push(lower.clone());
            }
            maintained.push(lower);
            let origin = dice.weighted(&[
                (6, Origin::Materialized),
                (2, Origin::MaterializedNoData),
                (2, Origin::PlainView),
                (2, Origin::Query),
            ]);
            ViewDef { name, exact: query.exact(), query: query.sql, origin, rows }
        })
        .collect()
}

/// A query without too many result rows, whether it is of plain rows, and from how many base table rows each of its rows
/// is made.
fn bounded(
    dice: &mut Dice,
    schema: &Schema,
    bases: &[Base],
    maintained: &[Lower],
    of_rows: &[Lower],
) -> (Query, bool, usize) {
    loop {
        let mut generator = Gen::new(dice, schema, bases);
        generator.maintained = maintained.to_vec();
        generator.rows = of_rows.to_vec();
        let (query, rows) = generator.query();
        let factors = generator.factors;
        if factors <= MOST_FACTORS {
            let factors = if query.has_groups { 1 } else { factors };
            return (query, rows, factors);
        }
    }
}

/// `SELECT` items with distinct names, some of which need quoting.
fn select_list(dice: &mut Dice, items: &[Expr]) -> String {
    let names = names::outputs(dice, items.len());
    let item = |(e, name): (&Expr, &String)| format!("{} AS {}", e.sql, ident(name));
    items.iter().zip(&names).map(item).collect::<Vec<_>>().join(", ")
}
