//! Statements that read one table to change another, or change two at once.

use super::basic::{assignments, names};
use super::{Dml, condition};
use crate::pg::ident;
use crate::random::schema::{Column, Role, Table};

/// An expression over `s`, a row of `source`, that has the column's type; a literal if there is none.
fn fitting(d: &mut Dml, column: &Column, source: &Table) -> String {
    let fit: Vec<&Column> = source
        .columns
        .iter()
        .filter(|c| c.ty == column.ty && (column.role == Role::Value) == (c.role == Role::Value))
        .collect();
    if fit.is_empty() || d.dice.chance(30) {
        return d.literal(column);
    }
    format!("s.{}", ident(&d.dice.pick(&fit).name))
}

pub fn insert_select(d: &mut Dml) -> String {
    let place = d.place();
    let table = d.table(&place);
    let source = d.dice.pick(&d.schema.tables).clone();
    let columns = table.writable();
    let shift = d.dice.range(0, 20);
    let items: Vec<String> = columns
        .iter()
        .map(|c| match c.role {
            Role::Id => format!("(s.id + {shift}) % 40"),
            _ => fitting(d, c, &source),
        })
        .collect();
    let filter = condition(d, &source, "s.");
    let order: Vec<String> = source.columns.iter().map(|c| ident(&c.name)).collect();
    // The source is limited to a few rows, in an order without ties.
    let inner =
        format!("SELECT * FROM {} AS s WHERE {filter} ORDER BY {} LIMIT 6", ident(&source.name), order.join(", "));
    format!("INSERT INTO {} ({}) SELECT {} FROM ({inner}) AS s", ident(&place.name), names(&columns), items.join(", "))
}

pub fn update_from(d: &mut Dml) -> String {
    let place = d.place();
    let table = d.table(&place);
    let source = d.dice.pick(&d.schema.tables).clone();
    let (key, source_key) = (ident(&table.key().name), ident(&source.key().name));
    let numbers: Vec<&Column> = table.columns.iter().filter(|c| c.role == Role::Value && c.ty.is_number()).collect();
    let (set, value) = match numbers.as_slice() {
        [] => (key.clone(), format!("max({source_key})")),
        some => (ident(&d.dice.pick(some).name), "count(*)".to_owned()),
    };
    let filter = condition(d, &source, "o.");
    format!(
        "UPDATE {} AS t SET {set} = s.x FROM (SELECT {source_key} AS k, {value} AS x FROM {} AS o WHERE {filter} GROUP BY 1) AS s \
         WHERE t.{key} = s.k",
        ident(&place.name),
        ident(&source.name)
    )
}

/// An upsert into a table with a primary key; for another table a plain insert of the same rows.
pub fn upsert(d: &mut Dml) -> String {
    let keyed: Vec<usize> = (0..d.schema.tables.len()).filter(|i| d.schema.tables[*i].primary_key).collect();
    if keyed.is_empty() {
        return super::basic::insert(d);
    }
    let at = *d.dice.pick(&keyed);
    let places: Vec<_> = d.schema.places.iter().filter(|p| p.table == at).cloned().collect();
    let place = if d.dice.chance(75) { places[0].clone() } else { d.dice.pick(&places).clone() };
    let table = d.table(&place);
    let insert = super::basic::insert_one(d, &place, None);
    let second: Vec<String> = table.writable().iter().map(|c| d.literal(c)).collect();
    let more = if d.dice.chance(40) { format!(", ({})", second.join(", ")) } else { String::new() };
    let values: Vec<&Column> = table.columns.iter().filter(|c| matches!(c.role, Role::Value | Role::Key)).collect();
    let column = ident(&d.dice.pick(&values).name);
    let action = match d.dice.index(4) {
        0 => "ON CONFLICT DO NOTHING".to_owned(),
        1 => "ON CONFLICT (id) DO NOTHING".to_owned(),
        2 => format!("ON CONFLICT (id) DO UPDATE SET {column} = EXCLUDED.{column}"),
        _ => format!(
            "ON CONFLICT (id) DO UPDATE SET {column} = EXCLUDED.{column} WHERE {t}.id % 2 = 0",
            t = ident(&place.name)
        ),
    };
    format!("{insert}{more} {action}")
}

pub fn merge(d: &mut Dml) -> String {
    let place = d.place();
    let table = d.table(&place);
    let source = d.dice.pick(&d.schema.tables).clone();
    let columns = table.writable();
    let items: Vec<String> =
        columns.iter().map(|c| if c.role == Role::Id { "s.id".to_owned() } else { fitting(d, c, &source) }).collect();
    let (set, _) = assignments(d, table, "t.");
    let set = if set.contains("\"id\" =") { format!("{k} = 2", k = ident(&table.key().name)) } else { set };
    let guard = condition(d, table, "t.");
    let matched = match d.dice.index(4) {
        0 => format!("WHEN MATCHED AND {guard} THEN DELETE\n  WHEN MATCHED THEN UPDATE SET {set}"),
        1 => format!("WHEN MATCHED AND {guard} THEN DO NOTHING\n  WHEN MATCHED THEN DELETE"),
        2 => "WHEN MATCHED THEN DELETE".to_owned(),
        _ => format!("WHEN MATCHED THEN UPDATE SET {set}"),
    };
    let absent = if d.dice.chance(70) {
        format!("\n  WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})", names(&columns), items.join(", "))
    } else {
        String::new()
    };
    let order: Vec<String> = source.columns.iter().map(|c| ident(&c.name)).collect();
    let shift = d.dice.range(0, 8);
    let kept: Vec<String> = source.columns.iter().skip(1).map(|c| ident(&c.name)).collect();
    format!(
        "MERGE INTO {} AS t\n  USING (SELECT DISTINCT ON (id) id + {shift} AS id, {} FROM {} AS o \
         WHERE id % 3 = {} ORDER BY {}) AS s\n  ON t.id = s.id\n  {matched}{absent}",
        ident(&place.name),
        kept.join(", "),
        ident(&source.name),
        d.dice.range(0, 2),
        order.join(", "),
    )
}

/// One statement that changes two tables.
pub fn data_modifying_cte(d: &mut Dml) -> String {
    let (first, second) = (d.place(), d.place());
    let (a, b) = (d.table(&first), d.table(&second));
    let filter = condition(d, a, "");
    let (name, other) = (ident(&first.name), ident(&second.name));
    let (key, other_key) = (ident(&a.key().name), ident(&b.key().name));
    let columns = b.writable();
    let items: Vec<String> = columns
        .iter()
        .map(|c| match c.role {
            Role::Id => "(s.id + 3) % 40".to_owned(),
            Role::Key => "s.k".to_owned(),
            _ => d.literal(c),
        })
        .collect();
    if first.table == second.table {
        // Changing one row twice in a statement has no defined result.
        let insert = super::basic::insert_one(d, &second, None);
        return format!("WITH d AS (DELETE FROM {name} WHERE {filter} RETURNING id)\n{insert}");
    }
    match d.dice.index(4) {
        0 => format!(
            "WITH s AS (DELETE FROM {name} WHERE {filter} RETURNING id, {key} AS k)\nINSERT INTO {other} ({}) SELECT {} FROM s",
            names(&columns),
            items.join(", ")
        ),
        1 => {
            let insert = super::basic::insert_one(d, &first, None);
            format!(
                "WITH s AS ({insert} RETURNING id, {key} AS k)\nDELETE FROM {other} WHERE {other_key} IN (SELECT k FROM s)"
            )
        }
        2 => {
            let (set, only) = assignments(d, a, "");
            let filter = only.unwrap_or(filter);
            let insert = super::basic::insert_one(d, &second, None);
            format!(
                "WITH s AS (UPDATE {name} SET {set} WHERE {filter} RETURNING 1), i AS ({insert} RETURNING 1)\nSELECT count(*) FROM s, i"
            )
        }
        _ => {
            let (one, two) = (super::basic::insert_one(d, &first, None), super::basic::insert_one(d, &second, None));
            format!("WITH s AS ({one} RETURNING 1)\n{two}")
        }
    }
}
