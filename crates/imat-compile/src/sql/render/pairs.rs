//! A delta whose expressions over several changed tables are computed only of rows that were there together.
//!
//! Terms also pair what is gone from one table with what came to another, and take these pairs away again. An expression
//! over both can fail of such a pair. So pairs of which one row is gone and the other one may have come are added up first, and
//! such expressions are computed of what remains, which was there.

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
        exprs
            .iter()
            .map(|expr| term.resolve(expr))
            .chain(term.filter.iter().cloned())
            .any(|expr| pairing.is_frail(&expr))
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
    let late = first.late();
    let columns: BTreeSet<usize> = late.iter().flat_map(Scalar::columns).collect();
    let late_names: Vec<String> = columns.iter().map(|column| format!("y{column}")).collect();
    let blocks: Vec<Block> = pairings.map(|pairing| pairing.block(outputs, &columns)).collect();
    let all = [names, &late_names, &["doubtful".to_owned()]].concat();
    let Some(pairs) = union_all(&blocks, &all) else { return Ok(None) };
    let list: String = names.iter().map(|name| format!("{}, ", ident(name))).collect();
    let row: Vec<String> = names.iter().chain(&late_names).map(|name| format!("b.{}", ident(name))).collect();
    let doubtful = by_image("(SELECT * FROM p WHERE doubtful)", &row.join(", "));
    let condition = late.iter().map(|late| format!(" AND ({})", late.render(|column| format!("s.y{column}"))));
    let condition: String = condition.collect();
    Ok(Some(format!(
        "WITH p AS MATERIALIZED ({pairs})\n\
         SELECT {list}w FROM p WHERE NOT doubtful\n\
         UNION ALL\n\
         SELECT {list}s.sign AS w FROM (SELECT e.*, pg_catalog.sign(e.n)::integer AS sign FROM ({doubtful}) AS e \
         WHERE e.r = 1 AND e.n <> 0 OFFSET 0) AS s CROSS JOIN LATERAL imat_catalog.series(1, pg_catalog.abs(s.n)) WHERE true{condition}"
    )))
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

    fn is_frail(&self, expr: &Scalar) -> bool {
        let changed = self.order.leaves(expr).into_iter().filter(|leaf| self.has_changed(*leaf)).count();
        changed > 1 && self.order.is_frail(expr)
    }

    /// The conditions that are asked late.
    fn late(&self) -> Vec<Scalar> {
        self.order.term.filter.iter().filter(|condition| self.is_frail(condition)).cloned().collect()
    }

    /// The term with the columns of the product row that late conditions need, and whether a row is doubtful. Of such a one
    /// they are not asked.
    fn block(&self, outputs: &[Scalar], columns: &BTreeSet<usize>) -> Block {
        let Order { term, tables } = self.order;
        let leaves = Leaves::new(term, tables);
        let late = columns.iter().map(|&column| Scalar::column(column));
        let outputs: Vec<Scalar> = outputs.iter().map(|output| term.resolve(output)).chain(late).collect();
        let read: BTreeSet<(usize, usize)> = term
            .filter
            .iter()
            .chain(&outputs)
            .flat_map(Scalar::columns)
            .map(|position| leaves.locate(position))
            .collect();
        let render = |scalar: &Scalar| scalar.render(|position| leaves.column(position));
        let doubtful = self.doubtful(&leaves, &read);
        let filter = term.filter.iter().zip(self.order.conditions(&term.filter)).map(|(condition, ordered)| match self
            .is_frail(condition)
        {
            true => format!("CASE WHEN {doubtful} THEN true ELSE ({}) END", render(&ordered)),
            false => format!("({})", render(&ordered)),
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
