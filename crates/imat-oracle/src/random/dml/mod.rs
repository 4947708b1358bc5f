//! Random changes. A statement may fail, but its effects must not depend on the physical order of rows: otherwise two
//! servers with the same data could differ legitimately.

mod basic;
mod blocks;
mod compound;
pub mod inside;
pub mod pairs;
mod partitions;

use super::schema::{Column, Place, Role, Schema, Table};
use super::values;
use super::view::ViewDef;
use crate::dice::Dice;
use crate::pg::ident;

/// The placeholder for the schema of the maintained tables. A replay with plain views replaces it.
pub const IMAT: &str = "{imat}";

/// The schema with plain views instead of maintained tables.
pub const TWIN: &str = "oracle_twin";

/// How a statement is sent to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Sql(String),
    /// By the extended protocol.
    Extended(String),
    Copy {
        sql: String,
        data: String,
    },
}

/// The input of the generator of changes.
pub struct Dml<'a> {
    pub dice: &'a mut Dice,
    pub schema: &'a Schema,
    pub views: &'a [ViewDef],
    /// The current number of rows of each table.
    pub counts: &'a [i64],
    pub version: u32,
    pub in_transaction: bool,
    /// The most rows that a table should have.
    pub limit: i64,
}

/// Statements that belong together, mostly a single one.
pub fn random(d: &mut Dml) -> Vec<Action> {
    let crowded = d.crowded();
    let insert = if crowded { 4 } else { 20 };
    let delete = if crowded { 40 } else { 12 };
    let merge = if d.version >= 150_000 { 7 } else { 0 };
    let pairs = if d.views.iter().any(|view| view.query.contains(pairs::TABLE)) { 20 } else { 1 };
    let sql = match d.dice.weighted(&[
        (insert, 0),
        (if crowded { 2 } else { 7 }, 1),
        (22, 2),
        (delete, 3),
        (2, 4),
        (insert / 3, 5),
        (merge, 6),
        (9, 7),
        (7, 8),
        (9, 9),
        (5, 10),
        (4, 11),
        (3, 12),
        (6, 13),
        (5, 14),
        (5, 15),
        (pairs, 16),
    ]) {
        0 => basic::insert(d),
        1 => compound::insert_select(d),
        2 => basic::update(d),
        3 => basic::delete(d),
        4 => basic::truncate(d),
        5 => return vec![basic::copy(d)],
        6 => compound::merge(d),
        7 => compound::upsert(d),
        8 => compound::data_modifying_cte(d),
        // A block can be two commands, which the extended protocol does not allow.
        9 => return vec![Action::Sql(blocks::block(d))],
        10 => compound::update_from(d),
        11 => return blocks::prepared(d),
        13 => return vec![Action::Sql(inside::statement(d))],
        14 => return vec![Action::Sql(partitions::statement(d))],
        15 => setting(d),
        16 => pairs::statement(d),
        _ => return blocks::cursor(d),
    };
    vec![if d.dice.chance(15) { Action::Extended(sql) } else { Action::Sql(sql) }]
}

/// Sets a planner setting, which must not affect results.
fn setting(d: &mut Dml) -> String {
    let methods =
        ["nestloop", "hashjoin", "mergejoin", "seqscan", "indexscan", "bitmapscan", "hashagg", "sort", "material"];
    let local = if d.in_transaction && d.dice.chance(50) { "LOCAL " } else { "" };
    match d.dice.index(5) {
        0 | 1 => {
            let mode = d.dice.pick(&["auto", "force_custom_plan", "force_custom_plan", "force_generic_plan"]);
            format!("SET {local}plan_cache_mode = {mode}")
        }
        2 => format!("SET {local}join_collapse_limit = {}", d.dice.pick(&[1, 8])),
        3 => format!("SET {local}from_collapse_limit = {}", d.dice.pick(&[1, 8])),
        _ => format!("SET {local}enable_{} = {}", d.dice.pick(&methods), d.dice.pick(&["on", "off", "off"])),
    }
}

/// The initial rows of a round, one statement for each table.
pub fn initial(dice: &mut Dice, schema: &Schema) -> Vec<String> {
    let mut out = Vec::new();
    for (at, table) in schema.tables.iter().enumerate() {
        let rows = dice.range(0, 14);
        let mut d = Dml { dice, schema, views: &[], counts: &[], version: 0, in_transaction: false, limit: 0 };
        let place = Place { name: table.name.clone(), table: at, root: true };
        for id in 0..rows {
            out.push(format!("{} ON CONFLICT DO NOTHING", basic::insert_one(&mut d, &place, Some(id))));
        }
    }
    out
}

impl<'a> Dml<'a> {
    fn crowded(&self) -> bool {
        self.counts.iter().any(|n| *n > self.limit)
    }

    fn place(&mut self) -> Place {
        // The root twice as often as all its leaves together.
        let table = self.dice.index(self.schema.tables.len());
        let places: Vec<&Place> = self.schema.places.iter().filter(|p| p.table == table).collect();
        if places.len() == 1 || self.dice.chance(65) {
            places[0].clone()
        } else {
            (*self.dice.pick(&places[1..])).clone()
        }
    }

    fn table(&self, place: &Place) -> &'a Table {
        let schema: &'a Schema = self.schema;
        &schema.tables[place.table]
    }

    fn literal(&mut self, column: &Column) -> String {
        let null = match column.role {
            _ if column.not_null => 1,
            Role::Id => 3,
            Role::Foreign => 25,
            _ => 20,
        };
        if self.dice.chance(null) {
            return "NULL".to_owned();
        }
        match column.role {
            Role::Id => self.dice.range(0, 35).to_string(),
            Role::Foreign => self.dice.range(0, 14).to_string(),
            Role::Key => self.dice.range(0, 4).to_string(),
            _ => values::sql_literal(self.dice, column.ty, column.wild),
        }
    }
}

/// A condition on the rows of one table, under an optional alias.
fn condition(d: &mut Dml, table: &Table, alias: &str) -> String {
    let dot = |c: &Column| format!("{alias}{}", ident(&c.name));
    let (id, key) = (dot(table.id()), dot(table.key()));
    match d.dice.weighted(&[(30, 0), (12, 1), (20, 2), (6, 3), (10, 4), (12, 5), (4, 6)]) {
        0 => format!("{id} = {}", d.dice.range(0, 35)),
        1 => format!("{id} % 4 = {}", d.dice.range(0, 3)),
        2 => format!("{key} = {}", d.dice.range(0, 4)),
        3 => format!("{key} IS NULL"),
        4 => format!("{id} BETWEEN {} AND {}", d.dice.range(0, 20), d.dice.range(10, 40)),
        5 => {
            let c = d.dice.pick(&table.columns).clone();
            let value = values::sql_literal(d.dice, c.ty, c.wild);
            format!("{} {} {value}", dot(&c), d.dice.pick(&["=", "<", ">=", "IS DISTINCT FROM"]))
        }
        _ => "true".to_owned(),
    }
}
