//! Statements of a grouped state.
//!
//! A delta is applied by one upsert in key order. What it emptied is deleted by a second
//! statement, and what it could not compute is recomputed by others ([`super::tids`]): each sees, under READ
//! COMMITTED, all that was committed before the row locks of the one before it were granted.

use crate::name::{QName, ident};
use crate::plan::component::{Component, Kind};
use crate::plan::grouped::{GroupKey, Grouped};
use crate::plan::{Fate, Key, Plan, Signs, Size};
use crate::rel::TableSet;
use crate::scalar::Scalar;
use crate::sql::source::One;
use crate::sql::statements::{Apply, Flush};
use crate::sql::{Sql, tids};

pub(super) fn scope(column: usize) -> String {
    format!("d.x{column}")
}

pub(super) fn name(plan: &Plan, column: usize) -> String {
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
pub(super) fn over_rows<'a>(plan: &'a Plan, grouped: &'a Grouped) -> impl Iterator<Item = String> + 'a {
    grouped
        .components
        .iter()
        .map(|stored| format!("{} AS {}", stored.component.over_rows(&scope), name(plan, stored.column)))
}

fn key_values<'a>(plan: &'a Plan, grouped: &'a Grouped) -> impl Iterator<Item = String> + 'a {
    grouped.keys.iter().map(|key| format!("{} AS {}", key.expr.render(scope), name(plan, key.column)))
}

/// See [`Plan::flush`].
pub fn flush(plan: &Plan, grouped: &Grouped, state: &QName, changed: &TableSet, signs: Signs, size: Size) -> Flush {
    let mixed = size.mixes(signs);
    let signs = grouped.signs(changed, signs, size);
    let core = &grouped.source.core;
    let joined = core.tables.len() > 1 || core.self_join;
    let recomputes = grouped.recomputes(signs);
    let one = match size {
        Size::One(fate) => grouped.source.one(changed).map(|one| (one, fate)),
        Size::Small | Size::Large => None,
    };
    let apply = match &one {
        Some((one, fate)) => apply_one(plan, grouped, state, one, *fate),
        None => apply(plan, grouped, state, changed, signs, mixed),
    };
    Flush {
        digest: joined.then(|| digest(plan, grouped, changed, signs, mixed)),
        apply,
        returns: signs.removals() || recomputes,
        recompute: recomputes.then(|| tids::recompute(plan, grouped, state)),
        delete: (signs.removals() && plan.key != Key::Single).then(|| tids::delete(plan, state)),
    }
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
fn delta(plan: &Plan, grouped: &Grouped, changed: &TableSet, signs: Signs, mixed: bool) -> Delta {
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
    let from = format!("({}) AS d{}", grouped.source.delta(changed, mixed), group_by(grouped));
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
fn apply(plan: &Plan, grouped: &Grouped, state: &QName, changed: &TableSet, signs: Signs, mixed: bool) -> Apply {
    let mut delta = delta(plan, grouped, changed, signs, mixed);
    if !grouped.keys.is_empty() {
        delta.select += &format!(" ORDER BY {}", positions(grouped.keys.len()));
    }
    write(plan, grouped, state, &delta, signs)
}

/// Applies the change of one row.
fn apply_one(plan: &Plan, grouped: &Grouped, state: &QName, one: &One, fate: Fate) -> Apply {
    write(plan, grouped, state, &delta_of_one(plan, grouped, one, fate), fate.signs())
}

fn write(plan: &Plan, grouped: &Grouped, state: &QName, delta: &Delta, signs: Signs) -> Apply {
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
    let (count, dirty) = (format!("s.{}", plan.count_column()), needs_recompute(plan, grouped, signs));
    let apply = Apply::new(&write, &count, &dirty, plan, state);
    match signs == Signs::Additions && !grouped.recomputes(signs) {
        true => Apply { write: Sql::new(write), ..apply },
        false => apply,
    }
}

/// The keys that can fail for some row. Where rows are looked for by them, that must be a row of the view.
pub(super) fn frail_keys(grouped: &Grouped) -> Vec<&Scalar> {
    grouped.keys.iter().map(|key| &key.expr).filter(|expr| !grouped.source.is_total(expr)).collect()
}

/// What the upsert would write, as one number.
fn digest(plan: &Plan, grouped: &Grouped, changed: &TableSet, signs: Signs, mixed: bool) -> Sql {
    digest_of(&delta(plan, grouped, changed, signs, mixed).select)
}

pub(crate) fn digest_of(select: &str) -> Sql {
    Sql::new(format!(
        "SELECT coalesce(pg_catalog.sum(imat_catalog.row_hash(ROW(r.*))), 0::numeric)::text FROM ({select}) AS r"
    ))
}
