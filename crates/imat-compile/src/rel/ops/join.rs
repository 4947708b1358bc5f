use super::{Operator, fits_width, listed};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// Pairs of rows for which `on`, over the left row followed by the right row, is true. Multiplicities are multiplied.
///
/// # Delta
/// A join is linear in each side, so with `L₁ = L₀ + ΔL` and `R₁ = R₀ + ΔR` it is `Δ(L ⋈ R) = ΔL ⋈ R₁ + L₁ ⋈ ΔR − ΔL ⋈
/// ΔR`: each side's change joined with the new image of the other side. That counts pairs of two changed rows twice, so
/// these are subtracted once. Each leaf then reads a change or a current table, where an index finds the matching rows.
///
/// With `n` changed leaves there are `2ⁿ − 1` products. If these would be too many, `ΔL ⋈ R₁ + L₀ ⋈ ΔR` is used, with
/// the new image of one side and the old image of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub left: Box<Rel>,
    pub right: Box<Rel>,
    pub on: Scalar,
}

/// With more changed leaves than this, the second form is used.
const MOST_MULTIPLIED: usize = 4;

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
        let (left, right) = (self.left.delta(changed), self.right.delta(changed));
        let of_left = self.over(left.clone(), (*self.right).clone());
        let changing = |side: &Rel| side.scans().filter(|scan| changed.contains(&scan.table)).count();
        if changing(&self.left) + changing(&self.right) > MOST_MULTIPLIED {
            return of_left.union(self.over(self.left.before(changed), right));
        }
        let of_right = self.over((*self.left).clone(), right.clone());
        of_left.union(of_right).minus(self.over(left, right))
    }

    fn is_sound(&self) -> bool {
        fits_width([&self.on], self.width())
    }

    fn label(&self) -> String {
        format!("Join on {}", listed([&self.on]))
    }
}
