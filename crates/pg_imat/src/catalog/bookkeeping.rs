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
    // If the extension's tables don't exist, there is nothing to protect.
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
    /// The version of the server that created the state.
    pub server_version: i32,
    pub depth: i32,
    pub trusts_keys: bool,
    pub settings: Vec<String>,
    /// The reason why it does not follow its base tables, if it is stale.
    pub stale: Option<String>,
    /// Its final name, during an online build.
    pub target: Option<QName>,
    /// Whether writers append changes to its queues, instead of applying them to the state.
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

/// The entry of a maintained table whose online build is unfinished, by its final name.
pub fn unfinished(target: &QName) -> Option<Entry> {
    const QUERY: Sql = Sql::fixed("SELECT i.name::oid FROM imat_catalog.imat AS i WHERE i.target = ARRAY[$1, $2]");
    let names = [Param::from(target.schema.as_str()), Param::from(target.name.as_str())];
    spi::first(&QUERY, &names, |row| row.oid(1)).and_then(entry)
}

/// The queues of an online build, each with its base table.
pub fn queues(name: u32) -> Vec<(u32, QName)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT q.base::oid, n.nspname::text, c.relname::text FROM imat_catalog.queue AS q \
         JOIN pg_catalog.pg_class AS c ON c.oid = q.queue JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE q.name = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), QName::new(row.need::<String>(2), row.need::<String>(3))))
}

/// Finds a maintained table: `resolved`, or by its name without a schema, preferably in the schema `imat`.
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

/// The base tables of a maintained table, each with the relations through which its rows can change.
pub fn sources(name: u32) -> Vec<(u32, u32)> {
    const QUERY: Sql =
        Sql::fixed("SELECT s.base::oid, s.relation::oid FROM imat_catalog.source AS s WHERE s.name = $1 ORDER BY 1, 2");
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), row.oid(2)))
}

/// For each base table of a maintained table, the columns whose NOT NULL its state relies on.
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

/// Notes that a maintained table must not rely on foreign keys any more.
pub fn distrust_keys(name: u32) {
    const QUERY: Sql =
        Sql::fixed("UPDATE imat_catalog.imat AS i SET trusts_keys = false WHERE i.name = $1 AND i.trusts_keys");
    spi::run_with(&QUERY, &[oid(name)]);
}

/// The relations whose writers change a base table that another base table references by any foreign key.
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

/// The maintained tables that still rely on foreign keys, read one of these relations, and have a passable foreign key
/// between their base tables.
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

/// Whether a maintained table has its sources, its query and all its triggers. A restore creates the triggers late. It
/// also replaces late the definitions that depend on a primary key: pg_dump creates them first as views with the same
/// columns that read nothing. A table that is being built online has no triggers at first, but counts as complete, so
/// that DDL on its base tables is followed or refused.
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

/// Whether a base table has a primary key that some of its partitions lack. A restore attaches their indexes one by one,
/// and PostgreSQL groups by such a key before it is valid.
pub fn awaits_key(name: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM imat_catalog.source AS s JOIN pg_catalog.pg_index AS x ON x.indrelid = s.base \
             AND x.indisprimary AND NOT x.indisvalid WHERE s.name = $1)",
    );
    spi::first(&QUERY, &[oid(name)], |row| row.need(1)).unwrap_or(false)
}

/// Whether all of these relations have all triggers of ours.
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

/// Whether maintaining a table can run user-defined functions: those of its query and of the state's indexes,
/// constraints and triggers. Dependencies on built-in objects have no entry in pg_depend, and all functions of
/// enums are built in.
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

/// The relations that a statement on a relation can change, that is its partitions, children and what foreign keys
/// cascade to, and for each whether that runs user-defined code: triggers, or functions of constraints, generated columns
/// and indexes.
pub fn code_of_change(relation: u32) -> Vec<(u32, bool)> {
    const QUERY: Sql = Sql::fixed(
        "WITH RECURSIVE reached(relation) AS ( \
             SELECT $1::oid UNION SELECT n.relation FROM reached AS r CROSS JOIN LATERAL ( \
                 SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = r.relation \
                 UNION ALL SELECT c.conrelid FROM pg_catalog.pg_constraint AS c WHERE c.confrelid = r.relation \
                     AND NOT (c.confdeltype IN ('a', 'r') AND c.confupdtype IN ('a', 'r'))) AS n(relation)), \
         part(relation, class, object) AS ( \
             SELECT r.relation, 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid \
                 FROM reached AS r JOIN pg_catalog.pg_index AS i ON i.indrelid = r.relation \
             UNION ALL SELECT r.relation, 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid \
                 FROM reached AS r JOIN pg_catalog.pg_constraint AS c ON c.conrelid = r.relation \
             UNION ALL SELECT r.relation, 'pg_catalog.pg_attrdef'::pg_catalog.regclass, a.oid \
                 FROM reached AS r JOIN pg_catalog.pg_attrdef AS a ON a.adrelid = r.relation) \
         SELECT r.relation, EXISTS ( \
                 SELECT FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
                 WHERE t.tgrelid = r.relation AND NOT t.tgisinternal \
                 AND f.pronamespace <> 'imat_catalog'::pg_catalog.regnamespace) \
             OR EXISTS (SELECT FROM part AS p JOIN pg_catalog.pg_depend AS d ON d.classid = p.class AND d.objid = p.object \
                 WHERE p.relation = r.relation AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, \
                     'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass)) \
         FROM reached AS r",
    );
    spi::rows(&QUERY, &[oid(relation)], |row| (row.oid(1), row.need(2)))
}

/// A base table with row-level security, or the state if it is forced there. Such DDL is refused, unless event triggers
/// are off.
pub fn with_row_security(name: u32) -> Option<u32> {
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

/// The base tables whose rows are also rows of this relation.
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

/// The maintained tables that read a base table and are not stale.
pub fn followers(base: u32) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT s.name::oid FROM imat_catalog.source AS s \
         JOIN imat_catalog.imat AS i ON i.name = s.name AND i.stale IS NULL WHERE s.base = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(base)], |row| row.oid(1))
}

/// The relations whose changes reach a maintained table, and whether they reach another one too.
pub fn relations(name: u32) -> Vec<(u32, bool)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT s.relation::oid, \
             EXISTS (SELECT FROM imat_catalog.source AS o WHERE o.relation = s.relation AND o.name <> $1) \
         FROM imat_catalog.source AS s WHERE s.name = $1 ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(name)], |row| (row.oid(1), row.need(2)))
}

/// For each column of `base`, its attribute number there and that of the column with the same name in `relation`.
pub fn attributes(base: u32, relation: u32) -> Vec<(i16, i16)> {
    const QUERY: Sql = Sql::fixed(
        "SELECT b.attnum, r.attnum FROM pg_catalog.pg_attribute AS b \
         JOIN pg_catalog.pg_attribute AS r ON r.attname = b.attname AND r.attrelid = $2 AND NOT r.attisdropped \
         WHERE b.attrelid = $1 AND b.attnum > 0 AND NOT b.attisdropped",
    );
    spi::rows(&QUERY, &[oid(base), oid(relation)], |row| (row.need(1), row.need(2)))
}

/// A relation's name for messages: the final name if it is being built online.
pub fn display(relation: u32) -> String {
    let target = entry(relation).and_then(|entry| entry.target);
    target.or_else(|| facts::name(relation)).map(|name: QName| name.to_string()).unwrap_or_default()
}

/// Deletes a maintained table's bookkeeping. Returns the relations whose changes reached it, as [`relations`] does.
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

/// Notes that the maintained table of a doubtful definition has been rebuilt.
pub fn clear_doubt(definition: u32) {
    const CERTAIN: Sql = Sql::fixed("DELETE FROM imat_catalog.doubtful AS d WHERE d.definition = $1");
    spi::run_with(&CERTAIN, &[oid(definition)]);
}
