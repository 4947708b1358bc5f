//! FROM: the cross product of its comma-separated items. A query without FROM reads one row.

use super::{join, query, repeat, table};
use crate::error::Unsupported;
use crate::facts::Table;
use crate::rel::Rel;
use crate::view::{From, Input, Source, View};

/// A part of FROM, and the position in the scope row at which its columns begin. Inputs are numbered from left to
/// right, so the columns of a part of FROM are contiguous.
pub(super) struct Part {
    pub rel: Rel,
    pub start: usize,
}

/// The columns of the result are the scope row.
pub(super) fn lower(view: &View, tables: &[Table]) -> Result<Rel, Unsupported> {
    let offsets = view.offsets();
    let mut all: Option<Rel> = None;
    for tree in &view.from {
        let item = part(tree, view, &offsets, tables)?;
        debug_assert_eq!(item.start, all.as_ref().map_or(0, Rel::width));
        all = Some(match all {
            Some(left) => left.cross(item.rel),
            None => item.rel,
        });
    }
    Ok(all.unwrap_or_else(Rel::unit))
}

fn part(tree: &From, view: &View, offsets: &[usize], tables: &[Table]) -> Result<Part, Unsupported> {
    match tree {
        From::Input(index) => Ok(Part { rel: source(&view.inputs[*index], tables)?, start: offsets[*index] }),
        From::Join { left, right, on } => {
            let left = part(left, view, offsets, tables)?;
            let right = part(right, view, offsets, tables)?;
            Ok(join::lower(left, right, on))
        }
        From::Repeat { of, count, .. } => Ok(repeat::lower(part(of, view, offsets, tables)?, *count)),
    }
}

fn source(input: &Input, tables: &[Table]) -> Result<Rel, Unsupported> {
    match &input.source {
        Source::Table(table) => Ok(table::lower(table, tables)),
        Source::Query { view, fence, .. } => query::lower(view, *fence, tables),
    }
}
