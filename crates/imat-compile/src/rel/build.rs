//! Constructors, with which a delta rule reads like its formula.

use super::{Image, Rel};
use crate::rel::ops::{Aggregate, Distinct, Filter, Join, Negate, Project, Repeat, Scan, Union, Values};
use crate::scalar::Scalar;

impl Rel {
    pub fn scan(table: usize, image: Image, width: usize) -> Rel {
        Rel::Scan(Scan { table, image, width })
    }

    /// No rows.
    pub fn empty(width: usize) -> Rel {
        Rel::Values(Values { width, rows: Vec::new() })
    }

    /// One row of no columns: the neutral element of joins.
    pub fn unit() -> Rel {
        Rel::Values(Values { width: 0, rows: vec![Vec::new()] })
    }

    pub fn filter(self, predicate: Scalar) -> Rel {
        Rel::Filter(Filter { input: Box::new(self), conjuncts: vec![predicate], fence: false })
    }

    pub fn filter_all(self, conjuncts: Vec<Scalar>) -> Rel {
        Rel::Filter(Filter { input: Box::new(self), conjuncts, fence: false })
    }

    /// The same rows. Expressions above are computed only for these rows.
    pub fn fence(self) -> Rel {
        Rel::Filter(Filter { input: Box::new(self), conjuncts: Vec::new(), fence: true })
    }

    pub fn project(self, outputs: Vec<Scalar>) -> Rel {
        Rel::Project(Project { input: Box::new(self), outputs })
    }

    /// Each row as often as the column at this position says.
    pub fn repeat(self, count: usize) -> Rel {
        Rel::Repeat(Repeat { input: Box::new(self), count })
    }

    pub fn join(self, right: Rel, on: Scalar) -> Rel {
        Rel::Join(Join { left: Box::new(self), right: Box::new(right), on })
    }

    /// Every pair of rows.
    pub fn cross(self, right: Rel) -> Rel {
        self.join(right, Scalar::text("true"))
    }

    pub fn union(self, right: Rel) -> Rel {
        Rel::Union(Union { inputs: vec![self, right] })
    }

    pub fn negate(self) -> Rel {
        Rel::Negate(Negate { input: Box::new(self) })
    }

    /// `self` minus `right`; multiplicities may become negative.
    pub fn minus(self, right: Rel) -> Rel {
        self.union(right.negate())
    }

    pub fn distinct(self) -> Rel {
        Rel::Distinct(Distinct { input: Box::new(self) })
    }

    pub fn aggregate(self, keys: Vec<Scalar>, calls: Vec<Scalar>) -> Rel {
        Rel::Aggregate(Aggregate { input: Box::new(self), keys, calls })
    }
}
