//! Commands that are over: what of them concerns maintained tables is handed on.
//!
//! Every command of the database comes here. One that concerns none costs the list of its objects and a few look-ups.

use std::collections::BTreeSet;

use imat_compile::sql::{Sql, ddl as sql};
use pgrx::pg_sys::Oid;

use crate::catalog::bookkeeping::trusted;
use crate::catalog::dependents::{Bookkeeping, CLASS, RULE, TRIGGER, TYPE};
use crate::catalog::facts::list as oids;
use crate::catalog::{content, object_locks, publication, running_ddl};
use crate::follow::{ddl, restored};
use crate::pg::entrance::Command;
use crate::pg::{lookup, spi, xact};

/// An object that the command created or altered.
struct Altered {
    class: u32,
    object: u32,
    tag: String,
    gives: bool,
}

impl Altered {
    /// A table that is new is nothing that anybody uses.
    fn is_new(&self) -> bool {
        ["CREATE TABLE", "CREATE TABLE AS", "SELECT INTO"].contains(&self.tag.as_str())
    }

    /// The relation whose trigger it is.
    fn table(&self) -> Option<u32> {
        let found = (self.class == TRIGGER).then(|| lookup::TRIGGER.find(&[(1, self.object)], [2]));
        found.into_iter().flatten().next().map(|[table]| table)
    }

    /// The publication that it is, or a part of.
    fn publication(&self) -> Option<u32> {
        const PUBLICATION: u32 = 6104;
        let parts = [(6106, lookup::PUBLISHED_TABLE), (6237, lookup::PUBLISHED_SCHEMA)];
        match parts.into_iter().find(|&(class, _)| class == self.class) {
            Some((_, by)) => by.find(&[(1, self.object)], [2]).first().map(|&[publication]| publication),
            None => (self.class == PUBLICATION).then_some(self.object),
        }
    }

    /// The relation whose rule it is, and whether that makes it a view.
    fn ruled(&self) -> Option<(u32, bool)> {
        let found = (self.class == RULE).then(|| lookup::RULE.find(&[(1, self.object)], [3, 4]));
        found.into_iter().flatten().next().map(|[relation, event]| (relation, event == u32::from(b'1')))
    }
}

/// A command begins that can alter a table, replace a view or drop an index.
pub fn begins(alters_table: bool, command: &Command) {
    if alters_table {
        running_ddl::begin_alter();
    }
    match command {
        Command::Alter { detached, retyped } => {
            detached.iter().for_each(|&table| ddl::before_concurrent_detach(table));
            retyped.iter().for_each(|(table, columns)| ddl::before_new_types(*table, columns));
        }
        Command::Drop(relations) => relations.iter().for_each(|&relation| ddl::before_index_drop(relation)),
        Command::Replace(view) => ddl::before_view(*view),
    }
}

/// A command is over; it may have altered a table.
pub fn over(alters: bool) {
    // What is being dropped has no bookkeeping to look at.
    if !running_ddl::is_own_ddl()
        && let Some(bookkeeping) = Bookkeeping::open()
    {
        follow(&bookkeeping, &altered());
    }
    if alters {
        running_ddl::end_alter();
    }
}

fn altered() -> Vec<Altered> {
    const ALTERED: Sql = Sql::fixed(
        "SELECT c.classid, c.objid, c.command_tag, imat_catalog.changes_owner(c.command) \
         FROM pg_catalog.pg_event_trigger_ddl_commands() AS c \
         WHERE c.objid IS NOT NULL AND c.command_tag NOT IN ('COMMENT', 'SECURITY LABEL')",
    );
    trusted(|| {
        spi::rows(&ALTERED, &[], |row| Altered {
            class: row.oid(1),
            object: row.oid(2),
            tag: row.need(3),
            gives: row.need(4),
        })
    })
}

fn follow(bookkeeping: &Bookkeeping, altered: &[Altered]) {
    const SUBSCRIPTION: u32 = 6100;
    let callers = object_locks::lock_altered(
        bookkeeping,
        altered.iter().filter(|one| !one.is_new()).map(|one| (one.class, one.object)),
    );
    let relations = oids(altered.iter().filter(|one| one.class == CLASS).map(|one| one.object));
    let relations = bookkeeping.concerned(&relations);
    let rules: Vec<(u32, bool)> = altered.iter().filter_map(Altered::ruled).collect();
    let ruled = rules.iter().map(|&(relation, _)| relation);
    let touched = bookkeeping.concerned(&oids(altered.iter().filter_map(Altered::table).chain(ruled)));
    let created = altered.iter().filter(|one| one.tag == "CREATE VIEW").map(|one| one.object);
    let definitions = oids(created.clone().filter(|&view| lookup::is_in_catalog(view)));
    let views = created.chain(rules.iter().filter(|rule| rule.1).map(|&(view, _)| view));
    let views = oids(views.filter(|&view| bookkeeping.is_read_or_part(view)));
    if altered.iter().any(|one| one.class == SUBSCRIPTION) {
        ddl::after_subscription();
    }
    let publications = oids(altered.iter().filter_map(Altered::publication));
    if !publications.is_empty() {
        publication::follow(publications);
    }
    // As own statements are planned, whatever the session.
    xact::register();
    if !touched.is_empty() {
        ddl::after_trigger(&touched);
    }
    // A dump brings the last trigger of a table, what a state is, or what tells that a view is read from it.
    let last = [sql::TRIGGERS[2], sql::MARK, sql::GUARD];
    let is_last =
        |table: &u32, one: &Altered| last.iter().any(|name| lookup::trigger(*table, name) == Some(one.object));
    let returned = oids(altered.iter().filter_map(|one| one.table().filter(|table| is_last(table, one))));
    if !returned.is_empty() {
        content::begin_again(&returned);
        restored::follow(&returned);
    }
    if !definitions.is_empty() {
        ddl::after_definition(&definitions);
    }
    if !views.is_empty() {
        ddl::after_view(&views);
    }
    if !relations.is_empty() {
        ddl::after_alter(&relations, altered.iter().all(|one| one.gives));
    }
    if !callers.is_empty() {
        ddl::after_redefinition(&callers);
    }
}

/// Objects were dropped. Of a trigger of ours its table is told; without a cast the text of a query can mean another
/// way to the same type.
pub fn dropped() {
    const DROPPED: Sql = Sql::fixed(
        "SELECT CASE WHEN d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.objid \
             WHEN d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.address_names[3] LIKE 'imat\\_%' THEN \
                 pg_catalog.to_regclass(pg_catalog.format('%I.%I', d.address_names[1], d.address_names[2])) END::oid, \
             CASE WHEN d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass THEN \
                 ARRAY(SELECT pg_catalog.to_regtype(t.name)::oid FROM pg_catalog.unnest(d.address_names || d.address_args) AS t(name) \
                     WHERE pg_catalog.to_regtype(t.name) IS NOT NULL) END \
         FROM pg_catalog.pg_event_trigger_dropped_objects() AS d \
         WHERE d.classid IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass, \
             'pg_catalog.pg_cast'::pg_catalog.regclass)",
    );
    if running_ddl::is_own_ddl() {
        return;
    }
    let Some(bookkeeping) = Bookkeeping::open() else { return };
    let rows = trusted(|| spi::rows(&DROPPED, &[], |row| (row.get::<Oid>(1), row.get::<Vec<Oid>>(2))));
    let relations: Vec<Oid> = rows.iter().filter_map(|(relation, _)| *relation).collect();
    let concerned = bookkeeping.concerned(&relations);
    if !concerned.is_empty() {
        ddl::after_drop(&concerned);
    }
    let types: BTreeSet<u32> =
        rows.iter().filter_map(|(_, types)| types.as_ref()).flatten().map(|ty| ty.to_u32()).collect();
    let callers = object_locks::lock_altered(&bookkeeping, types.into_iter().map(|ty| (TYPE, ty)));
    if !callers.is_empty() {
        ddl::after_redefinition(&callers);
    }
}
