//! Statements of a grouped state.
//!
//! One upsert applies a delta, in key order. Another statement deletes the groups that it emptied, and others
//! recompute the groups that it could not compute ([`super::tids`]). They are statements of their own so that, under READ
//! COMMITTED, each sees what was committed while the one before it waited for row locks.

use std::fmt::Display;

use crate::name::{QName, ident};
use crate::plan::component::{Component, Kind};
use crate::plan::grouped::{GroupKey, Grouped};
use crate::plan::{Fate, Key, Plan, Signs, Size};
use crate::scalar::Scalar;
use crate::sql::builder::{Cte, Select, Write, subquery, with};
use crate::sql::source::{Change, One};
use crate::sql::statements::{Apply, Flush};
use crate::sql::{Sql, tids};

pub(super) fn scope(column: usize) -> String {
    format!("d.x{column}")
}

pub(super) fn name(plan: &Plan, column: usize) -> String {
    ident(&plan.columns[column].name)
}

/// `value AS column` of each component over the rows of a group.
pub(super) fn over_rows<'a>(plan: &'a Plan, grouped: &'a Grouped) -> impl Iterator<Item = String> + 'a {
    grouped
        .components
        .iter()
        .map(|stored| format!("{} AS {}", stored.component.over_rows(&scope), name(plan, stored.column)))
}

/// See [`Plan::flush`].
pub fn flush(plan: &Plan, grouped: &Grouped, state: &QName, change: &Change<'_>) -> Flush {
    let signs = grouped.signs(change.tables, change.signs, change.size);
    let core = &grouped.source.core;
    let joined = core.tables.len() > 1 || core.self_join;
    let recomputes = grouped.recomputes(signs);
    let delta = delta(plan, grouped, change, signs);
    let digest = joined.then(|| digest_of(&change.deltas, &delta.select));
    let one = match change.size {
        Size::One(fate) => grouped.source.one(change.tables).map(|one| delta_of_one(plan, grouped, one, fate)),
        Size::Small | Size::Large => None,
    };
    let delta = one.unwrap_or_else(|| delta.in_key_order(grouped));
    Flush {
        digest,
        apply: apply(plan, grouped, state, &change.deltas, delta, signs),
        returns: signs.removals() || recomputes,
        recompute: recomputes.then(|| tids::recompute(plan, grouped, state)),
        delete: (signs.removals() && plan.key != Key::Single).then(|| tids::delete(plan, state)),
    }
}

/// See [`Plan::content`]. The columns of retracted extremes stay NULL.
pub fn content(plan: &Plan, grouped: &Grouped) -> (Vec<String>, Select) {
    let key_columns = grouped.keys.iter().map(|key| name(plan, key.column));
    let component_columns = grouped.components.iter().map(|stored| name(plan, stored.column));
    let dirty_column = grouped.dirty.iter().map(|&column| name(plan, column));
    let keys = grouped.keys.iter().map(|key| format!("{} AS {}", key.expr.render(scope), name(plan, key.column)));
    let select = Select::new(keys)
        .columns(over_rows(plan, grouped))
        .columns(dirty_column.clone().map(|column| format!("false AS {column}")))
        .from([subquery(grouped.source.now(), "d")])
        .group_by(1..=grouped.keys.len());
    (key_columns.chain(component_columns).chain(dirty_column).collect(), select)
}

/// The change of each group: state columns, and a SELECT of how their values change.
struct Delta {
    columns: Vec<String>,
    select: Select,
}

/// Whether a group must be recomputed whatever its stored values are: always, if it has a row that is taken away, or never.
/// An added extreme makes up for a retracted one only where it is known to be there after the change.
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

/// The change of each group by a delta of many rows.
fn delta(plan: &Plan, grouped: &Grouped, change: &Change<'_>, signs: Signs) -> Delta {
    let weight = signs.removals().then_some("d.w");
    let fields = fields(
        plan,
        grouped,
        dirty_value(grouped, signs),
        &|key| key.expr.render(scope),
        &|component| component.over_delta(weight, &scope),
        &|component| weight.map(|weight| component.retraction(weight, &scope)),
    );
    let groups = Select::default().from([subquery(grouped.source.delta(change), "d")]);
    Delta::new(fields, touched(plan, "pg_catalog.count(*)"), groups.group_by(1..=grouped.keys.len()))
}

/// The change by a single row, if it concerns one group at most.
fn delta_of_one(plan: &Plan, grouped: &Grouped, one: One, fate: Fate) -> Delta {
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
    Delta::new(fields, touched(plan, "1"), one.rest)
}

/// The number of changed rows, for a state of one row: without GROUP BY the delta has a row even if nothing changed.
fn touched(plan: &Plan, count: &str) -> Option<String> {
    (plan.key == Key::Single).then(|| format!("{count} AS {}", plan.unused("touched")))
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
    fn new(fields: Vec<(String, String)>, touched: Option<String>, rest: Select) -> Self {
        let values = fields.iter().map(|(column, value)| format!("{value} AS {column}"));
        let select = rest.columns(values).columns(touched);
        Self { columns: fields.into_iter().map(|(column, _)| column).collect(), select }
    }

    fn in_key_order(self, grouped: &Grouped) -> Self {
        Self { select: self.select.order_by(1..=grouped.keys.len()), ..self }
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

/// Whether a stored row must be recomputed, asked of the row `s` as the upsert left it.
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

/// Writes the delta to the state.
fn apply(plan: &Plan, grouped: &Grouped, state: &QName, deltas: &[Cte], delta: Delta, signs: Signs) -> Apply {
    let write = match plan.conflict_target() {
        None => Write::update(state)
            .set(assignments(plan, grouped, signs, "e"))
            .from([subquery(delta.select, "e")])
            .filter([format!("e.{} > 0", plan.unused("touched"))]),
        Some(target) => Write::insert(state, &delta.columns, delta.select)
            .on_conflict(target)
            .set(assignments(plan, grouped, signs, "EXCLUDED")),
    };
    let (count, dirty) = (format!("s.{}", plan.count_column()), needs_recompute(plan, grouped, signs));
    let apply = Apply::new(plan, state, deltas, write.clone(), &count, &dirty);
    match signs == Signs::Additions && !grouped.recomputes(signs) {
        true => Apply { write: Sql::new(with(deltas, write)), ..apply },
        false => apply,
    }
}

/// The keys that can fail for some row of the tables. They may be computed only for rows of the view.
pub(super) fn frail_keys(grouped: &Grouped) -> Vec<&Scalar> {
    grouped.keys.iter().map(|key| &key.expr).filter(|expr| !grouped.source.is_total(expr)).collect()
}

/// The rows of a query, which may read these deltas, as one number: see [`Flush::digest`].
pub(crate) fn digest_of(deltas: &[Cte], rows: impl Display) -> Sql {
    let digest = "coalesce(pg_catalog.sum(imat_catalog.row_hash(ROW(r.*))), 0::numeric)::text";
    Sql::new(with(deltas, Select::new([digest]).from([subquery(rows, "r")])))
}
