//! The reference interpreter: the meaning of a [`Rel`](crate::rel::Rel) in the simplest form.
//!
//! It exists for tests, which compare a derived delta with the difference that it should be. It is not fast.

mod eval;
mod expr;

use std::collections::BTreeMap;
use std::ops::{Add, Mul, Neg, Sub};

/// An SQL value. The order is total, so that rows can be keys of a map; in expressions NULL means unknown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
}

pub type Row = Vec<Value>;

/// Rows with integer multiplicities; none is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZSet(BTreeMap<Row, i64>);

impl ZSet {
    /// Adds `weight` copies of a row.
    pub fn insert(&mut self, row: Row, weight: i64) {
        let sum = self.weight(&row) + weight;
        if sum == 0 {
            self.0.remove(&row);
        } else {
            self.0.insert(row, sum);
        }
    }

    pub fn weight(&self, row: &Row) -> i64 {
        self.0.get(row).copied().unwrap_or(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Row, i64)> {
        self.0.iter().map(|(row, weight)| (row, *weight))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no multiplicity is negative, as in every base table.
    pub fn is_bag(&self) -> bool {
        self.0.values().all(|weight| *weight > 0)
    }
}

impl FromIterator<(Row, i64)> for ZSet {
    fn from_iter<I: IntoIterator<Item = (Row, i64)>>(rows: I) -> Self {
        let mut sum = ZSet::default();
        for (row, weight) in rows {
            sum.insert(row, weight);
        }
        sum
    }
}

impl Mul<i64> for &ZSet {
    type Output = ZSet;

    fn mul(self, factor: i64) -> ZSet {
        let scaled = self.iter().map(|(row, weight)| (row.clone(), weight * factor));
        scaled.collect()
    }
}

impl Neg for &ZSet {
    type Output = ZSet;

    fn neg(self) -> ZSet {
        self * -1
    }
}

impl Add for &ZSet {
    type Output = ZSet;

    fn add(self, other: &ZSet) -> ZSet {
        let mut sum = self.clone();
        for (row, weight) in other.iter() {
            sum.insert(row.clone(), weight);
        }
        sum
    }
}

impl Sub for &ZSet {
    type Output = ZSet;

    fn sub(self, other: &ZSet) -> ZSet {
        self + &-other
    }
}

/// One base table: its rows before a change, and the change.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub old: ZSet,
    pub delta: ZSet,
}

/// The tables, by index.
#[derive(Clone, Debug, Default)]
pub struct Database(pub Vec<Stored>);

impl Database {
    /// The database before the change.
    pub fn before(&self) -> Database {
        self.without_change(|table| table.old.clone())
    }

    /// The database after the change, with no change pending.
    pub fn after(&self) -> Database {
        self.without_change(|table| &table.old + &table.delta)
    }

    fn without_change(&self, rows: impl Fn(&Stored) -> ZSet) -> Database {
        let still = |table| Stored { old: rows(table), delta: ZSet::default() };
        Database(self.0.iter().map(still).collect())
    }
}
