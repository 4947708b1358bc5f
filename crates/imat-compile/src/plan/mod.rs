//! The maintenance plan: the state's shape, what is read from it, and how a delta is applied.
//!
//! There are two shapes. A *grouped* state has a row per group: keys and components
//! ([`component`]). A *rows* state has a row per distinct result row and its multiplicity;
//! it serves select-project-join views, whose delta is derived, and views that are recomputed
//! whole, whose delta is `query - state`.

pub mod aggregate;
pub mod component;
pub mod grouped;
pub(crate) mod implied;
pub(crate) mod links;
pub mod locks;
mod nulls;
pub(crate) mod order;
pub mod references;
pub mod rows;
pub(crate) mod source;
mod total;

use crate::error::Unsupported;
use crate::facts::Type;
use crate::lower;
use crate::name::QName;
use crate::plan::locks::Tree;
use crate::plan::references::Idle;
use crate::plan::source::Source;
use crate::rel::TableSet;
use crate::scalar::Scalar;
use crate::view::View;

/// How a view is maintained, from the cheapest to the most expensive strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The change is computed from the delta alone.
    Arithmetic,
    /// The change finds the affected groups, which are recomputed.
    Recompute { aggregates: Vec<String> },
    /// The query runs again, and the rows that differ are written.
    Whole { construct: String },
}

impl Strategy {
    pub fn name(&self) -> &'static str {
        match self {
            Strategy::Arithmetic => "arithmetic",
            Strategy::Recompute { .. } => "recompute",
            Strategy::Whole { .. } => "whole",
        }
    }
}

/// A base table and the columns that a delta must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    pub oid: u32,
    pub name: QName,
    /// Attribute numbers, ascending. The delta's columns are `c<number>`, then `w`.
    pub columns: Vec<i16>,
}

/// The options of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `server_version_num` of the server that the state was created on. Later ones must keep the form of the state.
    pub server_version: i32,
}

/// The types of a view's expressions, which [`crate::sql::probe`] makes queries for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types {
    pub keys: Vec<Type>,
    /// The types of all aggregates' arguments, one aggregate after the other.
    pub args: Vec<Type>,
    pub aggregates: Vec<Type>,
    pub outputs: Vec<Type>,
}

/// A column of the state table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateColumn {
    pub name: String,
    pub ty: String,
}

/// The state's unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// No key: one row, always.
    Single,
    Columns {
        nulls_not_distinct: bool,
    },
    /// A SHA-256 hash of the columns' exact image. It fits an index for values of any length, covers NULLs,
    /// distinguishes rows that are equal but not identical (`1.0`, `1.00`), and works for types without equality.
    Image,
}

/// What a plan knows about a delta's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signs {
    /// All are +1.
    Additions,
    /// Both signs occur, and each row with +1 exists after the change: the delta of one statement on one table.
    Statement,
    /// Both signs occur, and a row with -1 may cancel one with +1.
    Net,
    /// The same, also within one table: one statement may have added a row that another one has removed.
    Passing,
}

impl Signs {
    /// Whether some weights are -1.
    pub fn removals(self) -> bool {
        self != Signs::Additions
    }
}

/// Whether the only changed row was added or removed. [`Signs`] don't say that: if a view reads its table twice, they
/// describe the row's join with other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Added,
    Removed,
}

impl Fate {
    pub fn signs(self) -> Signs {
        match self {
            Fate::Added => Signs::Additions,
            Fate::Removed => Signs::Statement,
        }
    }
}

/// The size of a delta. Plans are cached separately for few and for many rows, since each kind is bad for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// One row of one table, with its columns as parameters.
    One(Fate),
    Small,
    Large,
}

impl Size {
    /// Whether such a delta may contain both added and removed rows.
    pub(crate) fn mixes(self, signs: Signs) -> bool {
        signs.removals() && !matches!(self, Size::One(_))
    }
}

/// A maintained view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub strategy: Strategy,
    /// Ordered by OID.
    pub tables: Vec<TableUse>,
    pub columns: Vec<StateColumn>,
    pub key: Key,
    /// The outputs over the state's columns, unless the state is itself the result.
    pub reading: Option<Reading>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Grouped(Box<grouped::Grouped>),
    Rows(Box<rows::Rows>),
}

/// How the result is read from the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Name, type and expression over the state's columns.
    pub outputs: Vec<(String, String, Scalar)>,
    pub having: Option<Scalar>,
    /// The column with the number of rows that each state row stands for.
    pub multiplicity: Option<usize>,
}

impl Plan {
    /// Plans a parsed view. A construct without a rule is `Unsupported`; see [`Plan::whole`].
    pub fn new(view: &View, types: &Types, options: Options) -> Result<Plan, Unsupported> {
        let core = lower::core(view)?;
        match &view.grouping {
            Some(grouping) => grouped::plan(view, grouping, core, types, options),
            None => rows::plan(view, core, types),
        }
    }

    /// The plan for any query: run it again. `tables` are all tables that it reads, and `definition` is the view with
    /// the query.
    pub fn whole(
        construct: &Unsupported,
        outputs: Vec<(String, Type)>,
        tables: Vec<TableUse>,
        definition: QName,
    ) -> Plan {
        rows::whole(construct, outputs, tables, definition)
    }

    /// Whether the state is empty if any one of its tables is.
    pub(crate) fn needs_every_table(&self) -> bool {
        match &self.body {
            Body::Grouped(_) => self.key != Key::Single,
            Body::Rows(rows) => matches!(rows.query, rows::Query::Source { .. }),
        }
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        match &self.body {
            Body::Grouped(grouped) => Some(&grouped.source),
            Body::Rows(rows) => rows.source(),
        }
    }

    /// The signs that matter for the statements: if nothing can fail, expressions may also be computed for a row that
    /// was added and removed.
    pub fn relevant(&self, signs: Signs) -> Signs {
        match signs {
            Signs::Passing if !self.source().is_some_and(|source| source.frail) => Signs::Net,
            signs => signs,
        }
    }

    /// Those of the `changed` tables whose change can't affect the result, because of foreign keys. `one_way` are the
    /// tables to which rows were only added, or from which rows were only removed.
    pub fn idle(&self, changed: &TableSet, one_way: &TableSet) -> Idle {
        self.source().map_or_else(Idle::new, |source| references::idle(&source.references, changed, one_way))
    }

    /// The keys of an edge in words. `edge` is numbered as by [`Plan::locking`].
    pub fn edge(&self, edge: u16) -> Option<String> {
        let source = self.source()?;
        Some(Tree::new(&source.core)?.describe(edge, &source.core))
    }

    /// The kind of key of the state. A plan compiled later must have the same.
    pub fn shape(&self) -> String {
        format!("{:?}", self.key)
    }

    /// Whether these columns contain the whole key of the state.
    pub fn key_is_within(&self, columns: &[String]) -> bool {
        matches!(self.body, Body::Grouped(_))
            && self.key != Key::Single
            && self.key_positions().iter().all(|&position| columns.contains(&self.columns[position].name))
    }

    /// The positions of the state's columns that are its key.
    pub(crate) fn key_positions(&self) -> Vec<usize> {
        match &self.body {
            Body::Grouped(grouped) => grouped.key_columns(),
            Body::Rows(_) => (0..self.columns.len() - 1).collect(),
        }
    }

    /// The group keys, in the order of [`Plan::key_positions`].
    pub(crate) fn group_keys(&self) -> &[grouped::GroupKey] {
        match &self.body {
            Body::Grouped(grouped) => &grouped.keys,
            Body::Rows(_) => &[],
        }
    }

    /// The columns for which keys imply bounds: positions of tables, and column names. An index on such a column finds
    /// the rows of a group.
    pub fn bounded(&self) -> Vec<(usize, String)> {
        let keys = self.group_keys().iter().filter_map(|key| key.implied.as_ref());
        let column = |column| self.source()?.column(column).map(|(table, column)| (table, column.name.clone()));
        keys.filter_map(|implied| column(implied.column)).collect()
    }

    /// `wanted`, or a similar name that no column of the state has.
    pub(crate) fn unused(&self, wanted: &str) -> String {
        let taken: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        hidden_name(&taken, wanted)
    }
}

/// The name of a hidden state column: `wanted`, or a similar name that no output has.
pub(crate) fn hidden_name(outputs: &[&str], wanted: &str) -> String {
    let mut name = format!("imat_{wanted}");
    while outputs.contains(&name.as_str()) {
        name.push('_');
    }
    name
}
