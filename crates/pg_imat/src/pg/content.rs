//! Whether a snapshot is older than what a state holds: see [`crate::content`].

use std::cell::RefCell;
use std::collections::BTreeMap;

use pgrx::pg_sys;

use super::error::raise;
use crate::refuse;

#[derive(Default)]
struct Known {
    /// The transaction with which the content of a relation began, if it is a state.
    began: BTreeMap<u32, Option<pg_sys::TransactionId>>,
    /// The end of the snapshot for which the first was looked up.
    since: u32,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Transactions are numbered anew after four times as many, so nothing is remembered for longer.
const MEMORY: u32 = 1 << 30;

/// Raises an error where one of these relations is a state with a content that the snapshot does not see.
///
/// # Safety
/// The snapshot is an MVCC snapshot.
pub unsafe fn require(relations: impl Iterator<Item = u32>, snapshot: pg_sys::Snapshot) {
    // SAFETY: by the caller.
    let now: u32 = unsafe { (*snapshot).xmax }.into();
    KNOWN.with_borrow_mut(|known| {
        if known.began.is_empty() || now.wrapping_sub(known.since) > MEMORY {
            *known = Known { since: now, ..Known::default() };
        }
    });
    for relation in relations {
        // SAFETY: by the caller; the transaction is one of a committed row, or this one.
        let seen = began(relation).is_none_or(|transaction| unsafe { sees(snapshot, transaction) });
        if !seen {
            raise(&refuse::older_than_content(&name(relation)));
        }
    }
}

/// The same under the transaction's snapshot.
pub fn require_now(relation: u32) {
    // SAFETY: what PostgreSQL gives a transaction is an MVCC snapshot.
    unsafe { require(std::iter::once(relation), pg_sys::GetTransactionSnapshot()) }
}

unsafe fn sees(snapshot: pg_sys::Snapshot, transaction: pg_sys::TransactionId) -> bool {
    // SAFETY: by the caller.
    unsafe {
        pg_sys::TransactionIdIsCurrentTransactionId(transaction) || !pg_sys::XidInMVCCSnapshot(transaction, snapshot)
    }
}

/// A relation was altered, or is the state of which a content began; 0 stands for all.
pub fn forget(relation: u32) {
    // Nothing is borrowed while it is looked up, during which this is called.
    KNOWN.with_borrow_mut(|known| match relation {
        0 => known.began.clear(),
        relation => _ = known.began.remove(&relation),
    });
}

fn began(relation: u32) -> Option<pg_sys::TransactionId> {
    if let Some(known) = KNOWN.with_borrow(|known| known.began.get(&relation).copied()) {
        return known;
    }
    let found = look_up(relation);
    KNOWN.with_borrow_mut(|known| known.began.insert(relation, found));
    found
}

/// The transaction that wrote the newest version of the state's row in the bookkeeping. It is read without SQL: this is
/// asked of every table that a query reads, by whoever reads it, in parallel workers as well.
fn look_up(relation: u32) -> Option<pg_sys::TransactionId> {
    // SAFETY: the names outlive the calls; the scan, whose key lives as long, sees what is committed by now, and its
    // tuple is read before it ends.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"imat_catalog".as_ptr(), true);
        let find = |name: &std::ffi::CStr| pg_sys::get_relname_relid(name.as_ptr(), schema);
        let (contents, index) = (find(c"content"), find(c"content_pkey"));
        if contents == pg_sys::Oid::INVALID || index == pg_sys::Oid::INVALID {
            return None;
        }
        let contents = pg_sys::table_open(contents, pg_sys::AccessShareLock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        let state = pg_sys::Datum::from(pg_sys::Oid::from(relation));
        let equal = pg_sys::Oid::from(pg_sys::F_OIDEQ);
        pg_sys::ScanKeyInit(&mut key, 1, pg_sys::BTEqualStrategyNumber as u16, equal, state);
        let scan = pg_sys::systable_beginscan(contents, index, true, std::ptr::null_mut(), 1, &mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let began = (!tuple.is_null()).then(|| {
            let header = &*(*tuple).t_data;
            match u32::from(header.t_infomask) & pg_sys::HEAP_XMIN_FROZEN {
                pg_sys::HEAP_XMIN_FROZEN => pg_sys::FrozenTransactionId,
                _ => header.t_choice.t_heap.t_xmin,
            }
        });
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(contents, pg_sys::AccessShareLock as i32);
        began
    }
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
