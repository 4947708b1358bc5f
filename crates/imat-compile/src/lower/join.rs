//! Inner joins: CROSS, ON and USING.

use super::from::Part;
use crate::scalar::Scalar;
use crate::view::Condition;

pub(super) fn lower(left: Part, right: Part, condition: &Condition) -> Part {
    let start = left.start;
    debug_assert_eq!(right.start, start + left.rel.width());
    let on = predicate(condition).map_columns(|position| position - start);
    Part { rel: left.rel.join(right.rel, on), start }
}

/// The condition over the scope row.
fn predicate(condition: &Condition) -> Scalar {
    match condition {
        Condition::Cross => Scalar::text("true"),
        Condition::On(predicate) => predicate.clone(),
        Condition::Using(pairs) => pairs
            .iter()
            .map(|(_, left, right)| equal(*left, *right))
            .reduce(|all, pair| all.and(&pair))
            .unwrap_or_else(|| Scalar::text("true")),
    }
}

/// `left = right`, the operator looked up under `search_path = pg_catalog`.
fn equal(left: usize, right: usize) -> Scalar {
    let mut scalar = Scalar::column(left);
    scalar.push_text(" = ");
    scalar.push_column(right);
    scalar
}
