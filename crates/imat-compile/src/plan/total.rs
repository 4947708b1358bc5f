//! Finds expressions that can't fail, whatever the row is.
//!
//! Such an expression may be computed for rows that a condition excludes, so an index on it can be used.

use crate::facts::hashes;
use crate::scalar::{Piece, Scalar};

/// [`crate::facts::Column::hash`] of text, and of date, timestamp and timestamptz.
const TEXT: &[u32] = &[25];
const DATE: u32 = 1082;
const TIMES: &[u32] = &[DATE, 1114, 1184];

const TEXT_WORDS: &[&str] =
    &["lower", "upper", "initcap", "btrim", "ltrim", "rtrim", "left", "right", "coalesce", "nullif", "concat", "text"];

/// The words of conditions that only compare columns and casts of columns that can't fail.
const CONDITION_WORDS: &[&str] =
    &["and", "or", "not", "is", "null", "true", "false", "distinct", "from", "any", "all", "array"];

/// Functions, types and fields. Conversions to timestamps are missing: a date can be out of a timestamp's range, and so
/// can a time near the limits in another zone.
const TIME_WORDS: &[&str] = &[
    "date_trunc",
    "date_part",
    "extract",
    "from",
    "time",
    "zone",
    "with",
    "without",
    "date",
    "text",
    "century",
    "day",
    "decade",
    "dow",
    "doy",
    "epoch",
    "hour",
    "isodow",
    "isoyear",
    "julian",
    "microseconds",
    "millennium",
    "milliseconds",
    "minute",
    "month",
    "quarter",
    "second",
    "week",
    "year",
];

/// Whether an expression over columns with these hashes fails for no row, or for every row.
pub(crate) fn is_total(expr: &Scalar, hash: impl Fn(usize) -> Option<u32>) -> bool {
    let is_of = |types: &[u32], words: &[&str], signs: &str| {
        expr.pieces().iter().all(|piece| match piece {
            Piece::Column(position) => hash(*position).is_some_and(|hash| types.contains(&hash)),
            Piece::Text(text) => consists_of(text, words, signs),
        })
    };
    let calls =
        |name: &str| expr.pieces().iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(name)));
    let is_of_date = expr.columns().any(|column| hash(column) == Some(DATE));
    // For a date the function gets the date converted to a timestamp.
    let is_converted = calls("date_part") && is_of_date || calls("date_trunc") && !is_within_a_day(expr, &hash);
    expr.as_column().is_some()
        || is_of(TEXT, TEXT_WORDS, "|")
        || !is_converted && is_of(TIMES, TIME_WORDS, "")
        || is_comparison(expr, &hash)
}

/// The placeholder for a column.
const HOLE: char = '\u{1}';

/// Whether an expression only compares columns and constants, by PostgreSQL's own operators.
fn is_comparison(expr: &Scalar, hash: &dyn Fn(usize) -> Option<u32>) -> bool {
    let mut text = expr.render(|_| HOLE.to_string());
    for column in expr.columns() {
        // One by one, so that the first placeholder is this column's.
        let bare = safe_casts(hash(column)).find_map(|ty| {
            let cast = format!("({HOLE})::{ty}");
            let (before, after) = text.split_once(&cast)?;
            let is_whole = after.is_empty() || after.starts_with([' ', ')', ',', ']']);
            (is_whole && !before.contains(HOLE)).then(|| format!("{before}0{after}"))
        });
        text = bare.unwrap_or_else(|| text.replacen(HOLE, "0", 1));
    }
    without_constants(&text).is_some_and(|text| consists_of(&text, CONDITION_WORDS, "=<>[]."))
}

/// The types to which every value of a column with this hash can be cast.
fn safe_casts(hash: Option<u32>) -> impl Iterator<Item = &'static str> {
    let integer = hash == Some(hashes::INTEGER);
    let number = integer || matches!(hash, Some(hashes::REAL | hashes::DOUBLE));
    let casts = [
        ("text", hash == Some(TEXT[0]) || number || hash == Some(hashes::NUMERIC)),
        ("bigint", integer),
        ("numeric", integer || hash == Some(hashes::NUMERIC)),
        ("double precision", number),
    ];
    casts.into_iter().filter(|(_, safe)| *safe).map(|(ty, _)| ty)
}

/// The text with constants of PostgreSQL's types shortened. They are valid, or the view would not exist.
fn without_constants(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, quoted)) = rest.split_once('\'') {
        let (_, after) = quoted.split_once('\'')?;
        out += before;
        out.push('0');
        rest = match after.strip_prefix("::") {
            Some(ty) => ty.trim_start_matches(|c: char| c.is_ascii_lowercase() || " 0123456789[]".contains(c)),
            None => after,
        };
    }
    Some(out + rest)
}

/// Whether it truncates a timestamp to a day or less. The smallest timestamp is the beginning of a day, but not of a
/// month, week or year, nor of a day in another zone; there the result would be out of range.
fn is_within_a_day(expr: &Scalar, hash: &dyn Fn(usize) -> Option<u32>) -> bool {
    const FIELDS: &[&str] = &["microseconds", "milliseconds", "second", "minute", "hour", "day"];
    let [Piece::Text(begin), Piece::Column(column), Piece::Text(end)] = expr.pieces() else { return false };
    let field = begin.strip_prefix("date_trunc('").and_then(|rest| rest.strip_suffix("'::text, "));
    field.is_some_and(|field| FIELDS.contains(&field)) && end == ")" && hash(*column) == Some(1114)
}

/// Whether a piece of an expression consists of constants, these words, commas, casts, parentheses and these signs.
fn consists_of(text: &str, words: &[&str], signs: &str) -> bool {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => match rest[1..].find('\'') {
                Some(end) => end + 2,
                None => return false,
            },
            '"' | 'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_\"".contains(c));
                let word = &rest[..end.unwrap_or(rest.len())];
                if !words.contains(&word.trim_matches('"').to_ascii_lowercase().as_str()) {
                    return false;
                }
                word.len()
            }
            _ if first.is_ascii_digit() || " (),:".contains(first) || signs.contains(first) => 1,
            _ => return false,
        };
        rest = &rest[length..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `text`, in which `#` stands for a column of this type.
    fn total(text: &str, hash: u32) -> bool {
        let mut expr = Scalar::default();
        for (number, piece) in text.split('#').enumerate() {
            if number > 0 {
                expr.push_column(0);
            }
            expr.push_text(piece);
        }
        is_total(&expr, |_| Some(hash))
    }

    #[test]
    fn what_has_a_value() {
        for (text, hash) in [
            ("#", 1),
            ("lower(#)", 25),
            ("(COALESCE(#, '-'::text) || \"left\"(#, 1))", 25),
            ("date_trunc('hour'::text, #)", 1114),
            ("date_trunc('day'::text, #)", 1114),
            ("(#)::date", 1114),
            ("EXTRACT(month FROM #)", 1082),
            ("date_part('year'::text, #)", 1184),
            ("((#)::time without time zone)::text", 1114),
            ("(# = #)", 1),
            ("((#)::text = (#)::text)", 25),
            ("((#)::numeric > 1.5)", 20),
            ("((#)::bigint = ANY ('{1,2}'::bigint[]))", 20),
            ("(# = ANY (ARRAY['a'::text, 'b'::text]))", 25),
            ("((# >= '-1'::integer) AND ((# IS NOT NULL) OR (NOT (# <> 'it''s'::text))))", 25),
            ("(# IS DISTINCT FROM '2024-01-01 00:00:00'::timestamp without time zone)", 1114),
        ] {
            assert!(total(text, hash), "{text}");
        }
    }

    #[test]
    fn what_can_fail() {
        for (text, hash) in [
            ("(10 / #)", 20),
            ("(#)::date", 25),
            ("date_trunc('month'::text, (#)::timestamp with time zone)", 1082),
            ("(#)::integer", 25),
            // For '4714-11-24 BC', the smallest timestamp: "timestamp out of range".
            ("date_trunc('week'::text, #)", 1114),
            ("date_trunc('year'::text, #)", 1114),
            ("date_trunc('hour'::text, #)", 1184),
            ("((# AT TIME ZONE 'UTC'::text))::date", 1184),
            ("timezone('UTC'::text, #)", 1114),
            ("(#)::timestamp without time zone", 1184),
            ("(#)::timestamp with time zone", 1114),
            ("date_part('year'::text, #)", 1082),
            ("(# + 1)", 20),
            ("(# + '1 day'::interval)", 1184),
            ("public.lower(#)", 25),
            ("abs(#)", 20),
            ("(# = (#)::integer)", 25),
            ("((#)::bigint = #)", 701),
            ("((#)::numeric(3,1) = 1)", 20),
            ("(# = (# + 1))", 20),
            ("(# = (10 / #))", 20),
            ("(# ~ 'x'::text)", 25),
            ("(# OPERATOR(shop.=) #)", 20),
            ("(# = 'a'::shop.mood)", 20),
            ("'", 25),
        ] {
            assert!(!total(text, hash), "{text}");
        }
    }
}
