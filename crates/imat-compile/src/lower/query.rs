//! Queries in FROM, also plain views: their FROM and WHERE, projected.
//!
//! Grouped queries are refused, since their results are not sums of products of tables.

use super::from_and_where;
use crate::error::Unsupported;
use crate::facts::Table;
use crate::rel::Rel;
use crate::view::View;

/// With `fence` (a security barrier, MATERIALIZED), conditions of the outer query are not evaluated for rows that this
/// query filters out.
pub(super) fn lower(view: &View, fence: bool, tables: &[Table]) -> Result<Rel, Unsupported> {
    if view.grouping.is_some() {
        return Err(Unsupported::new("GROUP BY in a subquery or view in FROM"));
    }
    let outputs = view.outputs.iter().map(|output| output.expr.clone());
    let rows = from_and_where(view, tables)?;
    let rows = if fence { rows.fence() } else { rows };
    Ok(rows.project(outputs.collect()))
}
