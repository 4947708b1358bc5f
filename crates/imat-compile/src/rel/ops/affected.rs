//! Restricts a relation to the groups that a change affects, for operators that are not linear.

use crate::rel::{Rel, TableSet};
use crate::scalar::Scalar;

/// The rows of `input`, before and after the change, whose `keys` occur in its delta.
///
/// These are whole groups: every row that shares a key with a changed row is included, so any function of a group is
/// computed correctly. Without keys there is one group, which is affected.
pub(super) fn affected(input: &Rel, keys: &[Scalar], changed: &TableSet) -> (Rel, Rel) {
    if keys.is_empty() {
        return (input.before(changed), input.clone());
    }
    let touched = touched_keys(input.delta(changed), keys);
    (semijoin(input.before(changed), keys, touched.clone()), semijoin(input.clone(), keys, touched))
}

/// The set of keys in `delta`, regardless of the signs of the rows.
///
/// The signs must be dropped before the projection: a row that changes fits_width its group is +1 and -1 under the same
/// key, and their sum would hide the group.
fn touched_keys(delta: Rel, keys: &[Scalar]) -> Rel {
    let added = delta.clone().distinct();
    let removed = delta.negate().distinct();
    added.union(removed).project(keys.to_vec()).distinct()
}

/// The rows of `rel` whose `keys` are in the set `touched`. NULL counts as equal to NULL.
fn semijoin(rel: Rel, keys: &[Scalar], touched: Rel) -> Rel {
    let width = rel.width();
    let mut on = Scalar::default();
    for (i, key) in keys.iter().enumerate() {
        on.push_text(if i == 0 { "((" } else { " AND ((" });
        on.push(key);
        on.push_text(") IS NOT DISTINCT FROM ");
        on.push_column(width + i);
        on.push_text(")");
    }
    rel.join(touched, on).project((0..width).map(Scalar::column).collect())
}
