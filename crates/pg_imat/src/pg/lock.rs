//! Relation locks, held to the end of the transaction.

use pgrx::pg_sys;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Share,
    ShareRowExclusive,
    Exclusive,
}

/// Waits for the lock, which PostgreSQL releases at the end of the transaction.
pub fn relation(oid: u32, mode: Mode) {
    let mode = match mode {
        Mode::Share => pg_sys::ShareLock,
        Mode::ShareRowExclusive => pg_sys::ShareRowExclusiveLock,
        Mode::Exclusive => pg_sys::ExclusiveLock,
    };
    // SAFETY: locking an OID needs no open relation; an OID that is gone is locked in vain.
    unsafe { pg_sys::LockRelationOid(pg_sys::Oid::from(oid), mode as i32) }
}

/// Whether the transaction reads under one snapshot from its first statement to its last.
pub fn transaction_snapshot() -> bool {
    // SAFETY: a plain variable of this backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
