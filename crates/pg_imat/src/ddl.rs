//! What happens to maintained tables when somebody alters what they are made of.
//!
//! Called by event triggers. What can be followed is followed; what would make a maintained
//! table wrong without anybody noticing is refused.

use imat_compile::name::QName;
use imat_compile::sql::{Sql, ddl as sql};
use pgrx::pg_sys::Oid;

use crate::catalog::{self, trusted};
use crate::facts::{self, oid};
use crate::manage::{rebuild, remove, silence};
use crate::pg::error::{ok, raise};
use crate::pg::lock::{self, Mode};
use crate::pg::spi;
use crate::{analyze, cache, capture, create, refuse};

/// Something was dropped: removes maintained tables of which a part is gone, with the rest.
pub fn after_drop() {
    const GONE: Sql = Sql::fixed(
        "SELECT i.name::oid, i.state::oid, i.definition::oid FROM imat_catalog.imat AS i \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = i.name) \
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = i.state) \
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = i.definition)",
    );
    if capture::is_own_ddl() {
        return;
    }
    trusted(|| {
        capture::own_ddl(|| {
            let parts = |row: &spi::Row| [row.oid(1), row.oid(2), row.oid(3)];
            while let Some(parts) = spi::first(&GONE, &[], parts) {
                // Whatever read it goes too, as with the CASCADE that brought this about.
                remove(parts, true);
            }
        });
        check_triggers(true);
    });
    follow_families();
}

/// A table was altered: `relations` are those that the command names.
pub fn after_alter(relations: &[Oid]) {
    if capture::is_own_ddl() {
        return;
    }
    trusted(|| {
        check_triggers(false);
        check_bases();
    });
    follow_families();
    trusted(|| catalog::affected(relations)).into_iter().for_each(cache::check);
    rebuild_whole(relations);
}

/// A view was created or replaced.
pub fn after_view(views: &[Oid]) {
    const READERS: Sql = Sql::fixed(
        "WITH RECURSIVE below AS ( \
             SELECT i.name::oid AS name, i.definition::oid AS view FROM imat_catalog.imat AS i \
             UNION SELECT b.name, d.refobjid FROM below AS b \
                 JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = b.view \
                 JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                 JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid AND c.relkind = 'v') \
         SELECT b.name, b.view FROM below AS b WHERE b.view = ANY ($1) LIMIT 1",
    );
    if capture::is_own_ddl() {
        return;
    }
    trusted(|| {
        let found = spi::first(&READERS, &[views.to_vec().into()], |row| (row.oid(1), row.oid(2)));
        if let Some((name, view)) = found {
            raise(&refuse::view_below_replaced(&display(view), &display(name)));
        }
    });
}

/// Functions were created or replaced, or types altered: what uses them is made anew, if it still
/// can be.
pub fn after_function(functions: &[Oid]) {
    // Through views, and through functions whose bodies PostgreSQL knows (BEGIN ATOMIC).
    const CALLERS: Sql = Sql::fixed(
        "WITH RECURSIVE above AS ( \
             SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::oid AS class, f.oid AS object FROM pg_catalog.unnest($1) AS f(oid) \
             UNION SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::oid, t.oid FROM pg_catalog.unnest($1) AS t(oid) \
             UNION SELECT v.class, v.object FROM above AS a \
                 JOIN pg_catalog.pg_depend AS d ON d.refclassid = a.class AND d.refobjid = a.object AND d.deptype IN ('n', 'a') \
                 LEFT JOIN pg_catalog.pg_rewrite AS r \
                     ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid \
                 CROSS JOIN LATERAL (SELECT CASE WHEN r.oid IS NULL THEN d.classid \
                         ELSE 'pg_catalog.pg_class'::pg_catalog.regclass::oid END AS class, \
                     coalesce(r.ev_class, d.objid) AS object) AS v \
                 WHERE r.oid IS NOT NULL OR d.classid IN ( \
                     'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass, \
                     'pg_catalog.pg_class'::pg_catalog.regclass)) \
         SELECT DISTINCT i.name::oid, i.definition::oid, c.relowner FROM above AS a \
         JOIN imat_catalog.imat AS i ON a.class = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.definition = a.object \
         JOIN pg_catalog.pg_class AS c ON c.oid = i.state ORDER BY 1",
    );
    if capture::is_own_ddl() {
        return;
    }
    let callers = trusted(|| {
        let callers = spi::rows(&CALLERS, &[functions.to_vec().into()], |row| (row.oid(1), row.oid(2), row.oid(3)));
        for &(_, definition, owner) in &callers {
            ok(analyze::analyze(definition, owner));
        }
        callers
    });
    callers.into_iter().for_each(|(name, ..)| rebuild(name));
}

fn display(relation: u32) -> String {
    facts::name(relation).map(|name: QName| name.to_string()).unwrap_or_default()
}

/// Refuses that a trigger of ours is switched off, or, where `dropped`, missing. While a dump is
/// restored they are created one after the other, so that alone is no error.
fn check_triggers(dropped: bool) {
    const QUERY: Sql = Sql::fixed(
        "SELECT s.relation::oid, s.name::oid FROM imat_catalog.source AS s \
         JOIN pg_catalog.pg_class AS c ON c.oid = s.relation \
         LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = s.relation \
             AND t.tgname IN ('imat_open', 'imat_insert', 'imat_update', 'imat_delete', 'imat_truncate') \
         GROUP BY s.relation, s.name \
         HAVING pg_catalog.bool_or(t.tgenabled IN ('D', 'R')) OR ($1 AND pg_catalog.count(t.oid) < 5) LIMIT 1",
    );
    if let Some((relation, name)) = spi::first(&QUERY, &[dropped.into()], |row| (row.oid(1), row.oid(2))) {
        raise(&refuse::trigger_disabled(&display(relation), &display(name)));
    }
}

/// Refuses that a base table becomes one that could not have been a base table.
fn check_bases() {
    const QUERY: Sql = Sql::fixed(
        "SELECT s.relation::oid, s.name::oid, c.relrowsecurity FROM imat_catalog.source AS s \
         JOIN pg_catalog.pg_class AS c ON c.oid = s.relation WHERE c.relrowsecurity OR c.relpersistence <> 'p' LIMIT 1",
    );
    if let Some((relation, name, security)) =
        spi::first(&QUERY, &[], |row| (row.oid(1), row.oid(2), row.need::<bool>(3)))
    {
        let what = if security { "enable row-level security on" } else { "set unlogged" };
        raise(&refuse::base_altered(&display(relation), &display(name), what));
    }
}

/// Maintained tables over a partitioned or inherited table whose members changed learn of the
/// new ones, and are made anew.
fn follow_families() {
    const CHANGED: Sql = Sql::fixed(
        "WITH RECURSIVE down AS ( \
             SELECT DISTINCT s.name::oid AS name, s.base::oid AS base, s.base::oid AS relation FROM imat_catalog.source AS s \
             UNION SELECT d.name, d.base, i.inhrelid FROM down AS d \
                 JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.relation), \
         up AS ( \
             SELECT d.name, d.base, d.relation FROM down AS d \
             UNION SELECT u.name, u.base, i.inhparent FROM up AS u \
                 JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.relation), \
         now AS (SELECT name, base, relation FROM down UNION SELECT name, base, relation FROM up) \
         SELECT coalesce(n.name, s.name::oid), coalesce(n.base, s.base::oid), coalesce(n.relation, s.relation::oid), \
             s.relation IS NULL \
         FROM now AS n FULL JOIN imat_catalog.source AS s \
             ON s.name::oid = n.name AND s.base::oid = n.base AND s.relation::oid = n.relation \
         WHERE n.relation IS NULL OR s.relation IS NULL ORDER BY 1, 2, 3",
    );
    const REMOVE: Sql = Sql::fixed("DELETE FROM imat_catalog.source WHERE name = $1 AND base = $2 AND relation = $3");
    const SHARED: Sql = Sql::fixed("SELECT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.relation = $1)");
    let changed = trusted(|| {
        let rows = spi::rows(&CHANGED, &[], |row| (row.oid(1), row.oid(2), row.oid(3), row.need::<bool>(4)));
        capture::own_ddl(|| {
            for &(name, base, relation, added) in &rows {
                lock::relation(relation, Mode::Share);
                if added {
                    create::add_source(name, base, relation);
                } else {
                    spi::run_with(&REMOVE, &[oid(name), oid(base), oid(relation)]);
                    let shared = spi::first(&SHARED, &[oid(relation)], |row| row.need(1)).unwrap_or(false);
                    silence(&[(relation, shared)]);
                }
            }
        });
        // What came or went empty changes nothing. What was dropped can't be asked any more.
        let empty = |relation| {
            let name = facts::name(relation)?;
            spi::first(&sql::has_rows(&name), &[], |row| row.need::<bool>(1)).map(|rows| !rows)
        };
        rows.into_iter().filter(|&(_, _, relation, _)| empty(relation) != Some(true)).collect::<Vec<_>>()
    });
    let mut names: Vec<u32> = changed.into_iter().map(|(name, ..)| name).collect();
    names.dedup();
    names.into_iter().for_each(rebuild);
}

/// A query that is not understood can depend on anything of its tables, such as the names of
/// their columns.
fn rebuild_whole(relations: &[Oid]) {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT s.name::oid FROM imat_catalog.source AS s JOIN imat_catalog.imat AS i ON i.name = s.name \
         WHERE i.strategy = 'whole' AND s.relation::oid = ANY ($1) ORDER BY 1",
    );
    let names = trusted(|| {
        let names = spi::rows(&QUERY, &[relations.to_vec().into()], |row| row.oid(1));
        names.into_iter().filter(|&name| catalog::entry(name).is_some()).collect::<Vec<u32>>()
    });
    names.into_iter().for_each(rebuild);
}
