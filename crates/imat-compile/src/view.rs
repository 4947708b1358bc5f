//! The owned, resolved view: what was written, with every column by position.
//!
//! **Scope.** The columns of all [`View::inputs`], one input after the other, are the *scope
//! row*. `filter`, `keys`, aggregate arguments and join conditions are scalars over it.
//! In a grouped view the outputs and HAVING are scalars over the *group row*: the keys, then
//! the aggregates. In an ungrouped view the outputs are scalars over the scope row.

use crate::facts::Table;
use crate::name::QName;
use crate::scalar::Scalar;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The queries of WITH, in order. What reads one holds a copy of it.
    pub with: Vec<With>,
    /// The leaves of FROM, left to right.
    pub inputs: Vec<Input>,
    /// The comma-separated items of FROM, as trees over `inputs`.
    pub from: Vec<From>,
    /// The conjuncts of WHERE.
    pub filter: Vec<Scalar>,
    /// What all branches of an OR in WHERE or in a join's condition ask for, so that it holds of every row.
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
        /// It is computed before anything of the query that reads it.
        fence: bool,
        view: Box<View>,
    },
}

/// Where a query in FROM is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is a plain view.
    View(QName),
    /// It has this name in a WITH clause.
    With(String),
    /// Right there.
    Here,
}

/// A query of a WITH clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct With {
    pub name: String,
    /// The names of its columns, where they are listed; `view` has its own.
    pub columns: Option<Vec<String>>,
    /// What is said of it; of the result it only decides what is computed when.
    pub materialized: Option<bool>,
    pub view: View,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// An index into [`View::inputs`].
    Input(usize),
    /// An inner join.
    Join { left: Box<From>, right: Box<From>, on: Condition },
    /// CROSS JOIN LATERAL generate_series(1, count), as `alias(column)`, which nothing reads.
    Repeat { of: Box<From>, count: usize, alias: String, column: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Cross,
    /// Its conjuncts.
    On(Vec<Scalar>),
    /// Pairs of scope columns that must be equal, and the names they share.
    Using(Vec<(String, usize, usize)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// The GROUP BY items, and then columns that outputs use because a key determines them.
    pub keys: Vec<Scalar>,
    /// How many of `keys` the GROUP BY clause lists.
    pub listed: usize,
    /// Distinct aggregate calls of outputs and HAVING.
    pub aggregates: Vec<Aggregate>,
    pub having: Option<Scalar>,
}

/// One aggregate call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// The function: `None` schema is `pg_catalog`.
    pub schema: Option<String>,
    pub name: String,
    pub distinct: bool,
    /// The arguments; empty for `count(*)`.
    pub args: Vec<Scalar>,
    pub filter: Option<Scalar>,
    /// Has ORDER BY inside, WITHIN GROUP or VARIADIC: known only by `call`.
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
    /// The query as it is read.
    pub fn named(&self) -> View {
        let mut view = self.view.clone();
        let names = self.columns.iter().flatten();
        view.outputs.iter_mut().zip(names).for_each(|(output, name)| output.name.clone_from(name));
        view
    }
}

impl View {
    /// How deep queries are nested in this one, and how many tables they read in all.
    pub fn extent(&self) -> (usize, usize) {
        self.inputs.iter().fold((1, 0), |(depth, leaves), input| match &input.source {
            Source::Table(_) => (depth, leaves + 1),
            Source::Query { view, .. } => {
                let (inner_depth, inner_leaves) = view.extent();
                (depth.max(inner_depth + 1), leaves + inner_leaves)
            }
        })
    }

    /// Where each input's columns begin in the scope row, and, last, the row's width.
    pub fn offsets(&self) -> Vec<usize> {
        let mut offsets = vec![0];
        for input in &self.inputs {
            offsets.push(offsets[offsets.len() - 1] + input.columns.len());
        }
        offsets
    }

    /// How often it reads a WITH query of that name, in subqueries too.
    pub fn reads_of(&self, name: &str) -> usize {
        let reads = |source: &Source| match source {
            Source::Table(_) => 0,
            Source::Query { origin: Origin::With(with), .. } if with == name => 1,
            Source::Query { view, .. } => view.reads_of(name),
        };
        self.inputs.iter().map(|input| reads(&input.source)).sum()
    }

    /// Makes each of these readings a fence.
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

    /// The plain views that it reads, by name, in subqueries too; not what these read.
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
