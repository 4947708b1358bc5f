//! A delta whose expressions are computed only of rows that were there together.
//!
//! Terms also pair what is gone from one table with what came to another, and take these pairs away again. What is computed
//! of joined rows can fail of such a pair, also where it reads one of them only: the row may have met no other one. So pairs
//! of which one row is gone and the other one may have come are added up first, and such expressions are computed of what
//! remains, which was there.

use std::collections::BTreeSet;

use super::{Block, Leaves, alias, delta_column, delta_name, union_all, weight};
use crate::error::Unsupported;
use crate::facts::Table;
use crate::name::ident;
use crate::plan::order::Order;
use crate::rel::term::Term;
use crate::rel::{Image, Rel, TableSet};
use crate::scalar::Scalar;
use crate::sql::by_image;

/// Whether one of these expressions, which may be over the columns of `rel`, or one of its conditions can fail of a pair that
/// never was one.
pub fn are_frail(rel: &Rel, exprs: &[Scalar], tables: &[Table], changed: &TableSet) -> bool {
    let terms = Term::all(rel).unwrap_or_default();
    terms.iter().any(|term| {
        let pairing = Pairing { order: Order { term, tables }, changed };
        let are_frail = || exprs.iter().any(|expr| pairing.order.is_frail(&term.resolve(expr)));
        pairing.is_of_several() && (are_frail() || !pairing.late().is_empty())
    })
}

/// As [`super::blocks`] and [`union_all`] make of the `delta` of these tables.
pub fn select(
    delta: &Rel,
    outputs: &[Scalar],
    names: &[String],
    tables: &[Table],
    changed: &TableSet,
) -> Result<Option<String>, Unsupported> {
    let terms = Term::all(delta)?;
    let pairings = terms.iter().map(|term| Pairing { order: Order { term, tables }, changed });
    // All terms are of the same leaves, under the same conditions.
    let Some(first) = pairings.clone().next() else { return Ok(None) };
    let outputs = outputs.iter().map(|output| first.order.term.resolve(output));
    let outputs: Vec<(Scalar, String)> = outputs.zip(names.iter().cloned()).collect();
    let (late, at_once): (Vec<_>, Vec<_>) =
        outputs.iter().cloned().partition(|(output, _)| first.order.is_frail(output));
    let conditions = first.late();
    let columns: BTreeSet<usize> =
        late.iter().map(|(output, _)| output).chain(&conditions).flat_map(Scalar::columns).collect();
    let (mut pair, mut pair_names): (Vec<Scalar>, Vec<String>) = at_once.into_iter().unzip();
    pair.extend(columns.iter().map(|&column| Scalar::column(column)));
    pair_names.extend(columns.iter().map(|&column| of_pair(column)));
    let blocks: Vec<Block> = pairings.map(|pairing| pairing.block(&pair)).collect();
    let Some(pairs) = union_all(&blocks, &[&pair_names[..], &["doubtful".to_owned()]].concat()) else {
        return Ok(None);
    };
    let over_pair = |scalar: &Scalar| scalar.render(of_pair);
    let list = outputs.iter().map(|(output, name)| match first.order.is_frail(output) {
        true => format!("{} AS {}, ", over_pair(output), ident(name)),
        false => format!("{}, ", ident(name)),
    });
    let list: String = list.collect();
    let row: Vec<String> = pair_names.iter().map(|name| format!("b.{}", ident(name))).collect();
    let doubtful = by_image("(SELECT * FROM p WHERE doubtful)", &row.join(", "));
    let conditions: String = conditions.iter().map(|condition| format!(" AND ({})", over_pair(condition))).collect();
    Ok(Some(format!(
        "WITH p AS MATERIALIZED ({pairs})\n\
         SELECT {list}w FROM p WHERE NOT doubtful\n\
         UNION ALL\n\
         SELECT {list}s.sign AS w FROM (SELECT e.*, pg_catalog.sign(e.n)::integer AS sign FROM ({doubtful}) AS e \
         WHERE e.r = 1 AND e.n <> 0 OFFSET 0) AS s CROSS JOIN LATERAL imat_catalog.series(1, pg_catalog.abs(s.n)) WHERE true{conditions}"
    )))
}

/// The column of a pair that a column of the product row is.
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

    /// Whether there are pairs of changed rows.
    fn is_of_several(&self) -> bool {
        (0..self.order.term.leaves.len()).filter(|leaf| self.has_changed(*leaf)).count() > 1
    }

    /// Whether a condition can fail of a pair that never was. One on one table is asked of its rows, paired or not; and a
    /// side of a comparison with a table that has not changed stays a side, by which rows are looked up.
    fn is_late(&self, condition: &Scalar) -> bool {
        let changed = self.order.leaves(condition).into_iter().filter(|leaf| self.has_changed(*leaf)).count();
        let joins = |part: &Scalar| self.order.leaves(part).len() > 1 && self.order.is_frail(part);
        let one_fails = || match condition.comparison() {
            Some((left, _, right)) => joins(&left) || joins(&right),
            None => joins(condition),
        };
        self.is_of_several() && (changed > 1 && self.order.is_frail(condition) || one_fails())
    }

    /// The conditions that are asked late.
    fn late(&self) -> Vec<Scalar> {
        self.order.term.filter.iter().filter(|condition| self.is_late(condition)).cloned().collect()
    }

    /// The term with these columns of the product row or expressions over them, and whether a row is doubtful. Of such a one
    /// the late conditions are not asked.
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

    /// Whether some row of the pair is gone, and some other one is like one that has come.
    fn doubtful(&self, leaves: &Leaves<'_>, read: &BTreeSet<(usize, usize)>) -> String {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for leaf in (0..leaves.scans.len()).filter(|leaf| self.has_changed(*leaf)) {
            match leaves.scans[leaf].image {
                // Some of its rows are no more than taken back.
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

/// Whether a row of a table as it is now is like one that was added. Added are those with weight 1: asked in this way, the
/// planner always hashes them.
fn is_like_added(leaves: &Leaves<'_>, leaf: usize, read: &BTreeSet<(usize, usize)>) -> String {
    let columns = || read.range((leaf, 0)..(leaf + 1, 0)).map(|(_, column)| &leaves.table(leaf).columns[*column]);
    let own: Vec<String> = columns().map(|column| format!("{}.{}", alias(leaf), ident(&column.name))).collect();
    let added: Vec<String> = columns().map(|column| format!("a.{}", delta_column(column))).collect();
    if own.is_empty() {
        return "true".to_owned();
    }
    format!(
        "imat_catalog.row_hash(ROW({})) IN (SELECT imat_catalog.row_hash(ROW({})) FROM {} AS a WHERE a.w = 1)",
        own.join(", "),
        added.join(", "),
        ident(&delta_name(leaves.scans[leaf].table))
    )
}
