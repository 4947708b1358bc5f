//! Expressions over two joined tables, or over one of them, that never fail for a pair of rows which exist at the same
//! time: see `dml::pairs`.

use super::source::{self, Field, From};
use super::{Gen, Query, expr, guarded};
use crate::random::dml::pairs::{LONELY, WAYS};
use crate::random::schema::Role;
use crate::random::values::Ty;

pub fn query(g: &mut Gen) -> Query {
    let (from, frail) = from(g);
    match g.dice.index(4) {
        0 => guarded::of_frail(g, &source::below(from, &[("frail", &frail)]), "below.frail"),
        1 => {
            let number = g.dice.pick(&[&from.fields[1], &from.fields[4]]).sql.clone();
            guarded::kept_above(g, from, &format!("{number} <> 0"), &format!("12 / {number}"))
        }
        _ => guarded::of_frail(g, &from, &frail),
    }
}

fn side(g: &mut Gen, table: &str, number: &str) -> (String, Vec<Field>) {
    let alias = g.alias();
    let field = |name: &str, ty, role| Field { sql: format!("{alias}.{name}"), ty, role };
    let fields =
        vec![field("k", Ty::Int, Role::Key), field(number, Ty::Int, Role::Value), field("s", Ty::Text, Role::Value)];
    (format!("{table} AS {alias}"), fields)
}

/// The connection between the two keys: none, or a table that alone joins their rows. And further conditions on it.
fn between(g: &mut Gen, left: &str, right: &str) -> (String, String, Option<String>) {
    let left = &if g.dice.chance(30) { format!("abs({left})") } else { left.to_owned() };
    if g.dice.chance(50) {
        return (String::new(), format!("{left} = {right}"), None);
    }
    let alias = g.alias();
    // If the path has the same key at both ends, PostgreSQL can derive that both tables have this key.
    let (table, far, guard) = g.dice.weighted(&[(1, WAYS[0]), (3, WAYS[1])]);
    let near = format!(" JOIN {table} AS {alias} ON {alias}.k = {left}");
    (near, format!("{right} = {alias}.{far}"), guard.map(|guard| format!("{alias}.{guard}")))
}

/// One of the tables joined with the other, or with itself, whose numbers differ by an even number; sometimes with a
/// third table.
fn from(g: &mut Gen) -> (From, String) {
    let (one, left) = side(g, "one_side", "x");
    let itself = g.dice.chance(30);
    let (other, right) = if itself { side(g, "one_side", "x") } else { side(g, "other_side", "y") };
    let odd = format!("({} - {}{})", left[1].sql, right[1].sql, if itself { " - 1" } else { "" });
    let one_sided = [(&left, LONELY[0]), (&right, LONELY[1])]
        .map(|(side, key)| format!("(CASE {} WHEN {key} THEN {} ELSE 1 END)", side[0].sql, side[1].sql));
    let (way, on, guard) = between(g, &left[0].sql, &right[0].sql);
    let mut sql = format!("{one}{way} JOIN {other} ON {on}");
    let mut fields = [left, right].concat();
    if g.dice.chance(30) {
        let (third, more) = side(g, "other_side", "y");
        sql += &format!(" JOIN {third} ON {} = {}", more[0].sql, g.dice.pick(&[&fields[0], &fields[3]]).sql);
        fields.extend(more);
    }
    let mut conditions: Vec<String> = guard.into_iter().collect();
    if g.dice.chance(30) {
        conditions.push(expr::predicate(g, &fields, 1));
    }
    let form = *g.dice.pick(&["(12 / {})", "(12 % {})", "(100 / {} - 3)"]);
    if !itself && g.dice.chance(35) {
        // As a condition it would be computed for rows that are not joined.
        let frail = form.replace("{}", g.dice.pick::<String>(&one_sided));
        return (From { sql, fields, conditions, unique: Vec::new() }, frail);
    }
    let frail = form.replace("{}", &odd);
    if g.dice.chance(if way.is_empty() { 35 } else { 75 }) {
        let at = g.dice.index(conditions.len() + 1);
        conditions.insert(at, format!("{frail} {} {}", g.dice.pick(&["<", ">", "<>"]), g.dice.range(-3, 6)));
    }
    (From { sql, fields, conditions, unique: Vec::new() }, frail)
}
