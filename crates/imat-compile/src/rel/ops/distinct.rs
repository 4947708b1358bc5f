use super::Operator;
use super::affected::affected;
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// Each row once if its multiplicity is positive, otherwise not at all. Over a difference it is EXCEPT, over a sum it
/// is UNION.
///
/// # Delta
/// Not linear: whether an added copy changes the result depends on how many there were. So it is computed after and
/// before the change, `δ(R₁) − δ(R₀)`, over the rows that occur in `ΔR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distinct {
    pub input: Box<Rel>,
}

impl Operator for Distinct {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Rel> {
        vec![&self.input]
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        f(&self.input).distinct()
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        let row: Vec<_> = (0..self.width()).map(Scalar::column).collect();
        let (before, after) = affected(&self.input, &row, changed);
        after.distinct().minus(before.distinct())
    }

    fn is_sound(&self) -> bool {
        true
    }

    fn label(&self) -> String {
        "Distinct".to_owned()
    }
}
