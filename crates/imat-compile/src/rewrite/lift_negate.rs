//! Signs move towards the root through what is linear:
//! `σ(−R) = −σR`, `π(−R) = −πR`, `(−L) ⋈ R = −(L ⋈ R) = L ⋈ (−R)`.

use super::Rule;
use crate::ops::{Join, Operator};
use crate::rel::{Rel, TableSet};

pub struct LiftNegate;

impl Rule for LiftNegate {
    fn apply(&self, rel: &Rel, _: &TableSet) -> Option<Rel> {
        match rel {
            Rel::Filter(filter) => lift(filter, &filter.input),
            Rel::Project(project) => lift(project, &project.input),
            Rel::Join(join) => lift_join(join),
            _ => None,
        }
    }
}

fn lift(operator: &dyn Operator, input: &Rel) -> Option<Rel> {
    let Rel::Negate(negate) = input else {
        return None;
    };
    Some(operator.map_inputs(&|_| (*negate.input).clone()).negate())
}

fn lift_join(join: &Join) -> Option<Rel> {
    let over = |left: &Rel, right: &Rel| left.clone().join(right.clone(), join.on.clone());
    match (join.left.as_ref(), join.right.as_ref()) {
        (Rel::Negate(left), Rel::Negate(right)) => Some(over(&left.input, &right.input)),
        (Rel::Negate(left), right) => Some(over(&left.input, right).negate()),
        (left, Rel::Negate(right)) => Some(over(left, &right.input).negate()),
        _ => None,
    }
}
