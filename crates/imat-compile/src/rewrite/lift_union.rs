//! Sums move towards the root through what is linear, and flatten:
//! `σ(A + B) = σA + σB`, likewise π and −, `(A + B) ⋈ R = A ⋈ R + B ⋈ R`, likewise right.

use super::Rule;
use crate::ops::{Join, Operator, Union};
use crate::rel::{Rel, TableSet};

pub struct LiftUnion;

impl Rule for LiftUnion {
    fn apply(&self, rel: &Rel, _: &TableSet) -> Option<Rel> {
        match rel {
            Rel::Filter(filter) => lift(filter, &filter.input),
            Rel::Project(project) => lift(project, &project.input),
            Rel::Negate(negate) => lift(negate, &negate.input),
            Rel::Join(join) => lift_join(join),
            Rel::Union(union) => flatten(union),
            _ => None,
        }
    }
}

/// The terms of a sum; a relation that is no sum is one term.
fn terms(rel: &Rel) -> &[Rel] {
    match rel {
        Rel::Union(union) => &union.inputs,
        _ => std::slice::from_ref(rel),
    }
}

fn is_union(rel: &Rel) -> bool {
    matches!(rel, Rel::Union(_))
}

fn lift(operator: &dyn Operator, input: &Rel) -> Option<Rel> {
    let Rel::Union(union) = input else {
        return None;
    };
    let inputs = union.inputs.iter().map(|term| operator.map_inputs(&|_| term.clone())).collect();
    Some(Rel::Union(Union { inputs }))
}

fn lift_join(join: &Join) -> Option<Rel> {
    if !is_union(&join.left) && !is_union(&join.right) {
        return None;
    }
    let over = |left: &Rel, right: &Rel| left.clone().join(right.clone(), join.on.clone());
    let inputs =
        terms(&join.left).iter().flat_map(|left| terms(&join.right).iter().map(|right| over(left, right))).collect();
    Some(Rel::Union(Union { inputs }))
}

fn flatten(union: &Union) -> Option<Rel> {
    if !union.inputs.iter().any(is_union) {
        return None;
    }
    let inputs = union.inputs.iter().flat_map(terms).cloned().collect();
    Some(Rel::Union(Union { inputs }))
}
