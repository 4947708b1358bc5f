//! Refuses base tables that Citus manages.
//!
//! Citus stores the rows of its tables in shards, local tables with other names, and runs statements there, so triggers
//! on the table that a view names don't fire. If Citus begins to manage a base table later, that is noticed when the
//! maintained table is compiled again after the DDL: the DDL, or the next change, fails. If Citus has copied a trigger
//! to a shard, that raises an error (`capture::refuse_copy`). DDL of ours is not sent to other nodes
//! ([`crate::pg::spi::run`]).

use imat_compile::sql::Sql;

use crate::catalog::bookkeeping::trusted;
use crate::catalog::facts::oids;
use crate::pg::{context, spi};

/// One of these relations that Citus manages. Without Citus this only looks into the catalog caches.
pub fn managed(relations: impl Iterator<Item = u32>) -> Option<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT p.logicalrelid::oid FROM pg_catalog.pg_dist_partition AS p WHERE p.logicalrelid::oid = ANY ($1) \
         ORDER BY 1 LIMIT 1",
    );
    context::table_owner("pg_catalog", "pg_dist_partition")?;
    trusted(|| spi::first(&QUERY, &[oids(relations)], |row| row.oid(1)))
}
