//! Walks through the tree of an analysed query.

use std::ffi::c_void;

use pgrx::pg_sys;

/// Called for each node, and calls the walker for the parts itself. Returning true ends the walk.
pub type Visit = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool;

#[cfg(any(feature = "pg14", feature = "pg15"))]
mod major {
    use super::*;
    unsafe extern "C-unwind" {
        fn query_tree_walker(query: *mut pg_sys::Query, walker: Visit, context: *mut c_void, flags: i32) -> bool;
        fn expression_tree_walker(node: *mut pg_sys::Node, walker: Visit, context: *mut c_void) -> bool;
    }
    pub unsafe fn query(query: *mut pg_sys::Query, visit: Visit, context: *mut c_void, flags: i32) -> bool {
        // SAFETY: see the callers; the boundary turns an error into a panic.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| query_tree_walker(query, visit, context, flags)) }
    }
    pub unsafe fn expression(node: *mut pg_sys::Node, visit: Visit, context: *mut c_void) -> bool {
        // SAFETY: as above.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| expression_tree_walker(node, visit, context)) }
    }
}

#[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
mod major {
    use super::*;
    pub unsafe fn query(query: *mut pg_sys::Query, visit: Visit, context: *mut c_void, flags: i32) -> bool {
        // SAFETY: see the callers.
        unsafe { pg_sys::query_tree_walker_impl(query, Some(visit), context, flags) }
    }
    pub unsafe fn expression(node: *mut pg_sys::Node, visit: Visit, context: *mut c_void) -> bool {
        // SAFETY: as above.
        unsafe { pg_sys::expression_tree_walker_impl(node, Some(visit), context) }
    }
}

pub use major::{expression, query};
