//! All other constructs: set operations, outer joins, subqueries, windows, CTEs, limits.

use super::source::{self, From};
use super::{Expr, Gen, Query, aggregate, expr, grouped, select_list};
use crate::random::values::Ty;

pub fn query(g: &mut Gen) -> Query {
    match g.dice.index(13) {
        0 => distinct(g),
        1 | 2 => set_operation(g),
        3 | 4 => outer_join(g),
        5 | 6 => subquery_condition(g),
        7 => scalar_subquery(g),
        8 => window(g),
        9 => common_table(g),
        10 => limit(g),
        11 => grouping_sets(g),
        _ => other(g),
    }
}

fn distinct(g: &mut Gen) -> Query {
    let mut query = if g.dice.chance(60) { grouped::rows(g) } else { grouped::query(g, 1, None) };
    // Float sums that differ by a rounding error might count as one row or two.
    if query.exact() {
        query.sql = format!("SELECT DISTINCT * FROM ({}) AS d", query.sql);
    }
    query
}

/// Two queries with the same column types.
fn set_operation(g: &mut Gen) -> Query {
    let op = *g.dice.pick(&["UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"]);
    let (a, b) = (grouped::simple_rows(g), grouped::simple_rows(g));
    let mut sql = format!("({})\n{op}\n({})", a.sql, b.sql);
    if g.dice.chance(20) {
        sql = format!("({sql})\nUNION ALL\n({})", grouped::simple_rows(g).sql);
    }
    if g.dice.chance(40) {
        sql = format!("SELECT c1 AS k, count(*) AS n, sum(c3) AS s FROM (\n{sql}\n) AS u GROUP BY c1");
        return Query::of_groups(sql, vec![Ty::Int, Ty::Big, Ty::Big]);
    }
    Query::of_rows(sql, a.types)
}

fn outer_join(g: &mut Gen) -> Query {
    let (left, right) = (source::any(g), source::any(g));
    let kind = *g.dice.pick(&["LEFT", "LEFT", "LEFT", "RIGHT", "FULL"]);
    let on = if kind == "FULL" {
        // PostgreSQL supports FULL JOIN only with conditions for a merge or hash join.
        let ints = |i: &source::Input| i.fields.iter().find(|f| f.ty == Ty::Int).map(|f| f.sql.clone());
        match (ints(&left), ints(&right)) {
            (Some(a), Some(b)) => format!("{a} = {b}"),
            _ => "true".to_owned(),
        }
    } else {
        source::condition(g, &left, &right)
    };
    let mut sql = format!("{}\n  {kind} JOIN {} ON {on}", left.sql, right.sql);
    let mut fields = left.fields.clone();
    fields.extend(right.fields.clone());
    if g.dice.chance(25) {
        let third = source::any(g);
        let on = source::condition(g, &left, &third);
        sql += &format!("\n  {} JOIN {} ON {on}", g.dice.pick(&["LEFT", "INNER"]), third.sql);
        fields.extend(third.fields);
    }
    let from = From { sql, fields, conditions: Vec::new(), unique: Vec::new() };
    if g.dice.chance(60) { grouped::over(g, &from, None) } else { grouped::rows_over(g, &from) }
}

fn subquery_condition(g: &mut Gen) -> Query {
    let outer = source::inner(g, 1);
    let inner = {
        let at = g.dice.index(g.schema.tables.len());
        source::table(g, at)
    };
    let (x, y) = (expr::int(g, &outer.fields).sql, expr::int(g, &inner.fields).sql);
    let extra = expr::predicate(g, &inner.fields, 0);
    let condition = match g.dice.index(5) {
        0 => format!("EXISTS (SELECT 1 FROM {} WHERE {x} = {y} AND {extra})", inner.sql),
        1 => format!("NOT EXISTS (SELECT 1 FROM {} WHERE {x} = {y})", inner.sql),
        2 => format!("{x} IN (SELECT {y} FROM {} WHERE {extra})", inner.sql),
        3 => format!("{x} NOT IN (SELECT {y} FROM {} WHERE {y} > 2)", inner.sql),
        _ => format!("{x} > ALL (SELECT {y} FROM {} WHERE {extra})", inner.sql),
    };
    let from = From { conditions: vec![condition], ..outer };
    if g.dice.chance(50) { grouped::over(g, &from, None) } else { grouped::rows_over(g, &from) }
}

fn scalar_subquery(g: &mut Gen) -> Query {
    let outer = source::inner(g, 1);
    let at = g.dice.index(g.schema.tables.len());
    let inner = source::table(g, at);
    let (x, y) = (expr::int(g, &outer.fields).sql, expr::int(g, &inner.fields).sql);
    let sub = match g.dice.index(3) {
        0 => format!("(SELECT count(*) FROM {} WHERE {y} = {x})", inner.sql),
        1 => format!("(SELECT max({y}) FROM {})", inner.sql),
        _ => format!("(SELECT sum({y}) FROM {} WHERE {y} <= {x})", inner.sql),
    };
    let items = [Expr { sql: x, ty: Ty::Int }, expr::plain(g, &outer.fields), Expr { sql: sub, ty: Ty::Big }];
    let list = select_list(g.dice, &items);
    Query::of_rows(format!("SELECT {list}\nFROM {}", outer.sql), items.iter().map(|e| e.ty).collect())
}

/// Windows whose result does not depend on ties: whole partitions, ranks, peers, or an order by all columns that are
/// shown.
fn window(g: &mut Gen) -> Query {
    let from = source::inner(g, 1);
    let (k, x) = (expr::key(g, &from.fields), expr::int(g, &from.fields));
    let over = match g.dice.index(5) {
        0 => format!("sum({x}) OVER (PARTITION BY {k})", x = x.sql, k = k.sql),
        1 => format!("rank() OVER (PARTITION BY {k} ORDER BY {x})", x = x.sql, k = k.sql),
        2 => format!("row_number() OVER (ORDER BY {k}, {x})", x = x.sql, k = k.sql),
        3 => format!("sum({x}) OVER (ORDER BY {x})", x = x.sql),
        _ => format!("lag({x}) OVER (PARTITION BY {k} ORDER BY {x})", x = x.sql, k = k.sql),
    };
    let items = [k, x, Expr { sql: over, ty: Ty::Big }];
    let list = select_list(g.dice, &items);
    Query::of_rows(format!("SELECT {list}\nFROM {}", from.sql), items.iter().map(|e| e.ty).collect())
}

fn common_table(g: &mut Gen) -> Query {
    let groups = grouped::simple_groups(g);
    if g.dice.chance(45) {
        let sql = format!(
            "WITH RECURSIVE s(n) AS (\n  SELECT 0 UNION SELECT n + 1 FROM s WHERE n < 5\n)\n\
             SELECT s.n, g.c2 AS total FROM s JOIN ({}) AS g ON g.c1 = s.n",
            groups.sql
        );
        return Query::of_rows(sql, vec![Ty::Int, Ty::Big]);
    }
    let from = source::inner(g, 1);
    let x = expr::int(g, &from.fields).sql;
    let sql = format!(
        "WITH w AS (\n  {}\n)\nSELECT w.c1 AS k, w.c2 AS n, count(*) AS rows, max({x}) AS top\nFROM w JOIN {} ON w.c1 = {x}\nGROUP BY w.c1, w.c2",
        groups.sql, from.sql
    );
    Query::of_groups(sql, vec![Ty::Int, Ty::Big, Ty::Big, Ty::Int])
}

/// The first rows in an order by all columns that are shown.
fn limit(g: &mut Gen) -> Query {
    let query = if g.dice.chance(50) { grouped::simple_groups(g) } else { grouped::simple_rows(g) };
    let tail = *g.dice.pick(&["LIMIT 3", "LIMIT 5 OFFSET 1", "FETCH FIRST 2 ROWS WITH TIES", "OFFSET 2"]);
    let direction = *g.dice.pick(&["", " DESC", " DESC NULLS LAST"]);
    let sql = format!("SELECT c1 AS a, c3 AS b FROM ({}) AS q\nORDER BY c1{direction}, c3 {tail}", query.sql);
    Query::of_rows(sql, vec![query.types[0], query.types[2]])
}

fn grouping_sets(g: &mut Gen) -> Query {
    let from = source::inner(g, 1);
    let (a, b) = (expr::int(g, &from.fields), expr::text(g, &from.fields));
    let x = aggregate::call(g, &from.fields);
    let sets = match g.dice.index(3) {
        0 => "ROLLUP (q.a, q.b)",
        1 => "CUBE (q.a, q.b)",
        _ => "GROUPING SETS ((q.a), (q.b), ())",
    };
    if g.dice.chance(50) {
        let sql = format!(
            "SELECT q.a, q.b, grouping(q.a) AS g, count(*) AS n\nFROM (SELECT {} AS a, {} AS b FROM {}) AS q\nGROUP BY {sets}",
            a.sql, b.sql, from.sql
        );
        return Query::of_groups(sql, vec![Ty::Int, Ty::Text, Ty::Int, Ty::Big]);
    }
    let (a, b) = (format!("({} + 0)", a.sql), b.sql);
    let sets = sets.replace("q.a", &a).replace("q.b", &b);
    Query::of_groups(
        format!("SELECT {a} AS a, {b} AS b, {} AS x\nFROM {}\nGROUP BY {sets}", x.sql, from.sql),
        vec![Ty::Int, Ty::Text, x.ty],
    )
}

fn other(g: &mut Gen) -> Query {
    let groups = grouped::simple_groups(g);
    let rows = grouped::simple_rows(g);
    match g.dice.index(4) {
        // Groups of groups.
        0 => Query::of_groups(
            format!("SELECT c2 AS n, count(*) AS keys, sum(c3) AS total FROM ({}) AS q GROUP BY c2", groups.sql),
            vec![Ty::Big, Ty::Big, Ty::Num],
        ),
        1 => Query::of_rows(
            format!("SELECT DISTINCT ON (c1) c1, c2, c3 FROM ({}) AS q ORDER BY c1, c2, c3", rows.sql),
            rows.types,
        ),
        2 => Query::of_rows(
            format!(
                "SELECT q.c1, l.c3 FROM ({}) AS q CROSS JOIN LATERAL (SELECT r.c3 FROM ({}) AS r WHERE r.c1 = q.c1 ORDER BY r.c3 LIMIT 1) AS l",
                groups.sql, rows.sql
            ),
            vec![Ty::Int, Ty::Int],
        ),
        _ => Query::of_groups(
            format!(
                "SELECT q.c1, n, count(*) AS rows FROM ({}) AS q CROSS JOIN generate_series(1, 2) AS s(n) GROUP BY q.c1, n",
                rows.sql
            ),
            vec![Ty::Int, Ty::Int, Ty::Big],
        ),
    }
}
