//! Maintained tables that do not follow their base tables, because a trigger of ours is disabled.
//!
//! Such a table is *stale*: no flush changes it, since deltas of the other base tables would not fit its content. It
//! is rebuilt as soon as all its triggers are enabled again.
//!
//! **Invariant:** a maintained table with a disabled trigger has a reason in `imat_catalog.imat.stale`.

use std::collections::BTreeSet;

use imat_compile::sql::{Sql, ddl as sql};
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping::{self, Entry, display, trusted};
use crate::catalog::facts::{self, oid};
use crate::catalog::running_ddl;
use crate::change::foreign_keys;
use crate::pg::error::warn;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::trigger::{self, Fires};
use crate::pg::{spi, xact};
use crate::refuse;

/// Called after triggers of these relations may have been disabled or enabled. Returns the maintained tables to
/// rebuild.
#[must_use]
pub fn follow_triggers(relations: &[Oid]) -> Vec<u32> {
    follow(&trusted(|| bookkeeping::affected(relations)))
}

/// Decides which of these maintained tables are stale now, and updates the bookkeeping. Returns those that no longer
/// are, which must be rebuilt.
#[must_use]
pub fn follow(names: &[u32]) -> Vec<u32> {
    let changed = trusted(|| decide(names).into_iter().filter(Decision::is_new).collect::<Vec<_>>());
    trusted(|| changed.iter().for_each(|decision| mark(decision.name, decision.off)));
    let enabled = changed.iter().filter(|decision| decision.off.is_none()).map(|decision| decision.name);
    let enabled: Vec<u32> = enabled.collect();
    enabled.iter().for_each(|&name| foreign_keys::check_again(name));
    enabled
}

/// A maintained table that is stale, or has a disabled trigger.
struct Decision {
    name: u32,
    definition: u32,
    /// The reason in the bookkeeping, if it is stale until now.
    stale: Option<String>,
    /// A relation with a disabled trigger, if there is one.
    off: Option<u32>,
}

impl Decision {
    fn is_new(&self) -> bool {
        self.stale != self.off.map(reason)
    }

    /// The relations that have triggers of ours for this maintained table.
    fn relations(&self) -> impl Iterator<Item = u32> + use<> {
        let state = bookkeeping::entry(self.name).map(|entry| entry.state);
        bookkeeping::relations(self.name).into_iter().map(|(relation, _)| relation).chain(state)
    }
}

/// Decides which of these maintained tables are stale from now on, and which no longer.
///
/// A transaction does not see that another one has enabled triggers before that commits: two transactions that enable
/// the last two triggers could each leave the rebuild to the other. So a transaction that finds a table stale takes the
/// decision lock on it until it ends.
///
/// Before a table is rebuilt, all its relations are locked against changes of triggers, and the triggers are read
/// again. A transaction that holds such a lock may be waiting for the decision lock, so that one is released first.
fn decide(names: &[u32]) -> Vec<Decision> {
    let mut locked: BTreeSet<u32> = BTreeSet::new();
    loop {
        let decisions = disabled_or_stale(names);
        decisions.iter().for_each(|decision| lock::begin_decision(decision.definition));
        let found = disabled_or_stale(names);
        let enabled = found.iter().filter(|decision| decision.off.is_none());
        let open: BTreeSet<u32> = enabled.flat_map(Decision::relations).filter(|part| !locked.contains(part)).collect();
        if open.is_empty() {
            return found;
        }
        decisions.iter().for_each(|decision| lock::release_decision(decision.definition));
        open.iter().for_each(|&relation| lock::relation(Purpose::Triggers, relation, Mode::Share));
        locked.extend(open);
    }
}

fn disabled_or_stale(names: &[u32]) -> Vec<Decision> {
    const QUERY: Sql = Sql::fixed(
        "WITH part AS ( \
             SELECT s.name, s.relation FROM imat_catalog.source AS s WHERE s.name = ANY ($1) \
             UNION SELECT i.name, i.state FROM imat_catalog.imat AS i WHERE i.name = ANY ($1)), \
         found AS ( \
             SELECT i.name::oid, i.definition::oid, i.depth, i.stale, \
                 (SELECT p.relation::oid FROM part AS p JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = p.relation \
                  JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
                  WHERE p.name = i.name AND t.tgenabled = 'D' AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace \
                  ORDER BY p.relation LIMIT 1) AS off \
             FROM imat_catalog.imat AS i WHERE i.name = ANY ($1)) \
         SELECT f.name, f.definition, f.stale, f.off FROM found AS f WHERE f.stale IS NOT NULL OR f.off IS NOT NULL \
         ORDER BY f.depth, f.name",
    );
    let found = spi::rows(&QUERY, &[facts::oids(names.iter().copied())], |row| Decision {
        name: row.oid(1),
        definition: row.oid(2),
        stale: row.get(3),
        off: row.get::<Oid>(4).map(Oid::to_u32),
    });
    found.into_iter().filter(|decision| bookkeeping::is_complete(decision.name)).collect()
}

fn reason(off: u32) -> String {
    format!("triggers of pg_imat on {} are disabled", display(off))
}

/// Notes that a maintained table is stale because of a trigger on this relation, or that it no longer is.
fn mark(name: u32, off: Option<u32>) {
    set(name, off.map(reason));
}

fn set(name: u32, reason: Option<String>) {
    const MARK: Sql = Sql::fixed("UPDATE imat_catalog.imat SET stale = $2 WHERE name = $1");
    let Some(entry) = bookkeeping::entry(name) else { return };
    // Makes every session read the bookkeeping of these relations again.
    bookkeeping::relations(name).into_iter().for_each(|(relation, _)| xact::invalidate(relation));
    xact::invalidate(entry.state);
    spi::run_with(&MARK, &[oid(name), reason.clone().into()]);
    reason.iter().for_each(|reason| warn(&refuse::stale(&display(name), reason)));
}

/// Notes that a restore did not bring all rows of a maintained table or of its base tables.
pub fn mark_wrong_rows(name: u32) {
    set(name, Some("not all of its rows, or of those of its base tables, were restored with it".to_owned()));
}

/// Enables all triggers that a maintained table needs. Returns the maintained tables to rebuild, which can include
/// others that the same triggers serve.
pub fn enable_all(entry: &Entry) -> Vec<u32> {
    let relations: Vec<Oid> = trusted(|| {
        let relations = bookkeeping::relations(entry.name).into_iter().map(|(relation, _)| relation);
        relations.chain([entry.state]).map(Oid::from).collect()
    });
    trusted(|| enable(&relations));
    follow_triggers(&relations)
}

/// Enables our triggers on these relations.
pub fn enable(relations: &[Oid]) {
    set_modes(relations, true);
}

/// Corrects triggers of ours that a plain ENABLE TRIGGER has enabled: makes them fire in the mode that they need.
pub fn restore_triggers(relations: &[Oid]) {
    set_modes(relations, false);
}

fn set_modes(relations: &[Oid], disabled: bool) {
    const QUERY: Sql = Sql::fixed(
        "SELECT t.tgrelid, t.tgname::text FROM pg_catalog.pg_trigger AS t \
         JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid AND c.relkind <> 'v' \
         JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
         WHERE t.tgrelid = ANY ($1) AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace \
           AND t.tgenabled <> CASE t.tgname WHEN $2 THEN 'R' ELSE 'A' END AND ($3 OR t.tgenabled <> 'D') \
         ORDER BY t.tgrelid, t.tgname",
    );
    let params = [relations.to_vec().into(), sql::REPLICA.into(), disabled.into()];
    running_ddl::own_ddl(|| {
        let found = spi::rows(&QUERY, &params, |row| (row.oid(1), row.need::<String>(2)));
        found.iter().for_each(|(relation, trigger)| set_mode(*relation, trigger));
    });
}

/// Sets the mode of a trigger of ours: `imat_replica` fires in replicas only, all others always, so that
/// session_replication_role = replica does not disable them.
pub fn set_mode(relation: u32, trigger: &str) {
    trigger::enable(relation, trigger, if trigger == sql::REPLICA { Fires::InReplicas } else { Fires::Always });
}
