//! `σp(σq R) = σ(q, p) R`.

use super::Rule;
use crate::ops::Filter;
use crate::rel::{Rel, TableSet};

pub struct MergeFilters;

impl Rule for MergeFilters {
    fn apply(&self, rel: &Rel, _: &TableSet) -> Option<Rel> {
        let Rel::Filter(outer) = rel else { return None };
        let Rel::Filter(inner) = outer.input.as_ref() else {
            return None;
        };
        Some(Rel::Filter(Filter {
            input: inner.input.clone(),
            conjuncts: [inner.conjuncts.as_slice(), &outer.conjuncts].concat(),
        }))
    }
}
