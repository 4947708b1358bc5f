//! The types that a server would report, see [`imat_compile::sql::probe`].

use imat_compile::facts::{Class, Type};
use imat_compile::plan::Types;
use imat_compile::scalar::Scalar;
use imat_compile::view::{Aggregate, Source, View};

use crate::catalog;

/// The types of expressions other than columns, over the columns' names.
const EXPRESSIONS: [(&str, &str); 11] = [
    ("(100 / qty)", "integer"),
    ("(100 / (qty - area))", "integer"),
    ("(qty * 2)", "integer"),
    ("(price * 1.5)", "numeric"),
    ("(price * (qty)::numeric)", "numeric"),
    ("date_trunc('day'::text, sold)", "timestamp with time zone"),
    ("date_trunc('hour'::text, sold)", "timestamp with time zone"),
    ("lower(region)", "text"),
    ("(code)::text", "text"),
    ("(sold - '2000-01-01 00:00:00+00'::timestamp with time zone)", "interval"),
    ("(((area)::text)::xid)", "xid"),
];

/// The types of a view's expressions, where `outputs` are those of its columns.
pub fn types(view: &View, outputs: &[&str]) -> Types {
    let grouping = view.grouping.as_ref();
    let aggregates = grouping.map_or(&[][..], |grouping| &grouping.aggregates);
    Types {
        keys: grouping.map_or(&[][..], |grouping| &grouping.keys).iter().map(|key| of(view, key)).collect(),
        args: aggregates.iter().flat_map(|aggregate| &aggregate.args).map(|arg| of(view, arg)).collect(),
        aggregates: aggregates.iter().map(|aggregate| result(view, aggregate)).collect(),
        outputs: outputs.iter().map(|sql| named(sql)).collect(),
    }
}

fn of(view: &View, scalar: &Scalar) -> Type {
    named(&sql_type(view, scalar))
}

fn sql_type(view: &View, scalar: &Scalar) -> String {
    let text = match scalar.as_column() {
        Some(position) => return column(view, position).1,
        None => scalar.render(|position| column(view, position).0),
    };
    let found = EXPRESSIONS.iter().find(|known| known.0 == text);
    found.unwrap_or_else(|| panic!("the type of {text} is not in the table")).1.to_owned()
}

/// The name and type of a scope column.
fn column(view: &View, position: usize) -> (String, String) {
    let offsets = view.offsets();
    let index = offsets.iter().rposition(|&offset| offset <= position).expect("offsets begin with 0");
    let (input, place) = (&view.inputs[index], position - offsets[index]);
    let ty = match &input.source {
        Source::Table(table) => catalog::column_type(&table.name, &table.columns[place].name),
        Source::Query { view, .. } => sql_type(view, &view.outputs[place].expr),
    };
    (input.columns[place].clone(), ty)
}

/// The result types of PostgreSQL's aggregates. An expression has no type modifier.
fn result(view: &View, aggregate: &Aggregate) -> Type {
    let arg = aggregate.args.first().map(|arg| sql_type(view, arg)).unwrap_or_default();
    let arg = arg.split('(').next().unwrap_or_default();
    named(match (aggregate.name.as_str(), arg) {
        ("count", _) | ("sum", "integer") => "bigint",
        ("avg" | "stddev", "integer") => "numeric",
        ("bool_and" | "bool_or", _) => "boolean",
        ("array_agg", "integer") => "integer[]",
        ("sum" | "avg" | "min" | "max", arg) => arg,
        (name, arg) => panic!("the type of {name}({arg}) is not in the table"),
    })
}

/// The type of that name, as `format_type` gives it.
pub fn named(sql: &str) -> Type {
    let class = match sql.split('(').next().unwrap_or_default() {
        "integer" => Class::Int4,
        "bigint" => Class::Int8,
        "numeric" => Class::Numeric,
        "double precision" => Class::Float8,
        "interval" => Class::Interval,
        "boolean" => Class::Bool,
        _ => Class::Other,
    };
    let (array, ordered) = (sql.ends_with("[]"), sql != "xid");
    Type {
        sql: sql.to_owned(),
        collation: None,
        class,
        // With a declared scale each value has only one form.
        identity: !array && (sql.contains('(') || !matches!(class, Class::Numeric | Class::Float8 | Class::Interval)),
        ordered: ordered && !array,
        equality: ordered.then(|| "OPERATOR(pg_catalog.=)".to_owned()),
        btree: ordered,
        hash: true,
        most_bytes: most_bytes(sql),
    }
}

/// Four bytes for each character, and the length word.
fn most_bytes(sql: &str) -> Option<u32> {
    match sql.split_once("varying(") {
        Some((_, length)) => length.trim_end_matches(')').parse().ok().map(|length: u32| 4 * length + 4),
        None => (!matches!(sql, "text" | "numeric" | "integer[]")).then_some(16),
    }
}
