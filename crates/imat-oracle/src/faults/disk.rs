//! A flush during which the state's file can't grow any more.
//!
//! A full disk is simulated by a limit on the size of a process's files, which needs no root. The limit must be larger
//! than the 16 MB of a WAL file, so the state is made larger than that, but its base table is not.

use super::memory::limit;
use super::{Bench, schema};
use crate::pg::{self, PgError, Result};

/// Rows that are short in the base table and long in the state.
pub const VIEWS: &[(&str, &str)] = &[
    ("padded", "SELECT id, rpad(name, 1500, '-') AS name FROM customers"),
    (
        "longest",
        "SELECT id % 7 AS id, count(*) AS n, max(rpad(name, 1500, '-')) AS name FROM customers GROUP BY id % 7",
    ),
];

const CHANGE: &str = "INSERT INTO customers SELECT i, 'n' || i FROM generate_series(10, 16000) AS i";

/// Returns `None` if files can't be limited.
pub fn check(bench: &mut Bench) -> Result<Option<(&'static str, Vec<String>)>> {
    let mut wrong = Vec::new();
    bench.session.batch_execute(&format!("SELECT setval('target', 0); {}", schema::ROWS))?;
    let pid = pg::backend_pid(&mut bench.session)?;
    if let Err(error) = bench.control.batch_execute(&limit(pid, "fsize", None)).map_err(PgError::from) {
        println!("SKIPPED: files can't be limited here: {error}");
        return Ok(None);
    }
    for (step, begin) in ["", "BEGIN; SAVEPOINT p; ", "", "BEGIN; SAVEPOINT p; "].into_iter().enumerate() {
        let size = (17 << 20) + step as u64 * 300_000;
        bench.control.batch_execute(&limit(pid, "fsize", Some(size)))?;
        // Reading applies the change, if that was left to the commit.
        full(bench, &format!("{begin}{CHANGE}; SELECT count(*) FROM imat.padded"), &mut wrong);
        if !begin.is_empty() {
            bench.session.batch_execute("ROLLBACK TO SAVEPOINT p; INSERT INTO orders VALUES (5, 2, 5)")?;
            bench.compare("back before the change", &mut wrong);
            bench.session.batch_execute("COMMIT")?;
        }
        bench.compare("while the disk is full", &mut wrong);
        bench.control.batch_execute(&limit(pid, "fsize", None))?;
        bench.session.batch_execute(CHANGE)?;
        bench.compare("once there is room", &mut wrong);
        bench.session.batch_execute("TRUNCATE customers CASCADE")?;
        bench.compare("when all is gone", &mut wrong);
        // VACUUM truncates the file only if the state is empty.
        bench.session.batch_execute("VACUUM")?;
        if !wrong.is_empty() {
            break;
        }
        bench.session.batch_execute(schema::ROWS)?;
    }
    Ok(Some(("disk full", wrong)))
}

/// Runs a statement whose result does not fit.
fn full(bench: &mut Bench, sql: &str, wrong: &mut Vec<String>) {
    match bench.session.batch_execute(sql).map_err(PgError::from) {
        Ok(()) => wrong.push(format!("there was room for {sql}")),
        Err(error) => {
            *bench.counts.entry(error.code.clone()).or_default() += 1;
            // PostgreSQL has an SQLSTATE for a full disk, but none for a file that is too large.
            if error.code != "53100" && !error.message.starts_with("could not extend file") {
                wrong.push(format!("{sql}: {error}"));
            }
        }
    }
}
