use super::Operator;
use crate::rel::{Image, Rel, TableSet};

/// One image of a base table.
///
/// # Delta
/// `Δ(New) = Delta`, by definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// An index into the tables of the view.
    pub table: usize,
    pub image: Image,
    pub width: usize,
}

impl Operator for Scan {
    fn width(&self) -> usize {
        self.width
    }

    fn inputs(&self) -> Vec<&Rel> {
        Vec::new()
    }

    fn map_inputs(&self, _: &dyn Fn(&Rel) -> Rel) -> Rel {
        Rel::Scan(self.clone())
    }

    fn delta(&self, _: &TableSet) -> Rel {
        debug_assert_eq!(self.image, Image::New, "only a view has a delta");
        Rel::scan(self.table, Image::Delta, self.width)
    }

    fn is_sound(&self) -> bool {
        true
    }

    fn label(&self) -> String {
        format!("Scan {:?} of table {}", self.image, self.table)
    }
}
