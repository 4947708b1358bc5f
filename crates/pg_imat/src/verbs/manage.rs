//! The other verbs: drop, refresh, verify, explain, check.

use std::collections::BTreeSet;

use imat_compile::error::Error;
use imat_compile::name::{QName, ident};
use imat_compile::plan::locks::{Keys, Step};
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Key, Locking, Recompute, Signs, Size, Strategy};
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::ddl::{self, Compare};
use pgrx::pg_sys::Oid;

use crate::refuse;
use crate::build::{analyze, create};
use crate::build::query_view::Passing;
use crate::catalog::bookkeeping::{self, Entry, trusted};
use crate::catalog::cache::{self, Maintained};
use crate::catalog::facts::{self, oid};
use crate::change::{capture, queue, stale};
use crate::follow::adopt;
use crate::pg::xact;
use crate::pg::context::{self, Role, with_path, within};
use crate::pg::error::warn;
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{self, Snapshot};

fn owned(name: &str) -> Result<Entry, Error> {
    let left = |why| adopt::named(name).map_or(why, |_| refuse::not_adopted(&format!("\"{name}\"")));
    let entry = bookkeeping::find(name, bookkeeping::resolve(name)).map_err(left)?;
    let caller = context::user();
    match trusted(|| analyze::owns(caller, entry.state)) {
        true => Ok(entry),
        false => Err(refuse::not_owner("maintained table", name)),
    }
}

/// The same of one that is not still being built.
fn finished(name: &str) -> Result<Entry, Error> {
    let entry = owned(name)?;
    match &entry.target {
        None => Ok(entry),
        Some(target) => Err(refuse::unfinished(&target.to_string())),
    }
}

/// Ends the maintenance of a table and drops it. Who owns a base table may too: he has to be able to
/// write to it, whatever has become of the maintained table's owner.
pub fn drop(name: &str) -> Result<(), Error> {
    capture::require_idle("drop a maintained table");
    if let Some(mark) = adopt::named(name) {
        return drop_left_behind(name, &mark);
    }
    let entry = bookkeeping::find(name, bookkeeping::resolve(name))?;
    let caller = context::user();
    let owns = |relation| analyze::owns(caller, relation);
    if !trusted(|| owns(entry.state) || bookkeeping::sources(entry.name).into_iter().any(|(base, _)| owns(base))) {
        return Err(refuse::not_owner("maintained table", name));
    }
    if lock::is_being_built(entry.definition) {
        return Err(refuse::being_built(name));
    }
    if let Some(reader) = trusted(|| bookkeeping::readers(entry.state).first().and_then(|&reader| facts::name(reader))) {
        return Err(refuse::read_by_another(name, &reader.to_string()));
    }
    trusted(|| {
        lock_to_drop(bookkeeping::relations(entry.name).into_iter().map(|(relation, _)| relation));
        capture::own_ddl(|| remove([entry.name, entry.state, entry.definition], false));
    });
    Ok(())
}

/// Whoever is writing one of these relations still needs the bookkeeping. PostgreSQL would refuse to drop the triggers of
/// those that this session is using, but not if others need them too.
fn lock_to_drop(relations: impl IntoIterator<Item = u32>) {
    for relation in relations {
        lock::relation(Purpose::Drop, relation, Mode::ShareRowExclusive);
        lock::require_unused(relation, c"drop a maintained table over");
    }
}

/// The same of one that a dump left behind, which may be all that there is of it.
fn drop_left_behind(name: &str, mark: &adopt::Mark) -> Result<(), Error> {
    let caller = context::user();
    let owns = |&relation: &u32| analyze::owns(caller, relation);
    let (bases, relations) = trusted(|| mark.relations());
    if !trusted(|| owns(&mark.state) || bases.iter().any(owns)) {
        return Err(refuse::not_owner("maintained table", name));
    }
    trusted(|| {
        lock_to_drop(relations.iter().copied());
        capture::own_ddl(|| {
            drop_parts(mark.parts(), false);
            silence(&unread(&relations.into_iter().map(|relation| (relation, false)).collect::<Vec<_>>()));
        });
    });
    Ok(())
}

/// Ends the maintenance of a table and drops what is left of its result, state and definition.
pub fn remove(parts: [u32; 3], cascade: bool) {
    silence(&drop_parts(parts, cascade));
}

fn drop_parts([name, state, definition]: [u32; 3], cascade: bool) -> Vec<(u32, bool)> {
    queue::drop(name);
    let relations = forget(name);
    // The result is the state, or a view over it.
    let result = (name != state).then_some((name, true));
    for (relation, is_view) in result.into_iter().chain([(state, false), (definition, true)]) {
        if let Some(left) = facts::name(relation) {
            spi::run(&if is_view { ddl::drop_view(&left, cascade) } else { ddl::drop_table(&left, cascade) });
        }
    }
    relations
}

/// Drops what is left of a build that came to no end, but for the triggers; returns the relations
/// that have them.
pub fn discard(entry: Entry) -> Vec<(u32, bool)> {
    drop_parts([entry.name, entry.state, entry.definition], false)
}

/// Those of the relations that reach no maintained table.
pub fn unread(relations: &[(u32, bool)]) -> Vec<(u32, bool)> {
    let unread = |relation: &u32| bookkeeping::bases_of_relation(*relation).is_empty();
    relations.iter().map(|&(relation, _)| relation).filter(unread).map(|relation| (relation, false)).collect()
}

/// Deletes a maintained table's bookkeeping; returns the relations that reached it.
pub fn forget(name: u32) -> Vec<(u32, bool)> {
    const ENTRY: Sql = Sql::fixed("DELETE FROM imat_catalog.imat AS i WHERE i.name = $1");
    const SOURCE: Sql = Sql::fixed("DELETE FROM imat_catalog.source AS s WHERE s.name = $1");
    const CONTENT: Sql = Sql::fixed(
        "DELETE FROM imat_catalog.content AS c USING imat_catalog.imat AS i WHERE i.name = $1 AND c.state = i.state",
    );
    let relations = bookkeeping::relations(name);
    spi::run_with(&CONTENT, &[oid(name)]);
    spi::run_with(&ENTRY, &[oid(name)]);
    spi::run_with(&SOURCE, &[oid(name)]);
    relations
}

/// Takes the triggers off relations that reach no maintained table any more. One that is maintained itself
/// stays guarded.
pub fn silence(relations: &[(u32, bool)]) {
    const TRIGGERS: Sql = Sql::fixed(
        "SELECT t.tgname::text FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
         WHERE t.tgrelid = $1 AND t.tgname NOT IN ($2, $3) AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace ORDER BY 1",
    );
    let all: Vec<Oid> = relations.iter().map(|&(relation, _)| Oid::from(relation)).collect();
    let left: BTreeSet<u32> = adopt::left_behind(&all).iter().flat_map(|mark| mark.relations().1).collect();
    for &(relation, shared) in relations {
        match facts::name(relation) {
            Some(_) if shared || left.contains(&relation) => xact::invalidate(relation),
            Some(name) => {
                spi::rows(&TRIGGERS, &[oid(relation), ddl::GUARD.into(), ddl::MARK.into()], |row| row.need::<String>(1))
                    .iter()
                    .for_each(|trigger| spi::run(&ddl::drop_trigger(&name, trigger)))
            }
            None => {}
        }
    }
}

/// Makes the state anew from the base tables.
pub fn refresh(name: &str) -> Result<(), Error> {
    capture::require_idle("refresh a maintained table");
    adopt::by_verb(name)?;
    let entry = finished(name)?;
    remake(&entry);
    Ok(())
}

fn remake(entry: &Entry) {
    let healed = stale::heal(entry);
    rebuild(healed.into_iter().chain([entry.name]).collect());
}

/// Rebuilds maintained tables, and what reads them, unless they wait for their triggers.
pub fn rebuild(names: BTreeSet<u32>) {
    rebuild_with(names, || {});
}

/// The same, and applies what `collect` collects. That is left out if a change is under way.
pub fn rebuild_with(names: BTreeSet<u32>, collect: impl FnOnce()) {
    xact::register();
    cache::fresh();
    let names = names.into_iter().filter(|&name| is_finished(name)).collect();
    capture::remake(&names, collect);
}

/// Whether a maintained table follows its base tables by itself. One that is being built begins anew.
fn is_finished(name: u32) -> bool {
    let mut maintained = cache::maintained(name);
    if maintained.entry.queued {
        // As whoever writes a base table does, so that the queues are not done with before this is committed.
        let lock = |&relation: &u32| lock::relation(Purpose::Unfinished, relation, Mode::RowExclusive);
        maintained.members.first().into_iter().for_each(lock);
        cache::fresh();
        maintained = cache::maintained(name);
    }
    if maintained.entry.queued {
        queue::start_again(&maintained);
    }
    !maintained.entry.queued && maintained.entry.stale.is_none()
}

/// A row in which a maintained table and its query differ.
pub struct Difference {
    pub kind: String,
    pub times: i64,
    pub row: pgrx::JsonB,
}

/// Compares a maintained table with its query.
pub fn verify(name: &str, repair: bool) -> Result<Vec<Difference>, Error> {
    let entry = finished(name)?;
    capture::require_idle("verify a maintained table");
    cache::fresh();
    cache::maintained(entry.name);
    let differences = within(Role::Restricted(entry.owner), &with_path(entry.settings()), || {
        let names = (facts::name(entry.name), facts::name(entry.definition));
        let (Some(result), Some(definition)) = names else { return Vec::new() };
        let types = facts::column_types(entry.definition);
        let columns: Vec<(String, Compare)> = facts::column_names(entry.definition)
            .into_iter()
            .zip(types)
            .map(|(column, ty)| (column, comparison(&ty)))
            .collect();
        // As the session sees both.
        let differences = ddl::differences(&result, &definition, &columns);
        spi::rows_under(Snapshot::Transaction, &differences, &[], |row| Difference {
            kind: row.need(1),
            times: row.need(2),
            row: row.need(3),
        })
    });
    if repair && !differences.is_empty() {
        remake(&entry);
    } else if let Some(reason) = &entry.stale {
        let display = trusted(|| facts::name(entry.name));
        warn(&refuse::stale(&display.map_or_else(|| name.to_owned(), |name| name.to_string()), reason));
    }
    Ok(differences)
}

fn comparison(ty: &imat_compile::facts::Type) -> Compare {
    use imat_compile::facts::Class;
    match ty.class {
        Class::Float4 => Compare::Real,
        Class::Float8 => Compare::Double,
        Class::Numeric => Compare::Numeric,
        _ => Compare::Image,
    }
}

/// How a maintained table is kept, line by line.
pub fn explain(name: &str) -> Result<Vec<String>, Error> {
    let entry = finished(name)?;
    let maintained = cache::maintained(entry.name);
    let mut lines = vec![
        format!("Maintained table {}", maintained.display),
        format!("  Strategy: {}", strategy(&maintained.plan.strategy)),
        format!("  State: {}{}", maintained.state, if entry.name == entry.state { ", read as it is" } else { "" }),
        format!("  Key: {}", key(&maintained.plan.key)),
    ];
    lines.extend(entry.stale.iter().map(|reason| format!("  Stale: {reason}")));
    for pair in &maintained.settings {
        lines.push(format!("  Pinned setting: {} = {}", pair.0, pair.1));
    }
    for (position, table) in maintained.plan.tables.iter().enumerate() {
        explain_table(&maintained, position, &table.name, &mut lines);
    }
    Ok(lines)
}

fn strategy(strategy: &Strategy) -> String {
    match strategy {
        Strategy::Arithmetic => "arithmetic: each change is applied by itself".to_owned(),
        Strategy::Recompute { aggregates } => {
            format!("recompute: affected groups are computed again, because of {}", aggregates.join(", "))
        }
        Strategy::Whole { construct } => format!("whole: the query runs again at every change, because of {construct}"),
    }
}

fn key(key: &Key) -> &'static str {
    match key {
        Key::Single => "none: always one row",
        Key::Columns { nulls_not_distinct: false } => "the group key",
        Key::Columns { nulls_not_distinct: true } => "the group key, NULLs equal",
        Key::Image => "a SHA-256 hash of the key's image",
    }
}

/// The keys that a change locks, with its rows.
fn keys(maintained: &Maintained, steps: &[Step]) -> String {
    let edges = |all: bool| -> BTreeSet<u16> {
        let steps = steps.iter().filter(|step| (step.keys == Keys::All) == all);
        steps.flat_map(|step| step.sides.iter().map(|(edge, _)| *edge)).collect()
    };
    let name = |edges: BTreeSet<u16>| -> Vec<String> {
        edges.into_iter().filter_map(|edge| maintained.plan.edge(edge)).collect()
    };
    let (keys, all) = (name(edges(false)), name(edges(true)));
    let keys = (!keys.is_empty()).then(|| format!("the keys {}", keys.join(", and ")));
    // Looking for which keys they are would mean to follow all rows of a table.
    let all = (!all.is_empty()).then(|| format!("every key {}", all.join(", and every key ")));
    format!("{}, then the rows", keys.into_iter().chain(all).collect::<Vec<_>>().join(", and "))
}

fn explain_table(maintained: &Maintained, position: usize, table: &QName, lines: &mut Vec<String>) {
    let changed: TableSet = [position].into();
    let flush = maintained.plan.flush(&maintained.state, &changed, Signs::Statement, Size::Small);
    lines.push(format!("  On a change of {table}"));
    lines.push(format!(
        "    Locks: {}",
        match &maintained.plan.locking(&changed, &Idle::new(), Size::Small) {
            Locking::Rows => "the rows of the groups, in key order".to_owned(),
            Locking::Keys(steps) => keys(maintained, steps),
            Locking::View => "the whole maintained table against other writers".to_owned(),
        }
    ));
    let mut statement = |title: &str, sql: &Sql| {
        lines.push(format!("    {title}: {}", sql.as_str().replace('\n', " ")));
    };
    statement("Applies", &flush.apply.write);
    if let Some(Recompute::Few { write: recompute, .. }) = &flush.recompute {
        statement("Recomputes", recompute);
    }
    if let Some(delete) = &flush.delete {
        statement("Deletes", delete);
    }
    lines.extend(missing_indexes(maintained, position, flush.recompute.is_some()));
}

/// Join partners and recomputed tables without any index but their key are read in full.
fn missing_indexes(maintained: &Maintained, position: usize, recomputes: bool) -> Vec<String> {
    const INDEXED: Sql =
        Sql::fixed("SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = $1 AND i.indisvalid");
    let tables = &maintained.plan.tables;
    let is_bare = |table: u32| spi::first(&INDEXED, &[oid(table)], |row| row.need::<i64>(1)) == Some(0);
    let bounded = maintained.plan.bounded().into_iter().filter(|_| recomputes);
    let bounded: Vec<(usize, String)> =
        bounded.filter(|(table, column)| !trusted(|| begins_an_index(tables[*table].oid, column))).collect();
    let named = bounded.iter().map(|(table, column)| {
        format!(
            "    Would help: an index on column {} of {}, by which groups are found",
            ident(column),
            tables[*table].name
        )
    });
    let bare = (0..tables.len())
        .filter(|other| bounded.iter().all(|(table, _)| table != other))
        .filter(|&other| other != position || recomputes)
        .filter(|_| !matches!(maintained.plan.strategy, Strategy::Whole { .. }))
        .filter(|&other| trusted(|| is_bare(tables[other].oid)))
        .map(|other| {
            format!("    Would help: an index on the join or group columns of {}, which has none", tables[other].name)
        });
    named.chain(bare).collect()
}

/// Whether an index can find rows by a column and nothing else.
fn begins_an_index(table: u32, column: &str) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a \
         ON a.attrelid = i.indrelid AND a.attname = $2 JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree' \
         WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum",
    );
    spi::first(&QUERY, &[oid(table), column.into()], |row| row.need::<i64>(1)) > Some(0)
}

/// What `check_imat` tells.
pub struct Check {
    pub maintainable: bool,
    pub strategy: Option<&'static str>,
    pub reason: Option<String>,
    pub hint: Option<String>,
}

/// Whether and how a query would be maintained, or that of a view whose name is given.
pub fn check(text: &str) -> Result<Check, Error> {
    capture::require_idle("check a query");
    let caller = context::user();
    let checked = match bookkeeping::named(text) {
        Some(view) => match trusted(|| analyze::describe_kind(view)) {
            Some(kind) => return Err(refuse::not_a_view(text, kind)),
            None if !trusted(|| analyze::owns(caller, view)) => Err(refuse::not_owner("view", text)),
            None => trusted(|| create::check(view, caller, analyze::owner(view))),
        },
        None => {
            let passing = Passing::create(text)?;
            let checked = trusted(|| create::check(passing.view, caller, caller));
            passing.drop();
            checked
        }
    };
    Ok(match checked {
        Ok((plan, construct)) => Check {
            maintainable: true,
            strategy: Some(plan.strategy.name()),
            reason: construct.map(|construct| format!("There is no incremental rule yet for: {construct}.")),
            hint: None,
        },
        Err(Error { message, detail, hint, .. }) => Check {
            maintainable: false,
            strategy: None,
            reason: Some(detail.map_or(message.clone(), |detail| format!("{message}: {detail}"))),
            hint,
        },
    })
}
