//! The statements of a plan, one struct for each purpose.

use crate::sql::Sql;

/// The statements that apply one delta, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// A number that depends on all that `apply` reads besides the delta. Taken under a transaction snapshot it must be
    /// the same as under the latest snapshot.
    pub digest: Option<Sql>,
    pub apply: Apply,
    /// Whether `apply.write` returns a row, which says what is left to do.
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
    /// The same for a transaction snapshot. It also returns the tids of all rows that were written.
    pub watched: Sql,
    /// Returns a row if a row with one of the tids of `$1` is the second one with its key. The snapshot still sees the first
    /// one, which another transaction has deleted since.
    pub twins: Sql,
}

/// Recomputes rows of the state, few or many: how many there are does not follow from the size of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recompute {
    pub few: RecomputeFew,
    pub many: RecomputeMany,
}

/// Recomputes the rows with the tids of `$1`. The digest depends on all base table rows that `write` reads: see [`Flush`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecomputeFew {
    pub digest: Sql,
    pub write: Sql,
}

/// The same in steps. `groups` returns the groups with the tids of `$1`, which `values` and `digest` read as
/// [`super::tids::GROUPS`]. `write` reads what `values` returns as [`super::tids::VALUES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecomputeMany {
    pub groups: Sql,
    pub digest: Sql,
    pub values: Sql,
    pub write: Sql,
}

/// The statements that rebuild the state. An empty state is populated, and a state that must become empty is cleared.
/// Otherwise only what differs is written: `delete` and `insert` read what `difference` returns as
/// [`super::rebuild::DIFFERENCE`].
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
