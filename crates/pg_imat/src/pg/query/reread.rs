//! Parts of a query that have another form when its text is parsed again, but mean the same.

use pgrx::pg_sys;

use super::nodes;

/// The constant that PostgreSQL's grammar makes from a minus and a constant.
pub(super) unsafe fn negative(node: *mut pg_sys::Node) -> Option<pg_sys::Const> {
    // SAFETY: each cast is to the struct that the node's tag says it is.
    unsafe {
        if (*node).type_ == pg_sys::NodeTag::T_Const {
            return Some(*node.cast::<pg_sys::Const>())
                .filter(|constant| !constant.constisnull && constant.consttypmod == -1);
        }
        if (*node).type_ != pg_sys::NodeTag::T_OpExpr {
            return None;
        }
        let minus = node.cast::<pg_sys::OpExpr>();
        pg_sys::set_opfuncid(minus);
        let function = (*minus).opfuncid;
        if ![pg_sys::F_INT4UM, pg_sys::F_NUMERIC_UMINUS].contains(&function.to_u32()) {
            return None;
        }
        let mut constant = negative(*nodes((*minus).args).first()?)?;
        // The least integer has no negative.
        if function.to_u32() == pg_sys::F_INT4UM && constant.constvalue.value() as i32 == i32::MIN {
            return None;
        }
        constant.constvalue = pg_sys::OidFunctionCall1Coll(function, pg_sys::Oid::INVALID, constant.constvalue);
        Some(constant)
    }
}

/// Whether a list is part of ORDER BY, GROUP BY, DISTINCT or windows.
pub(super) unsafe fn is_clause(list: *mut pg_sys::List) -> bool {
    use pg_sys::NodeTag::{T_SortGroupClause, T_WindowClause};
    let is_part = |node: *mut pg_sys::Node| {
        // SAFETY: a node, or nothing.
        !node.is_null() && matches!(unsafe { (*node).type_ }, T_SortGroupClause | T_WindowClause)
    };
    // SAFETY: the list is one of nodes.
    unsafe { nodes(list).first().is_some_and(|node| is_part(*node)) }
}

/// The target list of a query, in which equal expressions count as the same. Not with GROUPING SETS: one of two equal
/// expressions can be NULL where the other is not.
pub(super) unsafe fn targets(query: *mut pg_sys::Query) -> *mut pg_sys::List {
    // SAFETY: the node is a query.
    unsafe { if (*query).groupingSets.is_null() { (*query).targetList } else { std::ptr::null_mut() } }
}

/// Whether two parts of a clause refer to equal expressions in the target list, with the same equality operator.
pub(super) unsafe fn are_equal(part: *mut pg_sys::Node, other: *mut pg_sys::Node, targets: *mut pg_sys::List) -> bool {
    // SAFETY: the nodes' tags say what they are; a part's target is among those of its query.
    unsafe {
        if [part, other].iter().any(|node| (**node).type_ != pg_sys::NodeTag::T_SortGroupClause) {
            return false;
        }
        let (part, other) = (part.cast::<pg_sys::SortGroupClause>(), other.cast::<pg_sys::SortGroupClause>());
        let target = |part: *mut pg_sys::SortGroupClause| pg_sys::get_sortgroupclause_expr(part, targets);
        (*part).eqop == (*other).eqop && pg_sys::equal(target(part).cast(), target(other).cast())
    }
}

/// From 18 on, a grouped query has a range table entry with a column for each part of GROUP BY. The query with its
/// expressions substituted has all the information in that entry.
#[cfg(feature = "pg18")]
pub(super) const FLAGS: u32 = pg_sys::QTW_IGNORE_GROUPEXPRS;
#[cfg(not(feature = "pg18"))]
pub(super) const FLAGS: u32 = 0;

/// The query with the grouped expressions substituted for the columns of that entry.
pub(super) unsafe fn ungrouped(query: *mut pg_sys::Query) -> pg_sys::Query {
    // SAFETY: the node is a query; what is made of its parts are copies.
    unsafe {
        #[allow(unused_mut)]
        let mut copy = *query;
        #[cfg(feature = "pg18")]
        if copy.hasGroupRTE {
            let expressions = |part| pg_sys::flatten_group_exprs(std::ptr::null_mut(), query, part);
            copy.targetList = expressions(copy.targetList.cast()).cast();
            copy.havingQual = expressions(copy.havingQual);
        }
        copy
    }
}
