//! The executor's hooks: before a statement starts, and before its AFTER triggers fire.
//!
//! They are installed when the library is loaded: by the session's first trigger or verb, or when it plans a query of a
//! state. A statement that is already running then needs no first hook, and the second is still called for it.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::entrance::{Reading, entrances};
use super::{content, lock, merge, progress, xact};

static mut START: pg_sys::ExecutorStart_hook_type = None;
static mut FINISH: pg_sys::ExecutorFinish_hook_type = None;

// Declared here, because pgrx's bindings catch errors and raise them again without the names of schema, table and
// constraint.
unsafe extern "C-unwind" {
    fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: i32);
    fn standard_ExecutorFinish(query: *mut pg_sys::QueryDesc);
}

/// Installs the hooks, once per backend.
pub fn install() {
    // SAFETY: hooks are set by one thread, and call the ones they found.
    unsafe {
        START = pg_sys::ExecutorStart_hook;
        pg_sys::ExecutorStart_hook = Some(start);
        FINISH = pg_sys::ExecutorFinish_hook;
        pg_sys::ExecutorFinish_hook = Some(finish);
    }
}

// An error jumps through these two functions, so they must hold no value that needs a drop.

unsafe extern "C-unwind" fn start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: the query is the executor's, and outlives the call.
    unsafe {
        if (entrances().must_flush_before_read)() {
            before(query, flags);
        }
        if !(entrances().is_own_statement)() {
            require_content(query, flags);
        }
        match START {
            Some(previous) => previous(query, flags),
            None => standard_ExecutorStart(query, flags),
        }
        progress::attach(query);
    }
}

unsafe extern "C-unwind" fn finish(query: *mut pg_sys::QueryDesc) {
    // SAFETY: as above.
    unsafe {
        let count = begin_merges(query);
        match FINISH {
            Some(previous) => previous(query),
            None => standard_ExecutorFinish(query),
        }
        (entrances().merges_end)(count);
        // A foreign-data wrapper may have registered since.
        if (entrances().must_flush_before_read)() {
            xact::be_called_first();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin_merges(query: *mut pg_sys::QueryDesc) -> usize {
    // SAFETY: as above.
    let merged = unsafe { merge::merged((*query).plannedstmt) };
    (entrances().merges_begin)(&merged);
    merged.len()
}

/// Flushes the maintained tables that the query is about to read, if its snapshot can see the flush. A snapshot that is
/// older than the last command belongs to a running query, for which this was done when it started.
#[pg_guard]
unsafe extern "C-unwind" fn before(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: as above. The command number of a snapshot is what `CommandCounterIncrement` makes
    // of it for the statements of a function; nothing has been read with this one yet.
    unsafe {
        let snapshot = (*query).snapshot;
        if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0
            || snapshot.is_null()
            || (*snapshot).snapshot_type != pg_sys::SnapshotType::SNAPSHOT_MVCC
            || (*snapshot).curcid != pg_sys::GetCurrentCommandId(false)
        {
            return;
        }
        let reading = reading((*query).plannedstmt, (*snapshot).regd_count == 1);
        if (reading.opaque || !reading.tables.is_empty()) && (entrances().before_read)(&reading) {
            renew_snapshot(query);
        }
    }
}

/// Gives a query that has read nothing yet a new snapshot. Under READ COMMITTED the flush may have waited for another
/// transaction, and has then applied the changes to rows that this one has written: the query must see that
/// transaction's other rows, too.
///
/// The functions that the query calls read under the active snapshot. In a subtransaction that may belong to a surrounding
/// one, which must find it again, so there it only comes to see what the flush has written.
unsafe fn renew_snapshot(query: *mut pg_sys::QueryDesc) {
    // SAFETY: the query holds one reference to its snapshot, and so may the stack of active ones.
    unsafe {
        let old = (*query).snapshot;
        let is_active = pg_sys::ActiveSnapshotSet() && pg_sys::GetActiveSnapshot() == old;
        let replaces = is_active && pg_sys::GetCurrentTransactionNestLevel() == 1;
        if replaces {
            pg_sys::PopActiveSnapshot();
        }
        // Pushing makes a copy. The transaction's snapshot itself would go on to see later commands.
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let new = pg_sys::RegisterSnapshot(pg_sys::GetActiveSnapshot());
        if !replaces {
            pg_sys::PopActiveSnapshot();
            if is_active {
                (*old).curcid = (*new).curcid;
            }
        }
        (*query).snapshot = new;
        pg_sys::UnregisterSnapshot(old);
    }
}

/// Raises an error if the query reads a state without bookkeeping, or one whose content is newer than the transaction
/// snapshot.
#[pg_guard]
unsafe extern "C-unwind" fn require_content(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: as above.
    unsafe {
        let snapshot = (*query).snapshot;
        if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 == 0
            && !snapshot.is_null()
            && (*snapshot).snapshot_type == pg_sys::SnapshotType::SNAPSHOT_MVCC
        {
            let tables = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*(*query).plannedstmt).rtable);
            let tables = tables.iter_ptr().filter_map(|table| relation(table));
            content::require(tables, snapshot, lock::can_be_older());
        }
    }
}

/// The relation of a range table entry.
unsafe fn relation(table: *mut pg_sys::RangeTblEntry) -> Option<u32> {
    // SAFETY: an entry of a plan.
    unsafe { ((*table).rtekind == pg_sys::RTEKind::RTE_RELATION).then(|| (*table).relid.to_u32()) }
}

unsafe fn reading(statement: *mut pg_sys::PlannedStmt, fresh: bool) -> Reading {
    // SAFETY: lists of the kinds that the planner makes.
    unsafe {
        let tables = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*statement).rtable);
        let tables = tables.iter_ptr().filter_map(|table| relation(table)).collect();
        // The planner lists user-defined functions, because altering them invalidates the plan.
        let noted = pgrx::PgList::<pg_sys::PlanInvalItem>::from_pg((*statement).invalItems);
        let calls = noted.iter_ptr().any(|item| (*item).cacheId == pg_sys::SysCacheIdentifier::PROCOID as i32);
        Reading { tables, opaque: calls, fresh }
    }
}
