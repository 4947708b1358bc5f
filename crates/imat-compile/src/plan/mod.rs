//! The maintenance plan: the state's shape, what is read from it, and how a delta is applied.
//!
//! There are two shapes. A *grouped* state has a row per group: keys and components
//! ([`component`]). A *rows* state has a row per distinct result row and its multiplicity;
//! it serves select-project-join views, whose delta is derived, and views that are recomputed
//! whole, whose delta is `query - state`.

pub mod aggregate;
pub mod component;
pub mod grouped;
mod implied;
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
use crate::name::{QName, ident};
use crate::plan::locks::Tree;
use crate::plan::references::Idle;
use crate::plan::source::Source;
use crate::rel::TableSet;
use crate::scalar::Scalar;
use crate::view::View;

/// How a view is kept current, from cheapest to dearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The change is computed from the delta alone.
    Arithmetic,
    /// The change finds the affected groups, which are recomputed.
    Recompute { aggregates: Vec<String> },
    /// The query runs again and what differs is written.
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

/// What a plan depends on besides the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `server_version_num` of the server that the state was created on. A later one must keep
    /// the state as it is.
    pub server_version: i32,
}

/// The types of a view's expressions, as [`crate::sql::probe`] asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types {
    pub keys: Vec<Type>,
    /// Every aggregate's arguments, one aggregate after the other.
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
    /// A cryptographic hash of the columns' exact image. It fits an index however long the values
    /// are, holds NULLs, keeps rows apart that are equal but not identical (`1.0`, `1.00`), and
    /// serves types without equality.
    Image,
}

/// What is known of a delta's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signs {
    /// All are +1.
    Additions,
    /// Both signs occur, and what has +1 is there after the change: one statement's change of
    /// one table.
    Statement,
    /// Both signs occur, and a row with +1 may be cancelled by one with -1.
    Net,
    /// The same, also within one table: a row that one statement added another one may have taken away.
    Passing,
}

impl Signs {
    /// Whether some weights are -1.
    pub fn removals(self) -> bool {
        self != Signs::Additions
    }
}

/// What happened to the only changed row. [`Signs`] don't tell: those of a view that reads its table twice
/// are of what the row makes together with others.
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

/// A plan is cached for few rows and for many: what suits one ruins the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// One row of one table, whose columns are parameters.
    One(Fate),
    Small,
    Large,
}

impl Size {
    /// Whether such a delta may hold both rows that came and rows that are gone.
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
    /// The outputs over the state's columns, where the state is not itself the result.
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
    /// Each state row stands for this many rows.
    pub multiplicity: Option<usize>,
}

impl Plan {
    /// Plans a parsed view. What has no rule is `Unsupported`; see [`Plan::whole`].
    pub fn new(view: &View, types: &Types, options: Options) -> Result<Plan, Unsupported> {
        let core = lower::core(view)?;
        match &view.grouping {
            Some(grouping) => grouped::plan(view, grouping, core, types, options),
            None => rows::plan(view, core, types),
        }
    }

    /// The plan that fits every query: run it again. `tables` are all it reads, and
    /// `definition` is the view that holds it.
    pub fn whole(
        construct: &Unsupported,
        outputs: Vec<(String, Type)>,
        tables: Vec<TableUse>,
        definition: QName,
    ) -> Plan {
        rows::whole(construct, outputs, tables, definition)
    }

    /// Whether the state is empty as soon as one of the tables is.
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

    /// What of this makes other statements: where nothing can fail, a row that came and went may be computed of.
    pub fn relevant(&self, signs: Signs) -> Signs {
        match signs {
            Signs::Passing if !self.source().is_some_and(|source| source.frail) => Signs::Net,
            signs => signs,
        }
    }

    /// Those of the `changed` tables whose change makes no difference, as foreign keys prove. To those
    /// in `one_way` rows were only added, or from them only taken away.
    pub fn idle(&self, changed: &TableSet, one_way: &TableSet) -> Idle {
        self.source().map_or_else(Idle::new, |source| references::idle(&source.references, changed, one_way))
    }

    /// What the keys of an edge are, by the numbers of [`Plan::locking`].
    pub fn edge(&self, edge: u16) -> Option<String> {
        let source = self.source()?;
        Some(Tree::new(&source.core)?.describe(edge, &source.core))
    }

    /// What a state with these columns was created for: a plan compiled later must have the same.
    pub fn shape(&self) -> String {
        format!("{:?}", self.key)
    }

    /// Whether these columns hold all of the state's key, so that rows which differ in the key
    /// differ in them.
    pub fn key_is_within(&self, columns: &[String]) -> bool {
        let columns: Vec<String> = columns.iter().map(|column| ident(column)).collect();
        matches!(self.body, Body::Grouped(_))
            && self.key != Key::Single
            && self.key_columns().iter().all(|key| columns.contains(key))
    }

    /// The keys of groups, in the order of their columns in [`Plan::key_columns`].
    pub(crate) fn group_keys(&self) -> &[grouped::GroupKey] {
        match &self.body {
            Body::Grouped(grouped) => &grouped.keys,
            Body::Rows(_) => &[],
        }
    }

    /// The columns whose values bound those of a key, as positions of tables and names: an index on such a column
    /// finds the rows of a group.
    pub fn bounded(&self) -> Vec<(usize, String)> {
        let keys = self.group_keys().iter().filter_map(|key| key.implied.as_ref());
        let column = |column| self.source()?.column(column).map(|(table, column)| (table, column.name.clone()));
        keys.filter_map(|implied| column(implied.column)).collect()
    }

    /// A name like `wanted` that no column of the state has.
    pub(crate) fn unused(&self, wanted: &str) -> String {
        let taken: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        hidden_name(&taken, wanted)
    }
}

/// The name of a state column: its output's where it has one, else one that no output has.
pub(crate) fn hidden_name(outputs: &[&str], wanted: &str) -> String {
    let mut name = format!("imat_{wanted}");
    while outputs.contains(&name.as_str()) {
        name.push('_');
    }
    name
}
