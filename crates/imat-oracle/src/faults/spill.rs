//! Large changes that spill to disk, with too little temporary disk space.

use super::{Bench, schema};
use crate::pg::{PgError, Result};

/// Runs a large change with increasing limits on temporary files until it succeeds.
pub fn check(bench: &mut Bench) -> Result<(&'static str, Vec<String>)> {
    let mut wrong = Vec::new();
    bench.session.batch_execute(&format!(
        "SELECT setval('target', 0); {} SET work_mem = '64kB'; SET max_parallel_workers_per_gather = 0",
        schema::ROWS
    ))?;
    let mut failures = 0;
    for step in 0.. {
        // In kB. The steps are small enough to fail both in collecting and in applying the delta.
        let limit = 64 * step;
        bench.session.batch_execute(&format!("SET temp_file_limit = '{limit}kB'; BEGIN; SAVEPOINT p"))?;
        let outcome = bench.session.batch_execute(schema::LARGE).map_err(PgError::from);
        let done = match outcome {
            Ok(()) => true,
            Err(error) => {
                *bench.counts.entry(error.code.clone()).or_default() += 1;
                if error.code != "53400" {
                    wrong.push(format!("with {limit} kB: {error}"));
                }
                false
            }
        };
        bench.session.batch_execute(if done { "COMMIT" } else { "ROLLBACK TO SAVEPOINT p" })?;
        bench.session.batch_execute("SET temp_file_limit = -1")?;
        bench.compare(&format!("with {limit} kB"), &mut wrong);
        if done {
            break;
        }
        failures += 1;
        bench.session.batch_execute("INSERT INTO orders VALUES (5, 2, 5); INSERT INTO parts VALUES (5, 5)")?;
        bench.compare("after it", &mut wrong);
        bench.session.batch_execute(if failures % 2 == 0 { "COMMIT" } else { "ROLLBACK" })?;
        bench.session.batch_execute("DELETE FROM orders WHERE id = 5")?;
        if !wrong.is_empty() {
            break;
        }
    }
    if failures == 0 {
        wrong.push("nothing spilled".into());
    }
    bench.session.batch_execute("RESET work_mem; RESET temp_file_limit; DELETE FROM orders; DELETE FROM parts")?;
    bench.compare("when all is gone", &mut wrong);
    Ok(("temporary disk full", wrong))
}
