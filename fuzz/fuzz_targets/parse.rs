//! Any text is either understood or refused: no panic, no endless descent. What is
//! understood is recomposed to a text that is understood as well.
//!
//! `cargo +nightly fuzz run parse`

#![no_main]

use imat_compile::facts::{Call, Catalog, Column, Relation, Table};
use imat_compile::name::QName;
use imat_compile::parse::{comparable, parse};
use imat_compile::sql::probe::probe;
use imat_compile::sql::recompose::recompose;
use libfuzzer_sys::fuzz_target;

/// Every relation is a table of three columns.
struct Anything;

impl Catalog for Anything {
    fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        let column = |number: i16| Column {
            name: format!("c{number}"),
            number,
            not_null: number == 1,
        };
        Some(Relation::Table(Table {
            oid: 1,
            name: QName::new(schema.unwrap_or("pg_catalog"), name),
            columns: (1..=3).map(column).collect(),
            primary_key: vec![1],
        }))
    }

    fn is_aggregate(&self, _schema: Option<&str>, name: &str) -> Call {
        match name {
            "sum" | "count" | "min" | "string_agg" => Call::Aggregate,
            "both" => Call::Ambiguous,
            _ => Call::Function,
        }
    }
}

fuzz_target!(|text: &str| {
    comparable(text);
    for width in 1..4 {
        let names: Vec<String> = (0..width).map(|n| format!("o{n}")).collect();
        if let Ok(view) = parse(text, &names, &Anything) {
            probe(&view);
            let again = recompose(&view);
            if let Err(unsupported) = parse(again.as_str(), &names, &Anything) {
                // Every round adds parentheses, and there is a limit to them.
                assert!(
                    unsupported.construct.ends_with("this large"),
                    "{again}: {unsupported}"
                );
            }
        }
    }
});
