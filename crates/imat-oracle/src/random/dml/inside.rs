//! Statements that call a function which changes tables and reads maintained tables.
//!
//! While a statement is open, every maintained table must be current, except those with a base table that has an open
//! statement. So the outer statement writes `outer_t`, which no other view reads, or the function does not read the
//! views over its table.

use super::{Dml, basic, blocks, compound};
use crate::pg::{ident, literal};
use crate::random::seen;
use crate::random::view::{BASES, ViewDef};
use crate::target::Origin;

pub const DDL: [&str; 5] = [
    "CREATE TABLE outer_t (n int PRIMARY KEY, m int)",
    "INSERT INTO outer_t VALUES (1, 1), (2, 1)",
    "CREATE FUNCTION call_inside() RETURNS trigger LANGUAGE plpgsql AS \
     $body$ BEGIN NEW.m := inside(NEW.n); RETURN NEW; END $body$",
    "CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON outer_t FOR EACH ROW WHEN (NEW.m = -1) \
     EXECUTE FUNCTION call_inside()",
    "CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON outer_t FOR EACH ROW WHEN (NEW.m = -2) \
     EXECUTE FUNCTION call_inside()",
];

/// The only view over `outer_t`.
pub const VIEW: &str = "outer view";

pub fn view() -> ViewDef {
    ViewDef {
        name: VIEW.to_owned(),
        query: "SELECT m, count(*) AS rows, sum(n) AS total FROM outer_t GROUP BY m".to_owned(),
        origin: Origin::Materialized,
        exact: true,
        rows: false,
    }
}

/// What the function may do.
struct Inside<'a> {
    /// The views that it may read.
    views: Vec<&'a ViewDef>,
    /// Whether it truncates: an older snapshot then sees an empty table, but not an empty result.
    truncates: bool,
    /// Whether it calls `deeper`.
    calls: bool,
}

pub fn statement(d: &mut Dml) -> String {
    let views: Vec<&ViewDef> = d.views.iter().filter(|v| v.name != VIEW && !v.is_stacked()).collect();
    let mut inside = Inside { views, truncates: true, calls: true };
    const INSERT: &str = "INSERT INTO outer_t SELECT x, inside(x) FROM generate_series(1, 2) AS x \
         ON CONFLICT (n) DO UPDATE SET m = EXCLUDED.m";
    const UPDATE: &str = "UPDATE outer_t SET m = inside(n) WHERE n < 10";
    let outer = match d.dice.weighted(&[(3, 0), (3, 1), (2, 2), (2, 3), (1, 4), (2, 5), (3, 6)]) {
        0 => INSERT.to_owned(),
        1 => UPDATE.to_owned(),
        2 => format!("UPDATE outer_t SET m = {} WHERE n = 1", d.dice.pick(&["-1", "-2"])),
        3 => format!("WITH o AS ({INSERT} RETURNING n) SELECT inside(n + 2) FROM o"),
        4 => "DELETE FROM outer_t WHERE n >= 10 AND inside(n - 10) > 0".to_owned(),
        5 if !inside.views.is_empty() => {
            inside.truncates = false;
            around_a_read(d, &inside.views, UPDATE)
        }
        _ => of_ordinary_table(d, &mut inside.views),
    };
    let body = body(d, &inside, 2);
    inside.calls = false;
    let deeper = if body.contains("deeper(") { function("deeper", &self::body(d, &inside, 1)) } else { String::new() };
    format!("{deeper}{}{outer}", function("inside", &body))
}

/// The outer statement itself reads a maintained table, which changes during the statement.
fn around_a_read(d: &mut Dml, views: &[&ViewDef], change: &str) -> String {
    let view: &ViewDef = d.dice.pick::<&ViewDef>(views);
    format!(
        "WITH o AS ({change} RETURNING n)\nINSERT INTO seen SELECT 0, {}, looked.ours, looked.cells\n\
         FROM ({}) AS looked, (SELECT count(*) FROM o) AS done",
        literal(&view.name),
        seen::both(view)
    )
}

/// A statement on an ordinary table. Removes the views that read this table from `views`.
fn of_ordinary_table(d: &mut Dml, views: &mut Vec<&ViewDef>) -> String {
    let place = d.place();
    let mut names: Vec<String> =
        d.schema.places.iter().filter(|p| p.table == place.table).map(|p| ident(&p.name)).collect();
    names.extend(BASES.map(ident));
    views.retain(|view| !names.iter().any(|name| view.query.contains(name)));
    let key = ident(&d.table(&place).key().name);
    format!("UPDATE {} SET {key} = inside(id) % 5 WHERE id = {}", ident(&place.name), d.dice.range(0, 20))
}

fn function(name: &str, body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {name}(arg int) RETURNS int LANGUAGE plpgsql AS $body$\n\
         #variable_conflict use_column\nDECLARE {}\nBEGIN\n{body}\n{}\nRETURN arg; END $body$;\n",
        seen::VARIABLES,
        seen::STORE
    )
}

/// Changes and reads, nested at most `depth` blocks deep.
fn body(d: &mut Dml, inside: &Inside, depth: u32) -> String {
    let mut parts = Vec::new();
    for _ in 0..d.dice.range(1, 2) {
        parts.push(match d.dice.weighted(&[(5, 0), (4 * depth.min(1), 1), (u32::from(inside.calls), 2)]) {
            0 => change(d, inside),
            1 => block(d, inside, depth - 1),
            _ if d.dice.chance(40) => "PERFORM deeper(arg);".to_owned(),
            _ => "INSERT INTO outer_t SELECT arg + 10, deeper(arg) ON CONFLICT (n) DO UPDATE SET m = EXCLUDED.m;"
                .to_owned(),
        });
        parts.push(looks(d, inside));
    }
    parts.join("\n")
}

/// A block that may end with an error. Then the flushes in it are undone.
fn block(d: &mut Dml, inside: &Inside, depth: u32) -> String {
    let undone = body(d, inside, depth);
    let raise = *d.dice.pick(&["RAISE EXCEPTION 'undo';", "PERFORM 1 / 0;", ""]);
    let instead = match d.dice.index(3) {
        0 => change(d, inside),
        1 => looks(d, inside),
        _ => "NULL;".to_owned(),
    };
    format!("BEGIN\n{undone}\n{raise}\n{}\n{instead}\nEND;", blocks::CAUGHT)
}

fn change(d: &mut Dml, inside: &Inside) -> String {
    let merge = if d.version >= 150_000 { 2 } else { 0 };
    let truncate = if inside.truncates { 2 } else { 0 };
    let sql = match d.dice.weighted(&[(22, 0), (2, 1), (2, 2), (2, 3), (merge, 4), (truncate, 5)]) {
        _ if d.crowded() && d.dice.chance(60) => basic::delete(d),
        0 => blocks::simple(d),
        1 => compound::insert_select(d),
        2 => compound::update_from(d),
        3 => compound::data_modifying_cte(d),
        4 => compound::merge(d),
        _ => basic::truncate(d),
    };
    let execute = format!("EXECUTE $dml${sql}$dml$;");
    if d.dice.chance(60) { format!("BEGIN {execute} {} NULL; END;", blocks::CAUGHT) } else { execute }
}

/// Reads one of the views, sometimes all.
fn looks(d: &mut Dml, inside: &Inside) -> String {
    let some = if inside.views.is_empty() || d.dice.chance(15) {
        Vec::new()
    } else if d.dice.chance(20) {
        inside.views.clone()
    } else {
        vec![*d.dice.pick(&inside.views)]
    };
    let mut out = String::new();
    for view in some {
        let meanwhile = if d.dice.chance(40) { format!("{};", blocks::simple(d)) } else { String::new() };
        out += &seen::look(d.dice, view, &meanwhile);
        out.push('\n');
    }
    out
}
