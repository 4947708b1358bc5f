//! Expressions that fail on rows which a guard excludes, in every place where SQL guarantees the order.

use super::source::{self, From};
use super::{Expr, Gen, Query, expr, select_list};
use crate::pg::ident;
use crate::random::values::Ty;

pub fn query(g: &mut Gen) -> Query {
    match g.dice.index(12) {
        0 | 1 => kept(g),
        2 => rows(g),
        3 | 4 => kept_by(g, filtered),
        5 | 6 => kept_by(g, chosen),
        7 => having(g),
        8 => fenced_view(g),
        9 => fenced_with(g),
        _ => joined_by(g),
    }
}

/// WHERE guards an expression that joins a table with others. There is no other join condition that a plan of the query
/// could evaluate first.
fn joined_by(g: &mut Gen) -> Query {
    let mut next = || {
        let at = g.dice.index(g.schema.tables.len());
        source::table(g, at)
    };
    let (guarded, other, third) = (next(), next(), next());
    let (guard, frail) = expr::guarded(g, &guarded.fields);
    let operator = g.dice.pick(&["=", "=", "=", "<", ">="]);
    let key = other.fields[1].sql.clone();
    let on = if g.dice.chance(50) {
        format!("{key} {operator} {}", frail.sql)
    } else {
        format!("{} {operator} {key}", frail.sql)
    };
    let mut from = From {
        sql: format!("{}, {}", guarded.sql, other.sql),
        fields: [guarded.fields, other.fields].concat(),
        conditions: vec![on],
        unique: Vec::new(),
    };
    if g.dice.chance(35) {
        let end = if third.unique_id { &third.fields[0] } else { &third.fields[1] };
        from.conditions.push(format!("{} = {key}", end.sql));
        from.sql += &format!(", {}", third.sql);
        from.fields.extend(third.fields);
    }
    let at = g.dice.index(from.conditions.len() + 1);
    from.conditions.insert(at, guard);
    of_frail(g, &from, &frail.sql)
}

/// Groups or rows over a FROM clause whose conditions make `frail` safe to compute.
pub fn of_frail(g: &mut Gen, from: &From, frail: &str) -> Query {
    let filter = match from.conditions.as_slice() {
        [] => String::new(),
        all => format!("\nWHERE ({})", all.join(") AND (")),
    };
    let argument = expr::int(g, &from.fields).sql;
    match g.dice.index(5) {
        0 => {
            let items = vec![call(g, &argument), call(g, frail)];
            grouped(g, from, Some(Expr { sql: frail.to_owned(), ty: Ty::Int }), items, &filter)
        }
        1 => {
            let items = [expr::plain(g, &from.fields), Expr { sql: frail.to_owned(), ty: Ty::Int }];
            let list = select_list(g.dice, &items);
            let types = items.iter().map(|item| item.ty).collect();
            Query::of_rows(format!("SELECT {list}\nFROM {}{}", from.sql, filter), types)
        }
        2 => {
            let item = call(g, &argument);
            let bound = format!("{} {}", g.dice.pick(&["<", ">", "<>"]), g.dice.range(-3, 6));
            let item = Expr { sql: format!("{} FILTER (WHERE {frail} {bound})", item.sql), ..item };
            let key = key(g, from);
            grouped(g, from, key, vec![item], &filter)
        }
        _ => {
            let items = vec![call(g, frail), call(g, frail)];
            let key = key(g, from);
            grouped(g, from, key, items, &filter)
        }
    }
}

/// Rows for a security barrier, with its guard: a key, a text that is a number, a number that is not zero.
pub fn kept_rows(g: &mut Gen) -> Query {
    let at = g.dice.index(g.schema.tables.len());
    let input = source::table(g, at);
    let number = expr::int(g, &input.fields).sql;
    let key = &input.fields[1].sql;
    let sql = format!("SELECT {key} AS c1, {number} AS c2, {key} AS c3 FROM {} WHERE is_not_zero({number})", input.sql);
    Query::of_rows(sql, vec![Ty::Int, Ty::Int, Ty::Int])
}

fn from(g: &mut Gen) -> From {
    if g.dice.chance(50) { source::inner(g, 1) } else { several(g) }
}

fn several(g: &mut Gen) -> From {
    let twice = if g.dice.chance(50) { source::twice(g) } else { None };
    twice.unwrap_or_else(|| source::inner(g, 2))
}

/// WHERE with a guard.
fn filter(from: &From, guard: &str) -> String {
    let all: Vec<String> = from.conditions.iter().cloned().chain([guard.to_owned()]).collect();
    format!("\nWHERE ({})", all.join(") AND ("))
}

/// An aggregate of an integer, also of the kind that needs the group's rows.
fn call(g: &mut Gen, argument: &str) -> Expr {
    let (call, ty) = *g.dice.pick(&[
        ("count({})", Ty::Big),
        ("sum({})", Ty::Big),
        ("avg({})", Ty::Num),
        ("min({})", Ty::Int),
        ("max({})", Ty::Int),
        ("stddev({})", Ty::Num),
        ("bool_or({} > 1)", Ty::Bool),
        ("bool_and({} > 1)", Ty::Bool),
        ("count(DISTINCT {})", Ty::Big),
    ]);
    Expr { sql: call.replace("{}", argument), ty }
}

/// One to three items, grouped by `key` if it is given.
fn grouped(g: &mut Gen, from: &From, key: Option<Expr>, items: Vec<Expr>, filter: &str) -> Query {
    let group = key.as_ref().map_or(String::new(), |key| format!("\nGROUP BY {}", key.sql));
    let items: Vec<Expr> = key.into_iter().chain(items).collect();
    let list = select_list(g.dice, &items);
    let types = items.iter().map(|item| item.ty).collect();
    Query::of_groups(format!("SELECT {list}\nFROM {}{filter}{group}", from.sql), types)
}

fn key(g: &mut Gen, from: &From) -> Option<Expr> {
    let key = expr::key(g, &from.fields);
    (key.sql != "1" && g.dice.chance(80)).then_some(key)
}

/// WHERE guards the argument of an aggregate, or the key.
fn kept(g: &mut Gen) -> Query {
    let from = from(g);
    let (guard, frail) = expr::guarded(g, &from.fields);
    let filter = filter(&from, &guard);
    if g.dice.chance(45) {
        let argument = expr::int(g, &from.fields).sql;
        let items = vec![call(g, &argument), call(g, &frail.sql)];
        return grouped(g, &from, Some(frail), items, &filter);
    }
    let items = vec![call(g, &frail.sql), call(g, &frail.sql)];
    let key = key(g, &from);
    grouped(g, &from, key, items, &filter)
}

fn rows(g: &mut Gen) -> Query {
    let from = from(g);
    let (guard, frail) = expr::guarded(g, &from.fields);
    let items = vec![expr::plain(g, &from.fields), frail];
    let filter = filter(&from, &guard);
    let list = select_list(g.dice, &items);
    Query::of_rows(format!("SELECT {list}\nFROM {}{filter}", from.sql), items.iter().map(|e| e.ty).collect())
}

/// FILTER or CASE keeps away what is computed there, or by a query of several tables in FROM.
fn kept_by(g: &mut Gen, form: impl Fn(&mut Gen, &From, &str, &str) -> Query) -> Query {
    let below = g.dice.chance(40);
    let from = if below { several(g) } else { from(g) };
    let (guard, frail) = expr::guarded(g, &from.fields);
    match below {
        true => kept_above(g, from, &guard, &frail.sql),
        false => form(g, &from, &guard, &frail.sql),
    }
}

/// The query in FROM computes both.
pub fn kept_above(g: &mut Gen, from: From, guard: &str, frail: &str) -> Query {
    let from = source::below(from, &[("guard", guard), ("frail", frail)]);
    let form = *g.dice.pick::<fn(&mut Gen, &From, &str, &str) -> Query>(&[filtered, chosen]);
    form(g, &from, "below.guard", "below.frail")
}

fn filtered(g: &mut Gen, from: &From, guard: &str, frail: &str) -> Query {
    let filter = super::grouped::where_clause(g, from, 20);
    let items = (0..2)
        .map(|_| {
            let call = call(g, frail);
            Expr { sql: format!("{} FILTER (WHERE {guard})", call.sql), ..call }
        })
        .collect();
    let key = key(g, from);
    grouped(g, from, key, items, &filter)
}

fn chosen(g: &mut Gen, from: &From, guard: &str, frail: &str) -> Query {
    let filter = super::grouped::where_clause(g, from, 20);
    let chosen = format!("CASE WHEN {guard} THEN {frail} END");
    if g.dice.chance(35) {
        let items = [expr::plain(g, &from.fields), Expr { sql: chosen, ty: Ty::Int }];
        let (list, types) = (select_list(g.dice, &items), items.iter().map(|item| item.ty).collect());
        return Query::of_rows(format!("SELECT {list}\nFROM {}{filter}", from.sql), types);
    }
    let items = vec![call(g, &chosen)];
    let key = key(g, from);
    grouped(g, from, key, items, &filter)
}

fn having(g: &mut Gen) -> Query {
    let from = from(g);
    let filter = super::grouped::where_clause(g, &from, 20);
    let sum = format!("sum({})", expr::int(g, &from.fields).sql);
    let item = Expr { sql: format!("100 / {sum}"), ty: Ty::Big };
    let guard = g.dice.pick(&["{} <> 0", "is_not_zero(({})::int)", "abs({}) + 0 + 0 > 0"]).replace("{}", &sum);
    let key = key(g, &from);
    let query = grouped(g, &from, key, vec![item], &filter);
    Query { sql: format!("{}\nHAVING {guard}", query.sql), ..query }
}

/// Expressions over the rows that a fence lets through.
fn above(g: &mut Gen, from: &str, alias: &str, frail: &str) -> Query {
    let condition = format!("{frail} {} {}", g.dice.pick(&["<", ">", "<>"]), g.dice.range(-3, 6));
    if g.dice.chance(30) {
        let sql = format!("SELECT {alias}.c1 AS x, {frail} AS y FROM {from} WHERE {condition}");
        return Query::of_rows(sql, vec![Ty::Int, Ty::Int]);
    }
    let (one, two) = (call(g, frail), call(g, &format!("{alias}.c1")));
    let sql = format!("SELECT {alias}.c1 AS x, {}, {} AS z FROM {from} WHERE {condition} GROUP BY 1", one.sql, two.sql);
    Query::of_groups(sql, vec![Ty::Int, one.ty, two.ty])
}

fn fenced_view(g: &mut Gen) -> Query {
    let Some(base) = g.bases.last() else { return rows(g) };
    let from = format!("{} AS v", ident(&base.name));
    let frail = g.dice.pick(&["(12 / v.c2)", "(12 % v.c2)"]);
    let from = joined(g, from);
    above(g, &from, "v", frail)
}

/// The FROM clause, possibly joined with another table.
fn joined(g: &mut Gen, from: String) -> String {
    if g.dice.chance(60) {
        return from;
    }
    let at = g.dice.index(g.schema.tables.len());
    let input = source::table(g, at);
    format!("{from} JOIN {} ON {} = v.c1", input.sql, input.fields[1].sql)
}

/// A WITH query that is MATERIALIZED, or is read twice.
fn fenced_with(g: &mut Gen) -> Query {
    let at = g.dice.index(g.schema.tables.len());
    let input = source::table(g, at);
    let (guard, frail) = expr::guarded(g, &input.fields);
    let column = input.fields.iter().find(|f| frail.sql.contains(&f.sql)).unwrap_or(&input.fields[1]).clone();
    let key = &input.fields[1].sql;
    let twice = g.dice.chance(40);
    let materialized = if twice { "" } else { " MATERIALIZED" };
    let with =
        format!("WITH w AS{materialized} (SELECT {key} AS c1, {} AS c2 FROM {} WHERE {guard})", column.sql, input.sql);
    let from = if twice { "w AS v JOIN w AS o ON o.c1 = v.c1".to_owned() } else { joined(g, "w AS v".to_owned()) };
    let query = above(g, &from, "v", &frail.sql.replace(&column.sql, "v.c2"));
    Query { sql: format!("{with}\n{}", query.sql), ..query }
}
