//! Under a transaction snapshot, a flush must not read data that has changed since the snapshot was taken.

use crate::catalog::cache::Maintained;
use crate::pg::error::raise;
use crate::pg::lock;
use crate::pg::spi::{Connection, Params, Prepared, Snapshot};
use crate::refuse;

/// Whether the flush's snapshot may be too old for the data that it reads. In an online build it can't be: no other
/// session writes the state, and each round computes the state as of its own snapshot.
pub fn can_be_stale(maintained: &Maintained) -> bool {
    lock::transaction_snapshot() && !maintained.entry.queued
}

/// Raises an error if the digest of the data differs between the transaction snapshot and the latest one. Then another
/// transaction has committed a change that did not see this transaction's, so neither would combine the two.
pub fn same_under_latest(connection: &Connection, digest: &Prepared, params: &Params) {
    connection.execute(digest, params, Snapshot::Transaction);
    let mine = connection.text(1);
    connection.execute(digest, params, Snapshot::Latest);
    if mine != connection.text(1) {
        raise(&refuse::serialization());
    }
}
