//! The interpreter's semantics of SQL, checked by hand: the law would prove nothing about wrong semantics.

use imat_compile::rel::{Image, Rel};
use imat_compile::scalar::Scalar;
use imat_compile::zset::{Database, Stored, Value, ZSet};

const NULL: Value = Value::Null;

fn int(number: i64) -> Value {
    Value::Int(number)
}

fn zset<const N: usize>(rows: impl IntoIterator<Item = ([Value; N], i64)>) -> ZSet {
    rows.into_iter().map(|(row, weight)| (row.to_vec(), weight)).collect()
}

/// `relation(t)` over a table `t` with two columns and these rows.
fn eval(relation: impl Fn(Rel) -> Rel, rows: &ZSet) -> ZSet {
    let table = Stored { old: rows.clone(), delta: ZSet::default() };
    relation(Rel::scan(0, Image::New, 2)).eval(&Database(vec![table]))
}

/// `"$0 = $2"`: a `$` and a digit is a column.
fn scalar(template: &str) -> Scalar {
    let mut parts = template.split('$');
    let mut scalar = Scalar::text(parts.next().unwrap_or_default());
    for part in parts {
        let (position, text) = part.split_at(1);
        scalar.push_column(position.parse().expect("a digit after $"));
        scalar.push_text(text);
    }
    scalar
}

#[test]
fn null_is_not_true() {
    let rows = zset([([NULL, int(1)], 1), ([int(0), int(2)], 1), ([int(1), int(3)], 1)]);
    let kept = |predicate| eval(|t| t.filter(scalar(predicate)), &rows);
    assert_eq!(kept("$0 = 0"), zset([([int(0), int(2)], 1)]));
    assert_eq!(kept("NOT ($0 = 0)"), zset([([int(1), int(3)], 1)]));
    assert_eq!(kept("$0 IS NULL"), zset([([NULL, int(1)], 1)]));
    assert_eq!(kept("$0 IS NOT DISTINCT FROM NULL"), kept("$0 IS NULL"));
    assert_eq!(kept("NULL OR $1 = 1"), zset([([NULL, int(1)], 1)]));
    assert_eq!(kept("NULL AND true"), ZSet::default());
}

#[test]
fn join_multiplies_and_null_keys_never_match() {
    let rows = zset([([int(1), int(1)], 2), ([NULL, NULL], 3)]);
    let pairs = eval(|t| t.clone().join(t, scalar("$0 = $2")), &rows);
    assert_eq!(pairs, zset([([int(1), int(1), int(1), int(1)], 4)]));
}

#[test]
fn projection_adds_up() {
    let rows = zset([([int(1), int(1)], 2), ([int(1), int(2)], 3)]);
    let projected = eval(|t| t.project(vec![scalar("$0")]), &rows);
    assert_eq!(projected, zset([([int(1)], 5)]));
}

#[test]
fn a_count_repeats_rows() {
    let rows = zset([([int(3), int(1)], 2), ([int(0), int(2)], 1), ([int(-2), int(3)], 1), ([NULL, int(4)], 1)]);
    assert_eq!(eval(|t| t.repeat(0), &rows), zset([([int(3), int(1)], 6)]));
}

#[test]
fn distinct_clamps() {
    let rows = zset([([int(1), NULL], 2), ([int(2), NULL], -1)]);
    assert_eq!(eval(Rel::distinct, &rows), zset([([int(1), NULL], 1)]));
}

#[test]
fn null_keys_are_a_group() {
    let rows = zset([([NULL, int(1)], 2), ([NULL, NULL], 1), ([int(1), NULL], 1)]);
    let calls = ["count(*)", "count($1)", "sum($1)", "min($1)", "max($1)"];
    let grouped = |t: Rel| t.aggregate(vec![scalar("$0")], calls.map(scalar).to_vec());
    let expected =
        zset([([NULL, int(3), int(2), int(2), int(1), int(1)], 1), ([int(1), int(1), int(0), NULL, NULL, NULL], 1)]);
    assert_eq!(eval(grouped, &rows), expected);
}

#[test]
fn group_lives_while_it_has_rows() {
    let grouped = |t: Rel| t.aggregate(vec![scalar("$0")], vec![scalar("count(*)")]);
    let gone = zset([([int(1), int(1)], 1), ([int(1), int(2)], -1)]);
    assert_eq!(eval(grouped, &gone), ZSet::default());
}

#[test]
fn without_keys_there_is_one_row() {
    let calls = ["count(*)", "sum($0)"];
    let total = |t: Rel| t.aggregate(Vec::new(), calls.map(scalar).to_vec());
    assert_eq!(eval(total, &ZSet::default()), zset([([int(0), NULL], 1)]));
}
