//! From the kernel to SELECTs: one [`Block`] per signed product of tables.
//!
//! A row's multiplicity is the product of its leaves' weights, column `w` of a leaf that has
//! one. The rows of a delta are read from a relation named by [`delta_name`], with columns
//! `c<attnum>` ([`delta_column`]) and `w`.

pub mod pairs;

use std::collections::BTreeSet;

use crate::error::Unsupported;
use crate::facts::{Column, Table};
use crate::name::ident;
use crate::plan::Fate;
use crate::plan::order::Order;
use crate::rel::ops::Scan;
use crate::rel::term::Term;
use crate::rel::{Image, Rel};
use crate::scalar::Scalar;
use crate::sql::builder::{Cte, Select, list, qualified, subquery};
use crate::sql::image::summed;

/// The parts of one SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// FROM items, to be separated by commas.
    pub from: Vec<String>,
    /// WHERE conjuncts, each in parentheses.
    pub filter: Vec<String>,
    /// The conjuncts of WHERE, and other conditions that hold for every row.
    guards: Vec<String>,
    pub outputs: Vec<String>,
    /// The multiplicity of each row; `None` where it is 1.
    pub weight: Option<String>,
}

/// The name of the relation that holds the change of a table.
pub fn delta_name(table: usize) -> String {
    format!("imat_delta_{table}")
}

/// The name of a column there.
pub fn delta_column(column: &Column) -> String {
    format!("c{}", column.number)
}

/// The delta of a table that is one row, whose columns with these numbers are parameters from the
/// `first` on: a WITH query that the planner reads as if it were written where it is named.
pub(crate) fn row(table: usize, columns: &[i16], fate: Fate, first: usize) -> Cte {
    let names = columns.iter().map(|number| format!("c{number}")).chain(["w".to_owned()]);
    let weight = match fate {
        Fate::Added => "1",
        Fate::Removed => "-1",
    };
    let params = (first..).take(columns.len()).map(|param| format!("${param}"));
    let row = Select::new(params).columns([weight]);
    Cte::new(format!("{} ({})", ident(&delta_name(table)), list(names)), row).materialized(false)
}

/// The delta of a table without the rows that were added and taken away again, as a WITH query that is read where the delta
/// is named. It is computed whole, before any condition is asked of it.
pub(crate) fn net(table: usize, columns: &[i16]) -> Cte {
    let name = ident(&delta_name(table));
    let columns: Vec<String> = columns.iter().map(|number| format!("c{number}")).collect();
    let rows = Select::new(qualified("s", &columns))
        .columns(["s.w"])
        .from([subquery(summed(&name, &columns, "1"), "s")])
        .cross_join_lateral("imat_catalog.series(1, s.n)");
    Cte::new(name, rows).materialized(true)
}

/// The SELECTs whose UNION ALL is `rel`, with `outputs` evaluated over its columns.
///
/// Fails if `rel` is not linear in its leaves. A view's core is, and so is its delta.
pub fn blocks(rel: &Rel, outputs: &[Scalar], tables: &[Table]) -> Result<Vec<Block>, Unsupported> {
    let terms = Term::all(rel)?;
    Ok(terms.iter().map(|t| block(t, outputs, tables)).collect())
}

/// The SELECTs joined by UNION ALL; `None` where there are none.
pub fn union_all(blocks: &[Block], names: &[String]) -> Option<String> {
    let selects: Vec<_> = blocks.iter().map(|block| block.select(names).to_string()).collect();
    (!selects.is_empty()).then(|| selects.join("\nUNION ALL\n"))
}

impl Block {
    /// The SELECT, its columns called `names`, and last the multiplicity, called `w`.
    pub(crate) fn select(&self, names: &[String]) -> Select {
        debug_assert_eq!(self.outputs.len(), names.len());
        let named = self.outputs.iter().zip(names).map(|(output, name)| format!("{output} AS {}", ident(name)));
        self.rest().columns(named).columns([format!("{} AS w", self.weight.as_deref().unwrap_or("1"))])
    }

    /// An output that is computed only for rows that pass WHERE, even if it becomes part of a condition.
    pub fn guarded(&self, output: &str) -> String {
        let guard = |inner: String, conjunct: &String| format!("CASE WHEN {conjunct} THEN {inner} END");
        self.guards.iter().rev().fold(format!("({output})"), guard)
    }

    /// The SELECT without its columns.
    pub(crate) fn rest(&self) -> Select {
        Select::default().from(&self.from).filter(&self.filter).on_lines()
    }
}

fn block(term: &Term, outputs: &[Scalar], tables: &[Table]) -> Block {
    let leaves = Leaves::new(term, tables);
    let outputs: Vec<_> = outputs.iter().map(|output| term.resolve(output)).collect();
    let read: BTreeSet<_> =
        term.filter.iter().chain(&outputs).flat_map(Scalar::columns).map(|position| leaves.locate(position)).collect();
    let render = |scalar: &Scalar| scalar.render(|position| leaves.column(position));
    let order = Order { term, tables };
    let conjuncts = |scalars: &[Scalar]| {
        order.conditions(scalars).iter().map(|conjunct| format!("({})", render(conjunct))).collect()
    };
    Block {
        from: leaves.from(&read),
        filter: conjuncts(&term.filter),
        guards: conjuncts(&term.guards()),
        outputs: outputs.iter().map(render).collect(),
        weight: weight(term),
    }
}

/// The product of the leaves' weights. A leaf read as it is now has weight 1.
fn weight(term: &Term) -> Option<String> {
    let weighted = |(i, leaf): (usize, &Scan)| match leaf.image {
        Image::New => None,
        Image::Old | Image::Delta => Some(format!("{}.w", alias(i))),
    };
    let factors: Vec<_> = term.leaves.iter().enumerate().filter_map(weighted).collect();
    let sign = if term.negative { "-" } else { "" };
    match factors.as_slice() {
        [] => term.negative.then(|| "-1".to_owned()),
        factors => Some(format!("{sign}{}", factors.join(" * "))),
    }
}

fn alias(leaf: usize) -> String {
    format!("t{leaf}")
}

/// The leaves of a product, and the SQL names of the columns of the product row.
struct Leaves<'a> {
    scans: &'a [Scan],
    tables: &'a [Table],
    /// For each column of the product row, its leaf and its position there.
    columns: Vec<(usize, usize)>,
    /// The leaves whose rows are repeated, each with a column that says how often.
    repeats: Vec<(usize, usize)>,
}

impl<'a> Leaves<'a> {
    fn new(term: &'a Term, tables: &'a [Table]) -> Self {
        let scans = &term.leaves;
        let columns = scans
            .iter()
            .enumerate()
            .flat_map(|(leaf, scan)| (0..scan.width).map(move |column| (leaf, column)))
            .collect();
        let mut leaves = Leaves { scans, tables, columns, repeats: Vec::new() };
        leaves.repeats = term.repeats.iter().map(|&position| leaves.locate(position)).collect();
        leaves
    }

    fn locate(&self, position: usize) -> (usize, usize) {
        self.columns[position]
    }

    fn table(&self, leaf: usize) -> &'a Table {
        &self.tables[self.scans[leaf].table]
    }

    fn column(&self, position: usize) -> String {
        let (leaf, column) = self.locate(position);
        format!("{}.{}", alias(leaf), self.name(leaf, column))
    }

    fn name(&self, leaf: usize, column: usize) -> String {
        let column = &self.table(leaf).columns[column];
        match self.scans[leaf].image {
            Image::New => ident(&column.name),
            Image::Old | Image::Delta => delta_column(column),
        }
    }

    /// The FROM items; `read` says which columns of which leaf are needed.
    fn from(&self, read: &BTreeSet<(usize, usize)>) -> Vec<String> {
        (0..self.scans.len())
            .map(|leaf| {
                let columns: BTreeSet<usize> =
                    read.range((leaf, 0)..(leaf + 1, 0)).map(|(_, column)| *column).collect();
                let counts: Vec<usize> =
                    self.repeats.iter().filter(|(repeated, _)| *repeated == leaf).map(|(_, count)| *count).collect();
                match counts.is_empty() {
                    true => format!("{} AS {}", self.relation(leaf, columns), alias(leaf)),
                    false => self.repeated(leaf, columns, &counts),
                }
            })
            .collect()
    }

    fn relation(&self, leaf: usize, columns: BTreeSet<usize>) -> String {
        let table = self.table(leaf);
        let delta = ident(&delta_name(self.scans[leaf].table));
        match self.scans[leaf].image {
            Image::New => table.name.to_string(),
            Image::Delta => delta,
            Image::Old => old(table, &delta, columns.iter().map(|&column| &table.columns[column])),
        }
    }

    /// A leaf whose rows are repeated as often as their counts say. `series` is `generate_series`, but the planner expects
    /// one row of it and not a thousand.
    fn repeated(&self, leaf: usize, mut columns: BTreeSet<usize>, counts: &[usize]) -> String {
        let times = |alias: &str| {
            let times = counts.iter().map(|&count| format!("GREATEST({alias}.{}, 0)", self.name(leaf, count)));
            times.collect::<Vec<_>>().join(" * ")
        };
        let name = alias(leaf);
        let (relation, times) = match self.scans[leaf].image {
            Image::Delta => {
                let columns: Vec<String> = columns.iter().map(|&column| self.name(leaf, column)).collect();
                let delta = self.relation(leaf, BTreeSet::new());
                (format!("({})", summed(&delta, &columns, &times("d"))), format!("{name}.n"))
            }
            Image::New | Image::Old => {
                columns.extend(counts);
                (self.relation(leaf, columns), times(&name))
            }
        };
        format!("{relation} AS {name} CROSS JOIN LATERAL imat_catalog.series(1, {times}) AS r{leaf}")
    }
}

/// A table before the change: what it holds now, and the change taken back.
///
/// The planner pushes conditions into both arms of a UNION ALL, so this costs no more than
/// the table does. EXCEPT ALL would read all of it. The fence keeps the change a subquery: where a join
/// looks rows up by an index of the table, it must look them up in the other arm too, and PostgreSQL
/// can do that in a subquery but not in a tuplestore.
fn old<'a>(table: &Table, delta: &str, columns: impl Iterator<Item = &'a Column> + Clone) -> String {
    let renamed = columns.clone().map(|column| format!("{} AS {}", ident(&column.name), delta_column(column)));
    let now = Select::new(renamed).columns(["1 AS w"]).from([&table.name]);
    let back = Select::new(columns.map(delta_column)).columns(["-w"]).from([delta]).fenced();
    format!("({now} UNION ALL ({back}))")
}

#[cfg(test)]
mod tests;
