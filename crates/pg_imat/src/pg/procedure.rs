//! Runs a procedure in several transactions.

use std::cell::Cell;
use std::ffi::CString;

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::entrance::entrances;
use super::image::V1;

/// The transactions of a procedure. [`Transactions::next`] begins each.
pub struct Transactions(());

/// The snapshots of one of these transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A new snapshot for each statement.
    Committed,
    /// One snapshot for all statements.
    Repeatable,
    /// No snapshot, so that none is held while the procedure waits.
    Nothing,
}

impl Transactions {
    /// Runs `body` with them. The caller is a procedure in a context that allows commits.
    pub fn during(body: impl FnOnce(&Self)) {
        // SAFETY: closed at the end, or by PostgreSQL after an error.
        unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
        body(&Self(()));
        // SAFETY: opened above.
        unsafe { pg_sys::SPI_finish() };
        report_statement();
    }

    /// Commits, and begins another one.
    pub fn next(&self, reads: Reads) {
        // SAFETY: no statement is running but the procedure's CALL, and nothing of the transaction that
        // ends is used after it. The isolation level is set before the first snapshot is taken; the
        // snapshot is the CALL's, which the next commit takes away.
        unsafe {
            pg_sys::SPI_commit();
            pg_sys::XactIsoLevel = match reads {
                Reads::Repeatable => pg_sys::XACT_REPEATABLE_READ as i32,
                Reads::Committed | Reads::Nothing => pg_sys::XACT_READ_COMMITTED as i32,
            };
            if reads != Reads::Nothing {
                pg_sys::EnsurePortalSnapshotExists();
            }
        }
    }

    /// Sleeps between two transactions.
    pub fn pause(&self, milliseconds: u64) {
        self.next(Reads::Nothing);
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        // SAFETY: waits for the session's own latch, and resets it.
        unsafe {
            pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds as _, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        pgrx::check_for_interrupts!();
    }
}

/// The deadlock_timeout in milliseconds, which is the same in every session.
pub fn deadlock_timeout() -> u64 {
    // SAFETY: reads a variable.
    unsafe { u64::try_from(pg_sys::DeadlockTimeout).unwrap_or(0) }
}

thread_local! {
    static REPORTED: Cell<bool> = const { Cell::new(false) };
}

/// Shows in pg_stat_activity what the session is doing.
pub fn report_activity(activity: &str) {
    let text = CString::new(activity).unwrap_or_default();
    REPORTED.set(true);
    // SAFETY: the text is copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()) };
}

/// Shows the statement's text again.
fn report_statement() {
    if REPORTED.replace(false) {
        // SAFETY: the text lives as long as the statement.
        unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, pg_sys::debug_query_string) };
    }
}

/// CALL create_imat(view, online, schema).
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_create_online(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the declared arguments; the context is that of a CALL, if there is one.
    let (view, online, schema, atomic) = unsafe {
        let context = (*fcinfo).context.cast::<pg_sys::CallContext>();
        let atomic = context.is_null() || (*context).type_ != pg_sys::NodeTag::T_CallContext || (*context).atomic;
        (
            pgrx::fcinfo::pg_getarg::<String>(fcinfo, 0),
            pgrx::fcinfo::pg_getarg::<bool>(fcinfo, 1),
            pgrx::fcinfo::pg_getarg::<String>(fcinfo, 2),
            atomic,
        )
    };
    (entrances().create_procedure)(view.as_deref(), online, schema.as_deref(), atomic);
    pg_sys::Datum::null()
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_create_online() -> &'static pg_sys::Pg_finfo_record {
    &V1
}
