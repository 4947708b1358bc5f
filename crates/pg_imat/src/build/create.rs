//! `create_imat`: from a view to a maintained table.

use std::collections::{BTreeMap, BTreeSet};

use imat_compile::error::{Error, Unsupported};
use imat_compile::name::{QName, ident};
use imat_compile::parse::{comparable, order};
use imat_compile::plan::Plan;
use imat_compile::sql::recompose::recompose;
use imat_compile::sql::{Sql, ddl};
use imat_compile::view::View;
use pgrx::pg_sys::Oid;

use crate::refuse;
use crate::build::{carry_over, state};
use crate::build::analyze::{self, Analysis, Subject};
use crate::build::build_schema::Workshop;
use crate::build::register::{self, Registration};
use crate::build::stand_in::StandIns;
use crate::build::trial::{self, Trial};
use crate::catalog::{compile, content, objects, publication};
use crate::catalog::bookkeeping::{self, Entry, trusted};
use crate::catalog::facts::{self, SystemCatalog, oid};
use crate::change::{capture, flush, queue, stale, trust};
use crate::change::blame::Suspects;
use crate::follow::adopt;
use crate::pg::{clock, context, query, xact};
use crate::pg::error::{explaining, notice, server_version, warn};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{self, Param};
use crate::refuse::Misread;
use crate::verbs::manage;

/// Where the definition comes from.
pub struct Source {
    /// The view or materialized view.
    pub view: u32,
    /// The name of the maintained table.
    pub name: String,
    /// The view's name, where it is not a passing one.
    pub origin: Option<String>,
    /// Who owns the maintained table.
    pub owner: u32,
}

/// When a maintained table is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// In this transaction, while writers wait.
    Now,
    /// Later, by [`crate::build::online`]. Until then nothing has the table's name, and no triggers are made.
    Online,
}

/// Creates the maintained table `schema.name`; returns its OID.
pub fn create(source: &Source, schema: &str, filling: Filling) -> Result<u32, Error> {
    capture::require_idle("create a maintained table");
    xact::register();
    let caller = context::user();
    let target = QName::new(schema, source.name.as_str());
    // Bookkeeping runs under settings of its own.
    let session = analyze::SETTINGS.map(|name| (name.to_owned(), context::setting(name)));
    let (name, relations) = trusted(|| {
        check_target(&target, caller)?;
        publication::check(&target.to_string(), schema)?;
        let analysis = analyze_locked(source, caller, filling)?;
        // Another session may have created it while this one waited.
        check_target(&target, caller)?;
        analysis.stand_ins.announce();
        warn_of_strangers(&target.to_string(), source.owner, &analysis);
        let settings = if analysis.follows_settings { &session[..] } else { &[] };
        let left = capture::own_ddl(|| bookkeeping::unfinished(&target).map(manage::discard).unwrap_or_default());
        let relations = analysis.bases.iter().flat_map(|base| base.relations.iter().copied().map(Oid::from));
        let name = build(source, &target, &analysis, settings, filling)?;
        capture::own_ddl(|| manage::silence(&manage::unread(&left)));
        Ok((name, relations.collect::<Vec<Oid>>()))
    })?;
    if filling == Filling::Now {
        // Triggers that were disabled before are not any more.
        manage::rebuild(stale::follow_triggers(&relations).into_iter().collect());
    }
    Ok(name)
}

/// Locks what the view reads and uses, until an analysis finds nothing that was not locked before it: what was
/// found while a lock was waited for may have been altered since.
fn analyze_locked(source: &Source, caller: u32, filling: Filling) -> Result<Analysis, Error> {
    let mode = match filling {
        Filling::Now => Mode::ShareRowExclusive,
        // Against DDL alone.
        Filling::Online => Mode::ShareUpdateExclusive,
    };
    let (mut locked, mut kept) = (BTreeSet::new(), BTreeSet::new());
    loop {
        if facts::name(source.view).is_none() {
            return Err(refuse::missing(&source.name));
        }
        let analysis = analyze::analyze(source.view, Subject::Source, Some(caller))?;
        let all_kept = !objects::keep(source.view, &mut kept);
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

/// The relation of that name, if there is one.
pub fn exists(name: &QName) -> Option<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
    );
    spi::first(&QUERY, &[Param::from(name.schema.as_str()), Param::from(name.name.as_str())], |row| row.oid(1))
}

pub fn is_taken(schema: &str, name: &str) -> bool {
    exists(&QName::new(schema, name)).is_some()
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
        Some(relation) if bookkeeping::entry(relation).is_some() => Err(refuse::already_maintained(&target.to_string())),
        Some(relation) if adopt::find(relation).is_some() => Err(refuse::not_adopted(&target.to_string())),
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

/// `wanted`, or with a number where that is taken; never longer than a name can be.
pub fn unused(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    (0..)
        .map(|attempt| {
            let suffix = if attempt == 0 { String::new() } else { format!("_{attempt}") };
            let mut room = wanted.len().min(63 - suffix.len());
            while !wanted.is_char_boundary(room) {
                room -= 1;
            }
            format!("{}{suffix}", &wanted[..room])
        })
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// A view's text as a view called `name`. It must mean what the original means, and the text does
/// not name the schema of every operator: CASE, IN, USING and others find theirs on the search
/// path. So the view's own are looked for where they are, after PostgreSQL's.
fn define(view: u32, stand_ins: &StandIns, name: &str, workshop: &Workshop) -> Result<u32, Misread> {
    let name = workshop.name(name);
    let original = stand_ins.contents(view);
    let create = ddl::create_definition(&name, &facts::column_names(view), &stand_ins.definition(view));
    let mut misread = Misread::Otherwise;
    for path in [facts::path_to(&original.operators), context::SAFE_PATH.to_owned()] {
        let path = [(context::SEARCH_PATH.to_owned(), path)];
        let create = || clock::checking(&create, || workshop.run_under(&path, &create));
        match stand_ins.is_empty() {
            true => create(),
            // The row of a materialized view as a whole has a type of its own.
            false => xact::attempt(create).ok_or(Misread::Row)?,
        }
        let defined = exists(&name).map(|defined| (defined, query::of_view(defined)));
        misread = match defined {
            Some((defined, read))
                if read.meaning == original.meaning
                    && !read.reads_clock
                    && facts::columns(defined) == facts::columns(view) =>
            {
                return Ok(defined);
            }
            Some((_, read)) if read.operators != original.operators || read.functions != original.functions => {
                Misread::Operator
            }
            _ if original.whole_rows => Misread::Row,
            _ => Misread::Otherwise,
        };
        workshop.run(&ddl::drop_view(&name, false));
    }
    Err(misread)
}

/// A plan, and why it is no cheaper.
type Chosen = (Plan, Option<Unsupported>);

/// How a view would be maintained for `user`, by this owner. Nothing of it is kept.
pub fn check(view: u32, user: u32, owner: u32) -> Result<Chosen, Error> {
    let analysis = analyze::analyze(view, Subject::Source, Some(user))?;
    let workshop = Workshop::open(owner);
    let defined = define(view, &analysis.stand_ins, DEFINITION, &workshop);
    let chosen = defined.map_err(|misread| refuse::changed_meaning("the query", misread)).and_then(|definition| {
        // Who only asks has not decided to run the functions of others.
        let chosen = choose(&analysis, definition, &workshop, Trial::OfOwn);
        workshop.run(&ddl::drop_view(&workshop.name(DEFINITION), false));
        chosen.inspect(|_| workshop.run(&ddl::drop_table(&workshop.name(STATE), false)))
    });
    workshop.close();
    chosen
}

/// What the parts are called until they are moved.
const DEFINITION: &str = "definition";
const STATE: &str = "state";
const RESULT: &str = "result";
/// What is compared when a view is read.
const COPY: &str = "copy";
const GUARD: &str = "guard";

/// Whether what was parsed is the view, and the views below it that were read along with it: their
/// text is what the statements of a flush are made of.
fn is_faithful(view: &View, original: u32, workshop: &Workshop) -> bool {
    let below = |(name, below): (&QName, &View)| exists(name).is_some_and(|name| is_faithful(below, name, workshop));
    reads_back(view, original, workshop) && view.views().into_iter().all(below)
}

/// A text as a view called `name`, where PostgreSQL can make sense of it.
fn read(name: &QName, columns: &[String], text: &str, workshop: &Workshop) -> Option<u32> {
    let create = ddl::create_definition(name, columns, text);
    xact::attempt(|| workshop.run(&create)).and_then(|()| exists(name))
}

/// Whether PostgreSQL looked up the same for both views.
fn mean_the_same(view: u32, other: u32) -> bool {
    query::of_view(view).meaning == query::of_view(other).meaning
}

/// PostgreSQL must print the recomposed query as it prints the view, and find the same in it.
fn reads_back(view: &View, original: u32, workshop: &Workshop) -> bool {
    let Ok(copy) = define(original, &StandIns::default(), COPY, workshop) else { return false };
    let (guard, text) = (workshop.name(GUARD), facts::definition(copy));
    let recomposed = format!("{} {}", recompose(view), order(&text));
    let found = read(&guard, &facts::column_names(copy), &recomposed, workshop);
    let same = found
        .is_some_and(|found| comparable(&facts::definition(found)) == comparable(&text) && mean_the_same(found, copy));
    let made = found.map(|_| guard).into_iter().chain([workshop.name(COPY)]);
    made.for_each(|name| workshop.run(&ddl::drop_view(&name, false)));
    same
}

/// Whether the text of a maintained table's query, and of the views that it reads, still means what
/// PostgreSQL bound when they were made: it prints `f(a)` and `a::t`, and another function or cast
/// may be what that names by now.
pub fn is_read_as_meant(owner: u32, whole: bool, analysis: &Analysis) -> bool {
    // A query that runs whole does so by its view's name.
    if whole {
        return true;
    }
    let workshop = Workshop::open(owner);
    let name = workshop.name(DEFINITION);
    let same = analysis.views.iter().all(|&view| {
        let read = read(&name, &facts::column_names(view), &facts::definition(view), &workshop);
        let same = read.is_some_and(|read| mean_the_same(read, view));
        read.iter().for_each(|_| workshop.run(&ddl::drop_view(&name, false)));
        same
    });
    workshop.close();
    same
}

/// The cheapest plan that keeps the definition exactly, and why it is no cheaper. Its state is created on the way, since
/// not every plan has one that PostgreSQL can store: a group can take several columns for each of the query's.
fn choose(analysis: &Analysis, definition: u32, workshop: &Workshop, trial: Trial) -> Result<Chosen, Error> {
    analyze::check_text_search(analysis)?;
    trial::check(definition, workshop, trial)?;
    let parsed = match &analysis.whole {
        Some(construct) => Err(construct.clone()),
        None => compile::view(definition, &SystemCatalog::default()),
    };
    let planned = parsed.and_then(|view| {
        if !is_faithful(&view, definition, workshop) {
            return Err(Unsupported::new("query that could not be read back exactly"));
        }
        workshop.within(&[], || context::with_text(|| compile::plan(&view, definition, server_version())))
    });
    let create = |plan: &Plan| state::create(plan, &workshop.name(STATE), workshop);
    let (construct, wide) = match planned {
        Ok(plan) => match create(&plan) {
            Ok(()) if state::follows_reader(&plan, &workshop.name(STATE), &workshop.name(RESULT), workshop)? => {
                workshop.run(&ddl::drop_table(&workshop.name(STATE), false));
                (Unsupported::new("expression over aggregates that follows settings"), None)
            }
            Ok(()) => return Ok((plan, None)),
            Err(wide) => (Unsupported::new("more columns in its groups than a row can have"), Some(wide)),
        },
        Err(construct) => (construct, None),
    };
    let bases: Vec<(u32, QName)> = analysis.bases.iter().map(|base| (base.oid, base.name.clone())).collect();
    let whole = compile::whole(&construct, definition, &bases);
    create(&whole).map_err(|error| wide.unwrap_or(error))?;
    Ok((whole, Some(construct)))
}

fn build(
    source: &Source,
    target: &QName,
    analysis: &Analysis,
    settings: &[(String, String)],
    filling: Filling,
) -> Result<u32, Error> {
    let workshop = Workshop::open(source.owner);
    let definition = define(source.view, &analysis.stand_ins, DEFINITION, &workshop)
        .map_err(|misread| refuse::changed_meaning(&source.name, misread))?;
    let (plan, construct) = choose(analysis, definition, &workshop, Trial::OfAll)?;
    let names = Names::choose(target, &plan, &workshop, filling);
    let suspects = Suspects { subqueries: facts::scalar_subqueries(definition), functions: true };
    let state = explaining(&|state| suspects.explain(format!("creating maintained table {target}"), state), || {
        fill_state(source, &plan, &workshop, settings, &names.state_to_be, filling)
    })?;
    let online = filling == Filling::Online;
    let bases: Vec<u32> = analysis.bases.iter().map(|base| base.oid).collect();
    // Whether one that is built online has orphans is seen when it is filled.
    let trusts_keys =
        !bookkeeping::is_passable(&bases) && (online || workshop.within(settings, || trust::hold(&plan.orphans())));
    let result = ddl::create_result(&workshop.name(RESULT), &plan, &workshop.name(STATE));
    result.iter().for_each(|result| workshop.run(result));
    names.deliver(&workshop, result.is_some());
    let name = exists(&names.result).ok_or_else(|| refuse::missing(&target.to_string()))?;
    match filling {
        Filling::Now => carry_over(source.view, target, result.is_some()),
        Filling::Online => queue::create(name, &plan, &workshop),
    }
    workshop.close();
    let (construct, target_to_be) = (construct.as_ref(), online.then_some(target));
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
        target_to_be,
    };
    capture::own_ddl(|| {
        new.enter();
        // Online that is done later.
        if !online {
            register::watch(new.relations());
            adopt::mark(name);
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

/// What the parts are called when they are moved. One that is built online has not its own name yet.
struct Names {
    result: QName,
    state: QName,
    /// What the state is called in the end.
    state_to_be: QName,
    definition: QName,
}

impl Names {
    fn choose(target: &QName, plan: &Plan, workshop: &Workshop, filling: Filling) -> Self {
        let free = |schema: &str, wanted: &str| QName::new(schema, unused(wanted, |name| is_taken(schema, name)));
        let result = match filling {
            Filling::Now => target.clone(),
            Filling::Online => free("imat_state", &workshop.name("unfinished").name),
        };
        // Where the state is read as it is, it is the result.
        let apart = plan.reading.as_ref().map(|_| free("imat_state", &target.name));
        Self {
            state: apart.clone().unwrap_or_else(|| result.clone()),
            state_to_be: apart.unwrap_or_else(|| target.clone()),
            result,
            definition: free("imat_catalog", &target.name),
        }
    }

    fn deliver(&self, workshop: &Workshop, is_view: bool) {
        workshop.deliver(STATE, &self.state);
        workshop.deliver(DEFINITION, &self.definition);
        if is_view {
            workshop.deliver(RESULT, &self.result);
            ddl::create_guard(&self.result, true).iter().for_each(spi::run);
        }
        ddl::create_guard(&self.state, false).iter().for_each(spi::run);
        [&self.state, &self.definition, &self.result].into_iter().for_each(carry_over::no_grants);
    }
}

/// Warns where a superuser's maintained table reads what others own. Planning a query evaluates
/// constants in the expressions of a table's indexes, statistics and constraints, whose author thus
/// gets code of his own run as the maintained table's owner, whenever he likes to write. It is told
/// before anything is planned.
pub fn warn_of_strangers(target: &str, owner: u32, analysis: &Analysis) {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid, pg_catalog.pg_get_userbyid(c.relowner)::text FROM pg_catalog.pg_class AS c \
         WHERE c.oid = ANY ($1) AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = c.relowner) \
             AND (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = $2) ORDER BY 1 LIMIT 1",
    );
    let relations = analysis.bases.iter().flat_map(|base| base.relations.iter().copied());
    let found = spi::first(&QUERY, &[facts::oids(relations), oid(owner)], |row| (row.oid(1), row.need::<String>(2)));
    let Some((relation, role)) = found else { return };
    let table = facts::name(relation).map_or_else(String::new, |name| name.to_string());
    warn(&refuse::stranger(target, &table, &ident(&role)));
}

/// What comes along with the name.
fn carry_over(view: u32, target: &QName, is_view: bool) {
    carry_over::grants(view, target);
    carry_over::comments(view, target, is_view);
}

/// Gives one that was built online the name that it was to have.
pub fn publish(entry: &Entry, view: u32, target: &QName) {
    const NAMED: Sql = Sql::fixed("UPDATE imat_catalog.imat AS i SET target = NULL WHERE i.name = $1");
    capture::own_ddl(|| {
        let hidden = facts::name(entry.name);
        hidden.iter().flat_map(|hidden| ddl::move_relation(hidden, target)).for_each(|sql| spi::run(&sql));
        facts::name(entry.state).iter().for_each(|state| spi::run(&ddl::leave_less_room(state)));
        carry_over(view, target, entry.name != entry.state);
        spi::run_with(&NAMED, &[oid(entry.name)]);
        adopt::mark(entry.name);
    });
    xact::invalidate(entry.state);
}

/// Fills what will be the state `name`, and gives it the indexes that come along.
fn fill_state(
    source: &Source,
    plan: &Plan,
    workshop: &Workshop,
    settings: &[(String, String)],
    name: &QName,
    filling: Filling,
) -> Result<u32, Error> {
    let state = &workshop.name(STATE);
    let oid = exists(state).ok_or_else(|| refuse::missing(&state.to_string()))?;
    if filling == Filling::Now {
        workshop.within(settings, || capture::writing(oid, || flush::fill(plan, state, lock::transaction_snapshot())));
        workshop.run(&ddl::leave_less_room(state));
    }
    carry_over::indexes(source.view, plan, workshop, state, name);
    workshop.run(&ddl::identify(state, identity(oid).as_deref()));
    if filling == Filling::Now {
        workshop.run(&ddl::analyze(state));
    }
    Ok(oid)
}

/// The index by which a subscriber can find a row of the state, as a publication asks for.
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
