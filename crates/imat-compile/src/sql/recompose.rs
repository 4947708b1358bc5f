//! The query of a [`View`], as text that PostgreSQL prints as the view's own definition.
//!
//! This guards against misreading: a definition that was misread is printed differently.

use super::Sql;
use crate::facts::Table;
use crate::name::ident;
use crate::scalar::Scalar;
use crate::sql::builder::{Cte, Select, list, with};
use crate::view::{Condition, From, Input, Origin, Source, View, With};

/// The view's query. Plain views below it are called by their names.
pub fn recompose(view: &View) -> Sql {
    Sql::new(query(view))
}

fn query(view: &View) -> String {
    let outputs = view.outputs.iter().map(|output| {
        let expr = scope_scalar(view, &output.expr);
        format!("{} AS {}", text(view, &expr), ident(&output.name))
    });
    let mut select = Select::new(outputs).from(from(view));
    if !view.filter.is_empty() {
        select = select.filter([conjunction(view, &view.filter)]);
    }
    if let Some(grouping) = &view.grouping {
        let having = grouping.having.iter().map(|having| scope_scalar(view, having));
        select = select
            .group_by(grouping.keys[..grouping.listed].iter().map(|key| parenthesised(view, key)))
            .having(having.map(|having| parenthesised(view, &having)));
    }
    with(&queries(view), select)
}

/// The queries of the view's WITH clause.
pub(super) fn queries(view: &View) -> Vec<Cte> {
    let named = |with: &With| {
        let columns = with.columns.iter().map(|columns| in_parentheses(columns));
        let name = format!("{}{}", ident(&with.name), columns.collect::<String>());
        Cte::new(name, query(&with.view)).materialized(with.materialized)
    };
    view.with.iter().map(named).collect()
}

/// A list of names.
fn in_parentheses(names: &[String]) -> String {
    format!("({})", list(names.iter().map(|name| ident(name))))
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

/// The items of FROM.
pub(super) fn from(view: &View) -> impl Iterator<Item = String> {
    view.from.iter().map(|item| from_item(view, item))
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
                    let names = list(pairs.iter().map(|(name, ..)| ident(name)));
                    format!("({left} JOIN {right} USING ({names}))")
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
        sql.push_str(&in_parentheses(&input.columns));
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
