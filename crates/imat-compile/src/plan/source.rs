//! The joins and filters that a plan reads.

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

/// The joins and filters of a view, which can be read in full or as a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub core: Core,
    /// The scope columns that are read, ascending. They are called `x<position>` in the rendered subquery.
    pub used: Vec<usize>,
    /// The expressions that are computed over the scope row.
    pub computed: Vec<Scalar>,
    pub references: Vec<Reference>,
    /// Whether one of these expressions, or of the conditions, can fail for some row of the tables.
    pub frail: bool,
}

/// PostgreSQL's limit is 1664 columns of a SELECT. Besides the scope row there are weights and similar columns.
const MOST_COLUMNS: usize = 1600;

/// The only changed row: its table, and the columns that are parameters.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub table: usize,
    pub columns: &'a [i16],
    pub fate: Fate,
}

/// If a query in FROM computes what can fail, the same joins and filters without that: the scope row is then the rows of the
/// tables, and these expressions over it become ones over them. So it is computed where it is read, behind FILTER and CASE.
/// PostgreSQL too makes one query of the two, but it can't where a delta is a UNION ALL.
pub(super) fn pulled_up<'a>(core: Core, above: impl Iterator<Item = &'a mut Scalar>) -> Result<Core, Unsupported> {
    let Ok([term]) = <[Term; 1]>::try_from(Term::all(&core.rel)?) else { return Ok(core) };
    let order = Order { term: &term, tables: &core.tables };
    if !term.columns.iter().any(|column| order.is_frail(column)) {
        return Ok(core);
    }
    above.for_each(|scalar| *scalar = term.resolve(scalar));
    let rows = (0..term.width()).map(Scalar::column).collect();
    Ok(Core { rel: Term { columns: rows, ..term }.to_rel(), ..core })
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

    /// Whether an expression over the scope row fails for no row of the tables.
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

    /// The table column behind a column of the scope row, and the table's position.
    pub(super) fn column(&self, scope: usize) -> Option<(usize, &Column)> {
        let [term] = Term::all(&self.core.rel).ok()?.try_into().ok()?;
        let (leaf, column) = locate(&term.leaves, term.resolve(&Scalar::column(scope)).as_column()?);
        let table = term.leaves[leaf].table;
        Some((table, &self.core.tables[table].columns[column]))
    }

    /// Whether each row of the view's delta comes from one changed row. With several changed tables, or a table that is
    /// read twice, one term of the delta can cancel what another one adds.
    pub(crate) fn is_one_term(&self, changed: &TableSet) -> bool {
        self.core.rel.scans().filter(|scan| changed.contains(&scan.table)).count() == 1
    }

    /// Whether the changed table is one whose rows are repeated by a count. Its delta is summed up, so a row with +1
    /// exists after the change, even if several statements changed the table.
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

/// For each table, the sorted positions of the columns that the core's conditions and the scope-row expressions
/// `scalars` read. A change of other columns does not affect the result, so deltas don't contain these.
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
