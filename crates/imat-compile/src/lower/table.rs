//! Base tables: a scan of the state after the change.

use std::collections::BTreeMap;

use crate::facts::Table;
use crate::rel::{Image, Rel};
use crate::view::{Source, View};

/// Every base table that the view reads at any depth, once, by ascending oid.
pub(super) fn distinct(view: &View) -> Vec<Table> {
    let mut by_oid = BTreeMap::new();
    collect(view, &mut by_oid);
    by_oid.into_values().cloned().collect()
}

fn collect<'a>(view: &'a View, by_oid: &mut BTreeMap<u32, &'a Table>) {
    for input in &view.inputs {
        match &input.source {
            Source::Table(table) => {
                by_oid.insert(table.oid, table);
            }
            Source::Query { view, .. } => collect(view, by_oid),
        }
    }
}

/// The scan of `table`, which is one of `tables`.
pub(super) fn lower(table: &Table, tables: &[Table]) -> Rel {
    let index = tables.partition_point(|other| other.oid < table.oid);
    Rel::scan(index, Image::New, table.columns.len())
}
