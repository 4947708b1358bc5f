//! Changes with too little memory, from none at all to enough.
//!
//! A program that the server itself starts limits the memory of its processes, so this needs neither root nor the same
//! account.

use super::{Bench, connect, schema};
use crate::pg::{self, PgError, Result};

/// The number of limits that are tried between no memory and enough.
const LIMITS: u64 = 36;

/// Returns `None` if memory can't be limited.
pub fn check(bench: &mut Bench) -> Result<Option<(&'static str, Vec<String>)>> {
    let mut wrong = Vec::new();
    bench.session.batch_execute(&format!("SELECT setval('target', 0); {}", schema::ROWS))?;
    let pid = prepare(bench, true)?;
    if let Err(error) = bench.control.batch_execute(&limit(pid, "as", None)).map_err(PgError::from) {
        println!("SKIPPED: memory can't be limited here: {error}");
        return Ok(None);
    }
    let before = size(bench, pid, "VmSize")?;
    bench.session.batch_execute(&format!("BEGIN; {} ROLLBACK", schema::LARGE))?;
    let needed = size(bench, pid, "VmPeak")? - before;
    let mut failures = 0;
    for step in 0..LIMITS {
        let more = needed * step / (LIMITS - 1);
        failures += u64::from(one_limit(bench, step, more, &mut wrong)?);
        if !wrong.is_empty() {
            break;
        }
    }
    if wrong.is_empty() && failures < LIMITS / 4 {
        wrong.push(format!("only {failures} of {LIMITS} limits were met, up to {needed} kB"));
    }
    Ok(Some(("out of memory", wrong)))
}

/// Whether a session fails that may allocate only `more` kB.
fn one_limit(bench: &mut Bench, step: u64, more: u64, wrong: &mut Vec<String>) -> Result<bool> {
    let pid = prepare(bench, step.is_multiple_of(2))?;
    let allowed = size(bench, pid, "VmSize")? + more;
    bench.control.batch_execute(&limit(pid, "as", Some(allowed * 1024)))?;
    let alone = step % 4 < 2;
    let begin = if alone { "" } else { "BEGIN; SAVEPOINT p; " };
    let done = attempt(bench, more, &format!("{begin}{}", schema::LARGE), wrong);
    if !alone && !bench.session.is_closed() {
        attempt(bench, more, "ROLLBACK TO SAVEPOINT p", wrong);
        attempt(bench, more, "INSERT INTO orders VALUES (5, 2, 5); INSERT INTO parts VALUES (5, 5)", wrong);
    }
    if bench.session.is_closed() {
        wrong.push(format!("with {more} kB: the session is gone"));
        return Ok(true);
    }
    bench.control.batch_execute(&limit(pid, "as", None))?;
    bench.session.batch_execute(if alone { "" } else { "COMMIT" })?;
    bench.compare(&format!("with {more} kB"), wrong);
    for sql in schema::AFTERWARDS {
        bench.session.batch_execute(sql)?;
    }
    bench.compare(&format!("after it, with {more} kB"), wrong);
    bench.session.batch_execute(schema::ROWS)?;
    Ok(!done)
}

/// A new session with all libraries loaded and its whole stack allocated, since a process whose stack can't grow
/// crashes. A `warm` session has made such changes before.
fn prepare(bench: &mut Bench, warm: bool) -> Result<i32> {
    bench.session = connect(bench.options)?;
    bench.session.batch_execute("LOAD 'pg_imat'; LOAD 'plpgsql'; SET work_mem = '64MB'")?;
    let deep = bench.session.batch_execute("SELECT repeat('[', 1000000)::json").map_err(PgError::from);
    match deep {
        Err(error) if error.code == "54001" => {}
        other => return Err(other.err().unwrap_or_else(|| unexpected("the stack has no limit"))),
    }
    if warm {
        bench.session.batch_execute(&format!("BEGIN; {} ROLLBACK", schema::SCRIPT.join("; ") + ";"))?;
    }
    pg::backend_pid(&mut bench.session)
}

/// Whether the statements succeed. The only acceptable error is out of memory.
fn attempt(bench: &mut Bench, more: u64, sql: &str, wrong: &mut Vec<String>) -> bool {
    let Err(error) = bench.session.batch_execute(sql).map_err(PgError::from) else { return true };
    *bench.counts.entry(error.code.clone()).or_default() += 1;
    // The other codes mean that the transaction could not even begin or roll back.
    if error.code != "53200" && !["25P01", "25P02"].contains(&error.code.as_str()) {
        wrong.push(format!("with {more} kB: {error}"));
    }
    false
}

/// A process's size in kB.
fn size(bench: &mut Bench, pid: i32, kind: &str) -> Result<u64> {
    let sql = format!("SELECT substring(pg_read_file('/proc/{pid}/status') FROM '{kind}:\\s*(\\d+)')");
    let size = pg::scalar(&mut bench.control, &sql)?;
    size.and_then(|size| size.parse().ok()).ok_or_else(|| unexpected("a process has no size"))
}

fn unexpected(message: &str) -> PgError {
    PgError { code: "XX000".into(), message: message.into(), more: String::new() }
}

/// SQL that limits a process's resource, or removes the limit.
pub fn limit(pid: i32, resource: &str, to: Option<u64>) -> String {
    let to = to.map_or_else(|| "unlimited".to_owned(), |to| to.to_string());
    // The program must read its input.
    format!("COPY (SELECT) TO PROGRAM 'cat >/dev/null; prlimit --pid {pid} --{resource}={to}:'")
}
