//! WHERE: a filter over the scope row.

use crate::rel::Rel;
use crate::scalar::Scalar;

pub(super) fn lower(joined: Rel, condition: Option<&Scalar>) -> Rel {
    match condition {
        Some(condition) => joined.filter(condition.clone()),
        None => joined,
    }
}
