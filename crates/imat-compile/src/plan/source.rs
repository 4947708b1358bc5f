//! What a plan reads: the joins and filters of its view.

use std::collections::BTreeSet;

use crate::error::Unsupported;
use crate::facts::{Column, Table};
use crate::lower::Core;
use crate::plan::links::locate;
use crate::plan::order::Order;
use crate::plan::references::{self, Reference};
use crate::plan::{Fate, TableUse};
use crate::rel::TableSet;
use crate::rel::term::Term;
use crate::scalar::Scalar;

/// The joins and filters of a view, ready to be read as they are or as a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub core: Core,
    /// The scope columns that are read, ascending; `x<position>` in the rendered subquery.
    pub used: Vec<usize>,
    /// What is computed of the scope row.
    pub computed: Vec<Scalar>,
    pub references: Vec<Reference>,
    /// Something is computed that can fail for a row of the tables.
    pub frail: bool,
}

/// PostgreSQL's limit for the columns of a SELECT is 1664; besides the scope row there are weights and the like.
const MOST_COLUMNS: usize = 1600;

/// The only changed row: its table, and the columns that are parameters.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub table: usize,
    pub columns: &'a [i16],
    pub fate: Fate,
}

impl Source {
    pub(super) fn new(core: Core, scalars: &[&Scalar]) -> Result<Self, Unsupported> {
        let mut used: Vec<usize> = scalars.iter().flat_map(|scalar| scalar.columns()).collect();
        used.sort_unstable();
        used.dedup();
        if used.len() >= MOST_COLUMNS {
            return Err(Unsupported::new("more columns of its tables than a SELECT can have"));
        }
        Term::all(&core.rel)?;
        let references = references::all(&core);
        let computed = scalars.iter().copied().cloned().collect();
        let mut source = Self { core, used, computed, references, frail: false };
        source.frail = source.is_frail();
        Ok(source)
    }

    /// Whether an expression over the scope row has a value in any row of the tables.
    pub(crate) fn is_total(&self, expr: &Scalar) -> bool {
        let terms = Term::all(&self.core.rel).unwrap_or_default();
        terms.iter().all(|term| !Order { term, tables: &self.core.tables }.is_frail(&term.resolve(expr)))
    }

    /// See [`Source::frail`].
    fn is_frail(&self) -> bool {
        let terms = Term::all(&self.core.rel).unwrap_or_default();
        let is_frail = |term: &Term| {
            let order = Order { term, tables: &self.core.tables };
            term.filter.iter().any(|condition| order.is_frail(condition))
        };
        terms.iter().any(is_frail) || !self.computed.iter().all(|expr| self.is_total(expr))
    }

    /// The column of a table that a column of the scope row is, and the position of the table.
    pub(super) fn column(&self, scope: usize) -> Option<(usize, &Column)> {
        let [term] = Term::all(&self.core.rel).ok()?.try_into().ok()?;
        let (leaf, column) = locate(&term.leaves, term.resolve(&Scalar::column(scope)).as_column()?);
        let table = term.leaves[leaf].table;
        Some((table, &self.core.tables[table].columns[column]))
    }

    /// Whether these tables change so that each row of the change is made of one changed row: with several, or two
    /// readings of one, what is added by one part of the delta can be taken away by another.
    pub(crate) fn is_one_term(&self, changed: &TableSet) -> bool {
        self.core.rel.scans().filter(|scan| changed.contains(&scan.table)).count() == 1
    }

    /// Whether it is of one repeated table that the change consists. Its delta is summed up, so what is added there is
    /// there afterwards, however many statements changed it.
    pub(crate) fn is_summed(&self, changed: &TableSet) -> bool {
        let terms = Term::all(&self.core.rel).unwrap_or_default();
        terms.iter().all(|term| {
            let of = |position: usize| term.leaves[locate(&term.leaves, position).0].table;
            term.repeats.iter().any(|&count| changed.contains(&of(count)))
        })
    }

    pub(super) fn tables(&self) -> Result<Vec<TableUse>, Unsupported> {
        let scalars: Vec<Scalar> = self.used.iter().map(|&column| Scalar::column(column)).collect();
        let used = used_columns(&self.core, &scalars)?;
        let number = |table: &Table, column: usize| table.columns[column].number;
        Ok(self
            .core
            .tables
            .iter()
            .zip(used)
            .map(|(table, used)| TableUse {
                oid: table.oid,
                name: table.name.clone(),
                columns: used.into_iter().map(|column| number(table, column)).collect(),
            })
            .collect())
    }
}

/// Per table, the column positions that the core's predicates and the scope-row expressions
/// `scalars` read, sorted. A change that touches none of them changes no result, so a delta
/// carries no others.
pub(crate) fn used_columns(core: &Core, scalars: &[Scalar]) -> Result<Vec<Vec<usize>>, Unsupported> {
    let mut used = vec![BTreeSet::new(); core.tables.len()];
    for term in Term::all(&core.rel)? {
        let resolved: Vec<_> = scalars.iter().map(|scalar| term.resolve(scalar)).collect();
        let read = term.filter.iter().chain(&resolved).flat_map(Scalar::columns);
        for position in read.chain(term.repeats.iter().copied()) {
            let (leaf, column) = locate(&term.leaves, position);
            used[term.leaves[leaf].table].insert(column);
        }
    }
    Ok(used.into_iter().map(|set| set.into_iter().collect()).collect())
}
