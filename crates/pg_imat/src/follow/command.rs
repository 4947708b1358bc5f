//! Finds what a command has done, and passes on what affects maintained tables.
//!
//! The event triggers call this for every command of the database. A command that affects no maintained table costs one
//! query for the list of its objects and a few look-ups.

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
    /// Whether it is a new table, which no maintained table can use yet.
    fn is_new(&self) -> bool {
        ["CREATE TABLE", "CREATE TABLE AS", "SELECT INTO"].contains(&self.tag.as_str())
    }

    /// The table of the trigger, if it is one.
    fn table(&self) -> Option<u32> {
        let found = (self.class == TRIGGER).then(|| lookup::TRIGGER.find(&[(1, self.object)], [2]));
        found.into_iter().flatten().next().map(|[table]| table)
    }

    /// The publication that it is or belongs to.
    fn publication(&self) -> Option<u32> {
        const PUBLICATION: u32 = 6104;
        let parts = [(6106, lookup::PUBLISHED_TABLE), (6237, lookup::PUBLISHED_SCHEMA)];
        match parts.into_iter().find(|&(class, _)| class == self.class) {
            Some((_, by)) => by.find(&[(1, self.object)], [2]).first().map(|&[publication]| publication),
            None => (self.class == PUBLICATION).then_some(self.object),
        }
    }

    /// The relation of the rule, if it is one, and whether the rule makes the relation a view.
    fn ruled(&self) -> Option<(u32, bool)> {
        let found = (self.class == RULE).then(|| lookup::RULE.find(&[(1, self.object)], [3, 4]));
        found.into_iter().flatten().next().map(|[relation, event]| (relation, event == u32::from(b'1')))
    }
}

/// Called before a command that can alter a table, replace a view or drop an index.
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

/// Called after a command. `alters` says that it is an ALTER TABLE.
pub fn ended(alters: bool) {
    // If the extension is being dropped, there is no bookkeeping.
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
    // From here on our own statements run, which need the hooks.
    xact::register();
    if !touched.is_empty() {
        ddl::after_trigger(&touched);
    }
    // A restore creates one of these triggers last: the last one of a base table, the mark, or the guard of the view
    // over the state.
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

/// Called after objects were dropped. A dropped trigger of ours is passed on as its table. A dropped cast is passed on
/// as its types, since a query's text may now resolve to another conversion between them.
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
