//! Which snapshots are too old to read a state.
//!
//! PostgreSQL looks a table up in its newest catalogs, and shows the rows that the snapshot sees. So a transaction
//! snapshot that is older than `create_imat` finds the maintained table, but no rows in it. Some commands also hide
//! rows of base tables from older snapshots, or show them rows that they should not see: TRUNCATE, commands that
//! compute new values for rows, attaching and detaching partitions. For such a snapshot the state's old rows would no
//! longer match its query.
//!
//! The content of a state *begins* when it is filled, and again with each of these commands. `imat_catalog.content` has
//! a row for each state, which is written at that moment. If a transaction snapshot doesn't see the newest version of
//! this row, it is older than the content, and reading the state fails with 40001 ([`crate::pg::content`], called by
//! the executor hook). A flush is exempt: the digest compares what it reads with the latest data, and PostgreSQL
//! refuses to update rows that the snapshot doesn't see.
//!
//! **Invariant:** every session that plans a query of a state has the hook, even if it has used nothing of pg_imat.
//! Each state has a statistics object with a function of ours in an expression, which the planner evaluates: that loads
//! the library.

use std::collections::BTreeSet;

use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping;
use crate::catalog::facts::{self, oid};
use crate::catalog::names::unused;
use crate::catalog::running_ddl;
use crate::pg::spi::{self, Param};
use crate::pg::{lock, xact};

/// The content of this state, and of all states above it, begins with this transaction.
pub fn begin(state: u32) {
    begin_all(vec![state]);
}

/// The same for several states.
pub fn begin_all(mut open: Vec<u32>) {
    const BEGIN: Sql = Sql::fixed(
        "INSERT INTO imat_catalog.content AS c (state) VALUES ($1) ON CONFLICT (state) DO UPDATE SET state = excluded.state",
    );
    let mut begun = BTreeSet::new();
    while let Some(state) = open.pop() {
        if begun.insert(state) {
            bookkeeping::trusted(|| running_ddl::own_ddl(|| spi::run_with(&BEGIN, &[oid(state)])));
            xact::invalidate(state);
            open.extend(states_over(&[Oid::from(state)]));
        }
    }
}

/// The states of the maintained tables that these relations affect.
fn states_over(relations: &[Oid]) -> Vec<u32> {
    let entry = |name| bookkeeping::entry(name).map(|entry| entry.state);
    bookkeeping::trusted(|| bookkeeping::affected(relations).into_iter().filter_map(entry).collect())
}

/// Whether the row of this state exists already.
pub fn is_known(state: u32) -> bool {
    const QUERY: Sql = Sql::fixed("SELECT EXISTS (SELECT FROM imat_catalog.content AS c WHERE c.state = $1)");
    bookkeeping::trusted(|| spi::first(&QUERY, &[oid(state)], |row| row.need(1))).unwrap_or(false)
}

/// Raises an error if the transaction's snapshot is older than the content of this state.
pub fn require(state: u32) {
    if lock::can_be_older() {
        crate::pg::content::require_now(state);
    }
}

/// The content begins of all states that these relations affect.
pub fn begin_over(relations: &[Oid]) {
    begin_all(states_over(relations));
}

/// The same during a restore, which brings rows of base tables and states, and the bookkeeping, in any order. This only
/// updates rows that exist: a row that is restored later is newer anyway.
pub fn begin_again(relations: &[Oid]) {
    const AGAIN: Sql = Sql::fixed(
        "UPDATE imat_catalog.content AS c SET state = i.state FROM imat_catalog.imat AS i WHERE i.state = c.state \
         AND (i.state::oid = ANY ($1) OR i.name IN (SELECT s.name FROM imat_catalog.source AS s WHERE s.relation::oid = ANY ($1))) \
         RETURNING c.state::oid",
    );
    let again = || spi::rows(&AGAIN, &[relations.to_vec().into()], |row| row.oid(1));
    bookkeeping::trusted(again).into_iter().for_each(xact::invalidate);
}

/// Creates the statistics object of a state. `name` is the state's final name.
pub fn watch(state: u32, name: &str) {
    const TAKEN: Sql = Sql::fixed(
        "SELECT 1 FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace \
         WHERE n.nspname = 'imat_state' AND s.stxname = $1",
    );
    let name = unused(name, |name| spi::first(&TAKEN, &[Param::from(name)], |_| ()).is_some());
    let state = facts::name(state);
    state.iter().for_each(|state| spi::run(&ddl::create_watch(&name, state)));
}

/// The same for a restored state, which may lack it.
pub fn watch_again(state: u32) {
    const WATCHED: Sql = Sql::fixed(
        "SELECT 1 FROM pg_catalog.pg_statistic_ext AS s WHERE s.stxrelid = $1 \
         AND pg_catalog.pg_get_statisticsobjdef_expressions(s.oid) = '{imat_catalog.watched()}' LIMIT 1",
    );
    let is_watched = spi::first(&WATCHED, &[oid(state)], |_| ()).is_some();
    facts::name(state).iter().filter(|_| !is_watched).for_each(|name| watch(state, &name.name));
}
