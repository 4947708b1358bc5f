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
mod links;
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
use crate::plan::locks::{Step, Tree};
use crate::plan::references::{Idle, Reference};
use crate::plan::source::{Row, Source};
use crate::rel::TableSet;
use crate::scalar::Scalar;
use crate::sql::{Sql, rebuild};
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

/// What must be locked before a flush reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locking {
    /// Nothing: the group's row is lock enough.
    Rows,
    /// The join keys of the changed rows, step by step.
    Keys(Vec<Step>),
    /// The view, exclusively.
    View,
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
    fn mixes(self, signs: Signs) -> bool {
        signs.removals() && !matches!(self, Size::One(_))
    }
}

/// The statements that apply one delta, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// A number that depends on all that `apply` reads besides the delta. Under a transaction
    /// snapshot it must be the same when taken under the latest one.
    pub digest: Option<Sql>,
    pub apply: Apply,
    /// Whether `apply.write` returns what follows up on it.
    pub returns: bool,
    pub recompute: Option<Recompute>,
    /// Deletes the emptied rows with the tids of `$1`.
    pub delete: Option<Sql>,
}

/// The upsert. It returns one row: the tids of emptied rows, of rows to recompute, and the number
/// of rows whose multiplicity fell below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    pub write: Sql,
    /// The same under a transaction snapshot. Its row goes on with the tids of all rows that were written.
    pub watched: Sql,
    /// Returns a row if, among those of `$1`, there is a second row for a key whose first one another transaction has
    /// deleted since the snapshot: both would be seen.
    pub twins: Sql,
}

/// Recomputes rows of the state; their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recompute {
    /// Those with the tids of `$1`.
    Few { write: Sql, digest: Sql },
    /// Step by step. `groups` returns the groups with the tids of `$1`, which are kept as
    /// [`crate::sql::tids::GROUPS`]; `values` and `digest` read these. `write` reads the values as [`crate::sql::tids::VALUES`].
    Many { groups: Sql, values: Sql, digest: Sql, write: Sql },
}

/// The statements that make the state anew. An empty one is populated, and one that is to be empty is
/// cleared. Of others only what differs is written: `difference` is kept as [`crate::sql::rebuild::DIFFERENCE`], which `delete`
/// and `insert` read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// As in [`Flush`].
    pub digest: Sql,
    pub filled: Sql,
    pub populate: Sql,
    /// Returns nothing if the state is to be empty because a table is.
    pub possible: Option<Sql>,
    pub clear: Sql,
    pub difference: Sql,
    pub delete: Sql,
    pub insert: Sql,
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
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
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

    /// Creates the state table and its unique key.
    pub fn create(&self, state: &QName) -> Vec<Sql> {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{} {}", ident(&column.name), column.ty)).collect();
        // Free space keeps updates on the page, so that they need no index entry.
        let mut statements =
            vec![Sql::new(format!("CREATE TABLE {state} ({}) WITH (fillfactor = 70)", columns.join(", ")))];
        if let Some(target) = self.conflict_target() {
            let nulls = match self.key {
                Key::Columns { nulls_not_distinct: true } => " NULLS NOT DISTINCT",
                _ => "",
            };
            statements.push(Sql::new(format!("CREATE UNIQUE INDEX ON {state} {target}{nulls}")));
        }
        statements
    }

    /// The SELECT of the view over the state, where there is one.
    pub fn reading(&self, state: &QName) -> Option<Sql> {
        let reading = self.reading.as_ref()?;
        let column = |position: usize| format!("s.{}", ident(&self.columns[position].name));
        let outputs: Vec<String> = reading
            .outputs
            .iter()
            .map(|(name, ty, expr)| {
                // A reader's condition on it can be computed before HAVING.
                let guards = reading.having.iter().filter(|_| expr.as_column().is_none());
                format!("({})::{ty} AS {}", expr.guarded(guards).render(column), ident(name))
            })
            .collect();
        let repeat = match reading.multiplicity {
            Some(n) => format!(" CROSS JOIN LATERAL pg_catalog.generate_series(1::bigint, {})", column(n)),
            None => String::new(),
        };
        let having = match &reading.having {
            Some(having) => format!(" WHERE {}", having.render(column)),
            None => String::new(),
        };
        Some(Sql::new(format!("SELECT {} FROM {state} AS s{repeat}{having}", outputs.join(", "))))
    }

    /// What the state holds when it is right: the names of its columns, and a SELECT of them from the
    /// tables as they are now.
    pub(crate) fn content(&self) -> (Vec<String>, String) {
        match &self.body {
            Body::Grouped(grouped) => grouped.content(self),
            Body::Rows(rows) => rows.content(self),
        }
    }

    /// Applies the deltas of the `changed` tables. With [`Size::One`], that is one row, of which the
    /// statements over the delta have the columns as `$1`, `$2`, ….
    pub fn flush(&self, state: &QName, changed: &TableSet, signs: Signs, size: Size) -> Flush {
        let flush = match &self.body {
            Body::Grouped(grouped) => grouped.flush(self, state, changed, signs, size),
            Body::Rows(rows) => rows.flush(self, state, changed, size.mixes(signs)),
        };
        let Some(row) = self.row(changed.iter(), size) else { return flush };
        let over = |sql: Sql| sql.over(&row.relation(1));
        let Apply { write, watched, twins } = flush.apply;
        let apply = Apply { write: over(write), watched: over(watched), twins };
        Flush { digest: flush.digest.map(over), apply, ..flush }
    }

    fn row<'a>(&self, mut tables: impl Iterator<Item = &'a usize>, size: Size) -> Option<Row<'_>> {
        let Size::One(fate) = size else { return None };
        let &table = tables.next()?;
        Some(Row { table, columns: &self.tables[table].columns, fate })
    }

    /// Makes the state what it would be if it were new.
    pub fn rebuild(&self, state: &QName) -> Rebuild {
        rebuild::statements(self, state)
    }

    /// Whether the state is empty as soon as one of the tables is.
    pub(crate) fn needs_every_table(&self) -> bool {
        match &self.body {
            Body::Grouped(_) => self.key != Key::Single,
            Body::Rows(rows) => matches!(rows.query, rows::Query::Source { .. }),
        }
    }

    /// What must be locked before a change of these tables is applied, and when others change idly.
    /// With [`Size::One`] the changed row's columns are `$2`, `$3`, ….
    pub fn locking(&self, changed: &TableSet, idle: &Idle, size: Size) -> Locking {
        let row = self.row(changed.iter().chain(idle.keys()), size);
        self.source().map_or(Locking::View, |source| source.locking(changed, idle, row))
    }

    fn source(&self) -> Option<&Source> {
        match &self.body {
            Body::Grouped(grouped) => Some(&grouped.source),
            Body::Rows(rows) => rows.source(),
        }
    }

    /// Those of the `changed` tables whose change makes no difference, as foreign keys prove. To those
    /// in `one_way` rows were only added, or from them only taken away.
    pub fn idle(&self, changed: &TableSet, one_way: &TableSet) -> Idle {
        self.source().map_or_else(Idle::new, |source| references::idle(&source.references, changed, one_way))
    }

    /// Queries that return a row where such a foreign key doesn't hold.
    pub fn orphans(&self) -> Vec<Sql> {
        let source = self.source().into_iter();
        source.flat_map(|source| source.references.iter().map(|reference| reference.orphan(&source.core))).collect()
    }

    /// The same of the rows of a relation that came to this base table.
    pub fn orphans_among(&self, base: u32, relation: &QName) -> Vec<Sql> {
        let source = self.source().into_iter();
        let among = |source: &'_ Source| -> Vec<Sql> {
            let orphan = |reference: &Reference| reference.orphan_among(&source.core, base, relation);
            source.references.iter().filter_map(orphan).collect()
        };
        source.flat_map(among).collect()
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

    /// The position of the column that counts a state row's rows.
    pub(crate) fn count_column(&self) -> String {
        let position = match &self.body {
            Body::Grouped(grouped) => grouped.count_column(),
            Body::Rows(_) => self.columns.len() - 1,
        };
        ident(&self.columns[position].name)
    }

    pub(crate) fn key_columns(&self) -> Vec<String> {
        let keys = match &self.body {
            Body::Grouped(grouped) => grouped.key_columns(),
            Body::Rows(_) => (0..self.columns.len() - 1).collect(),
        };
        keys.into_iter().map(|position| ident(&self.columns[position].name)).collect()
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

    /// What ON CONFLICT infers the key's index from, parentheses included.
    pub(crate) fn conflict_target(&self) -> Option<String> {
        match self.key {
            Key::Single => None,
            Key::Columns { .. } => Some(format!("({})", self.key_columns().join(", "))),
            Key::Image => Some(format!("({})", self.key_image(""))),
        }
    }

    /// What the index of an image key is over, of the row `prefix`.
    pub(crate) fn key_image(&self, prefix: &str) -> String {
        let columns = self.key_columns().into_iter().enumerate().map(|(key, column)| match &self.body {
            // One image for all scales of a number.
            Body::Grouped(grouped) if grouped.keys[key].scaled => format!("pg_catalog.trim_scale({prefix}{column})"),
            _ => format!("{prefix}{column}"),
        });
        format!("(imat_catalog.row_image(ROW({})))", columns.collect::<Vec<_>>().join(", "))
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
