//! Random tables: their columns, keys, foreign keys, partitions, children and triggers.

use super::dml::{inside, pairs};
use super::names;
use super::seen;
use super::values::{ALL, Ty};
use crate::dice::Dice;
use crate::pg::ident;

/// The role of a column, which decides its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Id,
    /// The join key, which all tables have under the same name.
    Key,
    Value,
    /// References the id of an earlier table.
    Foreign,
    /// Computed by the server, never written.
    Generated,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: Ty,
    pub role: Role,
    pub not_null: bool,
    pub wild: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Plain,
    Partitioned,
    Inherited,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub primary_key: bool,
    pub shape: Shape,
    /// The table that the foreign key column points to.
    pub parent: Option<usize>,
}

/// A name that INSERT, UPDATE and DELETE may use: a table, a leaf partition or a child.
#[derive(Debug, Clone)]
pub struct Place {
    pub name: String,
    pub table: usize,
    pub root: bool,
}

#[derive(Debug, Clone)]
pub struct Schema {
    pub tables: Vec<Table>,
    pub places: Vec<Place>,
    pub ddl: Vec<String>,
}

impl Table {
    pub fn id(&self) -> &Column {
        &self.columns[0]
    }

    /// The columns that a statement may write.
    pub fn writable(&self) -> Vec<&Column> {
        self.columns.iter().filter(|c| c.role != Role::Generated).collect()
    }

    pub fn key(&self) -> &Column {
        self.columns.iter().find(|c| c.role == Role::Key).unwrap_or(&self.columns[0])
    }

    pub fn foreign(&self) -> Option<&Column> {
        self.columns.iter().find(|c| c.role == Role::Foreign)
    }
}

/// Domains over arrays, which can be elements of arrays.
const DOMAINS: [&str; 2] = ["CREATE DOMAIN ints AS int[]", "CREATE DOMAIN texts AS text[]"];

/// Conditions that cost more than the expressions that they guard.
const GUARDS: [&str; 2] = [
    "CREATE FUNCTION is_not_zero(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000 AS 'BEGIN RETURN x <> 0; END'",
    "CREATE FUNCTION is_number(s text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000 AS \
     $body$ BEGIN RETURN s ~ '^[0-9]{1,9}$'; END $body$",
];

/// Makes one to four tables, and the objects for reading inside statements.
pub fn random(dice: &mut Dice, version: u32) -> Schema {
    let count = dice.weighted(&[(1, 1), (4, 2), (4, 3), (2, 4)]);
    let names = names::tables(dice, count);
    let key = dice.pick(&["k", "Key", "user id", "on"]).to_string();
    let mut schema = Schema { tables: Vec::new(), places: Vec::new(), ddl: Vec::new() };
    schema.ddl.push("CREATE FUNCTION bucket(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x / 2'".to_owned());
    schema.ddl.push("CREATE AGGREGATE tally(int) (sfunc = int4larger, stype = int4, initcond = '-100')".to_owned());
    schema.ddl.extend(DOMAINS.into_iter().chain(GUARDS).map(str::to_owned));
    for (at, name) in names.into_iter().enumerate() {
        let mut table = random_table(dice, &schema.tables, name, &key, version);
        if table.primary_key && table.parent.is_none() && dice.chance(15) {
            refer_to_itself(&mut table, at);
        }
        declare(dice, &mut schema, at, table);
    }
    super::triggers::add(dice, &mut schema);
    schema.ddl.extend(seen::DDL.into_iter().chain(inside::DDL).chain(pairs::DDL).map(str::to_owned));
    schema
}

fn random_table(dice: &mut Dice, earlier: &[Table], name: String, key: &str, version: u32) -> Table {
    let shape = dice.weighted(&[(6, Shape::Plain), (2, Shape::Partitioned), (1, Shape::Inherited)]);
    let primary_key = dice.chance(60) && shape != Shape::Inherited;
    let parents: Vec<usize> = (0..earlier.len()).filter(|i| earlier[*i].primary_key).collect();
    let parent = (!parents.is_empty() && dice.chance(60)).then(|| *dice.pick(&parents));
    let column = |name: &str, ty, role, not_null| Column { name: name.to_owned(), ty, role, not_null, wild: false };
    let id_not_null = primary_key || dice.chance(50);
    let key_not_null = dice.chance(25);
    let mut columns = vec![column("id", Ty::Int, Role::Id, id_not_null), column(key, Ty::Int, Role::Key, key_not_null)];
    if parent.is_some() {
        columns.push(column("ref", Ty::Int, Role::Foreign, false));
    }
    let values = 1 + dice.index(4);
    for name in names::columns(dice, values) {
        let ty = *dice.pick(&ALL);
        let not_null = dice.chance(30);
        columns.push(Column { wild: dice.chance(25), ..column(&name, ty, Role::Value, not_null) });
    }
    // At least one integer column, for sums.
    if !columns.iter().any(|c| c.role == Role::Value && c.ty == Ty::Int) {
        let not_null = dice.chance(50);
        columns.push(column("qty", Ty::Int, Role::Value, not_null));
    }
    // Generated columns in tables of other shapes can get NULLs on PostgreSQL 15, and are refused there.
    if dice.chance(12) && (shape == Shape::Plain || version >= 160_000) {
        columns.push(column("twice", Ty::Int, Role::Generated, false));
    }
    Table { name, columns, primary_key, shape, parent }
}

/// A hierarchy in one table, by a foreign key to itself.
fn refer_to_itself(table: &mut Table, at: usize) {
    let column = Column { name: "ref".into(), ty: Ty::Int, role: Role::Foreign, not_null: false, wild: false };
    table.columns.insert(2, column);
    table.parent = Some(at);
}

fn declare(dice: &mut Dice, schema: &mut Schema, at: usize, table: Table) {
    let body = column_list(dice, &table, &table.columns);
    let name = ident(&table.name);
    schema.places.push(Place { name: table.name.clone(), table: at, root: true });
    match table.shape {
        Shape::Plain => schema.ddl.push(format!("CREATE TABLE {name} (\n  {body}\n)")),
        Shape::Partitioned => declare_partitions(dice, schema, at, &table, &body),
        Shape::Inherited => {
            schema.ddl.push(format!("CREATE TABLE {name} (\n  {body}\n)"));
            let child = format!("{}_c", short(&table.name));
            schema.ddl.push(format!("CREATE TABLE {} (more int DEFAULT 1) INHERITS ({name})", ident(&child)));
            schema.places.push(Place { name: child, table: at, root: false });
        }
    }
    // A dropped column makes a gap in the attribute numbers.
    if dice.chance(20) {
        schema.ddl.push(format!("ALTER TABLE {name} DROP COLUMN IF EXISTS gone CASCADE"));
    }
    if table.primary_key {
        schema.ddl.push(format!("ALTER TABLE {name} ADD PRIMARY KEY (id)"));
    }
    if let Some(parent) = table.parent {
        let parent = schema.tables.get(parent).map_or(table.name.clone(), |t| t.name.clone());
        schema.ddl.push(foreign_key(dice, &name, &parent));
    }
    if dice.chance(30) {
        schema.ddl.push(format!("CREATE INDEX ON {name} ({})", ident(&table.key().name)));
    }
    schema.tables.push(table);
}

fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

fn column_list(dice: &mut Dice, table: &Table, columns: &[Column]) -> String {
    let mut parts: Vec<String> = Vec::new();
    if dice.chance(30) {
        parts.push("gone text".to_owned());
    }
    for c in columns {
        let mut part = format!("{} {}", ident(&c.name), c.ty.sql());
        if c.role == Role::Generated {
            part += &format!(" GENERATED ALWAYS AS ({} * 2) STORED", ident(&table.key().name));
        }
        if c.not_null {
            part += " NOT NULL";
        }
        if c.role == Role::Value && c.ty == Ty::Int && dice.chance(30) {
            part += " DEFAULT 1";
        }
        parts.push(part);
    }
    parts.join(",\n  ")
}

/// Two levels: ranges of the id, the first of which is partitioned again. One leaf may have its columns in another
/// order, like a table that was attached.
fn declare_partitions(dice: &mut Dice, schema: &mut Schema, at: usize, table: &Table, body: &str) {
    let root = ident(&table.name);
    let part = |suffix: &str| format!("{}_{suffix}", short(&table.name));
    let by_key = !table.primary_key && dice.chance(60);
    schema.ddl.push(format!("CREATE TABLE {root} (\n  {body}\n) PARTITION BY RANGE (id)"));
    let (low, mid, rest) = (part("lo"), part("mid"), part("rest"));
    let (low_a, low_b) = (part("lo_a"), part("lo_b"));
    let sub = if by_key { format!("LIST ({})", ident(&table.key().name)) } else { "RANGE (id)".to_owned() };
    let (bounds_a, bounds_b) = if by_key {
        ("FOR VALUES IN (0, 1, NULL)", "DEFAULT")
    } else {
        ("FOR VALUES FROM (MINVALUE) TO (7)", "FOR VALUES FROM (7) TO (15)")
    };
    schema.ddl.push(format!(
        "CREATE TABLE {} PARTITION OF {root} FOR VALUES FROM (MINVALUE) TO (15) PARTITION BY {sub}",
        ident(&low)
    ));
    schema.ddl.push(format!("CREATE TABLE {} PARTITION OF {} {bounds_a}", ident(&low_a), ident(&low)));
    schema.ddl.push(format!("CREATE TABLE {} PARTITION OF {} {bounds_b}", ident(&low_b), ident(&low)));
    if dice.chance(50) {
        let reordered = dice.shuffled(&table.columns);
        let mut parts = column_list_plain(table, &reordered);
        if body.starts_with("gone") {
            parts.push("gone text".to_owned());
        }
        schema.ddl.push(format!("CREATE TABLE {} (\n  {}\n)", ident(&mid), parts.join(",\n  ")));
        schema.ddl.push(format!("ALTER TABLE {root} ATTACH PARTITION {} FOR VALUES FROM (15) TO (30)", ident(&mid)));
    } else {
        schema.ddl.push(format!("CREATE TABLE {} PARTITION OF {root} FOR VALUES FROM (15) TO (30)", ident(&mid)));
    }
    schema.ddl.push(format!("CREATE TABLE {} PARTITION OF {root} DEFAULT", ident(&rest)));
    for name in [low, low_a, low_b, mid, rest] {
        schema.places.push(Place { name, table: at, root: false });
    }
}

fn column_list_plain(table: &Table, columns: &[Column]) -> Vec<String> {
    let one = |c: &Column| {
        let generated = if c.role == Role::Generated {
            format!(" GENERATED ALWAYS AS ({} * 2) STORED", ident(&table.key().name))
        } else {
            String::new()
        };
        let not_null = if c.not_null { " NOT NULL" } else { "" };
        format!("{} {}{generated}{not_null}", ident(&c.name), c.ty.sql())
    };
    columns.iter().map(one).collect()
}

fn foreign_key(dice: &mut Dice, name: &str, parent: &str) -> String {
    let on_delete = dice.pick(&["CASCADE", "CASCADE", "SET NULL", "NO ACTION", "RESTRICT"]);
    let on_update = dice.pick(&["CASCADE", "CASCADE", "SET NULL", "NO ACTION"]);
    let deferred = if dice.chance(20) { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
    format!(
        "ALTER TABLE {name} ADD FOREIGN KEY (ref) REFERENCES {} ON DELETE {on_delete} ON UPDATE {on_update}{deferred}",
        ident(parent)
    )
}
