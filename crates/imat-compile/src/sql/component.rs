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

    fn sum(&self, extra: Option<&str>, column: &dyn Fn(usize) -> String) -> String {
        format!("coalesce({}, {})", self.aggregate("pg_catalog.sum", extra, column), self.zero())
    }

    fn extreme(&self, extra: Option<&str>, column: &dyn Fn(usize) -> String) -> String {
        let function = if self.kind == Kind::Min { "pg_catalog.min" } else { "pg_catalog.max" };
        self.aggregate(function, extra, column)
    }

    fn zero(&self) -> String {
        match self.ty.as_str() {
            "interval" => "'0'::interval".to_owned(),
            ty => format!("0::{ty}"),
        }
    }

    /// NULL of its type. The type of a holistic component can be a domain that forbids NULL, so there the
    /// cast is written but never computed.
    fn null(&self) -> String {
        match self.kind {
            Kind::Holistic => format!("(SELECT NULL::{} WHERE false)", self.ty),
            _ => format!("NULL::{}", self.ty),
        }
    }

    /// Its value over the rows of a group, each counted once.
    pub(super) fn over_rows(&self, column: &dyn Fn(usize) -> String) -> String {
        match self.kind {
            Kind::Count => self.aggregate("pg_catalog.count", None, column),
            Kind::Sum | Kind::InexactSum => self.sum(None, column),
            Kind::Min | Kind::Max => self.extreme(None, column),
            Kind::Holistic => self.arg.as_ref().expect("a holistic component has its call").render(column),
        }
    }

    /// Its change over a group's rows of a delta. `weight` is the rows' weight, +1 or -1; it is `None` if all
    /// rows are added.
    pub(super) fn over_delta(&self, weight: Option<&str>, column: &dyn Fn(usize) -> String) -> String {
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
            Kind::Sum => format!("{} - {}", self.sum(Some(&added), column), self.sum(Some(&removed), column)),
            Kind::InexactSum => self.sum(Some(&added), column),
            Kind::Min | Kind::Max => self.extreme(Some(&added), column),
            Kind::Holistic => self.null(),
        }
    }

    /// Its change by one row.
    pub(super) fn over_one(&self, fate: Fate, column: &dyn Fn(usize) -> String) -> String {
        let arg = self.arg.as_ref().map(|arg| format!("({})", arg.render(column)));
        let filter = self.filter.as_ref().map(|filter| format!("({})", filter.render(column)));
        let counted = match (self.kind, &arg) {
            // IS NOT NULL would ask about the fields of a row value.
            (Kind::Count, Some(arg)) => Some(format!("pg_catalog.num_nonnulls({arg}) = 1")),
            _ => None,
        };
        // The argument of a row that the filter leaves out is not computed, since it could fail.
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
    pub(super) fn retraction_of_one(&self, column: &dyn Fn(usize) -> String) -> String {
        self.over_one(Fate::Added, column)
    }

    /// The extreme of the rows that the delta takes away.
    pub(super) fn retraction(&self, weight: &str, column: &dyn Fn(usize) -> String) -> String {
        self.extreme(Some(&format!("{weight} < 0")), column)
    }

    /// The new stored value from `old` and the delta's `new`.
    pub(super) fn merge(&self, old: &str, new: &str) -> String {
        match self.kind {
            Kind::Count | Kind::Sum | Kind::InexactSum => format!("{old} + {new}"),
            Kind::Min => format!("LEAST({old}, {new})"),
            Kind::Max => format!("GREATEST({old}, {new})"),
            Kind::Holistic => old.to_owned(),
        }
    }

    /// Whether the extreme stored as `old` may be gone: a value as extreme was taken away (`retracted`) and none
    /// as extreme was added (`new`). An added value that is equal but not identical does not make up for it.
    pub(super) fn extreme_lost(&self, old: &str, new: &str, retracted: &str) -> String {
        let beats = if self.kind == Kind::Min { "<=" } else { ">=" };
        let replaced = match self.identity {
            true => format!(" AND ({new} {beats} {old}) IS NOT TRUE"),
            false => String::new(),
        };
        format!("({retracted} {beats} {old}{replaced}) IS TRUE")
    }

    /// Whether a stored sum is a value from which nothing can be subtracted, if it can be one.
    pub(super) fn absorbing(&self, stored: &str) -> Option<String> {
        let values = "'NaN'::numeric, 'Infinity'::numeric, '-Infinity'::numeric";
        self.can_absorb().then(|| format!("{stored} IN ({values})"))
    }
}
