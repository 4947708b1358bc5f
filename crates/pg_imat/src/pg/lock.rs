//! Locks, held to the end of the transaction.

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

/// What a lock is for. crates/imat-oracle/specs/locks.txt has a line for each, and for each mode that it is taken in.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// A key of a join.
    Key,
    /// All keys of one side of a join.
    Writers,
    /// The tables that the statements of a flush name don't become others, nor does the state.
    Names,
    /// The state is locked for writing when others' DDL is looked at, and not after it.
    State,
    /// Of those who recompute it whole, one writes it.
    Whole,
    /// Nobody writes what is about to be made anew, nor what it is made of; known before the flush has other locks.
    ShutOut,
    /// The same, as it is known when its turn has come.
    Rebuild,
    /// Nobody writes a partition or child that comes or goes.
    Member,
    /// Triggers stay as enabled as they are.
    Triggers,
    /// Of those who decide whether a maintained table is stale, one does.
    Staleness,
    /// Nobody relies on foreign keys any more.
    Trust,
    /// A maintained table is made of what it was analysed with, and nobody is writing that.
    Create,
    /// Nobody is writing what a maintained table goes from.
    Drop,
    /// An object that queries use.
    Object,
    /// All of these.
    Objects,
    /// What is built online is not handed over to the writers.
    Unfinished,
    /// Somebody is building it.
    Build,
    /// Nobody writes for a moment.
    Online,
    /// Of those who adopt what a dump left behind, one does.
    Adoption,
    /// Nobody writes what is made anew since it was adopted.
    Adopted,
    /// Not a lock: what is new since a transaction's snapshot is looked for.
    Snapshot,
    /// Nor this: a transaction's snapshot may be older than what a state holds.
    Content,
}

/// Whether this session goes without such a lock, to show that a test then fails. Only where the
/// library was built for that.
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
    // SAFETY: locking an OID needs no open relation; an OID that is gone is locked in vain.
    unsafe { pg_sys::LockRelationOid(pg_sys::Oid::from(oid), mode.number()) }
}

/// Keeps others from renaming, replacing or dropping a relation.
pub fn keep(oid: u32) {
    if !is_held(&tag_of(oid), Mode::AccessShare) {
        relation(Purpose::Names, oid, Mode::AccessShare);
    }
}

/// Waits until all transactions have ended that hold the relation in a mode against this one. Those
/// that begin to meanwhile are not waited for, and nobody waits for this.
pub fn wait_for_holders(oid: u32, mode: Mode) {
    // SAFETY: no such relation needs to exist.
    unsafe { pg_sys::WaitForLockers(tag_of(oid), mode.number(), false) }
}

/// The tag of a relation of this database, which needs not exist.
fn tag_of(relation: u32) -> pg_sys::LOCKTAG {
    tag(pg_sys::LockTagType::LOCKTAG_RELATION, [relation, 0], 0)
}

/// The tag of a sub-object of anything in this database, which needs not exist.
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

/// The sub-object number of a lock on what a maintained table's query uses. PostgreSQL's own have 0.
const USE: u16 = 0x1a9;

/// Waits for a lock on an object of this class and OID that is no relation, or on all of them, and
/// takes note of what others did to it.
pub fn object(object: Option<(u32, u32)>, mode: Mode) {
    let purpose = if object.is_some() { Purpose::Object } else { Purpose::Objects };
    if left_out(format_args!("{purpose:?} {mode:?}")) {
        return;
    }
    let (class, oid) = object.unwrap_or_default();
    // SAFETY: the tag is copied; nothing that it names needs to exist.
    unsafe {
        pg_sys::LockAcquire(&tag_of_object(class, oid, USE), mode.number(), false, false);
        pg_sys::AcceptInvalidationMessages();
    }
}

/// The sub-object number of the lock that says that somebody is building a maintained table.
const BUILD: u16 = 0x1a8;

fn tag_of_build(definition: u32) -> pg_sys::LOCKTAG {
    tag_of_object(pg_sys::RelationRelationId.to_u32(), definition, BUILD)
}

/// Says so until [`end_build`], an error or the end of the session, over several transactions.
pub fn begin_build(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Build)) {
        return;
    }
    // SAFETY: the tag is copied.
    unsafe { pg_sys::LockAcquire(&tag_of_build(definition), Mode::Exclusive.number(), true, false) };
}

pub fn end_build(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Build)) {
        return;
    }
    // SAFETY: as above; PostgreSQL warns of a lock that is not held.
    unsafe { pg_sys::LockRelease(&tag_of_build(definition), Mode::Exclusive.number(), true) };
}

/// Whether another session is building it.
pub fn is_being_built(definition: u32) -> bool {
    let (tag, mode) = (tag_of_build(definition), Mode::Share.number());
    // SAFETY: as above; what is not refused is given back at once.
    unsafe {
        let refused = pg_sys::LockAcquire(&tag, mode, false, true) == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL;
        if !refused {
            pg_sys::LockRelease(&tag, mode, false);
        }
        refused
    }
}

/// The sub-object number of the lock of whoever decides whether a maintained table is stale.
const STALENESS: u16 = 0x1aa;

fn tag_of_staleness(definition: u32) -> pg_sys::LOCKTAG {
    tag_of_object(pg_sys::RelationRelationId.to_u32(), definition, STALENESS)
}

/// Waits until nobody else decides whether it is stale, or has decided so in a transaction that is still open.
pub fn begin_decision(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Staleness)) {
        return;
    }
    // SAFETY: as above.
    unsafe { pg_sys::LockAcquire(&tag_of_staleness(definition), Mode::Exclusive.number(), false, false) };
}

/// Lets others decide, where nothing was decided.
pub fn put_off_decision(definition: u32) {
    if left_out(format_args!("{:?}", Purpose::Staleness)) {
        return;
    }
    // SAFETY: as above.
    unsafe { pg_sys::LockRelease(&tag_of_staleness(definition), Mode::Exclusive.number(), false) };
}

/// The sub-object number of the lock of whoever adopts what a dump left behind.
const ADOPTION: u16 = 0x1ab;

/// Lets nobody else adopt until the transaction ends; returns whether that is so. If somebody else does, his transaction is
/// waited for, or else that is all.
pub fn begin_adoption(wait: bool) -> bool {
    if left_out(format_args!("{:?}", Purpose::Adoption)) {
        return true;
    }
    let tag = tag_of_object(pg_sys::RelationRelationId.to_u32(), 0, ADOPTION);
    // SAFETY: as above.
    let got = unsafe { pg_sys::LockAcquire(&tag, Mode::Exclusive.number(), false, !wait) };
    got != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
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

/// What is locked of an edge of a view's join tree. Ordered as it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// All writers of one side: each holds it RowExclusive, and whoever must wait for all of them
    /// takes it Share.
    Writers(Side),
    /// What has this hash.
    Key(i32),
}

/// The tag of such a lock: one of PostgreSQL's advisory locks, in a space that its functions can't reach.
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

/// Waits for such a lock, which PostgreSQL releases at the end of the transaction; returns whether
/// the transaction did not hold it before.
pub fn key(view: u32, edge: u16, target: Target, mode: Mode) -> bool {
    let purpose = if matches!(target, Target::Key(_)) { Purpose::Key } else { Purpose::Writers };
    if left_out(format_args!("{purpose:?} {mode:?}")) {
        return false;
    }
    let tag = tag_of_key(view, edge, target);
    // SAFETY: the tag is complete; nothing that it names needs to exist.
    unsafe { pg_sys::LockAcquire(&tag, mode.number(), false, false) == pg_sys::LockAcquireResult::LOCKACQUIRE_OK }
}

/// Whether the transaction holds the lock of a key in this mode.
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

/// Whether the transaction reads under one snapshot from its first statement to its last.
pub fn transaction_snapshot() -> bool {
    has_one_snapshot() && !left_out(format_args!("{:?}", Purpose::Snapshot))
}

/// The same, as far as its snapshot may be older than what a state holds.
pub fn can_be_older() -> bool {
    has_one_snapshot() && !left_out(format_args!("{:?}", Purpose::Content))
}

fn has_one_snapshot() -> bool {
    // SAFETY: a plain variable of this backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
