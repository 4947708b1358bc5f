//! `generate_series(1, count)`, of which nothing is read: each row as often as it is counted.

use super::from::Part;

pub(super) fn lower(rows: Part, count: usize) -> Part {
    let Part { rel, start } = rows;
    Part { rel: rel.repeat(count - start), start }
}
