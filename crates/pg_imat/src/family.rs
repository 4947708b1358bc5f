//! Partitions and children that come and go.
//!
//! A table that becomes a partition or a child, or ceases to be one, is a change of the base table: all of its rows
//! are added, or taken away. Where these can't be told any more, as when it is dropped, the maintained tables are
//! made anew.

use std::collections::BTreeSet;

use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::buffer::Buffer;
use crate::cache::{self, Maintained};
use crate::catalog::{self, trusted};
use crate::ddl::display;
use crate::facts::oid;
use crate::manage::{rebuild, silence};
use crate::pg::delta::Layout;
use crate::pg::error::raise;
use crate::pg::lock::{self, Mode};
use crate::pg::spi;
use crate::pg::transition::Transition;
use crate::{analyze, capture, flush, refuse, register, stale};

/// A relation that now reaches a maintained table as, or no longer as, a base table.
struct Member {
    name: u32,
    base: u32,
    relation: u32,
    comes: bool,
    /// It is a table that is still there.
    is_table: bool,
}

/// Maintained tables over a partitioned or inherited table whose members changed learn of the new ones, and
/// of their rows.
pub fn follow(relations: &[Oid]) {
    let changed = trusted(|| {
        let members = changed(relations);
        members.iter().filter(|member| member.comes).for_each(check);
        capture::own_ddl(|| members.iter().for_each(note));
        members.into_iter().filter(|member| !is_empty(member.relation)).collect::<Vec<_>>()
    });
    // Another event trigger of the command may have written to a new partition by way of its root, which was collected,
    // or have altered an old one. What all this brings about is collected too, later.
    let is_plain = capture::is_plain_alter();
    for members in changed.chunk_by(|one, other| one.name == other.name) {
        match is_plain && members.iter().all(Member::has_its_rows) {
            true => apply(members),
            false => rebuild(members[0].name),
        }
    }
    stale::follow(&changed.iter().map(|member| member.name).collect::<Vec<_>>());
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
    match (analyze::check_family(base), catalog::entry(name)) {
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
    lock::relation(relation, Mode::Share);
    if comes {
        register::add_source(name, base, relation);
    } else {
        spi::run_with(&REMOVE, &[oid(name), oid(base), oid(relation)]);
        let shared = spi::first(&SHARED, &[oid(relation)], |row| row.need(1)).unwrap_or(false);
        silence(&[(relation, shared)]);
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
        self.is_table && !capture::is_rewritten(self.relation)
    }
}

/// Applies what came and went as changes of the base tables of one maintained table, if it follows these by their
/// rows. None of them has a parent then, so all members are below them.
fn apply(members: &[Member]) {
    let name = members[0].name;
    cache::fresh();
    let maintained = cache::maintained(name);
    let entry = &maintained.entry;
    // The rows can be newer than the transaction's snapshot: making it anew finds out.
    let is_late = capture::is_busy() || lock::transaction_snapshot();
    if is_late || maintained.is_whole() || entry.queued || entry.stale.is_some() {
        return rebuild(name);
    }
    capture::as_collected(|| flush::add(maintained, |maintained, buffer| collect(maintained, members, buffer)));
}

fn collect(maintained: &Maintained, members: &[Member], buffer: &mut Buffer) {
    for &Member { base, relation, comes, .. } in members {
        let tables = maintained.plan.tables.iter().filter(|table| table.oid == base);
        let used: BTreeSet<i16> = tables.flat_map(|table| table.columns.iter().copied()).collect();
        let fields = trusted(|| cache::fields(base, relation, &used));
        Transition::of_table(relation, comes, |rows| {
            buffer.collect(0, base, rows, &Layout::new(rows, &fields).into());
        });
    }
}
