use super::{Operator, fits_width, listed};
use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// Constant rows. Without rows it is the empty relation; one row without columns is what a query without FROM reads.
///
/// # Delta
/// Empty: constants do not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    pub width: usize,
    pub rows: Vec<Vec<Scalar>>,
}

impl Operator for Values {
    fn width(&self) -> usize {
        self.width
    }

    fn inputs(&self) -> Vec<&Rel> {
        Vec::new()
    }

    fn map_inputs(&self, _: &dyn Fn(&Rel) -> Rel) -> Rel {
        Rel::Values(self.clone())
    }

    fn delta(&self, _: &TableSet) -> Rel {
        Rel::empty(self.width)
    }

    fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.len() == self.width && fits_width(row, 0))
    }

    fn label(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(|row| format!("({})", listed(row))).collect();
        match rows.as_slice() {
            [] => "Empty".to_owned(),
            rows => format!("Values {}", rows.join(", ")),
        }
    }
}
