//! The event trigger that has to see the command itself.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::image::V1;
use crate::ddl;

/// The relation of which the command detaches a partition in two transactions.
unsafe fn detached_concurrently(command: *mut pg_sys::Node) -> Option<pg_sys::Oid> {
    // SAFETY: each cast is to the struct that the node's tag says it is.
    unsafe {
        if command.is_null() || (*command).type_ != pg_sys::NodeTag::T_AlterTableStmt {
            return None;
        }
        let statement = command.cast::<pg_sys::AlterTableStmt>();
        let parts = pgrx::PgList::<pg_sys::AlterTableCmd>::from_pg((*statement).cmds);
        let found = parts.iter_ptr().any(|part| {
            (*part).subtype == pg_sys::AlterTableType::AT_DetachPartition
                && (*(*part).def.cast::<pg_sys::PartitionCmd>()).concurrent
        });
        let flags = pg_sys::RVROption::RVR_MISSING_OK;
        let lock = pg_sys::NoLock as i32;
        found.then(|| pg_sys::RangeVarGetRelidExtended((*statement).relation, lock, flags, None, std::ptr::null_mut()))
    }
}

/// Before an ALTER TABLE.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_before_alter(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the context is the event's data, unless the function is called by hand.
    let relation = unsafe {
        let context = (*fcinfo).context;
        match !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_EventTriggerData {
            true => detached_concurrently((*context.cast::<pg_sys::EventTriggerData>()).parsetree),
            false => None,
        }
    };
    if let Some(relation) = relation {
        ddl::before_concurrent_detach(relation.to_u32());
    }
    pg_sys::Datum::null()
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_before_alter() -> &'static pg_sys::Pg_finfo_record {
    &V1
}
