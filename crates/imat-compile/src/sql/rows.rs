//! Statements of a rows state.

use std::fmt::Display;

use crate::name::{QName, ident};
use crate::plan::Plan;
use crate::plan::rows::Query;
use crate::scalar::Scalar;
use crate::sql::builder::{Select, Write, qualified, subquery};
use crate::sql::grouped::digest_of;
use crate::sql::source::Change;
use crate::sql::statements::{Apply, Flush};
use crate::sql::{image, tids};

/// The outputs as `c0`, `c1`, … and the weight `w`, over a subquery of scope columns.
fn project(plan: &Plan, outputs: &[Scalar], from: &str) -> Select {
    // The cast gives the value the state column's type modifier before its image is taken.
    let values = outputs.iter().zip(&plan.columns).enumerate().map(|(position, (output, column))| {
        format!("({})::{} AS c{position}", output.render(|column| format!("d.x{column}")), column.ty)
    });
    Select::new(values).columns(["d.w"]).from([subquery(from, "d")])
}

/// The same for the rows of a relation that has the state's columns.
fn stored(plan: &Plan, from: &QName, weight: &str) -> Select {
    let columns = plan.key_columns().into_iter().enumerate();
    Select::new(columns.map(|(position, column)| format!("s.{column} AS c{position}")))
        .columns([format!("{weight} AS w")])
        .from([format!("{from} AS s")])
}

fn now(plan: &Plan, query: &Query) -> Select {
    match query {
        Query::Source { source, outputs } => project(plan, outputs, &source.now()),
        Query::Definition(view) => stored(plan, view, "1"),
    }
}

fn delta(plan: &Plan, query: &Query, state: &QName, change: &Change<'_>) -> String {
    match query {
        Query::Source { source, outputs } => project(plan, outputs, &source.delta(change)).to_string(),
        Query::Definition(_) => {
            let taken_back = stored(plan, state, &format!("-s.{}", plan.count_column()));
            format!("{} UNION ALL {taken_back}", now(plan, query))
        }
    }
}

/// Sums weighted rows up to one row per image, in the order of images.
fn folded(plan: &Plan, rows: impl Display) -> Select {
    let columns: Vec<String> = (0..plan.columns.len() - 1).map(|column| format!("c{column}")).collect();
    image::remaining(&format!("({rows})"), &columns)
        .columns(qualified("e", &columns))
        .columns(["e.n::bigint AS n"])
        .order_by(["e.image"])
}

/// See [`Plan::flush`].
pub fn flush(plan: &Plan, query: &Query, state: &QName, change: &Change<'_>) -> Flush {
    let reads = match query {
        Query::Source { source, .. } => source.core.self_join || source.core.tables.len() > 1,
        Query::Definition(_) => true,
    };
    let delta = delta(plan, query, state, change);
    Flush {
        digest: reads.then(|| digest_of(&change.deltas, &delta)),
        apply: apply(plan, state, &delta, change),
        returns: true,
        recompute: None,
        delete: Some(tids::delete(plan, state)),
    }
}

/// See [`Plan::content`].
pub fn content(plan: &Plan, query: &Query) -> (Vec<String>, Select) {
    let columns: Vec<String> = plan.columns.iter().map(|column| ident(&column.name)).collect();
    let (count, outputs) = columns.split_last().expect("every row is counted");
    let values = outputs.iter().enumerate().map(|(position, column)| format!("f.c{position} AS {column}"));
    let rows = folded(plan, now(plan, query));
    let select = Select::new(values).columns([format!("f.n AS {count}")]).from([subquery(rows, "f")]);
    (columns, select)
}

fn apply(plan: &Plan, state: &QName, delta: &str, change: &Change<'_>) -> Apply {
    let columns: Vec<String> = plan.columns.iter().map(|column| ident(&column.name)).collect();
    let count = plan.count_column();
    let write = Write::insert(state, &columns, folded(plan, delta))
        .on_conflict(plan.conflict_target().unwrap_or_default())
        .set([format!("{count} = s.{count} + EXCLUDED.{count}")]);
    Apply::new(plan, state, &change.deltas, write, &format!("s.{count}"), "false")
}
