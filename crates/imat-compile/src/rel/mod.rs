//! The relational IR: what a view *is*, with no trace of how PostgreSQL spelled it.
//!
//! Every [`Rel`] denotes a bag of rows with integer multiplicities (a Z-set): a row present
//! twice counts 2, a row removed by a change counts -1. Columns are positions.
//!
//! A *view* reads only [`Image::New`]; its [`delta`](Rel::delta) reads any image.
//!
//! **Invariant:** nothing here does I/O, reads a setting or knows a PostgreSQL type.
//! **Invariant:** an operator may not inspect which operator feeds it.

mod build;
pub mod ops;
pub mod term;

use std::collections::BTreeSet;
use std::fmt;

use crate::rel::ops::{Aggregate, Distinct, Filter, Join, Negate, Operator, Project, Repeat, Scan, Union, Values};

/// A relation: an operator over its input relations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rel {
    Scan(Scan),
    Values(Values),
    Filter(Filter),
    Project(Project),
    Repeat(Repeat),
    Join(Join),
    Union(Union),
    Negate(Negate),
    Distinct(Distinct),
    Aggregate(Aggregate),
}

/// The image of its table that a scan reads. `New = Old + Delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Image {
    /// Before the change.
    Old,
    /// After the change.
    New,
    /// The change: added rows count +1, removed rows -1.
    Delta,
}

/// Tables, by their index.
pub type TableSet = BTreeSet<usize>;

impl Rel {
    /// The operator at the root.
    pub fn operator(&self) -> &dyn Operator {
        match self {
            Rel::Scan(op) => op,
            Rel::Values(op) => op,
            Rel::Filter(op) => op,
            Rel::Project(op) => op,
            Rel::Repeat(op) => op,
            Rel::Join(op) => op,
            Rel::Union(op) => op,
            Rel::Negate(op) => op,
            Rel::Distinct(op) => op,
            Rel::Aggregate(op) => op,
        }
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.operator().width()
    }

    /// The exact difference that a change of the tables `changed` makes to this view: its value after the change minus
    /// its value before.
    ///
    /// If none of its tables changed, it is empty. Otherwise the operator's rule gives it.
    pub fn delta(&self, changed: &TableSet) -> Rel {
        if self.scans().any(|scan| changed.contains(&scan.table)) {
            self.operator().delta(changed)
        } else {
            Rel::empty(self.width())
        }
    }

    /// This view before the change. Tables that did not change are read in their new image.
    pub fn before(&self, changed: &TableSet) -> Rel {
        self.map_scans(&|scan| match changed.contains(&scan.table) {
            true => Scan { image: Image::Old, ..scan.clone() },
            false => scan.clone(),
        })
    }

    /// The same relation with other leaves.
    pub fn map_scans(&self, f: &dyn Fn(&Scan) -> Scan) -> Rel {
        match self {
            Rel::Scan(scan) => Rel::Scan(f(scan)),
            _ => self.operator().map_inputs(&|input| input.map_scans(f)),
        }
    }

    /// The leaves that read a table, left to right.
    pub fn scans(&self) -> Box<dyn Iterator<Item = &Scan> + '_> {
        match self {
            Rel::Scan(scan) => Box::new(std::iter::once(scan)),
            _ => Box::new(self.operator().inputs().into_iter().flat_map(Rel::scans)),
        }
    }

    /// Whether every expression, at every level, reads only columns that its input has.
    pub fn is_sound(&self) -> bool {
        let operator = self.operator();
        operator.is_sound() && operator.inputs().into_iter().all(Rel::is_sound)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let operator = self.operator();
        writeln!(f, "{:indent$}{}", "", operator.label(), indent = 2 * depth)?;
        for input in operator.inputs() {
            input.write(f, depth + 1)?;
        }
        Ok(())
    }
}

/// One operator per line, its inputs indented below it.
impl fmt::Display for Rel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
