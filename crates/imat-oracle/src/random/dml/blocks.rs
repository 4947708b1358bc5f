//! Several statements in one: DO blocks, functions, prepared statements, cursors.

use super::{Action, Dml, IMAT, TWIN, basic, compound, condition};
use crate::pg::ident;
use crate::random::schema::{Role, Shape};
use crate::random::view::ViewDef;

/// The errors that the statements and blocks here may get.
pub const CAUGHT: &str =
    "EXCEPTION WHEN raise_exception OR division_by_zero OR integrity_constraint_violation OR data_exception THEN";

/// A statement without a result, for use in a block.
pub fn simple(d: &mut Dml) -> String {
    let sql = match d.dice.index(5) {
        0 | 1 => basic::insert(d),
        2 => basic::update(d),
        3 => basic::delete(d),
        _ => compound::upsert(d),
    };
    sql.replace(" RETURNING *", "").replace(" RETURNING id", "")
}

/// PL/pgSQL that raises an error if the maintained table differs from its query in the middle of a block. The twin has
/// views instead of maintained tables; for those PostgreSQL can evaluate an expression for rows that their own
/// condition excludes, so the errors of that are caught.
pub fn check_inside(view: &ViewDef) -> String {
    let (table, query) = (format!("{IMAT}.{}", ident(&view.name)), &view.query);
    format!(
        "IF current_schema() <> '{TWIN}' AND EXISTS (((SELECT * FROM {table}) EXCEPT ALL ({query})) UNION ALL (({query}) EXCEPT ALL (SELECT * FROM {table}))) THEN\n\
         RAISE EXCEPTION 'not current inside the block: {}' USING ERRCODE = 'IM001'; END IF;",
        view.name.replace('\'', "''").replace('%', "%%")
    )
}

fn maybe_check(d: &mut Dml) -> String {
    let exact: Vec<&ViewDef> = d.views.iter().filter(|v| v.exact).collect();
    if exact.is_empty() || d.dice.chance(40) {
        return String::new();
    }
    let view: &ViewDef = d.dice.pick::<&ViewDef>(&exact);
    check_inside(view)
}

/// The body of a block: changes, comparisons, and changes that are undone by an exception.
fn body(d: &mut Dml) -> String {
    let mut parts = Vec::new();
    for _ in 0..d.dice.range(1, 3) {
        let statement = simple(d);
        let check = maybe_check(d);
        parts.push(match d.dice.index(4) {
            0 => {
                let undone = simple(d);
                let raise = d.dice.pick(&["RAISE EXCEPTION 'undo';", "PERFORM 1 / 0;", ""]);
                format!("BEGIN\n{undone};\n{check}\n{raise}\n{CAUGHT}\n{statement};\nEND;")
            }
            1 if d.dice.chance(40) => format!("FOR i IN 1..2 LOOP\n{statement};\n{check}\nEND LOOP;"),
            _ => format!("{statement};\n{check}"),
        });
    }
    parts.join("\n")
}

pub fn block(d: &mut Dml) -> String {
    let mut body = body(d);
    match d.dice.index(4) {
        // A function that a query calls for each row changes tables during the query.
        0 => nested_call(d),
        1 => format!(
            "CREATE OR REPLACE FUNCTION job() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN\n{body}\nRETURN 1; END $body$;\nSELECT job()"
        ),
        _ => {
            if !d.in_transaction && d.dice.chance(25) {
                let more = simple(d);
                let end = d.dice.pick(&["COMMIT", "ROLLBACK"]);
                let check = maybe_check(d);
                body += &format!("\n{end};\n{check}\n{more};");
            }
            format!("DO $body$ BEGIN\n{body}\nEND $body$")
        }
    }
}

/// The inner statements end while the outer one is still running.
fn nested_call(d: &mut Dml) -> String {
    let (place, from) = (d.place(), d.place());
    let table = d.table(&place);
    let columns = table.writable();
    let values: Vec<String> = columns
        .iter()
        .map(|c| match c.role {
            Role::Id => "(x + 11) % 60".to_owned(),
            Role::Key => "x % 5".to_owned(),
            _ => d.literal(c),
        })
        .collect();
    let filter = condition(d, d.table(&from), "");
    let insert =
        format!("INSERT INTO {} ({}) VALUES ({})", ident(&place.name), basic::names(&columns), values.join(", "));
    let outer = match d.dice.index(3) {
        0 => format!("SELECT job_of(id) FROM {} WHERE {filter}", ident(&from.name)),
        1 => "SELECT sum(job_of(q)) FROM generate_series(1, 2) AS q".to_owned(),
        // Inside a change of another table.
        _ if from.table != place.table => {
            let key = ident(&d.table(&from).key().name);
            format!("UPDATE {} SET {key} = job_of(id) % 5 WHERE {filter} AND id IS NOT NULL", ident(&from.name))
        }
        _ => format!("SELECT job_of({})", d.dice.range(0, 30)),
    };
    format!(
        "CREATE OR REPLACE FUNCTION job_of(x int) RETURNS int LANGUAGE plpgsql AS $body$ BEGIN\n{insert};\nRETURN x; END $body$;\n{outer}"
    )
}

/// PREPARE, some executions, DEALLOCATE.
pub fn prepared(d: &mut Dml) -> Vec<Action> {
    let place = d.place();
    let table = d.table(&place);
    let key = ident(&table.key().name);
    let name = ident(&place.name);
    let statement = match d.dice.index(3) {
        0 => format!("UPDATE {name} SET {key} = $2 WHERE id = $1"),
        1 => format!("DELETE FROM {name} WHERE id = $1 AND {key} IS DISTINCT FROM $2"),
        _ => format!("UPDATE {name} SET {key} = {key} WHERE id >= $1 AND {key} = $2"),
    };
    let mut out = vec![Action::Sql(format!("PREPARE job(int, int) AS {statement}"))];
    for _ in 0..d.dice.range(1, 7) {
        out.push(Action::Sql(format!("EXECUTE job({}, {})", d.dice.range(0, 35), d.dice.range(0, 4))));
    }
    out.push(Action::Sql("DEALLOCATE ALL".into()));
    out
}

/// A cursor with changes through it, or a cursor over a maintained table that stays open during changes.
pub fn cursor(d: &mut Dml) -> Vec<Action> {
    if !d.in_transaction {
        return vec![Action::Sql(simple(d))];
    }
    let mut out = Vec::new();
    if !d.views.is_empty() && d.dice.chance(40) {
        let view = ident(&d.dice.pick(d.views).name.clone());
        out.push(Action::Sql(format!("DECLARE reading CURSOR FOR SELECT * FROM {IMAT}.{view}")));
        out.push(Action::Sql("FETCH 1 FROM reading".into()));
        out.push(Action::Sql(simple(d)));
        out.push(Action::Sql("FETCH ALL FROM reading".into()));
        out.push(Action::Sql("CLOSE reading".into()));
        return out;
    }
    let place = d.place();
    let table = d.table(&place);
    let (name, key) = (ident(&place.name), ident(&table.key().name));
    let filter = condition(d, table, "");
    let only = if table.shape == Shape::Inherited { "ONLY " } else { "" };
    // All rows one by one, so that their order doesn't matter.
    let change = if d.dice.chance(50) {
        format!("UPDATE {only}{name} SET {key} = ({key} + 1) % 5 WHERE CURRENT OF c")
    } else {
        format!("DELETE FROM {only}{name} WHERE CURRENT OF c")
    };
    let body = format!(
        "DECLARE c CURSOR FOR SELECT id FROM {only}{name} WHERE {filter} FOR UPDATE; r record;\nBEGIN OPEN c; LOOP FETCH c INTO r; EXIT WHEN NOT FOUND;\n{change};\n{} END LOOP; CLOSE c; END",
        maybe_check(d)
    );
    out.push(Action::Sql(format!("DO $body$ {body} $body$")));
    out
}
