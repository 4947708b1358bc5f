//! The role and the settings under which statements run.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::bare;

/// The changes that [`enter`] made. [`leave`] reverts them; after an error PostgreSQL does.
pub struct Context {
    user: pg_sys::Oid,
    security: i32,
    guc_level: i32,
    overrides_path: bool,
}

/// The settings that decide how PostgreSQL prints and parses SQL text. Text is always made and analysed under these, so
/// that a constant means the same in every session.
const TEXT: [(&str, &str); 9] = [
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("quote_all_identifiers", "off"),
    ("xmloption", "content"),
];

/// The role that runs a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// For bookkeeping: the owner of the extension's objects.
    Trusted(u32),
    /// For a view's expressions: they can't change the role or session state, or create temporary objects.
    Restricted(u32),
}

unsafe extern "C" {
    /// The most rows that a GIN index returns: the only setting that lets a query miss rows.
    static GinFuzzySearchLimit: i32;
}

/// Sets the role and `settings`, pairs (name, value). The search path is `pg_catalog` unless they contain one.
pub fn enter(role: Role, settings: &[(String, String)]) -> Context {
    // SAFETY: reads and writes this backend's state through the functions made for it; the
    // strings live through the calls.
    unsafe {
        let (mut user, mut security) = (pg_sys::Oid::INVALID, 0);
        bare::GetUserIdAndSecContext(&mut user, &mut security);
        let guc_level = bare::NewGUCNestLevel();
        let local = security | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
        match role {
            Role::Trusted(oid) => bare::SetUserIdAndSecContext(pg_sys::Oid::from(oid), local),
            Role::Restricted(oid) => bare::SetUserIdAndSecContext(
                pg_sys::Oid::from(oid),
                local | pg_sys::SECURITY_RESTRICTED_OPERATION as i32,
            ),
        }
        if GinFuzzySearchLimit != 0 {
            set("gin_fuzzy_search_limit", "0");
        }
        // With a custom plan for the values of a row, an expression could be computed before the condition that guards
        // it.
        if pg_sys::plan_cache_mode != pg_sys::PlanCacheMode::PLAN_CACHE_MODE_AUTO as i32 {
            set("plan_cache_mode", "auto");
        }
        for (name, value) in settings {
            set(name, value);
        }
        let overrides_path = !settings.iter().any(|(name, _)| name == SEARCH_PATH);
        if overrides_path {
            push_search_path();
        }
        Context { user, security, guc_level, overrides_path }
    }
}

/// Restores what [`enter`] changed.
pub fn leave(context: Context) {
    // SAFETY: as in `enter`; levels nest because every caller pairs the two.
    unsafe {
        if context.overrides_path {
            pop_search_path();
        }
        pg_sys::AtEOXact_GUC(false, context.guc_level);
        bare::SetUserIdAndSecContext(context.user, context.security);
    }
}

/// Runs `body` between [`enter`] and [`leave`].
pub fn as_role<T>(role: Role, settings: &[(String, String)], body: impl FnOnce() -> T) -> T {
    let context = enter(role, settings);
    let value = body();
    leave(context);
    value
}

/// Runs `body`, which makes or analyses SQL text, under the settings for that.
pub fn with_text<T>(body: impl FnOnce() -> T) -> T {
    with_settings(&TEXT, body)
}

/// Runs `body` under these settings.
pub fn with_settings<T>(settings: &[(&str, &str)], body: impl FnOnce() -> T) -> T {
    // SAFETY: levels nest; after an error PostgreSQL closes them.
    unsafe {
        let level = bare::NewGUCNestLevel();
        for (name, value) in settings {
            set(name, value);
        }
        let value = body();
        pg_sys::AtEOXact_GUC(false, level);
        value
    }
}

pub const SEARCH_PATH: &str = "search_path";

/// `pg_catalog`, and the temporary schema, which is searched first if it is not named.
pub const SAFE_PATH: &str = "pg_catalog, pg_temp";

/// Adds a search path to these settings. It is needed wherever user-defined functions may run, and around that, since a
/// function's own SET search_path has no effect under an override. The warm path does without it if only built-in
/// functions run there.
pub fn with_path(mut settings: Vec<(String, String)>) -> Vec<(String, String)> {
    if !settings.iter().any(|(name, _)| name == SEARCH_PATH) {
        settings.push((SEARCH_PATH.to_owned(), SAFE_PATH.to_owned()));
    }
    settings
}

/// A setting's value in the session.
pub fn setting(name: &str) -> String {
    let Ok(name) = CString::new(name) else { return String::new() };
    // SAFETY: the value is a string of PostgreSQL's, which is copied.
    unsafe {
        let value = pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true);
        if value.is_null() { String::new() } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
    }
}

/// Whether there is such a setting.
pub fn is_setting(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: the name outlives the call.
    unsafe { !pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true).is_null() }
}

/// The current role's OID.
pub fn user() -> u32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::GetUserId().to_u32() }
}

/// The owner of a table. Uses the catalog caches and no SQL, because this decides the role before a safe search path is
/// set.
pub fn table_owner(schema: &str, table: &str) -> Option<u32> {
    let (Ok(schema), Ok(table)) = (CString::new(schema), CString::new(table)) else { return None };
    // SAFETY: the names outlive the calls; the cached tuple is released once it is read.
    unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        let table = pg_sys::get_relname_relid(table.as_ptr(), schema);
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(table));
        if tuple.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner.to_u32())
    }
}

/// Sets a setting, if this major has it.
pub(super) unsafe fn set_known(name: &str, value: &str) {
    // SAFETY: as in `set`.
    unsafe {
        if CString::new(name)
            .is_ok_and(|name| !pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true).is_null())
        {
            set(name, value);
        }
    }
}

unsafe fn set(name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else { return };
    // SAFETY: both strings outlive the calls; what is set is copied, what is shown is only compared.
    unsafe {
        // Most settings have the value already, and setting one can mean reading a file.
        let now = pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true);
        if !now.is_null() && CStr::from_ptr(now) == value.as_c_str() {
            return;
        }
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Before 17, changing search_path costs microseconds, since it discards the resolved path twice a statement. There
/// PostgreSQL's override stack is used instead.
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
unsafe fn push_search_path() {
    let mut path = pg_sys::OverrideSearchPath {
        schemas: std::ptr::null_mut(),
        addCatalog: true,
        addTemp: false,
        ..Default::default()
    };
    // SAFETY: the path is copied.
    unsafe { pg_sys::PushOverrideSearchPath(&mut path) }
}

#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
unsafe fn pop_search_path() {
    // SAFETY: pairs with the push.
    unsafe { pg_sys::PopOverrideSearchPath() }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe fn push_search_path() {
    // SAFETY: within the nest level that `enter` opened.
    unsafe { set(SEARCH_PATH, SAFE_PATH) }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe fn pop_search_path() {}
