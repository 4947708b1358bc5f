//! A plan as text.

use std::fmt::Write;

use imat_compile::name::QName;
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Plan, Size, Strategy};
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::locks::{Keys, Locking};
use imat_compile::sql::statements::{Recompute, RecomputeFew, RecomputeMany};

use crate::case::Change;

/// Longer lines are broken at commas and connectives.
const WIDTH: usize = 110;

/// Subqueries up to this length are shown each time.
const SHORT: usize = 70;

/// A line ends before these words.
const CLAUSES: [&str; 10] = [
    "FROM ",
    "WHERE ",
    "GROUP BY ",
    "ORDER BY ",
    "UNION ALL ",
    "CROSS JOIN ",
    "ON CONFLICT ",
    "DO UPDATE ",
    "RETURNING ",
    "WINDOW ",
];

pub fn plan(plan: &Plan, changes: &[Change]) -> String {
    // A state that is itself the result has the maintained table's name.
    let state = match plan.reading {
        None => QName::new("imat", "v"),
        Some(_) => QName::new("imat_state", "v"),
    };
    let mut out = String::new();
    line(&mut out, "strategy", &strategy(plan));
    line(&mut out, "key", &format!("{:?}", plan.key));
    for table in &plan.tables {
        line(&mut out, "reads", &format!("{} {:?}", table.name, table.columns));
    }
    for sql in plan.create(&state) {
        statement(&mut out, "create", Some(&sql));
    }
    statement(&mut out, "reading", plan.reading(&state).as_ref());
    statement(&mut out, "populate", Some(&plan.rebuild(&state).populate));
    for change in changes {
        flush(&mut out, plan, &state, change);
    }
    out
}

fn strategy(plan: &Plan) -> String {
    let name = plan.strategy.name();
    match &plan.strategy {
        Strategy::Arithmetic => name.to_owned(),
        Strategy::Recompute { aggregates } => format!("{name}, for {}", aggregates.join(", ")),
        Strategy::Whole { construct } => format!("{name}, for {construct}"),
    }
}

fn flush(out: &mut String, plan: &Plan, state: &QName, (tables, signs, size): &Change) {
    let position = |name: &str| plan.tables.iter().position(|table| table.name.name == name);
    let changed: TableSet =
        tables.iter().map(|name| position(name).unwrap_or_else(|| panic!("the view does not read {name}"))).collect();
    let flush = plan.flush(state, &changed, *signs, *size);
    let _ = writeln!(out, "\n{} changed: {signs:?}, {size:?}\n", tables.join(" and "));
    let idle = plan.idle(&changed, &changed);
    if !idle.is_empty() {
        let rest = changed.iter().copied().filter(|table| !idle.contains_key(table)).collect();
        line(out, "where rows of the referenced table only come or only go", "makes no difference");
        locks(out, plan, "then locks", &rest, &idle, *size);
    }
    locks(out, plan, "locks", &changed, &Idle::new(), *size);
    let apply = if flush.returns { "apply, returns" } else { "apply" };
    let mut statements: Vec<(&str, &Sql)> = flush.digest.iter().map(|digest| ("digest", digest)).collect();
    statements.extend([(apply, &flush.apply.write), ("twins", &flush.apply.twins)]);
    match &flush.recompute {
        None => {}
        // If many rows change, many groups may have to be recomputed.
        Some(Recompute { many: RecomputeMany { groups, digest, values, write }, .. }) if *size == Size::Large => {
            statements.extend([
                ("groups to recompute", groups),
                ("recompute digest", digest),
                ("values to write", values),
                ("recompute", write),
            ]);
        }
        Some(Recompute { few: RecomputeFew { digest, write }, .. }) => {
            statements.extend([("recompute digest", digest), ("recompute", write)]);
        }
    }
    statements.extend(flush.delete.iter().map(|delete| ("delete", delete)));
    let mut shown = String::new();
    for (label, sql) in statements.into_iter().map(|(label, sql)| (label, sql.as_str())) {
        let _ = writeln!(out, "{label}:\n  {}", laid_out(&abridged(sql, &shown)));
        shown += sql;
    }
}

fn locks(out: &mut String, plan: &Plan, label: &str, changed: &TableSet, idle: &Idle, size: Size) {
    match plan.locking(changed, idle, size) {
        Locking::Rows => line(out, label, "its rows"),
        Locking::View => line(out, label, "the view"),
        Locking::Keys(steps) => {
            for step in steps {
                let edge = |edge: u16| plan.edge(edge).unwrap_or_default();
                let sides: Vec<String> =
                    step.sides.iter().map(|(number, side)| format!("{side:?} of {}", edge(*number))).collect();
                let label = format!("{label}, {}", sides.join(", "));
                match &step.keys {
                    Keys::Query(query) => statement(out, &label, Some(query)),
                    Keys::Columns(keys) => line(out, &label, &format!("{keys:?}")),
                    Keys::All => line(out, &label, "all"),
                }
            }
        }
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{label}: {text}");
}

fn statement(out: &mut String, label: &str, sql: Option<&Sql>) {
    if let Some(sql) = sql {
        let _ = writeln!(out, "{label}:\n  {}", laid_out(sql.as_str()));
    }
}

/// Replaces subqueries that were shown already.
fn abridged(sql: &str, shown: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(start) = rest.find("(SELECT ") {
        let (before, bracket) = rest.split_at(start + 1);
        let end = bracketed(bracket);
        out += before;
        let seen = end > SHORT && shown.contains(&bracket[..end]);
        let kept = if seen { end } else { "SELECT ".len() };
        out += if seen { "SELECT …" } else { "SELECT " };
        rest = &bracket[kept..];
    }
    out + rest
}

/// The position of the bracket that closes the one before `text`.
fn bracketed(text: &str) -> usize {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return at,
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The same tokens with a line for each clause, indented by brackets.
fn laid_out(sql: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut width, mut quote) = (0, 0, None);
    for (at, c) in sql.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        let rest = sql[at..].trim_start();
        let space = quote.is_none() && c.is_whitespace();
        if space && breaks(&out, rest, width) {
            let indent = "  ".repeat(depth + 1);
            let _ = write!(out, "\n{indent}");
            width = indent.len();
        } else {
            out.push(if space { ' ' } else { c });
            width += 1;
        }
    }
    out
}

/// Whether a line ends between `before` and `rest`.
fn breaks(before: &str, rest: &str, width: usize) -> bool {
    let clause = CLAUSES.iter().any(|clause| rest.starts_with(clause)) && !before.ends_with("DISTINCT");
    let connective = before.ends_with(',') || rest.starts_with("AND ") || rest.starts_with("OR ");
    clause || (width > WIDTH && connective)
}
