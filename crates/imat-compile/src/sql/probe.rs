//! Queries that ask PostgreSQL about a view's parts.

use super::Sql;
use super::builder::{Select, list, with};
use super::recompose::{from, queries, text};
use crate::name::{QName, literal};
use crate::view::View;

/// Queries whose columns have the types that PostgreSQL is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// One column per key and then per argument of each aggregate; the outputs of an ungrouped view.
    pub rows: Sql,
    /// One column per aggregate, where there is one.
    pub groups: Option<Sql>,
}

/// The probe of a view. Its queries are analysed and never run, so they have no WHERE.
pub fn probe(view: &View) -> Probe {
    let Some(grouping) = &view.grouping else {
        let outputs = view.outputs.iter().map(|output| text(view, &output.expr));
        return Probe { rows: select(view, outputs), groups: None };
    };
    let args = grouping.aggregates.iter().flat_map(|aggregate| &aggregate.args);
    let rows = grouping.keys.iter().chain(args).map(|scalar| text(view, scalar));
    let calls = grouping.aggregates.iter().map(|aggregate| text(view, &aggregate.call));
    let groups = (!grouping.aggregates.is_empty()).then(|| select(view, calls));
    Probe { rows: select(view, rows), groups }
}

fn select(view: &View, list: impl Iterator<Item = String>) -> Sql {
    Sql::new(with(&queries(view), Select::new(list).from(from(view))))
}

/// What a function is called with: a type as PostgreSQL prints it, and the text of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub ty: String,
    pub value: Option<String>,
}

/// Calls a function.
pub fn call(function: &QName, arguments: &[Argument]) -> Sql {
    let value = |value: &Option<String>| value.as_deref().map_or("NULL".to_owned(), literal);
    let arguments = list(arguments.iter().map(|argument| format!("{}::{}", value(&argument.value), argument.ty)));
    Sql::new(format!("SELECT {function}({arguments})"))
}
