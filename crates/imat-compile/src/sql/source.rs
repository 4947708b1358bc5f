//! A source as the text of a subquery: as it is now, or its change.

use std::collections::BTreeMap;

use crate::lower::Core;
use crate::plan::links::Links;
use crate::plan::source::{Row, Source};
use crate::rel::term::Term;
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::render::{self, pairs};

impl Row<'_> {
    /// The delta that it is, with the parameters from the `first` on: see [`Sql::over`].
    pub(crate) fn relation(&self, first: usize) -> String {
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
}
