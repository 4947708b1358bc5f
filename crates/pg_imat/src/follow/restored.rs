//! Follows the restore of a dump, which creates the parts of a maintained table in any order.

use imat_compile::sql::{Sql, ddl as sql};
use pgrx::pg_sys::Oid;

use crate::build::mark::{self, Mark};
use crate::catalog::bookkeeping::{self, trusted};
use crate::catalog::facts::{self, oid};
use crate::catalog::{content, running_ddl};
use crate::change::stale;
use crate::follow::adopt;
use crate::pg::spi::{self, Param};
use crate::pg::{lock, lookup, xact};

/// The most milliseconds that a rebuild during a restore waits for locks of tables: other jobs, which hold them, may be
/// waiting for this one.
const PATIENCE: u64 = 10;

/// Called after triggers of these relations were restored. Checks the maintained tables that are complete now. One
/// without bookkeeping is adopted if it can't have any. One with bookkeeping is rebuilt if its rows, or those of a base
/// table, are not the dumped ones.
pub fn follow(relations: &[Oid]) {
    if running_ddl::is_own_ddl() {
        return;
    }
    xact::register();
    mark::attach_marks(relations.iter().map(|relation| relation.to_u32()));
    complete(adoptable(relations), trusted(|| with_wrong_rows(relations)));
}

/// The maintained tables without bookkeeping over these relations, and those that they read or that read them, if none has
/// rows. Otherwise the bookkeeping may be yet to come, or the first writer adopts them all, the lowest first.
fn adoptable(relations: &[Oid]) -> Vec<Mark> {
    let left = trusted(|| mark::without_bookkeeping(relations));
    if !left.is_empty() {
        // Makes writers look for marks again.
        xact::invalidate_all();
    }
    if trusted(|| left.iter().all(|mark| size(mark.state) == 0)) { left } else { Vec::new() }
}

/// Called after definitions got their queries. If a view groups by a primary key, a restore creates it without its query,
/// which it adds after the key. It may have been the last missing part.
pub fn after_query(definitions: &[Oid]) {
    const STATES: Sql = Sql::fixed(
        "SELECT i.state::oid FROM imat_catalog.imat AS i WHERE i.definition::oid = ANY ($1) \
         UNION SELECT u.state FROM imat_catalog.unadopted AS u WHERE u.definition = ANY ($1)",
    );
    let states = trusted(|| spi::rows(&STATES, &[definitions.to_vec().into()], |row| Oid::from(row.oid(1))));
    if !states.is_empty() {
        follow(&states);
    }
}

/// Called after rows of the bookkeeping were restored, which may have been the last missing part.
pub fn after_bookkeeping() {
    const RELATIONS: Sql = Sql::fixed("SELECT DISTINCT s.relation::oid FROM imat_catalog.source AS s");
    if !running_ddl::is_own_ddl() {
        xact::register();
        let relations = trusted(|| spi::rows(&RELATIONS, &[], |row| Oid::from(row.oid(1))));
        complete(adoptable(&relations), trusted(|| with_wrong_rows(&relations)));
    }
}

/// Adopts `marks`, and rebuilds them and `wrong`. If that fails because other jobs of the restore hold locks,
/// `wrong` become stale. A job that is just doing the same is waited for: it waits for nobody else, or not for long.
fn complete(marks: Vec<Mark>, wrong: Vec<u32>) {
    if marks.is_empty() && wrong.is_empty() {
        return;
    }
    lock::begin_adoption(true);
    let made = xact::attempt_or_error(PATIENCE, || {
        let mut names = trusted(|| adopt::enter(&marks)).0;
        names.extend(&wrong);
        adopt::rebuild_adopted(&names);
    });
    let entries = || wrong.iter().filter_map(|&name| bookkeeping::entry(name));
    let states = || marks.iter().map(|mark| mark.state).chain(entries().map(|entry| entry.state)).collect();
    trusted(|| doubt_above(states()));
    if made.is_err() {
        wrong.iter().for_each(|&name| trusted(|| stale::mark_wrong_rows(name)));
    }
    trusted(|| entries().for_each(|entry| bookkeeping::clear_doubt(entry.definition)));
}

/// Notes definitions that read these states as doubtful, unless their maintained tables are complete. Others may have
/// missed what the rebuild changed, or have got it in addition to their dumped rows.
fn doubt_above(states: Vec<u32>) {
    const ABOVE: Sql = Sql::fixed(
        "SELECT d.oid, i.name::oid FROM pg_catalog.pg_class AS d LEFT JOIN imat_catalog.imat AS i ON i.definition = d.oid \
         WHERE d.relnamespace = 'imat_catalog'::pg_catalog.regnamespace AND d.relkind = 'v' \
             AND EXISTS (SELECT FROM imat_catalog.below(d.oid) AS b WHERE b.relation = ANY ($1))",
    );
    const DOUBT: Sql = Sql::fixed("INSERT INTO imat_catalog.doubtful (definition) VALUES ($1) ON CONFLICT DO NOTHING");
    let above = spi::rows(&ABOVE, &[facts::oids(states)], |row| (row.oid(1), row.get::<Oid>(2)));
    let incomplete = above.into_iter().filter(|(_, name)| !name.is_some_and(|name| is_complete(name.to_u32())));
    incomplete.for_each(|(definition, _)| spi::run_with(&DOUBT, &[oid(definition)]));
}

/// Whether nothing of a maintained table is missing. Its own trigger must exist too: a restore creates it after loading
/// its rows, and several jobs may load these after the triggers of the base tables.
fn is_complete(name: u32) -> bool {
    let has_mark = |entry: bookkeeping::Entry| lookup::trigger(entry.state, sql::MARK).is_some();
    bookkeeping::entry(name).is_some_and(has_mark) && bookkeeping::is_complete(name)
}

/// Called after these views were restored, among which may be definitions. A restore creates views before it loads
/// rows, so if a base table has rows now, they are not from the dump, and the definition is noted as doubtful. If a
/// definition gets its real query later, its base tables are not known yet; then it is doubtful if any table of the
/// database has rows.
pub fn defined(views: &[Oid]) {
    const DOUBT: Sql = Sql::fixed(
        "INSERT INTO imat_catalog.doubtful (definition) SELECT v.oid FROM pg_catalog.unnest($1) AS v(oid) \
         JOIN pg_catalog.pg_class AS c ON c.oid = v.oid AND c.relnamespace = 'imat_catalog'::pg_catalog.regnamespace \
         CROSS JOIN LATERAL (SELECT ARRAY( \
             SELECT b.relation FROM imat_catalog.below(v.oid) AS b WHERE b.relation <> v.oid)) AS b(below) \
         WHERE EXISTS (WITH RECURSIVE base AS ( \
             SELECT r.oid FROM pg_catalog.pg_class AS r JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace \
             WHERE r.relkind IN ('r', 'p') AND CASE WHEN b.below <> '{}' THEN r.oid = ANY (b.below) \
                 ELSE n.nspname NOT IN ('pg_catalog', 'information_schema', 'imat_catalog') END \
             UNION SELECT i.inhrelid FROM base AS b JOIN pg_catalog.pg_inherits AS i ON i.inhparent = b.oid) \
             SELECT FROM base AS b WHERE pg_catalog.pg_relation_size(b.oid, 'main') > 0) \
         ON CONFLICT DO NOTHING",
    );
    trusted(|| spi::run_with(&DOUBT, &[views.to_vec().into()]));
}

/// The size of a table. A query of it would be planned as the extension's owner, and planning evaluates constants in
/// the expressions of indexes and statistics.
fn size(relation: u32) -> i64 {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.pg_relation_size($1::pg_catalog.regclass, 'main')");
    spi::first(&QUERY, &[oid(relation)], |row| row.need(1)).unwrap_or(0)
}

/// The maintained tables over these relations that have all their triggers, but can't have the right rows: the state is
/// empty and a base table is not, or the state has rows and a base table is empty, or base tables had rows before the
/// restore, or a table below was rebuilt when this one was incomplete.
fn with_wrong_rows(relations: &[Oid]) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid FROM imat_catalog.imat AS i WHERE i.target IS NULL AND i.stale IS NULL \
             AND (i.state::oid = ANY ($1) \
                 OR i.name IN (SELECT s.name FROM imat_catalog.source AS s WHERE s.relation::oid = ANY ($1))) \
             AND NOT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.name = i.name AND NOT EXISTS ( \
                 SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = s.relation AND t.tgname = 'imat_update')) \
             AND (EXISTS (SELECT FROM imat_catalog.doubtful AS d WHERE d.definition = i.definition) OR (SELECT CASE \
                     WHEN pg_catalog.pg_relation_size(i.state, 'main') > 0 THEN pg_catalog.bool_or(b.size = 0) \
                     ELSE i.shape = 'Single' OR pg_catalog.bool_or(b.size > 0) END \
                 FROM (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(s.relation, 'main')), 0) AS size \
                     FROM imat_catalog.source AS s WHERE s.name = i.name GROUP BY s.base) AS b)) ORDER BY i.depth, 1",
    );
    let names = spi::rows(&QUERY, &[relations.to_vec().into()], |row| row.oid(1));
    names.into_iter().filter(|&name| is_complete(name)).collect()
}

/// Whether a restored row of the bookkeeping, identified by its first columns, exists already. Another job of the
/// restore may just be adding it: then this waits for that job's transaction.
pub fn is_known(table: &[u8], columns: [u32; 3]) -> bool {
    if running_ddl::is_own_ddl() {
        return false;
    }
    lock::begin_adoption(true);
    match table {
        b"imat" => is_known_table(columns[0], columns[1]),
        b"content" => content::is_known(columns[0]),
        _ => is_known_source(columns),
    }
}

/// Whether a restored row of `imat_catalog.imat` belongs to a table that was adopted or will be.
fn is_known_table(name: u32, state: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.name = $1) \
             OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = $2 AND t.tgname = $3) \
                 AND pg_catalog.pg_relation_size($2::pg_catalog.regclass, 'main') = 0",
    );
    let params = [oid(name), oid(state), Param::from(sql::MARK)];
    trusted(|| spi::first(&QUERY, &params, |row| row.need(1))).unwrap_or(false)
}

/// The same for a row of `imat_catalog.source`, by its key.
fn is_known_source([name, base, relation]: [u32; 3]) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.name = $1 AND s.base = $2 AND s.relation = $3) \
             OR NOT EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.name = $1) \
                 AND EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgname = $4 \
                     AND pg_catalog.pg_relation_size(t.tgrelid, 'main') = 0 \
                     AND t.tgrelid IN (SELECT b.relation FROM imat_catalog.below($1) AS b))",
    );
    let params = [oid(name), oid(base), oid(relation), Param::from(sql::MARK)];
    trusted(|| spi::first(&QUERY, &params, |row| row.need(1))).unwrap_or(false)
}
