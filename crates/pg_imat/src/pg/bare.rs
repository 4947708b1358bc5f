//! PostgreSQL functions that raise no errors, called without pgrx's guard.
//!
//! The guarded bindings of these names save the stack's state around each call, to catch an error. For functions that
//! only read or set a variable, and are called several times a statement, that would cost more than the call.

use pgrx::pg_sys;

unsafe extern "C-unwind" {
    pub fn GetCurrentSubTransactionId() -> pg_sys::SubTransactionId;
    /// Raises no error if `used` is false.
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
