//! What a view's analysed query calls and reads.

use std::collections::BTreeSet;
use std::ffi::{CString, c_void};

use pgrx::pg_sys;
use pgrx::prelude::*;

/// Everything in a query on which its result depends, views below it not included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Functions, those behind operators, aggregates, casts and type input and output included.
    pub functions: BTreeSet<u32>,
    /// Operators.
    pub operators: BTreeSet<u32>,
    /// Relations in FROM, in all subqueries.
    pub relations: BTreeSet<u32>,
    /// `current_date`, `current_user`, `nextval` and the like, which are no function calls.
    pub session_values: bool,
    /// `ctid`, `xmin` and other columns that change by themselves.
    pub system_columns: bool,
    pub tablesample: bool,
    /// A set-returning function among the outputs.
    pub target_sets: bool,
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
mod walk {
    use super::*;
    type Walker = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool;
    unsafe extern "C-unwind" {
        fn query_tree_walker(query: *mut pg_sys::Query, walker: Walker, context: *mut c_void, flags: i32) -> bool;
        fn expression_tree_walker(node: *mut pg_sys::Node, walker: Walker, context: *mut c_void) -> bool;
    }
    pub unsafe fn query(query: *mut pg_sys::Query, context: *mut c_void, flags: i32) -> bool {
        // SAFETY: see the callers; the boundary turns an error into a panic.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| query_tree_walker(query, super::visit, context, flags)) }
    }
    pub unsafe fn expression(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
        // SAFETY: as above.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| expression_tree_walker(node, super::visit, context)) }
    }
}

#[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
mod walk {
    use super::*;
    pub unsafe fn query(query: *mut pg_sys::Query, context: *mut c_void, flags: i32) -> bool {
        // SAFETY: see the callers.
        unsafe { pg_sys::query_tree_walker_impl(query, Some(super::visit), context, flags) }
    }
    pub unsafe fn expression(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
        // SAFETY: as above.
        unsafe { pg_sys::expression_tree_walker_impl(node, Some(super::visit), context) }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn function(oid: pg_sys::Oid, context: *mut c_void) -> bool {
    // SAFETY: the context is the `Contents` that `of_view` lends.
    unsafe { (*context.cast::<Contents>()).functions.insert(oid.to_u32()) };
    false
}

#[pg_guard]
unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    use pg_sys::NodeTag::*;
    if node.is_null() {
        return false;
    }
    // SAFETY: each cast is to the struct that the node's tag says it is.
    unsafe {
        let contents = &mut *context.cast::<Contents>();
        match (*node).type_ {
            T_Query => {
                let query = node.cast::<pg_sys::Query>();
                contents.target_sets |= (*query).hasTargetSRFs;
                return walk::query(query, context, pg_sys::QTW_EXAMINE_RTES_BEFORE as i32);
            }
            T_RangeTblEntry => {
                let entry = node.cast::<pg_sys::RangeTblEntry>();
                if (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION {
                    contents.relations.insert((*entry).relid.to_u32());
                }
                // The walker goes into the entry by itself.
                return false;
            }
            T_TableSampleClause => contents.tablesample = true,
            T_SQLValueFunction | T_NextValueExpr | T_CurrentOfExpr => contents.session_values = true,
            T_Var => contents.system_columns |= (*node.cast::<pg_sys::Var>()).varattno < 0,
            T_OpExpr | T_DistinctExpr | T_NullIfExpr => {
                contents.operators.insert((*node.cast::<pg_sys::OpExpr>()).opno.to_u32());
            }
            T_ScalarArrayOpExpr => {
                contents.operators.insert((*node.cast::<pg_sys::ScalarArrayOpExpr>()).opno.to_u32());
            }
            _ => {}
        }
        pg_sys::check_functions_in_node(node, Some(function), context);
        walk::expression(node, context)
    }
}

/// What the definition of a view or materialized view contains.
pub fn of_view(view: u32) -> Contents {
    let mut contents = Contents::default();
    // SAFETY: the view is open, and so its query alive, while it is walked.
    unsafe {
        let relation = pg_sys::relation_open(pg_sys::Oid::from(view), pg_sys::AccessShareLock as i32);
        let query = pg_sys::get_view_query(relation);
        visit(query.cast(), (&raw mut contents).cast());
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
    }
    contents
}

/// Whether the text is one SELECT (or VALUES, or WITH … SELECT) and nothing more.
pub fn is_one_select(text: &str) -> bool {
    let Ok(text) = CString::new(text) else { return false };
    // SAFETY: the parser copies what it keeps; syntax errors are PostgreSQL's to raise.
    unsafe {
        let statements = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let statements = pgrx::PgList::<pg_sys::RawStmt>::from_pg(statements);
        match statements.get_ptr(0) {
            Some(raw) if statements.len() == 1 => {
                let statement = (*raw).stmt;
                (*statement).type_ == pg_sys::NodeTag::T_SelectStmt
                    && (*statement.cast::<pg_sys::SelectStmt>()).intoClause.is_null()
            }
            _ => false,
        }
    }
}
