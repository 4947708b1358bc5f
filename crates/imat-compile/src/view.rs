//! The owned, resolved view: the query as written, with columns by position.
//!
//! **Scope.** The columns of all [`View::inputs`], one input after the other, are the *scope row*. `filter`, `keys`,
//! aggregate arguments and join conditions are scalars over it. In a grouped view the outputs and HAVING are scalars
//! over the *group row*: the keys, then the aggregates. In an ungrouped view the outputs are scalars over the scope
//! row.

use crate::facts::Table;
use crate::name::QName;
use crate::scalar::Scalar;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The queries of WITH, in order. Each input that reads one holds a copy.
    pub with: Vec<With>,
    /// The leaves of FROM, left to right.
    pub inputs: Vec<Input>,
    /// The comma-separated items of FROM, as trees over `inputs`.
    pub from: Vec<From>,
    /// The conjuncts of WHERE.
    pub filter: Vec<Scalar>,
    /// Conditions that all branches of an OR in WHERE or in a join condition have in common, so that they hold for
    /// every row.
    pub implied: Vec<Scalar>,
    pub grouping: Option<Grouping>,
    pub outputs: Vec<Output>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The name that FROM gives it; unique in the view.
    pub alias: String,
    pub source: Source,
    /// The names of its columns, in order.
    pub columns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Table(Table),
    /// Ungrouped or grouped.
    Query {
        origin: Origin,
        /// Whether it must be computed before any expression of the query that reads it.
        fence: bool,
        view: Box<View>,
    },
}

/// Where a query in FROM comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A plain view.
    View(QName),
    /// A WITH query of this name.
    With(String),
    /// A subquery.
    Here,
}

/// A query of a WITH clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct With {
    pub name: String,
    /// The column names, if the WITH clause lists them; `view` has its own.
    pub columns: Option<Vec<String>>,
    /// MATERIALIZED or NOT MATERIALIZED. It affects only the order of evaluation, not the result.
    pub materialized: Option<bool>,
    pub view: View,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// An index into [`View::inputs`].
    Input(usize),
    /// An inner join.
    Join { left: Box<From>, right: Box<From>, on: Condition },
    /// CROSS JOIN LATERAL generate_series(1, count) as `alias(column)`, whose column is not read.
    Repeat { of: Box<From>, count: usize, alias: String, column: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Cross,
    /// Its conjuncts.
    On(Vec<Scalar>),
    /// Pairs of scope columns that must be equal, each with their common name.
    Using(Vec<(String, usize, usize)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// The GROUP BY items, followed by columns that outputs use although they are only functionally dependent on the
    /// keys.
    pub keys: Vec<Scalar>,
    /// The number of `keys` that the GROUP BY clause lists.
    pub listed: usize,
    /// The distinct aggregate calls of outputs and HAVING.
    pub aggregates: Vec<Aggregate>,
    pub having: Option<Scalar>,
}

/// One aggregate call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// The function's schema; `None` is `pg_catalog`.
    pub schema: Option<String>,
    pub name: String,
    pub distinct: bool,
    /// The arguments; empty for `count(*)`.
    pub args: Vec<Scalar>,
    pub filter: Option<Scalar>,
    /// Has ORDER BY inside, WITHIN GROUP or VARIADIC, so that only `call` describes it.
    pub ordered: bool,
    /// The whole call as text, over the scope row.
    pub call: Scalar,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub expr: Scalar,
}

impl With {
    /// The query with the column names of its reader.
    pub fn named(&self) -> View {
        let mut view = self.view.clone();
        let names = self.columns.iter().flatten();
        view.outputs.iter_mut().zip(names).for_each(|(output, name)| output.name.clone_from(name));
        view
    }
}

impl View {
    /// The nesting depth of its queries, and the number of tables that they read.
    pub fn extent(&self) -> (usize, usize) {
        self.inputs.iter().fold((1, 0), |(depth, leaves), input| match &input.source {
            Source::Table(_) => (depth, leaves + 1),
            Source::Query { view, .. } => {
                let (inner_depth, inner_leaves) = view.extent();
                (depth.max(inner_depth + 1), leaves + inner_leaves)
            }
        })
    }

    /// The positions at which the inputs' columns begin in the scope row, and finally the row's width.
    pub fn offsets(&self) -> Vec<usize> {
        let mut offsets = vec![0];
        for input in &self.inputs {
            offsets.push(offsets[offsets.len() - 1] + input.columns.len());
        }
        offsets
    }

    /// How often it reads the WITH query of that name, also in subqueries.
    pub fn reads_of(&self, name: &str) -> usize {
        let reads = |source: &Source| match source {
            Source::Table(_) => 0,
            Source::Query { origin: Origin::With(with), .. } if with == name => 1,
            Source::Query { view, .. } => view.reads_of(name),
        };
        self.inputs.iter().map(|input| reads(&input.source)).sum()
    }

    /// Makes each input that reads this WITH query a fence.
    pub fn fence_off(&mut self, name: &str) {
        for input in &mut self.inputs {
            if let Source::Query { origin, fence, view } = &mut input.source {
                match origin {
                    Origin::With(with) if with == name => *fence = true,
                    _ => view.fence_off(name),
                }
            }
        }
    }

    /// The plain views that it reads, by name, also in subqueries, but not the views that these read.
    pub fn views(&self) -> Vec<(&QName, &View)> {
        let sources = self.inputs.iter().map(|input| &input.source);
        let views = sources.flat_map(|source| match source {
            Source::Table(_) => Vec::new(),
            Source::Query { origin: Origin::View(name), view, .. } => vec![(name, view.as_ref())],
            Source::Query { origin: Origin::With(_) | Origin::Here, view, .. } => view.views(),
        });
        views.collect()
    }
}
