//! The trigger functions of base tables and states.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::entrance::{Event, entrances};
use super::image::V1;
use super::transition::Transition;
use super::{bare, error, memory, xact};

/// The values of `pg_trigger.tgenabled` that our triggers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fires {
    Always = b'A' as isize,
    InReplicas = b'R' as isize,
}

/// Sets when a trigger of a table fires. ALTER TABLE would refuse that while the table has pending deferred trigger
/// events.
pub fn enable(relation: u32, name: &str, fires: Fires) {
    let name = CString::new(name).unwrap_or_default();
    let (fires, lock) = (fires as std::ffi::c_char, pg_sys::ShareRowExclusiveLock as i32);
    // SAFETY: the table is open meanwhile; the name is only compared.
    unsafe {
        let table = pg_sys::table_open(pg_sys::Oid::from(relation), lock);
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        pg_sys::EnableDisableTrigger(table, name.as_ptr(), fires, false, lock);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        pg_sys::EnableDisableTrigger(table, name.as_ptr(), pg_sys::Oid::INVALID, fires, false, false, lock);
        pg_sys::table_close(table, pg_sys::NoLock as i32);
        pg_sys::CommandCounterIncrement();
    }
}

/// The number of running triggers, each nested in the one before.
pub fn depth() -> i32 {
    // SAFETY: the function takes no argument, and reads a variable.
    unsafe { bare::pg_trigger_depth(std::ptr::null_mut()).value() as i32 }
}

unsafe fn data<'a>(fcinfo: pg_sys::FunctionCallInfo) -> &'a pg_sys::TriggerData {
    // SAFETY: checked to be a trigger call, whose context is the trigger's data.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            error::raise(&imat_compile::error::Error::new(
                imat_compile::error::SqlState("39P01"),
                "this function can only be called as a trigger",
            ));
        }
        &*context.cast::<pg_sys::TriggerData>()
    }
}

fn is_truncate(event: u32) -> bool {
    event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_TRUNCATE
}

/// Whether the trigger has the name that pg_imat gives it. A copy made by others has another name.
unsafe fn is_called(data: &pg_sys::TriggerData, name: &CStr) -> bool {
    // SAFETY: a trigger has a name.
    unsafe { CStr::from_ptr((*data.tg_trigger).tgname) == name }
}

/// BEFORE each statement: notes that a change has begun whose rows are not collected yet.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_open(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    let (relation, is_ours) = unsafe {
        let data = data(fcinfo);
        ((*data.tg_relation).rd_id.to_u32(), is_called(data, c"imat_open"))
    };
    xact::register();
    memory::require();
    (entrances().statement_begins)(relation, is_ours);
    pg_sys::Datum::null()
}

/// The names of the triggers that call [`imat_capture`].
const CAPTURES: [&CStr; 4] = [c"imat_insert", c"imat_update", c"imat_delete", c"imat_truncate"];

/// AFTER each statement: collects its rows, and flushes when no statement is open any more.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_capture(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    let (event, relation, transition, is_ours) = unsafe {
        let data = data(fcinfo);
        let event = if is_truncate(data.tg_event) { Event::Truncate } else { Event::Rows };
        let is_ours = CAPTURES.iter().any(|name| is_called(data, name));
        (event, (*data.tg_relation).rd_id.to_u32(), Transition::of_statement(data), is_ours)
    };
    xact::register();
    (entrances().statement_ends)(relation, event, &transition, is_ours);
    pg_sys::Datum::null()
}

/// On a state or the view over it: refuses all writes except a flush's.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_guard(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call; the name is copied.
    let (relation, name) = unsafe {
        let relation = data(fcinfo).tg_relation;
        let name = CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr());
        ((*relation).rd_id.to_u32(), name.to_string_lossy())
    };
    (entrances().state_changed)(relation, &name);
    pg_sys::Datum::null()
}

/// AFTER each row while session_replication_role is `replica`: collects rows that replication workers apply without a
/// statement.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_replica(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    let (relation, row, is_ours) = unsafe {
        let data = data(fcinfo);
        ((*data.tg_relation).rd_id.to_u32(), Transition::of_row(data), is_called(data, c"imat_replica"))
    };
    xact::register();
    memory::require();
    (entrances().row_replicated)(relation, &row, is_ours);
    pg_sys::Datum::null()
}

/// On a state: holds a copy of its bookkeeping in its arguments. It does nothing; [`imat_guard`] fires before it.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_definition(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    pg_sys::Datum::null()
}

/// On the bookkeeping. BEFORE each row: skips rows from a restore that exist already. AFTER the statement: checks which
/// maintained tables are complete now.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_arrive(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    if unsafe { data(fcinfo) }.tg_event & pg_sys::TRIGGER_EVENT_ROW == 0 {
        (entrances().bookkeeping_arrived)();
        return pg_sys::Datum::null();
    }
    // SAFETY: as above; the first columns of the bookkeeping are these.
    let (row, table, columns) = unsafe {
        let data = data(fcinfo);
        let descriptor = (*data.tg_relation).rd_att;
        let column = |number| {
            let mut null = false;
            if number > (*descriptor).natts {
                return 0;
            }
            let value = pg_sys::heap_getattr(data.tg_trigtuple, number, descriptor, &mut null);
            if null { 0 } else { value.value() as u32 }
        };
        let name = CStr::from_ptr((*(*data.tg_relation).rd_rel).relname.data.as_ptr());
        (data.tg_trigtuple, name, [column(1), column(2), column(3)])
    };
    let known = (entrances().is_known)(table.to_bytes(), columns);
    if known { pg_sys::Datum::null() } else { pg_sys::Datum::from(row) }
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_definition() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_arrive() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

/// Evaluated when a query of a state is planned. This loads the library, and so its hooks.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_watched(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    xact::register();
    pg_sys::Datum::from(0)
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_watched() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_replica() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_open() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_capture() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_guard() -> &'static pg_sys::Pg_finfo_record {
    &V1
}
