use super::Operator;
use crate::rel::{Rel, TableSet};

/// Each row as often as one of its columns says: not at all if that is NULL, zero or less.
///
/// # Delta
/// Linear, since each row is repeated independently: `Δ(ρ R) = ρ ΔR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    pub input: Box<Rel>,
    /// The position of the column with the count.
    pub count: usize,
}

impl Operator for Repeat {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Rel> {
        vec![&self.input]
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        f(&self.input).repeat(self.count)
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        self.input.delta(changed).repeat(self.count)
    }

    fn is_sound(&self) -> bool {
        self.count < self.input.width()
    }

    fn label(&self) -> String {
        format!("Repeat #{} times", self.count)
    }
}
