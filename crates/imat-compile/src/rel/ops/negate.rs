use super::Operator;
use crate::rel::{Rel, TableSet};

/// Every multiplicity negated. With [`Union`](super::Union) it is subtraction.
///
/// # Delta
/// Linear: `Δ(−R) = −ΔR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negate {
    pub input: Box<Rel>,
}

impl Operator for Negate {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Rel> {
        vec![&self.input]
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        f(&self.input).negate()
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        self.input.delta(changed).negate()
    }

    fn is_sound(&self) -> bool {
        true
    }

    fn label(&self) -> String {
        "Negate".to_owned()
    }
}
