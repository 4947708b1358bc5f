//! Checks before a query reads a state: the state is maintained, and its content is not newer than the snapshot (see
//! [`crate::catalog::content`]).

use std::cell::RefCell;
use std::collections::BTreeMap;

use imat_compile::sql::ddl::GUARD;
use pgrx::pg_sys;

use super::error::raise;
use super::lookup::{self, By};
use crate::refuse;

#[derive(Default)]
struct Known {
    /// The relations that were looked up.
    content: BTreeMap<u32, Content>,
    /// The xmax of the snapshot at the first look-up.
    since: u32,
}

#[derive(Clone, Copy)]
enum Content {
    /// The relation is no state.
    OfItsOwn,
    /// A state, with the transaction that wrote its content.
    Since(pg_sys::TransactionId),
    /// A state without bookkeeping, as a restore can leave it. This is not remembered, because nothing invalidates it
    /// when the bookkeeping comes.
    WithoutBookkeeping,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Entries are forgotten after this many transactions, long before transaction IDs wrap around.
const MEMORY: u32 = 1 << 30;

/// Raises an error if one of these relations is a state without bookkeeping or, if `older` says that the snapshot may
/// be older than a content, a state whose content the snapshot does not see.
///
/// # Safety
/// The snapshot is an MVCC snapshot.
pub unsafe fn require(relations: impl Iterator<Item = u32>, snapshot: pg_sys::Snapshot, older: bool) {
    // SAFETY: by the caller.
    let now: u32 = unsafe { (*snapshot).xmax }.into();
    KNOWN.with_borrow_mut(|known| {
        if known.content.is_empty() || now.wrapping_sub(known.since) > MEMORY {
            *known = Known { since: now, ..Known::default() };
        }
    });
    for relation in relations {
        match content(relation) {
            Content::OfItsOwn => {}
            // SAFETY: by the caller; the transaction is one of a committed row, or this one.
            Content::Since(transaction) if !older || unsafe { sees(snapshot, transaction) } => {}
            Content::Since(_) => raise(&refuse::older_than_content(&name(relation))),
            Content::WithoutBookkeeping => raise(&refuse::not_adopted(&format!("\"{}\"", name(relation)))),
        }
    }
}

/// The same for one relation, under the transaction's snapshot.
pub fn require_now(relation: u32) {
    // SAFETY: what PostgreSQL gives a transaction is an MVCC snapshot.
    unsafe { require(std::iter::once(relation), pg_sys::GetTransactionSnapshot(), true) }
}

unsafe fn sees(snapshot: pg_sys::Snapshot, transaction: pg_sys::TransactionId) -> bool {
    // SAFETY: by the caller.
    unsafe {
        pg_sys::TransactionIdIsCurrentTransactionId(transaction) || !pg_sys::XidInMVCCSnapshot(transaction, snapshot)
    }
}

/// Forgets a relation that was altered, or a state with new content; 0 means all.
pub fn forget(relation: u32) {
    // The cache is not borrowed during look-ups, which can call this.
    KNOWN.with_borrow_mut(|known| match relation {
        0 => known.content.clear(),
        relation => _ = known.content.remove(&relation),
    });
}

fn content(relation: u32) -> Content {
    if let Some(known) = KNOWN.with_borrow(|known| known.content.get(&relation).copied()) {
        return known;
    }
    match lacks_bookkeeping(relation) {
        true => Content::WithoutBookkeeping,
        false => {
            let found = look_up(relation).map_or(Content::OfItsOwn, Content::Since);
            KNOWN.with_borrow_mut(|known| known.content.insert(relation, found));
            found
        }
    }
}

/// Whether a relation has the guard of a state and is not in the bookkeeping.
fn lacks_bookkeeping(relation: u32) -> bool {
    // Before PostgreSQL 16 a plan's tables include views, which have guards too.
    if lookup::is_view(relation) || lookup::our_trigger(relation, GUARD).is_none() {
        return false;
    }
    !By::named("imat", "imat_state_key").is_some_and(|states| states.any(&[(2, relation)]))
}

/// The transaction that wrote the newest version of the state's row in `imat_catalog.content`. It is read without SQL,
/// because this is called for every table that a query reads, for any role, also in parallel workers.
fn look_up(relation: u32) -> Option<pg_sys::TransactionId> {
    By::named("content", "content_pkey")?.writer(&[(1, relation)])
}

fn name(relation: u32) -> String {
    // SAFETY: the name, if the relation is still there, is copied.
    unsafe {
        let name = pg_sys::get_rel_name(pg_sys::Oid::from(relation));
        if name.is_null() {
            relation.to_string()
        } else {
            std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }
}
