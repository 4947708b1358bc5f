//! Scalar expressions over the fields of a FROM clause.

use super::source::Field;
use super::{Expr, Gen};
use crate::random::schema::Role;
use crate::random::values::{self, Ty};

fn of_type(g: &mut Gen, fields: &[Field], accept: impl Fn(&Field) -> bool) -> Option<Field> {
    let fit: Vec<&Field> = fields.iter().filter(|f| accept(f)).collect();
    if fit.is_empty() { None } else { Some((*g.dice.pick(&fit)).clone()) }
}

/// A small integer.
pub fn int(g: &mut Gen, fields: &[Field]) -> Expr {
    let sql = match of_type(g, fields, |f| f.ty == Ty::Int) {
        Some(f) => match g.dice.index(11) {
            0..=3 => f.sql,
            4 => format!("({} + 1)", f.sql),
            5 => format!("({} * 2)", f.sql),
            6 => format!("coalesce({}, 0)", f.sql),
            9 => format!("({} * -(2::int))", f.sql),
            10 => format!("coalesce({}, -1::int)", f.sql),
            7 => format!("(CASE WHEN {} THEN {} ELSE 0 END)", predicate(g, fields, 1), f.sql),
            _ => match of_type(g, fields, |f| f.ty == Ty::Text) {
                Some(t) => format!("length({})", t.sql),
                None => format!("abs({})", f.sql),
            },
        },
        None => "1".to_owned(),
    };
    Expr { sql, ty: Ty::Int }
}

/// A numeric expression of any type, for sums and averages.
pub fn number(g: &mut Gen, fields: &[Field]) -> Expr {
    match of_type(g, fields, |f| f.ty.is_number() && f.role != Role::Id) {
        Some(f) if f.ty != Ty::Int => match f.ty {
            Ty::Money | Ty::Num if g.dice.chance(20) => {
                let negated =
                    g.dice.pick(&["{} * -1.5::numeric", "coalesce({}, -1.0::numeric)", "{} - -(0.25::numeric)"]);
                Expr { sql: format!("({})", negated.replace("{}", &f.sql)), ty: Ty::Num }
            }
            _ => Expr { sql: f.sql, ty: f.ty },
        },
        _ => int(g, fields),
    }
}

/// A value that can be sorted without visible ties: equal values are identical.
pub fn sortable(g: &mut Gen, fields: &[Field]) -> Expr {
    match of_type(g, fields, |f| !matches!(f.ty, Ty::Num | Ty::Float)) {
        Some(f) => Expr { sql: f.sql, ty: f.ty },
        None => Expr { sql: "1".into(), ty: Ty::Int },
    }
}

/// Any field, unchanged.
pub fn plain(g: &mut Gen, fields: &[Field]) -> Expr {
    let f = g.dice.pick(fields);
    Expr { sql: f.sql.clone(), ty: f.ty }
}

/// Text, but not of a number that has several text forms.
pub fn text(g: &mut Gen, fields: &[Field]) -> Expr {
    let sql = match of_type(g, fields, |f| f.ty == Ty::Text) {
        Some(f) => match g.dice.index(5) {
            0 | 1 => f.sql,
            2 => format!("lower({})", f.sql),
            3 => format!("left({}, 1)", f.sql),
            _ => format!("coalesce({}, '-') || '!'", f.sql),
        },
        None => {
            let e = sortable(g, fields);
            format!("{}::text", e.sql)
        }
    };
    Expr { sql: format!("({sql})"), ty: Ty::Text }
}

/// A group key: usually with few values, among them NULL.
pub fn key(g: &mut Gen, fields: &[Field]) -> Expr {
    match g.dice.weighted(&[(40, 0), (12, 1), (12, 2), (10, 3), (12, 4), (6, 5), (4, 6), (5, 7)]) {
        0 => {
            let field =
                of_type(g, fields, |f| matches!(f.role, Role::Key | Role::Foreign)).or_else(|| fields.first().cloned());
            field.map_or(Expr { sql: "1".into(), ty: Ty::Int }, |f| Expr { sql: f.sql, ty: f.ty })
        }
        1 => {
            let e = int(g, fields);
            let sql = if g.dice.chance(70) { format!("({} % 3)", e.sql) } else { format!("bucket({})", e.sql) };
            Expr { sql, ty: Ty::Int }
        }
        2 => text(g, fields),
        3 => match of_type(g, fields, |f| matches!(f.ty, Ty::Ts | Ty::Tz)) {
            Some(f) => truncated(g, &f),
            None => Expr { sql: format!("coalesce({}, -1)", int(g, fields).sql), ty: Ty::Int },
        },
        4 => plain_key(g, fields),
        5 => Expr { sql: format!("({})", predicate(g, fields, 1)), ty: Ty::Bool },
        7 => list(g, fields),
        _ => match of_type(g, fields, |f| matches!(f.ty, Ty::Date | Ty::Ts | Ty::Tz)) {
            Some(f) if f.ty != Ty::Date || g.dice.chance(50) => read_time(g, &f.sql),
            Some(f) => Expr { sql: format!("extract(month FROM {})::int", f.sql), ty: Ty::Int },
            None => plain_key(g, fields),
        },
    }
}

/// A time truncated to a day, an hour and so on, in the session's or another time zone.
fn truncated(g: &mut Gen, f: &Field) -> Expr {
    let unit = g.dice.pick(&["hour", "day", "day", "week", "month", "month", "quarter", "year"]);
    let zone = g.dice.pick(&["Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin", "Pacific/Apia"]);
    let there = format!("({} AT TIME ZONE '{zone}')", f.sql);
    let other = if f.ty == Ty::Tz { Ty::Ts } else { Ty::Tz };
    let (sql, ty) = match g.dice.index(8) {
        0 | 1 => (format!("({})::date", f.sql), Ty::Date),
        2 => (format!("{there}::date"), Ty::Date),
        3 => (format!("date_trunc('{unit}', {there})"), other),
        4 if f.ty == Ty::Tz => (format!("date_trunc('{unit}', {}, '{zone}')", f.sql), Ty::Tz),
        _ => (format!("date_trunc('{unit}', {})", f.sql), f.ty),
    };
    Expr { sql, ty }
}

/// An array or a range that can be stored in several ways for the same value.
fn list(g: &mut Gen, fields: &[Field]) -> Expr {
    let (a, b, domain) = if g.dice.chance(30) {
        (text(g, fields).sql, text(g, fields).sql, "texts")
    } else {
        let (a, b) = (int(g, fields).sql, int(g, fields).sql);
        if g.dice.chance(40) {
            let range = format!("int4range(least({a}, {b}), greatest({a}, {b}), '[]')");
            return Expr { sql: range, ty: Ty::List };
        }
        (a, b, "ints")
    };
    // A slice keeps its null bitmap. Which value has one differs from row to row.
    let stored = [
        format!("ARRAY[{a}, {b}]"),
        format!("(CASE WHEN {} THEN ARRAY[{a}, {b}] ELSE (ARRAY[{a}, {b}, NULL])[1:2] END)", predicate(g, fields, 1)),
        format!("(ARRAY[NULL, {a}] || {b})[2:]"),
        format!("array_remove(ARRAY[{a}, NULL, {b}], NULL)"),
    ];
    let stored = g.dice.pick(&stored);
    // Also nested, through a domain.
    let sql = if g.dice.chance(25) { format!("ARRAY[({stored})::{domain}]") } else { stored.clone() };
    Expr { sql, ty: Ty::List }
}

/// A date or time that is parsed from text.
fn read_time(g: &mut Gen, time: &str) -> Expr {
    let (name, ty) = g.dice.pick(&[("date", Ty::Date), ("timestamp", Ty::Ts), ("timestamptz", Ty::Tz)]);
    // In a time zone ahead of UTC a year can have five digits.
    let text = g.dice.pick(&["{}::text", "split_part({}::text, ' ', 1)", "(' ' || {}::text)::varchar(40)"]);
    Expr { sql: format!("({})::{name}", text.replace("{}", time)), ty: *ty }
}

/// A field of a type whose equal values are identical (no -0 and 0, no NaN).
fn plain_key(g: &mut Gen, fields: &[Field]) -> Expr {
    match of_type(g, fields, |f| f.ty != Ty::Float) {
        Some(f) => Expr { sql: f.sql, ty: f.ty },
        None => Expr { sql: "1".into(), ty: Ty::Int },
    }
}

/// A condition, and an expression that fails for some rows that the condition excludes. The condition may cost more.
pub fn guarded(g: &mut Gen, fields: &[Field]) -> (String, Expr) {
    let number = |sql: String| Expr { sql, ty: Ty::Int };
    if let Some(f) = of_type(g, fields, |f| f.ty == Ty::Text)
        && g.dice.chance(40)
    {
        let guard = g.dice.pick(&["{} ~ '^[0-9]{1,9}$'", "is_number({})"]).replace("{}", &f.sql);
        return (guard, number(format!("({})::int", f.sql)));
    }
    let f = of_type(g, fields, |f| f.ty == Ty::Int).map_or("1".to_owned(), |f| f.sql);
    let guard = g.dice.pick(&["{} <> 0", "is_not_zero({})", "abs({}) + 0 > 0", "NOT ({} = 0)", "nullif({}, 0) > -9"]);
    let frail = g.dice.pick(&["(12 / {})", "(12 % {})", "(100 / {} - 3)"]);
    (guard.replace("{}", &f), number(frail.replace("{}", &f)))
}

/// A condition that is NULL if its inputs are.
pub fn predicate(g: &mut Gen, fields: &[Field], depth: u32) -> String {
    if depth > 0 && g.dice.chance(25) {
        let (a, b) = (predicate(g, fields, depth - 1), predicate(g, fields, depth - 1));
        return match g.dice.index(3) {
            0 => format!("({a} AND {b})"),
            1 => format!("({a} OR {b})"),
            _ => format!("NOT ({a})"),
        };
    }
    let f = g.dice.pick(fields).clone();
    if g.dice.chance(15) {
        return format!("{} IS {}NULL", f.sql, if g.dice.chance(50) { "NOT " } else { "" });
    }
    match f.ty {
        Ty::Bool => f.sql,
        Ty::Text => match g.dice.index(3) {
            0 => format!("{} LIKE '%b%'", f.sql),
            1 => format!("{} IN ('a', 'b', '')", f.sql),
            _ => format!("lower({}) > 'a'", f.sql),
        },
        Ty::Int => match g.dice.index(4) {
            0 => format!("{} IN (1, 2, 3)", f.sql),
            1 => format!("{} BETWEEN 0 AND 4", f.sql),
            2 => format!("{} % 2 = 0", f.sql),
            _ => compare(g, &f),
        },
        _ => compare(g, &f),
    }
}

fn compare(g: &mut Gen, f: &Field) -> String {
    let op = g.dice.pick(&["<", "<=", ">", ">=", "<>", "="]);
    let literal = values::sql_literal(g.dice, f.ty, false);
    format!("{} {op} {literal}", f.sql)
}
