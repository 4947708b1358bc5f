//! Follows partitions and children that are attached, detached, created or dropped.
//!
//! Attaching or detaching a table is a change of the base table: all rows of that table are added or removed. If these
//! rows can't be read any more, as after DROP TABLE, the maintained tables are rebuilt.

use std::collections::{BTreeMap, BTreeSet};

use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::build::remove::drop_triggers;
use crate::build::{analyze, register};
use crate::catalog::bookkeeping::{self, display, trusted};
use crate::catalog::facts::oid;
use crate::catalog::{cache, content, running_ddl};
use crate::change::rebuild::rebuild_with;
use crate::change::{capture, foreign_keys, locks, session, stale};
use crate::pg::error::raise;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi;
use crate::pg::transition::Transition;
use crate::refuse;

/// A relation that has joined or left the hierarchy of a base table of a maintained table.
pub struct Member {
    name: u32,
    base: u32,
    relation: u32,
    joins: bool,
    /// Whether it is a plain table that still exists.
    is_table: bool,
}

/// Updates the bookkeeping and triggers of maintained tables whose base tables have new or removed members. Returns
/// those members that may have rows.
pub fn follow(relations: &[Oid]) -> Vec<Member> {
    trusted(|| {
        let members = changed(relations);
        members.iter().filter(|member| member.joins).for_each(check);
        running_ddl::own_ddl(|| members.iter().for_each(note));
        members.into_iter().filter(|member| !is_empty(member.relation)).collect()
    })
}

/// Applies the rows of these members as changes of the base tables, and rebuilds the maintained tables in `to_rebuild`.
pub fn apply(mut members: Vec<Member>, mut to_rebuild: BTreeSet<u32>) {
    let names: Vec<u32> = members.iter().map(|member| member.name).collect();
    let mut arrived: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for Member { name, base, relation, .. } in members.iter().filter(|member| member.joins) {
        arrived.entry(*name).or_default().push((*base, *relation));
    }
    to_rebuild.extend(stale::follow(&names));
    cache::revalidate();
    let readers: BTreeSet<u32> = members.iter().flat_map(|member| cache::readers(member.base).to_vec()).collect();
    // Otherwise another event trigger of the command may have written to a new partition through its root, whose rows
    // were collected already, or altered a removed one. And rows can be newer than the transaction's snapshot; a
    // rebuild checks that.
    let is_known =
        running_ddl::is_plain_alter(session::last_rows()) && !session::is_busy() && !lock::transaction_snapshot();
    if !is_known || !members.iter().all(|member| member.has_its_rows() && member.is_news(&members)) {
        to_rebuild.extend(names);
        members.clear();
    }
    to_rebuild.extend(members.iter().map(|member| member.name).filter(|&name| cache::maintained(name).entry.queued));
    if !to_rebuild.is_empty() || !members.is_empty() {
        locks::lock_out_writers(readers.union(&to_rebuild).copied().collect());
        arrived.iter().for_each(|(name, arrived)| foreign_keys::check_arrived(*name, arrived));
        let changed: BTreeSet<u32> = members.iter().map(|member| member.name).collect();
        rebuild_with(to_rebuild, || collect(&members));
        // The change is visible to queries at once, even under an older snapshot.
        changed.into_iter().filter_map(cache::find).for_each(|changed| content::begin(changed.entry.state));
    }
}

/// The differences between the catalogs and the bookkeeping.
fn changed(relations: &[Oid]) -> Vec<Member> {
    const CHANGED: Sql = Sql::fixed(
        "WITH RECURSIVE known AS ( \
             SELECT s.* FROM imat_catalog.source AS s \
             WHERE s.name IN (SELECT r.name FROM imat_catalog.source AS r WHERE r.relation = ANY ($1))), \
         down AS ( \
             SELECT DISTINCT s.name::oid AS name, s.base::oid AS base, s.base::oid AS relation FROM known AS s \
             UNION SELECT d.name, d.base, i.inhrelid FROM down AS d \
                 JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.relation \
                 WHERE NOT i.inhdetachpending), \
         up AS ( \
             SELECT d.name, d.base, d.relation FROM down AS d \
             UNION SELECT u.name, u.base, i.inhparent FROM up AS u \
                 JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.relation \
                 WHERE NOT i.inhdetachpending) \
         SELECT coalesce(n.name, s.name::oid), coalesce(n.base, s.base::oid), coalesce(n.relation, s.relation::oid), \
             s.relation IS NULL, \
             EXISTS (SELECT FROM pg_catalog.pg_class AS c \
                 WHERE c.oid = coalesce(n.relation, s.relation::oid) AND c.relkind = 'r') \
         FROM up AS n FULL JOIN known AS s \
             ON s.name::oid = n.name AND s.base::oid = n.base AND s.relation::oid = n.relation \
         WHERE n.relation IS NULL OR s.relation IS NULL ORDER BY 1, 2, 3",
    );
    spi::rows(&CHANGED, &[relations.to_vec().into()], |row| Member {
        name: row.oid(1),
        base: row.oid(2),
        relation: row.oid(3),
        joins: row.need(4),
        is_table: row.need(5),
    })
}

/// Refuses a new partition, child or parent with which the maintained table could not be kept as it is.
fn check(member: &Member) {
    let (name, base) = (member.name, member.base);
    let refuse = |reason: &str| raise(&refuse::hierarchy_altered(&display(base), &display(name), reason));
    match (analyze::check_hierarchy(base), bookkeeping::entry(name)) {
        (Err(error), _) => refuse(&format!("{}.", error.message)),
        (Ok(Some(construct)), Some(entry)) if entry.construct.is_none() => {
            refuse(&format!("It would have to be recomputed whole, because of: {construct}."))
        }
        _ => {}
    }
}

/// Adds a member to the bookkeeping or removes it, with its triggers.
fn note(&Member { name, base, relation, joins, .. }: &Member) {
    const REMOVE: Sql = Sql::fixed("DELETE FROM imat_catalog.source WHERE name = $1 AND base = $2 AND relation = $3");
    const SHARED: Sql = Sql::fixed("SELECT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.relation = $1)");
    lock::relation(Purpose::Member, relation, Mode::Share);
    if joins {
        register::add_source(name, base, relation);
    } else {
        spi::run_with(&REMOVE, &[oid(name), oid(base), oid(relation)]);
        let shared = spi::first(&SHARED, &[oid(relation)], |row| row.need(1)).unwrap_or(false);
        drop_triggers(&[(relation, shared)]);
    }
}

/// Whether a relation has no rows, so that attaching or detaching it changes nothing. This reads its size: a query
/// would be planned with the privileges of the extension's owner, and planning evaluates constants in the expressions
/// of the table's indexes and statistics. The size of a dropped table is NULL.
fn is_empty(relation: u32) -> bool {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.pg_relation_size($1::pg_catalog.regclass, 'main') = 0");
    spi::first(&QUERY, &[oid(relation)], |row| row.get(1)).flatten().unwrap_or(false)
}

impl Member {
    /// Whether its rows are the same as when it was attached or detached.
    fn has_its_rows(&self) -> bool {
        self.is_table && !running_ddl::rewritten().contains(&self.relation)
    }

    /// Whether all maintained tables that follow the base table get this member only now. One that was created
    /// meanwhile, while our event trigger was off or by another event trigger of the command, contains the rows
    /// already.
    fn is_news(&self, members: &[Member]) -> bool {
        let is_told = |reader: &u32| members.iter().any(|other| other.name == *reader && other.is_like(self));
        cache::readers(self.base).iter().all(is_told)
    }

    fn is_like(&self, other: &Member) -> bool {
        (self.base, self.relation, self.joins) == (other.base, other.relation, other.joins)
    }
}

/// Collects the rows of the members, once for each base table. Base tables whose rows are collected have no parents, so
/// all members are descendants.
fn collect(members: &[Member]) {
    let changes: BTreeSet<(u32, u32, bool)> =
        members.iter().map(|member| (member.base, member.relation, member.joins)).collect();
    for (base, relation, joins) in changes {
        let capture = trusted(|| cache::capture(base, relation));
        Transition::of_table(relation, joins, |rows| capture::collect_rows(&capture, rows));
    }
}
