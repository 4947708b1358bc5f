//! The operators of the kernel, each in one file with its delta rule.

mod affected;
mod aggregate;
mod distinct;
mod filter;
mod join;
mod negate;
mod project;
mod repeat;
mod scan;
mod union;
mod values;

pub use aggregate::Aggregate;
pub use distinct::Distinct;
pub use filter::Filter;
pub use join::Join;
pub use negate::Negate;
pub use project::Project;
pub use repeat::Repeat;
pub use scan::Scan;
pub use union::Union;
pub use values::Values;

use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// The interface of an operator.
pub trait Operator {
    /// The number of its columns.
    fn width(&self) -> usize;

    /// The relations it reads, left to right.
    fn inputs(&self) -> Vec<&Rel>;

    /// The same operator over other inputs.
    fn map_inputs(&self, f: &dyn Fn(&Rel) -> Rel) -> Rel;

    /// Its own delta rule: its value after the change minus its value before. It is called only if a table below it
    /// changed, and gets its inputs' deltas by [`Rel::delta`].
    fn delta(&self, changed: &TableSet) -> Rel;

    /// Whether its expressions read only columns that its inputs have.
    fn is_sound(&self) -> bool;

    /// A line of text for humans.
    fn label(&self) -> String;
}

/// Whether `scalars` are over a row of `width` columns.
fn fits_width<'a>(scalars: impl IntoIterator<Item = &'a Scalar>, width: usize) -> bool {
    scalars.into_iter().flat_map(Scalar::columns).all(|position| position < width)
}

/// `scalars` as text, columns shown as `#0`, `#1`.
fn listed<'a>(scalars: impl IntoIterator<Item = &'a Scalar>) -> String {
    let texts: Vec<_> = scalars.into_iter().map(|scalar| scalar.render(|position| format!("#{position}"))).collect();
    texts.join(", ")
}
