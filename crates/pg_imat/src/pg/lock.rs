//! Relation locks, held to the end of the transaction.

use std::ffi::CStr;

use pgrx::pg_sys;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    AccessShare,
    Share,
    ShareRowExclusive,
    Exclusive,
}

/// Waits for the lock, which PostgreSQL releases at the end of the transaction.
pub fn relation(oid: u32, mode: Mode) {
    let mode = match mode {
        Mode::AccessShare => pg_sys::AccessShareLock,
        Mode::Share => pg_sys::ShareLock,
        Mode::ShareRowExclusive => pg_sys::ShareRowExclusiveLock,
        Mode::Exclusive => pg_sys::ExclusiveLock,
    };
    // SAFETY: locking an OID needs no open relation; an OID that is gone is locked in vain.
    unsafe { pg_sys::LockRelationOid(pg_sys::Oid::from(oid), mode as i32) }
}

/// Raises PostgreSQL's error where the session itself is still reading or changing the relation,
/// or has triggers of it to fire; `action` is what can't be done, up to the relation's name.
pub fn require_unused(oid: u32, action: &CStr) {
    // SAFETY: the relation is open between the two calls; an error closes it.
    unsafe {
        let relation = pg_sys::try_relation_open(pg_sys::Oid::from(oid), pg_sys::AccessShareLock as i32);
        if !relation.is_null() {
            pg_sys::CheckTableNotInUse(relation, action.as_ptr());
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        }
    }
}

/// A base table's *tag*: writers of the table hold it RowExclusive, and whoever must wait for
/// them takes it Share. Those two modes are each compatible with themselves and exclude each
/// other. The table itself is left to VACUUM and the like, which Share on it would keep out.
pub fn tag(base: u32, mode: TagMode) {
    let mode = match mode {
        TagMode::Writer => pg_sys::RowExclusiveLock,
        TagMode::Partner => pg_sys::ShareLock,
    };
    // SAFETY: no such object needs to exist; PostgreSQL itself locks no relation in this way.
    unsafe {
        pg_sys::LockDatabaseObject(pg_sys::RelationRelationId, pg_sys::Oid::from(base), TAG, mode as i32);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagMode {
    Writer,
    Partner,
}

/// The sub-object number of tags.
const TAG: u16 = 0x1a7;

/// Whether the transaction reads under one snapshot from its first statement to its last.
pub fn transaction_snapshot() -> bool {
    // SAFETY: a plain variable of this backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
