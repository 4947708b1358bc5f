//! WHERE: a filter over the scope row.

use crate::rel::Rel;
use crate::scalar::Scalar;

pub(super) fn lower(joined: Rel, conjuncts: &[Scalar]) -> Rel {
    if conjuncts.is_empty() { joined } else { joined.filter_all(conjuncts.to_vec()) }
}
