//! The functions that the triggers of base tables and states call.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::image::V1;
use super::transition::Transition;
use super::{bare, error, memory, xact};
use crate::capture;

/// What fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Rows,
    Truncate,
}

/// How many triggers are running, each within the one before.
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

/// BEFORE each statement: a change has begun that is not collected yet.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_open(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    let relation = unsafe { (*data(fcinfo).tg_relation).rd_id.to_u32() };
    xact::register();
    memory::require();
    capture::open(relation);
    pg_sys::Datum::null()
}

/// AFTER each statement: collects its rows, and flushes when no change is open any more.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_capture(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    let (event, relation, transition) = unsafe {
        let data = data(fcinfo);
        let event = if is_truncate(data.tg_event) { Event::Truncate } else { Event::Rows };
        (event, (*data.tg_relation).rd_id.to_u32(), Transition::of_statement(data))
    };
    xact::register();
    capture::close(relation, event, &transition);
    pg_sys::Datum::null()
}

/// On a maintained table: refuses what is not a flush.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_guard(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call; the name is copied.
    let (relation, name) = unsafe {
        let relation = data(fcinfo).tg_relation;
        let name = std::ffi::CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr());
        ((*relation).rd_id.to_u32(), name.to_string_lossy())
    };
    capture::guard(relation, &name);
    pg_sys::Datum::null()
}

/// AFTER each row in a session that is a replica: collects what comes without a statement, which
/// is how replication workers apply rows.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_replica(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the data is valid for the call.
    let (relation, row) = unsafe {
        let data = data(fcinfo);
        ((*data.tg_relation).rd_id.to_u32(), Transition::of_row(data))
    };
    xact::register();
    memory::require();
    capture::row(relation, &row);
    pg_sys::Datum::null()
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
