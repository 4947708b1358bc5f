//! The scratch schema in which a maintained table is built.
//!
//! PostgreSQL evaluates parts of SQL text already when it parses it: input functions of constants, and with
//! them the CHECK constraints of a domain. So a user's text is parsed as that user and never as
//! the extension's owner. Users may not create anything in the extension's schemas, so the objects are made in a schema
//! of the user's, and moved at the end.

use imat_compile::name::QName;
use imat_compile::sql::{Sql, ddl};

use crate::catalog::facts::oid;
use crate::pg::context::{Role, as_role, with_path, with_text};
use crate::pg::spi::{self, Param};

pub struct Scratch {
    schema: String,
    owner: u32,
}

impl Scratch {
    /// Creates a scratch schema for a role. The caller runs as the extension's owner.
    pub fn open(owner: u32) -> Self {
        const TAKEN: Sql = Sql::fixed("SELECT 1 FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1");
        let free = |name: &String| spi::first(&TAKEN, &[Param::from(name.as_str())], |_| ()).is_none();
        let process = std::process::id();
        let schema = (0..).map(|number| format!("imat_build_{process}_{number}")).find(free).unwrap_or_default();
        spi::run(&ddl::create_schema(&schema, &role_name(owner)));
        Self { schema, owner }
    }

    /// The role that owns the schema.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// The name of an object in the schema. It contains the schema's name, so it is free in the schema it is moved to.
    pub fn name(&self, name: &str) -> QName {
        QName::new(self.schema.as_str(), format!("{} {name}", self.schema))
    }

    /// Runs a statement as the role.
    pub fn run(&self, sql: &Sql) {
        self.run_under(&[], sql);
    }

    /// Runs a statement as the role, under these settings.
    pub fn run_under(&self, settings: &[(String, String)], sql: &Sql) {
        self.as_role(settings, || with_text(|| spi::run(sql)));
    }

    /// Runs `body` as the role.
    pub fn as_role<T>(&self, settings: &[(String, String)], body: impl FnOnce() -> T) -> T {
        as_role(Role::Restricted(self.owner), &with_path(settings.to_vec()), body)
    }

    /// Moves an object to its final schema and name.
    pub fn deliver(&self, name: &str, to: &QName) {
        ddl::move_relation(&self.name(name), to).iter().for_each(spi::run);
    }

    /// Drops the schema, which must be empty.
    pub fn close(self) {
        spi::run(&ddl::drop_schema(&self.schema));
    }
}

fn role_name(role: u32) -> String {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.pg_get_userbyid($1)::text");
    spi::first(&QUERY, &[oid(role)], |row| row.need(1)).unwrap_or_default()
}
