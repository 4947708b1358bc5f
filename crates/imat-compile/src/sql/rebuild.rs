//! Statements that make a state what it would be if it were new.
//!
//! Rows are compared by their exact image, so what is equal but not identical is written too, and what
//! is identical is left alone: a row that need not change gets no new version.

use crate::name::{QName, ident};
use crate::plan::Plan;
use crate::sql::Sql;
use crate::sql::grouped::digest_of;
use crate::sql::statements::Rebuild;

/// The relation in which `delete` and `insert` find the difference.
pub const DIFFERENCE: &str = "imat_difference";

pub fn statements(plan: &Plan, state: &QName) -> Rebuild {
    let (columns, content) = plan.content();
    let columns = columns.join(", ");
    let filled: Vec<String> = plan.tables.iter().map(|table| format!("EXISTS (SELECT FROM {})", table.name)).collect();
    let possible = plan.needs_every_table() && !filled.is_empty();
    let (difference, tid) = (difference(plan, state, &content), plan.unused("tid"));
    Rebuild {
        digest: digest_of(&difference),
        filled: Sql::new(format!("SELECT 1 FROM {state} LIMIT 1")),
        populate: Sql::new(format!("INSERT INTO {state} ({columns}) {content}")),
        possible: possible.then(|| Sql::new(format!("SELECT 1 WHERE {}", filled.join(" AND ")))),
        clear: Sql::new(format!("DELETE FROM {state}")),
        difference: Sql::new(difference),
        delete: Sql::new(format!("DELETE FROM {state} AS s USING {DIFFERENCE} AS d WHERE s.ctid = d.{tid}")),
        insert: Sql::new(format!(
            "INSERT INTO {state} ({columns}) SELECT {columns} FROM {DIFFERENCE} AS d WHERE d.{tid} IS NULL"
        )),
    }
}

/// The rows that the state lacks, and the tids of those that it should not have.
fn difference(plan: &Plan, state: &QName, content: &str) -> String {
    let (tid, image) = (plan.unused("tid"), plan.unused("image"));
    let names: Vec<String> = plan.columns.iter().map(|column| ident(&column.name)).collect();
    let known = plan.content().0;
    // As they would be stored: a cast gives a value the column's type modifier.
    let values: Vec<String> = names
        .iter()
        .zip(&plan.columns)
        .map(|(name, column)| match known.contains(name) {
            true => format!("c.{name}::{} AS {name}", column.ty),
            false => format!("NULL::{} AS {name}", column.ty),
        })
        .collect();
    let row = |alias: &str| {
        let fields: Vec<String> = names.iter().map(|name| format!("{alias}.{name}")).collect();
        format!("imat_catalog.row_image(ROW({})) AS {image}", fields.join(", "))
    };
    format!(
        "SELECT n.*, s.{tid} FROM (SELECT v.*, {} FROM (SELECT {} FROM ({content}) AS c) AS v) AS n \
         FULL JOIN (SELECT s.ctid AS {tid}, {} FROM {state} AS s) AS s ON n.{image} = s.{image} \
         WHERE n.{image} IS NULL OR s.{image} IS NULL",
        row("v"),
        values.join(", "),
        row("s")
    )
}
