//! The verbs as SQL functions.

use pgrx::JsonB;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use crate::build::create::{self, Filling};
use crate::build::query_view::QueryView;
use crate::build::register::Source;
use crate::build::{analyze, online};
use crate::catalog::dependents::Bookkeeping;
use crate::catalog::{bookkeeping, content, facts, names, running_ddl};
use crate::pg::error::{ok, raise};
use crate::pg::procedure::Transactions;
use crate::pg::{context, xact};
use crate::refuse;
use crate::verbs::{check, drop, explain, refresh, verify};

/// Makes `schema.view` a table that always equals the view's query. `view` has a default so that a call without it gets
/// a clear error, not "function does not exist".
#[pg_extern(sql = r#"
CREATE FUNCTION create_imat(view text DEFAULT NULL, schema text DEFAULT 'imat', query text DEFAULT NULL) RETURNS regclass
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION create_imat(text, text, text) IS
    'keep the result of a view, or of a query under a new name, current in a table of the schema imat';
"#)]
fn create_imat(view: Option<&str>, schema: Option<&str>, query: Option<&str>) -> Oid {
    xact::require_writable(c"create_imat()");
    let view = view.unwrap_or_else(|| raise(&refuse::no_name()));
    let schema = schema.unwrap_or("imat");
    Oid::from(match query {
        Some(query) => from_query(view, schema, query),
        None => from_view(view, schema),
    })
}

/// An argument that must not be NULL: a strict function would return NULL without doing anything.
fn given<'a>(argument: Option<&'a str>, name: &str) -> &'a str {
    argument.unwrap_or_else(|| raise(&refuse::null_argument(name)))
}

/// `CALL create_imat(view, online, schema)`. `atomic` means that it can't commit.
pub fn create_procedure(view: Option<&str>, online: Option<bool>, schema: Option<&str>, atomic: bool) {
    let online = online.unwrap_or_else(|| raise(&refuse::null_argument("online")));
    let (view, schema) = (given(view, "view"), schema.unwrap_or("imat"));
    match online {
        false => _ = from_view(view, schema),
        true if atomic => raise(&refuse::online_in_transaction()),
        true => Transactions::during(|transactions| online::create(transactions, || source(view), schema)),
    }
}

fn from_view(view: &str, schema: &str) -> u32 {
    ok(create::create(&source(view), schema, Filling::Now))
}

/// The view with this name, which the caller must own.
fn source(view: &str) -> Source {
    let relation = names::named(view).unwrap_or_else(|| raise(&refuse::missing(view)));
    let caller = context::user();
    let (name, owned, kind) = bookkeeping::trusted(|| {
        let name = facts::name(relation).unwrap_or_else(|| raise(&refuse::missing(view)));
        (name, analyze::owns(caller, relation), analyze::describe_kind(relation))
    });
    if let Some(kind) = kind {
        raise(&refuse::not_a_view(view, kind));
    }
    if !owned {
        raise(&refuse::not_owner("view", view));
    }
    let owner = bookkeeping::trusted(|| analyze::owner(relation));
    Source { view: relation, origin: Some(name.to_string()), name: name.name, owner }
}

fn from_query(name: &str, schema: &str, query: &str) -> u32 {
    let query_view = ok(QueryView::create(query));
    let source =
        Source { view: query_view.view, name: ok(names::identifier(name)), origin: None, owner: context::user() };
    let created = ok(create::create(&source, schema, Filling::Now));
    query_view.drop();
    created
}

/// Ends the maintenance, and drops the maintained table.
#[pg_extern]
fn drop_imat(name: Option<&str>) {
    xact::require_writable(c"drop_imat()");
    ok(drop::drop(given(name, "name")));
}

/// Recomputes the maintained table from its base tables.
#[pg_extern]
fn refresh_imat(name: Option<&str>) {
    xact::require_writable(c"refresh_imat()");
    ok(refresh::refresh(given(name, "name")));
}

/// The rows in which a maintained table and its query differ. None means that they are equal.
#[pg_extern]
fn verify_imat(
    name: Option<&str>,
    repair: default!(Option<bool>, "false"),
) -> TableIterator<'static, (name!(difference, String), name!(times, i64), name!(row, JsonB))> {
    let repair = repair.unwrap_or(false);
    if repair {
        xact::require_writable(c"verify_imat(repair)");
    }
    let differences = ok(verify::verify(given(name, "name"), repair));
    TableIterator::new(differences.into_iter().map(|difference| (difference.kind, difference.times, difference.row)))
}

/// How a maintained table is kept: strategy, locks, statements.
#[pg_extern]
fn explain_imat(name: Option<&str>) -> SetOfIterator<'static, String> {
    SetOfIterator::new(ok(explain::explain(given(name, "name"))))
}

/// Whether and how a query would be maintained, and if not, why and what to do.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn check_imat(
    query: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(maintainable, bool),
        name!(strategy, Option<String>),
        name!(reason, Option<String>),
        name!(hint, Option<String>),
    ),
> {
    // It makes a temporary view of the query.
    xact::require_writable(c"check_imat()");
    let check = ok(check::check(given(query, "query")));
    TableIterator::once((check.maintainable, check.strategy.map(str::to_owned), check.reason, check.hint))
}

/// Called by the event trigger `imat_rewrite`.
#[pg_extern(sql = r#"
CREATE FUNCTION imat_catalog.rewrites(event text, objects oid[]) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
REVOKE ALL ON FUNCTION imat_catalog.rewrites(text, oid[]) FROM PUBLIC;
"#)]
fn rewrites(event: &str, objects: Vec<Oid>) {
    match event {
        "versions to be lost" => content::begin_over(&objects),
        "rows to be rewritten" => objects.iter().for_each(|relation| running_ddl::before_rewrite(relation.to_u32())),
        _ => raise(&refuse::unknown_event(event)),
    }
}

/// Called by the event trigger `imat_rewrite`. A query in SQL would read under the transaction's snapshot, which may be
/// older than a maintained table: see [`Bookkeeping::concerned`].
#[pg_extern(sql = r#"
CREATE FUNCTION imat_catalog.concerned_now(relations oid[]) RETURNS oid[] LANGUAGE c STRICT AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
REVOKE ALL ON FUNCTION imat_catalog.concerned_now(oid[]) FROM PUBLIC;
"#)]
fn concerned_now(relations: Vec<Oid>) -> Vec<Oid> {
    let bookkeeping = Bookkeeping::open().filter(|_| !running_ddl::is_own_ddl());
    bookkeeping.map(|bookkeeping| bookkeeping.concerned(&relations)).unwrap_or_default()
}
