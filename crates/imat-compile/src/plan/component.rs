//! Components: the pieces of state from which aggregates are read.
//!
//! `avg(x)` is not maintained; `sum(x)` and `count(x)` are, and the average is read from
//! them. What a component is in SQL, see `sql/component.rs`.

use crate::facts::Class;
use crate::scalar::Scalar;

/// One piece of state. `arg` and `filter` are over the scope row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Component {
    pub kind: Kind,
    /// The aggregate's argument; `None` for `count(*)`.
    pub arg: Option<Scalar>,
    /// The aggregate's FILTER.
    pub filter: Option<Scalar>,
    /// The SQL type of the stored value.
    pub ty: String,
    /// Two equal values of it are always the same value. It matters for extremes only.
    pub identity: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Number of rows, or of rows where the argument is not NULL.
    Count,
    /// Sum, zero when there is nothing to sum. Exact under addition and subtraction.
    Sum,
    /// Sum from which a value can't be subtracted exactly: `0 + 1e16 + 1 - 1e16` is 0.
    InexactSum,
    Min,
    Max,
    /// Anything else: recomputed from the rows of the group.
    Holistic,
}

impl Kind {
    /// Whether the component stays exact when a value is taken away. Otherwise the group's rows are needed then.
    pub fn invertible(self) -> bool {
        matches!(self, Kind::Count | Kind::Sum)
    }

    /// Whether the state has a second, hidden column, which carries the delta's retracted extreme into the upsert.
    pub fn has_retraction(self) -> bool {
        matches!(self, Kind::Min | Kind::Max)
    }
}

impl Component {
    /// Whether the stored value can be one from which nothing can be subtracted: NaN or an infinity.
    pub fn can_absorb(&self) -> bool {
        self.kind == Kind::Sum && self.ty == "numeric"
    }
}

/// The type in which the sum of a class of values is stored.
pub fn sum_type(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Int2 | Class::Int4 => "bigint",
        Class::Int8 | Class::Numeric => "numeric",
        Class::Float4 => "real",
        Class::Float8 => "double precision",
        Class::Money => "money",
        Class::Interval => "interval",
        Class::Bool | Class::Other => return None,
    })
}
