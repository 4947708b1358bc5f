//! The statements of a plan, by what they are for.

use crate::sql::Sql;

/// The statements that apply one delta, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// A number that depends on all that `apply` reads besides the delta. Under a transaction
    /// snapshot it must be the same when taken under the latest one.
    pub digest: Option<Sql>,
    pub apply: Apply,
    /// Whether `apply.write` returns what follows up on it.
    pub returns: bool,
    pub recompute: Option<Recompute>,
    /// Deletes the emptied rows with the tids of `$1`.
    pub delete: Option<Sql>,
}

/// The upsert. It returns one row: the tids of emptied rows, of rows to recompute, and the number
/// of rows whose multiplicity fell below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    pub write: Sql,
    /// The same under a transaction snapshot. Its row goes on with the tids of all rows that were written.
    pub watched: Sql,
    /// Returns a row if, among those of `$1`, there is a second row for a key whose first one another transaction has
    /// deleted since the snapshot: both would be seen.
    pub twins: Sql,
}

/// Recomputes rows of the state. How many they are does not follow from the size of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recompute {
    pub few: RecomputeFew,
    pub many: RecomputeMany,
}

/// Recomputes the rows with the tids of `$1`; their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecomputeFew {
    pub digest: Sql,
    pub write: Sql,
}

/// The same step by step. `groups` returns the groups with the tids of `$1`, which are kept as [`super::tids::GROUPS`];
/// `values` and `digest` read these. `write` reads the values as [`super::tids::VALUES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecomputeMany {
    pub groups: Sql,
    pub digest: Sql,
    pub values: Sql,
    pub write: Sql,
}

/// The statements that make the state anew. An empty one is populated, and one that is to be empty is
/// cleared. Of others only what differs is written: `difference` is kept as [`super::rebuild::DIFFERENCE`], which `delete`
/// and `insert` read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// As in [`Flush`].
    pub digest: Sql,
    pub filled: Sql,
    pub populate: Sql,
    /// Returns nothing if the state is to be empty because a table is.
    pub possible: Option<Sql>,
    pub clear: Sql,
    pub difference: Sql,
    pub delete: Sql,
    pub insert: Sql,
}
