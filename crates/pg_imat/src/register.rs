//! The bookkeeping of a new maintained table, and the triggers that follow its base tables.

use imat_compile::error::Unsupported;
use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::analyze::Analysis;
use crate::create::Source;
use crate::facts::{self, oid};
use crate::pg::spi;
use crate::pg::xact;
use crate::stale;

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
    /// Of the server that the state was created on.
    pub server_version: i32,
    /// What it will be called, where it is not yet.
    pub target_to_be: Option<&'a QName>,
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
                self.target_to_be.map(|target| vec![target.schema.clone(), target.name.clone()]).into(),
            ],
        );
        for base in &self.analysis.bases {
            for &relation in &base.relations {
                note_source(self.name, base.oid, relation);
            }
        }
    }

    /// The relations whose changes reach it.
    pub fn relations(&self) -> impl Iterator<Item = u32> {
        self.analysis.bases.iter().flat_map(|base| base.relations.iter().copied())
    }
}

/// Makes changes of `relation` reach the maintained table as changes of its base table.
pub fn add_source(name: u32, base: u32, relation: u32) {
    note_source(name, base, relation);
    watch(relation);
}

fn note_source(name: u32, base: u32, relation: u32) {
    const SOURCE: Sql = Sql::fixed(
        "INSERT INTO imat_catalog.source (name, base, relation, not_null) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    );
    let not_null = (base == relation).then(|| facts::not_null(base));
    spi::run_with(&SOURCE, &[oid(name), oid(base), oid(relation), not_null.into()]);
}

/// Gives a relation its triggers, or makes all sessions look anew at who reads it. Where a trigger of somebody
/// else's has the name of one, PostgreSQL says so (42710).
pub fn watch(relation: u32) {
    const TRIGGERED: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
                 WHERE t.tgrelid = $1 AND t.tgname = 'imat_open' AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace), \
             c.relkind = 'p' FROM pg_catalog.pg_class AS c WHERE c.oid = $1",
    );
    let Some(relation_name) = facts::name(relation) else { return };
    match spi::first(&TRIGGERED, &[oid(relation)], |row| (row.need(1), row.need(2))) {
        Some((true, _)) => {
            xact::invalidate(relation);
            stale::enable(&[Oid::from(relation)]);
        }
        Some((false, partitioned)) => ddl::create_triggers(&relation_name, partitioned).iter().for_each(spi::run),
        None => {}
    }
}
