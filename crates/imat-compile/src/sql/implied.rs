//! What a group key implies for a column that it is computed from, in SQL.

use crate::plan::implied::{Form, Implied, Kind};

impl Implied {
    /// The conditions on the column for a key that is not NULL, and for a NULL key, which only a NULL column gives.
    /// Near the limits of the type there is no bound, since it could be out of range.
    pub(super) fn conditions(&self, column: &str, key: &str) -> [String; 2] {
        let (before, after) = self.hours;
        let days = |hours: u32| hours.div_ceil(24).to_string();
        let (ty, before, after) = match self.kind {
            Kind::Date => ("date", days(before), days(after)),
            Kind::Timestamp => ("timestamp without time zone", hours(before), hours(after)),
            Kind::TimestampTz => ("timestamp with time zone", hours(before), hours(after)),
        };
        let [less, more, minus, plus, least, most] = ["<", ">", "-", "+", ">=", "<="].map(operator);
        let bound = |is_near: &str, time: &str, shift: &str, else_: &str| {
            format!("CASE WHEN {is_near} THEN {time} {shift} ELSE '{else_}'::{ty} END")
        };
        let (minus, plus) = (format!("{minus} {before}"), format!("{plus} {after}"));
        let (low, high) = match self.form {
            Form::Time => (
                bound(&format!("{key} {more} '4700-01-01 BC'::{ty}"), key, &minus, "-infinity"),
                bound(&format!("{key} {less} '290000-01-01'::{ty}"), key, &plus, "infinity"),
            ),
            // Years BC are negative, and the year of infinity is infinite.
            Form::Year => {
                let is_near = format!("{key} {more} (-4700) AND {key} {less} 290000");
                let day = |day: &str| format!("pg_catalog.make_date(({key})::integer, {day})");
                let (first, last) = (day("1, 1"), day("12, 31"));
                (bound(&is_near, &first, &minus, "-infinity"), bound(&is_near, &last, &plus, "infinity"))
            }
        };
        [format!("{column} {least} {low} AND {column} {most} {high}"), format!("{column} IS NULL")]
    }
}

fn operator(name: &str) -> String {
    format!("OPERATOR(pg_catalog.{name})")
}

fn hours(hours: u32) -> String {
    format!("'{hours}:00:00'::interval")
}
