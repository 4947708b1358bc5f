//! Bounds for a column that follow from the value of a key computed from it.
//!
//! Truncating a time depends on the time zone, so such a key can't be indexed. But the time is no earlier than its
//! truncated value, and not much later, and for these bounds an index on the column serves. The key itself is compared
//! too, so bounds that are too wide only cost time.

use crate::scalar::Scalar;

/// Bounds for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Implied {
    /// The column's position in the scope row.
    pub column: usize,
    pub form: Form,
    pub kind: Kind,
    /// How many hours the column can be before the key, and after it.
    pub hours: (u32, u32),
}

/// How the key is computed from the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The key is a time near the column's.
    Time,
    /// The key is the column's year.
    Year,
}

/// The type of a key, or of the value that the column is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Date,
    Timestamp,
    TimestampTz,
}

/// The most hours by which two clocks can differ: some places have skipped a day, or had one twice. Counted twice, for
/// the zone of the expression and that of the comparison.
const ZONES: u32 = 2 * 28;

/// The same if a clock is converted to a zone that the expression names. In POSIX notation the session's own zone can
/// have an offset of a week, and so could a named zone with digits.
const NAMED: u32 = 8 * 24 + ZONES;

/// The hours that are added if zones don't matter.
const SHORT: u32 = 2;

/// The units of `date_trunc` with their greatest lengths in hours.
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

/// The placeholder for the column.
const HOLE: &str = "\u{1}";

/// The bounds that a key implies, given [`crate::facts::Column::hash`] of its column.
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
    let time = |kind, hours| Some(Implied { column, form: Form::Time, kind, hours });
    if let Some(inner) = year(text) {
        moment(inner, own)?;
        let around = around(inner);
        return Some(Implied { column, form: Form::Year, kind: Kind::Date, hours: (around, 24 + around) });
    }
    if let Some(inner) = text.strip_suffix("::date") {
        moment(inner, own)?;
        let around = around(inner);
        return time(Kind::Date, (around, 24 + around));
    }
    if let Some((stride, inner)) = binned(text) {
        // The function itself does not depend on the zone.
        let around = if bare(inner) == HOLE { SHORT } else { around(inner) };
        return time(moment(inner, own)?, (around, stride + around));
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
    // For units within a day PostgreSQL truncates without determining the zone's offset again.
    let around = if length == 1 && bare(inner) == HOLE { SHORT } else { around(inner) };
    time(moment(inner, own)?, (around, length + around))
}

/// The expression whose year a text is.
fn year(text: &str) -> Option<&str> {
    let casts = ["::smallint", "::integer", "::bigint", "::numeric", "::double precision"];
    let text = casts.into_iter().find_map(|cast| text.strip_suffix(cast)).map_or(text, bare);
    let prefixes = ["EXTRACT(year FROM ", "date_part('year'::text, "];
    prefixes.into_iter().find_map(|prefix| text.strip_prefix(prefix))?.strip_suffix(')')
}

/// The greatest length of `date_bin`'s stride in hours, and its argument. Its origin doesn't matter.
fn binned(text: &str) -> Option<(u32, &str)> {
    let call = text.strip_prefix("date_bin('")?.strip_suffix(')')?;
    let (stride, rest) = call.split_once("'::interval, ")?;
    let (inner, origin) = rest.rsplit_once(", '")?;
    let types = ["'::timestamp without time zone", "'::timestamp with time zone"];
    types.into_iter().find_map(|ty| origin.strip_suffix(ty)).filter(|origin| !origin.contains('\''))?;
    Some((stride_in_hours(stride)?, inner))
}

/// The hours of a stride as PostgreSQL prints it, in days and a time, unless it is longer than the units of
/// `date_trunc`.
fn stride_in_hours(stride: &str) -> Option<u32> {
    let longest = FIELDS.iter().map(|(_, length)| *length).max()?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= longest);
    let (mut hours, mut words) = (0, stride.split(' '));
    while let Some(word) = words.next() {
        hours += match word.split_once(':') {
            Some((whole, _)) => number(whole)? + 1,
            None => 24 * number(word).filter(|_| matches!(words.next(), Some("day" | "days")))?,
        };
    }
    (hours <= longest).then_some(hours)
}

/// The most hours by which the clock of an expression can differ from that of its column.
fn around(text: &str) -> u32 {
    if text.contains(" AT TIME ZONE ") { NAMED } else { ZONES }
}

/// Checks the rest of a string constant after its opening quote: it must contain no quotes.
fn literal(rest: &str) -> Option<()> {
    let value = rest.strip_suffix("'::text")?;
    (!value.contains('\'')).then_some(())
}

fn bare(text: &str) -> &str {
    let mut text = text;
    while let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        // These would be the parentheses of two operands.
        if inner.find(')') < inner.find('(') {
            break;
        }
        text = inner;
    }
    text
}

/// The type of an expression that is the column, or the column converted once to another type of time.
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
    // Only one conversion: each can move the clock by the difference of two zones.
    let (inner, zone) = text.rsplit_once(" AT TIME ZONE '")?;
    literal(zone).filter(|()| !zone.contains(|c: char| c.is_ascii_digit()))?;
    match (bare(inner) == HOLE, own) {
        (true, Kind::Timestamp) => Some(Kind::TimestampTz),
        (true, Kind::TimestampTz) => Some(Kind::Timestamp),
        _ => None,
    }
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
    fn bins_and_years_imply_bounds() {
        let bin = |stride: &str, inner: &str, hash| {
            of(
                &format!("date_bin('{stride}'::interval, {inner}, '2001-01-01 00:00:00'::timestamp without time zone)"),
                hash,
            )
        };
        assert_eq!(bin("00:15:00", "#", 1114), Some((Kind::Timestamp, (2, 3))));
        assert_eq!(bin("1 day 02:00:00", "#", 1184), Some((Kind::TimestampTz, (2, 29))));
        assert_eq!(bin("7 days", "(# AT TIME ZONE 'UTC'::text)", 1184), Some((Kind::Timestamp, (NAMED, 168 + NAMED))));
        assert_eq!(
            bin("7 days", "(#)::timestamp without time zone", 1082),
            Some((Kind::Timestamp, (ZONES, 168 + ZONES)))
        );
        for stride in ["1 mon", "-01:00:00", "400000 days", "1 day -02:00:00", "1 year 2 days", "99999999999 days"] {
            assert_eq!(bin(stride, "#", 1114), None, "{stride}");
        }
        assert_eq!(bin("1 day", "(# + '1 day'::interval)", 1114), None);
        let of_year = Some((Kind::Date, (ZONES, 24 + ZONES)));
        assert_eq!(of("EXTRACT(year FROM #)", 1184), of_year);
        assert_eq!(of("(EXTRACT(year FROM #))::integer", 1082), of_year);
        assert_eq!(of("(date_part('year'::text, #))::bigint", 1114), of_year);
        let named = Some((Kind::Date, (NAMED, 24 + NAMED)));
        assert_eq!(of("EXTRACT(year FROM (# AT TIME ZONE 'Asia/Tokyo'::text))", 1184), named);
        for text in [
            "EXTRACT(month FROM #)",
            "EXTRACT(year FROM #) + (1)",
            "(EXTRACT(year FROM #) / 10)::integer",
            "EXTRACT(year FROM (# - 1))",
        ] {
            assert_eq!(of(text, 1184), None, "{text}");
        }
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
