//! WHERE: a filter over the scope row, with the implied conditions.

use crate::rel::Rel;
use crate::view::View;

pub(super) fn lower(joined: Rel, view: &View) -> Rel {
    let conjuncts = [view.filter.as_slice(), &view.implied].concat();
    if conjuncts.is_empty() { joined } else { joined.filter_all(conjuncts) }
}
