//! Statements of the queues in which changes wait for a maintained table that is being built.
//!
//! A queue has the columns of its base table's delta, the weight `w`, and in `x` the transaction that
//! changed the row. A row of weight 0 is a note: there were changes of which no rows are known. `x` is indexed, so that
//! taking what came since a snapshot does not pass over all that was taken before.

use crate::name::{QName, ident, literal};
use crate::plan::TableUse;
use crate::sql::Sql;
use crate::sql::builder::{Select, list};
use crate::sql::image::by_image;

/// The relation from which [`append`] reads the change.
pub const CHANGE: &str = "imat_change";

/// Creates a queue for a table. `name` gives the names of its columns by their numbers. What it holds
/// is of no use after a crash, so it is not logged.
pub fn create(queue: &QName, table: &TableUse, name: impl Fn(i16) -> String) -> Sql {
    let rows = Select::new(table.columns.iter().map(|&number| format!("t.{} AS c{number}", ident(&name(number)))))
        .columns(["0 AS w", "NULL::xid8 AS x"])
        .from([format!("{} AS t", table.name)]);
    Sql::new(format!("CREATE UNLOGGED TABLE {queue} WITH (autovacuum_enabled = off) AS {rows} WITH NO DATA"))
}

pub fn create_index(queue: &QName) -> Sql {
    Sql::new(format!("CREATE INDEX ON {queue} (x)"))
}

fn columns(table: &TableUse) -> Vec<String> {
    table.columns.iter().map(|number| format!("c{number}")).collect()
}

/// Appends [`CHANGE`].
pub fn append(queue: &QName, table: &TableUse) -> Sql {
    let columns = list(columns(table).into_iter().chain(["w".to_owned()]));
    Sql::new(format!(
        "INSERT INTO {queue} ({columns}, x) SELECT {columns}, pg_catalog.pg_current_xact_id() FROM {CHANGE} AS c"
    ))
}

/// Adds a note.
pub fn note(queue: &QName) -> Sql {
    Sql::new(format!("INSERT INTO {queue} (w, x) VALUES (0, pg_catalog.pg_current_xact_id())"))
}

/// Deletes the notes. None was made by a transaction before `from`.
pub fn take_notes(queue: &QName, from: &str) -> Sql {
    Sql::new(format!("DELETE FROM {queue} WHERE x >= {} AND w = 0", literal(from)))
}

/// Deletes the other rows and returns the change that one statement would have made: without the rows that were added and
/// taken away again.
pub fn take(queue: &QName, table: &TableUse, from: &str) -> Sql {
    let columns = columns(table);
    let list: String = columns.iter().map(|column| format!("{column}, ")).collect();
    let taken = format!("DELETE FROM {queue} WHERE x >= {} RETURNING {list}w", literal(from));
    Sql::new(format!(
        "WITH q AS ({taken}) SELECT {list}pg_catalog.sign(n)::integer AS w FROM ({}) AS e ({list}delta, image, n, r) \
         CROSS JOIN LATERAL pg_catalog.generate_series(1, pg_catalog.abs(n)) WHERE e.r = 1 AND e.n <> 0",
        by_image("q", &columns)
    ))
}

/// Deletes all rows. None was made by a transaction before `from`.
pub fn skip(queue: &QName, from: &str) -> Sql {
    Sql::new(format!("DELETE FROM {queue} WHERE x >= {}", literal(from)))
}
