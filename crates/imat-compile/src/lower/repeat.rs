//! `generate_series(1, count)` whose column is not read: repeats each row `count` times.

use super::from::Part;

pub(super) fn lower(rows: Part, count: usize) -> Part {
    let Part { rel, start } = rows;
    Part { rel: rel.repeat(count - start), start }
}
