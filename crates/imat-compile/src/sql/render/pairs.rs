//! A delta whose expressions are computed only for pairs of rows that existed.
//!
//! One term of a delta can pair a row that was removed from one table with a row that was added to another; a second term
//! takes that pair away again. It never existed, and an expression over joined rows can fail for it. So can an expression
//! that reads only one of the rows, since that row may never have had a partner. A pair is doubtful if one of its rows was
//! removed and another one may have been added. Doubtful pairs are summed up first. Conditions that can fail are then asked of
//! those that remain, which did exist; other expressions that can fail are computed above (`plan::source::pulled_up`).

use std::collections::BTreeSet;

use super::{Block, Leaves, alias, delta_column, delta_name, union_all, weight};
use crate::error::Unsupported;
use crate::facts::Table;
use crate::name::ident;
use crate::plan::order::Order;
use crate::rel::term::Term;
use crate::rel::{Image, Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::builder::{Cte, Select, list, subquery};
use crate::sql::image::remaining;

/// Whether one of these expressions over the columns of `rel`, or one of its conditions, can fail for a pair that never
/// existed.
pub fn are_frail(rel: &Rel, exprs: &[Scalar], tables: &[Table], changed: &TableSet) -> bool {
    let terms = Term::all(rel).unwrap_or_default();
    terms.iter().any(|term| {
        let pairing = Pairing { order: Order { term, tables }, changed };
        let are_frail = || exprs.iter().any(|expr| pairing.order.is_frail(&term.resolve(expr)));
        pairing.is_of_several() && (are_frail() || !pairing.late().is_empty())
    })
}

/// The `delta` of these tables. It has the columns that [`super::blocks`] and [`union_all`] would give it. No output can fail.
pub fn select(
    delta: &Rel,
    outputs: &[Scalar],
    names: &[String],
    tables: &[Table],
    changed: &TableSet,
) -> Result<Option<String>, Unsupported> {
    let terms = Term::all(delta)?;
    let pairings = terms.iter().map(|term| Pairing { order: Order { term, tables }, changed });
    // All terms have the same leaves and the same conditions.
    let Some(first) = pairings.clone().next() else { return Ok(None) };
    let conditions = first.late();
    let columns: BTreeSet<usize> = conditions.iter().flat_map(Scalar::columns).collect();
    let outputs = outputs.iter().map(|output| first.order.term.resolve(output));
    let pair: Vec<Scalar> = outputs.chain(columns.iter().map(|&column| Scalar::column(column))).collect();
    let pair_names: Vec<String> = names.iter().cloned().chain(columns.iter().map(|&column| of_pair(column))).collect();
    let blocks: Vec<Block> = pairings.map(|pairing| pairing.block(&pair)).collect();
    let Some(pairs) = union_all(&blocks, &[&pair_names[..], &["doubtful".to_owned()]].concat()) else {
        return Ok(None);
    };
    let pairs = Cte::new("p", pairs).materialized(true);
    let outputs = Select::new(names.iter().map(|name| ident(name)));
    let certain = outputs.clone().columns(["w"]).from(["p"]).filter(["NOT doubtful"]);
    let pair_columns: Vec<String> = pair_names.iter().map(|name| ident(name)).collect();
    let sums = remaining("(SELECT * FROM p WHERE doubtful)", &pair_columns)
        .columns(["e.*", "pg_catalog.sign(e.n)::integer AS sign"])
        .fenced();
    let remaining = outputs
        .columns(["s.sign AS w"])
        .from([subquery(sums, "s")])
        .cross_join_lateral("imat_catalog.series(1, pg_catalog.abs(s.n))")
        .filter(["true"])
        .filter(conditions.iter().map(|condition| format!("({})", condition.render(of_pair))));
    Ok(Some(format!("WITH {pairs}\n{certain}\nUNION ALL\n{remaining}")))
}

/// The name that a column of the product row has in the relation of pairs.
fn of_pair(column: usize) -> String {
    format!("y{column}")
}

#[derive(Clone, Copy)]
struct Pairing<'a> {
    order: Order<'a>,
    changed: &'a TableSet,
}

impl Pairing<'_> {
    fn has_changed(&self, leaf: usize) -> bool {
        self.changed.contains(&self.order.term.leaves[leaf].table)
    }

    /// Whether several leaves are of changed tables.
    fn is_of_several(&self) -> bool {
        (0..self.order.term.leaves.len()).filter(|leaf| self.has_changed(*leaf)).count() > 1
    }

    /// Whether a condition can fail for a pair that never existed. What reads one table, a condition or a side of a
    /// comparison, is computed for that table's rows, joined or not: they did exist, and rows are looked up and hashed by it.
    /// So a condition is late if it, or a side of it, reads several tables and can fail.
    fn is_late(&self, condition: &Scalar) -> bool {
        let fails = |part: &Scalar| self.order.leaves(part).len() > 1 && self.order.is_frail(part);
        let one_fails = || match condition.comparison() {
            Some((left, _, right)) => fails(&left) || fails(&right),
            None => fails(condition),
        };
        self.is_of_several() && one_fails()
    }

    /// The conditions that are asked only of pairs that existed.
    fn late(&self) -> Vec<Scalar> {
        self.order.term.filter.iter().filter(|condition| self.is_late(condition)).cloned().collect()
    }

    /// The term with these outputs over the product row, and whether a pair is doubtful. Late conditions are not asked of
    /// doubtful pairs.
    fn block(&self, outputs: &[Scalar]) -> Block {
        let Order { term, tables } = self.order;
        let leaves = Leaves::new(term, tables);
        let late = self.late();
        let read: BTreeSet<(usize, usize)> = term
            .filter
            .iter()
            .chain(outputs)
            .flat_map(Scalar::columns)
            .map(|position| leaves.locate(position))
            .collect();
        let render = |scalar: &Scalar| scalar.render(|position| leaves.column(position));
        let doubtful = self.doubtful(&leaves, &read);
        let conditions = self.order.conditions(&term.filter);
        let filter = term.filter.iter().zip(&conditions).map(|(condition, ordered)| match late.contains(condition) {
            true => format!("CASE WHEN {doubtful} THEN true ELSE ({}) END", render(ordered)),
            false => format!("({})", render(ordered)),
        });
        Block {
            from: leaves.from(&read),
            filter: filter.collect(),
            guards: Vec::new(),
            outputs: outputs.iter().map(render).chain([doubtful.clone()]).collect(),
            weight: weight(term),
        }
    }

    /// Whether a row of the pair was removed, and another one is an added row or like one.
    fn doubtful(&self, leaves: &Leaves<'_>, read: &BTreeSet<(usize, usize)>) -> String {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for leaf in (0..leaves.scans.len()).filter(|leaf| self.has_changed(*leaf)) {
            match leaves.scans[leaf].image {
                // Some of its rows only take others back.
                Image::Old => return "true".to_owned(),
                Image::Delta => {
                    gone.push(format!("{}.w < 0", alias(leaf)));
                    come.push(format!("{}.w > 0", alias(leaf)));
                }
                Image::New => come.push(is_like_added(leaves, leaf, read)),
            }
        }
        format!("(({}) AND ({}))", gone.join(" OR "), come.join(" OR "))
    }
}

/// Whether a row of a table as it is now is like one that was added. `w = 1` finds the added rows: with this condition the
/// planner always hashes them.
fn is_like_added(leaves: &Leaves<'_>, leaf: usize, read: &BTreeSet<(usize, usize)>) -> String {
    let columns = || read.range((leaf, 0)..(leaf + 1, 0)).map(|(_, column)| &leaves.table(leaf).columns[*column]);
    if columns().next().is_none() {
        return "true".to_owned();
    }
    let own = list(columns().map(|column| format!("{}.{}", alias(leaf), ident(&column.name))));
    let added = list(columns().map(|column| format!("a.{}", delta_column(column))));
    let delta = ident(&delta_name(leaves.scans[leaf].table));
    format!(
        "imat_catalog.row_hash(ROW({own})) IN (SELECT imat_catalog.row_hash(ROW({added})) FROM {delta} AS a WHERE a.w = 1)"
    )
}
