//! INSERT, UPDATE, DELETE, TRUNCATE and COPY of one table.

use super::{Action, Dml, condition};
use crate::pg::ident;
use crate::random::schema::{Column, Place, Role, Shape, Table};
use crate::random::values;

/// One row of literals, with the given id or a random one.
pub fn insert_one(d: &mut Dml, place: &Place, id: Option<i64>) -> String {
    let table = d.table(place);
    let columns = table.writable();
    let names: Vec<String> = columns.iter().map(|c| ident(&c.name)).collect();
    let values: Vec<String> = columns
        .iter()
        .map(|c| match id {
            Some(id) if c.role == Role::Id => id.to_string(),
            _ => d.literal(c),
        })
        .collect();
    format!("INSERT INTO {} ({}) VALUES ({})", ident(&place.name), names.join(", "), values.join(", "))
}

/// Columns to write, in random order, sometimes without one of them.
fn some_columns<'a>(d: &mut Dml, table: &'a Table) -> Vec<&'a Column> {
    let mut columns: Vec<&Column> = table.writable();
    if d.dice.chance(30) {
        columns = d.dice.shuffled(&columns);
    }
    if d.dice.chance(15) {
        let optional: Vec<usize> = (0..columns.len()).filter(|i| !columns[*i].not_null).collect();
        if !optional.is_empty() && columns.len() > 1 {
            columns.remove(*d.dice.pick(&optional));
        }
    }
    columns
}

pub fn names(columns: &[&Column]) -> String {
    columns.iter().map(|c| ident(&c.name)).collect::<Vec<_>>().join(", ")
}

pub fn insert(d: &mut Dml) -> String {
    let place = d.place();
    let table = d.table(&place);
    let columns = some_columns(d, table);
    let rows = d.dice.weighted(&[(5, 1), (3, 2), (2, 5)]);
    let rows: Vec<String> = (0..rows)
        .map(|_| format!("({})", columns.iter().map(|c| d.literal(c)).collect::<Vec<_>>().join(", ")))
        .collect();
    let returning = if d.dice.chance(8) { " RETURNING *" } else { "" };
    format!("INSERT INTO {} ({}) VALUES {}{returning}", ident(&place.name), names(&columns), rows.join(", "))
}

/// The assignments of an UPDATE. An id is only changed to a value that no other row of the statement can have. `alias`
/// is the alias of the row if a second one is in scope.
pub fn assignments(d: &mut Dml, table: &Table, alias: &str) -> (String, Option<String>) {
    let columns = table.writable();
    let mut only = None;
    let mut parts = Vec::new();
    let many = d.dice.chance(25);
    for c in if many { d.dice.shuffled(&columns) } else { vec![*d.dice.pick(&columns)] }.iter().take(2) {
        let name = ident(&c.name);
        let value = match c.role {
            Role::Id => {
                let (from, to) = (d.dice.range(0, 35), d.dice.range(0, 35));
                only = Some(format!("id = {from}"));
                to.to_string()
            }
            Role::Key if d.dice.chance(30) => format!("({alias}{name} + 1) % 5"),
            _ if d.dice.chance(10) => format!("{alias}{name}"),
            _ if c.ty.is_number() && c.role == Role::Value && d.dice.chance(40) => {
                format!("{alias}{name} + 1")
            }
            _ => d.literal(c),
        };
        parts.push(format!("{name} = {value}"));
    }
    (parts.join(", "), only)
}

pub fn update(d: &mut Dml) -> String {
    let place = d.place();
    let table = d.table(&place);
    let (set, only) = assignments(d, table, "");
    // An unkeyed table can have rows with equal ids. Updating one id at a time is always safe.
    let filter = match only {
        Some(only) => only,
        None => condition(d, table, ""),
    };
    let one = if table.shape == Shape::Inherited && place.root && d.dice.chance(20) { "ONLY " } else { "" };
    let returning = if d.dice.chance(5) { " RETURNING id" } else { "" };
    format!("UPDATE {one}{} SET {set} WHERE {filter}{returning}", ident(&place.name))
}

pub fn delete(d: &mut Dml) -> String {
    let place = d.place();
    let table = d.table(&place);
    let one = if table.shape == Shape::Inherited && place.root && d.dice.chance(20) { "ONLY " } else { "" };
    if d.dice.chance(20) {
        let other = d.dice.pick(&d.schema.tables).clone();
        let filter = condition(d, &other, "o.");
        let (key, other_key) = (ident(&table.key().name), ident(&other.key().name));
        return format!(
            "DELETE FROM {one}{} AS t USING {} AS o WHERE t.{key} = o.{other_key} AND {filter} AND t.id % 2 = 0",
            ident(&place.name),
            ident(&other.name)
        );
    }
    let filter = condition(d, table, "");
    format!("DELETE FROM {one}{} WHERE {filter}", ident(&place.name))
}

pub fn truncate(d: &mut Dml) -> String {
    let place = d.place();
    let one = if d.table(&place).shape == Shape::Inherited && place.root && d.dice.chance(20) { "ONLY " } else { "" };
    let mut list = format!("{one}{}", ident(&place.name));
    if d.dice.chance(20) {
        let second = d.place();
        if second.table != place.table {
            list += &format!(", {}", ident(&second.name));
        }
    }
    let cascade = if d.dice.chance(60) { " CASCADE" } else { "" };
    format!("TRUNCATE {list}{cascade}")
}

pub fn copy(d: &mut Dml) -> Action {
    let place = d.place();
    let table = d.table(&place);
    let columns = some_columns(d, table);
    let mut data = String::new();
    for _ in 0..d.dice.range(0, 5) {
        let cells: Vec<String> = columns.iter().map(|c| cell(d, c)).collect();
        data += &cells.join("\t");
        data.push('\n');
    }
    Action::Copy { sql: format!("COPY {} ({}) FROM STDIN", ident(&place.name), names(&columns)), data }
}

fn cell(d: &mut Dml, column: &Column) -> String {
    if !column.not_null && d.dice.chance(20) {
        return "\\N".to_owned();
    }
    match column.role {
        Role::Id => d.dice.range(0, 35).to_string(),
        Role::Foreign => d.dice.range(0, 14).to_string(),
        Role::Key => d.dice.range(0, 4).to_string(),
        _ => values::value(d.dice, column.ty, column.wild),
    }
}
