//! Compares two results as bags of rows.
//!
//! Numerics are equal by value (`1.50` is `1.5`), floats within 1e-9 relative, all other values by their text. The
//! order never matters, the number of copies always does.

use crate::pg::Row;
use postgres::types::Type;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How the values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Exact,
    Numeric,
    Float,
}

impl Kind {
    pub fn of(ty: &Type) -> Self {
        match *ty {
            Type::NUMERIC => Kind::Numeric,
            Type::FLOAT4 | Type::FLOAT8 => Kind::Float,
            _ => Kind::Exact,
        }
    }
}

/// Rows that one side has and the other lacks.
#[derive(Debug, Default, PartialEq)]
pub struct Difference {
    pub missing: Vec<Row>,
    pub extra: Vec<Row>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// Compares what the query returns with what the maintained table holds.
pub fn difference(expected: &[Row], actual: &[Row], kinds: &[Kind]) -> Difference {
    let mut groups: BTreeMap<Row, [Vec<&Row>; 2]> = BTreeMap::new();
    for row in expected {
        groups.entry(key(row, kinds)).or_default()[0].push(row);
    }
    for row in actual {
        groups.entry(key(row, kinds)).or_default()[1].push(row);
    }
    let mut out = Difference::default();
    for [want, have] in groups.into_values() {
        pair_off(want, have, kinds, &mut out);
    }
    out
}

/// Compares rows whose exact columns agree; only floats can still differ.
fn pair_off(want: Vec<&Row>, have: Vec<&Row>, kinds: &[Kind], out: &mut Difference) {
    let (want, mut have) = (with_floats(want, kinds), with_floats(have, kinds));
    let alike = |(a, b): (&Floats, &Floats)| floats_agree(&a.1, &b.1);
    // If the bags are equal, sorted rows match one by one, unless rounding has swapped neighbours.
    if want.len() == have.len() && want.iter().zip(&have).all(alike) {
        return;
    }
    for row in want {
        match have.iter().position(|other| floats_agree(&row.1, &other.1)) {
            Some(at) => {
                have.swap_remove(at);
            }
            None => out.missing.push(row.0.clone()),
        }
    }
    out.extra.extend(have.into_iter().map(|(row, _)| row.clone()));
}

type Floats<'a> = (&'a Row, Vec<Option<f64>>);

/// The rows with their float columns as numbers, sorted by these numbers.
fn with_floats<'a>(rows: Vec<&'a Row>, kinds: &[Kind]) -> Vec<Floats<'a>> {
    let is_float = |i: &usize| kinds.get(*i) == Some(&Kind::Float);
    let parse = |row: &Row, i: usize| row[i].as_deref().and_then(|text| text.parse().ok());
    let mut out: Vec<Floats> =
        rows.into_iter().map(|row| (row, (0..row.len()).filter(is_float).map(|i| parse(row, i)).collect())).collect();
    let number = |value: &Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    out.sort_by(|a, b| {
        let pairs = a.1.iter().zip(&b.1);
        pairs.map(|(x, y)| number(x).total_cmp(&number(y))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
    out
}

/// The part of a row that must agree exactly.
fn key(row: &Row, kinds: &[Kind]) -> Row {
    let part = |(i, value): (usize, &Option<String>)| match (kinds.get(i), value) {
        (Some(Kind::Numeric), Some(text)) => Some(canonical_numeric(text)),
        (Some(Kind::Float), Some(_)) => Some(String::new()),
        _ => value.clone(),
    };
    row.iter().enumerate().map(part).collect()
}

/// A numeric without trailing zeros.
fn canonical_numeric(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    match text.trim_end_matches('0').trim_end_matches('.') {
        "" | "-" | "-0" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

fn floats_agree(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
    a.iter().zip(b).all(|pair| match pair {
        (None, None) => true,
        (Some(x), Some(y)) => close(*x, *y),
        _ => false,
    })
}

fn close(x: f64, y: f64) -> bool {
    if x == y || (x.is_nan() && y.is_nan()) {
        return true;
    }
    x.is_finite() && y.is_finite() && (x - y).abs() <= 1e-9 * x.abs().max(y.abs())
}

/// A row as one line of text.
pub fn show(row: &Row) -> String {
    let cells: Vec<&str> = row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
    format!("({})", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&str]) -> Row {
        values.iter().map(|v| (*v != "NULL").then(|| v.to_string())).collect()
    }

    #[test]
    fn copies_count_and_order_does_not() {
        let kinds = [Kind::Exact];
        let (a, b) = (row(&["a"]), row(&["b"]));
        assert!(difference(&[a.clone(), b.clone(), a.clone()], &[b.clone(), a.clone(), a.clone()], &kinds).is_empty());
        let found = difference(&[a.clone(), a.clone()], &[a.clone(), b.clone()], &kinds);
        assert_eq!((found.missing, found.extra), (vec![a], vec![b]));
    }

    #[test]
    fn numerics_compare_by_value() {
        let kinds = [Kind::Numeric];
        assert!(difference(&[row(&["1.500"])], &[row(&["1.5"])], &kinds).is_empty());
        assert!(difference(&[row(&["0.00"])], &[row(&["0"])], &kinds).is_empty());
        assert!(difference(&[row(&["100"])], &[row(&["100.0"])], &kinds).is_empty());
        assert!(!difference(&[row(&["100"])], &[row(&["1"])], &kinds).is_empty());
        assert!(!difference(&[row(&["1.50"])], &[row(&["1.51"])], &kinds).is_empty());
    }

    #[test]
    fn text_that_looks_like_a_number_is_text() {
        assert!(!difference(&[row(&["1.50"])], &[row(&["1.5"])], &[Kind::Exact]).is_empty());
    }

    #[test]
    fn floats_compare_within_a_relative_error() {
        let kinds = [Kind::Exact, Kind::Float];
        assert!(difference(&[row(&["a", "0.3"])], &[row(&["a", "0.30000000000000004"])], &kinds).is_empty());
        assert!(difference(&[row(&["a", "NaN"])], &[row(&["a", "NaN"])], &kinds).is_empty());
        assert!(!difference(&[row(&["a", "0.3"])], &[row(&["a", "0.3000001"])], &kinds).is_empty());
        assert!(!difference(&[row(&["a", "NULL"])], &[row(&["a", "0"])], &kinds).is_empty());
        assert!(!difference(&[row(&["a", "Infinity"])], &[row(&["a", "1e308"])], &kinds).is_empty());
    }

    #[test]
    fn rounding_may_swap_neighbours() {
        let kinds = [Kind::Float, Kind::Float];
        let a = [row(&["0.3", "2"]), row(&["0.30000000000000004", "1"])];
        let b = [row(&["0.30000000000000004", "2"]), row(&["0.3", "1"])];
        assert!(difference(&a, &b, &kinds).is_empty());
    }

    #[test]
    fn null_is_not_the_empty_string() {
        assert!(!difference(&[row(&["NULL"])], &[row(&[""])], &[Kind::Exact]).is_empty());
    }
}
