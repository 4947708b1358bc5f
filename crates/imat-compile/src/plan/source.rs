//! What a plan reads: the joins and filters of its view.

use std::collections::BTreeMap;

use crate::error::Unsupported;
use crate::facts::{Column, Table};
use crate::lower::Core;
use crate::plan::links::{Links, locate};
use crate::plan::locks::Tree;
use crate::plan::order::Order;
use crate::plan::references::{self, Idle, Reference};
use crate::plan::{Fate, Locking, TableUse};
use crate::rel::term::Term;
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::render::{self, pairs};

/// The joins and filters of a view, ready to be read as they are or as a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(super) core: Core,
    /// The scope columns that are read, ascending; `x<position>` in the rendered subquery.
    used: Vec<usize>,
    /// What is computed of the scope row.
    computed: Vec<Scalar>,
    pub(super) references: Vec<Reference>,
}

/// PostgreSQL's limit for the columns of a SELECT is 1664; besides the scope row there are weights and the like.
const MOST_COLUMNS: usize = 1600;

/// The only changed row: its table, and the columns that are parameters.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(super) table: usize,
    pub(super) columns: &'a [i16],
    pub(super) fate: Fate,
}

impl Row<'_> {
    /// The delta that it is, with the parameters from the `first` on: see [`Sql::over`].
    pub(super) fn relation(&self, first: usize) -> String {
        render::row(self.table, self.columns, self.fate, first)
    }
}

/// A change of which one changed row is at most one row.
pub(crate) struct One {
    /// FROM and WHERE.
    pub rest: String,
    columns: BTreeMap<usize, String>,
}

impl One {
    /// The text of a scope column.
    pub fn column(&self, column: usize) -> String {
        self.columns.get(&column).cloned().unwrap_or_default()
    }
}

impl Source {
    pub(super) fn new(core: Core, scalars: &[&Scalar]) -> Result<Self, Unsupported> {
        let mut used: Vec<usize> = scalars.iter().flat_map(|scalar| scalar.columns()).collect();
        used.sort_unstable();
        used.dedup();
        if used.len() >= MOST_COLUMNS {
            return Err(Unsupported::new("more columns of its tables than a SELECT can have"));
        }
        render::blocks(&core.rel, &[], &core.tables)?;
        let references = references::all(&core);
        let computed = scalars.iter().copied().cloned().collect();
        Ok(Self { core, used, computed, references })
    }

    fn outputs(&self) -> (Vec<Scalar>, Vec<String>) {
        self.used.iter().map(|&column| (Scalar::column(column), format!("x{column}"))).unzip()
    }

    /// The rows as they are now, each with `w = 1`.
    pub(crate) fn now(&self) -> String {
        self.render(&self.core.rel)
    }

    /// The same with these more columns, `k0`, `k1` and so on, which no condition makes be computed of other rows.
    pub(crate) fn now_with(&self, more: &[&Scalar]) -> String {
        let (mut outputs, mut names) = self.outputs();
        let own = outputs.len();
        outputs.extend(more.iter().copied().cloned());
        names.extend((0..more.len()).map(|number| format!("k{number}")));
        let mut blocks = render::blocks(&self.core.rel, &outputs, &self.core.tables).expect("a core is linear");
        for block in &mut blocks {
            let guarded: Vec<String> = block.outputs[own..].iter().map(|output| block.guarded(output)).collect();
            block.outputs.splice(own.., guarded);
        }
        render::union_all(&blocks, &names).expect("a view reads tables")
    }

    /// Whether an expression over the scope row has a value in any row of the tables.
    pub(crate) fn is_total(&self, expr: &Scalar) -> bool {
        let terms = Term::all(&self.core.rel).unwrap_or_default();
        terms.iter().all(|term| !Order { term, tables: &self.core.tables }.is_frail(&term.resolve(expr)))
    }

    /// The column of a table that a column of the scope row is, and the position of the table.
    pub(super) fn column(&self, scope: usize) -> Option<(usize, &Column)> {
        let [term] = Term::all(&self.core.rel).ok()?.try_into().ok()?;
        let (leaf, column) = locate(&term.leaves, term.resolve(&Scalar::column(scope)).as_column()?);
        let table = term.leaves[leaf].table;
        Some((table, &self.core.tables[table].columns[column]))
    }

    /// The change, given which tables have a delta. It is `mixed` where rows may both have come and gone.
    pub(crate) fn delta(&self, changed: &TableSet, mixed: bool) -> String {
        let Core { rel, tables, .. } = &self.core;
        let delta = rel.delta(changed);
        if !mixed || !pairs::are_frail(rel, &self.computed, tables, changed) {
            return self.render(&delta);
        }
        let (outputs, names) = self.outputs();
        let select = pairs::select(&delta, &outputs, &names, tables, changed).expect("a core is linear");
        select.expect("a change of a table changes a view that reads it")
    }

    fn render(&self, rel: &Rel) -> String {
        let (outputs, names) = self.outputs();
        // A core is joins and filters, which are linear, and `new` saw it render.
        let blocks = render::blocks(rel, &outputs, &self.core.tables).expect("a core is linear");
        render::union_all(&blocks, &names).expect("a change of a table changes a view that reads it")
    }

    /// Whether these tables change so that each row of the change is made of one changed row: with several, or two
    /// readings of one, what is added by one part of the delta can be taken away by another.
    pub(crate) fn is_one_term(&self, changed: &TableSet) -> bool {
        self.core.rel.scans().filter(|scan| changed.contains(&scan.table)).count() == 1
    }

    /// Whether it is of one repeated table that the change consists. Its delta is summed up, so what is added there is
    /// there afterwards, however many statements changed it.
    pub(crate) fn is_summed(&self, changed: &TableSet) -> bool {
        let terms = Term::all(&self.core.rel).unwrap_or_default();
        terms.iter().all(|term| {
            let of = |position: usize| term.leaves[locate(&term.leaves, position).0].table;
            term.repeats.iter().any(|&count| changed.contains(&of(count)))
        })
    }

    /// The change of one row, where that is joined to no more than one of every other table.
    pub(crate) fn one(&self, changed: &TableSet) -> Option<One> {
        let [term] = Term::all(&self.core.rel).ok()?.try_into().ok()?;
        let mut leaves = (0..term.leaves.len()).filter(|&leaf| changed.contains(&term.leaves[leaf].table));
        let (Some(leaf), None) = (leaves.next(), leaves.next()) else { return None };
        if !term.repeats.is_empty() || !Links::new(&term, &self.core).is_many_to_one(leaf) {
            return None;
        }
        let (outputs, _) = self.outputs();
        let [block] =
            render::blocks(&self.core.rel.delta(changed), &outputs, &self.core.tables).ok()?.try_into().ok()?;
        let columns = self.used.iter().copied().zip(block.outputs.iter().map(|output| format!("({output})")));
        Some(One { rest: block.rest(), columns: columns.collect() })
    }

    pub(super) fn tables(&self) -> Result<Vec<TableUse>, Unsupported> {
        let scalars: Vec<Scalar> = self.used.iter().map(|&column| Scalar::column(column)).collect();
        let used = render::used_columns(&self.core, &scalars)?;
        let number = |table: &Table, column: usize| table.columns[column].number;
        Ok(self
            .core
            .tables
            .iter()
            .zip(used)
            .map(|(table, used)| TableUse {
                oid: table.oid,
                name: table.name.clone(),
                columns: used.into_iter().map(|column| number(table, column)).collect(),
            })
            .collect())
    }

    pub(super) fn locking(&self, changed: &TableSet, idle: &Idle, row: Option<Row<'_>>) -> Locking {
        match Tree::new(&self.core) {
            Some(tree) if tree.is_leaf() => Locking::Rows,
            Some(tree) => Locking::Keys(tree.steps(changed, idle, row, &self.core)),
            None => Locking::View,
        }
    }
}
