//! The query of a [`View`], as text that PostgreSQL deparses to the view's own definition.
//!
//! That makes it a guard: a text that was misread comes back as another one.

use super::Sql;
use crate::facts::Table;
use crate::name::ident;
use crate::scalar::Scalar;
use crate::view::{Condition, From, Grouping, Input, Origin, Source, View, With};

/// The view's query. Plain views below it are called by their names.
pub fn recompose(view: &View) -> Sql {
    Sql::new(query(view))
}

fn query(view: &View) -> String {
    let outputs: Vec<String> = view
        .outputs
        .iter()
        .map(|output| {
            let expr = scope_scalar(view, &output.expr);
            format!("{} AS {}", text(view, &expr), ident(&output.name))
        })
        .collect();
    let mut sql = format!("{}SELECT {} FROM {}", with(view), outputs.join(", "), from(view));
    if !view.filter.is_empty() {
        sql.push_str(&format!(" WHERE {}", conjunction(view, &view.filter)));
    }
    if let Some(grouping) = &view.grouping {
        sql.push_str(&grouped(view, grouping));
    }
    sql
}

/// The WITH clause, where there is one.
pub(super) fn with(view: &View) -> String {
    let queries: Vec<String> = view.with.iter().map(named).collect();
    if queries.is_empty() { String::new() } else { format!("WITH {} ", queries.join(", ")) }
}

fn named(with: &With) -> String {
    let columns = with.columns.iter().map(|columns| {
        let columns: Vec<String> = columns.iter().map(|column| ident(column)).collect();
        format!("({})", columns.join(", "))
    });
    let materialized = match with.materialized {
        None => "",
        Some(true) => "MATERIALIZED ",
        Some(false) => "NOT MATERIALIZED ",
    };
    format!("{}{} AS {materialized}({})", ident(&with.name), columns.collect::<String>(), query(&with.view))
}

fn grouped(view: &View, grouping: &Grouping) -> String {
    let mut sql = String::new();
    let keys: Vec<String> = grouping.keys[..grouping.listed].iter().map(|key| parenthesised(view, key)).collect();
    if !keys.is_empty() {
        sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
    }
    if let Some(having) = &grouping.having {
        let having = scope_scalar(view, having);
        sql.push_str(&format!(" HAVING {}", parenthesised(view, &having)));
    }
    sql
}

/// A scalar of the view's outputs or HAVING, over the scope row.
fn scope_scalar(view: &View, scalar: &Scalar) -> Scalar {
    match &view.grouping {
        None => scalar.clone(),
        Some(grouping) => scalar.substitute(|position| match position.checked_sub(grouping.keys.len()) {
            None => grouping.keys[position].clone(),
            Some(aggregate) => grouping.aggregates[aggregate].call.clone(),
        }),
    }
}

/// The FROM list, without the keyword.
pub(super) fn from(view: &View) -> String {
    let items: Vec<String> = view.from.iter().map(|item| from_item(view, item)).collect();
    items.join(", ")
}

fn from_item(view: &View, item: &From) -> String {
    match item {
        From::Input(index) => input(&view.inputs[*index]),
        From::Join { left, right, on } => {
            let (left, right) = (from_item(view, left), from_item(view, right));
            match on {
                Condition::Cross => format!("({left} CROSS JOIN {right})"),
                Condition::On(on) => {
                    format!("({left} JOIN {right} ON {})", conjunction(view, on))
                }
                Condition::Using(pairs) => {
                    let names: Vec<String> = pairs.iter().map(|(name, ..)| ident(name)).collect();
                    format!("({left} JOIN {right} USING ({}))", names.join(", "))
                }
            }
        }
        From::Repeat { of, count, alias, column: name } => format!(
            "({} CROSS JOIN LATERAL pg_catalog.generate_series((1)::bigint, {}) {}({}))",
            from_item(view, of),
            column(view, *count),
            ident(alias),
            ident(name)
        ),
    }
}

fn input(input: &Input) -> String {
    let own: Vec<&String> = match &input.source {
        Source::Table(table) => table.columns.iter().map(|column| &column.name).collect(),
        Source::Query { view, .. } => view.outputs.iter().map(|output| &output.name).collect(),
    };
    let same_columns = own.iter().copied().eq(&input.columns);
    let (name, mut sql) = match &input.source {
        Source::Table(Table { name, .. }) | Source::Query { origin: Origin::View(name), .. } => {
            (Some(&name.name), name.to_string())
        }
        Source::Query { origin: Origin::With(name), .. } => (Some(name), ident(name)),
        Source::Query { origin: Origin::Here, view, .. } => (None, format!("({})", query(view))),
    };
    // PostgreSQL prints an alias that was written, and none that was not.
    if !same_columns || name != Some(&input.alias) {
        sql.push_str(&format!(" {}", ident(&input.alias)));
    }
    if !same_columns {
        let columns: Vec<String> = input.columns.iter().map(|column| ident(column)).collect();
        sql.push_str(&format!("({})", columns.join(", ")));
    }
    sql
}

fn conjunction(view: &View, conjuncts: &[Scalar]) -> String {
    let conjuncts: Vec<String> = conjuncts.iter().map(|conjunct| parenthesised(view, conjunct)).collect();
    format!("({})", conjuncts.join(" AND "))
}

pub(super) fn parenthesised(view: &View, scalar: &Scalar) -> String {
    format!("({})", text(view, scalar))
}

/// A scalar over the scope row, its columns by the names that FROM gives them.
pub(super) fn text(view: &View, scalar: &Scalar) -> String {
    scalar.render(|position| column(view, position))
}

fn column(view: &View, position: usize) -> String {
    let mut index = position;
    for input in &view.inputs {
        match input.columns.get(index) {
            Some(column) => return format!("{}.{}", ident(&input.alias), ident(column)),
            None => index -= input.columns.len(),
        }
    }
    unreachable!("column {position} is beyond the scope row")
}
