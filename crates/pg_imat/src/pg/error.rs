//! [`imat_compile::error::Error`] as a PostgreSQL error.

use imat_compile::error::Error;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// The code pgrx has for a SQLSTATE of ours.
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

/// Tells the user something that is no error.
pub fn notice(message: &str, detail: &str) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message.to_owned(), "pg_imat")
        .set_detail(detail.to_owned())
        .report(PgLogLevel::NOTICE);
}

/// Tells the user of something that is no error yet.
pub fn warn(error: &Error) {
    report(error).report(PgLogLevel::WARNING);
}

/// The server's version as a number: `150018`.
pub fn server_version() -> i32 {
    pg_sys::PG_VERSION_NUM.cast_signed()
}
