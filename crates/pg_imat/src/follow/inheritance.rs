//! Partitions and children that come and go.
//!
//! A table that becomes a partition or a child, or ceases to be one, is a change of the base table: all of its rows
//! are added, or taken away. Where these can't be told any more, as when it is dropped, the maintained tables are
//! made anew.

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

/// A relation that now reaches a maintained table as, or no longer as, a base table.
pub struct Member {
    name: u32,
    base: u32,
    relation: u32,
    comes: bool,
    /// It is a table that is still there.
    is_table: bool,
}

/// Maintained tables over a partitioned or inherited table whose members changed learn of the new ones. Returns
/// those that have rows.
pub fn follow(relations: &[Oid]) -> Vec<Member> {
    trusted(|| {
        let members = changed(relations);
        members.iter().filter(|member| member.comes).for_each(check);
        running_ddl::own_ddl(|| members.iter().for_each(note));
        members.into_iter().filter(|member| !is_empty(member.relation)).collect()
    })
}

/// Applies what came and went as changes of the base tables, and makes these maintained tables anew.
pub fn apply(mut members: Vec<Member>, mut anew: BTreeSet<u32>) {
    let names: Vec<u32> = members.iter().map(|member| member.name).collect();
    let mut came: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for Member { name, base, relation, .. } in members.iter().filter(|member| member.comes) {
        came.entry(*name).or_default().push((*base, *relation));
    }
    anew.extend(stale::follow(&names));
    cache::revalidate();
    let readers: BTreeSet<u32> = members.iter().flat_map(|member| cache::readers(member.base).to_vec()).collect();
    // Another event trigger of the command may have written to a new partition by way of its root, which was collected,
    // or have altered an old one. And rows can be newer than the transaction's snapshot: making all anew finds out.
    let is_known =
        running_ddl::is_plain_alter(session::last_rows()) && !session::is_busy() && !lock::transaction_snapshot();
    if !is_known || !members.iter().all(|member| member.has_its_rows() && member.is_news(&members)) {
        anew.extend(names);
        members.clear();
    }
    anew.extend(members.iter().map(|member| member.name).filter(|&name| cache::maintained(name).entry.queued));
    if !anew.is_empty() || !members.is_empty() {
        locks::lock_out_writers(readers.union(&anew).copied().collect());
        came.iter().for_each(|(name, came)| foreign_keys::check_arrived(*name, came));
        let changed: BTreeSet<u32> = members.iter().map(|member| member.name).collect();
        rebuild_with(anew, || collect(&members));
        // Queries read it, or don't, from now on, however old their snapshot is.
        changed.into_iter().filter_map(cache::find).for_each(|changed| content::begin(changed.entry.state));
    }
}

/// What differs from the bookkeeping, by maintained table.
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
        comes: row.need(4),
        is_table: row.need(5),
    })
}

/// Refuses a new partition, child or parent with which the maintained table could not be what it is.
fn check(member: &Member) {
    let (name, base) = (member.name, member.base);
    let refuse = |reason: &str| raise(&refuse::family_altered(&display(base), &display(name), reason));
    match (analyze::check_hierarchy(base), bookkeeping::entry(name)) {
        (Err(error), _) => refuse(&format!("{}.", error.message)),
        (Ok(Some(construct)), Some(entry)) if entry.construct.is_none() => {
            refuse(&format!("It would have to be recomputed whole, because of: {construct}."))
        }
        _ => {}
    }
}

/// Enters a member into the bookkeeping, or takes it out, with its triggers.
fn note(&Member { name, base, relation, comes, .. }: &Member) {
    const REMOVE: Sql = Sql::fixed("DELETE FROM imat_catalog.source WHERE name = $1 AND base = $2 AND relation = $3");
    const SHARED: Sql = Sql::fixed("SELECT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.relation = $1)");
    lock::relation(Purpose::Member, relation, Mode::Share);
    if comes {
        register::add_source(name, base, relation);
    } else {
        spi::run_with(&REMOVE, &[oid(name), oid(base), oid(relation)]);
        let shared = spi::first(&SHARED, &[oid(relation)], |row| row.need(1)).unwrap_or(false);
        drop_triggers(&[(relation, shared)]);
    }
}

/// Whether a relation came or went without a row, and so changes nothing. It is asked for its size:
/// a query would be planned here with the extension's rights, and planning evaluates constants in
/// the expressions of the owner's indexes and statistics. What was dropped has no size any more.
fn is_empty(relation: u32) -> bool {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.pg_relation_size($1::pg_catalog.regclass, 'main') = 0");
    spi::first(&QUERY, &[oid(relation)], |row| row.get(1)).flatten().unwrap_or(false)
}

impl Member {
    /// Whether its rows are what they were when it came or went.
    fn has_its_rows(&self) -> bool {
        self.is_table && !running_ddl::rewritten().contains(&self.relation)
    }

    /// Whether all that follow the base table, and so get the rows, learn of it only now. One that was made since,
    /// while our event trigger was off or by another one of the same command, has them already.
    fn is_news(&self, members: &[Member]) -> bool {
        let is_told = |reader: &u32| members.iter().any(|other| other.name == *reader && other.is_like(self));
        cache::readers(self.base).iter().all(is_told)
    }

    fn is_like(&self, other: &Member) -> bool {
        (self.base, self.relation, self.comes) == (other.base, other.relation, other.comes)
    }
}

/// Collects their rows, once for all that read a base table. None of the tables that are followed by their rows has
/// a parent, so all members are below them.
fn collect(members: &[Member]) {
    let changes: BTreeSet<(u32, u32, bool)> =
        members.iter().map(|member| (member.base, member.relation, member.comes)).collect();
    for (base, relation, comes) in changes {
        let capture = trusted(|| cache::capture(base, relation));
        Transition::of_table(relation, comes, |rows| capture::collect_rows(&capture, rows));
    }
}
