//! Recomputes the groups that an upsert could not compute.

use imat_compile::sql::Sql;
use imat_compile::sql::statements::Recompute;
use imat_compile::sql::tids::{GROUPS, VALUES};

use crate::catalog::statements::Recomputing;
use crate::change::digest::same_under_latest;
use crate::pg::delta::Delta;
use crate::pg::spi::{Connection, Params, Reach, Snapshot};

/// The number of groups that plans for many groups are made for.
const EXPECTED: f64 = 10_000.0;

/// Recomputes the rows with these tids; returns how many were written.
pub fn run(connection: &Connection, of: &Recompute, prepared: &Recomputing, tids: &Params, can_be_stale: bool) -> u64 {
    let none = Params::default();
    let prepare = |sql: &Sql, params: &Params, reach| connection.prepare(sql, &params.types, reach);
    let execute = |statement, params| connection.execute(statement, params, Snapshot::Transaction);
    match of {
        Recompute::Few { write, digest } => {
            if can_be_stale {
                let digest = prepared.digest.get_or_init(|| prepare(digest, tids, Reach::Few));
                same_under_latest(connection, digest, tids);
            }
            execute(prepared.write.get_or_init(|| prepare(write, tids, Reach::Few)), tids)
        }
        Recompute::Many { groups, values, digest, write } => {
            let groups = prepared.groups.get_or_init(|| prepare(groups, tids, Reach::Tids));
            let Some(groups) = Delta::fetch(connection, groups, tids) else { return 0 };
            groups.register(connection, GROUPS, EXPECTED);
            if can_be_stale {
                let digest = prepared.digest.get_or_init(|| prepare(digest, &none, Reach::Many));
                same_under_latest(connection, digest, &none);
            }
            let values = prepared.values.get_or_init(|| prepare(values, &none, Reach::Many));
            let values = Delta::fetch(connection, values, &none);
            groups.end();
            let Some(values) = values else { return 0 };
            values.register(connection, VALUES, EXPECTED);
            let written = execute(prepared.write.get_or_init(|| prepare(write, &none, Reach::Tids)), &none);
            values.end();
            written
        }
    }
}
