//! Keeps expressions that can fail behind the conditions that guard them, in a product of tables.
//!
//! PostgreSQL evaluates a table's own conditions before the join conditions, and join keys before other join
//! conditions. In a delta, a join condition can become a condition of a scan, because the other table is a single row
//! of parameters or is joined by an index. Then it is evaluated together with the table's own conditions, ordered by
//! cost. So if a side of a comparison can fail, it is put behind the conditions of its own table. It stays a side of
//! the comparison, so that an index or a hash on it can still be used. An expression over several tables is put behind
//! the keys that join them, also where other tables join them, and then behind the conditions of these tables too. Keys
//! can be expressions that can fail.

use std::collections::BTreeSet;

use crate::facts::{Column, Table};
use crate::plan::links::locate;
use crate::plan::total;
use crate::rel::term::Term;
use crate::scalar::{Scalar, without_parentheses};

/// A product, and the facts about its columns.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub term: &'a Term,
    pub tables: &'a [Table],
}

impl Order<'_> {
    /// The leaves that an expression over the product row reads.
    pub fn leaves(&self, scalar: &Scalar) -> BTreeSet<usize> {
        scalar.columns().map(|position| locate(&self.term.leaves, position).0).collect()
    }

    /// Whether an expression can fail for some row. An indexed expression can't, since it has been computed for all
    /// rows.
    pub fn is_frail(&self, scalar: &Scalar) -> bool {
        !total::is_total(scalar, |position| self.column(position).1.hash) && !self.is_indexed(scalar)
    }

    fn is_indexed(&self, scalar: &Scalar) -> bool {
        let Some(table) = scalar.columns().next().map(|position| self.column(position).0) else { return false };
        let bare = |text: String| without_parentheses(&text.replace('"', "")).to_owned();
        let is_it =
            |text: &String| bare(text.clone()) == bare(scalar.render(|position| self.column(position).1.name.clone()));
        self.leaves(scalar).len() == 1 && table.indexed.iter().any(is_it)
    }

    fn column(&self, position: usize) -> (&Table, &Column) {
        let (leaf, column) = locate(&self.term.leaves, position);
        let table = &self.tables[self.term.leaves[leaf].table];
        (table, &table.columns[column])
    }

    /// The conditions of the product, in their order, with guards.
    pub fn conditions(&self, all: &[Scalar]) -> Vec<Scalar> {
        all.iter().map(|condition| self.behind_guards(condition, &[])).collect()
    }

    /// A condition with guards, which are not among those of `within`: it is a guard in these itself.
    fn behind_guards(&self, condition: &Scalar, within: &[&Scalar]) -> Scalar {
        if self.leaves(condition).len() < 2 || !self.is_frail(condition) {
            return condition.clone();
        }
        let within = [within, &[condition]].concat();
        let Some((left, operator, right)) = condition.comparison() else { return self.guarded(condition, &within) };
        let mut out = self.guarded(&left, &within);
        out.push_text(operator);
        out.push(&self.guarded(&right, &within));
        out.in_parentheses()
    }

    /// A part of a condition. If it can fail, it is NULL unless the other conditions of its leaves, and the keys that join
    /// these, are true. Keys that can fail come last, and have guards themselves.
    fn guarded(&self, expr: &Scalar, within: &[&Scalar]) -> Scalar {
        if !self.is_frail(expr) {
            return expr.clone();
        }
        let leaves = self.way(&self.leaves(expr));
        let guards = self.term.filter.iter().filter(|guard| {
            let read = self.leaves(guard);
            let comes_first = read.len() == 1 || read.len() > 1 && self.is_key(guard);
            // A fence may have added the guard already.
            let is_there = || expr.is_guarded_by(guard);
            !within.contains(guard) && comes_first && read.is_subset(&leaves) && !is_there()
        });
        let (frail_keys, guards): (Vec<&Scalar>, Vec<&Scalar>) =
            guards.partition(|guard| self.leaves(guard).len() > 1 && self.is_frail(guard));
        let frail_keys = frail_keys.into_iter().map(|key| self.behind_guards(key, within));
        let guards: Vec<Scalar> = guards.into_iter().cloned().chain(frail_keys).collect();
        let guarded = expr.guarded(guards.iter());
        if guarded == *expr { guarded } else { guarded.in_parentheses() }
    }

    /// These leaves, and all others without which fewer of them would be joined.
    fn way(&self, ends: &BTreeSet<usize>) -> BTreeSet<usize> {
        let keys = self.term.filter.iter().filter(|condition| self.is_key(condition));
        let keys: Vec<BTreeSet<usize>> = keys.map(|key| self.leaves(key)).collect();
        let mut way: BTreeSet<usize> = (0..self.term.leaves.len()).collect();
        let least = apart(&keys, ends, &way);
        for leaf in (0..self.term.leaves.len()).filter(|leaf| !ends.contains(leaf)) {
            way.remove(&leaf);
            if apart(&keys, ends, &way) > least {
                way.insert(leaf);
            }
        }
        way
    }

    /// Whether a condition is an equality that PostgreSQL evaluates before other join conditions, because it can join
    /// leaves by it: each side reads leaves that the other does not. Any equality that can't fail may come first.
    fn is_key(&self, condition: &Scalar) -> bool {
        condition.comparison().is_some_and(|(left, operator, right)| {
            let (left, right) = (self.leaves(&left), self.leaves(&right));
            let joins = !left.is_empty() && !right.is_empty() && left.is_disjoint(&right);
            operator == " = " && (joins || !self.is_frail(condition))
        })
    }
}

/// The number of groups into which keys, given by the leaves that they read, join these leaves, if only the leaves of
/// `way` exist.
fn apart(keys: &[BTreeSet<usize>], ends: &BTreeSet<usize>, way: &BTreeSet<usize>) -> usize {
    let mut groups: Vec<BTreeSet<usize>> = way.iter().map(|&leaf| BTreeSet::from([leaf])).collect();
    for key in keys.iter().filter(|key| key.is_subset(way)) {
        let (met, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.is_disjoint(key));
        groups = others;
        groups.push(met.into_iter().flatten().collect());
    }
    groups.iter().filter(|group| !group.is_disjoint(ends)).count()
}
