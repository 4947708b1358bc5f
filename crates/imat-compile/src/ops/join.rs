use super::{Operator, listed, within};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// Pairs of rows for which `on`, over the left row followed by the right row, is true.
/// Multiplicities multiply.
///
/// # Delta
/// A join is linear in each side, so with `L₁ = L₀ + ΔL` and `R₁ = R₀ + ΔR`
/// `Δ(L ⋈ R) = ΔL ⋈ R₁ + L₀ ⋈ ΔR`: one side after the change, the other before it.
/// Reading both after counts `ΔL ⋈ ΔR` twice, reading both before misses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub left: Box<Rel>,
    pub right: Box<Rel>,
    pub on: Scalar,
}

impl Join {
    fn over(&self, left: Rel, right: Rel) -> Rel {
        left.join(right, self.on.clone())
    }
}

impl Operator for Join {
    fn width(&self) -> usize {
        self.left.width() + self.right.width()
    }

    fn inputs(&self) -> Vec<&Rel> {
        vec![&self.left, &self.right]
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        self.over(f(&self.left), f(&self.right))
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        let left = self.over(self.left.delta(changed), (*self.right).clone());
        let right = self.over(self.left.before(changed), self.right.delta(changed));
        left.union(right)
    }

    fn is_sound(&self) -> bool {
        within([&self.on], self.width())
    }

    fn label(&self) -> String {
        format!("Join on {}", listed([&self.on]))
    }
}
