//! Callbacks of transactions and subtransactions, and invalidations.

use std::cell::Cell;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe};

use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::entrance::entrances;
use super::{bare, context};

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// The argument with which the callback of transactions is registered, 0 or 1.
    static TURN: Cell<usize> = const { Cell::new(0) };
    /// Increases whenever the definition or the statistics of a relation change from which something was compiled.
    static GENERATION: Cell<u64> = const { Cell::new(0) };
    /// The number of relations that were invalidated, and the last ones of them.
    static CHANGES: Cell<usize> = const { Cell::new(0) };
    static CHANGED: [Cell<u32>; REMEMBERED] = const { [const { Cell::new(0) }; REMEMBERED] };
}

/// Usually fewer relations are invalidated while a view is compiled.
const REMEMBERED: usize = 256;

/// The current subtransaction. Numbers grow; a parent's is less than its children's.
pub fn subtransaction() -> u32 {
    // SAFETY: reads a variable.
    unsafe { bare::GetCurrentSubTransactionId() }
}

/// The current command counter, which grows until the end of the transaction.
pub fn command() -> u32 {
    // SAFETY: reads a variable.
    unsafe { bare::GetCurrentCommandId(false) }
}

/// Raises an error in a read-only transaction, as all are on a standby.
pub fn require_writable(verb: &CStr) {
    // SAFETY: the name is only printed.
    unsafe { pg_sys::PreventCommandIfReadOnly(verb.as_ptr()) }
}

/// Runs `body`, which writes, also if the transaction has become read-only since the changes that `body` follows.
pub fn still_writable<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: a variable of this backend, which the abort of the (sub)transaction restores after an error.
    unsafe {
        let before = pg_sys::XactReadOnly;
        pg_sys::XactReadOnly = false;
        let value = body();
        pg_sys::XactReadOnly = before;
        value
    }
}

/// Whether this is a logical replication worker that applies changes.
pub fn is_replication_worker() -> bool {
    // SAFETY: compares a variable of this backend.
    unsafe { bare::IsLogicalWorker() }
}

/// Runs `body` like a statement after the transaction's last one. It must leave no deferred triggers, since PostgreSQL
/// has already fired them.
pub fn at_end(body: impl FnOnce()) {
    // SAFETY: between statements there is no snapshot; after an error PostgreSQL pops it.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        body();
        pg_sys::PopActiveSnapshot();
    }
}

/// Changes whenever something may have changed from which plans were compiled.
pub fn generation() -> u64 {
    GENERATION.get()
}

/// Compiles something and puts it into the cache. An invalidation that arrives meanwhile may concern relations that are
/// only known afterwards, so the relations invalidated meanwhile are checked again.
pub fn compiling<T>(compile: impl FnOnce() -> T) -> T {
    let before = CHANGES.get();
    let value = compile();
    let since = before..CHANGES.get();
    let is_ours = |change: usize| depends_on(CHANGED.with(|changed| changed[change % REMEMBERED].get()));
    if since.len() > REMEMBERED || since.into_iter().any(is_ours) {
        GENERATION.set(GENERATION.get() + 1);
    }
    value
}

fn depends_on(relation: u32) -> bool {
    pg_sys::Oid::from(relation) == pg_sys::Oid::INVALID || (entrances().depends_on)(relation)
}

/// Accepts invalidations of other sessions' committed catalog changes.
pub fn accept_invalidations() {
    // SAFETY: within a transaction; the callbacks that it calls change variables of this library.
    unsafe { pg_sys::AcceptInvalidationMessages() }
}

/// Sends an invalidation of a relation to every backend, when this transaction commits.
pub fn invalidate(relation: u32) {
    // SAFETY: the relation exists; only a message is queued.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(pg_sys::Oid::from(relation)) }
}

/// The same for all relations.
pub fn invalidate_all() {
    // SAFETY: only a message is queued.
    unsafe { pg_sys::CacheInvalidateRelcacheAll() }
}

/// Installs the callbacks, once per backend.
pub fn register() {
    if REGISTERED.replace(true) {
        return;
    }
    super::executor::install();
    super::utility::install();
    super::planner::install();
    super::clock::install();
    // SAFETY: the callbacks live as long as the library, which is never unloaded.
    unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_ended), std::ptr::null_mut());
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null());
        // Renaming a schema or altering a function invalidates no relation.
        for catalog in [pg_sys::SysCacheIdentifier::NAMESPACEOID, pg_sys::SysCacheIdentifier::PROCOID] {
            pg_sys::CacheRegisterSyscacheCallback(catalog as i32, Some(name_changed), pg_sys::Datum::null());
        }
    }
}

/// Makes PostgreSQL call this library before others when the transaction commits. Foreign-data wrappers commit their
/// remote transactions in that call, so a flush that fails must come before. Whoever registered last is called first.
pub(super) fn be_called_first() {
    let (known, new) = (TURN.get(), 1 - TURN.get());
    // SAFETY: no callback is running. The argument tells the two registrations apart, so that there is always one, also if
    // there is no memory for another.
    unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::without_provenance_mut(new));
        pg_sys::UnregisterXactCallback(Some(transaction_ended), std::ptr::without_provenance_mut(known));
    }
    TURN.set(new);
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::*;
    match event {
        XACT_EVENT_PRE_COMMIT | XACT_EVENT_PRE_PREPARE | XACT_EVENT_PARALLEL_PRE_COMMIT => {
            (entrances().before_commit)()
        }
        _ => {
            (entrances().transaction_ends)();
            super::planner::forget();
            super::clock::forget();
            super::progress::forget();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_ended(
    event: pg_sys::SubXactEvent::Type,
    mine: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    use pg_sys::SubXactEvent::*;
    match event {
        SUBXACT_EVENT_COMMIT_SUB => (entrances().subtransaction_released)(mine, parent),
        SUBXACT_EVENT_ABORT_SUB => {
            (entrances().subtransaction_aborted)(mine);
            super::planner::forget();
            super::clock::forget();
        }
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let relation = relation.to_u32();
    let change = CHANGES.replace(CHANGES.get() + 1);
    CHANGED.with(|changed| changed[change % REMEMBERED].set(relation));
    super::content::forget(relation);
    if relation == 0 || depends_on(relation) {
        GENERATION.set(GENERATION.get() + 1);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn name_changed(_arg: pg_sys::Datum, _catalog: i32, _hash: u32) {
    GENERATION.set(GENERATION.get() + 1);
}

/// Runs `body` in a subtransaction. Returns `None`, with all of it rolled back, after an error of class 42, that is if
/// PostgreSQL can't make sense of some SQL.
pub fn attempt<T>(body: impl FnOnce() -> T) -> Option<T> {
    attempt_unless(is_of_class_42, body)
}

/// Runs `body` with this lock_timeout. Returns `None`, with all of it rolled back, if that is exceeded.
pub fn attempt_with_timeout<T>(milliseconds: u64, body: impl FnOnce() -> T) -> Option<T> {
    let timeout = milliseconds.to_string();
    let refused = |code: PgSqlErrorCode| code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE;
    context::with_settings(&[("lock_timeout", &timeout)], || attempt_unless(refused, body))
}

/// The same. After any other error except cancelling and termination, returns that error, with all of it rolled back.
pub fn attempt_or_error<T>(milliseconds: u64, body: impl FnOnce() -> T) -> Result<T, (PgSqlErrorCode, String)> {
    use PgSqlErrorCode::{ERRCODE_ADMIN_SHUTDOWN, ERRCODE_QUERY_CANCELED};
    let timeout = milliseconds.to_string();
    let refused = |code| !matches!(code, ERRCODE_ADMIN_SHUTDOWN | ERRCODE_QUERY_CANCELED);
    context::with_settings(&[("lock_timeout", &timeout)], || attempted(refused, true, body))
}

/// Runs `body`. Returns `None`, with all of it rolled back, if something exceeds a limit of PostgreSQL, such as the
/// number of columns.
pub fn attempt_unless_too_large<T>(body: impl FnOnce() -> T) -> Option<T> {
    use PgSqlErrorCode::{ERRCODE_PROGRAM_LIMIT_EXCEEDED, ERRCODE_TOO_MANY_COLUMNS};
    attempt_unless(|code| matches!(code, ERRCODE_PROGRAM_LIMIT_EXCEEDED | ERRCODE_TOO_MANY_COLUMNS), body)
}

/// Runs `body` and rolls it back. Returns the SQLSTATE and the message of an error. Cancelling, termination and errors
/// for lack of resources are raised again.
pub fn trial(body: impl FnOnce()) -> Result<(), (PgSqlErrorCode, String)> {
    attempted(|code| !is_of_server(code), false, body)
}

/// Whether an operation that failed with this error may succeed later: other transactions or a lack of resources were
/// the cause.
pub fn may_succeed_later(code: PgSqlErrorCode) -> bool {
    code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE || is_of_server(code)
}

/// Whether the cause of an error is other transactions or the server, not the statement.
fn is_of_server(code: PgSqlErrorCode) -> bool {
    ["40", "53", "57", "58"].iter().any(|class| is_of_class(code, class))
}

fn attempt_unless<T>(expected: fn(PgSqlErrorCode) -> bool, body: impl FnOnce() -> T) -> Option<T> {
    attempted(expected, true, body).ok()
}

fn attempted<T>(
    expected: impl Fn(PgSqlErrorCode) -> bool + UnwindSafe + RefUnwindSafe,
    keep: bool,
    body: impl FnOnce() -> T,
) -> Result<T, (PgSqlErrorCode, String)> {
    // SAFETY: the subtransaction that is begun is ended on both ways, and what belongs to the
    // surrounding one is put back.
    unsafe {
        let (memory, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        let back = || {
            pg_sys::CurrentMemoryContext = memory;
            pg_sys::CurrentResourceOwner = owner;
        };
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = memory;
        PgTryBuilder::new(AssertUnwindSafe(|| {
            let value = body();
            match keep {
                true => pg_sys::ReleaseCurrentSubTransaction(),
                false => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
            }
            back();
            Ok(value)
        }))
        .catch_others(|error| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            back();
            match &error {
                // An error of PostgreSQL's, or one that we raised.
                CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)
                    if expected(report.sql_error_code()) =>
                {
                    Err((report.sql_error_code(), report.message().to_owned()))
                }
                _ => error.rethrow(),
            }
        })
        .execute()
    }
}

fn is_of_class_42(code: PgSqlErrorCode) -> bool {
    is_of_class(code, "42")
}

fn is_of_class(code: PgSqlErrorCode, class: &str) -> bool {
    // Six bits for each character, the first lowest.
    let packed = class.bytes().rev().fold(0, |packed, byte| packed << 6 | i32::from(byte.wrapping_sub(b'0')) & 0x3f);
    code as i32 & 0xfff == packed
}
