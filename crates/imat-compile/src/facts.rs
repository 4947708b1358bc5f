//! The catalog facts that the compiler needs, as plain data.

use crate::name::QName;

/// Looks names up. The extension reads the system catalogs, tests use literal data.
pub trait Catalog {
    /// The relation of that name, or `None` if there is none. Names are as `pg_get_viewdef` prints them under
    /// `search_path = pg_catalog`: unqualified means `pg_catalog`.
    fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation>;

    /// Whether a call to a function of that name is an aggregate call.
    fn is_aggregate(&self, schema: Option<&str>, name: &str) -> Call;
}

/// The kind of function that a name can mean in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// No aggregate has that name.
    Function,
    /// Only aggregates have that name.
    Aggregate,
    /// Both an aggregate and another function have that name, so the text alone does not tell.
    Ambiguous,
}

/// A relation that a FROM clause can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    Table(Table),
    /// A plain view: its column names, its definition as `pg_get_viewdef` prints it, and whether it is a security
    /// barrier.
    View {
        name: QName,
        columns: Vec<String>,
        definition: String,
        barrier: bool,
    },
}

/// A table whose changes can be captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub oid: u32,
    pub name: QName,
    /// The live columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the primary key, by attribute number; empty if there is none. A primary key is created and
    /// dropped only under a lock that excludes other users of the table.
    pub primary_key: Vec<i16>,
    /// Whether the key holds for all rows that a query reads: the table has no children, and no partitions without the
    /// key. Those can be created and attached at any time.
    pub key_holds: bool,
    /// The foreign keys that hold at the end of every statement, and have always held.
    pub foreign_keys: Vec<ForeignKey>,
    /// The expressions of its indexes without a predicate, as `pg_get_indexdef` prints them.
    pub indexed: Vec<String>,
}

impl Table {
    /// Whether the primary key is among the columns that are `given`, and holds, so that they determine at most one
    /// row.
    pub fn is_found_by(&self, given: impl Fn(&i16) -> bool) -> bool {
        self.key_holds && self.has_key_in(given)
    }

    /// Whether the primary key is among these columns.
    pub fn has_key_in(&self, columns: impl Fn(&i16) -> bool) -> bool {
        !self.primary_key.is_empty() && self.primary_key.iter().all(columns)
    }
}

/// Columns that reference exactly one row of another table, if none of them is NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<i16>,
    /// The other table's OID.
    pub references: u32,
    pub referenced: Vec<i16>,
}

/// [`Column::hash`] of PostgreSQL's number types; all integers have the same.
pub mod hashes {
    pub const INTEGER: u32 = 20;
    pub const REAL: u32 = 700;
    pub const DOUBLE: u32 = 701;
    pub const NUMERIC: u32 = 1700;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// `pg_attribute.attnum`.
    pub number: i16,
    pub not_null: bool,
    /// Identifies the hash function: the OID of the type without domains, and one OID for all integers. `None` if equal
    /// values can have different hashes, or the type has no hash function.
    pub hash: Option<u32>,
}

/// The facts about an expression's type that planning needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// The type as `format_type` prints it, qualified if needed, with its modifier: `numeric(10,2)`.
    pub sql: String,
    /// The collation as quoted SQL, unless it is the type's default.
    pub collation: Option<String>,
    pub class: Class,
    /// Whether equal values are always identical: not so for `1.0` and `1.00`.
    pub identity: bool,
    /// Whether it is one of PostgreSQL's own scalar types whose LEAST, `<=` and `min` agree.
    pub ordered: bool,
    /// The equality operator of GROUP BY, in infix form: `OPERATOR(pg_catalog.=)`.
    pub equality: Option<String>,
    /// Whether it has a default btree, or hash, operator class.
    pub btree: bool,
    pub hash: bool,
    /// The bytes of its longest value, if there is a limit.
    pub most_bytes: Option<u32>,
}

impl Type {
    /// The type as a column definition has it.
    pub fn column_type(&self) -> String {
        match &self.collation {
            Some(collation) => format!("{} COLLATE {collation}", self.sql),
            None => self.sql.clone(),
        }
    }
}

/// The types for whose aggregates the compiler has incremental rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Int2,
    Int4,
    Int8,
    Numeric,
    Float4,
    Float8,
    Money,
    Interval,
    Bool,
    Other,
}
