//! Groups and plain rows over inner joins: the views with the strategy "arithmetic".

use super::source::{self, Field, From};
use super::{Expr, Gen, Query, aggregate, expr, select_list};
use crate::random::values::Ty;

pub fn where_clause(g: &mut Gen, from: &From, percent: u32) -> String {
    let mut all = from.conditions.clone();
    if g.dice.chance(percent) {
        all.push(expr::predicate(g, &from.fields, 2));
    }
    // The condition before a comma join's own must keep its precedence.
    if all.is_empty() { String::new() } else { format!("\nWHERE ({})", all.join(") AND (")) }
}

fn types(items: &[Expr]) -> Vec<Ty> {
    items.iter().map(|e| e.ty).collect()
}

/// A grouped query over `inputs` joined inputs, with `keys` keys, or zero to three.
pub fn query(g: &mut Gen, inputs: usize, keys: Option<usize>) -> Query {
    let from = source::inner(g, inputs);
    over(g, &from, keys)
}

/// A grouped query over a FROM clause.
pub fn over(g: &mut Gen, from: &From, keys: Option<usize>) -> Query {
    let n = keys.unwrap_or_else(|| g.dice.weighted(&[(1, 0), (6, 1), (4, 2), (2, 3)]));
    if n > 0
        && g.dice.chance(6)
        && let Some(query) = by_primary_key(g, from)
    {
        return query;
    }
    let keys: Vec<Expr> = (0..n).map(|_| expr::key(g, &from.fields)).collect();
    let mut items = Vec::new();
    for key in &keys {
        if g.dice.chance(80) {
            items.push(key.clone());
        }
    }
    let few = if keys.is_empty() || items.is_empty() { 1 } else { 0 };
    for _ in 0..g.dice.range(few, 3) {
        items.push(aggregate::item(g, &from.fields, &keys));
    }
    if items.is_empty() {
        items.push(Expr { sql: "count(*)".into(), ty: Ty::Big });
    }
    // The same item again under another name.
    if g.dice.chance(12) {
        let again = g.dice.pick(&items).clone();
        items.push(again);
    }
    let items = g.dice.shuffled(&items);
    let list = select_list(g.dice, &items);
    let filter = where_clause(g, from, 35);
    let group = group_by(g, &keys, &items);
    let having =
        if g.dice.chance(20) { format!("\nHAVING {}", aggregate::having(g, &from.fields)) } else { String::new() };
    let order = match g.dice.index(20) {
        0 => "\nORDER BY 1".to_owned(),
        1 => format!("\nORDER BY 1, {}", items.len()),
        _ => String::new(),
    };
    Query::of_groups(format!("SELECT {list}\nFROM {}{filter}{group}{having}{order}", from.sql), types(&items))
}

/// GROUP BY expressions, or sometimes positions of items. The parentheses make a constant key an expression, which
/// would otherwise be a position.
fn group_by(g: &mut Gen, keys: &[Expr], items: &[Expr]) -> String {
    let by_position = g.dice.chance(25);
    let mut list = Vec::new();
    for key in keys {
        let places = items.iter().enumerate().filter(|(_, item)| by_position && item.sql == key.sql);
        let places: Vec<String> = places.map(|(at, _)| (at + 1).to_string()).collect();
        match key.sql.as_str() {
            _ if !places.is_empty() => list.extend(places),
            "1" => list.push("(1 + 0)".to_owned()),
            sql => list.push(sql.to_owned()),
        }
    }
    if list.is_empty() { String::new() } else { format!("\nGROUP BY {}", list.join(", ")) }
}

/// Groups by a primary key and selects columns that depend on it.
fn by_primary_key(g: &mut Gen, from: &From) -> Option<Query> {
    let (start, end) = *from.unique.first()?;
    let own: &[Field] = &from.fields[start..end];
    let mut items: Vec<Expr> = (0..2).map(|_| expr::plain(g, own)).collect();
    items.push(aggregate::call(g, &from.fields));
    let list = select_list(g.dice, &items);
    let filter = where_clause(g, from, 30);
    let sql = format!("SELECT {list}\nFROM {}{filter}\nGROUP BY {}", from.sql, own[0].sql);
    Some(Query::of_groups(sql, types(&items)))
}

/// Groups or rows of a table that references another one twice.
pub fn twice(g: &mut Gen) -> Query {
    match source::twice(g) {
        Some(from) if g.dice.chance(25) => rows_over(g, &from),
        Some(from) => over(g, &from, None),
        None => query(g, 3, None),
    }
}

/// Rows of one to four joined inputs, with duplicates.
pub fn rows(g: &mut Gen) -> Query {
    let n = g.dice.weighted(&[(4, 1), (6, 2), (2, 3)]);
    let from = source::inner(g, n);
    rows_over(g, &from)
}

/// Groups or rows over a maintained table without groups.
pub fn over_rows(g: &mut Gen) -> Query {
    let from = source::over_rows(g);
    match g.dice.chance(30) {
        true => rows_over(g, &from),
        false => over(g, &from, None),
    }
}

/// Some expressions over a FROM clause, without groups.
pub fn rows_over(g: &mut Gen, from: &From) -> Query {
    let n = g.dice.range(1, 4);
    let items: Vec<Expr> = (0..n)
        .map(|_| match g.dice.index(6) {
            0 => expr::int(g, &from.fields),
            1 => expr::text(g, &from.fields),
            2 => expr::key(g, &from.fields),
            _ => expr::plain(g, &from.fields),
        })
        .collect();
    let list = select_list(g.dice, &items);
    let filter = where_clause(g, from, 40);
    Query::of_rows(format!("SELECT {list}\nFROM {}{filter}", from.sql), types(&items))
}

/// A small number, a text and another number from one table, for use in other queries.
pub fn simple_rows(g: &mut Gen) -> Query {
    let at = g.dice.index(g.schema.tables.len());
    let input = source::table(g, at);
    let key = input.fields[1].sql.clone();
    let (number, text) = (expr::int(g, &input.fields).sql, expr::text(g, &input.fields).sql);
    let filter =
        if g.dice.chance(40) { format!(" WHERE {}", expr::predicate(g, &input.fields, 1)) } else { String::new() };
    let sql = format!("SELECT {key} AS c1, {text} AS c2, {number} AS c3 FROM {}{filter}", input.sql);
    Query::of_rows(sql, vec![Ty::Int, Ty::Text, Ty::Int])
}

/// One row per key, for use in other queries.
pub fn simple_groups(g: &mut Gen) -> Query {
    let at = g.dice.index(g.schema.tables.len());
    let input = source::table(g, at);
    let key = input.fields[1].sql.clone();
    let number = expr::int(g, &input.fields).sql;
    let sql = format!("SELECT {key} AS c1, count(*) AS c2, sum({number}) AS c3 FROM {} GROUP BY {key}", input.sql);
    Query::of_groups(sql, vec![Ty::Int, Ty::Big, Ty::Big])
}
