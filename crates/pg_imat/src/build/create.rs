//! `create_imat`: makes a maintained table from a view.

use std::collections::{BTreeMap, BTreeSet};

use imat_compile::error::Error;
use imat_compile::name::{QName, ident};
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::build::analyze::{self, Analysis, Subject};
use crate::build::choose::{RESULT, STATE, choose};
use crate::build::definition::{DEFINITION, define};
use crate::build::register::{self, Registration, Source};
use crate::build::scratch::Scratch;
use crate::build::trial::Trial;
use crate::build::{carry_over, catch_up, mark, remove};
use crate::catalog::bookkeeping::{self, Entry, trusted};
use crate::catalog::error_sources::ErrorSources;
use crate::catalog::facts::{self, oid};
use crate::catalog::names::{exists, is_taken, unused};
use crate::catalog::running_ddl::own_ddl;
use crate::catalog::{content, object_locks, publication};
use crate::change::fill::fill;
use crate::change::rebuild::rebuild;
use crate::change::{flush, foreign_keys, session, stale};
use crate::pg::error::{explaining, notice, server_version, warn};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{self, Param};
use crate::pg::{context, xact};
use crate::refuse;

/// When the new maintained table is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// In this transaction, while writers wait.
    Now,
    /// Later, by [`crate::build::online`], which also makes the triggers and gives the table its final name.
    Online,
}

/// Creates the maintained table `schema.name`; returns its OID.
pub fn create(source: &Source, schema: &str, filling: Filling) -> Result<u32, Error> {
    flush::before("create a maintained table");
    xact::register();
    let caller = context::user();
    let target = QName::new(schema, source.name.as_str());
    // Read before `trusted`, which changes settings.
    let session = analyze::SETTINGS.map(|name| (name.to_owned(), context::setting(name)));
    let (name, relations) = trusted(|| {
        check_target(&target, caller)?;
        publication::check(&target.to_string(), schema)?;
        let analysis = analyze_locked(source, caller, filling)?;
        // Again, because another session may have created it while this one waited for locks.
        check_target(&target, caller)?;
        analysis.stand_ins.notify();
        warn_of_other_owners(&target.to_string(), source.owner, &analysis);
        let settings = if analysis.follows_settings { &session[..] } else { &[] };
        let left = own_ddl(|| bookkeeping::unfinished(&target).map(remove::discard).unwrap_or_default());
        let relations = analysis.bases.iter().flat_map(|base| base.relations.iter().copied().map(Oid::from));
        let name = build(source, &target, &analysis, settings, filling)?;
        own_ddl(|| remove::drop_triggers(&remove::unread(&left)));
        Ok((name, relations.collect::<Vec<Oid>>()))
    })?;
    if filling == Filling::Now {
        // Creating the table has enabled triggers that were disabled, so other maintained tables may be stale no more.
        rebuild(stale::follow_triggers(&relations).into_iter().collect());
    }
    Ok(name)
}

/// Locks all objects that the view uses, and analyses it. Objects may be altered while a lock is waited for, so this
/// repeats the analysis until it finds only objects that were locked before it.
fn analyze_locked(source: &Source, caller: u32, filling: Filling) -> Result<Analysis, Error> {
    let mode = match filling {
        Filling::Now => Mode::ShareRowExclusive,
        // Conflicts with DDL only, not with writers.
        Filling::Online => Mode::ShareUpdateExclusive,
    };
    let (mut locked, mut kept) = (BTreeSet::new(), BTreeSet::new());
    loop {
        if facts::name(source.view).is_none() {
            return Err(refuse::missing(&source.name));
        }
        let analysis = analyze::analyze(source.view, Subject::Source, Some(caller))?;
        let all_kept = !object_locks::lock_used(source.view, &mut kept);
        let views = analysis.views.iter().map(|&view| (view, Mode::AccessShare));
        let tables = analysis.bases.iter().flat_map(|base| &base.relations);
        let found: BTreeMap<u32, Mode> = views.chain(tables.map(|&table| (table, mode))).collect();
        let new: Vec<(u32, Mode)> = found.into_iter().filter(|&(relation, _)| locked.insert(relation)).collect();
        if new.is_empty() && all_kept {
            return Ok(analysis);
        }
        for (relation, mode) in new {
            lock::relation(Purpose::Create, relation, mode);
            if mode != Mode::AccessShare {
                lock::require_unused(relation, c"create a maintained table over");
            }
        }
    }
}

fn check_target(target: &QName, caller: u32) -> Result<(), Error> {
    const SCHEMA: Sql = Sql::fixed(
        "SELECT n.nspname = 'imat' OR pg_catalog.has_schema_privilege($2, n.oid, 'CREATE') \
         FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1",
    );
    match spi::first(&SCHEMA, &[Param::from(target.schema.as_str()), oid(caller)], |row| row.need::<bool>(1)) {
        None => return Err(refuse::no_schema(&target.schema)),
        Some(false) => return Err(refuse::no_schema_privilege(&target.schema)),
        Some(true) => {}
    }
    match exists(target) {
        Some(relation) if bookkeeping::entry(relation).is_some() => {
            Err(refuse::already_maintained(&target.to_string()))
        }
        Some(relation) if mark::find(relation).is_some() => Err(refuse::not_adopted(&target.to_string())),
        Some(_) => Err(refuse::name_taken(&target.to_string())),
        None => match bookkeeping::unfinished(target) {
            Some(entry) if lock::is_being_built(entry.definition) => Err(refuse::being_built(&target.to_string())),
            Some(entry) if !analyze::owns(caller, entry.state) => {
                Err(refuse::not_owner("maintained table", &target.to_string()))
            }
            _ => Ok(()),
        },
    }
}

fn build(
    source: &Source,
    target: &QName,
    analysis: &Analysis,
    settings: &[(String, String)],
    filling: Filling,
) -> Result<u32, Error> {
    let scratch = Scratch::open(source.owner);
    let definition = define(source.view, &analysis.stand_ins, DEFINITION, &scratch)
        .map_err(|misread| refuse::changed_meaning(&source.name, misread))?;
    let (plan, construct) = choose(analysis, definition, &scratch, Trial::OfAll)?;
    let names = Names::choose(target, &plan, &scratch, filling);
    let error_sources = ErrorSources { subqueries: facts::scalar_subqueries(definition), functions: true };
    let state =
        explaining(&|state| error_sources.explain(format!("creating maintained table {target}"), state), || {
            fill_state(source, &plan, &scratch, settings, &names.final_state, filling)
        })?;
    let online = filling == Filling::Online;
    let bases: Vec<u32> = analysis.bases.iter().map(|base| base.oid).collect();
    // An online build searches for orphans after the filling.
    let trusts_keys = !bookkeeping::is_passable(&bases)
        && (online || scratch.as_role(settings, || foreign_keys::hold_no_orphans(&plan.orphans())));
    let result = ddl::create_result(&scratch.name(RESULT), &plan, &scratch.name(STATE));
    result.iter().for_each(|result| scratch.run(result));
    names.deliver(&scratch, result.is_some());
    let name = exists(&names.result).ok_or_else(|| refuse::missing(&target.to_string()))?;
    match filling {
        Filling::Now => carry_over(source.view, target, result.is_some()),
        Filling::Online => catch_up::create(name, &plan, &scratch),
    }
    scratch.close();
    let (construct, final_name) = (construct.as_ref(), online.then_some(target));
    let new = Registration {
        name,
        state,
        definition,
        source,
        analysis,
        settings,
        plan: &plan,
        construct,
        trusts_keys,
        server_version: server_version(),
        final_name,
    };
    own_ddl(|| {
        new.enter();
        // An online build does that later.
        if !online {
            register::ensure_triggers(new.relations());
            mark::mark(name);
        }
        content::watch(state, &target.name);
    });
    if let Some(construct) = construct {
        notice(
            &format!("{target} will be recomputed whole at every change of its tables"),
            &format!("There is no incremental rule yet for: {construct}."),
        );
    }
    Ok(name)
}

/// The names that the objects get when they leave the scratch schema. In an online build `result` and, if it is the
/// same table, `state` are temporary names.
struct Names {
    result: QName,
    state: QName,
    /// The state's name at the end of an online build.
    final_state: QName,
    definition: QName,
}

impl Names {
    fn choose(target: &QName, plan: &Plan, scratch: &Scratch, filling: Filling) -> Self {
        let free = |schema: &str, wanted: &str| QName::new(schema, unused(wanted, |name| is_taken(schema, name)));
        let result = match filling {
            Filling::Now => target.clone(),
            Filling::Online => free("imat_state", &scratch.name("unfinished").name),
        };
        // The state is the result itself, unless a view over it is needed.
        let apart = plan.reading.as_ref().map(|_| free("imat_state", &target.name));
        Self {
            state: apart.clone().unwrap_or_else(|| result.clone()),
            final_state: apart.unwrap_or_else(|| target.clone()),
            result,
            definition: free("imat_catalog", &target.name),
        }
    }

    fn deliver(&self, scratch: &Scratch, is_view: bool) {
        scratch.deliver(STATE, &self.state);
        scratch.deliver(DEFINITION, &self.definition);
        if is_view {
            scratch.deliver(RESULT, &self.result);
            ddl::create_guard(&self.result, true).iter().for_each(spi::run);
        }
        ddl::create_guard(&self.state, false).iter().for_each(spi::run);
        [&self.state, &self.definition, &self.result].into_iter().for_each(carry_over::revoke_default_grants);
    }
}

/// Warns if a superuser's maintained table reads tables of other roles. Planning a query evaluates constants in the
/// expressions of a table's indexes, statistics and constraints. So the owner of such a table can run code as
/// the maintained table's owner, at any write. The warning comes before any query is planned.
pub fn warn_of_other_owners(target: &str, owner: u32, analysis: &Analysis) {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid, pg_catalog.pg_get_userbyid(c.relowner)::text FROM pg_catalog.pg_class AS c \
         WHERE c.oid = ANY ($1) AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = c.relowner) \
             AND (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = $2) ORDER BY 1 LIMIT 1",
    );
    let relations = analysis.bases.iter().flat_map(|base| base.relations.iter().copied());
    let found = spi::first(&QUERY, &[facts::oids(relations), oid(owner)], |row| (row.oid(1), row.need::<String>(2)));
    let Some((relation, role)) = found else { return };
    let table = facts::name(relation).map_or_else(String::new, |name| name.to_string());
    warn(&refuse::other_owner(target, &table, &ident(&role)));
}

/// Copies the view's grants and comments.
fn carry_over(view: u32, target: &QName, is_view: bool) {
    carry_over::grants(view, target);
    carry_over::comments(view, target, is_view);
}

/// Gives a maintained table that was built online its final name.
pub fn publish(entry: &Entry, view: u32, target: &QName) {
    const NAMED: Sql = Sql::fixed("UPDATE imat_catalog.imat AS i SET target = NULL WHERE i.name = $1");
    own_ddl(|| {
        let hidden = facts::name(entry.name);
        hidden.iter().flat_map(|hidden| ddl::move_relation(hidden, target)).for_each(|sql| spi::run(&sql));
        facts::name(entry.state).iter().for_each(|state| spi::run(&ddl::leave_less_room(state)));
        carry_over(view, target, entry.name != entry.state);
        spi::run_with(&NAMED, &[oid(entry.name)]);
        mark::mark(entry.name);
    });
    xact::invalidate(entry.state);
}

/// Fills the state, which will be called `name`, and copies the view's indexes to it.
fn fill_state(
    source: &Source,
    plan: &Plan,
    scratch: &Scratch,
    settings: &[(String, String)],
    name: &QName,
    filling: Filling,
) -> Result<u32, Error> {
    let state = &scratch.name(STATE);
    let oid = exists(state).ok_or_else(|| refuse::missing(&state.to_string()))?;
    if filling == Filling::Now {
        scratch.as_role(settings, || session::writing(oid, || fill(plan, state, lock::transaction_snapshot())));
        scratch.run(&ddl::leave_less_room(state));
    }
    carry_over::indexes(source.view, plan, scratch, state, name);
    scratch.run(&ddl::identify(state, identity(oid).as_deref()));
    if filling == Filling::Now {
        scratch.run(&ddl::analyze(state));
    }
    Ok(oid)
}

/// The index that serves as the state's replica identity: unique and without nullable columns.
fn identity(state: u32) -> Option<String> {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.relname::text FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND NOT a.attnotnull \
               AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) \
         ORDER BY c.oid LIMIT 1",
    );
    spi::first(&QUERY, &[oid(state)], |row| row.need(1))
}
