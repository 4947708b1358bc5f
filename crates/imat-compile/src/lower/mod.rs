//! Lowers a [`View`] to the kernel's operators, one SQL construct per file.
//!
//! **Invariant:** a construct without a rule here is [`Unsupported`], so that the view is recomputed whole. It is never
//! ignored.

mod filter;
mod from;
mod join;
mod query;
mod repeat;
mod table;

use crate::error::Unsupported;
use crate::facts::Table;
use crate::rel::{Rel, TableSet};
use crate::view::View;

/// The rows that a view reads, before any grouping: its *scope row*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// The joins and the WHERE clause. Its columns are the scope row's.
    pub rel: Rel,
    /// Every base table once, by ascending OID. Scans refer to a table by its position here.
    pub tables: Vec<Table>,
    /// Whether some table is read more than once.
    pub self_join: bool,
}

/// Lowers FROM and WHERE. The caller's GROUP BY and outputs stay scalars over the scope row.
pub fn core(view: &View) -> Result<Core, Unsupported> {
    let tables = table::distinct(view);
    if table::reads_in_vain(view, &tables) {
        return Err(Unsupported::new("a WITH query that nothing reads"));
    }
    let rel = from_and_where(view, &tables)?;
    debug_assert!(rel.is_sound(), "unsound lowering:\n{rel}");
    let scans = rel.scans().count();
    let scanned: TableSet = rel.scans().map(|scan| scan.table).collect();
    let self_join = scans > scanned.len();
    Ok(Core { rel, tables, self_join })
}

/// FROM and WHERE of a view or of a query in it.
fn from_and_where(view: &View, tables: &[Table]) -> Result<Rel, Unsupported> {
    let joined = from::lower(view, tables)?;
    Ok(filter::lower(joined, view))
}

impl Core {
    /// All tables.
    pub fn all_tables(&self) -> TableSet {
        (0..self.tables.len()).collect()
    }
}
