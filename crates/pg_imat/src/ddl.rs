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
use crate::pg::spi::{self, Param};
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
    after_trigger(relations);
    trusted(|| {
        check_bases();
        capture::own_ddl(|| {
            follow_owners(relations);
            restore_triggers(relations);
        });
    });
    follow_families();
    trusted(|| catalog::affected(relations)).into_iter().for_each(cache::check);
    rebuild_whole(relations);
}

/// A trigger or rule was created or altered, or else these relations.
pub fn after_trigger(relations: &[Oid]) {
    if capture::is_own_ddl() {
        return;
    }
    trusted(|| {
        check_triggers(false);
        check_states(relations);
    });
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
         SELECT b.name, b.view FROM below AS b WHERE b.view = ANY ($1) \
         UNION ALL SELECT i.name, i.name FROM imat_catalog.imat AS i WHERE i.name::oid = ANY ($1) LIMIT 1",
    );
    if capture::is_own_ddl() {
        return;
    }
    trusted(|| match spi::first(&READERS, &[views.to_vec().into()], |row| (row.oid(1), row.oid(2))) {
        Some((name, view)) if name == view => raise(&refuse::maintained_altered("replace", &display(name))),
        Some((name, view)) => raise(&refuse::view_below_replaced(&display(view), &display(name))),
        None => {}
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

/// Our triggers by name: those of a base table, that for replication, that of a maintained table.
fn trigger_names() -> [Param; 3] {
    [sql::TRIGGERS.map(str::to_owned).to_vec().into(), sql::REPLICA.into(), sql::GUARD.into()]
}

/// Refuses that a trigger of ours is switched off or renamed, or, where `dropped`, missing. While a
/// dump is restored they are created one after the other, so that alone is no error.
fn check_triggers(dropped: bool) {
    const QUERY: Sql = Sql::fixed(
        "WITH expected AS ( \
             SELECT s.relation::oid, s.name::oid, n.trigger FROM imat_catalog.source AS s \
                 CROSS JOIN pg_catalog.unnest($1) AS n(trigger) \
             UNION SELECT s.relation, s.name, $2 FROM imat_catalog.source AS s \
                 JOIN pg_catalog.pg_class AS c ON c.oid = s.relation AND c.relkind <> 'p' \
             UNION SELECT p.relation, i.name, $3 FROM imat_catalog.imat AS i \
                 CROSS JOIN LATERAL (VALUES (i.name::oid), (i.state::oid)) AS p(relation)) \
         SELECT e.relation, e.name FROM expected AS e JOIN pg_catalog.pg_class AS c ON c.oid = e.relation \
         LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = e.relation AND t.tgname = e.trigger \
         WHERE t.tgenabled = 'D' OR (t.tgenabled = 'R' AND e.trigger <> $2) OR (t.oid IS NULL AND ($4 OR EXISTS ( \
             SELECT FROM pg_catalog.pg_trigger AS o JOIN pg_catalog.pg_proc AS f ON f.oid = o.tgfoid \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace \
             WHERE o.tgrelid = e.relation AND n.nspname = 'imat_catalog' AND o.tgname <> ALL ($1 || $2 || $3)))) \
         ORDER BY 1, 2 LIMIT 1",
    );
    let [table, replica, guard] = trigger_names();
    let params = [table, replica, guard, dropped.into()];
    if let Some((relation, name)) = spi::first(&QUERY, &params, |row| (row.oid(1), row.oid(2))) {
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

/// Triggers of ours that somebody enabled fire as a user's would: makes them fire when they have to.
fn restore_triggers(relations: &[Oid]) {
    const QUERY: Sql = Sql::fixed(
        "SELECT t.tgrelid, t.tgname::text FROM pg_catalog.pg_trigger AS t \
         JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid AND c.relkind <> 'v' \
         WHERE t.tgrelid = ANY ($4) AND t.tgenabled = 'O' AND t.tgname = ANY ($1 || $2 || $3) \
           AND (EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.relation = t.tgrelid) \
               OR EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.state = t.tgrelid))",
    );
    let [table, replica, guard] = trigger_names();
    let params = [table, replica, guard, relations.to_vec().into()];
    for (relation, trigger) in spi::rows(&QUERY, &params, |row| (row.oid(1), row.need::<String>(2))) {
        facts::name(relation).iter().for_each(|relation| spi::run(&sql::enable_trigger(relation, &trigger)));
    }
}

/// Refuses what would let a state take other rows than those that are written to it, or lose some.
/// The owner may index it, put AFTER triggers on it and policies that don't concern himself.
fn check_states(relations: &[Oid]) {
    const QUERY: Sql = Sql::fixed(
        "WITH near AS ( \
             SELECT r.oid FROM pg_catalog.unnest($1) AS r(oid) \
             UNION SELECT i.inhparent FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = ANY ($1) \
             UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = ANY ($1)) \
         SELECT i.name::oid, a.action FROM near AS n JOIN imat_catalog.imat AS i ON i.state = n.oid \
         JOIN pg_catalog.pg_class AS c ON c.oid = i.state \
         CROSS JOIN LATERAL (SELECT CASE \
             WHEN c.relpersistence <> 'p' THEN 'turn off logging of' \
             WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'force row-level security on' \
             WHEN EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid) THEN 'create a rule on' \
             WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgtype & 3 = 3) \
                 THEN 'create a BEFORE row trigger on' \
             WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE c.oid IN (h.inhparent, h.inhrelid)) \
                 THEN 'use inheritance with' END) AS a(action) \
         WHERE a.action IS NOT NULL ORDER BY 1 LIMIT 1",
    );
    let params = [relations.to_vec().into()];
    if let Some((name, action)) = spi::first(&QUERY, &params, |row| (row.oid(1), row.need::<String>(2))) {
        raise(&refuse::maintained_altered(&action, &display(name)));
    }
}

/// Gives all parts of a maintained table the owner that one of them got.
fn follow_owners(relations: &[Oid]) {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid, i.state::oid, i.definition::oid, c.relowner, pg_catalog.pg_get_userbyid(c.relowner)::text \
         FROM imat_catalog.imat AS i JOIN pg_catalog.pg_class AS c ON c.oid IN (i.name, i.state, i.definition) \
         WHERE c.oid = ANY ($1) AND EXISTS (SELECT FROM pg_catalog.pg_class AS o \
             WHERE o.oid IN (i.name, i.state, i.definition) AND o.relowner <> c.relowner)",
    );
    let changed = |row: &spi::Row| ([row.oid(1), row.oid(2), row.oid(3)], row.oid(4), row.need::<String>(5));
    for (parts, owner, role) in spi::rows(&QUERY, &[relations.to_vec().into()], changed) {
        if let Err(why) = analyze::analyze(parts[2], owner) {
            raise(&refuse::unfit_owner(&display(parts[0]), &why));
        }
        let names = parts.into_iter().filter_map(facts::name);
        names.for_each(|part| spi::run(&sql::change_owner(&part, &role)));
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
