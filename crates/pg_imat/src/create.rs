//! `create_imat`: from a view to a maintained table.

use imat_compile::error::{Error, Unsupported};
use imat_compile::name::QName;
use imat_compile::parse::comparable;
use imat_compile::plan::Plan;
use imat_compile::sql::recompose::recompose;
use imat_compile::sql::{Sql, ddl};
use imat_compile::view::View;

use crate::analyze::{self, Analysis};
use crate::catalog::{self, trusted};
use crate::facts::{self, SystemCatalog, oid};
use crate::pg::context;
use crate::pg::error::notice;
use crate::pg::lock::{self, Mode};
use crate::pg::spi::{self, Connection, Param, Snapshot};
use crate::pg::{query, xact};
use crate::workshop::Workshop;
use crate::{capture, compile, flush, refuse};

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

/// Creates the maintained table `schema.name`; returns its OID.
pub fn create(source: &Source, schema: &str) -> Result<u32, Error> {
    capture::require_idle("create a maintained table");
    xact::register();
    let caller = context::user();
    let target = QName::new(schema, source.name.as_str());
    trusted(|| {
        check_target(&target, caller)?;
        let analysis = analyze::analyze(source.view, caller)?;
        for relation in relations(&analysis) {
            lock::relation(relation, Mode::ShareRowExclusive);
        }
        capture::own_ddl(|| build(source, &target, &analysis))
    })
}

fn relations(analysis: &Analysis) -> Vec<u32> {
    let mut relations: Vec<u32> = analysis.bases.iter().flat_map(|base| base.relations.iter().copied()).collect();
    relations.sort_unstable();
    relations.dedup();
    relations
}

fn exists(name: &QName) -> Option<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
    );
    spi::first(&QUERY, &[Param::from(name.schema.as_str()), Param::from(name.name.as_str())], |row| row.oid(1))
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
        Some(relation) if catalog::entry(relation).is_some() => Err(refuse::already_maintained(&target.to_string())),
        Some(_) => Err(refuse::name_taken(&target.to_string())),
        None => Ok(()),
    }
}

/// `wanted`, or with a number where that is taken; never longer than a name can be.
fn unused(schema: &str, wanted: &str) -> QName {
    (0..)
        .map(|attempt| {
            let suffix = if attempt == 0 { String::new() } else { format!("_{attempt}") };
            let mut room = wanted.len().min(63 - suffix.len());
            while !wanted.is_char_boundary(room) {
                room -= 1;
            }
            QName::new(schema, format!("{}{suffix}", &wanted[..room]))
        })
        .find(|name| exists(name).is_none())
        .unwrap_or_else(|| QName::new(schema, wanted))
}

/// The definition as a view of ours. Its text must mean what the original means.
fn define(source: &Source, workshop: &Workshop) -> Result<u32, Error> {
    let name = workshop.name(DEFINITION);
    let columns = facts::column_names(source.view);
    workshop.run(&ddl::create_definition(&name, &columns, &facts::definition(source.view)));
    let definition = exists(&name).ok_or_else(|| refuse::missing(&name.to_string()))?;
    match analyze::meaning(source.view) == analyze::meaning(definition) {
        true => Ok(definition),
        false => Err(refuse::changed_meaning(&source.name)),
    }
}

/// What the definition and the result are called until they are moved.
const DEFINITION: &str = "imat build definition";
const RESULT: &str = "imat build result";

/// Whether the parsed view is the definition: PostgreSQL must print its recomposed query as it
/// prints the definition, and find the same functions and operators in it.
fn is_faithful(view: &View, definition: u32, workshop: &Workshop) -> bool {
    let name = workshop.name("imat build guard");
    workshop.run(&ddl::create_definition(&name, &facts::column_names(definition), recompose(view).as_str()));
    let faithful = exists(&name).is_some_and(|guard| {
        comparable(&facts::definition(guard)) == comparable(&facts::definition(definition))
            && analyze::meaning(guard) == analyze::meaning(definition)
    });
    workshop.run(&ddl::drop_view(&name, false));
    faithful
}

/// Whether the text of a maintained table's query, and of the views that it reads, still means what
/// PostgreSQL bound when they were made: it prints `f(a)` and `a::t`, and another function or cast
/// may be what that names by now.
pub fn is_read_as_meant(entry: &catalog::Entry) -> bool {
    const VIEWS: Sql = Sql::fixed(
        "WITH RECURSIVE below AS ( \
             SELECT $1 AS view UNION SELECT c.oid FROM below AS b JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = b.view \
                 JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                 JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid AND c.relkind = 'v') \
         SELECT b.view FROM below AS b",
    );
    let views = spi::rows(&VIEWS, &[oid(entry.definition)], |row| row.oid(1));
    capture::own_ddl(|| {
        let workshop = Workshop::open(entry.owner);
        let name = workshop.name(DEFINITION);
        let same = views.into_iter().all(|view| {
            workshop.run(&ddl::create_definition(&name, &facts::column_names(view), &facts::definition(view)));
            let read = exists(&name).map(analyze::meaning);
            workshop.run(&ddl::drop_view(&name, false));
            read == Some(analyze::meaning(view))
        });
        workshop.close();
        same
    })
}

/// The cheapest plan that keeps the definition exactly, and why it is no cheaper.
pub fn choose(analysis: &Analysis, definition: u32, workshop: &Workshop) -> (Plan, Option<Unsupported>) {
    let parsed = match &analysis.whole {
        Some(construct) => Err(construct.clone()),
        None => compile::view(definition, &SystemCatalog::default()),
    };
    let planned = parsed.and_then(|view| {
        if !is_faithful(&view, definition, workshop) {
            return Err(Unsupported::new("query that could not be read back exactly"));
        }
        workshop.within(&[], || context::with_text(|| compile::plan(&view, definition)))
    });
    match planned {
        Ok(plan) => (plan, None),
        Err(construct) => {
            let bases: Vec<(u32, QName)> = analysis.bases.iter().map(|base| (base.oid, base.name.clone())).collect();
            (compile::whole(&construct, definition, &bases), Some(construct))
        }
    }
}

fn build(source: &Source, target: &QName, analysis: &Analysis) -> Result<u32, Error> {
    let workshop = Workshop::open(source.owner);
    let definition = define(source, &workshop)?;
    let (plan, construct) = choose(analysis, definition, &workshop);
    let state_name = match plan.reading {
        None => target.clone(),
        Some(_) => unused("imat_state", &target.name),
    };
    let state = make_state(source, &plan, &workshop, analysis, &workshop.name(&state_name.name))?;
    let has_result = match ddl::create_result(&workshop.name(RESULT), &plan, &workshop.name(&state_name.name)) {
        Some(result) => {
            workshop.run(&result);
            true
        }
        None => false,
    };
    workshop.deliver(&state_name.name, &state_name);
    workshop.deliver(DEFINITION, &unused("imat_catalog", &target.name));
    if has_result {
        workshop.deliver(RESULT, target);
        ddl::create_guard(target, true).iter().for_each(spi::run);
    }
    workshop.close();
    ddl::create_guard(&state_name, false).iter().for_each(spi::run);
    copy_grants(source.view, target);
    let name = exists(target).ok_or_else(|| refuse::missing(&target.to_string()))?;
    register(&Registration { name, state, definition, source, analysis, plan: &plan, construct: construct.as_ref() });
    if let Some(construct) = construct {
        notice(
            &format!("{target} will be recomputed whole at every change of its tables"),
            &format!("There is no incremental rule yet for: {construct}."),
        );
    }
    Ok(name)
}

/// Creates and fills the state, with the indexes that come along.
fn make_state(
    source: &Source,
    plan: &Plan,
    workshop: &Workshop,
    analysis: &Analysis,
    state: &QName,
) -> Result<u32, Error> {
    let settings: Vec<(String, String)> =
        analysis.settings.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    plan.create(state).iter().for_each(|sql| workshop.run(sql));
    let oid = exists(state).ok_or_else(|| refuse::missing(&state.to_string()))?;
    workshop.within(&settings, || fill(plan, state, oid));
    indexes_to_copy(source.view, plan).iter().for_each(|index| workshop.run(&ddl::create_index(state, index)));
    workshop.run(&ddl::analyze(state));
    Ok(oid)
}

/// Populates a new state: its text is read under one set of settings, and run under another.
fn fill(plan: &Plan, state: &QName, oid: u32) {
    let rebuild = plan.rebuild(state);
    let connection = Connection::open();
    let prepare = |sql: &Sql| context::with_text(|| connection.prepare(sql, &[], false));
    flush::same_under_latest(&connection, &prepare(&rebuild.digest), &[]);
    let populate = prepare(&rebuild.populate);
    capture::writing(oid, || connection.execute(&populate, &[], Snapshot::Transaction));
    connection.close();
}

struct Registration<'a> {
    name: u32,
    state: u32,
    definition: u32,
    source: &'a Source,
    analysis: &'a Analysis,
    plan: &'a Plan,
    construct: Option<&'a Unsupported>,
}

fn register(new: &Registration<'_>) {
    const ENTRY: Sql = Sql::fixed(
        "INSERT INTO imat_catalog.imat (name, state, definition, source, strategy, construct, shape, depth, settings) \
         SELECT $1, $2, $3, $4, $5, $6, $7, coalesce((SELECT pg_catalog.max(i.depth) + 1 FROM imat_catalog.imat AS i \
             WHERE i.state = ANY ($8)), 0), $9",
    );
    let bases: Vec<pgrx::pg_sys::Oid> =
        new.analysis.bases.iter().map(|base| pgrx::pg_sys::Oid::from(base.oid)).collect();
    spi::run_with(
        &ENTRY,
        &[
            oid(new.name),
            oid(new.state),
            oid(new.definition),
            new.source.origin.clone().into(),
            new.plan.strategy.name().into(),
            new.construct.map(|construct| construct.construct.clone()).into(),
            new.plan.shape().into(),
            bases.into(),
            new.analysis.settings.clone().into(),
        ],
    );
    for base in &new.analysis.bases {
        for &relation in &base.relations {
            add_source(new.name, base.oid, relation);
        }
    }
}

/// Makes changes of `relation` reach the maintained table as changes of its base table.
pub fn add_source(name: u32, base: u32, relation: u32) {
    const SOURCE: Sql = Sql::fixed(
        "INSERT INTO imat_catalog.source (name, base, relation, not_null) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    );
    const TRIGGERED: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = $1 AND t.tgname = 'imat_open'), \
             c.relkind = 'p' FROM pg_catalog.pg_class AS c WHERE c.oid = $1",
    );
    let not_null = (base == relation).then(|| facts::not_null(base));
    spi::run_with(&SOURCE, &[oid(name), oid(base), oid(relation), not_null.into()]);
    let Some(relation_name) = facts::name(relation) else { return };
    match spi::first(&TRIGGERED, &[oid(relation)], |row| (row.need(1), row.need(2))) {
        Some((true, _)) => xact::invalidate(relation),
        Some((false, partitioned)) => ddl::create_triggers(&relation_name, partitioned).iter().for_each(spi::run),
        None => {}
    }
}

/// The indexes of the materialized view whose columns the state has. One that is unique stays so
/// where it covers the key; elsewhere a flush could meet it half-way.
fn indexes_to_copy(view: u32, plan: &Plan) -> Vec<ddl::Index> {
    const INDEXES: Sql = Sql::fixed(
        "SELECT i.indisunique, m.amname::text, \
             ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, false) \
                 || CASE WHEN o.opcdefault THEN '' ELSE ' ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(o.opcname) END \
                 || CASE WHEN m.amname <> 'btree' OR i.indoption[k - 1] & 1 = 0 THEN '' ELSE ' DESC' END \
                 || CASE WHEN m.amname <> 'btree' THEN '' WHEN i.indoption[k - 1] & 2 = 0 THEN ' NULLS LAST' ELSE ' NULLS FIRST' END \
                 FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k \
                 JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[k - 1] \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace ORDER BY k), \
             pg_catalog.pg_get_expr(i.indpred, i.indrelid), \
             ARRAY(SELECT a.attname::text FROM pg_catalog.pg_depend AS d \
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid \
                 AND d.refobjid = i.indrelid AND d.refobjsubid > 0) \
         FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_am AS m ON m.oid = c.relam WHERE i.indrelid = $1 AND i.indisvalid ORDER BY c.relname",
    );
    let found = spi::rows(&INDEXES, &[oid(view)], |row| {
        let index = ddl::Index { unique: row.need(1), method: row.need(2), keys: row.need(3), predicate: row.get(4) };
        (index, row.need::<Vec<String>>(5))
    });
    let has = |column: &String| plan.columns.iter().any(|stored| stored.name == *column);
    let kept = found.into_iter().filter(|(_, columns)| columns.iter().all(has));
    kept.map(|(index, columns)| {
        let unique = index.unique && plan.key_is_within(&columns) && index.predicate.is_none();
        ddl::Index { unique, ..index }
    })
    .collect()
}

/// Whoever may read the view may read the maintained table.
fn copy_grants(view: u32, target: &QName) {
    const GRANTS: Sql = Sql::fixed(
        "SELECT CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END, a.is_grantable \
         FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a \
         WHERE c.oid = $1 AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner",
    );
    for (role, grantable) in spi::rows(&GRANTS, &[oid(view)], |row| (row.get::<String>(1), row.need::<bool>(2))) {
        spi::run(&ddl::grant_select(target, role.as_deref(), grantable));
    }
}

/// A query as a view of the session, made as the caller, on which [`create`] and `check_imat`
/// work. It is dropped by [`Passing::drop`], or with the transaction that failed.
pub struct Passing {
    pub view: u32,
    name: String,
}

impl Passing {
    pub fn create(text: &str) -> Result<Self, Error> {
        if !query::is_one_select(text) {
            return Err(refuse::not_one_select());
        }
        let free = |name: &String| catalog::resolve(&format!("pg_temp.{name}")).is_none();
        let name = (0..).map(|number| format!("imat_query_{number}")).find(free).unwrap_or_default();
        spi::run(&ddl::create_temporary_view(&name, text));
        let view = catalog::resolve(&format!("pg_temp.{name}")).ok_or_else(|| refuse::missing(&name))?;
        Ok(Self { view, name })
    }

    pub fn drop(self) {
        spi::run(&ddl::drop_temporary_view(&self.name));
    }
}
