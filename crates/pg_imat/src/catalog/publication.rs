//! Finds publications that publish states and bookkeeping implicitly: those of all tables, and those of our schemas.
//!
//! A subscriber stops at a table that it doesn't have. It can't have a new state in advance, because a state has a
//! temporary name while it is filled, and its first rows are published under this name. PostgreSQL can't exclude a
//! logged table from such a publication.

use imat_compile::error::Error;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping::trusted;
use crate::pg::error::{server_version, warn};
use crate::pg::setting;
use crate::pg::spi::{self, Param};
use crate::refuse;

/// The first publication that implicitly publishes tables of this schema or of ours. If `among` is not empty, only
/// these publications count.
fn first(schema: &str, among: &[Oid]) -> Option<String> {
    // Before 15 there are no publications of schemas.
    const OF_ALL: Sql = Sql::fixed(
        "SELECT p.pubname::text FROM pg_catalog.pg_publication AS p \
         WHERE p.puballtables AND (p.oid = ANY ($2) OR pg_catalog.cardinality($2) = 0) AND $1 IS NOT NULL ORDER BY 1 LIMIT 1",
    );
    const OF_SCHEMAS: Sql = Sql::fixed(
        "SELECT p.pubname::text FROM pg_catalog.pg_publication AS p \
         WHERE (p.oid = ANY ($2) OR pg_catalog.cardinality($2) = 0) \
             AND (p.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace AS s \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = s.pnnspid \
                 WHERE s.pnpubid = p.oid AND n.nspname IN ('imat_state', 'imat_catalog', $1))) ORDER BY 1 LIMIT 1",
    );
    let query = if server_version() < 150_000 { &OF_ALL } else { &OF_SCHEMAS };
    spi::first(query, &[Param::from(schema), among.to_vec().into()], |row| row.need(1))
}

/// Refuses to make a maintained table in this schema if it, its state or its bookkeeping would be published implicitly.
pub fn check(name: &str, schema: &str) -> Result<(), Error> {
    match first(schema, &[]) {
        Some(publication) if !setting::publish_states() => Err(refuse::published(name, &publication)),
        _ => Ok(()),
    }
}

/// Warns of publications, just created or altered, that publish bookkeeping and states implicitly.
pub fn follow(publications: Vec<Oid>) {
    let found = |&publication: &Oid| trusted(|| first("imat", &[publication]));
    publications.iter().filter_map(found).for_each(|name| warn(&refuse::publishes_all(&name)));
}
