//! Statements of a grouped state.
//!
//! A delta is applied by one upsert in key order, then what it emptied is deleted by a second
//! statement, and what it could not compute is recomputed by another: each sees, under READ
//! COMMITTED, all that was committed before the row locks of the one before it were granted.

use crate::name::{QName, ident};
use crate::plan::component::{Component, Kind};
use crate::plan::grouped::{GroupKey, Grouped, Stored};
use crate::plan::source::One;
use crate::plan::{Fate, Key, Plan, Signs, Size};
use crate::rel::TableSet;
use crate::scalar::Scalar;
use crate::sql::Sql;

fn scope(column: usize) -> String {
    format!("d.x{column}")
}

fn name(plan: &Plan, column: usize) -> String {
    ident(&plan.columns[column].name)
}

fn positions(count: usize) -> String {
    (1..=count).map(|position| position.to_string()).collect::<Vec<_>>().join(", ")
}

fn group_by(grouped: &Grouped) -> String {
    match grouped.keys.len() {
        0 => String::new(),
        keys => format!(" GROUP BY {}", positions(keys)),
    }
}

/// `value AS column` of each component over the rows of a group.
fn over_rows<'a>(plan: &'a Plan, grouped: &'a Grouped) -> impl Iterator<Item = String> + 'a {
    grouped
        .components
        .iter()
        .map(|stored| format!("{} AS {}", stored.component.over_rows(&scope), name(plan, stored.column)))
}

fn key_values<'a>(plan: &'a Plan, grouped: &'a Grouped) -> impl Iterator<Item = String> + 'a {
    grouped.keys.iter().map(|key| format!("{} AS {}", key.expr.render(scope), name(plan, key.column)))
}

/// See [`Plan::content`]. What was retracted is NULL.
pub fn content(plan: &Plan, grouped: &Grouped) -> (Vec<String>, String) {
    let key_columns = grouped.keys.iter().map(|key| name(plan, key.column));
    let component_columns = grouped.components.iter().map(|stored| name(plan, stored.column));
    let dirty_column = grouped.dirty.iter().map(|&column| name(plan, column));
    let dirty = grouped.dirty.iter().map(|&column| format!("false AS {}", name(plan, column)));
    let values: Vec<String> = key_values(plan, grouped).chain(over_rows(plan, grouped)).chain(dirty).collect();
    (
        key_columns.chain(component_columns).chain(dirty_column).collect(),
        format!("SELECT {} FROM ({}) AS d{}", values.join(", "), grouped.source.now(), group_by(grouped)),
    )
}

/// The delta per group: state columns and their values' changes.
struct Delta {
    columns: Vec<String>,
    select: String,
}

/// What makes every touched group, or every group with a retraction, due for recomputation.
/// An added extreme outweighs a retracted one only where it is known to be there afterwards.
fn dirty_value(grouped: &Grouped, signs: Signs) -> &'static str {
    let has = |kind: Kind| grouped.components.iter().any(|stored| stored.component.kind == kind);
    let extremes = has(Kind::Min) || has(Kind::Max);
    match signs {
        _ if has(Kind::Holistic) => "true",
        Signs::Statement if has(Kind::InexactSum) => "pg_catalog.bool_or(d.w < 0)",
        Signs::Net if has(Kind::InexactSum) || extremes => "pg_catalog.bool_or(d.w < 0)",
        _ => "false",
    }
}

/// The change per group of a delta of many rows.
fn delta(plan: &Plan, grouped: &Grouped, changed: &TableSet, signs: Signs) -> Delta {
    let weight = signs.removals().then_some("d.w");
    let fields = fields(
        plan,
        grouped,
        dirty_value(grouped, signs),
        &|key| key.expr.render(scope),
        &|component| component.over_delta(weight, &scope),
        &|component| weight.map(|weight| component.retraction(weight, &scope)),
    );
    let touched = touched(plan, "pg_catalog.count(*)");
    let from = format!("({}) AS d{}", grouped.source.delta(changed), group_by(grouped));
    Delta::new(fields, &format!("{touched} FROM {from}"))
}

/// The change that one row makes, where it makes one at most.
fn delta_of_one(plan: &Plan, grouped: &Grouped, one: &One, fate: Fate) -> Delta {
    let removed = fate == Fate::Removed;
    let column = |position: usize| one.column(position);
    let has = |kind: Kind| grouped.components.iter().any(|stored| stored.component.kind == kind);
    let dirty = has(Kind::Holistic) || (removed && has(Kind::InexactSum));
    let fields = fields(
        plan,
        grouped,
        if dirty { "true" } else { "false" },
        &|key| key.expr.render(column),
        &|component| component.over_one(fate, &column),
        &|component| removed.then(|| component.retraction_of_one(&column)),
    );
    Delta::new(fields, &format!("{}{}", touched(plan, "1"), one.rest))
}

/// The number of rows behind a change of the only row; other states have no row without a change.
fn touched(plan: &Plan, count: &str) -> String {
    match plan.key {
        Key::Single => format!(", {count} AS {}", plan.unused("touched")),
        _ => String::new(),
    }
}

/// The delta's columns with their values: keys, components with what they retract, and the flag.
fn fields(
    plan: &Plan,
    grouped: &Grouped,
    dirty: &str,
    key: &dyn Fn(&GroupKey) -> String,
    change: &dyn Fn(&Component) -> String,
    retraction: &dyn Fn(&Component) -> Option<String>,
) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> =
        grouped.keys.iter().map(|group_key| (name(plan, group_key.column), key(group_key))).collect();
    for stored in &grouped.components {
        fields.push((name(plan, stored.column), change(&stored.component)));
        if let Some(column) = stored.retraction
            && let Some(value) = retraction(&stored.component)
        {
            fields.push((name(plan, column), value));
        }
    }
    fields.extend(grouped.dirty.map(|column| (name(plan, column), dirty.to_owned())));
    fields
}

impl Delta {
    fn new(fields: Vec<(String, String)>, rest: &str) -> Self {
        let values: Vec<String> = fields.iter().map(|(column, value)| format!("{value} AS {column}")).collect();
        let select = format!("SELECT {}{rest}", values.join(", "));
        Self { columns: fields.into_iter().map(|(column, _)| column).collect(), select }
    }
}

/// `column = new value` of every component, from the stored row `s` and the delta's row `new`.
fn assignments(plan: &Plan, grouped: &Grouped, signs: Signs, new: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut dirty = grouped.dirty.map(|column| vec![format!("{new}.{}", name(plan, column))]).unwrap_or_default();
    for stored in &grouped.components {
        let column = name(plan, stored.column);
        let (old_value, new_value) = (format!("s.{column}"), format!("{new}.{column}"));
        out.push(format!("{column} = {}", stored.component.merge(&old_value, &new_value)));
        if let (Some(retraction), true) = (stored.retraction, signs.removals()) {
            let retracted = format!("{new}.{}", name(plan, retraction));
            dirty.push(stored.component.extreme_lost(&old_value, &new_value, &retracted));
        }
    }
    if let Some(column) = grouped.dirty {
        out.push(format!("{} = {}", name(plan, column), dirty.join(" OR ")));
    }
    out
}

fn same_key(plan: &Plan, key: &GroupKey, left: &str, right: &str) -> String {
    let column = name(plan, key.column);
    equal(&format!("{left}.{column}"), &format!("{right}.{column}"), key)
}

/// Whether two key values are in the same group, in a form that an index can serve.
fn equal(left: &str, right: &str, key: &GroupKey) -> String {
    let equal = format!("{left} {} {right}", key.equality);
    match key.nullable {
        false => format!("({equal})"),
        true => format!("(({equal}) OR ({left} IS NULL AND {right} IS NULL))"),
    }
}

/// Whether the stored row must be recomputed; over the row as the upsert left it.
fn needs_recompute(plan: &Plan, grouped: &Grouped, signs: Signs) -> String {
    let mut reasons: Vec<String> = grouped.dirty.iter().map(|&column| format!("s.{}", name(plan, column))).collect();
    for stored in &grouped.components {
        reasons.extend(stored.retraction.map(|column| format!("s.{} IS NOT NULL", name(plan, column))));
        if signs.removals() {
            reasons.extend(stored.component.absorbing(&format!("s.{}", name(plan, stored.column))));
        }
    }
    match reasons.is_empty() {
        true => "false".to_owned(),
        false => format!("({})", reasons.join(" OR ")),
    }
}

/// Applies a delta of many rows, in key order.
pub fn apply(plan: &Plan, grouped: &Grouped, state: &QName, changed: &TableSet, signs: Signs) -> Sql {
    let mut delta = delta(plan, grouped, changed, signs);
    if !grouped.keys.is_empty() {
        delta.select += &format!(" ORDER BY {}", positions(grouped.keys.len()));
    }
    write(plan, grouped, state, &delta, signs)
}

/// Applies the change of one row.
pub fn apply_one(plan: &Plan, grouped: &Grouped, state: &QName, one: &One, fate: Fate) -> Sql {
    write(plan, grouped, state, &delta_of_one(plan, grouped, one, fate), fate.signs())
}

fn write(plan: &Plan, grouped: &Grouped, state: &QName, delta: &Delta, signs: Signs) -> Sql {
    let write = match plan.conflict_target() {
        None => format!(
            "UPDATE {state} AS s SET {} FROM ({}) AS e WHERE e.{} > 0",
            assignments(plan, grouped, signs, "e").join(", "),
            delta.select,
            plan.unused("touched")
        ),
        Some(target) => format!(
            "INSERT INTO {state} AS s ({}) {} ON CONFLICT {target} DO UPDATE SET {}",
            delta.columns.join(", "),
            delta.select,
            assignments(plan, grouped, signs, "EXCLUDED").join(", ")
        ),
    };
    if signs == Signs::Additions && !grouped.recomputes(signs) {
        return Sql::new(write);
    }
    Sql::new(returning(&write, &format!("s.{}", plan.count_column()), &needs_recompute(plan, grouped, signs), plan))
}

/// One row about what a write left behind: emptied rows, rows to recompute, and the number of
/// rows with a negative multiplicity, which there are only if the state was wrong before.
pub(crate) fn returning(write: &str, count: &str, dirty: &str, plan: &Plan) -> String {
    let alive = if plan.key == Key::Single { "true" } else { "n > 0" };
    format!(
        "WITH u AS ({write} RETURNING s.ctid AS tid, {count} AS n, {dirty} AS dirty) \
         SELECT pg_catalog.array_agg(tid) FILTER (WHERE n = 0), \
         pg_catalog.array_agg(tid) FILTER (WHERE {alive} AND dirty), \
         pg_catalog.count(*) FILTER (WHERE n < 0) FROM u"
    )
}

/// Deletes, of the rows with the tids of `$1`, those that stand for no row.
pub(crate) fn delete(plan: &Plan, state: &QName, size: Size) -> Sql {
    let (more, found) = at_tids("s", size);
    let from = more.map(|more| format!(" USING {more}")).unwrap_or_default();
    Sql::new(format!("DELETE FROM {state} AS s{from} WHERE {found} AND s.{} = 0", plan.count_column()))
}

/// The condition that a row has one of the tids of `$1`, and the relation that it needs: few are
/// looked up one by one, many are joined.
fn at_tids(row: &str, size: Size) -> (Option<&'static str>, String) {
    match size {
        Size::One(_) | Size::Small => (None, format!("{row}.ctid = ANY ($1::tid[])")),
        Size::Large => (Some("imat_catalog.tids($1::tid[]) AS t (tid)"), format!("{row}.ctid = t.tid")),
    }
}

/// The key condition between the rows `d` and the groups `g`. NULLs meet through OR where few
/// groups are looked up by index, and as fields of a record, which can be sorted and merged,
/// where there are many. A key that can fail is a column `k0`, `k1` and so on of `d`.
fn meets(plan: &Plan, grouped: &Grouped, size: Size) -> String {
    let frail = frail_keys(grouped);
    let sides = |key: &GroupKey| {
        let left = match frail.iter().position(|expr| **expr == key.expr) {
            Some(number) => format!("d.k{number}"),
            None => key.expr.render(scope),
        };
        (left, format!("g.{}", name(plan, key.column)))
    };
    let (nullable, plain): (Vec<&GroupKey>, Vec<&GroupKey>) = grouped.keys.iter().partition(|key| key.nullable);
    let mut conditions: Vec<String> = plain
        .iter()
        .map(|key| {
            let (left, right) = sides(key);
            equal(&format!("({left})"), &right, key)
        })
        .collect();
    if size != Size::Large {
        conditions.extend(nullable.iter().map(|key| {
            let (left, right) = sides(key);
            equal(&format!("({left})"), &right, key)
        }));
    } else if !nullable.is_empty() {
        let (left, right): (Vec<String>, Vec<String>) = nullable.iter().map(|key| sides(key)).unzip();
        conditions.push(format!(
            "(ROW({})::record OPERATOR(pg_catalog.=) ROW({})::record)",
            left.join(", "),
            right.join(", ")
        ));
    }
    conditions.join(" AND ")
}

/// The keys that can fail for some row. Where rows are looked for by them, that must be a row of the view.
fn frail_keys(grouped: &Grouped) -> Vec<&Scalar> {
    grouped.keys.iter().map(|key| &key.expr).filter(|expr| !grouped.source.is_total(expr)).collect()
}

/// The components of the groups whose state rows have the tids of `$1`.
fn recomputed(plan: &Plan, grouped: &Grouped, state: &QName, size: Size) -> String {
    let values: Vec<String> = over_rows(plan, grouped).collect();
    let (now, tid) = (grouped.source.now_with(&frail_keys(grouped)), plan.unused("tid"));
    if grouped.keys.is_empty() {
        return format!(
            "SELECT g.ctid AS {tid}, r.* FROM (SELECT {} FROM ({now}) AS d) AS r, {state} AS g WHERE g.ctid = ANY ($1::tid[])",
            values.join(", ")
        );
    }
    let keys: Vec<String> = grouped.keys.iter().map(|key| format!("s.{}", name(plan, key.column))).collect();
    let (more, found) = at_tids("s", size);
    let more = more.map(|more| format!(", {more}")).unwrap_or_default();
    format!(
        "SELECT g.{tid}, {} FROM (SELECT s.ctid AS {tid}, {} FROM {state} AS s{more} WHERE {found}) AS g, \
         ({now}) AS d WHERE {} GROUP BY g.{tid}",
        values.join(", "),
        keys.join(", "),
        meets(plan, grouped, size)
    )
}

pub fn recompute(plan: &Plan, grouped: &Grouped, state: &QName, size: Size) -> (Sql, Sql) {
    let select = recomputed(plan, grouped, state, size);
    let reset = |stored: &Stored| stored.retraction.map(|column| format!("{} = NULL", name(plan, column)));
    let assignments: Vec<String> = grouped
        .components
        .iter()
        .map(|stored| format!("{column} = r.{column}", column = name(plan, stored.column)))
        .chain(grouped.components.iter().filter_map(reset))
        .chain(grouped.dirty.map(|column| format!("{} = false", name(plan, column))))
        .collect();
    let tid = plan.unused("tid");
    let write =
        format!("UPDATE {state} AS s SET {} FROM ({select}) AS r WHERE s.ctid = r.{tid}", assignments.join(", "));
    (Sql::new(write), digest_of(&select))
}

/// See [`crate::plan::Flush::twins`].
pub fn twins(plan: &Plan, grouped: &Grouped, state: &QName, changed: &TableSet, signs: Signs) -> Option<Sql> {
    twins_of(plan, grouped, state, &delta(plan, grouped, changed, signs))
}

/// The same for the change of one row.
pub fn twins_of_one(plan: &Plan, grouped: &Grouped, state: &QName, one: &One, fate: Fate) -> Option<Sql> {
    let mut delta = delta_of_one(plan, grouped, one, fate);
    // The planner would look for the key of a row before it knows that it is one of the view.
    delta.select += " OFFSET 0";
    twins_of(plan, grouped, state, &delta)
}

fn twins_of(plan: &Plan, grouped: &Grouped, state: &QName, delta: &Delta) -> Option<Sql> {
    let same = match plan.key {
        // The only row was made after the snapshot was taken.
        Key::Single => return Some(Sql::new(format!("SELECT 1 WHERE NOT EXISTS (SELECT FROM {state})"))),
        Key::Columns { .. } => {
            grouped.keys.iter().map(|key| same_key(plan, key, "s", "e")).collect::<Vec<_>>().join(" AND ")
        }
        Key::Image => format!("{} = {}", plan.key_image("s."), plan.key_image("e.")),
    };
    Some(more_than_one(state, &delta.select, &same))
}

/// Returns a row if some row of `keys`, a SELECT of distinct ones, meets several of the state.
/// They are counted one key at a time: a join would stop at the first, trusting the unique index.
pub(crate) fn more_than_one(state: &QName, keys: &str, same: &str) -> Sql {
    Sql::new(format!(
        "SELECT 1 FROM ({keys}) AS e CROSS JOIN LATERAL \
         (SELECT pg_catalog.count(*) AS n FROM {state} AS s WHERE {same}) AS c WHERE c.n > 1 LIMIT 1"
    ))
}

/// What the upsert would write, as one number.
pub fn digest(plan: &Plan, grouped: &Grouped, changed: &TableSet, signs: Signs) -> Sql {
    digest_of(&delta(plan, grouped, changed, signs).select)
}

pub(crate) fn digest_of(select: &str) -> Sql {
    Sql::new(format!(
        "SELECT coalesce(pg_catalog.sum(imat_catalog.row_hash(ROW(r.*))), 0::numeric)::text FROM ({select}) AS r"
    ))
}
