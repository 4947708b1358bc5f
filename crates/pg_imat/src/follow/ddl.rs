//! Follows or refuses DDL on the objects that maintained tables use.
//!
//! Called for event triggers. Changes that can be followed are followed; those that would silently make a maintained
//! table wrong are refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use imat_compile::name::ident;
use imat_compile::sql::{Sql, ddl as sql};
use pgrx::pg_sys::Oid;

use crate::build::analyze::{self, Subject};
use crate::build::remove::remove;
use crate::build::{create, definition, state};
use crate::catalog::bookkeeping::{self, display, trusted};
use crate::catalog::cache;
use crate::catalog::dependents::Bookkeeping;
use crate::catalog::facts::{self, oid};
use crate::catalog::running_ddl::{self, own_ddl};
use crate::change::rebuild::rebuild;
use crate::change::{foreign_keys, stale};
use crate::follow::{inheritance, restored};
use crate::pg::error::{notify, raise};
use crate::pg::spi::{self, Param};
use crate::pg::{lookup, xact};
use crate::refuse;

/// After objects were dropped: removes maintained tables that have lost a part, with their other parts. `relations` are
/// those that were dropped or have lost a trigger, and their descendants.
pub fn after_drop(relations: &[Oid]) {
    const GONE: Sql = Sql::fixed(
        "SELECT i.name::oid, i.state::oid, i.definition::oid FROM imat_catalog.imat AS i \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = i.name) \
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = i.state) \
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = i.definition)",
    );
    if running_ddl::is_own_ddl() {
        return;
    }
    trusted(|| {
        own_ddl(|| {
            let parts = |row: &spi::Row| [row.oid(1), row.oid(2), row.oid(3)];
            while let Some(parts) = spi::first(&GONE, &[], parts) {
                // PostgreSQL's own notice names the definition, which users don't know.
                if facts::name(parts[0]).is_some() {
                    notify(&format!("drop cascades to maintained table {}", display(parts[0])));
                }
                // Objects that depend on it are dropped too, as by the CASCADE of the command.
                remove(parts, true);
            }
        });
        check_triggers(relations, true);
    });
    inheritance::apply(inheritance::follow(relations), BTreeSet::new());
}

/// After tables were created or altered. `relations` are those of these tables, their descendants and ancestors that
/// affect a maintained table. Nothing else is checked, so that a problem with one table does not block DDL on others.
/// `give` says that the command has only changed owners.
pub fn after_alter(relations: &[Oid], give: bool) {
    if running_ddl::is_own_ddl() {
        return;
    }
    after_trigger(relations);
    trusted(|| {
        check_bases(relations);
        own_ddl(|| {
            follow_owners(relations);
            stale::restore_triggers(relations);
        });
    });
    let members = inheritance::follow(relations);
    let mut to_rebuild: BTreeSet<u32> = stale::follow_triggers(relations).into_iter().collect();
    let with_keys = |names: Vec<u32>| names.into_iter().filter(|&name| !bookkeeping::awaits_key(name));
    let names: Vec<u32> = trusted(|| with_keys(complete(bookkeeping::affected(relations))).collect());
    names.into_iter().for_each(cache::check);
    // A new owner doesn't change the result, and the maintained table's owner may lack privileges for now.
    if !give {
        to_rebuild.extend(trusted(|| whole(relations)));
    }
    let rewritten: Vec<Oid> = running_ddl::rewritten().into_iter().map(Oid::from).collect();
    to_rebuild.extend(trusted(|| bookkeeping::affected(&rewritten)));
    inheritance::apply(members, to_rebuild);
    running_ddl::forget_rewritten();
}

/// After triggers or rules of these relations were created or altered.
pub fn after_trigger(relations: &[Oid]) {
    if running_ddl::is_own_ddl() {
        return;
    }
    trusted(|| {
        check_triggers(relations, false);
        check_states(relations);
        foreign_keys::follow_keys(relations);
    });
}

/// The maintained tables that are complete, that is not just being restored.
fn complete(names: Vec<u32>) -> Vec<u32> {
    names.into_iter().filter(|&name| bookkeeping::is_complete(name)).collect()
}

/// Before a partition of this table is detached concurrently. After the first of the two transactions queries no longer
/// read its rows, but no event trigger fires before the second.
pub fn before_concurrent_detach(table: u32) {
    const QUERY: Sql = Sql::fixed(
        "SELECT s.name::oid FROM imat_catalog.source AS s \
         WHERE s.base IN (SELECT pg_catalog.pg_partition_ancestors($1)) ORDER BY 1 LIMIT 1",
    );
    trusted(|| {
        if let Some(name) = spi::first(&QUERY, &[oid(table)], |row| row.oid(1)) {
            raise(&refuse::concurrent_detach(&display(table), &display(name)));
        }
    });
}

/// Before the type of columns is changed. PostgreSQL refuses that if a view reads them, but its error would name the
/// definition.
pub fn before_new_types(table: u32, columns: &[String]) {
    const QUERY: Sql = Sql::fixed(
        "SELECT a.attname::text, i.name::oid FROM pg_catalog.pg_attribute AS a \
         JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum \
         JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid \
         JOIN imat_catalog.imat AS i ON i.definition = r.ev_class \
         WHERE a.attrelid = $1 AND a.attname = ANY ($2) ORDER BY 1, 2 LIMIT 1",
    );
    trusted(|| {
        let read = |row: &spi::Row| (row.need::<String>(1), row.oid(2));
        if let Some((column, name)) = spi::first(&QUERY, &[oid(table), columns.to_vec().into()], read) {
            raise(&refuse::column_retyped(&ident(&column), &display(table), &display(name)));
        }
    });
}

/// Before an index is dropped: refuses to drop the key of a state, which the upserts need. The key is the index with
/// the row's image, or else the unique index with the fewest columns, since all others contain more. This is checked
/// before the command, since `DROP INDEX CONCURRENTLY` is half done when event triggers fire after it.
pub fn before_index_drop(index: u32) {
    let is_part = |table| Bookkeeping::open().is_some_and(|bookkeeping| bookkeeping.is_part(table));
    if !lookup::indexed(index).is_some_and(is_part) {
        return;
    }
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid FROM imat_catalog.imat AS i CROSS JOIN LATERAL ( \
             SELECT x.indexrelid FROM pg_catalog.pg_index AS x \
             WHERE x.indrelid = i.state AND x.indisunique AND x.indpred IS NULL \
             ORDER BY pg_catalog.strpos(pg_catalog.pg_get_indexdef(x.indexrelid), 'imat_catalog.row_image(') = 0, \
                 x.indexprs IS NOT NULL, x.indnkeyatts LIMIT 1) AS k \
         WHERE k.indexrelid = $1",
    );
    trusted(|| {
        if let Some(name) = spi::first(&QUERY, &[oid(index)], |row| row.oid(1)) {
            raise(&refuse::maintained_altered("drop the key of", &display(name)));
        }
    });
}

/// After a subscription was created or altered: refuses that it writes states or bookkeeping.
pub fn after_subscription() {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_subscription_rel AS r ON r.srrelid = c.oid \
         WHERE (c.relnamespace = 'imat_catalog'::pg_catalog.regnamespace \
               OR EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.state = c.oid)) ORDER BY 1 LIMIT 1",
    );
    trusted(|| {
        if let Some(written) = spi::first(&QUERY, &[], |row| row.oid(1)) {
            raise(&refuse::subscribed(&display(written)));
        }
    });
}

/// The maintained tables whose definitions read these views, each with the view, and the maintained tables that these
/// views themselves are.
fn readers_of_views(views: &[Oid]) -> Vec<(u32, u32)> {
    const READERS: Sql = Sql::fixed(
        "WITH RECURSIVE above AS ( \
             SELECT v.oid AS read, v.oid AS view FROM pg_catalog.unnest($1) AS v(oid) \
             UNION SELECT a.read, r.ev_class FROM above AS a \
                 JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                     AND d.refobjid = a.view AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                 JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid) \
         SELECT i.name::oid, a.read FROM above AS a JOIN imat_catalog.imat AS i ON i.definition = a.view \
         UNION ALL SELECT i.name, i.name FROM imat_catalog.imat AS i WHERE i.name::oid = ANY ($1) ORDER BY 1, 2",
    );
    spi::rows(&READERS, &[views.to_vec().into()], |row| (row.oid(1), row.oid(2)))
}

thread_local! {
    /// The maintained tables that are being restored and whose view the next command replaces by its real query.
    static RETURNING: RefCell<BTreeSet<u32>> = RefCell::default();
    /// The view that the running command may replace.
    static REPLACED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Before a command that can replace a view; `view` is the view, if it exists.
pub fn before_view(view: Option<u32>) {
    xact::register();
    REPLACED.set(view);
    let incomplete = |view| -> BTreeSet<u32> {
        let names = readers_of_views(&[Oid::from(view)]).into_iter().map(|(name, _)| name);
        names.filter(|&name| !bookkeeping::is_complete(name)).collect()
    };
    let returning = view
        .filter(|&view| Bookkeeping::open().is_some_and(|bookkeeping| bookkeeping.is_read_or_part(view)))
        .map(|view| trusted(|| incomplete(view)))
        .unwrap_or_default();
    RETURNING.set(returning);
}

/// After views in the schema imat_catalog were created, which happens only in a restore.
pub fn after_definition(views: &[Oid]) {
    let replaced = REPLACED.take();
    let (queried, new): (Vec<Oid>, Vec<Oid>) = views.iter().partition(|view| Some(view.to_u32()) == replaced);
    if !new.is_empty() {
        restored::defined(&new);
    }
    if !queried.is_empty() {
        restored::after_query(&queried);
    }
}

/// After views were created or replaced.
pub fn after_view(views: &[Oid]) {
    if running_ddl::is_own_ddl() {
        return;
    }
    let returning = RETURNING.take();
    trusted(|| {
        let mut readers = readers_of_views(views).into_iter();
        match readers.find(|(name, _)| !returning.contains(name)) {
            Some((name, view)) if name == view => raise(&refuse::maintained_altered("replace", &display(name))),
            Some((name, view)) => raise(&refuse::view_below_replaced(&display(view), &display(name))),
            None => {}
        }
    });
}

/// After functions, operators, types or other such objects were altered, or new ones with the same name were created:
/// rebuilds the maintained tables that use them, or refuses the command if they could no longer be maintained.
pub fn after_redefinition(names: &[Oid]) {
    if running_ddl::is_own_ddl() {
        return;
    }
    let names = trusted(|| {
        let names = complete(names.iter().map(|name| name.to_u32()).collect());
        for entry in names.iter().filter_map(|&name| bookkeeping::entry(name)) {
            let analysis = analyze::analyze(entry.definition, Subject::Definition, None)
                .unwrap_or_else(|why| raise(&refuse::unfit_redefinition(&display(entry.name), &why)));
            // Plans are made from the definition's text, which PostgreSQL may print differently now.
            xact::invalidate(entry.definition);
            if !definition::is_read_as_meant(entry.owner, entry.construct.is_some(), &analysis) {
                raise(&refuse::text_redefined(&display(entry.name)));
            }
        }
        names
    });
    rebuild(names.into_iter().collect());
}

/// The names of our triggers: those of a base table, the one for replication, the guard, and the mark of a state.
fn trigger_names() -> [Param; 4] {
    [sql::TRIGGERS.map(str::to_owned).to_vec().into(), sql::REPLICA.into(), sql::GUARD.into(), sql::MARK.into()]
}

/// Refuses that a trigger of ours is renamed or replaced, and if `dropped` also that one is missing. During a restore
/// triggers are created one by one, so a missing one alone is no error.
fn check_triggers(relations: &[Oid], dropped: bool) {
    const QUERY: Sql = Sql::fixed(
        "WITH expected AS ( \
             SELECT s.relation::oid, s.name::oid, n.trigger FROM imat_catalog.source AS s \
                 CROSS JOIN pg_catalog.unnest($1) AS n(trigger) WHERE s.relation = ANY ($5) \
             UNION SELECT s.relation, s.name, $2 FROM imat_catalog.source AS s \
                 JOIN pg_catalog.pg_class AS c ON c.oid = s.relation AND c.relkind <> 'p' WHERE s.relation = ANY ($5) \
             UNION SELECT p.relation, i.name, p.trigger FROM imat_catalog.imat AS i \
                 CROSS JOIN LATERAL (VALUES (i.name::oid, $3), (i.state::oid, $3), (i.state::oid, $6)) AS p(relation, trigger) \
                 WHERE p.relation = ANY ($5) AND (p.trigger = $3 OR i.target IS NULL)), \
         ours AS ( \
             SELECT t.oid, t.tgrelid, t.tgname FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
             WHERE t.tgrelid = ANY ($5) AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace) \
         SELECT e.relation, e.name FROM expected AS e JOIN pg_catalog.pg_class AS c ON c.oid = e.relation \
         LEFT JOIN ours AS t ON t.tgrelid = e.relation AND t.tgname = e.trigger \
         WHERE t.oid IS NULL AND ($4 OR EXISTS ( \
             SELECT FROM pg_catalog.pg_trigger AS o WHERE o.tgrelid = e.relation AND o.tgname = e.trigger) OR EXISTS ( \
             SELECT FROM ours AS o WHERE o.tgrelid = e.relation AND o.tgname <> ALL ($1 || $2 || $3 || $6))) \
         ORDER BY 1, 2 LIMIT 1",
    );
    let [table, replica, guard, mark] = trigger_names();
    let params = [table, replica, guard, dropped.into(), relations.to_vec().into(), mark];
    if let Some((relation, name)) = spi::first(&QUERY, &params, |row| (row.oid(1), row.oid(2))) {
        raise(&refuse::trigger_dropped(&display(relation), &display(name)));
    }
}

/// Refuses that a base table is altered so that create_imat would refuse it as one.
fn check_bases(relations: &[Oid]) {
    const QUERY: Sql = Sql::fixed(
        "SELECT s.relation::oid, s.name::oid, a.action FROM imat_catalog.source AS s \
         JOIN pg_catalog.pg_class AS c ON c.oid = s.relation \
         CROSS JOIN LATERAL (SELECT CASE \
             WHEN c.relrowsecurity THEN 'enable row-level security on' \
             WHEN c.relpersistence <> 'p' THEN 'set unlogged' \
             WHEN pg_catalog.current_setting('server_version_num')::int < 160000 \
                 AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE c.oid IN (h.inhparent, h.inhrelid)) \
                 AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS g WHERE g.attrelid = c.oid AND g.attgenerated = 's') \
                 THEN 'add a generated column to' END) AS a(action) \
         WHERE s.relation = ANY ($1) AND a.action IS NOT NULL LIMIT 1",
    );
    let altered = |row: &spi::Row| (row.oid(1), row.oid(2), row.need::<String>(3));
    if let Some((relation, name, action)) = spi::first(&QUERY, &[relations.to_vec().into()], altered) {
        raise(&refuse::base_altered(&display(relation), &display(name), &action));
    }
}

/// Refuses alterations that would let a state take other rows than those that flushes write, or lose rows. The owner
/// may create indexes, AFTER triggers, and policies that don't apply to the owner.
fn check_states(relations: &[Oid]) {
    const STATES: Sql =
        Sql::fixed("SELECT i.name::oid, i.state::oid FROM imat_catalog.imat AS i WHERE i.state = ANY ($1) ORDER BY 1");
    let states = spi::rows(&STATES, &[relations.to_vec().into()], |row| (row.oid(1), row.oid(2)));
    let unfit = |(name, state)| state::unfit(state).map(|action| refuse::maintained_altered(&action, &display(name)));
    if let Some(why) = states.into_iter().find_map(unfit) {
        raise(&why);
    }
}

/// Gives the new owner of one part of a maintained table to its other parts.
fn follow_owners(relations: &[Oid]) {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid, i.state::oid, i.definition::oid, c.relowner, pg_catalog.pg_get_userbyid(c.relowner)::text \
         FROM imat_catalog.imat AS i JOIN pg_catalog.pg_class AS c ON c.oid IN (i.name, i.state, i.definition) \
         WHERE c.oid = ANY ($1) AND EXISTS (SELECT FROM pg_catalog.pg_class AS o \
             WHERE o.oid IN (i.name, i.state, i.definition) AND o.relowner <> c.relowner)",
    );
    let changed = |row: &spi::Row| ([row.oid(1), row.oid(2), row.oid(3)], row.oid(4), row.need::<String>(5));
    for (parts, owner, role) in spi::rows(&QUERY, &[relations.to_vec().into()], changed) {
        match analyze::analyze(parts[2], Subject::Definition, Some(owner)) {
            Ok(analysis) => create::warn_of_other_owners(&display(parts[0]), owner, &analysis),
            Err(why) => raise(&refuse::unfit_owner(&display(parts[0]), &why)),
        }
        let names = parts.into_iter().filter_map(facts::name);
        names.for_each(|part| spi::run(&sql::change_owner(&part, &role)));
    }
}

/// The "whole" maintained tables over these relations. A query that the compiler doesn't understand can depend on any
/// property of its tables and views, such as the names of columns.
fn whole(relations: &[Oid]) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid FROM imat_catalog.imat AS i WHERE i.strategy = 'whole' AND (i.name = ANY ($2) \
             OR EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.name = i.name AND s.relation::oid = ANY ($1))) ORDER BY 1",
    );
    let readers = facts::oids(readers_of_views(relations).into_iter().map(|(name, _)| name));
    let names = spi::rows(&QUERY, &[relations.to_vec().into(), readers], |row| row.oid(1));
    complete(names.into_iter().filter(|&name| bookkeeping::entry(name).is_some()).collect())
}
