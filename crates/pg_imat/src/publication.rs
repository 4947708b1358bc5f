//! Publications that would publish what pg_imat keeps by themselves: those of all tables, and of its schemas.
//!
//! Subscribers stop at a table that they don't have. What is created here is none that anybody could have created there
//! before: while it is filled it has a passing name, by which its first rows are published. And PostgreSQL has no way to keep
//! a logged table out of such a publication.

use imat_compile::error::Error;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::trusted;
use crate::pg::error::{server_version, warn};
use crate::pg::setting;
use crate::pg::spi::{self, Param};
use crate::refuse;

// Before 15 there are none of a schema.
const OF_ALL: Sql =
    Sql::fixed("SELECT p.pubname::text FROM pg_catalog.pg_publication AS p WHERE p.puballtables ORDER BY 1 LIMIT 1");

/// Refuses to make a maintained table in this schema that would be published by itself, or its state or bookkeeping.
pub fn check(name: &str, schema: &str) -> Result<(), Error> {
    const OF_SCHEMAS: Sql = Sql::fixed(
        "SELECT p.pubname::text FROM pg_catalog.pg_publication AS p \
         WHERE p.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace AS s \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = s.pnnspid \
             WHERE s.pnpubid = p.oid AND n.nspname IN ('imat_state', 'imat_catalog', $1)) ORDER BY 1 LIMIT 1",
    );
    let found = match server_version() < 150_000 {
        true => spi::first(&OF_ALL, &[], |row| row.need::<String>(1)),
        false => spi::first(&OF_SCHEMAS, &[Param::from(schema)], |row| row.need(1)),
    };
    match found {
        Some(publication) if !setting::publish_states() => Err(refuse::published(name, &publication)),
        _ => Ok(()),
    }
}

/// Publications were created or altered: warns of those that publish bookkeeping and states.
pub fn follow(publications: Vec<Oid>) {
    const NAMES: Sql = Sql::fixed(
        "SELECT DISTINCT t.pubname::text FROM pg_catalog.pg_publication_tables AS t \
         JOIN pg_catalog.pg_publication AS p ON p.pubname = t.pubname AND p.oid = ANY ($1) WHERE t.schemaname IN ('imat_state', 'imat_catalog') ORDER BY 1",
    );
    let names = trusted(|| spi::rows(&NAMES, &[publications.into()], |row| row.need::<String>(1)));
    names.iter().for_each(|name| warn(&refuse::publishes_all(name)));
}
