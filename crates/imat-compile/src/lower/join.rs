//! Inner joins: CROSS, ON and USING.

use super::from::Part;
use crate::scalar::Scalar;
use crate::view::Condition;

pub(super) fn lower(left: Part, right: Part, condition: &Condition) -> Part {
    let start = left.start;
    debug_assert_eq!(right.start, start + left.rel.width());
    let on = conjuncts(condition).into_iter().map(|on| on.map_columns(|position| position - start)).collect();
    Part { rel: left.rel.cross(right.rel).filter_all(on), start }
}

/// The condition over the scope row.
fn conjuncts(condition: &Condition) -> Vec<Scalar> {
    match condition {
        Condition::Cross => Vec::new(),
        Condition::On(conjuncts) => conjuncts.clone(),
        Condition::Using(pairs) => pairs.iter().map(|(_, left, right)| Scalar::equal(*left, *right)).collect(),
    }
}
