//! Shows the progress of a running statement in pg_stat_activity.
//!
//! The statement's result can't show it: an aggregate returns its first row when all rows have been read. So this
//! counts the rows that the scans of the plan return, and compares with the planner's estimate.

use std::cell::RefCell;
use std::ffi::c_void;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::procedure::report_activity;

type Execute = unsafe extern "C-unwind" fn(*mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot;

struct Count {
    activity: String,
    /// The scans, each with its original execution function.
    scans: Vec<(*mut pg_sys::PlanState, Execute)>,
    done: u64,
    expected: u64,
    reported: Instant,
}

thread_local! {
    static COUNT: RefCell<Option<Count>> = const { RefCell::new(None) };
}

/// How often the progress is shown, and after how many rows the clock is read.
const OFTEN: Duration = Duration::from_millis(100);
const ROWS: u64 = 1024;

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe extern "C-unwind" {
    #[link_name = "planstate_tree_walker"]
    fn walk(node: *mut pg_sys::PlanState, walker: Walker, context: *mut c_void) -> bool;
}
#[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
unsafe extern "C-unwind" {
    #[link_name = "planstate_tree_walker_impl"]
    fn walk(node: *mut pg_sys::PlanState, walker: Walker, context: *mut c_void) -> bool;
}

type Walker = unsafe extern "C-unwind" fn(*mut pg_sys::PlanState, *mut c_void) -> bool;

/// Runs `body`, and shows the progress of the INSERT in it.
pub fn during<T>(activity: &str, body: impl FnOnce() -> T) -> T {
    let count =
        Count { activity: activity.to_owned(), scans: Vec::new(), done: 0, expected: 0, reported: Instant::now() };
    COUNT.set(Some(count));
    let value = body();
    COUNT.take();
    value
}

/// Ends the counting after an error.
pub fn forget() {
    COUNT.take();
}

/// Called before a statement is executed.
pub(super) unsafe fn attach(query: *mut pg_sys::QueryDesc) {
    // SAFETY: the executor has made the plan's state, which outlives the statement's execution.
    unsafe {
        COUNT.with_borrow_mut(|count| {
            if let Some(count) = count
                && count.scans.is_empty()
                && (*query).operation == pg_sys::CmdType::CMD_INSERT
            {
                find((*query).planstate, std::ptr::from_mut(count).cast());
                count.report();
            }
        });
    }
}

/// Finds the scans below a node. A scan on the inner side of a nested loop is not counted, since it is repeated.
unsafe extern "C-unwind" fn find(node: *mut pg_sys::PlanState, context: *mut c_void) -> bool {
    use pg_sys::NodeTag::*;
    // SAFETY: a node of the plan's state, and the count of the caller's.
    unsafe {
        if node.is_null() {
            return false;
        }
        match (*node).type_ {
            T_NestLoopState => find((*node).lefttree, context),
            T_SeqScanState | T_IndexScanState | T_IndexOnlyScanState | T_BitmapHeapScanState => {
                // `ExecProcNode` becomes this after the first row.
                if let Some(execute) = (*node).ExecProcNodeReal {
                    let count = &mut *context.cast::<Count>();
                    count.scans.push((node, execute));
                    count.expected += (*(*node).plan).plan_rows as u64;
                    (*node).ExecProcNodeReal = Some(execute_counted);
                }
                false
            }
            _ => walk(node, find, context),
        }
    }
}

/// Executes a scan. An error jumps through this, so it must hold no value that needs a drop.
unsafe extern "C-unwind" fn execute_counted(node: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    let scan = |count: &Option<Count>| count.as_ref()?.scans.iter().find(|scan| scan.0 == node).map(|scan| scan.1);
    // SAFETY: the node's own function. What was found is forgotten when no statement runs any more.
    unsafe {
        let execute = COUNT.with_borrow(scan).unwrap_or_else(|| std::process::abort());
        let slot = execute(node);
        if !slot.is_null() && u32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_EMPTY == 0 {
            one();
        }
        slot
    }
}

fn one() {
    COUNT.with_borrow_mut(|count| {
        let Some(count) = count else { return };
        count.done += 1;
        if count.done % ROWS == 0 && count.reported.elapsed() >= OFTEN {
            count.report();
        }
    });
}

impl Count {
    fn report(&mut self) {
        self.reported = Instant::now();
        let expected = self.expected.max(self.done);
        report_activity(&format!("{}, {} of about {expected} rows", self.activity, self.done));
    }
}
