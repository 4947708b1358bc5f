//! Statements that find the keys to lock, and what contradicts a foreign key.

use crate::facts::{ForeignKey, Table};
use crate::name::ident;
use crate::rel::Rel;
use crate::scalar::Scalar;
use crate::sql::{Sql, render};

/// See [`crate::plan::locks::Step::keys`].
pub fn keys(queries: &[(Rel, [Scalar; 3])], tables: &[Table], follows: bool) -> Sql {
    let names = ["edge", "side", "key"].map(str::to_owned);
    let blocks = queries.iter().flat_map(|(rel, outputs)| {
        // A product of tables and a filter.
        render::blocks(rel, outputs, tables).expect("a path is linear")
    });
    let found = render::union_all(&blocks.collect::<Vec<_>>(), &names).expect("a change needs some key");
    // There are no more changed rows than can be looked at; of what they match there can be any number.
    Sql::new(match follows {
        true => format!("SELECT DISTINCT k.edge, k.side, k.key FROM ({found}) AS k LIMIT $1"),
        false => found,
    })
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

/// See [`crate::plan::references::Reference::orphan`].
pub fn orphan(child: &Table, parent: &Table, key: &ForeignKey) -> Sql {
    let name = |table: &Table, number: i16| {
        let column = table.columns.iter().find(|column| column.number == number);
        column.map_or_else(String::new, |column| ident(&column.name))
    };
    let columns: Vec<String> = key.columns.iter().map(|&number| format!("c.{}", name(child, number))).collect();
    let known: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
    let referenced = key.referenced.iter().map(|&number| format!("p.{}", name(parent, number)));
    let equal: Vec<String> =
        referenced.zip(&columns).map(|(parent, child)| format!("{parent} OPERATOR(pg_catalog.=) {child}")).collect();
    Sql::new(format!(
        "SELECT 1 FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}) LIMIT 1",
        child.name,
        known.join(" AND "),
        parent.name,
        equal.join(" AND ")
    ))
}

/// A NULL is equal to nothing.
pub fn is_not_null(key: &Scalar) -> Scalar {
    let mut test = key.clone();
    test.push_text(" IS NOT NULL");
    test
}
