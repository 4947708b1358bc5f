//! What must not be computed before something else in a product of tables.
//!
//! PostgreSQL asks a table's own conditions before those that join it, and a join's keys before the rest. In a delta a join
//! condition can become a condition of a scan, since the other table is one row of constants, or is joined by an index. Then it
//! is asked along with the table's own ones, in the order of their costs. So a side of a comparison that can fail stays behind
//! the conditions of its own table. It stays a side: what it is compared with can be looked up in an index, and rows can be
//! hashed by it. What is computed of several tables stays behind the keys by which they meet, also where they meet by way of
//! others: then behind the conditions of these too.

use std::collections::BTreeSet;

use crate::facts::{Column, Table};
use crate::plan::links::locate;
use crate::plan::total;
use crate::rel::term::Term;
use crate::scalar::{Scalar, without_parentheses};

/// A product, and what is known of its columns.
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

    /// Whether an expression can fail for some row. What is indexed has been computed of all rows.
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

    /// Conditions of the product, in their order.
    pub fn conditions(&self, all: &[Scalar]) -> Vec<Scalar> {
        all.iter().map(|condition| self.behind_guards(condition)).collect()
    }

    fn behind_guards(&self, condition: &Scalar) -> Scalar {
        if self.leaves(condition).len() < 2 || !self.is_frail(condition) {
            return condition.clone();
        }
        let Some((left, operator, right)) = condition.comparison() else { return self.guarded(condition, condition) };
        let mut out = self.guarded(&left, condition);
        out.push_text(operator);
        out.push(&self.guarded(&right, condition));
        out.in_parentheses()
    }

    /// A part of a condition, NULL where it can fail and the other conditions of its leaves keep the row away.
    fn guarded(&self, expr: &Scalar, own: &Scalar) -> Scalar {
        if !self.is_frail(expr) {
            return expr.clone();
        }
        let leaves = self.way(&self.leaves(expr));
        let guards = self.term.filter.iter().filter(|guard| {
            let read = self.leaves(guard);
            let comes_first = read.len() == 1 || read.len() > 1 && self.is_key(guard);
            // A fence may have put it there.
            let is_there = || expr.is_guarded_by(guard);
            *guard != own && comes_first && read.is_subset(&leaves) && !is_there()
        });
        let guarded = expr.guarded(guards);
        if guarded == *expr { guarded } else { guarded.in_parentheses() }
    }

    /// These leaves, and others without any of which fewer of them would meet.
    fn way(&self, ends: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut way: BTreeSet<usize> = (0..self.term.leaves.len()).collect();
        let apart = self.apart(ends, &way);
        for leaf in 0..self.term.leaves.len() {
            if !ends.contains(&leaf) {
                way.remove(&leaf);
                if self.apart(ends, &way) > apart {
                    way.insert(leaf);
                }
            }
        }
        way
    }

    /// In how many groups that no key joins these leaves are, if there are no other leaves than those of the way.
    fn apart(&self, ends: &BTreeSet<usize>, way: &BTreeSet<usize>) -> usize {
        let mut groups: Vec<BTreeSet<usize>> = way.iter().map(|&leaf| BTreeSet::from([leaf])).collect();
        let keys = self.term.filter.iter().filter(|condition| self.is_key(condition));
        for key in keys.map(|key| self.leaves(key)).filter(|key| key.is_subset(way)) {
            let (met, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.is_disjoint(&key));
            groups = others;
            groups.push(met.into_iter().flatten().collect());
        }
        groups.iter().filter(|group| !group.is_disjoint(ends)).count()
    }

    /// Whether a condition is that two columns are equal.
    fn is_key(&self, condition: &Scalar) -> bool {
        !self.is_frail(condition) && condition.comparison().is_some_and(|(_, operator, _)| operator == " = ")
    }
}
