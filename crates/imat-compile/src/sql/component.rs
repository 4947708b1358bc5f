//! Components in SQL: their value over a set of rows, their change over a delta, and how a stored value and a change
//! become the new stored value.

use crate::plan::Fate;
use crate::plan::component::{Component, Kind};

impl Component {
    fn aggregate(&self, function: &str, extra: Option<&str>, column: &dyn Fn(usize) -> String) -> String {
        let arg = self.arg.as_ref().map_or("*".to_owned(), |arg| arg.render(column));
        let conditions: Vec<String> = self
            .filter
            .iter()
            .map(|filter| format!("({})", filter.render(column)))
            .chain(extra.map(str::to_owned))
            .collect();
        let filter = match conditions.as_slice() {
            [] => String::new(),
            _ => format!(" FILTER (WHERE {})", conditions.join(" AND ")),
        };
        format!("{function}({arg}){filter}")
    }

    fn zero(&self) -> String {
        match self.ty.as_str() {
            "interval" => "'0'::interval".to_owned(),
            ty => format!("0::{ty}"),
        }
    }

    /// NULL of its type. What an aggregate returns can be of a domain, which may forbid NULL, so
    /// there it is not evaluated.
    fn null(&self) -> String {
        match self.kind {
            Kind::Holistic => format!("(SELECT NULL::{} WHERE false)", self.ty),
            _ => format!("NULL::{}", self.ty),
        }
    }

    /// Its value over the rows of a group, each counted once.
    pub fn over_rows(&self, column: &dyn Fn(usize) -> String) -> String {
        match self.kind {
            Kind::Count => self.aggregate("pg_catalog.count", None, column),
            Kind::Sum | Kind::InexactSum => {
                format!("coalesce({}, {})", self.aggregate("pg_catalog.sum", None, column), self.zero())
            }
            Kind::Min => self.aggregate("pg_catalog.min", None, column),
            Kind::Max => self.aggregate("pg_catalog.max", None, column),
            Kind::Holistic => self.arg.as_ref().expect("a holistic component has its call").render(column),
        }
    }

    /// Its change over a group's part of a delta whose weights, +1 or -1, are `weight`;
    /// `None` where there are no retractions.
    pub fn over_delta(&self, weight: Option<&str>, column: &dyn Fn(usize) -> String) -> String {
        let Some(weight) = weight else {
            return match self.kind {
                Kind::Holistic => self.null(),
                _ => self.over_rows(column),
            };
        };
        let (added, removed) = (format!("{weight} > 0"), format!("{weight} < 0"));
        match self.kind {
            Kind::Count => format!(
                "{} - {}",
                self.aggregate("pg_catalog.count", Some(&added), column),
                self.aggregate("pg_catalog.count", Some(&removed), column)
            ),
            Kind::Sum => format!(
                "coalesce({}, {zero}) - coalesce({}, {zero})",
                self.aggregate("pg_catalog.sum", Some(&added), column),
                self.aggregate("pg_catalog.sum", Some(&removed), column),
                zero = self.zero()
            ),
            Kind::InexactSum => {
                format!("coalesce({}, {})", self.aggregate("pg_catalog.sum", Some(&added), column), self.zero())
            }
            Kind::Min => self.aggregate("pg_catalog.min", Some(&added), column),
            Kind::Max => self.aggregate("pg_catalog.max", Some(&added), column),
            Kind::Holistic => self.null(),
        }
    }

    /// Its change by one row.
    pub fn over_one(&self, fate: Fate, column: &dyn Fn(usize) -> String) -> String {
        let arg = self.arg.as_ref().map(|arg| format!("({})", arg.render(column)));
        let filter = self.filter.as_ref().map(|filter| format!("({})", filter.render(column)));
        let counted = match (self.kind, &arg) {
            // Not IS NOT NULL, which asks a row's fields.
            (Kind::Count, Some(arg)) => Some(format!("pg_catalog.num_nonnulls({arg}) = 1")),
            _ => None,
        };
        // What the filter leaves out is not computed, so that it can't fail.
        let when = |value: String, otherwise: String| {
            [&counted, &filter]
                .into_iter()
                .flatten()
                .fold(value, |value, condition| format!("CASE WHEN {condition} THEN {value} ELSE {otherwise} END"))
        };
        let arg = || arg.clone().unwrap_or_default();
        match (self.kind, fate) {
            (Kind::Count, Fate::Added) => when("1::bigint".into(), "0::bigint".into()),
            (Kind::Count, Fate::Removed) => when("-1::bigint".into(), "0::bigint".into()),
            (Kind::Sum, Fate::Removed) => {
                when(format!("{zero} - coalesce({}::{}, {zero})", arg(), self.ty, zero = self.zero()), self.zero())
            }
            (Kind::Sum | Kind::InexactSum, Fate::Added) => {
                when(format!("coalesce({}::{}, {})", arg(), self.ty, self.zero()), self.zero())
            }
            (Kind::InexactSum, Fate::Removed) => self.zero(),
            (Kind::Min | Kind::Max, Fate::Added) => when(arg(), self.null()),
            (Kind::Min | Kind::Max, Fate::Removed) | (Kind::Holistic, _) => self.null(),
        }
    }

    /// The extreme that one removed row takes away.
    pub fn retraction_of_one(&self, column: &dyn Fn(usize) -> String) -> String {
        self.over_one(Fate::Added, column)
    }

    /// The extreme among the rows that the delta takes away.
    pub fn retraction(&self, weight: &str, column: &dyn Fn(usize) -> String) -> String {
        let function = if self.kind == Kind::Min { "pg_catalog.min" } else { "pg_catalog.max" };
        self.aggregate(function, Some(&format!("{weight} < 0")), column)
    }

    /// The new stored value from `old` and the delta's `new`.
    pub fn merge(&self, old: &str, new: &str) -> String {
        match self.kind {
            Kind::Count | Kind::Sum | Kind::InexactSum => format!("{old} + {new}"),
            Kind::Min => format!("LEAST({old}, {new})"),
            Kind::Max => format!("GREATEST({old}, {new})"),
            Kind::Holistic => old.to_owned(),
        }
    }

    /// Whether the extreme stored as `old` may be gone: something as extreme was taken away
    /// (`retracted`) and nothing as extreme was added (`new`). An equal that is not the same value
    /// does not make up for the one that is gone.
    pub fn extreme_lost(&self, old: &str, new: &str, retracted: &str) -> String {
        let beats = if self.kind == Kind::Min { "<=" } else { ">=" };
        let replaced = match self.identity {
            true => format!(" AND ({new} {beats} {old}) IS NOT TRUE"),
            false => String::new(),
        };
        format!("({retracted} {beats} {old}{replaced}) IS TRUE")
    }

    /// Whether a stored sum is a value from which nothing can be subtracted.
    pub fn absorbing(&self, stored: &str) -> Option<String> {
        match (self.kind, self.ty.as_str()) {
            (Kind::Sum, "numeric") => {
                Some(format!("{stored} IN ('NaN'::numeric, 'Infinity'::numeric, '-Infinity'::numeric)"))
            }
            _ => None,
        }
    }
}
