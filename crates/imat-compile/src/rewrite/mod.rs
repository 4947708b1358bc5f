//! Simplification: the same relation, in the form that renders to the least SQL.
//!
//! A delta comes out of [`Rel::delta`] as its formula says, with empty sides and with signs
//! and sums inside joins. [`normalise`] brings what is linear to a sum of signed products.
//!
//! **Invariant:** a rule keeps the relation's value and width, and reads nothing but the
//! relation and the set of changed tables.

mod collapse_negate;
mod lift_negate;
mod lift_union;
mod merge_filters;
mod merge_projects;
mod prune_empty;
mod unchanged;

use crate::rel::{Rel, TableSet};

/// One local simplification.
pub trait Rule {
    /// `rel` simplified at its root, or `None` where the rule has nothing to do.
    fn apply(&self, rel: &Rel, changed: &TableSet) -> Option<Rel>;
}

/// Every rule makes something smaller, or moves a sign or a sum towards the root, so
/// applying them until nothing changes ends, in any order.
const RULES: &[&dyn Rule] = &[
    &unchanged::Unchanged,
    &prune_empty::PruneEmpty,
    &lift_union::LiftUnion,
    &lift_negate::LiftNegate,
    &collapse_negate::CollapseNegate,
    &merge_filters::MergeFilters,
    &merge_projects::MergeProjects,
];

/// Applies every rule until none has anything to do. Tables outside of `changed` have equal
/// images before and after, and an empty delta.
pub fn normalise(rel: &Rel, changed: &TableSet) -> Rel {
    let mut current = rel.clone();
    loop {
        let mut next = current.clone();
        for rule in RULES {
            next = everywhere(*rule, &next, changed);
            debug_assert!(next.is_sound(), "unsound after a rule:\n{next}");
            debug_assert_eq!(next.width(), rel.width(), "width changed:\n{next}");
        }
        if next == current {
            return next;
        }
        current = next;
    }
}

/// Applies one rule at every operator, inputs first.
fn everywhere(rule: &dyn Rule, rel: &Rel, changed: &TableSet) -> Rel {
    let rebuilt = rel.operator().map_inputs(&|input| everywhere(rule, input, changed));
    rule.apply(&rebuilt, changed).unwrap_or(rebuilt)
}

#[cfg(test)]
mod tests;
