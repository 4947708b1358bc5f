//! Raises [`imat_compile::error::Error`] as a PostgreSQL error, and adds context to errors.

use std::ffi::{CString, c_char, c_int, c_void};

use imat_compile::error::Error;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// pgrx's code for a SQLSTATE.
fn code(state: &str) -> PgSqlErrorCode {
    let packed = state
        .bytes()
        .enumerate()
        .fold(0, |packed, (position, byte)| packed | (i32::from(byte - b'0') & 0x3f) << (6 * position));
    PgSqlErrorCode::from(packed)
}

/// Raises `error`. PostgreSQL aborts the statement; nothing after the call runs.
pub fn raise(error: &Error) -> ! {
    report(error).report(PgLogLevel::ERROR);
    unreachable!("ERROR does not return")
}

fn report(error: &Error) -> ErrorReport {
    let mut report = ErrorReport::new(code(error.state.0), error.message.clone(), "pg_imat");
    if let Some(detail) = &error.detail {
        report = report.set_detail(detail.clone());
    }
    if let Some(hint) = &error.hint {
        report = report.set_hint(hint.clone());
    }
    report
}

/// `value`, or the error raised.
pub fn ok<T>(value: Result<T, Error>) -> T {
    match value {
        Ok(value) => value,
        Err(error) => raise(&error),
    }
}

/// Raises a NOTICE.
pub fn notify(message: &str) {
    remark(message).report(PgLogLevel::NOTICE);
}

/// Raises a NOTICE with a detail.
pub fn notice(message: &str, detail: &str) {
    remark(message).set_detail(detail.to_owned()).report(PgLogLevel::NOTICE);
}

fn remark(message: &str) -> ErrorReport {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message.to_owned(), "pg_imat")
}

/// Raises a WARNING.
pub fn warn(error: &Error) {
    report(error).report(PgLogLevel::WARNING);
}

/// The server's version as a number: `150018`.
pub fn server_version() -> i32 {
    pg_sys::PG_VERSION_NUM.cast_signed()
}

/// The fields that are added to an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    pub context: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

// Functions of elog.c that PostgreSQL calls while it raises an error. They raise none themselves.
unsafe extern "C-unwind" {
    fn geterrcode() -> c_int;
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
    fn errdetail(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
}

type Explain<'a> = &'a dyn Fn(&str) -> Explanation;

/// Pops a frame off the error context stack when a panic unwinds. An error of PostgreSQL's jumps past this, to a
/// handler that resets the stack itself.
struct Pop(*mut pg_sys::ErrorContextCallback);

impl Drop for Pop {
    fn drop(&mut self) {
        // SAFETY: the frame that was the top before lives longer than this one.
        unsafe { pg_sys::error_context_stack = self.0 };
    }
}

/// Runs `body`. `explain` is called with the SQLSTATE of each error or notice that is raised in it.
pub fn explaining<T>(explain: Explain<'_>, body: impl FnOnce() -> T) -> T {
    let mut explain = explain;
    // SAFETY: the frame and what it points to live until it is taken off.
    unsafe {
        let previous = pg_sys::error_context_stack;
        let argument = (&raw mut explain).cast();
        let mut frame = pg_sys::ErrorContextCallback { previous, callback: Some(say), arg: argument };
        let _pop = Pop(previous);
        pg_sys::error_context_stack = &raw mut frame;
        body()
    }
}

unsafe extern "C-unwind" fn say(explain: *mut c_void) {
    // SAFETY: called while an error is being raised, with what `explaining` has pushed. The texts are copied.
    unsafe {
        let code = geterrcode();
        // There is no memory for more text.
        if code == PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY as c_int {
            return;
        }
        let explain = *explain.cast::<Explain<'_>>();
        let Explanation { context, detail, hint } = explain(&state(PgSqlErrorCode::from(code)));
        let text = |text: String| CString::new(text).unwrap_or_default();
        errcontext_msg(c"%s".as_ptr(), text(context).as_ptr());
        if let Some(detail) = detail {
            errdetail(c"%s".as_ptr(), text(detail).as_ptr());
        }
        if let Some(hint) = hint {
            errhint(c"%s".as_ptr(), text(hint).as_ptr());
        }
    }
}

/// The SQLSTATE of PostgreSQL's packed code: six bits for each character, the first lowest.
pub fn state(code: PgSqlErrorCode) -> String {
    (0..5).map(|position| char::from(b'0' + (code as c_int >> (6 * position) & 0x3f) as u8)).collect()
}
