//! Statements that find the keys to lock, and what contradicts a foreign key.

use crate::facts::{ForeignKey, Table};
use crate::lower::Core;
use crate::name::{QName, ident};
use crate::plan::locks::{Part, PartKeys, Side, Tree};
use crate::plan::references::{Idle, Reference};
use crate::plan::source::{Row, Source};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::builder::{Select, with};
use crate::sql::{Sql, render};

/// What must be locked before a flush reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locking {
    /// Nothing: the lock on the group's row is enough.
    Rows,
    /// The join keys of the changed rows, step by step.
    Keys(Vec<Step>),
    /// The view, exclusively.
    View,
}

/// Some of the keys that a flush locks. One statement finds them. Its snapshot is taken when the locks of the steps before
/// it are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The edges whose keys it finds, in the order in which they are locked.
    pub sides: Vec<(u16, Side)>,
    pub keys: Keys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Returns the integers `edge`, `side` (0 is the child's) and `key`, a hash. It returns a row for each changed
    /// row, or at most `$1` rows where rows are followed from leaf to leaf.
    Query(Sql),
    /// The key is `hash_record` of these columns of the only changed row, given as positions in the delta of its table.
    /// It is 0 if there are no columns, and there is no key if one of them is NULL.
    Columns(Vec<(u16, Side, Vec<usize>)>),
    /// All keys of these edges. There is no query, since it would find all: the change meets all rows of some table.
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
            let row = row.map(|row| row.relation(2));
            Keys::Query(Sql::new(with(&row, keys(&queries, &core.tables, followed))))
        }
    };
    Step { sides: part.sides, keys }
}

/// See [`Step::keys`].
fn keys(queries: &[(Rel, [Scalar; 3])], tables: &[Table], follows: bool) -> String {
    let names = ["edge", "side", "key"].map(str::to_owned);
    let blocks = queries.iter().flat_map(|(rel, outputs)| {
        // A product of tables and a filter.
        render::blocks(rel, outputs, tables).expect("a path is linear")
    });
    let found = render::union_all(&blocks.collect::<Vec<_>>(), &names).expect("a change needs some key");
    // The number of changed rows is bounded, the number of rows that they match is not.
    match follows {
        true => format!("SELECT DISTINCT k.edge, k.side, k.key FROM ({found}) AS k LIMIT $1"),
        false => found,
    }
}

/// Returns a row if a key of `child` is missing in `parent`.
fn orphan(child: &Table, parent: &Table, key: &ForeignKey) -> Sql {
    let name = |table: &Table, number: i16| {
        let column = table.columns.iter().find(|column| column.number == number);
        column.map_or_else(String::new, |column| ident(&column.name))
    };
    let columns: Vec<String> = key.columns.iter().map(|&number| format!("c.{}", name(child, number))).collect();
    let referenced = key.referenced.iter().map(|&number| format!("p.{}", name(parent, number)));
    let equal = referenced.zip(&columns).map(|(parent, child)| format!("{parent} OPERATOR(pg_catalog.=) {child}"));
    let found = Select::default().from([format!("{} AS p", parent.name)]).filter(equal);
    let orphans = Select::new(["1"])
        .from([format!("{} AS c", child.name)])
        .filter(columns.iter().map(|column| format!("{column} IS NOT NULL")))
        .filter([format!("NOT EXISTS ({found})")])
        .limit(1);
    Sql::new(orphans)
}

impl Reference {
    /// Returns a row if a key of the referencing table is missing in the referenced one.
    pub fn orphan(&self, core: &Core) -> Sql {
        orphan(&core.tables[self.child], &core.tables[self.parent], &self.key)
    }

    /// The same for the rows of a relation, whose columns are named as those of the table `base`. `None` if that is not
    /// the referencing table.
    pub fn orphan_among(&self, core: &Core, base: u32, relation: &QName) -> Option<Sql> {
        let child = &core.tables[self.child];
        let among = || Table { name: relation.clone(), ..child.clone() };
        (child.oid == base).then(|| orphan(&among(), &core.tables[self.parent], &self.key))
    }
}
