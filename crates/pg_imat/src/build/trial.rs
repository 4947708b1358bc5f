//! Tries whether the functions of a view find the objects that they name.
//!
//! A maintained table's functions run with `pg_catalog` as the search path. A function that names another object
//! without its schema works in its author's session, and would fail at the first row. So each function is tried when
//! the table is created: PostgreSQL validates SQL bodies, and every function is called once with made-up values. A
//! branch that this call does not take is not tried; [`crate::catalog::error_sources`] explains the error if it fails
//! later.

use imat_compile::error::Error;
use imat_compile::name::QName;
use imat_compile::sql::Sql;
use imat_compile::sql::probe::{self, Argument};

use crate::build::scratch::Scratch;
use crate::catalog::error_sources::UNRESOLVED;
use crate::catalog::facts::oid;
use crate::pg::context::with_settings;
use crate::pg::{error, spi, xact};
use crate::refuse;

/// Which functions are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// All functions of the query, because its owner has chosen to maintain it.
    OfAll,
    /// Only functions that belong to the role, because the others would run with its privileges.
    OfOwn,
}

/// A function without a search path of its own.
struct Function {
    oid: u32,
    is_own: bool,
    signature: String,
    name: QName,
    is_sql: bool,
    /// Made-up arguments. `None` if the function is polymorphic or variadic, or may build SQL from its arguments.
    arguments: Option<Vec<Argument>>,
}

/// Tries the functions that a view's query uses, as the owner of the scratch schema.
pub fn check(view: u32, scratch: &Scratch, trial: Trial) -> Result<(), Error> {
    functions(view, scratch.owner()).iter().try_for_each(|function| {
        let checked = if function.is_sql { attempt(scratch, || validate(function.oid)) } else { None };
        let called = function.arguments.as_ref().filter(|_| function.is_own || trial == Trial::OfAll);
        let call = called.map(|arguments| probe::call(&function.name, arguments));
        let missing = checked.or_else(|| call.and_then(|call| attempt(scratch, || spi::run(&call))));
        missing.map_or(Ok(()), |(state, message)| Err(refuse::hidden_name(&function.signature, state, &message)))
    })
}

/// The SQLSTATE and message of the error, if `body` fails because a name was not found.
fn attempt(scratch: &Scratch, body: impl FnOnce()) -> Option<(&'static str, String)> {
    // The client does not see messages of the trial.
    let quietly = || with_settings(&[("check_function_bodies", "on"), ("client_min_messages", "error")], body);
    let (code, message) = xact::trial(|| scratch.as_role(&[], quietly)).err()?;
    let state = error::state(code);
    UNRESOLVED.into_iter().find(|unresolved| *unresolved == state).map(|unresolved| (unresolved, message))
}

fn validate(function: u32) {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.fmgr_sql_validator($1)");
    spi::run_with(&QUERY, &[oid(function)]);
}

/// The functions of a view, and of the views that it reads, that look names up when they run: those that are not
/// compiled C code, have no BEGIN ATOMIC body, and don't set a search path of their own.
fn functions(view: u32, owner: u32) -> Vec<Function> {
    const QUERY: Sql = Sql::fixed(
        "SELECT DISTINCT p.oid, p.oid::pg_catalog.regprocedure::text, n.nspname::text, p.proname::text, l.lanname = 'sql', \
             p.prosrc ~* '\\mexecute\\M' OR p.provariadic <> 0 OR EXISTS ( \
                 SELECT FROM pg_catalog.unnest(p.proargtypes) AS a(type) JOIN pg_catalog.pg_type AS t ON t.oid = a.type \
                 WHERE t.typtype = 'p' OR t.typname LIKE 'reg%'), \
             ARRAY(SELECT pg_catalog.format_type(a.type, NULL) \
                 FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY AS a(type, place) ORDER BY a.place), \
             ARRAY(SELECT CASE WHEN t.typtype = 'm' OR t.typname IN ('json', 'jsonb') THEN '{}' \
                 WHEN t.typname IN ('time', 'timetz') THEN '00:00' WHEN t.typname = 'uuid' THEN pg_catalog.repeat('0', 32) \
                 ELSE CASE t.typcategory \
                     WHEN 'B' THEN 'true' WHEN 'D' THEN '2000-01-01' WHEN 'T' THEN '1 day' WHEN 'A' THEN '{}' \
                     WHEN 'R' THEN 'empty' WHEN 'I' THEN '127.0.0.1' \
                     WHEN 'E' THEN (SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e \
                         WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1) \
                     WHEN 'C' THEN '(' || pg_catalog.repeat(',', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS f \
                         WHERE f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped)::integer - 1) || ')' \
                     ELSE '1' END END \
                 FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY AS a(type, place) \
                 JOIN pg_catalog.pg_type AS t ON t.oid = a.type ORDER BY a.place), p.proowner = $2 \
         FROM imat_catalog.parts($1) AS u JOIN pg_catalog.pg_proc AS p ON p.oid = u.object \
             AND u.class = 'pg_catalog.pg_proc'::pg_catalog.regclass \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang \
         WHERE p.prokind = 'f' AND p.provolatile <> 'v' AND l.lanname NOT IN ('internal', 'c') AND p.prosqlbody IS NULL \
             AND n.nspname NOT IN ('pg_catalog', 'imat_catalog') \
             AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS c(setting) WHERE c.setting LIKE 'search\\_path=%') \
         ORDER BY 1",
    );
    spi::rows(&QUERY, &[oid(view), oid(owner)], |row| {
        let (types, values) = (row.need::<Vec<String>>(7), row.need::<Vec<Option<String>>>(8));
        let arguments = types.into_iter().zip(values).map(|(ty, value)| Argument { ty, value });
        Function {
            oid: row.oid(1),
            is_own: row.need(9),
            signature: row.need(2),
            name: QName::new(row.need::<String>(3), row.need::<String>(4)),
            is_sql: row.need(5),
            arguments: (!row.need::<bool>(6)).then(|| arguments.collect()),
        }
    })
}
