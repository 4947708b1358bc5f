//! Statements of the queues in which changes wait for a maintained table that is being built.
//!
//! A queue has the columns of its base table's delta, the weight `w`, and in `x` the transaction that
//! changed the row. A weight of 0 says that there were changes of which no rows are known. By `x`, which
//! is indexed, whoever takes what has come since a snapshot need not pass all that was taken before.

use crate::name::{QName, ident, literal};
use crate::plan::TableUse;
use crate::sql::{Sql, by_image};

/// The relation from which [`append`] reads the change.
pub const CHANGE: &str = "imat_change";

/// Creates a queue for a table. `name` gives the names of its columns by their numbers. What it holds
/// is of no use after a crash, so it is not logged.
pub fn create(queue: &QName, table: &TableUse, name: impl Fn(i16) -> String) -> Sql {
    let columns = table.columns.iter().map(|&number| format!("t.{} AS c{number}, ", ident(&name(number))));
    Sql::new(format!(
        "CREATE UNLOGGED TABLE {queue} WITH (autovacuum_enabled = off) AS \
         SELECT {}0 AS w, NULL::xid8 AS x FROM {} AS t WITH NO DATA",
        columns.collect::<String>(),
        table.name
    ))
}

pub fn create_index(queue: &QName) -> Sql {
    Sql::new(format!("CREATE INDEX ON {queue} (x)"))
}

fn columns(table: &TableUse) -> String {
    table.columns.iter().map(|number| format!("c{number}, ")).collect()
}

/// Appends [`CHANGE`].
pub fn append(queue: &QName, table: &TableUse) -> Sql {
    let columns = columns(table);
    Sql::new(format!(
        "INSERT INTO {queue} ({columns}w, x) SELECT {columns}w, pg_catalog.pg_current_xact_id() FROM {CHANGE} AS c"
    ))
}

/// Notes that there were changes of which no rows are known.
pub fn note(queue: &QName) -> Sql {
    Sql::new(format!("INSERT INTO {queue} (w, x) VALUES (0, pg_catalog.pg_current_xact_id())"))
}

/// Deletes the notes, which no transaction before `from` made.
pub fn take_notes(queue: &QName, from: &str) -> Sql {
    Sql::new(format!("DELETE FROM {queue} WHERE x >= {} AND w = 0", literal(from)))
}

/// Deletes the rest and returns what remains of it when rows that came and went are left out: the
/// change that one statement would have made.
pub fn take(queue: &QName, table: &TableUse, from: &str) -> Sql {
    let columns = columns(table);
    let taken = format!("DELETE FROM {queue} WHERE x >= {} RETURNING {columns}w", literal(from));
    let row: Vec<String> = table.columns.iter().map(|number| format!("b.c{number}")).collect();
    Sql::new(format!(
        "WITH q AS ({taken}) SELECT {columns}pg_catalog.sign(n)::integer AS w FROM ({}) AS e ({columns}delta, image, n, r) \
         CROSS JOIN LATERAL pg_catalog.generate_series(1, pg_catalog.abs(n)) WHERE e.r = 1 AND e.n <> 0",
        by_image("q", &row.join(", "))
    ))
}

/// Deletes the rest.
pub fn skip(queue: &QName, from: &str) -> Sql {
    Sql::new(format!("DELETE FROM {queue} WHERE x >= {}", literal(from)))
}
