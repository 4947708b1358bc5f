//! Reads the facts that the compiler needs from the system catalogs.

use std::collections::{BTreeMap, BTreeSet};

use imat_compile::facts::{Call, Catalog, Class, Column, ForeignKey, Relation, Table, Type};
use imat_compile::name::QName;
use imat_compile::sql::Sql;
use pgrx::pg_sys::Oid;

use crate::pg::spi::{self, ColumnType, Param};

/// The current system catalogs, except for NOT NULL constraints that are newer than a state: a column that was nullable
/// when the state was created counts as nullable.
#[derive(Default)]
pub struct SystemCatalog {
    /// For each base table the columns that were NOT NULL then. `None` means that the current constraints count.
    pub not_null: Option<BTreeMap<u32, Vec<i16>>>,
    /// Whether foreign keys must be ignored.
    pub distrusts_keys: bool,
}

/// An OID as a statement's parameter.
pub fn oid(oid: u32) -> Param {
    Param::from(Oid::from(oid))
}

/// OIDs as a statement's parameter.
pub fn oids(oids: impl IntoIterator<Item = u32>) -> Param {
    Param::from(list(oids))
}

/// OIDs as PostgreSQL's type.
pub fn list(oids: impl IntoIterator<Item = u32>) -> Vec<Oid> {
    oids.into_iter().map(Oid::from).collect()
}

const RELATION: Sql = Sql::fixed(
    "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'v', EXISTS ( \
         SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o \
         WHERE o.option_name = 'security_barrier' AND o.option_value::boolean) \
     FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v')",
);

// Only built-in hash operator classes count for join keys. Others can be created at any time, and then sessions would
// lock different keys for the same rows. The equality of a user's class is never printed as PostgreSQL's own. NOT NULL
// and primary keys only count if they hold for the rows of all children: a child may drop a NOT NULL, which can also be
// NOT VALID (from 18 on), and a parent's primary key does not cover the rows of children.
const COLUMNS: Sql = Sql::fixed(
    "WITH RECURSIVE down AS ( \
         SELECT $1::oid AS relation \
         UNION SELECT i.inhrelid FROM down AS d JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.relation) \
     SELECT a.attname::text, a.attnum, NOT EXISTS ( \
         SELECT FROM down AS d JOIN pg_catalog.pg_attribute AS m ON m.attrelid = d.relation AND m.attname = a.attname \
         LEFT JOIN pg_catalog.pg_constraint AS c ON c.conrelid = m.attrelid AND c.contype = 'n' AND c.conkey[1] = m.attnum \
         WHERE NOT m.attnotnull OR NOT c.convalidated), \
         (SELECT CASE WHEN o.opcintype IN (21, 23) THEN 20 ELSE o.opcintype END FROM pg_catalog.pg_opclass AS o \
          JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod AND m.amname = 'hash' \
          WHERE o.opcdefault AND o.oid < 16384 AND o.opcintype = CASE a.atttypid WHEN 1043 THEN 25 ELSE a.atttypid END \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_collation AS n WHERE n.oid = a.attcollation AND NOT n.collisdeterministic)) \
     FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
);

const PRIMARY_KEY: Sql = Sql::fixed(
    "SELECT pg_catalog.unnest(i.indkey), i.indisvalid \
         AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = c.oid)) \
     FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid \
     WHERE c.oid = $1 AND i.indisprimary AND i.indimmediate",
);

// Foreign keys that hold at the end of every statement, for all rows that a query of the two tables reads, with the
// equality operator that a query's `=` resolves to.
const FOREIGN_KEYS: Sql = Sql::fixed(
    "SELECT c.conkey, c.confrelid, c.confkey FROM pg_catalog.pg_constraint AS c \
     WHERE c.conrelid = $1 AND c.contype = 'f' AND c.convalidated \
         AND (pg_catalog.to_jsonb(c) ->> 'conenforced') IS DISTINCT FROM 'false' \
         AND (pg_catalog.to_jsonb(c) ->> 'conperiod') IS DISTINCT FROM 'true' \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator AS o WHERE o.oid = ANY (c.conpfeqop) \
             AND (o.oprname <> '=' OR o.oprnamespace <> 'pg_catalog'::pg_catalog.regnamespace)) \
         AND NOT imat_catalog.is_passable(c.oid)",
);

const INDEXED: Sql = Sql::fixed(
    "SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k.n, false) \
     FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid, \
         pg_catalog.generate_series(1, i.indnkeyatts::integer) AS k (n) \
     WHERE i.indrelid = $1 AND i.indexprs IS NOT NULL AND i.indpred IS NULL AND i.indisvalid AND i.indkey[k.n - 1] = 0 \
         AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = c.oid))",
);

const DEFINITION: Sql = Sql::fixed("SELECT pg_catalog.pg_get_viewdef($1, false)");

const CALL: Sql = Sql::fixed(
    "SELECT pg_catalog.count(*) FILTER (WHERE p.prokind = 'a'), pg_catalog.count(*) FILTER (WHERE p.prokind <> 'a') \
     FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
     WHERE n.nspname = $1 AND p.proname = $2",
);

impl Catalog for SystemCatalog {
    fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        let schema = schema.unwrap_or("pg_catalog");
        let params = [Param::from(schema), Param::from(name)];
        let (relation, name, is_view, barrier) = spi::first(&RELATION, &params, |row| {
            let name = QName::new(row.need::<String>(2), row.need::<String>(3));
            (row.oid(1), name, row.need::<bool>(4), row.need::<bool>(5))
        })?;
        Some(match is_view {
            true => {
                let (columns, definition) = (column_names(relation), definition(relation));
                Relation::View { name, columns, definition, barrier }
            }
            false => Relation::Table(self.table(relation, name)),
        })
    }

    fn is_aggregate(&self, schema: Option<&str>, name: &str) -> Call {
        let params = [Param::from(schema.unwrap_or("pg_catalog")), Param::from(name)];
        let (aggregates, others) =
            spi::first(&CALL, &params, |row| (row.need::<i64>(1), row.need::<i64>(2))).unwrap_or((0, 0));
        match (aggregates, others) {
            (0, _) => Call::Function,
            (_, 0) => Call::Aggregate,
            _ => Call::Ambiguous,
        }
    }
}

impl SystemCatalog {
    fn table(&self, relation: u32, name: QName) -> Table {
        let relied_on = |number: i16| match &self.not_null {
            Some(tables) => tables.get(&relation).is_some_and(|columns| columns.contains(&number)),
            None => true,
        };
        let columns = spi::rows(&COLUMNS, &[oid(relation)], |row| {
            let number = row.need(2);
            let not_null = row.need::<bool>(3) && relied_on(number);
            let hash = row.get::<Oid>(4).map(Oid::to_u32);
            Column { name: row.need(1), number, not_null, hash }
        });
        let key: Vec<(i16, bool)> = spi::rows(&PRIMARY_KEY, &[oid(relation)], |row| (row.need(1), row.need(2)));
        let (primary_key, holds): (Vec<i16>, Vec<bool>) = key.into_iter().unzip();
        let foreign_keys = match self.distrusts_keys {
            true => Vec::new(),
            false => spi::rows(&FOREIGN_KEYS, &[oid(relation)], |row| ForeignKey {
                columns: row.need(1),
                references: row.oid(2),
                referenced: row.need(3),
            }),
        };
        let indexed = spi::rows(&INDEXED, &[oid(relation)], |row| row.need(1));
        Table { oid: relation, name, columns, primary_key, key_holds: !holds.contains(&false), foreign_keys, indexed }
    }
}

/// The numbers of the columns in which no row of a relation and its children has a NULL.
pub fn not_null(relation: u32) -> Vec<i16> {
    let numbers = spi::rows(&COLUMNS, &[oid(relation)], |row| row.need::<bool>(3).then(|| row.need::<i16>(2)));
    numbers.into_iter().flatten().collect()
}

/// A relation's live columns, in order.
pub fn column_names(relation: u32) -> Vec<String> {
    spi::rows(&COLUMNS, &[oid(relation)], |row| row.need(1))
}

/// A relation's live columns by their numbers.
pub fn columns_by_number(relation: u32) -> BTreeMap<i16, String> {
    spi::rows(&COLUMNS, &[oid(relation)], |row| (row.need(2), row.need(1))).into_iter().collect()
}

/// A search path with pg_catalog first and then the schemas of these operators.
pub fn path_to(operators: &BTreeSet<u32>) -> String {
    const SCHEMAS: Sql = Sql::fixed(
        "SELECT DISTINCT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_operator AS o \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace \
         WHERE o.oid = ANY ($1) AND n.nspname <> 'pg_catalog' ORDER BY 1",
    );
    let schemas = spi::rows(&SCHEMAS, &[oids(operators.iter().copied())], |row| row.need::<String>(1));
    let path = ["pg_catalog".to_owned()].into_iter().chain(schemas).chain(["pg_temp".to_owned()]);
    path.collect::<Vec<String>>().join(", ")
}

/// A view's query, as PostgreSQL prints it under the current search path.
pub fn definition(view: u32) -> String {
    spi::first(&DEFINITION, &[oid(view)], |row| row.get(1)).flatten().unwrap_or_default()
}

/// The scalar subqueries of a view and of the views that it reads.
pub fn scalar_subqueries(view: u32) -> Vec<String> {
    const VIEWS: Sql = Sql::fixed(
        "SELECT c.oid FROM imat_catalog.parts($1) AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.object AND c.relkind = 'v' \
         WHERE p.class = 'pg_catalog.pg_class'::pg_catalog.regclass ORDER BY c.oid <> $1, c.oid",
    );
    let views = spi::rows(&VIEWS, &[oid(view)], |row| row.oid(1));
    views.into_iter().flat_map(|view| imat_compile::parse::scalar_subqueries(&definition(view))).collect()
}

// A domain uses the operator classes of its base type, and its type modifier. For the greatest length of a value: a
// character has up to four bytes; four digits of a numeric have two bytes, with one more group at either end; plus
// headers.
const TYPE: Sql = Sql::fixed(
    "WITH RECURSIVE base AS ( \
         SELECT t.*, $2 AS modifier FROM pg_catalog.pg_type AS t WHERE t.oid = $1 \
         UNION ALL SELECT t.*, b.typtypmod FROM pg_catalog.pg_type AS t JOIN base AS b ON b.typtype = 'd' AND t.oid = b.typbasetype), \
     t AS (SELECT * FROM base WHERE typtype <> 'd'), \
     part AS ( \
         SELECT t.oid, t.typtype, t.typnamespace, t.typsubscript, t.typelem, t.typbasetype, 0 AS depth FROM t \
         UNION ALL SELECT i.oid, i.typtype, i.typnamespace, i.typsubscript, i.typelem, i.typbasetype, p.depth + 1 \
         FROM part AS p LEFT JOIN pg_catalog.pg_range AS r ON p.oid IN (r.rngtypid, r.rngmultitypid) \
         JOIN pg_catalog.pg_type AS i ON i.oid = CASE WHEN p.typtype = 'd' THEN p.typbasetype WHEN p.typsubscript = 'pg_catalog.array_subscript_handler'::regproc THEN p.typelem \
             WHEN p.typnamespace = 'pg_catalog'::regnamespace THEN r.rngsubtype END), \
     class AS ( \
         SELECT m.amname, o.opcfamily, o.opcintype FROM pg_catalog.pg_opclass AS o \
         JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod CROSS JOIN t \
         WHERE o.opcdefault AND m.amname IN ('btree', 'hash') \
           AND (o.opcintype = t.oid \
                OR (t.oid = 'varchar'::regtype AND o.opcintype = 'text'::regtype) \
                OR (t.typtype = 'e' AND o.opcintype = 'anyenum'::regtype) \
                OR (t.typtype = 'r' AND o.opcintype = 'anyrange'::regtype) \
                OR (t.typtype = 'm' AND o.opcintype = 'anymultirange'::regtype) \
                OR (t.typcategory = 'A' AND t.typelem <> 0 AND o.opcintype = 'anyarray'::regtype))) \
     SELECT pg_catalog.format_type($1, $2), \
         (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname) \
          FROM pg_catalog.pg_collation AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace \
          WHERE c.oid = $3 AND c.oid <> t.typcollation), \
         t.oid, \
         (SELECT 'OPERATOR(' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ')' \
          FROM class JOIN pg_catalog.pg_amop AS a ON a.amopfamily = class.opcfamily \
              AND a.amoplefttype = class.opcintype AND a.amoprighttype = class.opcintype AND a.amopstrategy = 3 \
          JOIN pg_catalog.pg_operator AS o ON o.oid = a.amopopr \
          JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace WHERE class.amname = 'btree' LIMIT 1), \
         EXISTS (SELECT FROM class WHERE amname = 'btree'), \
         EXISTS (SELECT FROM class WHERE amname = 'hash'), \
         CASE WHEN t.typlen > 0 THEN t.typlen \
             WHEN t.oid IN ('varchar'::regtype, 'bpchar'::regtype) AND t.modifier > 4 THEN 4 * (t.modifier - 4) + 4 \
             WHEN t.oid = 'numeric'::regtype AND t.modifier > 4 THEN ((t.modifier - 4) >> 16) / 2 + 14 \
             WHEN t.oid IN ('inet'::regtype, 'cidr'::regtype) THEN 22 END::int4, \
         t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' AND t.typcategory <> 'A', \
         coalesce((SELECT c.collisdeterministic FROM pg_catalog.pg_collation AS c WHERE c.oid = $3), true), \
         t.typtype = 'e', $2 >= 0, \
         p.oid, p.typtype = 'e' OR p.typnamespace = 'pg_catalog'::regnamespace AND p.typtype = 'b' \
     FROM t CROSS JOIN (SELECT * FROM part ORDER BY depth DESC LIMIT 1) AS p",
);

/// Whether equal values of a type are always identical. Among user-defined types that is known only of enums, and of
/// arrays of types with identical equal values; among range types only of built-in ones.
fn identity(base: u32, row: &spi::Row) -> bool {
    let (deterministic, modified) = (row.need::<bool>(9), row.need::<bool>(11));
    let (part, part_is_plain) = (row.oid(12), row.need::<bool>(13));
    let same_form = modified && SAME_WITH_MODIFIER.contains(&base);
    deterministic && part_is_plain && (same_form || !EQUAL_NOT_IDENTICAL.contains(&part))
}

/// The types that have only one form for each value if there is a type modifier: a scale or a length.
const SAME_WITH_MODIFIER: [u32; 2] = [pgrx::pg_sys::NUMERICOID.to_u32(), pgrx::pg_sys::BPCHAROID.to_u32()];

/// The types with equal values that are not identical.
const EQUAL_NOT_IDENTICAL: [u32; 7] = [
    pgrx::pg_sys::NUMERICOID.to_u32(),
    pgrx::pg_sys::FLOAT4OID.to_u32(),
    pgrx::pg_sys::FLOAT8OID.to_u32(),
    pgrx::pg_sys::INTERVALOID.to_u32(),
    pgrx::pg_sys::BPCHAROID.to_u32(),
    pgrx::pg_sys::JSONBOID.to_u32(),
    // Its comparison ignores weights and prefixes.
    pgrx::pg_sys::TSQUERYOID.to_u32(),
];

/// The facts about a result column's type.
pub fn type_of(column: ColumnType) -> Type {
    let params = [oid(column.oid), Param::from(column.modifier), oid(column.collation)];
    spi::first(&TYPE, &params, |row| {
        let (base, builtin) = (row.oid(3), row.need::<bool>(8));
        Type {
            sql: row.need(1),
            collation: row.get(2),
            class: if builtin { class(column.oid) } else { Class::Other },
            identity: identity(base, row),
            ordered: builtin && row.need::<bool>(5),
            equality: row.get(4),
            btree: row.need(5),
            hash: row.need(6),
            most_bytes: row.get::<i32>(7).and_then(|bytes| bytes.try_into().ok()),
        }
    })
    .unwrap_or_else(|| {
        crate::pg::error::raise(&imat_compile::error::Error::new(
            imat_compile::error::SqlState::FEATURE_NOT_SUPPORTED,
            "cannot maintain a view with a column of a pseudo-type",
        ))
    })
}

fn class(ty: u32) -> Class {
    use pgrx::pg_sys::*;
    match Oid::from(ty) {
        INT2OID => Class::Int2,
        INT4OID => Class::Int4,
        INT8OID => Class::Int8,
        NUMERICOID => Class::Numeric,
        FLOAT4OID => Class::Float4,
        FLOAT8OID => Class::Float8,
        MONEYOID => Class::Money,
        INTERVALOID => Class::Interval,
        BOOLOID => Class::Bool,
        _ => Class::Other,
    }
}

/// The types of a query's columns.
pub fn types_of(query: &Sql) -> Vec<Type> {
    spi::describe(query).into_iter().map(type_of).collect()
}

/// The types of a relation's columns.
pub fn column_types(relation: u32) -> Vec<Type> {
    const QUERY: Sql = Sql::fixed(
        "SELECT a.atttypid, a.atttypmod, a.attcollation FROM pg_catalog.pg_attribute AS a \
         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    );
    spi::rows(&QUERY, &[oid(relation)], |row| ColumnType {
        oid: row.oid(1),
        modifier: row.need(2),
        collation: row.oid(3),
    })
    .into_iter()
    .map(type_of)
    .collect()
}

/// The names and types of a relation's columns, as a column definition has them.
pub fn columns(relation: u32) -> Vec<(String, String)> {
    column_names(relation).into_iter().zip(column_types(relation).iter().map(Type::column_type)).collect()
}

/// A relation's name.
pub fn name(relation: u32) -> Option<QName> {
    const QUERY: Sql = Sql::fixed(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1",
    );
    spi::first(&QUERY, &[oid(relation)], |row| QName::new(row.need::<String>(1), row.need::<String>(2)))
}
