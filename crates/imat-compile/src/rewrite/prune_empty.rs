//! Empty relations: `σ∅ = π∅ = −∅ = δ∅ = ∅`, `∅ ⋈ R = ∅`, `∅ + R = R`.
//!
//! An aggregate with keys has no group; one without keys still has its row.

use super::Rule;
use crate::ops::Union;
use crate::rel::{Rel, TableSet};

pub struct PruneEmpty;

impl Rule for PruneEmpty {
    fn apply(&self, rel: &Rel, _: &TableSet) -> Option<Rel> {
        let empty = match rel {
            Rel::Scan(_) | Rel::Values(_) => false,
            Rel::Filter(filter) => filter.input.is_empty(),
            Rel::Project(project) => project.input.is_empty(),
            Rel::Negate(negate) => negate.input.is_empty(),
            Rel::Distinct(distinct) => distinct.input.is_empty(),
            Rel::Aggregate(group) => !group.keys.is_empty() && group.input.is_empty(),
            Rel::Join(join) => join.left.is_empty() || join.right.is_empty(),
            Rel::Union(union) => return prune(union),
        };
        empty.then(|| Rel::empty(rel.width()))
    }
}

/// Drops empty inputs; a union of one relation is that relation.
fn prune(union: &Union) -> Option<Rel> {
    let full: Vec<_> = union.inputs.iter().filter(|rel| !rel.is_empty()).collect();
    match full.as_slice() {
        [] => Some(Rel::empty(union.inputs[0].width())),
        [only] => Some((*only).clone()),
        _ if full.len() == union.inputs.len() => None,
        _ => Some(Rel::Union(Union { inputs: full.into_iter().cloned().collect() })),
    }
}
