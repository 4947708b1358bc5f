//! What follows an upsert: statements over the rows of the state whose tids it returned.
//!
//! Such rows are fetched by their tids alone. A join with the state, whose size and number of emptied rows the
//! planner can only guess, would sometimes read all of it, for each of them or once.

use crate::name::QName;
use crate::plan::grouped::{GroupKey, Grouped, Stored};
use crate::plan::{Key, Plan};
use crate::sql::Sql;
use crate::sql::grouped::{digest_of, frail_keys, name, over_rows, scope};
use crate::sql::statements::{Apply, Recompute, RecomputeFew, RecomputeMany};

/// The relation in which `values` finds the groups to compute.
pub const GROUPS: &str = "imat_groups";

/// The relation in which `write` finds what they are.
pub const VALUES: &str = "imat_values";

impl Apply {
    /// One row about what a write left behind: emptied rows, rows to recompute, the number of rows with a negative
    /// multiplicity, which there are only if the state was wrong before, and, where twins are looked for, all rows.
    pub(super) fn new(write: &str, count: &str, dirty: &str, plan: &Plan, state: &QName) -> Apply {
        let alive = if plan.key == Key::Single { "true" } else { "n > 0" };
        let returning = |more: &str| {
            Sql::new(format!(
                "WITH u AS ({write} RETURNING s.ctid AS tid, {count} AS n, {dirty} AS dirty) \
                 SELECT pg_catalog.array_agg(tid) FILTER (WHERE n = 0), \
                 pg_catalog.array_agg(tid) FILTER (WHERE {alive} AND dirty), \
                 pg_catalog.count(*) FILTER (WHERE n < 0){more} FROM u"
            ))
        };
        let watched = returning(", pg_catalog.array_agg(tid)");
        Apply { write: returning(""), watched, twins: twins(plan, state) }
    }
}

/// The rows of the state with the tids of `$1`.
const FOUND: &str = "s.ctid = ANY ($1::tid[])";

/// Deletes, of the rows with the tids of `$1`, those that stand for no row.
pub(crate) fn delete(plan: &Plan, state: &QName) -> Sql {
    Sql::new(format!("DELETE FROM {state} AS s WHERE {FOUND} AND s.{} = 0", plan.count_column()))
}

/// Returns a row if a row with one of the tids of `$1` has the key of another one. They are counted one key at a time: a
/// join would stop at the first, trusting the unique index.
fn twins(plan: &Plan, state: &QName) -> Sql {
    let columns = plan.key_columns().into_iter().map(|column| [format!("s.{column}"), format!("e.{column}")]);
    let columns = columns.map(|[left, right]| Sides { left, right, bounds: None });
    let same = match plan.key {
        // The only row was made after the snapshot was taken.
        Key::Single => return Sql::new(format!("SELECT 1 WHERE NOT EXISTS (SELECT FROM {state})")),
        Key::Columns { .. } => same_group(plan.group_keys().iter().zip(columns)),
        Key::Image => format!("{} = {}", plan.key_image("s."), plan.key_image("e.")),
    };
    Sql::new(format!(
        "SELECT 1 FROM {state} AS e CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS n FROM {state} AS s WHERE {same}) AS c \
         WHERE e.ctid = ANY ($1::tid[]) AND c.n > 1 LIMIT 1"
    ))
}

/// A key's value on either side of a comparison, and conditions that it implies: where they are equal, and where they
/// are NULL.
struct Sides {
    left: String,
    right: String,
    bounds: Option<[String; 2]>,
}

/// Up to how many keys that can be NULL all combinations are written out.
const MOST_COMBINED: usize = 3;

/// Whether the values on either side are of one group, in a form that an index on all of the keys can serve. NULLs meet
/// through OR, and of several ORs beside one another an index serves only one.
fn same_group<'a>(keys: impl Iterator<Item = (&'a GroupKey, Sides)>) -> String {
    let (mut same, mut either) = (Vec::new(), Vec::new());
    for (key, Sides { left, right, bounds }) in keys {
        let mut equal = format!("{left} {} {right}", key.equality);
        let mut null = format!("{left} IS NULL AND {right} IS NULL");
        for (condition, implied) in [&mut equal, &mut null].into_iter().zip(bounds.iter().flatten()) {
            *condition += &format!(" AND {implied}");
        }
        match key.nullable {
            false => same.push(format!("({equal})")),
            true => either.push(vec![equal, null]),
        }
    }
    if either.len() <= MOST_COMBINED {
        let each = |part: &String, more: &[String]| more.iter().map(|more| format!("{part} AND {more}")).collect();
        let all = |parts: Vec<String>, more: Vec<String>| {
            parts.iter().flat_map(|part| -> Vec<String> { each(part, &more) }).collect()
        };
        either = either.into_iter().reduce(all).into_iter().collect();
    }
    same.extend(either.iter().map(|parts| format!("(({}))", parts.join(") OR ("))));
    same.join(" AND ")
}

/// Whether a statement is made for few groups or for many.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    Few,
    Many,
}

/// The key condition between the rows `d` and the groups `g`. Few are looked up by index, on the keys or on what these
/// imply. Many are joined: NULLs meet as fields of a record, which can be sorted and merged. A key that can fail is a
/// column `k0`, `k1` and so on of `d`.
fn meets(plan: &Plan, grouped: &Grouped, groups: Groups) -> String {
    let frail = frail_keys(grouped);
    let sides = |key: &GroupKey| {
        let left = match frail.iter().position(|expr| **expr == key.expr) {
            Some(number) => format!("d.k{number}"),
            None => format!("({})", key.expr.render(scope)),
        };
        let right = format!("g.{}", name(plan, key.column));
        let bounds = key.implied.as_ref().filter(|_| groups == Groups::Few);
        let bounds = bounds.map(|implied| implied.conditions(&scope(implied.column), &right));
        Sides { left, right, bounds }
    };
    let (nullable, plain): (Vec<&GroupKey>, Vec<&GroupKey>) = grouped.keys.iter().partition(|key| key.nullable);
    if groups == Groups::Few || nullable.is_empty() {
        return same_group(grouped.keys.iter().map(|key| (key, sides(key))));
    }
    let (left, right): (Vec<String>, Vec<String>) =
        nullable.into_iter().map(sides).map(|sides| (sides.left, sides.right)).unzip();
    let record = |fields: Vec<String>| format!("ROW({})::record", fields.join(", "));
    let equal = format!("({} OPERATOR(pg_catalog.=) {})", record(left), record(right));
    let plain = (!plain.is_empty()).then(|| same_group(plain.into_iter().map(|key| (key, sides(key)))));
    plain.into_iter().chain([equal]).collect::<Vec<_>>().join(" AND ")
}

/// The components of the groups, by the tids of their state rows.
fn values(plan: &Plan, grouped: &Grouped, groups: Groups) -> String {
    let values: Vec<String> = over_rows(plan, grouped).collect();
    let (values, now, tid) = (values.join(", "), grouped.source.now_with(&frail_keys(grouped)), plan.unused("tid"));
    match grouped.keys.is_empty() {
        true => format!("SELECT g.{tid}, r.* FROM (SELECT {values} FROM ({now}) AS d) AS r, {GROUPS} AS g"),
        false => format!(
            "SELECT g.{tid}, {values} FROM {GROUPS} AS g, ({now}) AS d WHERE {} GROUP BY g.{tid}",
            meets(plan, grouped, groups)
        ),
    }
}

/// See [`crate::sql::statements::Flush::recompute`].
pub fn recompute(plan: &Plan, grouped: &Grouped, state: &QName) -> Recompute {
    let tid = plan.unused("tid");
    let keys: String = grouped.keys.iter().map(|key| format!(", s.{}", name(plan, key.column))).collect();
    let groups = format!("SELECT s.ctid AS {tid}{keys} FROM {state} AS s WHERE {FOUND}");
    let reset = |stored: &Stored| stored.retraction.map(|column| format!("{} = NULL", name(plan, column)));
    let assignments: Vec<String> = grouped
        .components
        .iter()
        .map(|stored| format!("{column} = r.{column}", column = name(plan, stored.column)))
        .chain(grouped.components.iter().filter_map(reset))
        .chain(grouped.dirty.map(|column| format!("{} = false", name(plan, column))))
        .collect();
    let write = Sql::new(format!(
        "UPDATE {state} AS s SET {} FROM {VALUES} AS r WHERE s.ctid = r.{tid}",
        assignments.join(", ")
    ));
    let with = |name: &str, query: &str| format!("{name} AS MATERIALIZED ({query})");
    let [of_few, of_many] = [Groups::Few, Groups::Many].map(|number| values(plan, grouped, number));
    Recompute {
        few: RecomputeFew {
            digest: digest_of(&of_few).over(&with(GROUPS, &groups)),
            write: write.clone().over(&with(VALUES, &of_few)).over(&with(GROUPS, &groups)),
        },
        many: RecomputeMany { groups: Sql::new(groups), digest: digest_of(&of_many), values: Sql::new(of_many), write },
    }
}
