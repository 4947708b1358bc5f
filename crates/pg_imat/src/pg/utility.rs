//! The hook for commands that are no queries.
//!
//! Changes that were collected before DDL may not fit what it leaves behind, so they are applied before it. `COPY table
//! TO` reads a table without the executor, so it is treated as a query of that table.

use std::ffi::c_char;

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::entrance::{Reading, entrances};
use super::event::relation;

static mut PROCESS: pg_sys::ProcessUtility_hook_type = None;

// Declared here for the same reason as in `executor`.
unsafe extern "C-unwind" {
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        text: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        params: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        receiver: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// Installs the hook, once per backend.
pub fn install() {
    // SAFETY: hooks are set by one thread, and call the one they found.
    unsafe {
        PROCESS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process);
    }
}

// An error jumps through this function, so it must hold no value that needs a drop.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn process(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are the caller's, and outlive the call.
    unsafe {
        let pushed = (entrances().must_flush_before_read)() && before((*statement).utilityStmt);
        match PROCESS {
            Some(previous) => {
                previous(statement, text, read_only_tree, context, params, environment, receiver, completion)
            }
            None => standard_ProcessUtility(
                statement,
                text,
                read_only_tree,
                context,
                params,
                environment,
                receiver,
                completion,
            ),
        }
        if pushed {
            pg_sys::PopActiveSnapshot();
        }
    }
}

/// What a command needs of the maintained tables.
enum Need {
    Nothing,
    /// It copies a table to a file or the client.
    Read(u32),
    /// It runs a query under the snapshot of its portal, which keeps it, so that it looks like that of a running query.
    Snapshot,
    Everything,
}

/// Flushes what the command needs. Returns whether it pushed a snapshot that sees the flush.
#[pg_guard]
unsafe extern "C-unwind" fn before(command: *mut pg_sys::Node) -> bool {
    // SAFETY: as in `process`.
    unsafe {
        match need(command) {
            Need::Nothing => false,
            Need::Snapshot => {
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
                true
            }
            Need::Everything => {
                (entrances().before_command)();
                false
            }
            Need::Read(table) => {
                let flushed = (entrances().before_read)(&Reading { tables: vec![table], opaque: false, fresh: true });
                if flushed {
                    pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
                }
                flushed
            }
        }
    }
}

/// Commands that neither alter anything that a maintained table uses nor read one, or that do so by queries and
/// commands of their own, need nothing.
unsafe fn need(command: *mut pg_sys::Node) -> Need {
    use pg_sys::NodeTag::*;
    // SAFETY: a node is read as what its tag says it is.
    unsafe {
        match (*command).type_ {
            T_TransactionStmt | T_VariableSetStmt | T_VariableShowStmt | T_ConstraintsSetStmt | T_LockStmt
            | T_NotifyStmt | T_ListenStmt | T_UnlistenStmt | T_LoadStmt | T_CheckPointStmt => Need::Nothing,
            T_DeclareCursorStmt | T_FetchStmt | T_ClosePortalStmt | T_PrepareStmt | T_DeallocateStmt
            | T_ExplainStmt | T_CallStmt | T_DoStmt | T_CreateTableAsStmt | T_RefreshMatViewStmt => Need::Nothing,
            T_ExecuteStmt => Need::Snapshot,
            T_CreateStmt if (*command.cast::<pg_sys::CreateStmt>()).inhRelations.is_null() => Need::Nothing,
            T_CopyStmt => {
                let copy = command.cast::<pg_sys::CopyStmt>();
                match !(*copy).is_from && !(*copy).relation.is_null() {
                    true => relation((*copy).relation).map_or(Need::Nothing, Need::Read),
                    false => Need::Nothing,
                }
            }
            _ => Need::Everything,
        }
    }
}
