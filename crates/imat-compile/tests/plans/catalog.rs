//! The tables and views of the cases.

use imat_compile::facts::{Call, Catalog, Column, ForeignKey, Relation, Table};
use imat_compile::name::QName;

/// All are in the schema `shop`; `-` is a dropped column. OIDs ascend from 1001.
const TABLES: [(&str, &str); 4] = [
    (
        "sale",
        "id integer key, store integer not null, region text, -, clerk integer, code character varying(20) not null, \
         qty integer not null, price numeric(10,2) not null, cost numeric, weight double precision, \
         returned boolean, sold timestamp with time zone not null, paid boolean not null",
    ),
    ("store", "id integer key, city text not null, area integer"),
    ("staff", "id integer key, boss integer, name text not null, pay integer not null"),
    ("counted", "store integer, code text, n bigint"),
];

/// Name, columns, definition.
const VIEWS: [(&str, &[&str], &str); 3] = [
    (
        "big_sale",
        &["id", "store", "amount"],
        " SELECT sale.id,
    sale.store,
    (sale.price * (sale.qty)::numeric) AS amount
   FROM shop.sale
  WHERE (sale.qty > 10);",
    ),
    // A security barrier.
    (
        "kept_sale",
        &["store", "region", "qty"],
        " SELECT sale.store,
    sale.region,
    sale.qty
   FROM shop.sale
  WHERE (shop.is_known(sale.region) AND (sale.qty > 10));",
    ),
    // As a maintained table without groups is read.
    (
        "repeated",
        &["store", "code"],
        " SELECT s.store,
    s.code
   FROM (shop.counted s
     CROSS JOIN LATERAL generate_series((1)::bigint, s.n) generate_series(generate_series));",
    ),
];

const AGGREGATES: [&str; 9] = ["count", "sum", "avg", "min", "max", "stddev", "bool_and", "bool_or", "array_agg"];

/// The catalog of the cases.
pub struct Shop {
    /// Whether the primary keys hold for all rows.
    pub keys_hold: bool,
}

impl Catalog for Shop {
    fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        if schema != Some("shop") {
            return None;
        }
        let view = VIEWS.iter().find(|view| view.0 == name);
        let view = view.map(|(name, columns, definition)| Relation::View {
            name: QName::new("shop", *name),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            definition: (*definition).to_owned(),
            barrier: *name == "kept_sale",
        });
        view.or_else(|| {
            let found = || Table { key_holds: self.keys_hold, ..table(name) };
            TABLES.iter().any(|table| table.0 == name).then(|| Relation::Table(found()))
        })
    }

    fn is_aggregate(&self, schema: Option<&str>, name: &str) -> Call {
        match schema.is_none() && AGGREGATES.contains(&name) {
            true => Call::Aggregate,
            false => Call::Function,
        }
    }
}

/// The tables that a definition names, by OID.
pub fn tables_in(definition: &str) -> Vec<Table> {
    let words: Vec<&str> = definition.split(|c: char| !c.is_alphanumeric() && c != '.').collect();
    let names = TABLES.iter().map(|table| table.0);
    names.filter(|name| words.contains(&format!("shop.{name}").as_str())).map(table).collect()
}

/// The table of that name.
fn table(name: &str) -> Table {
    let position = TABLES.iter().position(|table| table.0 == name);
    let position = position.unwrap_or_else(|| panic!("no table {name}"));
    let columns = columns(position);
    Table {
        oid: 1001 + u32::try_from(position).expect("few tables"),
        name: QName::new("shop", name),
        primary_key: columns.iter().filter(|column| column.2 == "key").map(|column| column.0.number).collect(),
        key_holds: true,
        columns: columns.into_iter().map(|column| column.0).collect(),
        foreign_keys: foreign_keys(name),
        indexed: (name == "staff").then(|| "((name)::integer)".to_owned()).into_iter().collect(),
    }
}

/// Sales reference their stores.
fn foreign_keys(table: &str) -> Vec<ForeignKey> {
    let stores = ForeignKey { columns: vec![2], references: 1002, referenced: vec![1] };
    if table == "sale" { vec![stores] } else { Vec::new() }
}

/// The hash classes of PostgreSQL's types.
fn hash(declared: &str) -> Option<u32> {
    if declared.starts_with("timestamp with time zone") {
        return Some(1184);
    }
    match declared.split(' ').next()? {
        "smallint" | "integer" | "bigint" => Some(20),
        "text" => Some(25),
        "numeric" => Some(1700),
        _ => None,
    }
}

/// The declared type of a column, as `format_type` gives it.
pub fn column_type(table: &QName, column: &str) -> String {
    let position = TABLES.iter().position(|known| known.0 == table.name).expect("a table of the cases");
    let found = columns(position).into_iter().find(|known| known.0.name == column);
    found.unwrap_or_else(|| panic!("no column {column} in {table}")).1
}

/// Each column, its type, and whether it is `key`, `not null` or neither.
fn columns(table: usize) -> Vec<(Column, String, &'static str)> {
    let items = TABLES[table].1.split(", ").enumerate().filter(|(_, item)| *item != "-");
    items
        .map(|(position, item)| {
            let (name, rest) = item.split_once(' ').expect("a name and a type");
            let mark = ["key", "not null"].into_iter().find(|mark| rest.ends_with(mark)).unwrap_or_default();
            let number = i16::try_from(position + 1).expect("few columns");
            let column = Column { name: name.to_owned(), number, not_null: !mark.is_empty(), hash: hash(rest) };
            (column, rest.trim_end_matches(mark).trim_end().to_owned(), mark)
        })
        .collect()
}
