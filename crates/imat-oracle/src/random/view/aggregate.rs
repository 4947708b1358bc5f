//! Aggregate calls, and expressions over them.

use super::source::Field;
use super::{Expr, Gen, expr};
use crate::random::values::Ty;

/// An aggregate or an expression over aggregates. `keys` are the group's own expressions.
pub fn item(g: &mut Gen, fields: &[Field], keys: &[Expr]) -> Expr {
    if g.dice.chance(72) {
        return call(g, fields);
    }
    let num = |sql: String| Expr { sql, ty: Ty::Num };
    let text = |sql: String| Expr { sql, ty: Ty::Text };
    let n = exact_number(g, fields);
    match g.dice.index(9) {
        0 => num(format!("sum({n}) / nullif(count(*), 0)")),
        1 => text(format!("round(avg({n}), 2)::text")),
        2 => num(format!("coalesce(sum({n}), 0) + count(*)")),
        3 => num(format!("max({n}) - min({n})")),
        4 => text("CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END".into()),
        5 => num(format!("count(*) * 100.0 / nullif(count({n}), 0)")),
        6 => text(format!("coalesce(sum({n})::text, 'none')")),
        7 => Expr { sql: format!("sum({n}) > 5 AND count(*) < 10"), ty: Ty::Bool },
        _ => match keys.iter().find(|k| !matches!(k.ty, Ty::Num | Ty::Float)) {
            Some(k) => text(format!("concat({}, ':', count(*))", k.sql)),
            None => Expr { sql: "count(*) + 1".into(), ty: Ty::Big },
        },
    }
}

/// A number whose text does not depend on how it was computed.
fn exact_number(g: &mut Gen, fields: &[Field]) -> String {
    let fit: Vec<&Field> = fields.iter().filter(|f| matches!(f.ty, Ty::Int | Ty::Money)).collect();
    if fit.is_empty() || g.dice.chance(30) { expr::int(g, fields).sql } else { g.dice.pick(&fit).sql.clone() }
}

/// One aggregate call, sometimes with a FILTER.
pub fn call(g: &mut Gen, fields: &[Field]) -> Expr {
    let mut e = match g.dice.weighted(&[(62, 0), (14, 1), (24, 2)]) {
        0 => invertible(g, fields),
        1 => extreme(g, fields),
        _ => holistic(g, fields),
    };
    if g.dice.chance(15) {
        let filter = format!(" FILTER (WHERE {})", expr::predicate(g, fields, 1));
        // FILTER belongs to the call, before a cast of its result.
        e.sql = match e.sql.strip_suffix("::text") {
            Some(call) => format!("{call}{filter}::text"),
            None => e.sql + &filter,
        };
    }
    e
}

fn invertible(g: &mut Gen, fields: &[Field]) -> Expr {
    let e = |sql: String, ty| Expr { sql, ty };
    match g.dice.weighted(&[(18, 0), (10, 1), (30, 2), (18, 3), (12, 4), (12, 5)]) {
        0 => e("count(*)".into(), Ty::Big),
        1 => e(format!("count({})", expr::plain(g, fields).sql), Ty::Big),
        2 => {
            let n = expr::number(g, fields);
            let ty = match n.ty {
                Ty::Int => Ty::Big,
                Ty::Float => Ty::Float,
                _ => Ty::Num,
            };
            e(format!("sum({})", n.sql), ty)
        }
        3 => {
            let n = expr::number(g, fields);
            e(format!("avg({})", n.sql), if n.ty == Ty::Float { Ty::Float } else { Ty::Num })
        }
        4 => {
            let name = g.dice.pick(&["stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"]);
            let n = exact_number(g, fields);
            e(format!("{name}({n})"), Ty::Num)
        }
        _ => {
            let name = g.dice.pick(&["bool_and", "bool_or", "every"]);
            e(format!("{name}({})", expr::predicate(g, fields, 1)), Ty::Bool)
        }
    }
}

fn extreme(g: &mut Gen, fields: &[Field]) -> Expr {
    let name = g.dice.pick(&["min", "max"]);
    let fit: Vec<&Field> = fields.iter().filter(|f| f.ty != Ty::Bool).collect();
    let (sql, ty) = if fit.is_empty() {
        let x = expr::int(g, fields);
        (x.sql, x.ty)
    } else {
        let f = g.dice.pick(&fit);
        (f.sql.clone(), f.ty)
    };
    Expr { sql: format!("{name}({sql})"), ty }
}

/// Aggregates that need the whole group. In their ORDER BY, ties are only between identical values.
fn holistic(g: &mut Gen, fields: &[Field]) -> Expr {
    let text = |sql: String| Expr { sql, ty: Ty::Text };
    let x = expr::sortable(g, fields).sql;
    match g.dice.index(12) {
        0 => Expr { sql: format!("count(DISTINCT {})", expr::plain(g, fields).sql), ty: Ty::Big },
        1 => Expr { sql: format!("sum(DISTINCT {})", expr::int(g, fields).sql), ty: Ty::Big },
        2 => text(format!("array_agg({x} ORDER BY {x})::text")),
        3 => {
            let y = expr::sortable(g, fields).sql;
            text(format!("array_agg({x} ORDER BY {y} DESC NULLS LAST, {x})::text"))
        }
        4 => {
            let t = expr::text(g, fields).sql;
            text(format!("string_agg({t}, ',' ORDER BY {t})"))
        }
        5 => {
            let t = expr::text(g, fields).sql;
            text(format!("string_agg(DISTINCT {t}, ',' ORDER BY {t})"))
        }
        6 => {
            let (i, share) = (expr::int(g, fields).sql, *g.dice.pick(&["0.5", "0.25", "0.9"]));
            Expr { sql: format!("percentile_cont({share}) WITHIN GROUP (ORDER BY {i})"), ty: Ty::Float }
        }
        7 => text(format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {x})::text")),
        8 => text(format!("mode() WITHIN GROUP (ORDER BY {x})::text")),
        9 => {
            let name = g.dice.pick(&["bit_or", "bit_and", "tally", "bit_xor"]);
            Expr { sql: format!("{name}({})", expr::int(g, fields).sql), ty: Ty::Int }
        }
        10 => text(format!("array_agg(DISTINCT {x} ORDER BY {x} DESC)::text")),
        _ => text(format!("jsonb_agg({x} ORDER BY {x})::text")),
    }
}

/// A condition on the group.
pub fn having(g: &mut Gen, fields: &[Field]) -> String {
    let n = exact_number(g, fields);
    match g.dice.index(6) {
        0 => "count(*) > 1".into(),
        1 => format!("sum({n}) > 3"),
        2 => format!("min({n}) IS NOT NULL"),
        3 => format!("avg({n}) < 4 OR count(*) = 1"),
        4 => format!("count({n}) = count(*)"),
        _ => format!("max({n}) >= 4"),
    }
}
