//! Base tables: a scan of the new image.

use std::collections::BTreeMap;

use crate::facts::Table;
use crate::rel::{Image, Rel};
use crate::view::{Source, View};

/// Every base table that the view reads at any depth, once, by ascending OID.
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

/// Whether a WITH query that is never referenced reads a table that the view does not read.
pub(super) fn reads_in_vain(view: &View, tables: &[Table]) -> bool {
    let known = |table: &Table| tables.iter().any(|known| known.oid == table.oid);
    let vain = |view: &View| !distinct(view).iter().all(known) || reads_in_vain(view, tables);
    view.with.iter().any(|with| vain(&with.view))
        || view
            .inputs
            .iter()
            .any(|input| matches!(&input.source, Source::Query { view, .. } if reads_in_vain(view, tables)))
}

/// The scan of `table`, which is one of `tables`.
pub(super) fn lower(table: &Table, tables: &[Table]) -> Rel {
    let index = tables.partition_point(|other| other.oid < table.oid);
    Rel::scan(index, Image::New, table.columns.len())
}
