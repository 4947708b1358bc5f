//! Users' triggers, which write other base tables or change the new row.
//!
//! A trigger writes only later tables, and foreign keys reference only earlier ones, so every chain of triggers and
//! cascades ends.

use super::schema::{Role, Schema, Shape};
use super::values::Ty;
use crate::dice::Dice;
use crate::pg::ident;

pub fn add(dice: &mut Dice, schema: &mut Schema) {
    let last = schema.tables.len() - 1;
    if last > 0 && dice.chance(35) {
        let from = dice.index(last);
        let to = from + 1 + dice.index(last - from);
        write_other(dice, schema, from, to);
    }
    if schema.tables.len() > 1 && dice.chance(20) {
        let table = dice.index(schema.tables.len());
        change_row(dice, schema, table);
    }
}

/// Triggers fire in the order of their names; this one may fire before or after pg_imat's.
fn trigger_name(dice: &mut Dice) -> &'static str {
    const NAMES: [&str; 3] = ["AAA_first", "zzz_last", "my trigger"];
    NAMES[dice.index(NAMES.len())]
}

fn write_other(dice: &mut Dice, schema: &mut Schema, from: usize, to: usize) {
    let (source, target) = (&schema.tables[from], &schema.tables[to]);
    let (k, tk, t) = (ident(&source.key().name), ident(&target.key().name), ident(&target.name));
    let qty = target.columns.iter().find(|c| c.role == Role::Value && c.ty == Ty::Int);
    let update = match qty {
        Some(c) => format!("UPDATE {t} SET {n} = {n} + 1", n = ident(&c.name)),
        None => format!("UPDATE {t} SET {tk} = {tk}"),
    };
    let name = trigger_name(dice);
    let on = ident(&source.name);
    let by_row = source.shape != Shape::Plain || dice.chance(50);
    let function = format!("touch_{from}_{to}");
    let (body, header) = if by_row {
        let action = match dice.index(3) {
            0 => format!(
                "IF TG_OP = 'DELETE' THEN DELETE FROM {t} WHERE {tk} = OLD.{k}; ELSE {update} WHERE {tk} = NEW.{k}; END IF;"
            ),
            1 => format!("IF TG_OP <> 'INSERT' THEN {update} WHERE {tk} IS NOT DISTINCT FROM OLD.{k}; END IF;"),
            _ => format!("{update} WHERE id % 5 = 1;"),
        };
        (action, "AFTER INSERT OR UPDATE OR DELETE ON {on} FOR EACH ROW")
    } else {
        (
            format!("{update} WHERE {tk} IN (SELECT {k} FROM fresh);"),
            "AFTER INSERT ON {on} REFERENCING NEW TABLE AS fresh",
        )
    };
    schema.ddl.push(format!(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN {body} RETURN NULL; END $body$"
    ));
    schema.ddl.push(format!(
        "CREATE TRIGGER {} {} EXECUTE FUNCTION {function}()",
        ident(name),
        header.replace("{on}", &on)
    ));
}

/// Changes a column that the statement does not name.
fn change_row(dice: &mut Dice, schema: &mut Schema, table: usize) {
    let t = &schema.tables[table];
    let Some(column) = t.columns.iter().find(|c| c.role == Role::Value && c.ty == Ty::Int) else {
        return;
    };
    let name = ident(&column.name);
    let row = match dice.index(3) {
        0 => format!("NEW.{name} := coalesce(NEW.{name}, 0) + 1;"),
        1 => format!("IF NEW.{k} = 3 THEN RETURN NULL; END IF;", k = ident(&t.key().name)),
        _ => format!("NEW.{name} := coalesce(NEW.{name}, 5);"),
    };
    let function = format!("change_{table}");
    schema.ddl.push(format!(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN {row} RETURN NEW; END $body$"
    ));
    schema.ddl.push(format!(
        "CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {function}()",
        ident(&format!("{}_row", trigger_name(dice))),
        ident(&t.name)
    ));
}
