//! Evaluates a relation over a database.

use std::collections::BTreeMap;

use super::expr::{Expr, parse, parse_call};
use super::{Database, Row, Value, ZSet};
use crate::rel::ops::{Aggregate, Join};
use crate::rel::{Image, Rel};
use crate::scalar::Scalar;

impl Rel {
    /// The rows of the relation.
    ///
    /// # Panics
    /// If an expression is outside of the subset of SQL that tests use.
    pub fn eval(&self, db: &Database) -> ZSet {
        match self {
            Rel::Scan(scan) => {
                let table = &db.0[scan.table];
                match scan.image {
                    Image::Old => table.old.clone(),
                    Image::Delta => table.delta.clone(),
                    Image::New => &table.old + &table.delta,
                }
            }
            Rel::Values(values) => {
                let rows = values.rows.iter();
                rows.map(|row| (project(&parse_all(row), &[]), 1)).collect()
            }
            Rel::Filter(filter) => {
                let predicates = parse_all(&filter.conjuncts);
                let input = filter.input.eval(db);
                let kept = input.iter().filter(|(row, _)| predicates.iter().all(|p| p.holds(row)));
                kept.map(|(row, weight)| (row.clone(), weight)).collect()
            }
            Rel::Project(op) => {
                let outputs = parse_all(&op.outputs);
                let input = op.input.eval(db);
                let rows = input.iter();
                rows.map(|(row, weight)| (project(&outputs, row), weight)).collect()
            }
            Rel::Repeat(op) => {
                let times = |value: &Value| if let Value::Int(count) = value { *count.max(&0) } else { 0 };
                let input = op.input.eval(db);
                let rows = input.iter();
                rows.map(|(row, weight)| (row.clone(), weight * times(&row[op.count]))).collect()
            }
            Rel::Join(op) => join(op, &op.left.eval(db), &op.right.eval(db)),
            Rel::Union(union) => {
                let inputs = union.inputs.iter().map(|input| input.eval(db));
                inputs.fold(ZSet::default(), |sum, input| &sum + &input)
            }
            Rel::Negate(negate) => -&negate.input.eval(db),
            Rel::Distinct(distinct) => {
                let input = distinct.input.eval(db);
                let present = input.iter().filter(|(_, weight)| *weight > 0);
                present.map(|(row, _)| (row.clone(), 1)).collect()
            }
            Rel::Aggregate(op) => aggregate(op, &op.input.eval(db)),
        }
    }
}

fn parse_all(scalars: &[Scalar]) -> Vec<Expr> {
    scalars.iter().map(parse).collect()
}

fn project(outputs: &[Expr], row: &[Value]) -> Row {
    outputs.iter().map(|output| output.eval(row)).collect()
}

fn join(join: &Join, left: &ZSet, right: &ZSet) -> ZSet {
    let on = parse(&join.on);
    let mut pairs = ZSet::default();
    for (l, lw) in left.iter() {
        for (r, rw) in right.iter() {
            let pair = [l.as_slice(), r].concat();
            if on.holds(&pair) {
                pairs.insert(pair, lw * rw);
            }
        }
    }
    pairs
}

fn aggregate(op: &Aggregate, input: &ZSet) -> ZSet {
    let keys = parse_all(&op.keys);
    let calls: Vec<_> = op.calls.iter().map(parse_call).collect();
    let mut groups: BTreeMap<Row, Vec<(&Row, i64)>> = BTreeMap::new();
    for (row, weight) in input.iter() {
        let group = groups.entry(project(&keys, row)).or_default();
        group.push((row, weight));
    }
    if keys.is_empty() {
        groups.entry(Row::new()).or_default();
    }
    let is_there = |rows: &[(&Row, i64)]| keys.is_empty() || count(rows.iter().map(|r| r.1)) > 0;
    groups
        .into_iter()
        .filter(|(_, rows)| is_there(rows))
        .map(|(mut row, rows)| {
            row.extend(calls.iter().map(|(name, arg)| call(name, arg, &rows)));
            (row, 1)
        })
        .collect()
}

fn count(weights: impl Iterator<Item = i64>) -> i64 {
    weights.sum()
}

/// One aggregate call over the rows of a group. No argument means `count(*)`. NULLs are ignored.
fn call(name: &str, arg: &Option<Expr>, rows: &[(&Row, i64)]) -> Value {
    let Some(arg) = arg else {
        assert_eq!(name, "count");
        return Value::Int(count(rows.iter().map(|(_, weight)| *weight)));
    };
    let values: ZSet = rows
        .iter()
        .map(|(row, weight)| (vec![arg.eval(row)], *weight))
        .filter(|(value, _)| value[0] != Value::Null)
        .collect();
    let present = || values.iter().filter(|(_, weight)| *weight > 0);
    match name {
        "count" => Value::Int(count(values.iter().map(|(_, weight)| weight))),
        "sum" if count(values.iter().map(|(_, weight)| weight)) == 0 => Value::Null,
        "sum" => Value::Int(values.iter().map(|(value, w)| number(&value[0]) * w).sum()),
        "min" => present().next().map_or(Value::Null, |(v, _)| v[0].clone()),
        "max" => present().last().map_or(Value::Null, |(v, _)| v[0].clone()),
        _ => panic!("no such aggregate: {name}"),
    }
}

/// The number for a value. For text it is the length in bytes: any total function will do for a law.
fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Bool(truth) => i64::from(*truth),
        Value::Text(text) => i64::try_from(text.len()).unwrap_or(i64::MAX),
        Value::Null => 0,
    }
}
