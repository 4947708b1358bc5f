use super::Operator;
use crate::rel::{Rel, TableSet};

/// The sum of its inputs, at least one: UNION ALL.
///
/// # Delta
/// Linear: `Δ(L + R) = ΔL + ΔR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Union {
    pub inputs: Vec<Rel>,
}

impl Operator for Union {
    fn width(&self) -> usize {
        self.inputs[0].width()
    }

    fn inputs(&self) -> Vec<&Rel> {
        self.inputs.iter().collect()
    }

    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel {
        Rel::Union(Union { inputs: self.inputs.iter().map(f).collect() })
    }

    fn delta(&self, changed: &TableSet) -> Rel {
        self.map_inputs(&|input| input.delta(changed))
    }

    fn is_sound(&self) -> bool {
        let width = self.inputs.first().map(Rel::width);
        width.is_some() && self.inputs.iter().all(|input| Some(input.width()) == width)
    }

    fn label(&self) -> String {
        "Union".to_owned()
    }
}
