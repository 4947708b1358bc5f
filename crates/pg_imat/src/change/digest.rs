//! What is read under a transaction snapshot must not have changed since that was taken.

use crate::catalog::cache::Maintained;
use crate::pg::error::raise;
use crate::pg::lock;
use crate::pg::spi::{Connection, Params, Prepared, Snapshot};
use crate::refuse;

/// Whether the flush's snapshot may be too old for what it reads. While a maintained table is being
/// built, nobody else writes its state, which is brought to the moment of a snapshot.
pub fn can_be_stale(maintained: &Maintained) -> bool {
    lock::transaction_snapshot() && !maintained.entry.queued
}

/// Under a transaction snapshot, what is read must not have changed since it was taken: the
/// other transaction did not see this one's change, so nobody would combine the two.
pub fn same_under_latest(connection: &Connection, digest: &Prepared, params: &Params) {
    connection.execute(digest, params, Snapshot::Transaction);
    let mine = connection.text(1);
    connection.execute(digest, params, Snapshot::Latest);
    if mine != connection.text(1) {
        raise(&refuse::serialization());
    }
}
