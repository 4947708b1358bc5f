//! Next to Citus.
//!
//! Citus keeps the rows of its tables in shards, local tables of other names, and runs statements there: triggers of the
//! table that a view names don't fire. So its tables are refused as base tables. A base table that becomes one later
//! is noticed when the maintained table is compiled anew, which is after any DDL on it: that, or the next change, fails.
//! Triggers that Citus has copied to a shard say that nobody reads it (`capture::refuse_copy`), and DDL of ours stays on this
//! server ([`crate::pg::spi::run`]).

use imat_compile::sql::Sql;

use crate::catalog::bookkeeping::trusted;
use crate::catalog::facts::oids;
use crate::pg::{context, spi};

/// One of these relations that Citus manages. Where there is no Citus, that is a look into the catalog caches.
pub fn managed(relations: impl Iterator<Item = u32>) -> Option<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT p.logicalrelid::oid FROM pg_catalog.pg_dist_partition AS p WHERE p.logicalrelid::oid = ANY ($1) \
         ORDER BY 1 LIMIT 1",
    );
    context::table_owner("pg_catalog", "pg_dist_partition")?;
    trusted(|| spi::first(&QUERY, &[oids(relations)], |row| row.oid(1)))
}
