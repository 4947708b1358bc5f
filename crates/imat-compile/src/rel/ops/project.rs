use super::{Operator, fits_width, listed};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// One expression per output column. The multiplicities of rows that become equal are added; duplicates are kept.
///
/// # Delta
/// Linear: `Δ(π R) = π ΔR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub input: Box<Rel>,
    pub outputs: Vec<Scalar>,
}

impl Project {
    fn over(&self, input: Rel) -> Rel {
        input.project(self.outputs.clone())
    }
}

impl Operator for Project {
    fn width(&self) -> usize {
        self.outputs.len()
    }

    fn inputs(&self) -> Vec<&Rel> {
        vec![&self.input]
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        self.over(f(&self.input))
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        self.over(self.input.delta(changed))
    }

    fn is_sound(&self) -> bool {
        fits_width(&self.outputs, self.input.width())
    }

    fn label(&self) -> String {
        format!("Project {}", listed(&self.outputs))
    }
}
