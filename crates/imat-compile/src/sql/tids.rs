//! What follows an upsert: statements over the rows of the state whose tids it returned.
//!
//! These rows are fetched by their tids and not by a join. The planner can only guess how large the state is and how many
//! rows were emptied, so a join would sometimes read all of the state, once or even for each row.

use crate::name::QName;
use crate::plan::grouped::{GroupKey, Grouped, Stored};
use crate::plan::{Key, Plan};
use crate::sql::Sql;
use crate::sql::builder::{Cte, Select, Write, subquery, with};
use crate::sql::grouped::{digest_of, frail_keys, name, over_rows, scope};
use crate::sql::statements::{Apply, Recompute, RecomputeFew, RecomputeMany};

/// The relation in which `values` finds the groups to compute.
pub const GROUPS: &str = "imat_groups";

/// The relation in which `write` finds what they are.
pub const VALUES: &str = "imat_values";

impl Apply {
    /// Returns one row: the tids of emptied rows, the tids of rows to recompute, and the number of rows with a negative
    /// multiplicity, which is 0 unless the state was wrong before.
    pub(super) fn new(plan: &Plan, state: &QName, deltas: &[Cte], write: Write, count: &str, dirty: &str) -> Apply {
        let alive = if plan.key == Key::Single { "true" } else { "n > 0" };
        let written = ["s.ctid AS tid".to_owned(), format!("{count} AS n"), format!("{dirty} AS dirty")];
        let written = Cte::new("u", write.returning(written));
        let left = Select::new(["pg_catalog.array_agg(tid) FILTER (WHERE n = 0)"])
            .columns([format!("pg_catalog.array_agg(tid) FILTER (WHERE {alive} AND dirty)")])
            .columns(["pg_catalog.count(*) FILTER (WHERE n < 0)"])
            .from(["u"]);
        let sql = |left: Select| Sql::new(with(deltas.iter().chain([&written]), left));
        let watched = sql(left.clone().columns(["pg_catalog.array_agg(tid)"]));
        Apply { write: sql(left), watched, twins: twins(plan, state) }
    }
}

/// The rows of the state with the tids of `$1`.
const FOUND: &str = "s.ctid = ANY ($1::tid[])";

/// Deletes the rows with the tids of `$1`, except those whose multiplicity is no longer 0.
pub(crate) fn delete(plan: &Plan, state: &QName) -> Sql {
    Sql::new(format!("DELETE FROM {state} AS s WHERE {FOUND} AND s.{} = 0", plan.count_column()))
}

/// Returns a row if a row with one of the tids of `$1` has the same key as another row. The rows of each key are counted: a
/// join would trust the unique index and stop at the first.
fn twins(plan: &Plan, state: &QName) -> Sql {
    let columns = plan.key_columns().into_iter().map(|column| [format!("s.{column}"), format!("e.{column}")]);
    let columns = columns.map(|[left, right]| Sides { left, right, bounds: None });
    let same = match plan.key {
        // The snapshot does not see the only row if that was made later.
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

/// Up to this many keys that can be NULL, all combinations are written out.
const MOST_COMBINED: usize = 3;

/// Whether the values on either side are of one group, in a form that an index on all of the keys can serve. A key that
/// can be NULL is compared by an OR, and an index serves only one OR, so all combinations are written out.
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

/// The condition that the rows `d` have the keys of the groups `g`. Keys that can be NULL are compared as fields of a record,
/// by which rows can be hashed, sorted and merged. For few groups, each key is compared by itself too, so that rows are looked
/// up by an index on the keys, or on a column that the keys bound. A key that can fail is a column `k0`, `k1` and so on of `d`.
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
    let single = match groups {
        Groups::Few => grouped.keys.iter().collect(),
        Groups::Many => plain,
    };
    let (left, right): (Vec<String>, Vec<String>) =
        nullable.iter().map(|key| sides(key)).map(|sides| (sides.left, sides.right)).unzip();
    let record = |fields: Vec<String>| format!("ROW({})::record", fields.join(", "));
    let equal = || format!("({} OPERATOR(pg_catalog.=) {})", record(left), record(right));
    let single = (!single.is_empty()).then(|| same_group(single.into_iter().map(|key| (key, sides(key)))));
    single.into_iter().chain((!nullable.is_empty()).then(equal)).collect::<Vec<_>>().join(" AND ")
}

/// The components of each group, with the tid of its state row.
fn values(plan: &Plan, grouped: &Grouped, groups: Groups) -> Select {
    let values = over_rows(plan, grouped);
    let now = subquery(grouped.source.now_with(&frail_keys(grouped)), "d");
    let (tid, known) = (format!("g.{}", plan.unused("tid")), format!("{GROUPS} AS g"));
    match grouped.keys.is_empty() {
        true => {
            let only = Select::new(values).from([now]);
            Select::new([&tid, "r.*"]).from([subquery(only, "r"), known])
        }
        false => Select::new([&tid])
            .columns(values)
            .from([known, now])
            .filter([meets(plan, grouped, groups)])
            .group_by([tid]),
    }
}

/// See [`crate::sql::statements::Flush::recompute`].
pub fn recompute(plan: &Plan, grouped: &Grouped, state: &QName) -> Recompute {
    let tid = plan.unused("tid");
    let groups = Select::new([format!("s.ctid AS {tid}")])
        .columns(grouped.keys.iter().map(|key| format!("s.{}", name(plan, key.column))))
        .from([format!("{state} AS s")])
        .filter([FOUND]);
    let component = |stored: &Stored| format!("{column} = r.{column}", column = name(plan, stored.column));
    let reset = |stored: &Stored| stored.retraction.map(|column| format!("{} = NULL", name(plan, column)));
    let write = Write::update(state)
        .set(grouped.components.iter().map(component))
        .set(grouped.components.iter().filter_map(reset))
        .set(grouped.dirty.map(|column| format!("{} = false", name(plan, column))))
        .from([format!("{VALUES} AS r")])
        .filter([format!("s.ctid = r.{tid}")]);
    let [of_few, of_many] = [Groups::Few, Groups::Many].map(|number| values(plan, grouped, number));
    let queries = [Cte::new(GROUPS, &groups).materialized(true), Cte::new(VALUES, &of_few).materialized(true)];
    Recompute {
        few: RecomputeFew { digest: digest_of(&queries[..1], of_few), write: Sql::new(with(&queries, &write)) },
        many: RecomputeMany {
            groups: Sql::new(groups),
            digest: digest_of(&[], &of_many),
            values: Sql::new(of_many),
            write: Sql::new(write),
        },
    }
}
