//! Functions of PostgreSQL's that raise no errors, as they are in the server.
//!
//! The bindings of these names save the stack's state around each call, to catch an error. What is called
//! several times a statement and only reads or sets a variable would spend more on that than on itself.

use pgrx::pg_sys;

unsafe extern "C-unwind" {
    pub fn GetCurrentSubTransactionId() -> pg_sys::SubTransactionId;
    /// Raises none where the number is not going to be used.
    pub fn GetCurrentCommandId(used: bool) -> pg_sys::CommandId;
    pub fn IsLogicalWorker() -> bool;
    pub fn pg_trigger_depth(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum;
    pub fn GetUserIdAndSecContext(user: *mut pg_sys::Oid, security: *mut i32);
    pub fn SetUserIdAndSecContext(user: pg_sys::Oid, security: i32);
    pub fn NewGUCNestLevel() -> i32;
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    pub fn LockHeldByMe(tag: *const pg_sys::LOCKTAG, mode: pg_sys::LOCKMODE, or_stronger: bool) -> bool;
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    pub fn LockHeldByMe(tag: *const pg_sys::LOCKTAG, mode: pg_sys::LOCKMODE) -> bool;
}
