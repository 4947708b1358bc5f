//! Statements that find the keys to lock.

use crate::facts::Table;
use crate::rel::Rel;
use crate::scalar::Scalar;
use crate::sql::{Sql, render};

/// See [`crate::plan::locks::Step::keys`].
pub fn keys(queries: &[(Rel, [Scalar; 3])], tables: &[Table]) -> Sql {
    let names = ["edge", "side", "key"].map(str::to_owned);
    let blocks = queries.iter().flat_map(|(rel, outputs)| {
        // A product of tables and a filter.
        render::blocks(rel, outputs, tables).expect("a path is linear")
    });
    let found = render::union_all(&blocks.collect::<Vec<_>>(), &names).expect("a change needs some key");
    Sql::new(format!("SELECT DISTINCT k.edge, k.side, k.key FROM ({found}) AS k LIMIT $1"))
}

/// A number that equal keys share. PostgreSQL's hash of a record is made of its fields' hashes,
/// which agree among the types of one operator family.
pub fn hash(keys: &[&Scalar]) -> Scalar {
    if keys.is_empty() {
        return Scalar::text("0");
    }
    let mut hash = Scalar::text("pg_catalog.hash_record(ROW(");
    for (position, key) in keys.iter().enumerate() {
        hash.push_text(if position == 0 { "" } else { ", " });
        hash.push(key);
    }
    hash.push_text("))");
    hash
}

/// A NULL is equal to nothing.
pub fn is_not_null(key: &Scalar) -> Scalar {
    let mut test = key.clone();
    test.push_text(" IS NOT NULL");
    test
}
