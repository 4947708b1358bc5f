//! Enters a new maintained table into the bookkeeping, and makes the triggers on its base tables.

use imat_compile::error::Unsupported;
use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::build::analyze::Analysis;
use crate::catalog::content;
use crate::catalog::facts::{self, oid};
use crate::change::stale;
use crate::pg::{spi, xact};

/// Where the definition comes from.
pub struct Source {
    /// The view or materialized view.
    pub view: u32,
    /// The name of the maintained table.
    pub name: String,
    /// The view's name, unless it is a temporary view of a query.
    pub origin: Option<String>,
    /// The role that will own the maintained table.
    pub owner: u32,
}

/// A maintained table that is not in the bookkeeping yet.
pub struct Registration<'a> {
    pub name: u32,
    pub state: u32,
    pub definition: u32,
    pub source: &'a Source,
    pub analysis: &'a Analysis,
    pub settings: &'a [(String, String)],
    pub plan: &'a Plan,
    pub construct: Option<&'a Unsupported>,
    pub trusts_keys: bool,
    /// The version of the server that created the state.
    pub server_version: i32,
    /// The final name, for an online build.
    pub final_name: Option<&'a QName>,
}

impl Registration<'_> {
    pub fn enter(&self) {
        const ENTRY: Sql = Sql::fixed(
            "INSERT INTO imat_catalog.imat (name, state, definition, source, strategy, construct, shape, server_version, \
                 trusts_keys, settings, target, queued, depth) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $10, $11, $12, $12 IS NOT NULL, \
                 coalesce((SELECT pg_catalog.max(i.depth) + 1 FROM imat_catalog.imat AS i WHERE i.state = ANY ($9)), 0)",
        );
        let bases: Vec<Oid> = self.analysis.bases.iter().map(|base| Oid::from(base.oid)).collect();
        let settings: Vec<String> =
            self.settings.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
        spi::run_with(
            &ENTRY,
            &[
                oid(self.name),
                oid(self.state),
                oid(self.definition),
                self.source.origin.clone().into(),
                self.plan.strategy.name().into(),
                self.construct.map(|construct| construct.construct.clone()).into(),
                self.plan.shape().into(),
                self.server_version.into(),
                bases.into(),
                self.trusts_keys.into(),
                settings.into(),
                self.final_name.map(|name| vec![name.schema.clone(), name.name.clone()]).into(),
            ],
        );
        content::begin(self.state);
        for base in &self.analysis.bases {
            note_sources(self.name, base.oid, &base.relations);
        }
    }

    /// The relations whose changes reach the maintained table.
    pub fn relations(&self) -> impl Iterator<Item = u32> {
        self.analysis.bases.iter().flat_map(|base| base.relations.iter().copied())
    }
}

/// Makes changes of `relation` reach the maintained table as changes of its base table.
pub fn add_source(name: u32, base: u32, relation: u32) {
    note_sources(name, base, &[relation]);
    ensure_triggers([relation]);
}

fn note_sources(name: u32, base: u32, relations: &[u32]) {
    const SOURCES: Sql = Sql::fixed(
        "INSERT INTO imat_catalog.source (name, base, relation, not_null) \
         SELECT $1, $2, r.oid, CASE WHEN r.oid = $2 THEN $4 END FROM pg_catalog.unnest($3) AS r(oid) ON CONFLICT DO NOTHING",
    );
    let not_null = relations.contains(&base).then(|| facts::not_null(base));
    let relations = facts::oids(relations.iter().copied());
    spi::run_with(&SOURCES, &[oid(name), oid(base), relations, not_null.into()]);
}

/// Creates the triggers on relations that don't have them. For the others, enables the triggers and makes all sessions
/// read again which maintained tables read them. PostgreSQL raises 42710 if a user's trigger has the name of one of
/// ours.
pub fn ensure_triggers(relations: impl IntoIterator<Item = u32>) {
    const TRIGGERED: Sql = Sql::fixed(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', \
             EXISTS (SELECT FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
                 WHERE t.tgrelid = c.oid AND t.tgname = 'imat_open' AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace) \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1)",
    );
    let found = spi::rows(&TRIGGERED, &[facts::oids(relations)], |row| {
        let name = QName::new(row.need::<String>(2), row.need::<String>(3));
        (row.oid(1), name, row.need::<bool>(4), row.need::<bool>(5))
    });
    let (watched, new): (Vec<_>, Vec<_>) = found.into_iter().partition(|&(.., triggered)| triggered);
    let watched: Vec<Oid> = watched.into_iter().map(|(relation, ..)| Oid::from(relation)).collect();
    watched.iter().for_each(|relation| xact::invalidate(relation.to_u32()));
    if !watched.is_empty() {
        stale::enable(&watched);
    }
    for (relation, name, partitioned, _) in new {
        ddl::create_triggers(&name, partitioned).iter().for_each(spi::run);
        let replica = (!partitioned).then_some(ddl::REPLICA);
        ddl::TRIGGERS.into_iter().chain(replica).for_each(|trigger| stale::set_mode(relation, trigger));
    }
}
