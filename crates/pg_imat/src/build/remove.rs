//! Drops a maintained table, or the remains of an unfinished one.

use std::collections::BTreeSet;

use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::build::catch_up;
use crate::build::mark;
use crate::catalog::bookkeeping::{self, Entry};
use crate::catalog::facts::{self, oid};
use crate::pg::spi;
use crate::pg::xact;

/// Removes a maintained table from the bookkeeping, and drops its result, state and definition, as far as they still
/// exist, and triggers that no maintained table needs any more.
pub fn remove(parts: [u32; 3], cascade: bool) {
    drop_triggers(&drop_parts(parts, cascade));
}

pub fn drop_parts([name, state, definition]: [u32; 3], cascade: bool) -> Vec<(u32, bool)> {
    catch_up::drop(name);
    let relations = bookkeeping::forget(name);
    // The result is the state, or a view over it.
    let result = (name != state).then_some((name, true));
    for (relation, is_view) in result.into_iter().chain([(state, false), (definition, true)]) {
        if let Some(left) = facts::name(relation) {
            spi::run(&if is_view { ddl::drop_view(&left, cascade) } else { ddl::drop_table(&left, cascade) });
        }
    }
    relations
}

/// Drops the objects of an unfinished online build, except its triggers. Returns the relations that have triggers.
pub fn discard(entry: Entry) -> Vec<(u32, bool)> {
    drop_parts([entry.name, entry.state, entry.definition], false)
}

/// The relations among these that no maintained table reads.
pub fn unread(relations: &[(u32, bool)]) -> Vec<(u32, bool)> {
    let unread = |relation: &u32| bookkeeping::bases_of_relation(*relation).is_empty();
    relations.iter().map(|&(relation, _)| relation).filter(unread).map(|relation| (relation, false)).collect()
}

/// Drops the triggers on relations that no maintained table reads any more. A state keeps its guard.
pub fn drop_triggers(relations: &[(u32, bool)]) {
    const TRIGGERS: Sql = Sql::fixed(
        "SELECT t.tgname::text FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
         WHERE t.tgrelid = $1 AND t.tgname NOT IN ($2, $3) AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace ORDER BY 1",
    );
    let all: Vec<Oid> = relations.iter().map(|&(relation, _)| Oid::from(relation)).collect();
    let left: BTreeSet<u32> = mark::without_bookkeeping(&all).iter().flat_map(|mark| mark.relations().1).collect();
    for &(relation, shared) in relations {
        match facts::name(relation) {
            Some(_) if shared || left.contains(&relation) => xact::invalidate(relation),
            Some(name) => {
                spi::rows(&TRIGGERS, &[oid(relation), ddl::GUARD.into(), ddl::MARK.into()], |row| row.need::<String>(1))
                    .iter()
                    .for_each(|trigger| spi::run(&ddl::drop_trigger(&name, trigger)))
            }
            None => {}
        }
    }
}
