//! `−(−R) = R`.

use super::Rule;
use crate::rel::{Rel, TableSet};

pub struct CollapseNegate;

impl Rule for CollapseNegate {
    fn apply(&self, rel: &Rel, _: &TableSet) -> Option<Rel> {
        match rel {
            Rel::Negate(outer) => match outer.input.as_ref() {
                Rel::Negate(inner) => Some((*inner.input).clone()),
                _ => None,
            },
            _ => None,
        }
    }
}
