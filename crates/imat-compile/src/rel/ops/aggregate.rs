use super::affected::affected;
use super::{Operator, fits_width, listed};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// One row per group: its keys, then its aggregate calls. NULL keys form a group. A group exists while it has rows;
/// without keys there is always one.
///
/// # Delta
/// Not linear: a changed group loses its row and gets another. So it is computed after and before the change, `γ(R₁) −
/// γ(R₀)`, over the groups that `ΔR` touches. A plan that keeps state per group does arithmetic on `ΔR` instead, if its
/// aggregates allow that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    pub input: Box<Rel>,
    pub keys: Vec<Scalar>,
    /// Whole aggregate calls over the input row, as text: `pg_catalog.sum(#0)`.
    pub calls: Vec<Scalar>,
}

impl Aggregate {
    fn over(&self, input: Rel) -> Rel {
        input.aggregate(self.keys.clone(), self.calls.clone())
    }
}

impl Operator for Aggregate {
    fn width(&self) -> usize {
        self.keys.len() + self.calls.len()
    }

    fn inputs(&self) -> Vec<&Rel> {
        vec![&self.input]
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        self.over(f(&self.input))
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        let (before, after) = affected(&self.input, &self.keys, changed);
        self.over(after).minus(self.over(before))
    }

    fn is_sound(&self) -> bool {
        fits_width(self.keys.iter().chain(&self.calls), self.input.width())
    }

    fn label(&self) -> String {
        format!("Aggregate by ({}): {}", listed(&self.keys), listed(&self.calls))
    }
}
