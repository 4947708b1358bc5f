//! What follows for a column from the value of a key that is made of it.
//!
//! What a time is truncated to depends on the time zone, so there can be no index on that. But the time is no earlier
//! than what it is truncated to, and not much later, and for this an index on the column serves. The key itself is
//! compared too, so bounds that are too wide cost time and nothing else.

use crate::scalar::Scalar;

/// Bounds of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Implied {
    /// Of the scope row.
    pub column: usize,
    kind: Kind,
    /// How many hours the column can be before the key, and after it.
    hours: (u32, u32),
}

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Date,
    Timestamp,
    TimestampTz,
}

/// By how much two clocks can differ: in some places a day was left out, in others there were two of it. Twice, for the
/// zone of the expression and that of the comparison.
const ZONES: u32 = 2 * 28;

/// The same where a clock is converted to a zone that the expression names. The session's own can be an offset of a week,
/// as POSIX writes it; one that is named with digits could be too.
const NAMED: u32 = 8 * 24 + ZONES;

/// What is added where zones play no part.
const SHORT: u32 = 2;

/// The lengths of what `date_trunc` truncates to, in hours, no shorter than they are.
const FIELDS: [(&str, u32); 13] = [
    ("microseconds", 1),
    ("milliseconds", 1),
    ("second", 1),
    ("minute", 1),
    ("hour", 1),
    ("day", 24),
    ("week", 7 * 24),
    ("month", 31 * 24),
    ("quarter", 92 * 24),
    ("year", 366 * 24),
    ("decade", 10 * 366 * 24),
    ("century", 100 * 366 * 24),
    ("millennium", 1000 * 366 * 24),
];

/// Stands for the column.
const HOLE: &str = "\u{1}";

/// What a key implies, given [`crate::facts::Column::hash`] of its column.
pub(super) fn implied(key: &Scalar, hash: impl Fn(usize) -> Option<u32>) -> Option<Implied> {
    let mut columns = key.columns();
    let (Some(column), None) = (columns.next(), columns.next()) else { return None };
    let own = match hash(column)? {
        1082 => Kind::Date,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        _ => return None,
    };
    let text = key.render(|_| HOLE.to_owned());
    let text = bare(&text);
    if let Some(inner) = text.strip_suffix("::date") {
        moment(inner, own)?;
        let around = around(inner);
        return Some(Implied { column, kind: Kind::Date, hours: (around, 24 + around) });
    }
    let call = text.strip_prefix("date_trunc('")?.strip_suffix(')')?;
    let (field, rest) = call.split_once("'::text, ")?;
    let (_, length) = FIELDS.into_iter().find(|(name, _)| *name == field)?;
    let inner = match rest.rsplit_once(", '") {
        Some((inner, zone)) => {
            literal(zone)?;
            inner
        }
        None => rest,
    };
    // Within a day PostgreSQL truncates without looking at the time zone again.
    let around = if length == 1 && bare(inner) == HOLE { SHORT } else { around(inner) };
    Some(Implied { column, kind: moment(inner, own)?, hours: (around, length + around) })
}

/// By how much the clock of an expression can differ from that of its column.
fn around(text: &str) -> u32 {
    if text.contains(" AT TIME ZONE ") { NAMED } else { ZONES }
}

/// The rest of a string constant after its opening quote, if it is one without quotes in it.
fn literal(rest: &str) -> Option<()> {
    let value = rest.strip_suffix("'::text")?;
    (!value.contains('\'')).then_some(())
}

fn bare(text: &str) -> &str {
    let mut text = text;
    while let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        // Not the parentheses of two operands.
        if inner.find(')') < inner.find('(') {
            break;
        }
        text = inner;
    }
    text
}

/// The type of the column, or of the same moment seen as another type of time.
fn moment(text: &str, own: Kind) -> Option<Kind> {
    let text = bare(text);
    if text == HOLE {
        return Some(own);
    }
    if let Some(inner) = text.strip_suffix("::timestamp with time zone") {
        return moment(inner, own).map(|_| Kind::TimestampTz);
    }
    if let Some(inner) = text.strip_suffix("::timestamp without time zone") {
        return moment(inner, own).map(|_| Kind::Timestamp);
    }
    // One conversion: each can move the clock by as much as two zones differ.
    let (inner, zone) = text.rsplit_once(" AT TIME ZONE '")?;
    literal(zone).filter(|()| !zone.contains(|c: char| c.is_ascii_digit()))?;
    match (bare(inner) == HOLE, own) {
        (true, Kind::Timestamp) => Some(Kind::TimestampTz),
        (true, Kind::TimestampTz) => Some(Kind::Timestamp),
        _ => None,
    }
}

impl Implied {
    /// What holds of a column where the key has this value, and where it is NULL, as only what is NULL is made into
    /// that. What is near the end of all time has no bound there, as there might be no such time.
    pub fn conditions(&self, column: &str, key: &str) -> [String; 2] {
        let (before, after) = self.hours;
        let days = |hours: u32| hours.div_ceil(24).to_string();
        let (ty, before, after) = match self.kind {
            Kind::Date => ("date", days(before), days(after)),
            Kind::Timestamp => ("timestamp without time zone", hours(before), hours(after)),
            Kind::TimestampTz => ("timestamp with time zone", hours(before), hours(after)),
        };
        let [less, more, minus, plus, least, most] = ["<", ">", "-", "+", ">=", "<="].map(operator);
        let low = format!(
            "CASE WHEN {key} {more} '4700-01-01 BC'::{ty} THEN {key} {minus} {before} ELSE '-infinity'::{ty} END"
        );
        let high =
            format!("CASE WHEN {key} {less} '290000-01-01'::{ty} THEN {key} {plus} {after} ELSE 'infinity'::{ty} END");
        [format!("{column} {least} {low} AND {column} {most} {high}"), format!("{column} IS NULL")]
    }
}

fn operator(name: &str) -> String {
    format!("OPERATOR(pg_catalog.{name})")
}

fn hours(hours: u32) -> String {
    format!("'{hours}:00:00'::interval")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, hash: u32) -> Option<(Kind, (u32, u32))> {
        let mut key = Scalar::default();
        for (position, part) in text.split('#').enumerate() {
            if position > 0 {
                key.push_column(position - 1);
            }
            key.push_text(part);
        }
        implied(&key, |_| Some(hash)).map(|implied| (implied.kind, implied.hours))
    }

    #[test]
    fn truncated_times_imply_bounds() {
        let after = |length: u32| (ZONES, length + ZONES);
        let named = |length: u32| (NAMED, length + NAMED);
        assert_eq!(of("date_trunc('hour'::text, #)", 1184), Some((Kind::TimestampTz, (2, 3))));
        assert_eq!(of("(date_trunc('hour'::text, #))", 1114), Some((Kind::Timestamp, (2, 3))));
        assert_eq!(of("date_trunc('hour'::text, #, 'Asia/Tokyo'::text)", 1184), Some((Kind::TimestampTz, (2, 3))));
        assert_eq!(of("date_trunc('day'::text, #, 'Europe/Berlin'::text)", 1184), Some((Kind::TimestampTz, after(24))));
        assert_eq!(
            of("date_trunc('week'::text, (# AT TIME ZONE 'Asia/Tokyo'::text))", 1184),
            Some((Kind::Timestamp, named(168)))
        );
        let month = Some((Kind::TimestampTz, after(744)));
        assert_eq!(of("date_trunc('month'::text, (#)::timestamp with time zone)", 1082), month);
        assert_eq!(of("(#)::date", 1184), Some((Kind::Date, after(24))));
        assert_eq!(of("((# AT TIME ZONE 'UTC'::text))::date", 1184), Some((Kind::Date, named(24))));
    }

    #[test]
    fn what_is_not_known_implies_nothing() {
        assert_eq!(of("date_trunc('hour'::text, #)", 1186), None);
        assert_eq!(of("date_trunc('hour'::text, # - '01:00:00'::interval)", 1184), None);
        assert_eq!(of("date_trunc('hour'::text, (# - '1 day'::interval))", 1184), None);
        assert_eq!(of("date_trunc('hour'::text, GREATEST(#, #))", 1184), None);
        assert_eq!(of("shop.date_trunc('hour'::text, #)", 1184), None);
        assert_eq!(of("date_trunc('dow'::text, #)", 1184), None);
        assert_eq!(of("((# AT TIME ZONE 'UTC'::text) AT TIME ZONE 'Asia/Tokyo'::text)::date", 1184), None);
        assert_eq!(of("((# AT TIME ZONE 'X-100'::text))::date", 1184), None);
        assert_eq!(of("date_part('hour'::text, #)", 1184), None);
        assert_eq!(of("(# - '1 day'::interval)::date", 1184), None);
        assert_eq!(of("date_trunc('day'::text, #, 'it''s'::text)", 1184), None);
        assert_eq!(of("(date_trunc('hour'::text, #) + (#)::date)", 1184), None);
    }
}
