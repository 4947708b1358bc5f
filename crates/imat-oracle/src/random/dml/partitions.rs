//! Detaches and attaches partitions with their rows.

use super::blocks::{CAUGHT, simple};
use super::{Dml, basic};
use crate::pg::ident;
use crate::random::schema::Shape;

/// Detaches a partition or attaches it again, or both in a block that can be undone. Attaching fails if the partition
/// is attached, or if the default partition has rows for it. Without partitions this is an UPDATE.
pub fn statement(d: &mut Dml) -> String {
    let partitioned = |at: &usize| d.schema.tables[*at].shape == Shape::Partitioned;
    let tables: Vec<usize> = (0..d.schema.tables.len()).filter(partitioned).collect();
    if tables.is_empty() {
        return basic::update(d);
    }
    let table = *d.dice.pick(&tables);
    let (suffix, bounds) = *d.dice.pick(&[("_mid", "(15) TO (30)"), ("_lo", "(MINVALUE) TO (15)")]);
    let mut places = d.schema.places.iter().filter(|place| place.table == table).map(|place| &place.name);
    let part = ident(places.find(|name| name.ends_with(suffix)).expect("every partitioned table has these partitions"));
    let root = ident(&d.schema.tables[table].name);
    let detach = format!("ALTER TABLE {root} DETACH PARTITION {part}");
    let attach = format!("ALTER TABLE {root} ATTACH PARTITION {part} FOR VALUES FROM {bounds}");
    let change = simple(d);
    match d.dice.index(6) {
        0 => detach,
        1..=3 => attach,
        4 => format!("DO $do$ BEGIN\n{detach};\n{change};\n{attach};\nEND $do$"),
        _ => format!(
            "DO $do$ BEGIN BEGIN\n{detach};\n{change};\nRAISE EXCEPTION 'undo';\n{CAUGHT}\n{attach};\nEND; END $do$"
        ),
    }
}
