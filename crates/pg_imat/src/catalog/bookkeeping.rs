//! The extension's own tables.

use std::collections::BTreeMap;

use imat_compile::error::Error;
use imat_compile::name::QName;
use imat_compile::sql::Sql;
use imat_compile::sql::ddl::TRIGGERS;
use pgrx::pg_sys::Oid;

use crate::catalog::facts::{self, oid, oids};
use crate::pg::context::{self, Role, as_role, with_path, with_text};
use crate::pg::lock;
use crate::pg::spi::{self, Param};
use crate::refuse;

/// Runs bookkeeping as the owner of the extension's tables, under a safe search path.
pub fn trusted<T>(body: impl FnOnce() -> T) -> T {
    // Where there is no such table there is nothing to be trusted with.
    let owner = context::table_owner("imat_catalog", "imat").unwrap_or_else(context::user);
    as_role(Role::Trusted(owner), &with_path(Vec::new()), || with_text(body))
}

/// A row of `imat_catalog.imat`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: u32,
    pub state: u32,
    pub definition: u32,
    pub owner: u32,
    pub construct: Option<String>,
    pub shape: String,
    /// Of the server that the state was created on.
    pub server_version: i32,
    pub depth: i32,
    pub trusts_keys: bool,
    pub settings: Vec<String>,
    /// Why it does not follow its base tables, if it doesn't.
    pub stale: Option<String>,
    /// What it will be called, while it is still being built.
    pub target: Option<QName>,
    /// Whether changes go to its queues.
    pub queued: bool,
}

impl Entry {
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }
}

/// The entry of a maintained table.
pub fn entry(name: u32) -> Option<Entry> {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid, i.state::oid, i.definition::oid, c.relowner, i.construct, i.shape, i.server_version, \
             i.depth, i.trusts_keys, i.settings, i.stale, i.target, i.queued \
         FROM imat_catalog.imat AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.state WHERE i.name = $1",
    );
    spi::first(&QUERY, &[oid(name)], |row| Entry {
        name: row.oid(1),
        state: row.oid(2),
        definition: row.oid(3),
        owner: row.oid(4),
        construct: row.get(5),
        shape: row.need(6),
        server_version: row.need(7),
        depth: row.need(8),
        trusts_keys: row.need(9),
        settings: row.need(10),
        stale: row.get(11),
        target: row.get::<Vec<String>>(12).map(|target| QName::new(target[0].as_str(), target[1].as_str())),
        queued: row.need(13),
    })
}

/// The entry of a maintained table that is to be called so, and is still being built.
pub fn unfinished(target: &QName) -> Option<Entry> {
    const QUERY: Sql = Sql::fixed("SELECT i.name::oid FROM imat_catalog.imat AS i WHERE i.target = ARRAY[$1, $2]");
    let names = [Param::from(target.schema.as_str()), Param::from(target.name.as_str())];
    spi::first(&QUERY, &names, |row| row.oid(1)).and_then(entry)
}

/// The queues of a maintained table that is being built, each with its base table.
pub fn queues(name: u32) -> Vec<(u32, QName)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT q.base::oid, n.nspname::text, c.relname::text FROM imat_catalog.queue AS q \
         JOIN pg_catalog.pg_class AS c ON c.oid = q.queue JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE q.name = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), QName::new(row.need::<String>(2), row.need::<String>(3))))
}

/// Finds a maintained table by `schema.name`, or by its name alone where that is unique.
pub fn find(name: &str, resolved: Option<u32>) -> Result<Entry, Error> {
    const BY_NAME: Sql = Sql::fixed(
        "SELECT i.name::oid FROM imat_catalog.imat AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.name \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         CROSS JOIN LATERAL pg_catalog.parse_ident($1) AS p \
         WHERE pg_catalog.cardinality(p) = 1 AND p[1] IN (c.relname, i.target[2]) OR i.target = p \
         ORDER BY coalesce(i.target[1], n.nspname) <> 'imat', 1 LIMIT 1",
    );
    trusted(|| {
        resolved
            .and_then(entry)
            .or_else(|| spi::first(&BY_NAME, &[Param::from(name)], |row| row.oid(1)).and_then(entry))
            .ok_or_else(|| refuse::not_maintained(name))
    })
}

/// The base tables of a maintained table, with their names.
pub fn bases(name: u32) -> Vec<(u32, QName)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT c.oid, n.nspname::text, c.relname::text FROM imat_catalog.source AS s \
         JOIN pg_catalog.pg_class AS c ON c.oid = s.base JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE s.name = $1 ORDER BY c.oid",
    );
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), QName::new(row.need::<String>(2), row.need::<String>(3))))
}

/// The base tables of a maintained table, each with the relations that reach it.
pub fn sources(name: u32) -> Vec<(u32, u32)> {
    const QUERY: Sql =
        Sql::fixed("SELECT s.base::oid, s.relation::oid FROM imat_catalog.source AS s WHERE s.name = $1 ORDER BY 1, 2");
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), row.oid(2)))
}

/// Per base table of a maintained table, the columns on whose NOT NULL its state relies.
pub fn not_null(name: u32) -> BTreeMap<u32, Vec<i16>> {
    const QUERY: Sql = Sql::fixed(
        "SELECT s.base::oid, s.not_null FROM imat_catalog.source AS s WHERE s.name = $1 AND s.not_null IS NOT NULL",
    );
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), row.need(2))).into_iter().collect()
}

/// The maintained tables that an alteration of these relations could break.
pub fn affected(relations: &[Oid]) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT s.name::oid FROM imat_catalog.source AS s WHERE s.relation::oid = ANY ($1) \
         UNION SELECT i.name::oid FROM imat_catalog.imat AS i \
             WHERE i.name::oid = ANY ($1) OR i.state::oid = ANY ($1) OR i.definition::oid = ANY ($1) \
         ORDER BY 1",
    );
    spi::rows(&QUERY, &[relations.to_vec().into()], |row| row.oid(1))
}

/// Notes that a maintained table relies on no foreign keys from now on.
pub fn distrust_keys(name: u32) {
    const QUERY: Sql =
        Sql::fixed("UPDATE imat_catalog.imat AS i SET trusts_keys = false WHERE i.name = $1 AND i.trusts_keys");
    spi::run_with(&QUERY, &[oid(name)]);
}

/// The relations whose writers write a base table that another one references by a foreign key of any kind.
pub fn referenced(name: u32) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT p.relation::oid FROM imat_catalog.source AS p WHERE p.name = $1 \
         AND EXISTS (SELECT FROM imat_catalog.source AS c JOIN pg_catalog.pg_constraint AS k \
             ON k.contype = 'f' AND k.conrelid = c.base AND k.confrelid = p.base \
             WHERE c.name = p.name AND c.base <> p.base) ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(name)], |row| row.oid(1))
}

/// Whether rows can get past a foreign key between two of these tables.
pub fn is_passable(tables: &[u32]) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'f' AND k.conrelid = ANY ($1) \
             AND k.confrelid = ANY ($1) AND k.conrelid <> k.confrelid AND imat_catalog.is_passable(k.oid))",
    );
    spi::first(&QUERY, &[oids(tables.iter().copied())], |row| row.need(1)).unwrap_or(true)
}

/// The maintained tables over both tables of a foreign key that rows of these relations can get past.
pub fn over_passable_keys(relations: &[Oid]) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid FROM imat_catalog.imat AS i WHERE i.trusts_keys \
         AND i.name::oid IN (SELECT s.name::oid FROM imat_catalog.source AS s WHERE s.relation::oid = ANY ($1)) \
         AND EXISTS (SELECT FROM imat_catalog.source AS c JOIN imat_catalog.source AS p ON p.name = c.name \
             JOIN pg_catalog.pg_constraint AS k ON k.contype = 'f' AND k.conrelid = c.base AND k.confrelid = p.base \
             WHERE c.name = i.name AND c.base <> p.base AND imat_catalog.is_passable(k.oid)) \
         ORDER BY 1",
    );
    spi::rows(&QUERY, &[relations.to_vec().into()], |row| row.oid(1))
}

/// Whether a maintained table has its sources, its query and all its triggers. While a dump is
/// restored, the triggers come late, and so do queries that are allowed by a primary key only:
/// until then a view with the same columns, which reads nothing, stands in their place. One that a
/// session is building gets its triggers late as well, but what it reads must stay what it is.
pub fn is_complete(name: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT pg_catalog.bool_and(s.base::oid IN (SELECT b.relation FROM imat_catalog.below(i.definition) AS b)) \
         FROM imat_catalog.imat AS i JOIN imat_catalog.source AS s ON s.name = i.name WHERE i.name = $1",
    );
    let reads = || spi::first(&QUERY, &[oid(name)], |row| row.get(1)).flatten().unwrap_or(false);
    let relations = || relations(name).into_iter().map(|(relation, _)| relation);
    let complete = reads() && have_triggers(relations());
    let is_built = |entry: Entry| entry.target.is_some() && lock::is_being_built(entry.definition);
    complete || entry(name).is_some_and(is_built)
}

/// Whether all of these relations have the triggers that their changes are followed by.
pub fn have_triggers(relations: impl Iterator<Item = u32>) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT pg_catalog.bool_and((SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger AS t \
             JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid WHERE t.tgrelid = r.oid AND t.tgname = ANY ($2) \
                 AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace) = pg_catalog.cardinality($2)) \
         FROM pg_catalog.unnest($1) AS r(oid)",
    );
    let triggers = TRIGGERS.map(str::to_owned).to_vec();
    spi::first(&QUERY, &[oids(relations), triggers.into()], |row| row.get(1)).flatten().unwrap_or(false)
}

/// Whether maintaining a table can run functions of users: those of its query and of the state's
/// indexes, constraints and triggers. What is PostgreSQL's own has no entry in pg_depend, and
/// enums have only functions of that kind.
pub fn runs_user_code(definition: u32, state: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "WITH part(class, object) AS ( \
             SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid FROM imat_catalog.below($1) AS b \
                 JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = b.relation \
             UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, $2 \
             UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid \
                 FROM pg_catalog.pg_index AS i WHERE i.indrelid = $2 \
             UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid \
                 FROM pg_catalog.pg_constraint AS c WHERE c.conrelid = $2 \
             UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid \
                 FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = $2) \
         SELECT EXISTS (SELECT FROM part AS p JOIN pg_catalog.pg_depend AS d ON d.classid = p.class AND d.objid = p.object \
             LEFT JOIN pg_catalog.pg_proc AS f ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.oid = d.refobjid \
             LEFT JOIN pg_catalog.pg_type AS t ON d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.refobjid \
             WHERE d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass, \
                 'pg_catalog.pg_opclass'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass) \
             AND t.typtype IS DISTINCT FROM 'e' \
             AND f.pronamespace IS DISTINCT FROM 'imat_catalog'::pg_catalog.regnamespace)",
    );
    spi::first(&QUERY, &[oid(definition), oid(state)], |row| row.need(1)).unwrap_or(true)
}

/// A table of which row-level security could keep rows from the maintenance: a base table, or the
/// state. Both are refused when they are altered, as long as nobody has switched off event triggers.
pub fn filtered(name: u32) -> Option<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid FROM imat_catalog.source AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.base \
         WHERE s.name = $1 AND c.relrowsecurity \
         UNION ALL SELECT c.oid FROM imat_catalog.imat AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.state \
         WHERE i.name = $1 AND c.relrowsecurity AND c.relforcerowsecurity LIMIT 1",
    );
    spi::first(&QUERY, &[oid(name)], |row| row.oid(1))
}

/// Whether a relation is the state of a maintained table.
pub fn is_state(relation: u32) -> bool {
    const QUERY: Sql = Sql::fixed("SELECT EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.state = $1)");
    spi::first(&QUERY, &[oid(relation)], |row| row.need(1)).unwrap_or(false)
}

/// The base tables that a relation's changes reach.
pub fn bases_of_relation(relation: u32) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT s.base::oid FROM imat_catalog.source AS s \
         JOIN imat_catalog.imat AS i ON i.name = s.name WHERE s.relation = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(relation)], |row| row.oid(1))
}

/// The maintained tables that read a base table.
pub fn readers(base: u32) -> Vec<u32> {
    const QUERY: Sql =
        Sql::fixed("SELECT DISTINCT s.name::oid FROM imat_catalog.source AS s WHERE s.base = $1 ORDER BY 1");
    spi::rows(&QUERY, &[oid(base)], |row| row.oid(1))
}

/// Those of them that follow its changes.
pub fn followers(base: u32) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT s.name::oid FROM imat_catalog.source AS s \
         JOIN imat_catalog.imat AS i ON i.name = s.name AND i.stale IS NULL WHERE s.base = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(base)], |row| row.oid(1))
}

/// The relations that reach a maintained table, and whether they reach another one as well.
pub fn relations(name: u32) -> Vec<(u32, bool)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT s.relation::oid, \
             EXISTS (SELECT FROM imat_catalog.source AS o WHERE o.relation = s.relation AND o.name <> $1) \
         FROM imat_catalog.source AS s WHERE s.name = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), row.need(2)))
}

/// Attribute numbers in `relation` of the columns of `base`, by name.
pub fn attributes(base: u32, relation: u32) -> Vec<(i16, i16)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT b.attnum, r.attnum FROM pg_catalog.pg_attribute AS b \
         JOIN pg_catalog.pg_attribute AS r ON r.attname = b.attname AND r.attrelid = $2 AND NOT r.attisdropped \
         WHERE b.attrelid = $1 AND b.attnum > 0 AND NOT b.attisdropped",
    );
    spi::rows(&QUERY, &[oid(base), oid(relation)], |row| (row.need(1), row.need(2)))
}

/// What a relation is called in messages: one that is still being built, as it will be.
pub fn display(relation: u32) -> String {
    let target = entry(relation).and_then(|entry| entry.target);
    target.or_else(|| facts::name(relation)).map(|name: QName| name.to_string()).unwrap_or_default()
}

/// Deletes a maintained table's bookkeeping; returns the relations that reached it.
pub fn forget(name: u32) -> Vec<(u32, bool)> {
    const ENTRY: Sql = Sql::fixed("DELETE FROM imat_catalog.imat AS i WHERE i.name = $1");
    const SOURCE: Sql = Sql::fixed("DELETE FROM imat_catalog.source AS s WHERE s.name = $1");
    const CONTENT: Sql = Sql::fixed(
        "DELETE FROM imat_catalog.content AS c USING imat_catalog.imat AS i WHERE i.name = $1 AND c.state = i.state",
    );
    let relations = relations(name);
    spi::run_with(&CONTENT, &[oid(name)]);
    spi::run_with(&ENTRY, &[oid(name)]);
    spi::run_with(&SOURCE, &[oid(name)]);
    relations
}

/// What a definition stands for has been made anew.
pub fn doubt_no_more(definition: u32) {
    const CERTAIN: Sql = Sql::fixed("DELETE FROM imat_catalog.doubtful AS d WHERE d.definition = $1");
    spi::run_with(&CERTAIN, &[oid(definition)]);
}
