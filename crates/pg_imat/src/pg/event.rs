//! Event trigger functions that need the command itself, not only what SQL shows of it.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::entrance::{Command, entrances};
use super::image::V1;

/// The relation that a command names, if it exists.
pub(super) unsafe fn relation(name: *mut pg_sys::RangeVar) -> Option<u32> {
    // SAFETY: the name is a part of the command, which is only read.
    let oid = unsafe {
        let (lock, flags) = (pg_sys::NoLock as i32, pg_sys::RVROption::RVR_MISSING_OK);
        pg_sys::RangeVarGetRelidExtended(name, lock, flags, None, std::ptr::null_mut())
    };
    (oid != pg_sys::Oid::INVALID).then(|| oid.to_u32())
}

/// Whether the command detaches a partition concurrently.
unsafe fn detaches_concurrently(command: &pg_sys::AlterTableStmt) -> bool {
    // SAFETY: this kind of part has a definition of that kind.
    unsafe {
        let parts = pgrx::PgList::<pg_sys::AlterTableCmd>::from_pg(command.cmds);
        parts.iter_ptr().any(|part| {
            (*part).subtype == pg_sys::AlterTableType::AT_DetachPartition
                && (*(*part).def.cast::<pg_sys::PartitionCmd>()).concurrent
        })
    }
}

/// The columns whose type the command changes.
unsafe fn retyped(command: &pg_sys::AlterTableStmt) -> Vec<String> {
    // SAFETY: this kind of part has a name.
    unsafe {
        let parts = pgrx::PgList::<pg_sys::AlterTableCmd>::from_pg(command.cmds);
        let parts = parts.iter_ptr().filter(|part| (**part).subtype == pg_sys::AlterTableType::AT_AlterColumnType);
        parts.map(|part| CStr::from_ptr((*part).name).to_string_lossy().into_owned()).collect()
    }
}

/// The relations that a command drops.
unsafe fn dropped(command: &pg_sys::DropStmt) -> Vec<u32> {
    // SAFETY: each object that has the kind of a relation is a list that makes up its name.
    unsafe {
        let names = pgrx::PgList::<pg_sys::List>::from_pg(command.objects);
        names.iter_ptr().filter_map(|name| relation(pg_sys::makeRangeVarFromNameList(name))).collect()
    }
}

/// Before a command that alters a table, replaces a view or drops an index.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_before_command(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    use pg_sys::NodeTag::*;
    // SAFETY: the context is the event's data, unless the function is called by hand; each cast
    // is to the struct that the node's tag says it is.
    unsafe {
        let Some(data) = data(fcinfo) else { return pg_sys::Datum::null() };
        let command = data.parsetree;
        let command = match (*command).type_ {
            T_AlterTableStmt => {
                let command = &*command.cast::<pg_sys::AlterTableStmt>();
                let retyped = Some(retyped(command)).filter(|columns| !columns.is_empty());
                Command::Alter {
                    detached: detaches_concurrently(command).then(|| relation(command.relation)).flatten(),
                    retyped: retyped.and_then(|columns| Some((relation(command.relation)?, columns))),
                }
            }
            T_DropStmt => Command::Drop(dropped(&*command.cast::<pg_sys::DropStmt>())),
            T_ViewStmt => Command::Replace(relation((*command.cast::<pg_sys::ViewStmt>()).view)),
            _ => Command::Replace(None),
        };
        (entrances().command_begins)(data.tag == pg_sys::CommandTag::CMDTAG_ALTER_TABLE, &command);
    }
    pg_sys::Datum::null()
}

/// The data of an event, unless the function is called by hand.
unsafe fn data<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Option<&'a pg_sys::EventTriggerData> {
    // SAFETY: the context of such a call is that.
    unsafe {
        let context = (*fcinfo).context;
        let is_event = !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_EventTriggerData;
        is_event.then(|| &*context.cast::<pg_sys::EventTriggerData>())
    }
}

/// ddl_command_end.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_on_change(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    if let Some(data) = unsafe { data(fcinfo) } {
        (entrances().command_ends)(data.tag == pg_sys::CommandTag::CMDTAG_ALTER_TABLE);
    }
    pg_sys::Datum::null()
}

/// sql_drop.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_on_drop(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as above.
    if unsafe { data(fcinfo) }.is_some() {
        (entrances().objects_dropped)();
    }
    pg_sys::Datum::null()
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_on_change() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_on_drop() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_before_command() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

/// The first fields of PostgreSQL's `CollectedCommand`, which SQL calls `pg_ddl_command`.
#[repr(C)]
struct Collected {
    _kind: u32,
    _in_extension: bool,
    statement: *mut pg_sys::Node,
}

/// Whether a command changed the owner of a relation, and did nothing else.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_changes_owner(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the argument's type has no other values than such commands; a statement is what its tag says.
    unsafe {
        let command = (*fcinfo).args.as_slice(1)[0].value.cast_mut_ptr::<Collected>();
        let alters = |node: &*mut pg_sys::Node| !node.is_null() && (**node).type_ == pg_sys::NodeTag::T_AlterTableStmt;
        let changes_owner = Some((*command).statement).filter(alters).is_some_and(|node| {
            let parts = (*node.cast::<pg_sys::AlterTableStmt>()).cmds;
            let parts = pgrx::PgList::<pg_sys::AlterTableCmd>::from_pg(parts);
            parts.iter_ptr().all(|part| (*part).subtype == pg_sys::AlterTableType::AT_ChangeOwner)
        });
        pg_sys::Datum::from(changes_owner)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_changes_owner() -> &'static pg_sys::Pg_finfo_record {
    &V1
}
