//! Where a maintained table is put together.
//!
//! PostgreSQL evaluates parts of SQL text while it only reads it: input functions of constants,
//! and with them the CHECK constraints of a domain. So text that comes from a user is given to
//! PostgreSQL as that user and never as the extension's owner. As users may not create anything in the
//! extension's schemas, things are made in a schema that is theirs, and moved when they are done.

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
    /// Opens one for a role; the caller is trusted.
    pub fn open(owner: u32) -> Self {
        const TAKEN: Sql = Sql::fixed("SELECT 1 FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1");
        let free = |name: &String| spi::first(&TAKEN, &[Param::from(name.as_str())], |_| ()).is_none();
        let process = std::process::id();
        let schema = (0..).map(|number| format!("imat_build_{process}_{number}")).find(free).unwrap_or_default();
        spi::run(&ddl::create_schema(&schema, &role_name(owner)));
        Self { schema, owner }
    }

    /// The role that it is for.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// The name of something in it, which no schema that it is moved to has.
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

    /// Moves something out of it.
    pub fn deliver(&self, name: &str, to: &QName) {
        ddl::move_relation(&self.name(name), to).iter().for_each(spi::run);
    }

    /// Ends it; nothing may be left in it.
    pub fn close(self) {
        spi::run(&ddl::drop_schema(&self.schema));
    }
}

fn role_name(role: u32) -> String {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.pg_get_userbyid($1)::text");
    spi::first(&QUERY, &[oid(role)], |row| row.need(1)).unwrap_or_default()
}
