//! Recomputes the groups that an upsert could not compute.

use imat_compile::plan::Size;
use imat_compile::sql::Sql;
use imat_compile::sql::statements::{Recompute, RecomputeFew, RecomputeMany};
use imat_compile::sql::tids::{GROUPS, VALUES};

use crate::catalog::extent::Extent;
use crate::catalog::statements::{Recomputing, RecomputingFew, RecomputingMany};
use crate::change::digest::same_under_latest;
use crate::pg::delta::Delta;
use crate::pg::spi::{Connection, Params, Prepared, Reach, Snapshot};

/// The number of groups that plans for many groups are made for.
const EXPECTED: f64 = 10_000.0;

/// Recomputes the rows with these tids, whose number is `count`, and returns how many were written. That number says which
/// statements are used, and not the size of the change: a large change can affect few groups, and a small one many through
/// a join.
pub fn run(
    connection: &Connection,
    of: &Recompute,
    prepared: &Recomputing,
    (tids, count): (&Params, usize),
    can_be_stale: bool,
) -> u64 {
    match Extent::of(count as u64).size {
        Size::Large => run_many(connection, &of.many, &prepared.many, tids, can_be_stale),
        Size::Small | Size::One(_) => run_few(connection, &of.few, &prepared.few, tids, can_be_stale),
    }
}

fn run_few(
    connection: &Connection,
    RecomputeFew { digest, write }: &RecomputeFew,
    prepared: &RecomputingFew,
    tids: &Params,
    can_be_stale: bool,
) -> u64 {
    let prepare = |sql: &Sql| connection.prepare(sql, &tids.types, Reach::Few);
    if can_be_stale {
        same_under_latest(connection, prepared.digest.get_or_init(|| prepare(digest)), tids);
    }
    connection.execute(prepared.write.get_or_init(|| prepare(write)), tids, Snapshot::Transaction)
}

fn run_many(
    connection: &Connection,
    RecomputeMany { groups, digest, values, write }: &RecomputeMany,
    prepared: &RecomputingMany,
    tids: &Params,
    can_be_stale: bool,
) -> u64 {
    let none = Params::default();
    let prepare = |sql: &Sql, reach| -> Prepared { connection.prepare(sql, &none.types, reach) };
    let groups = prepared.groups.get_or_init(|| connection.prepare(groups, &tids.types, Reach::Tids));
    let Some(groups) = Delta::fetch(connection, groups, tids) else { return 0 };
    groups.register(connection, GROUPS, EXPECTED);
    if can_be_stale {
        same_under_latest(connection, prepared.digest.get_or_init(|| prepare(digest, Reach::Many)), &none);
    }
    let values = prepared.values.get_or_init(|| prepare(values, Reach::Many));
    let values = Delta::fetch(connection, values, &none);
    groups.end();
    let Some(values) = values else { return 0 };
    values.register(connection, VALUES, EXPECTED);
    let written =
        connection.execute(prepared.write.get_or_init(|| prepare(write, Reach::Tids)), &none, Snapshot::Transaction);
    values.end();
    written
}
