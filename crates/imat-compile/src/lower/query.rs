//! Queries in FROM, plain views included: their own FROM and WHERE, projected.
//!
//! Refused: grouping, whose result is no sum of products of its tables.

use super::from_and_where;
use crate::error::Unsupported;
use crate::facts::Table;
use crate::rel::Rel;
use crate::view::View;

pub(super) fn lower(view: &View, tables: &[Table]) -> Result<Rel, Unsupported> {
    if view.grouping.is_some() {
        return Err(Unsupported::new("GROUP BY in a subquery or view in FROM"));
    }
    let outputs = view.outputs.iter().map(|output| output.expr.clone());
    Ok(from_and_where(view, tables)?.project(outputs.collect()))
}
