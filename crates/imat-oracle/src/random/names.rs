//! Names that need correct quoting.

use crate::dice::Dice;

const TABLES: [&str; 12] = [
    "t_one",
    "items",
    "Order",
    "user",
    "Mixed Case",
    "table",
    "sales_2024",
    "sel\"ect",
    "größe",
    "group",
    "T1",
    "a_table_whose_name_is_exactly_sixty_three_bytes_long_xxxxxxxxxx",
];
const COLUMNS: [&str; 16] = [
    "amount",
    "label",
    "Value",
    "select",
    "end",
    "when",
    "user",
    "from",
    "n",
    "note",
    "Ünit",
    "two words",
    "desc",
    "count",
    "sum",
    "quo\"te",
];
const OUTPUTS: [&str; 14] =
    ["x", "total", "Key", "group", "order", "count", "sum", "a b", "null", "y", "avg", "all", "Z", "limit"];
const VIEWS: [&str; 12] =
    ["v", "summary", "Sales", "view", "by day", "select", "v\"q", "übersicht", "order", "m", "report", "V2"];

fn distinct(dice: &mut Dice, pool: &[&str], n: usize) -> Vec<String> {
    let order = dice.shuffled(pool);
    (0..n)
        .map(|i| {
            let base = order[i % order.len()];
            if i < order.len() { base.to_owned() } else { format!("{base}{}", i / order.len()) }
        })
        .collect()
}

pub fn tables(dice: &mut Dice, n: usize) -> Vec<String> {
    distinct(dice, &TABLES, n)
}

pub fn columns(dice: &mut Dice, n: usize) -> Vec<String> {
    distinct(dice, &COLUMNS, n)
}

pub fn outputs(dice: &mut Dice, n: usize) -> Vec<String> {
    distinct(dice, &OUTPUTS, n)
}

/// View names, some of the maximum length.
pub fn views(dice: &mut Dice, n: usize) -> Vec<String> {
    let mut names = distinct(dice, &VIEWS, n);
    if dice.chance(15) {
        let last = names.len() - 1;
        names[last] = format!("v{}", "x".repeat(62));
    }
    names
}
