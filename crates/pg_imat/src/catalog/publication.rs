//! Publications that would publish what pg_imat keeps by themselves: those of all tables, and of its schemas.
//!
//! Subscribers stop at a table that they don't have. What is created here is none that anybody could have created there
//! before: while it is filled it has a passing name, by which its first rows are published. And PostgreSQL has no way to keep
//! a logged table out of such a publication.

use imat_compile::error::Error;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping::trusted;
use crate::pg::error::{server_version, warn};
use crate::pg::setting;
use crate::pg::spi::{self, Param};
use crate::refuse;

/// The first of the publications that publish tables of this schema by themselves, or of ours; among these, where there are any.
fn first(schema: &str, among: &[Oid]) -> Option<String> {
    // Before 15 there are none of a schema.
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

/// Refuses to make a maintained table in this schema that would be published by itself, or its state or bookkeeping.
pub fn check(name: &str, schema: &str) -> Result<(), Error> {
    match first(schema, &[]) {
        Some(publication) if !setting::publish_states() => Err(refuse::published(name, &publication)),
        _ => Ok(()),
    }
}

/// Publications were created or altered: warns of those that publish bookkeeping and states by themselves.
pub fn follow(publications: Vec<Oid>) {
    let found = |&publication: &Oid| trusted(|| first("imat", &[publication]));
    publications.iter().filter_map(found).for_each(|name| warn(&refuse::publishes_all(&name)));
}
