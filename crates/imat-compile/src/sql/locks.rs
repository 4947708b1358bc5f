//! Statements that find the keys to lock, and what contradicts a foreign key.

use crate::facts::{ForeignKey, Table};
use crate::lower::Core;
use crate::name::{QName, ident};
use crate::plan::locks::{Part, PartKeys, Side, Tree};
use crate::plan::references::{Idle, Reference};
use crate::plan::source::{Row, Source};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::{Sql, render};

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

/// A part of the keys that a flush locks: found by one statement, under a snapshot that is taken
/// when the locks of the parts before it are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The edges whose keys it finds, in the order in which they are locked.
    pub sides: Vec<(u16, Side)>,
    pub keys: Keys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Returns `edge`, `side` (0 is the child's) and the hash of a `key`, integers all: one row for
    /// each changed one, or, where rows are followed from leaf to leaf, no more than `$1`.
    Query(Sql),
    /// `hash_record` of these of the only changed row's columns, by their position among those that its table's
    /// delta has, where none is NULL; 0 of no columns.
    Columns(Vec<(u16, Side, Vec<usize>)>),
    /// Which they are is not asked, since that can be no fewer than all.
    All,
}

impl Source {
    pub(super) fn locking(&self, changed: &TableSet, idle: &Idle, row: Option<Row<'_>>) -> Locking {
        match Tree::new(&self.core) {
            Some(tree) if tree.is_leaf() => Locking::Rows,
            Some(tree) => {
                let parts = tree.steps(changed, idle, row, &self.core).into_iter();
                Locking::Keys(parts.map(|part| step(part, row, &self.core)).collect())
            }
            None => Locking::View,
        }
    }
}

fn step(part: Part, row: Option<Row<'_>>, core: &Core) -> Step {
    let keys = match part.keys {
        PartKeys::All => Keys::All,
        PartKeys::Columns(columns) => Keys::Columns(columns),
        PartKeys::Rows { queries, followed } => {
            let query = keys(&queries, &core.tables, followed);
            Keys::Query(row.map_or(query.clone(), |row| query.over(&row.relation(2))))
        }
    };
    Step { sides: part.sides, keys }
}

/// See [`Step::keys`].
fn keys(queries: &[(Rel, [Scalar; 3])], tables: &[Table], follows: bool) -> Sql {
    let names = ["edge", "side", "key"].map(str::to_owned);
    let blocks = queries.iter().flat_map(|(rel, outputs)| {
        // A product of tables and a filter.
        render::blocks(rel, outputs, tables).expect("a path is linear")
    });
    let found = render::union_all(&blocks.collect::<Vec<_>>(), &names).expect("a change needs some key");
    // There are no more changed rows than can be looked at; of what they match there can be any number.
    Sql::new(match follows {
        true => format!("SELECT DISTINCT k.edge, k.side, k.key FROM ({found}) AS k LIMIT $1"),
        false => found,
    })
}

/// Returns a row where a value of the key is nowhere in the referenced table.
fn orphan(child: &Table, parent: &Table, key: &ForeignKey) -> Sql {
    let name = |table: &Table, number: i16| {
        let column = table.columns.iter().find(|column| column.number == number);
        column.map_or_else(String::new, |column| ident(&column.name))
    };
    let columns: Vec<String> = key.columns.iter().map(|&number| format!("c.{}", name(child, number))).collect();
    let known: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
    let referenced = key.referenced.iter().map(|&number| format!("p.{}", name(parent, number)));
    let equal: Vec<String> =
        referenced.zip(&columns).map(|(parent, child)| format!("{parent} OPERATOR(pg_catalog.=) {child}")).collect();
    Sql::new(format!(
        "SELECT 1 FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}) LIMIT 1",
        child.name,
        known.join(" AND "),
        parent.name,
        equal.join(" AND ")
    ))
}

impl Reference {
    /// Returns a row where a value of the key is nowhere in the referenced table.
    pub fn orphan(&self, core: &Core) -> Sql {
        orphan(&core.tables[self.child], &core.tables[self.parent], &self.key)
    }

    /// The same among the rows of a relation of the referencing table, if that is this one. Its columns have the
    /// same names.
    pub fn orphan_among(&self, core: &Core, base: u32, relation: &QName) -> Option<Sql> {
        let child = &core.tables[self.child];
        let among = || Table { name: relation.clone(), ..child.clone() };
        (child.oid == base).then(|| orphan(&among(), &core.tables[self.parent], &self.key))
    }
}
