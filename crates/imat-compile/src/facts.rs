//! What the compiler is told of the catalogs, as plain data.

use crate::name::QName;

/// Answers questions about names. The extension asks the system catalogs, tests use a literal.
pub trait Catalog {
    /// The relation of that name; `None` where there is none. Names are as `pg_get_viewdef`
    /// prints them under `search_path = pg_catalog`: unqualified means `pg_catalog`.
    fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation>;

    /// Whether a call to a function of that name is an aggregate call.
    fn is_aggregate(&self, schema: Option<&str>, name: &str) -> Call;
}

/// What calling a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// No aggregate has that name.
    Function,
    /// Only aggregates have that name.
    Aggregate,
    /// Both have, so the text alone does not tell.
    Ambiguous,
}

/// A relation that a FROM clause can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    Table(Table),
    /// A plain view: its columns' names, its definition as `pg_get_viewdef` gives it, and whether it is a
    /// security barrier.
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
    /// The columns of the primary key, by attribute number; empty where there is none. It comes and goes only when
    /// nobody else uses the table.
    pub primary_key: Vec<i16>,
    /// No row breaks it: neither has the table children, nor partitions that don't have it yet. These come and go at any time.
    pub key_holds: bool,
    /// Those that hold at the end of every statement, and have always done so.
    pub foreign_keys: Vec<ForeignKey>,
    /// The expressions of its indexes over all rows, as `pg_get_indexdef` prints them.
    pub indexed: Vec<String>,
}

impl Table {
    /// Whether values of the columns that are `given` belong to no more than one row, by the primary key.
    pub fn is_found_by(&self, given: impl Fn(&i16) -> bool) -> bool {
        self.key_holds && self.has_key_in(given)
    }

    /// Whether the primary key is among these columns.
    pub fn has_key_in(&self, columns: impl Fn(&i16) -> bool) -> bool {
        !self.primary_key.is_empty() && self.primary_key.iter().all(columns)
    }
}

/// Columns whose values, where none is NULL, are those of exactly one row of another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<i16>,
    /// The other table's OID.
    pub references: u32,
    pub referenced: Vec<i16>,
}

/// [`Column::hash`] of PostgreSQL's types of numbers; all integers have one.
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
    /// What its hash is that of: the OID of its type without domains, and one for all integers.
    /// `None` where equal values may differ in their hashes, or have none.
    pub hash: Option<u32>,
}

/// What planning must know of an expression's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// As `format_type` gives it, qualified where needed, with its modifier: `numeric(10,2)`.
    pub sql: String,
    /// Rendered and quoted, where it is not the type's default.
    pub collation: Option<String>,
    pub class: Class,
    /// Two equal values are always the same value: not so for `1.0` and `1.00`.
    pub identity: bool,
    /// One of PostgreSQL's own scalar types whose LEAST, `<=` and `min` agree.
    pub ordered: bool,
    /// The equality of GROUP BY, as an infix operator: `OPERATOR(pg_catalog.=)`.
    pub equality: Option<String>,
    /// Has a default btree, hash operator class.
    pub btree: bool,
    pub hash: bool,
    /// How many bytes its longest value has, where there is a longest.
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

/// The types whose aggregates the compiler can do arithmetic on.
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
