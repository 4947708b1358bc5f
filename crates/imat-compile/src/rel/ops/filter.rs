use super::{Operator, fits_width, listed};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// The rows for which every conjunct is true: neither false nor NULL.
///
/// # Delta
/// Linear: `Δ(σ R) = σ ΔR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub input: Box<Rel>,
    pub conjuncts: Vec<Scalar>,
    /// Conditions above must not be computed for rows that this filter, or one below it, removes.
    pub fence: bool,
}

impl Filter {
    fn over(&self, input: Rel) -> Rel {
        Rel::Filter(Filter { input: Box::new(input), conjuncts: self.conjuncts.clone(), fence: self.fence })
    }
}

impl Operator for Filter {
    fn width(&self) -> usize {
        self.input.width()
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
        fits_width(&self.conjuncts, self.input.width())
    }

    fn label(&self) -> String {
        let fence = if self.fence { "Fence" } else { "Filter" };
        format!("{fence} {}", listed(&self.conjuncts))
    }
}
