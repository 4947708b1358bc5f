//! Statements that make a state what it would be if it were new.
//!
//! Rows are compared by their exact image. A row that is equal but not identical is written too; an identical one
//! is left alone and gets no new version.

use crate::name::{QName, ident};
use crate::plan::Plan;
use crate::sql::Sql;
use crate::sql::builder::{Select, list, qualified, subquery};
use crate::sql::grouped::digest_of;
use crate::sql::statements::Rebuild;

/// The relation in which `delete` and `insert` find the difference.
pub const DIFFERENCE: &str = "imat_difference";

pub fn statements(plan: &Plan, state: &QName) -> Rebuild {
    let (columns, content) = plan.content();
    let filled = plan.tables.iter().map(|table| format!("EXISTS (SELECT FROM {})", table.name));
    let possible = plan.needs_every_table() && !plan.tables.is_empty();
    let difference = difference(plan, state, &columns, content.clone());
    let (columns, tid) = (list(columns), plan.unused("tid"));
    Rebuild {
        digest: digest_of(&[], &difference),
        filled: Sql::new(format!("SELECT 1 FROM {state} LIMIT 1")),
        populate: Sql::new(format!("INSERT INTO {state} ({columns}) {content}")),
        possible: possible.then(|| Sql::new(Select::new(["1"]).filter(filled))),
        clear: Sql::new(format!("DELETE FROM {state}")),
        difference: Sql::new(difference),
        delete: Sql::new(format!("DELETE FROM {state} AS s USING {DIFFERENCE} AS d WHERE s.ctid = d.{tid}")),
        insert: Sql::new(format!(
            "INSERT INTO {state} ({columns}) SELECT {columns} FROM {DIFFERENCE} AS d WHERE d.{tid} IS NULL"
        )),
    }
}

/// The rows that the state lacks, and the tids of those that it should not have.
fn difference(plan: &Plan, state: &QName, known: &[String], content: Select) -> Select {
    let (tid, image) = (plan.unused("tid"), plan.unused("image"));
    let names: Vec<String> = plan.columns.iter().map(|column| ident(&column.name)).collect();
    // As they would be stored: a cast gives a value the column's type modifier.
    let values = names.iter().zip(&plan.columns).map(|(name, column)| match known.contains(name) {
        true => format!("c.{name}::{} AS {name}", column.ty),
        false => format!("NULL::{} AS {name}", column.ty),
    });
    let image_of = |alias| format!("imat_catalog.row_image(ROW({})) AS {image}", list(qualified(alias, &names)));
    let values = Select::new(values).from([subquery(content, "c")]);
    let new = Select::new(["v.*".to_owned(), image_of("v")]).from([subquery(values, "v")]);
    let stored = Select::new([format!("s.ctid AS {tid}"), image_of("s")]).from([format!("{state} AS s")]);
    let (new, stored) = (subquery(new, "n"), subquery(stored, "s"));
    Select::new(["n.*".to_owned(), format!("s.{tid}")])
        .from([format!("{new} FULL JOIN {stored} ON n.{image} = s.{image}")])
        .filter([format!("n.{image} IS NULL OR s.{image} IS NULL")])
}
