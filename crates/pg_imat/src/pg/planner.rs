//! How the extension's own statements are planned: in every session alike.
//!
//! A plan is made when a statement is prepared, and again whenever PostgreSQL finds it invalid, at its execution, so
//! only a hook of the planner sees both. Where a plan is kept this costs nothing.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

use super::{bare, context};

/// What decides how, not what it costs: these have PostgreSQL's defaults. Not all majors have all.
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

/// What tells of the machine: these are as the server or the database has them, or, where the role or the client has
/// others, PostgreSQL's defaults.
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

/// What a statement touches, whatever is known of its tables when it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Few rows of tables that may be empty then and large later: it uses an index wherever there is one.
    Few,
    /// Likewise, unless statistics tell that some step returns this many rows.
    FewUnless(u32),
    /// Many, for which the planner is free.
    Many,
    /// Rows of a state by their tids, however many there are of either.
    Tids,
}

/// Without these a Tid Scan is left, alone or inside of a nested loop.
const OTHER_THAN_TIDS: [&str; 5] =
    ["enable_bitmapscan", "enable_hashjoin", "enable_indexonlyscan", "enable_indexscan", "enable_mergejoin"];

static mut PLANNER: pg_sys::planner_hook_type = None;

thread_local! {
    /// The text of the statement that is prepared or run, as the server has it, and what it touches.
    static OURS: Cell<(*const c_char, Reach)> = const { Cell::new((std::ptr::null(), Reach::Many)) };
}

// As it is in the server: the binding of this name catches errors and raises them anew without the
// names of schema, table and constraint.
unsafe extern "C-unwind" {
    fn standard_planner(
        parse: *mut pg_sys::Query,
        text: *const c_char,
        options: i32,
        params: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
}

/// Installs the hook, once a backend.
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

/// None of our statements runs, as after an error: another text can get the place of the one that did.
pub(super) fn forget() {
    OURS.set((std::ptr::null(), Reach::Many));
}

// An error goes right through it, so nothing is alive in it that would have to be dropped.
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

/// The value of a setting that roles, clients and sessions have no part in.
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
