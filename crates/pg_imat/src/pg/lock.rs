//! Locks, held until the end of the transaction.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::fmt::Arguments;

use imat_compile::plan::locks::Side;
use pgrx::pg_sys;

use super::{bare, context};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    AccessShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
}

impl Mode {
    fn number(self) -> i32 {
        let mode = match self {
            Mode::AccessShare => pg_sys::AccessShareLock,
            Mode::RowExclusive => pg_sys::RowExclusiveLock,
            Mode::ShareUpdateExclusive => pg_sys::ShareUpdateExclusiveLock,
            Mode::Share => pg_sys::ShareLock,
            Mode::ShareRowExclusive => pg_sys::ShareRowExclusiveLock,
            Mode::Exclusive => pg_sys::ExclusiveLock,
        };
        mode as i32
    }
}

/// The purpose of a lock. crates/imat-oracle/specs/locks.txt has a line for each purpose and mode.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// A key of a join.
    Key,
    /// All keys of one side of a join.
    Writers,
    /// Prevents that the tables named in a flush's statements, or the state, are renamed or replaced.
    Names,
    /// The lock for writing the state, taken before invalidations are accepted, so that taking it later accepts no
    /// more.
    State,
    /// Only one transaction at a time recomputes a "whole" view.
    Whole,
    /// Blocks writers of base tables of a maintained table that will be rebuilt, before the flush takes other locks.
    ShutOut,
    /// Blocks writers of the base tables and of the state, right before the rebuild.
    Rebuild,
    /// Blocks writers of a partition or child that is attached or detached.
    Member,
    /// Prevents that triggers are enabled or disabled.
    Triggers,
    /// Only one transaction at a time decides whether a maintained table is stale.
    Staleness,
    /// Blocks writers of referenced tables when the trust in foreign keys ends.
    Trust,
    /// Blocks DDL and writers of the tables and views that a new maintained table reads.
    Create,
    /// Blocks writers of the base tables of a maintained table that is dropped.
    Drop,
    /// An object that a query uses, such as a function.
    Object,
    /// All such objects.
    Objects,
    /// Delays the switch of an online build until DDL that must restart it has committed.
    Unfinished,
    /// Shows that a session is building a maintained table.
    Build,
    /// Blocks writers for a short moment of an online build.
    Online,
    /// Only one transaction at a time adopts restored tables.
    Adoption,
    /// Blocks writers of the base tables of an adopted table that is rebuilt.
    Adopted,
    /// Not a lock: the check whether data is newer than the transaction's snapshot.
    Snapshot,
    /// Not a lock: the check whether a state's content is newer than the transaction's snapshot.
    Content,
}

/// Whether this session leaves out a lock, to show that a test then fails. Only in a library that is built for such
/// tests.
fn left_out(lock: Arguments) -> bool {
    thread_local! {
        static NAME: OnceCell<String> = const { OnceCell::new() };
    }
    cfg!(feature = "mutants")
        && NAME.with(|name| *name.get_or_init(|| context::setting("imat.leave_out")) == lock.to_string())
}

/// Waits for the lock, which PostgreSQL releases at the end of the transaction.
pub fn relation(purpose: Purpose, oid: u32, mode: Mode) {
    if left_out(format_args!("{purpose:?} {mode:?}")) {
        return;
    }
    have_room();
    // SAFETY: locking an OID needs no open relation; an OID that is gone is locked in vain.
    unsafe { pg_sys::LockRelationOid(pg_sys::Oid::from(oid), mode.number()) }
}

/// Raises an error if there is no memory for the owners of a lock. If PostgreSQL itself fails to get that, it leaves an
/// entry without owners, and crashes when the transaction takes the lock again after a rollback to a savepoint.
fn have_room() {
    /// `LockAcquireExtended` begins with eight owners, of two pointers' size.
    const OWNERS: usize = 8 * 16;
    // SAFETY: what is freed goes to the context's list of free chunks of this size, where the next request finds it.
    unsafe { pg_sys::pfree(pg_sys::MemoryContextAlloc(pg_sys::TopMemoryContext, OWNERS)) }
}

/// Takes a lock that is none on a relation. `is_kept` means until the session ends, and not the transaction; with `waits`
/// false it is not waited for.
fn acquire(tag: &pg_sys::LOCKTAG, mode: Mode, is_kept: bool, waits: bool) -> pg_sys::LockAcquireResult::Type {
    have_room();
    // SAFETY: the tag is copied; nothing that it names needs to exist.
    unsafe { pg_sys::LockAcquire(tag, mode.number(), is_kept, !waits) }
}

/// Prevents that a relation is renamed, replaced or dropped.
pub fn protect(oid: u32) {
    if !is_held(&tag_of(oid), Mode::AccessShare) {
        relation(Purpose::Names, oid, Mode::AccessShare);
    }
}

/// Waits until all transactions have ended that hold a lock on the relation which conflicts with this mode. It does not
/// wait for transactions that begin meanwhile, and does not block them.
pub fn wait_for_holders(oid: u32, mode: Mode) {
    // SAFETY: no such relation needs to exist.
    unsafe { pg_sys::WaitForLockers(tag_of(oid), mode.number(), false) }
}

/// The tag of a relation of this database, which need not exist.
fn tag_of(relation: u32) -> pg_sys::LOCKTAG {
    tag(pg_sys::LockTagType::LOCKTAG_RELATION, [relation, 0], 0)
}

/// The tag of a sub-object of any object in this database, which need not exist.
fn tag_of_object(class: u32, oid: u32, object: u16) -> pg_sys::LOCKTAG {
    tag(pg_sys::LockTagType::LOCKTAG_OBJECT, [class, oid], object)
}

fn tag(kind: pg_sys::LockTagType::Type, fields: [u32; 2], last: u16) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: reads a variable.
        locktag_field1: unsafe { pg_sys::MyDatabaseId.to_u32() },
        locktag_field2: fields[0],
        locktag_field3: fields[1],
        locktag_field4: last,
        locktag_type: kind as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}

/// The sub-object number of locks on objects that a query uses. PostgreSQL uses 0.
const USE: u16 = 0x1a9;

/// Locks an object that is no relation, by class and OID, or all such objects. Then accepts invalidations, to see what
/// other transactions did to it.
pub fn object(object: Option<(u32, u32)>, mode: Mode) {
    let purpose = if object.is_some() { Purpose::Object } else { Purpose::Objects };
    if left_out(format_args!("{purpose:?} {mode:?}")) {
        return;
    }
    let (class, oid) = object.unwrap_or_default();
    acquire(&tag_of_object(class, oid, USE), mode, false, true);
    // SAFETY: within a transaction; the callbacks that it calls change variables of this library.
    unsafe { pg_sys::AcceptInvalidationMessages() }
}

/// The sub-object number of the lock that shows that a session is building a maintained table.
const BUILD: u16 = 0x1a8;

fn tag_of_build(definition: u32) -> pg_sys::LOCKTAG {
    tag_of_object(pg_sys::RelationRelationId.to_u32(), definition, BUILD)
}

/// Takes that lock as a session lock, which outlives transactions. [`end_build`], an error or the end of the session
/// releases it.
pub fn begin_build(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Build)) {
        return;
    }
    acquire(&tag_of_build(definition), Mode::Exclusive, true, true);
}

pub fn end_build(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Build)) {
        return;
    }
    // SAFETY: the tag is copied; PostgreSQL warns of a lock that is not held.
    unsafe { pg_sys::LockRelease(&tag_of_build(definition), Mode::Exclusive.number(), true) };
}

/// Whether another session is building the maintained table.
pub fn is_being_built(definition: u32) -> bool {
    let tag = tag_of_build(definition);
    let refused = acquire(&tag, Mode::Share, false, false) == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL;
    if !refused {
        // SAFETY: as above; what is not refused is given back at once.
        unsafe { pg_sys::LockRelease(&tag, Mode::Share.number(), false) };
    }
    refused
}

/// The sub-object number of the decision lock.
const STALENESS: u16 = 0x1aa;

fn tag_of_staleness(definition: u32) -> pg_sys::LOCKTAG {
    tag_of_object(pg_sys::RelationRelationId.to_u32(), definition, STALENESS)
}

/// Takes the decision lock of a maintained table: no other transaction may decide until this one ends whether it is
/// stale.
pub fn begin_decision(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Staleness)) {
        return;
    }
    acquire(&tag_of_staleness(definition), Mode::Exclusive, false, true);
}

/// Releases the decision lock, if nothing was decided.
pub fn release_decision(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Staleness)) {
        return;
    }
    // SAFETY: as above.
    unsafe { pg_sys::LockRelease(&tag_of_staleness(definition), Mode::Exclusive.number(), false) };
}

/// The sub-object number of the adoption lock.
const ADOPTION: u16 = 0x1ab;

/// Takes the adoption lock until the end of the transaction. If another transaction has it, this waits, or with `wait`
/// false returns false.
pub fn begin_adoption(wait: bool) -> bool {
    if left_out(format_args!("{:?}", Purpose::Adoption)) {
        return true;
    }
    let tag = tag_of_object(pg_sys::RelationRelationId.to_u32(), 0, ADOPTION);
    acquire(&tag, Mode::Exclusive, false, wait) != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Raises PostgreSQL's error if the session itself is still reading or changing the relation, or has pending trigger
/// events of it. `action` completes the message before the relation's name.
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

/// The part of an edge of the join tree that is locked. Ordered as it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// All writers of one side: each of them holds this in RowExclusive mode. To wait for all of them, a transaction
    /// takes it in Share mode.
    Writers(Side),
    /// The keys with this hash.
    Key(i32),
}

/// The tag of a key lock: an advisory lock whose fourth field PostgreSQL's own functions never use.
fn tag_of_key(view: u32, edge: u16, target: Target) -> pg_sys::LOCKTAG {
    let (number, kind) = match target {
        Target::Writers(Side::Child) => (0, 0),
        Target::Writers(Side::Parent) => (1, 0),
        Target::Key(hash) => (hash as u32, 1),
    };
    pg_sys::LOCKTAG {
        // SAFETY: reads a variable.
        locktag_field1: unsafe { pg_sys::MyDatabaseId.to_u32() },
        locktag_field2: view,
        locktag_field3: number,
        // PostgreSQL's own advisory locks have 1 and 2 here.
        locktag_field4: 0x8000 | edge << 1 | kind,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// Takes a key lock, which PostgreSQL releases at the end of the transaction. Returns whether the transaction did not
/// hold it before.
pub fn key(view: u32, edge: u16, target: Target, mode: Mode) -> bool {
    let purpose = if matches!(target, Target::Key(_)) { Purpose::Key } else { Purpose::Writers };
    if left_out(format_args!("{purpose:?} {mode:?}")) {
        return false;
    }
    let tag = tag_of_key(view, edge, target);
    acquire(&tag, mode, false, true) == pg_sys::LockAcquireResult::LOCKACQUIRE_OK
}

/// Whether the transaction holds a key's lock in this mode.
pub fn holds_key(view: u32, edge: u16, key: i32, mode: Mode) -> bool {
    is_held(&tag_of_key(view, edge, Target::Key(key)), mode)
}

/// Whether the transaction holds a lock in this mode.
fn is_held(tag: &pg_sys::LOCKTAG, mode: Mode) -> bool {
    // SAFETY: only looks it up.
    unsafe {
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return bare::LockHeldByMe(tag, mode.number(), false);
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        return bare::LockHeldByMe(tag, mode.number());
    }
}

/// Whether the transaction uses one snapshot for all its statements.
pub fn transaction_snapshot() -> bool {
    has_one_snapshot() && !left_out(format_args!("{:?}", Purpose::Snapshot))
}

/// The same, for the check whether a state's content is newer.
pub fn can_be_older() -> bool {
    has_one_snapshot() && !left_out(format_args!("{:?}", Purpose::Content))
}

fn has_one_snapshot() -> bool {
    // SAFETY: a plain variable of this backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
