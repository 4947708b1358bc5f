//! Catalogs recorded from servers, as tab-separated lines in the escaping of COPY:
//!
//! ```text
//! R oid schema name v|t               a relation: view or table
//! C oid number name not-null in-key   a column of it
//! D oid definition                    a view's `pg_get_viewdef`
//! A schema name only                  an aggregate, and whether no function has its name
//! ```

use std::collections::BTreeMap;

use imat_compile::facts::{Call, Catalog, Column, Relation, Table};
use imat_compile::name::QName;

#[derive(Default)]
pub struct Fixture {
    relations: BTreeMap<(String, String), Relation>,
    aggregates: BTreeMap<(String, String), Call>,
}

/// A view of the fixture.
pub struct Recorded {
    pub name: QName,
    pub columns: Vec<String>,
    pub definition: String,
}

impl Fixture {
    pub fn read(text: &str) -> Self {
        let mut fixture = Self::default();
        let mut heads = Vec::new();
        let mut columns: BTreeMap<String, Vec<(Column, bool)>> = BTreeMap::new();
        let mut definitions = BTreeMap::new();
        for line in text.lines() {
            let fields: Vec<String> = line.split('\t').map(unescaped).collect();
            let words: Vec<&str> = fields.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["R", oid, schema, name, kind] => {
                    heads.push(((*oid).to_owned(), QName::new(*schema, *name), *kind == "v"))
                }
                ["C", oid, number, name, not_null, key] => {
                    let number = number.parse().expect("an attribute number");
                    let column = Column { name: (*name).to_owned(), number, not_null: *not_null == "t", hash: None };
                    columns.entry((*oid).to_owned()).or_default().push((column, *key == "t"));
                }
                ["D", oid, definition] => {
                    definitions.insert((*oid).to_owned(), (*definition).to_owned());
                }
                ["A", schema, name, only] => {
                    let call = if *only == "t" { Call::Aggregate } else { Call::Ambiguous };
                    fixture.aggregates.insert(((*schema).to_owned(), (*name).to_owned()), call);
                }
                _ => panic!("not a line of a fixture: {line}"),
            }
        }
        for (oid, name, is_view) in heads {
            let columns = columns.remove(&oid).unwrap_or_default();
            let key = (name.schema.clone(), name.name.clone());
            let relation = if is_view {
                let definition = definitions[&oid].clone();
                let columns = columns.into_iter().map(|(column, _)| column.name).collect();
                Relation::View { name, columns, definition, barrier: false }
            } else {
                table(oid.parse().expect("an OID"), name, columns)
            };
            fixture.relations.insert(key, relation);
        }
        fixture
    }

    pub fn views(&self) -> impl Iterator<Item = Recorded> + '_ {
        self.relations.values().filter_map(|relation| match relation.clone() {
            Relation::View { name, columns, definition, .. } => Some(Recorded { name, columns, definition }),
            Relation::Table(_) => None,
        })
    }
}

fn table(oid: u32, name: QName, columns: Vec<(Column, bool)>) -> Relation {
    let in_key = columns.iter().filter(|(_, key)| *key);
    let primary_key = in_key.map(|(column, _)| column.number).collect();
    let columns = columns.into_iter().map(|(column, _)| column).collect();
    Relation::Table(Table {
        oid,
        name,
        columns,
        primary_key,
        key_holds: true,
        foreign_keys: Vec::new(),
        indexed: Vec::new(),
    })
}

fn unescaped(field: &str) -> String {
    let mut out = String::new();
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(other)) => out.push(other),
            _ => out.push(c),
        }
    }
    out
}

impl Catalog for Fixture {
    fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        let key = (schema.unwrap_or("pg_catalog").to_owned(), name.to_owned());
        self.relations.get(&key).cloned()
    }

    fn is_aggregate(&self, schema: Option<&str>, name: &str) -> Call {
        let key = (schema.unwrap_or("pg_catalog").to_owned(), name.to_owned());
        self.aggregates.get(&key).copied().unwrap_or(Call::Function)
    }
}
