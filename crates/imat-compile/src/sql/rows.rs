//! Statements of a rows state.

use crate::name::{QName, ident};
use crate::plan::Plan;
use crate::plan::rows::Query;
use crate::rel::TableSet;
use crate::sql::grouped::digest_of;
use crate::sql::statements::{Apply, Flush};
use crate::sql::{by_image, tids};

fn output_columns(plan: &Plan) -> Vec<String> {
    plan.key_columns()
}

fn numbered(count: usize, alias: &str) -> String {
    (0..count).map(|column| format!("{alias}.c{column}")).collect::<Vec<_>>().join(", ")
}

/// The outputs as `c0`, `c1`, … and the weight `w`, over a subquery of scope columns.
fn project(plan: &Plan, outputs: &[crate::scalar::Scalar], from: &str) -> String {
    // The cast gives the value the state column's type modifier before its image is taken.
    let values: Vec<String> = outputs
        .iter()
        .zip(&plan.columns)
        .enumerate()
        .map(|(position, (output, column))| {
            format!("({})::{} AS c{position}", output.render(|column| format!("d.x{column}")), column.ty)
        })
        .collect();
    format!("SELECT {}, d.w FROM ({from}) AS d", values.join(", "))
}

fn stored(columns: &[String], from: &str, weight: &str) -> String {
    let values: Vec<String> =
        columns.iter().enumerate().map(|(position, column)| format!("s.{column} AS c{position}")).collect();
    format!("SELECT {}, {weight} AS w FROM {from} AS s", values.join(", "))
}

fn now(plan: &Plan, query: &Query) -> String {
    match query {
        Query::Source { source, outputs } => project(plan, outputs, &source.now()),
        Query::Definition(view) => stored(&output_columns(plan), &view.to_string(), "1"),
    }
}

fn delta(plan: &Plan, query: &Query, state: &QName, changed: &TableSet, mixed: bool) -> String {
    match query {
        Query::Source { source, outputs } => project(plan, outputs, &source.delta(changed, mixed)),
        Query::Definition(_) => format!(
            "{} UNION ALL {}",
            now(plan, query),
            stored(&output_columns(plan), &state.to_string(), &format!("-s.{}", plan.count_column()))
        ),
    }
}

/// Adds a weighted bag of rows up to one row per image, in the order of images.
fn folded(plan: &Plan, rows: &str) -> String {
    let width = plan.columns.len() - 1;
    format!(
        "SELECT {}, e.n::bigint AS n FROM ({}) AS e WHERE e.r = 1 AND e.n <> 0 ORDER BY e.image",
        numbered(width, "e"),
        by_image(&format!("({rows})"), &numbered(width, "b")),
    )
}

fn insert(plan: &Plan, state: &QName, rows: &str) -> String {
    let columns: Vec<String> = plan.columns.iter().map(|column| ident(&column.name)).collect();
    format!("INSERT INTO {state} AS s ({}) {}", columns.join(", "), folded(plan, rows))
}

/// See [`Plan::flush`].
pub fn flush(plan: &Plan, query: &Query, state: &QName, changed: &TableSet, mixed: bool) -> Flush {
    let reads = match query {
        Query::Source { source, .. } => source.core.self_join || source.core.tables.len() > 1,
        Query::Definition(_) => true,
    };
    Flush {
        digest: reads.then(|| digest_of(&delta(plan, query, state, changed, mixed))),
        apply: apply(plan, query, state, changed, mixed),
        returns: true,
        recompute: None,
        delete: Some(tids::delete(plan, state)),
    }
}

/// See [`Plan::content`].
pub fn content(plan: &Plan, query: &Query) -> (Vec<String>, String) {
    let columns: Vec<String> = plan.columns.iter().map(|column| ident(&column.name)).collect();
    let (count, outputs) = columns.split_last().expect("every row is counted");
    let values = outputs.iter().enumerate().map(|(position, column)| format!("f.c{position} AS {column}, "));
    let select =
        format!("SELECT {}f.n AS {count} FROM ({}) AS f", values.collect::<String>(), folded(plan, &now(plan, query)));
    (columns, select)
}

fn apply(plan: &Plan, query: &Query, state: &QName, changed: &TableSet, mixed: bool) -> Apply {
    let count = plan.count_column();
    let target = plan.conflict_target().unwrap_or_default();
    let write = format!(
        "{} ON CONFLICT {target} DO UPDATE SET {count} = s.{count} + EXCLUDED.{count}",
        insert(plan, state, &delta(plan, query, state, changed, mixed))
    );
    Apply::new(&write, &format!("s.{count}"), "false", plan, state)
}
