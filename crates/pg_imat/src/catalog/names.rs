//! Resolves names, and finds free ones.

use imat_compile::error::Error;
use imat_compile::name::QName;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping::trusted;
use crate::pg::spi::{self, Param};
use crate::pg::xact;
use crate::refuse;

/// The relation of that name, if there is one.
pub fn exists(name: &QName) -> Option<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
    );
    spi::first(&QUERY, &[Param::from(name.schema.as_str()), Param::from(name.name.as_str())], |row| row.oid(1))
}

/// The relation that a name resolves to on the caller's search path.
pub fn resolve(name: &str) -> Option<u32> {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid");
    spi::first(&QUERY, &[Param::from(name)], |row| row.get::<Oid>(1)).flatten().map(|oid| oid.to_u32())
}

/// The same for a text that may be no valid name.
pub fn named(text: &str) -> Option<u32> {
    xact::attempt(|| resolve(text)).flatten()
}

/// An identifier as PostgreSQL reads it: folded to lower case unless quoted. A schema is an error.
pub fn identifier(name: &str) -> Result<String, Error> {
    const QUERY: Sql =
        Sql::fixed("SELECT i[1]::name::text, pg_catalog.array_length(i, 1) FROM pg_catalog.parse_ident($1) AS i");
    match trusted(|| spi::first(&QUERY, &[Param::from(name)], |row| (row.need::<String>(1), row.need::<i32>(2)))) {
        Some((identifier, 1)) => Ok(identifier),
        _ => Err(refuse::qualified_name(name)),
    }
}

/// Whether the schema has a relation of this name.
pub fn is_taken(schema: &str, name: &str) -> bool {
    exists(&QName::new(schema, name)).is_some()
}

/// `wanted`, with a number appended if it is taken, and cut to PostgreSQL's length limit.
pub fn unused(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    (0..)
        .map(|attempt| {
            let suffix = if attempt == 0 { String::new() } else { format!("_{attempt}") };
            let mut room = wanted.len().min(63 - suffix.len());
            while !wanted.is_char_boundary(room) {
                room -= 1;
            }
            format!("{}{suffix}", &wanted[..room])
        })
        .find(|name| !taken(name))
        .unwrap_or_default()
}
