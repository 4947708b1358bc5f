//! Whether a view can be maintained at all, and what its result depends on.
//!
//! This reads PostgreSQL's analysed query, not its text: there every function call has an OID, also the calls
//! made by operators and casts.

use std::collections::BTreeSet;

use imat_compile::error::{Error, Unsupported};
use imat_compile::name::QName;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::build::stand_in::StandIns;
use crate::catalog::citus;
use crate::catalog::facts::{self, oid, oids};
use crate::pg::context;
use crate::pg::error::server_version;
use crate::pg::query::{self, Contents};
use crate::pg::spi::{self, Param};
use crate::refuse;

/// A base table and the relations through which its rows can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub oid: u32,
    pub name: QName,
    /// The table itself, its partitions or children, and its parents.
    pub relations: Vec<u32>,
}

/// The facts about a view that decide whether and how it is maintained.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub bases: Vec<Base>,
    /// The view and the views below it.
    pub views: Vec<u32>,
    /// The maintained tables that are read instead of materialized views.
    pub stand_ins: StandIns,
    /// A reason to recompute the view whole that is not in its text.
    pub whole: Option<Unsupported>,
    /// Whether its expressions depend on [`SETTINGS`].
    pub follows_settings: bool,
    /// Whether its expressions depend on the default text search configuration.
    pub searches_text: bool,
}

/// The contents of a view and of all views that it reads. Its relations are the base tables only, not the views.
fn contents(view: u32, seen: &mut BTreeSet<u32>, stand_ins: &StandIns) -> Contents {
    let mut all = stand_ins.contents(view);
    for relation in std::mem::take(&mut all.relations) {
        if relation == view || !seen.insert(relation) {
            continue;
        }
        if kind(relation).is_some_and(|kind| kind.kind == 'v') {
            let below = contents(relation, seen, &StandIns::default());
            all.relations.extend(&below.relations);
            all.add(below);
        } else {
            all.relations.insert(relation);
        }
    }
    all
}

/// A relation as the catalogs describe it.
struct Kind {
    oid: u32,
    kind: char,
    persistence: char,
    system: bool,
    row_security: bool,
    virtual_columns: bool,
    generated_columns: bool,
    owned: bool,
    name: QName,
}

fn kind(relation: u32) -> Option<Kind> {
    kinds(&[relation], None).pop()
}

/// The existing ones of these relations. `owned` says whether `user` owns the relation; without a user it is true.
fn kinds(relations: &[u32], user: Option<u32>) -> Vec<Kind> {
    const QUERY: Sql = Sql::fixed(
        "SELECT c.relkind::text, c.relpersistence::text, n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'imat_catalog'), \
             c.relrowsecurity, \
             EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attgenerated = 'v'), \
             EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attgenerated = 's'), \
             n.nspname::text, c.relname::text, c.oid, coalesce(pg_catalog.pg_has_role($2, c.relowner, 'USAGE'), true) \
         FROM pg_catalog.unnest($1) WITH ORDINALITY AS r(oid, place) JOIN pg_catalog.pg_class AS c ON c.oid = r.oid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace ORDER BY r.place",
    );
    let letter = |text: String| text.chars().next().unwrap_or(' ');
    let user: Param = user.map(Oid::from).into();
    spi::rows(&QUERY, &[oids(relations.iter().copied()), user], |row| Kind {
        oid: row.oid(9),
        kind: letter(row.need(1)),
        persistence: letter(row.need(2)),
        system: row.need(3),
        row_security: row.need(4),
        virtual_columns: row.need(5),
        generated_columns: row.need(6),
        owned: row.need(10),
        name: QName::new(row.need::<String>(7), row.need::<String>(8)),
    })
}

/// Whether `user` owns the relation, also as a member of the owner that inherits from it.
pub fn owns(user: u32, relation: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT pg_catalog.pg_has_role($1, c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c WHERE c.oid = $2",
    );
    spi::first(&QUERY, &[oid(user), oid(relation)], |row| row.need(1)).unwrap_or(false)
}

fn check_base(kind: &Kind) -> Result<(), Error> {
    let name = match kind.persistence {
        't' => imat_compile::name::ident(&kind.name.name),
        _ => kind.name.to_string(),
    };
    let refuse = |what, detail, hint| Err(refuse::base(&name, what, detail, hint));
    match (kind.kind, kind.persistence) {
        ('f', _) => refuse(
            "foreign table",
            "Changes on the other server can't be seen here.",
            "Copy the rows into a table, and maintain a view over that.",
        ),
        ('m', _) => refuse(
            "materialized view",
            "A REFRESH can't be captured.",
            "Call create_imat on that materialized view first. Where a query names it itself, and not by way of a view, \
             the maintained table is then read in its place.",
        ),
        ('r' | 'p', _) if kind.system => {
            refuse("system catalog", "Changes to a system catalog can't be captured.", "Query it directly.")
        }
        ('r' | 'p', 't') => refuse(
            "temporary table",
            "It ends with the session, and a maintained table does not.",
            "Use a permanent table.",
        ),
        ('r', 'u') => refuse(
            "unlogged table",
            "A crash empties it, and would leave the maintained table as it was.",
            "Call ALTER TABLE ... SET LOGGED first.",
        ),
        ('r' | 'p', _) if kind.row_security => refuse(
            "table with row-level security",
            "What a reader may see depends on the reader, and a maintained table is the same for all.",
            "Disable row-level security on the table, or put policies on a view over the maintained table.",
        ),
        ('r' | 'p', _) if !kind.owned => Err(refuse::not_owner("table", &name)),
        ('r' | 'p', _) => Ok(()),
        _ => refuse("relation", "It is neither a table nor a view.", "Use tables and views."),
    }
}

// Queries no longer read a partition whose concurrent detachment has begun.
const HIERARCHY: Sql = Sql::fixed(
    "WITH RECURSIVE down AS ( \
         SELECT $1::oid AS oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN down AS d ON i.inhparent = d.oid \
             WHERE NOT i.inhdetachpending), \
     up AS ( \
         SELECT d.oid FROM down AS d UNION SELECT i.inhparent FROM pg_catalog.pg_inherits AS i JOIN up AS u ON i.inhrelid = u.oid \
             WHERE NOT i.inhdetachpending) \
     SELECT oid, false FROM down UNION ALL SELECT oid, true FROM up WHERE oid NOT IN (SELECT d.oid FROM down AS d)",
);

/// The inheritance hierarchy of a base table: the relations through which its rows can change. True means an ancestor.
pub fn hierarchy(base: u32) -> Vec<(u32, bool)> {
    spi::rows(&HIERARCHY, &[oid(base)], |row| (row.oid(1), row.need(2)))
}

/// Checks that a base table of an existing maintained table, whose hierarchy has changed, may still be one. The owners
/// of its members don't matter.
pub fn check_hierarchy(base_table: u32) -> Result<Option<Unsupported>, Error> {
    let mut whole = None;
    base(base_table, None, &mut whole)?;
    Ok(whole)
}

fn base(relation: u32, user: Option<u32>, whole: &mut Option<Unsupported>) -> Result<Base, Error> {
    let hierarchy = hierarchy(relation);
    if let Some(table) = citus::managed(hierarchy.iter().map(|&(member, _)| member)).and_then(facts::name) {
        return Err(refuse::citus_table(&table.to_string()));
    }
    let mut name = None;
    let above: BTreeSet<u32> = hierarchy.iter().filter(|(_, above)| *above).map(|&(member, _)| member).collect();
    let members: Vec<u32> = hierarchy.into_iter().map(|(member, _)| member).collect();
    for kind in kinds(&members, user) {
        check_base(&kind)?;
        if above.contains(&kind.oid) {
            *whole = Some(Unsupported::new("partition or inheritance child that is read on its own"));
        }
        if kind.virtual_columns {
            *whole = Some(Unsupported::new("table with virtual generated columns"));
        }
        if kind.generated_columns && members.len() > 1 && server_version() < 160_000 {
            return Err(refuse::generated_columns(&kind.name.to_string()));
        }
        // If a row is routed to a partition with another column order, PostgreSQL adds it to the transition
        // table before it computes the generated columns.
        if kind.kind == 'p' && kind.generated_columns {
            *whole = Some(Unsupported::new("partitioned table with generated columns"));
        }
        if kind.oid == relation {
            name = Some(kind.name);
        }
    }
    let name = name.ok_or_else(|| refuse::missing(&relation.to_string()))?;
    Ok(Base { oid: relation, name, relations: members })
}

/// Stable functions whose result depends on the arguments and on settings only. The settings are pinned, so the
/// result does not change. The input functions of dates and times are not listed: they read the clock for 'now'. The
/// input functions of arrays and other container types call those of the elements, which are checked too.
const STABLE_BY_SETTINGS: &str = "^(date_trunc|date_part|extract|to_char|to_date|to_timestamp|to_number|timezone\
|timestamp|timestamptz|date|time|timetz|make_timestamptz|generate_series\
|timestamptz_(pl|mi)_interval|interval_pl_timestamptz\
|(date|timestamp|timestamptz)_(eq|ne|lt|le|gt|ge|cmp)_(date|timestamp|timestamptz)\
|(timestamptz|timestamp|date|time|timetz|interval|array|record|range|multirange|enum|cash|numeric|anyarray|anyenum)_?out\
|textanycat|anytextcat|concat|concat_ws|format|quote_literal|quote_nullable|array_to_string\
|to_jsonb?|row_to_json|array_to_json|jsonb?_build_(array|object)|jsonb?_agg(_strict)?\
|jsonb?_object_agg(_unique|_strict|_unique_strict)?|json_agg_.*|jsonb_agg_.*|json_object_agg_.*|jsonb_object_agg_.*\
|overlaps|cash_in|cash_numeric|numeric_cash|int4_cash|int8_cash|numeric|money\
|interval_in|(array|domain|enum|range|multirange|record)_in|jsonb?_(to|populate)_record(set)?|pg_typeof\
|(json_|jsonb_)?to_tsvector|(plain|phrase|websearch_)?to_tsquery|ts_headline|ts_match_(tt|tq))$";

/// The functions of STABLE_BY_SETTINGS that use the default text search configuration.
const TEXT_SEARCH: &str =
    "^((json_|jsonb_)?to_tsvector|(plain|phrase|websearch_)?to_tsquery|ts_headline|ts_match_(tt|tq))$";

/// Functions that are declared immutable, although their result depends on a setting.
const FOLLOWS_SETTINGS: &str = "^(float4out|float8out|byteaout|interval_out|quote_ident|timezone)$";

// A stable function that takes any type, such as to_json, and a construct that prints a value, such as XMLELEMENT, call
// the output function of the value's type and of its element types. JSON functions also use a cast to json. A function
// that makes a `timetz` from anything but a `timestamptz` uses today's offset of the zone. A direct call of an input
// function may read any type, since an argument names the type.
const FUNCTIONS: Sql = Sql::fixed(
    "WITH RECURSIVE written AS ( \
         SELECT w.function, w.argument \
         FROM ROWS FROM (pg_catalog.unnest($4::oid[]), pg_catalog.unnest($5::oid[])) AS w(function, argument)), \
     called AS ( \
         SELECT w.function, w.argument FROM written AS w \
         UNION SELECT f.oid, c.argument FROM written AS c JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = c.function \
             CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn, a.aggfinalfn]::oid[]) AS f(oid)), \
     converted AS ( \
         SELECT c.argument AS type, false AS reads FROM called AS c \
             JOIN pg_catalog.pg_proc AS p ON p.oid = c.function AND p.provolatile = 's' \
             WHERE EXISTS (SELECT FROM pg_catalog.unnest(p.proargtypes) AS a(type) \
                 JOIN pg_catalog.pg_type AS t ON t.oid = a.type AND t.typtype = 'p') \
         UNION SELECT p.type, false FROM pg_catalog.unnest($6::oid[]) AS p(type) \
         UNION SELECT r.type, true FROM pg_catalog.unnest($7::oid[]) AS r(type) \
         UNION SELECT part.type, c.reads FROM converted AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.type \
             CROSS JOIN LATERAL ( \
                 SELECT t.typelem UNION ALL SELECT t.typbasetype \
                 UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE t.oid IN (r.rngtypid, r.rngmultitypid) \
                 UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a \
                     WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped \
                 UNION ALL SELECT f.type FROM pg_catalog.unnest($8::oid[]) AS f(type) WHERE t.typname = 'record') AS part(type) \
             WHERE part.type <> 0), \
     reached AS ( \
         SELECT f.oid FROM pg_catalog.unnest($1::oid[]) AS f(oid) \
         UNION SELECT c.function FROM called AS c \
         UNION SELECT CASE WHEN c.reads THEN t.typinput ELSE t.typoutput END::oid \
             FROM converted AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.type \
         UNION SELECT p.castfunc FROM converted AS c \
             JOIN pg_catalog.pg_cast AS p ON p.castsource = c.type AND p.casttarget = 'pg_catalog.json'::pg_catalog.regtype) \
     SELECT p.oid::pg_catalog.regprocedure::text, p.provolatile = 'v', \
         p.provolatile = 's' AND NOT (n.nspname = 'pg_catalog' AND p.proname ~ $2 \
                 AND NOT (p.prorettype = 'timetz'::pg_catalog.regtype AND 'timestamptz'::pg_catalog.regtype <> ALL (p.proargtypes)) \
                 AND NOT EXISTS (SELECT FROM written AS w WHERE w.function = p.oid AND w.argument = 'cstring'::pg_catalog.regtype \
                     AND p.proname ~ '_in$')) \
             AND NOT (n.nspname = 'pg_catalog' AND EXISTS (SELECT FROM pg_catalog.pg_aggregate AS a \
                 WHERE p.oid IN (a.aggtransfn, a.aggfinalfn) AND a.aggfnoid = ANY ($1))), \
         p.provolatile = 's' OR p.proname ~ $3, n.nspname = 'pg_catalog', n.nspname LIKE 'pg\\_temp\\_%', \
         n.nspname = 'pg_catalog' AND p.provolatile = 's' AND p.proname ~ $9, \
         p.provolatile = 's' AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proargtypes) AS a(type) \
             JOIN pg_catalog.pg_type AS t ON t.oid = a.type WHERE t.typtype = 'p') OR p.proname ~ $3 \
     FROM reached AS r JOIN pg_catalog.pg_proc AS p ON p.oid = r.oid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace ORDER BY 1",
);

/// The settings that an expression's value can depend on.
pub const SETTINGS: [&str; 12] = [
    "TimeZone",
    "timezone_abbreviations",
    "DateStyle",
    "default_text_search_config",
    "IntervalStyle",
    "extra_float_digits",
    "bytea_output",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "xmlbinary",
    "quote_all_identifiers",
];

/// Refuses functions that can return another result for the same arguments. Returns all functions of the query.
fn check_functions(contents: &Contents) -> Result<Vec<Function>, Error> {
    let params = [
        oids(contents.functions.iter().copied()),
        STABLE_BY_SETTINGS.into(),
        FOLLOWS_SETTINGS.into(),
        oids(contents.calls.iter().map(|call| call.0)),
        oids(contents.calls.iter().map(|call| call.1)),
        oids(contents.printed.iter().copied()),
        oids(contents.read.iter().copied()),
        oids(contents.fields.iter().copied()),
        TEXT_SEARCH.into(),
    ];
    let found = spi::rows(&FUNCTIONS, &params, |row| Function {
        name: row.need(1),
        volatile: row.need(2),
        unpredictable: row.need(3),
        follows_settings: row.need(4),
        builtin: row.need(5),
        temporary: row.need(6),
        searches_text: row.need(7),
        follows_by_itself: row.need(8),
    });
    for function in &found {
        match function {
            Function { volatile: true, name, .. } => return Err(refuse::volatile(name)),
            Function { unpredictable: true, name, builtin, .. } => return Err(refuse::stable(name, *builtin)),
            Function { temporary: true, name, .. } => {
                return Err(refuse::temporary_object(&format!("function {name}")));
            }
            _ => {}
        }
    }
    Ok(found)
}

struct Function {
    name: String,
    volatile: bool,
    unpredictable: bool,
    follows_settings: bool,
    builtin: bool,
    temporary: bool,
    searches_text: bool,
    /// Whether the function itself depends on a setting, not only the output functions of its arguments' types.
    follows_by_itself: bool,
}

/// Refuses temporary objects: no event trigger fires when the end of the session drops them.
fn check_temporary(view: u32) -> Result<(), Error> {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.type || ' ' || i.identity FROM imat_catalog.parts($1) AS p \
         CROSS JOIN LATERAL pg_catalog.pg_identify_object(p.class, p.object, 0) AS i \
         WHERE i.schema LIKE 'pg\\_temp\\_%' \
             AND p.class NOT IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass) \
             AND (p.class, p.object) <> ('pg_catalog.pg_class'::pg_catalog.regclass, $1) ORDER BY 1 LIMIT 1",
    );
    match spi::first(&QUERY, &[oid(view)], |row| row.need::<String>(1)) {
        Some(name) => Err(refuse::temporary_object(&name)),
        None => Ok(()),
    }
}

/// Which view is analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user's view, from which the definition will be made.
    Source,
    /// The definition of a maintained table.
    Definition,
}

/// Refuses casts of text to dates and times that can read the clock. A definition has none (see [`crate::pg::clock`]),
/// but the views that it reads are used unchanged.
fn check_casts(view: u32, seen: &BTreeSet<u32>, subject: Subject) -> Result<(), Error> {
    let is_unchecked = |&below: &u32| query::of_view(below).reads_clock;
    let mut views = seen.iter().copied().filter(|&below| kind(below).is_some_and(|kind| "vm".contains(kind.kind)));
    let found = views.find(|below| is_unchecked(below) && (*below != view || subject == Subject::Definition));
    found.map_or(Ok(()), |below| {
        Err(refuse::cast_below(&facts::name(below).map_or_else(String::new, |name| name.to_string())))
    })
}

/// Analyses a view. `user` must own the tables that it reads; without a user, owners are not checked, as for a
/// view that is maintained already.
pub fn analyze(view: u32, subject: Subject, user: Option<u32>) -> Result<Analysis, Error> {
    if facts::column_names(view).is_empty() {
        return Err(refuse::no_columns());
    }
    let mut seen = BTreeSet::from([view]);
    let stand_ins = StandIns::of(view);
    let contents = contents(view, &mut seen, &stand_ins);
    if contents.session_values {
        return Err(refuse::session_value());
    }
    if contents.system_columns {
        return Err(refuse::system_column());
    }
    if contents.tablesample {
        return Err(refuse::tablesample());
    }
    if let Some(node) = &contents.unknown {
        return Err(refuse::unknown_node(node));
    }
    if contents.reads_clock {
        check_casts(view, &seen, subject)?;
    }
    let functions = check_functions(&contents)?;
    let mut whole = contents.target_sets.then(|| Unsupported::new("set-returning function among the outputs"));
    let bases = contents
        .relations
        .iter()
        .map(|&relation| base(relation, user, &mut whole))
        .collect::<Result<Vec<Base>, Error>>()?;
    check_temporary(view)?;
    let views = seen.difference(&contents.relations).copied().collect();
    let follows_settings = contents.follows_settings || functions.iter().any(|function| function.follows_settings);
    let searches_text = functions.iter().any(|function| function.searches_text);
    Ok(Analysis { bases, views, stand_ins, whole, follows_settings, searches_text })
}

/// Whether the expressions of a view depend on the reader's settings.
pub fn depends_on_reader(view: u32) -> Result<bool, Error> {
    let contents = query::of_view(view);
    let functions = check_functions(&contents)?;
    Ok(contents.follows_settings || functions.iter().any(|function| function.follows_by_itself))
}

/// Refuses a view that uses a default text search configuration made by a user. The setting creates no dependency on
/// the configuration, so pg_imat would not notice when that is altered. PostgreSQL's own configurations don't change.
pub fn check_text_search(analysis: &Analysis) -> Result<(), Error> {
    let configuration = context::setting("default_text_search_config");
    match analysis.searches_text && !configuration.starts_with("pg_catalog.") {
        true => Err(refuse::own_text_search(&configuration)),
        false => Ok(()),
    }
}

/// A relation's kind in words, or `None` for a view.
pub fn describe_kind(relation: u32) -> Option<&'static str> {
    Some(match kind(relation)?.kind {
        'v' | 'm' => return None,
        'r' => "a table",
        'p' => "a partitioned table",
        'f' => "a foreign table",
        'S' => "a sequence",
        'i' | 'I' => "an index",
        'c' => "a composite type",
        _ => "a relation of another kind",
    })
}

/// A relation's owner.
pub fn owner(relation: u32) -> u32 {
    const QUERY: Sql = Sql::fixed("SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = $1");
    spi::first(&QUERY, &[oid(relation)], |row| row.oid(1)).unwrap_or_default()
}
