//! The data that functions read while a statement is open: a maintained table and its query under one snapshot, kept in
//! a table until the statement ends.

use super::dml::IMAT;
use super::view::ViewDef;
use crate::bag;
use crate::dice::Dice;
use crate::pg::{Result, Row, ident, literal};
use crate::target::{Found, Maintained};
use postgres::Client;
use std::collections::BTreeMap;

pub const DDL: [&str; 3] = [
    "CREATE TABLE seen (step bigint, view text, ours boolean, cells text[])",
    "CREATE SEQUENCE looks",
    "CREATE FUNCTION peek(query text) RETURNS TABLE (ours boolean, cells text[]) LANGUAGE plpgsql STABLE AS \
     $body$ BEGIN RETURN QUERY EXECUTE query; END $body$",
];

/// The variables of a function that reads. The content of `kept` survives when the block is undone.
pub const VARIABLES: &str = "look_no bigint; look_row record; look_cursor refcursor; kept seen[] := '{}';";

/// The end of such a function.
pub const STORE: &str = "INSERT INTO seen SELECT * FROM unnest(kept);";

/// For the end of a replay: the rows that only one side has.
pub const UNEQUAL: &str = "SELECT step, view, cells, sum(CASE WHEN ours THEN 1 ELSE -1 END) AS extra FROM seen \
     GROUP BY step, view, cells HAVING sum(CASE WHEN ours THEN 1 ELSE -1 END) <> 0 ORDER BY step, view";

/// A query for the rows of both, as text cells.
pub fn both(view: &ViewDef) -> String {
    const CELLS: &str = "ARRAY(SELECT value FROM json_each_text(row_to_json(whole_row)))";
    format!(
        "SELECT true AS ours, {CELLS} AS cells FROM {IMAT}.{} AS whole_row\n\
         UNION ALL SELECT false, {CELLS} FROM ({}) AS whole_row",
        ident(&view.name),
        view.query
    )
}

/// PL/pgSQL that reads both in one of several ways. `meanwhile` runs while a cursor is open.
pub fn look(dice: &mut Dice, view: &ViewDef, meanwhile: &str) -> String {
    let (both, name) = (both(view), literal(&view.name));
    let row = |from: &str| format!("ROW(look_no, {name}, {from}.ours, {from}.cells)::seen");
    let read = match dice.index(5) {
        0 => format!("kept := kept || ARRAY(SELECT {} FROM ({both}) AS looked);", row("looked")),
        1 => format!("kept := kept || ARRAY(SELECT {} FROM peek($look${both}$look$) AS looked);", row("looked")),
        2 => format!("INSERT INTO seen SELECT look_no, {name}, looked.* FROM ({both}) AS looked;"),
        3 => format!("FOR look_row IN {both} LOOP kept := kept || {}; END LOOP;", row("look_row")),
        _ => format!(
            "OPEN look_cursor FOR {both};\n{meanwhile}\n\
             LOOP FETCH look_cursor INTO look_row; EXIT WHEN NOT FOUND; kept := kept || {}; END LOOP;\n\
             CLOSE look_cursor;",
            row("look_row")
        ),
    };
    format!("look_no := nextval('looks');\n{read}")
}

/// Removes what the last statement has read; returns the first difference.
pub fn compare(client: &mut Client, tables: &[Maintained]) -> Result<Option<Found>> {
    let mut looks: BTreeMap<(i64, String), [Vec<Row>; 2]> = BTreeMap::new();
    for row in client.query("DELETE FROM seen RETURNING step, view, ours, cells", &[])? {
        let ours: bool = row.get(2);
        looks.entry((row.get(0), row.get(1))).or_default()[usize::from(ours)].push(row.get(3));
    }
    for ((_, name), [expected, actual]) in looks {
        let Some(view) = tables.iter().position(|table| table.name == name) else {
            continue;
        };
        let difference = bag::difference(&expected, &actual, &tables[view].kinds);
        if !difference.is_empty() {
            return Ok(Some(Found { view, difference, expected, actual }));
        }
    }
    Ok(None)
}
