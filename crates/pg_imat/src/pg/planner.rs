//! Plans the extension's own statements independently of the session's settings.
//!
//! A plan is made when a statement is prepared, and again when PostgreSQL finds it invalid at its execution. A planner
//! hook sees both, and costs nothing if a plan is reused.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

use super::{bare, context};

/// The settings that enable planner methods: these get PostgreSQL's defaults. Not all majors have all of them.
const METHODS: [(&str, &str); 34] = [
    ("constraint_exclusion", "partition"),
    ("cursor_tuple_fraction", "0.1"),
    ("enable_async_append", "on"),
    ("enable_bitmapscan", "on"),
    ("enable_distinct_reordering", "on"),
    ("enable_gathermerge", "on"),
    ("enable_group_by_reordering", "on"),
    ("enable_hashagg", "on"),
    ("enable_hashjoin", "on"),
    ("enable_incremental_sort", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_indexscan", "on"),
    ("enable_material", "on"),
    ("enable_memoize", "on"),
    ("enable_mergejoin", "on"),
    ("enable_nestloop", "on"),
    ("enable_parallel_append", "on"),
    ("enable_parallel_hash", "on"),
    ("enable_partition_pruning", "on"),
    ("enable_partitionwise_aggregate", "off"),
    ("enable_partitionwise_join", "off"),
    ("enable_presorted_aggregate", "on"),
    ("enable_self_join_elimination", "on"),
    ("enable_sort", "on"),
    ("enable_tidscan", "on"),
    ("from_collapse_limit", "8"),
    ("geqo", "on"),
    ("geqo_effort", "5"),
    ("geqo_generations", "0"),
    ("geqo_pool_size", "0"),
    ("geqo_seed", "0"),
    ("geqo_threshold", "12"),
    ("jit", "off"),
    ("join_collapse_limit", "8"),
];

/// The settings that describe the machine: these get the value of the server or the database, or PostgreSQL's default
/// if the role or the client has set another one.
const COSTS: [&str; 9] = [
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "effective_cache_size",
    "hash_mem_multiplier",
    "random_page_cost",
    "recursive_worktable_factor",
    "seq_page_cost",
    "work_mem",
];

/// How a statement is planned, independent of the tables' sizes at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// For few rows, in tables that may be empty now and large later: uses an index if there is one.
    Few,
    /// The same, unless a step is estimated to return this many rows.
    FewUnless(u32),
    /// For many rows: the planner is free.
    Many,
    /// Reads rows of a state by their tids, however many there are.
    Tids,
}

/// Without these methods a Tid Scan remains, alone or inside a nested loop.
const OTHER_THAN_TIDS: [&str; 5] =
    ["enable_bitmapscan", "enable_hashjoin", "enable_indexonlyscan", "enable_indexscan", "enable_mergejoin"];

static mut PLANNER: pg_sys::planner_hook_type = None;

thread_local! {
    /// The text of our statement that is being prepared or run, as a server pointer, and its reach.
    static OURS: Cell<(*const c_char, Reach)> = const { Cell::new((std::ptr::null(), Reach::Many)) };
}

// Declared here, because pgrx's binding catches errors and raises them again without the names of schema, table and
// constraint.
unsafe extern "C-unwind" {
    fn standard_planner(
        parse: *mut pg_sys::Query,
        text: *const c_char,
        options: i32,
        params: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
}

/// Installs the hook, once per backend.
pub fn install() {
    // SAFETY: hooks are set by one thread, and call the ones they found.
    unsafe {
        PLANNER = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(plan);
    }
}

/// Runs `body`, which prepares or runs the statement with this text.
pub(super) fn ours<T>(text: *const c_char, reach: Reach, body: impl FnOnce() -> T) -> T {
    OURS.set((text, reach));
    let value = body();
    forget();
    value
}

/// Forgets the statement after an error, since another statement's text can get the same address.
pub(super) fn forget() {
    OURS.set((std::ptr::null(), Reach::Many));
}

// An error jumps through this function, so it must hold no value that needs a drop.
unsafe extern "C-unwind" fn plan(
    parse: *mut pg_sys::Query,
    text: *const c_char,
    options: i32,
    params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: what comes is the planner's; levels nest, and after an error PostgreSQL closes them.
    unsafe {
        let (ours, reach) = OURS.get();
        let level = (!text.is_null() && text == ours).then(|| {
            let level = bare::NewGUCNestLevel();
            pin(reach);
            level
        });
        let planned = match PLANNER {
            Some(previous) => previous(parse, text, options, params),
            None => standard_planner(parse, text, options, params),
        };
        if let Some(level) = level {
            pg_sys::AtEOXact_GUC(false, level);
        }
        planned
    }
}

unsafe fn pin(reach: Reach) {
    // SAFETY: within a nest level that the caller opened.
    unsafe {
        METHODS.iter().for_each(|(name, value)| context::set_known(name, value));
        context::set_known("enable_seqscan", if reach == Reach::Many { "on" } else { "off" });
        if reach == Reach::Tids {
            OTHER_THAN_TIDS.iter().for_each(|name| context::set_known(name, "off"));
        }
        for name in COSTS {
            if let Some(value) = of_database(name) {
                context::set_known(name, &value);
            }
        }
    }
}

/// The value of a setting without the role's, the client's and the session's.
unsafe fn of_database(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the entry is the server's, of the kind that it says; the string is copied.
    unsafe {
        let entry = entry(&name)?;
        if (*entry).reset_source <= pg_sys::GucSource::PGC_S_DATABASE {
            let value = pg_sys::GetConfigOptionResetString(name.as_ptr());
            return (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned());
        }
        match (*entry).vartype {
            pg_sys::config_type::PGC_INT => Some((*entry.cast::<pg_sys::config_int>()).boot_val.to_string()),
            pg_sys::config_type::PGC_REAL => Some((*entry.cast::<pg_sys::config_real>()).boot_val.to_string()),
            _ => None,
        }
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn entry(name: &CStr) -> Option<*mut pg_sys::config_generic> {
    // SAFETY: an array of that many entries, which are never freed.
    unsafe {
        let count = usize::try_from(pg_sys::GetNumConfigOptions()).unwrap_or(0);
        let entries = std::slice::from_raw_parts(pg_sys::get_guc_variables(), count);
        entries.iter().copied().find(|&entry| CStr::from_ptr((*entry).name) == name)
    }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn entry(name: &CStr) -> Option<*mut pg_sys::config_generic> {
    // SAFETY: an entry is never freed.
    let entry = unsafe { pg_sys::find_option(name.as_ptr(), false, true, 0) };
    (!entry.is_null()).then_some(entry)
}
