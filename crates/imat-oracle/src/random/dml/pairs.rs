//! Two tables in which rows with the same key never have equal numbers: in one table they are even, in the other odd,
//! as `phase` of the key says. Statements change both at once. So an expression that fails for equal numbers fails only
//! for pairs of rows that never existed together. Two more keys have rows in one table whose number is zero, and none
//! in the other: an expression that fails for zero fails only for rows that are not joined. A trigger corrects rows
//! that were inserted with a wrong number, before their statement ends.
//!
//! The tables are also joined through a third table only, in whose rows with `ok` both keys are equal.

use super::Dml;

pub const DDL: [&str; 11] = [
    "CREATE TABLE phase (k int PRIMARY KEY, p int NOT NULL)",
    "INSERT INTO phase SELECT k, k % 2 FROM generate_series(0, 5) AS k",
    "CREATE TABLE one_side (k int, x int NOT NULL, s text)",
    "CREATE TABLE other_side (k int, y int NOT NULL, s text)",
    "INSERT INTO one_side VALUES (4, 0, 'l')",
    "INSERT INTO other_side VALUES (5, 0, 'l')",
    "CREATE TABLE way (k int, j int, ok boolean NOT NULL)",
    "INSERT INTO way SELECT k, k, true FROM generate_series(0, 5) AS k",
    "INSERT INTO way SELECT k, j, false FROM generate_series(0, 3) AS k, generate_series(0, 3) AS j WHERE k <> j",
    "CREATE FUNCTION correct_side() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE one_side SET x = x + 1, s = NULL WHERE s = 'wrong';
        RETURN NULL;
     END $$",
    "CREATE TRIGGER correct AFTER INSERT ON one_side FOR EACH ROW WHEN (NEW.s = 'wrong') EXECUTE FUNCTION correct_side()",
];

/// A path from a key to the other table: a table, its column with the other key, and the condition on its rows.
pub const WAYS: [(&str, &str, Option<&str>); 2] = [("phase", "k", None), ("way", "j", Some("ok"))];

/// All views over these tables read this one.
pub const TABLE: &str = "one_side";

/// The two tables with their number columns, and the parity of the numbers as an expression over the phase.
const SIDES: [(&str, &str, &str); 2] = [(TABLE, "x", "p"), ("other_side", "y", "1 - p")];

/// The key whose rows in this table are zero as long as they are not joined.
pub const LONELY: [i32; 2] = [4, 5];

pub fn statement(d: &mut Dml) -> String {
    let keys = *d.dice.pick(&["k = 0", "k = 1", "k < 3", "k IN (2, 3)", "k < 4"]);
    let (one, other) = (d.dice.index(2), d.dice.index(2));
    match d.dice.weighted(&[(30, 0), (40, 1), (8, 2), (12, 3), (8, 4), (12, 5), (40, 6), (10, 7), (14, 8), (8, 9)]) {
        0 => insert(d, one),
        1 => {
            // All rows of a key are changed by an odd number, or deleted.
            let moved: Vec<String> = SIDES.iter().map(|(table, number, _)| moved(d, table, number, keys)).collect();
            format!(
                "WITH ph AS (UPDATE phase SET p = 1 - p WHERE {keys}),\n a AS ({})\n{}",
                moved[other],
                moved[1 - other]
            )
        }
        2 => update(d, one, keys),
        3 => delete(d, one, keys),
        4 => format!("WITH a AS ({})\n{}", insert(d, one), delete(d, 1 - one, keys)),
        6 => meet(d, one),
        7 => meet_more(d, one),
        8 => wrong(d),
        9 => way(d),
        _ => {
            let second = if d.dice.chance(50) { insert(d, 1 - one) } else { update(d, 1 - one, keys) };
            format!("WITH a AS ({})\n{second}", update(d, one, keys))
        }
    }
}

fn moved(d: &mut Dml, table: &str, number: &str, keys: &str) -> String {
    match d.dice.index(5) {
        0 => format!("DELETE FROM {table} WHERE {keys}"),
        1 => format!("UPDATE {table} SET {number} = {} - {number} WHERE {keys}", 2 * d.dice.range(0, 3) + 1),
        _ => format!("UPDATE {table} SET {number} = {number} + {} WHERE {keys}", d.dice.pick(&[1, 1, -1, 3])),
    }
}

/// Inserts rows of the other table that join those with zero, or deletes them again.
fn meet(d: &mut Dml, side: usize) -> String {
    let ((table, number, phase), (other, of_other, _)) = (SIDES[side], SIDES[1 - side]);
    let (key, value) = (LONELY[side], 2 * d.dice.range(-1, 1));
    format!(
        "WITH ph AS (UPDATE phase SET p = 1 - p WHERE k = {key} RETURNING p),\n \
         a AS (UPDATE {table} SET {number} = {phase} FROM ph WHERE k = {key}),\n \
         b AS (DELETE FROM {other} USING ph WHERE k = {key} AND {phase} = 0)\n\
         INSERT INTO {other} (k, {of_other}, s) SELECT {key}, {value}, 'm' FROM ph WHERE {phase} = 1"
    )
}

fn meet_more(d: &mut Dml, side: usize) -> String {
    let ((table, number, phase), (other, of_other, _)) = (SIDES[side], SIDES[1 - side]);
    let (key, value) = (LONELY[side], 2 * d.dice.range(-1, 1));
    match d.dice.index(6) {
        0 => format!("DELETE FROM {table} WHERE k = {key}"),
        1 => {
            format!("INSERT INTO {other} (k, {of_other}) SELECT k, {value} FROM phase WHERE k = {key} AND {phase} = 1")
        }
        _ => format!("INSERT INTO {table} (k, {number}) SELECT k, {phase} FROM phase WHERE k = {key}"),
    }
}

/// Rows that the trigger corrects. They must not join rows with zero.
fn wrong(d: &mut Dml) -> String {
    let value = 2 * d.dice.range(-1, 1) - 1;
    let keys = d.dice.pick(&["k = 1", "k = 4", "k BETWEEN 2 AND 4", "k < 5"]);
    format!("INSERT INTO one_side (k, x, s) SELECT k, {value} + p, 'wrong' FROM phase WHERE {keys}")
}

/// Adds or removes a path, or one without `ok`.
fn way(d: &mut Dml) -> String {
    let key = d.dice.range(0, 5);
    match d.dice.index(4) {
        0 => format!("INSERT INTO way VALUES ({key}, {key}, true)"),
        1 => format!("DELETE FROM way WHERE k = {key} AND j = {key}"),
        2 => format!("INSERT INTO way VALUES ({key}, {}, false)", d.dice.range(0, 5)),
        _ => format!("UPDATE way SET ok = NOT ok WHERE k = {key} AND j = {key}"),
    }
}

/// One to three rows.
fn insert(d: &mut Dml, side: usize) -> String {
    let (table, number, phase) = SIDES[side];
    let keys = d.dice.pick(&["k = 0", "k = 1", "k = 2", "k IN (0, 2, 3)"]);
    let (value, text) = (2 * d.dice.range(-1, 1), *d.dice.pick(&["'a'", "'b'", "'c'", "NULL"]));
    format!("INSERT INTO {table} (k, {number}, s) SELECT k, {value} + {phase}, {text} FROM phase WHERE {keys}")
}

fn update(d: &mut Dml, side: usize, keys: &str) -> String {
    let (table, number, _) = SIDES[side];
    let set = match d.dice.index(3) {
        0 => format!("s = {}", d.dice.pick(&["'a'", "'d'", "s || s"])),
        _ => format!("{number} = {number} + {}", d.dice.pick(&[2, -2, 4])),
    };
    format!("UPDATE {table} SET {set} WHERE {keys} AND length(s) < 4")
}

fn delete(d: &mut Dml, side: usize, keys: &str) -> String {
    let (table, number, _) = SIDES[side];
    format!("DELETE FROM {table} WHERE {keys} AND {number} % 3 = {}", d.dice.range(-1, 2))
}
