//! Queries in FROM, plain views included: their own FROM and WHERE, projected.
//!
//! Refused: grouping, whose result is no sum of products of its tables.

use super::from_and_where;
use crate::error::Unsupported;
use crate::facts::Table;
use crate::rel::Rel;
use crate::view::View;

/// What a fence (a security barrier, MATERIALIZED) keeps away is kept from the conditions of the query around it.
pub(super) fn lower(view: &View, fence: bool, tables: &[Table]) -> Result<Rel, Unsupported> {
    if view.grouping.is_some() {
        return Err(Unsupported::new("GROUP BY in a subquery or view in FROM"));
    }
    let outputs = view.outputs.iter().map(|output| output.expr.clone());
    let rows = from_and_where(view, tables)?;
    let rows = if fence { rows.fence() } else { rows };
    Ok(rows.project(outputs.collect()))
}
