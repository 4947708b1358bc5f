//! A source as the text of a subquery: as it is now, or its change.

use std::collections::BTreeMap;

use crate::lower::Core;
use crate::plan::links::Links;
use crate::plan::source::{Row, Source};
use crate::plan::{Signs, Size};
use crate::rel::term::Term;
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::builder::{Cte, Select};
use crate::sql::render::{self, pairs};

/// A change of some tables, to be applied by one flush.
pub(crate) struct Change<'a> {
    pub tables: &'a TableSet,
    pub signs: Signs,
    pub size: Size,
    /// The deltas that are WITH queries; the others are relations.
    pub deltas: Vec<Cte>,
}

impl Row<'_> {
    /// The delta that consists of this row. Its columns are the parameters from number `first` on.
    pub(crate) fn relation(&self, first: usize) -> Cte {
        render::row(self.table, self.columns, self.fate, first)
    }
}

/// The change of a view by one changed row, where that is at most one row.
pub(crate) struct One {
    /// Its SELECT, without columns.
    pub rest: Select,
    columns: BTreeMap<usize, String>,
}

impl One {
    /// The text of a scope column.
    pub fn column(&self, column: usize) -> String {
        self.columns.get(&column).cloned().unwrap_or_default()
    }
}

impl Source {
    fn outputs(&self) -> (Vec<Scalar>, Vec<String>) {
        self.used.iter().map(|&column| (Scalar::column(column), format!("x{column}"))).unzip()
    }

    /// The rows as they are now, each with `w = 1`.
    pub(crate) fn now(&self) -> String {
        self.render(&self.core.rel)
    }

    /// The same with more columns, `k0`, `k1` and so on. They are computed only for these rows, even in a condition.
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

    /// The change of the rows.
    pub(crate) fn delta(&self, change: &Change<'_>) -> String {
        let Core { rel, tables, .. } = &self.core;
        let (changed, delta) = (change.tables, rel.delta(change.tables));
        if !change.size.mixes(change.signs) || !pairs::are_frail(rel, &self.computed, tables, changed) {
            return self.render(&delta);
        }
        let (outputs, names) = self.outputs();
        let select = pairs::select(&delta, &outputs, &names, tables, changed).expect("a core is linear");
        select.expect("a change of a table changes a view that reads it")
    }

    fn render(&self, rel: &Rel) -> String {
        let (outputs, names) = self.outputs();
        // A core is joins and filters, which are linear. `Source::new` has checked it.
        let blocks = render::blocks(rel, &outputs, &self.core.tables).expect("a core is linear");
        render::union_all(&blocks, &names).expect("a change of a table changes a view that reads it")
    }

    /// The change by one row of a table, if that is joined to at most one row of every other table.
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
}
