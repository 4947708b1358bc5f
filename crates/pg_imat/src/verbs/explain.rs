//! `explain_imat`: shows how a table is maintained.

use std::collections::BTreeSet;

use imat_compile::error::Error;
use imat_compile::name::{QName, ident};
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Key, Signs, Size, Strategy};
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::locks::{Keys, Locking, Step};

use crate::catalog::bookkeeping::trusted;
use crate::catalog::cache::{self, Maintained};
use crate::catalog::facts::oid;
use crate::pg::spi;
use crate::verbs::named::finished;

/// The lines of the explanation.
pub fn explain(name: &str) -> Result<Vec<String>, Error> {
    let entry = finished(name)?;
    let maintained = cache::maintained(entry.name);
    let mut lines = vec![
        format!("Maintained table {}", maintained.display),
        format!("  Strategy: {}", strategy(&maintained.plan.strategy)),
        format!("  State: {}{}", maintained.state, if entry.name == entry.state { ", read as it is" } else { "" }),
        format!("  Key: {}", key(&maintained.plan.key)),
    ];
    lines.extend(entry.stale.iter().map(|reason| format!("  Stale: {reason}")));
    for pair in &maintained.settings {
        lines.push(format!("  Pinned setting: {} = {}", pair.0, pair.1));
    }
    for (position, table) in maintained.plan.tables.iter().enumerate() {
        explain_table(&maintained, position, &table.name, &mut lines);
    }
    Ok(lines)
}

fn strategy(strategy: &Strategy) -> String {
    match strategy {
        Strategy::Arithmetic => "arithmetic: each change is applied by itself".to_owned(),
        Strategy::Recompute { aggregates } => {
            format!("recompute: affected groups are computed again, because of {}", aggregates.join(", "))
        }
        Strategy::Whole { construct } => format!("whole: the query runs again at every change, because of {construct}"),
    }
}

fn key(key: &Key) -> &'static str {
    match key {
        Key::Single => "none: always one row",
        Key::Columns { nulls_not_distinct: false } => "the group key",
        Key::Columns { nulls_not_distinct: true } => "the group key, NULLs equal",
        Key::Image => "a SHA-256 hash of the key's image",
    }
}

/// The locks of a change, in words.
fn keys(maintained: &Maintained, steps: &[Step]) -> String {
    let edges = |all: bool| -> BTreeSet<u16> {
        let steps = steps.iter().filter(|step| (step.keys == Keys::All) == all);
        steps.flat_map(|step| step.sides.iter().map(|(edge, _)| *edge)).collect()
    };
    let name = |edges: BTreeSet<u16>| -> Vec<String> {
        edges.into_iter().filter_map(|edge| maintained.plan.edge(edge)).collect()
    };
    let (keys, all) = (name(edges(false)), name(edges(true)));
    let keys = (!keys.is_empty()).then(|| format!("the keys {}", keys.join(", and ")));
    // For these edges the keys are not computed, since that would mean reading all rows of a table.
    let all = (!all.is_empty()).then(|| format!("every key {}", all.join(", and every key ")));
    format!("{}, then the rows", keys.into_iter().chain(all).collect::<Vec<_>>().join(", and "))
}

fn explain_table(maintained: &Maintained, position: usize, table: &QName, lines: &mut Vec<String>) {
    let changed: TableSet = [position].into();
    let flush = maintained.plan.flush(&maintained.state, &changed, Signs::Statement, Size::Small);
    lines.push(format!("  On a change of {table}"));
    lines.push(format!(
        "    Locks: {}",
        match &maintained.plan.locking(&changed, &Idle::new(), Size::Small) {
            Locking::Rows => "the rows of the groups, in key order".to_owned(),
            Locking::Keys(steps) => keys(maintained, steps),
            Locking::View => "the whole maintained table against other writers".to_owned(),
        }
    ));
    let mut statement = |title: &str, sql: &Sql| {
        lines.push(format!("    {title}: {}", sql.as_str().replace('\n', " ")));
    };
    statement("Applies", &flush.apply.write);
    if let Some(recompute) = &flush.recompute {
        statement("Recomputes", &recompute.few.write);
    }
    if let Some(delete) = &flush.delete {
        statement("Deletes", delete);
    }
    lines.extend(missing_indexes(maintained, position, flush.recompute.is_some()));
}

/// The indexes that would help. Without one, the tables of a join, and the tables of recomputed groups, are scanned.
fn missing_indexes(maintained: &Maintained, position: usize, recomputes: bool) -> Vec<String> {
    const INDEXED: Sql =
        Sql::fixed("SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = $1 AND i.indisvalid");
    let tables = &maintained.plan.tables;
    let is_bare = |table: u32| spi::first(&INDEXED, &[oid(table)], |row| row.need::<i64>(1)) == Some(0);
    let bounded = maintained.plan.bounded().into_iter().filter(|_| recomputes);
    let bounded: Vec<(usize, String)> =
        bounded.filter(|(table, column)| !trusted(|| begins_an_index(tables[*table].oid, column))).collect();
    let named = bounded.iter().map(|(table, column)| {
        format!(
            "    Would help: an index on column {} of {}, by which groups are found",
            ident(column),
            tables[*table].name
        )
    });
    let bare = (0..tables.len())
        .filter(|other| bounded.iter().all(|(table, _)| table != other))
        .filter(|&other| other != position || recomputes)
        .filter(|_| !matches!(maintained.plan.strategy, Strategy::Whole { .. }))
        .filter(|&other| trusted(|| is_bare(tables[other].oid)))
        .map(|other| {
            format!("    Would help: an index on the join or group columns of {}, which has none", tables[other].name)
        });
    named.chain(bare).collect()
}

/// Whether a btree index without a predicate begins with this column.
fn begins_an_index(table: u32, column: &str) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a \
         ON a.attrelid = i.indrelid AND a.attname = $2 JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree' \
         WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum",
    );
    spi::first(&QUERY, &[oid(table), column.into()], |row| row.need::<i64>(1)) > Some(0)
}
