//! The statements of a plan: what creates a state, reads it, applies a change to it and rebuilds it.

use crate::name::{QName, ident};
use crate::plan::references::Idle;
use crate::plan::references::Reference;
use crate::plan::source::{Row, Source};
use crate::plan::{Body, Key, Plan, Signs, Size};
use crate::rel::TableSet;
use crate::sql::builder::{Cte, Select, list};
use crate::sql::locks::Locking;
use crate::sql::source::Change;
use crate::sql::statements::{Flush, Rebuild};
use crate::sql::{Sql, grouped, rebuild, render, rows};

impl Plan {
    /// Creates the state table and its unique key.
    pub fn create(&self, state: &QName) -> Vec<Sql> {
        let columns = list(self.columns.iter().map(|column| format!("{} {}", ident(&column.name), column.ty)));
        // Free space keeps updates on the page, so that they need no index entry.
        let mut statements = vec![Sql::new(format!("CREATE TABLE {state} ({columns}) WITH (fillfactor = 70)"))];
        if let Some(target) = self.conflict_target() {
            let nulls = match self.key {
                Key::Columns { nulls_not_distinct: true } => " NULLS NOT DISTINCT",
                _ => "",
            };
            statements.push(Sql::new(format!("CREATE UNIQUE INDEX ON {state} {target}{nulls}")));
        }
        statements
    }

    /// The SELECT of the view over the state, where there is one.
    pub fn reading(&self, state: &QName) -> Option<Sql> {
        let reading = self.reading.as_ref()?;
        let column = |position: usize| format!("s.{}", ident(&self.columns[position].name));
        let outputs = reading.outputs.iter().map(|(name, ty, expr)| {
            // The planner may compute a reader's condition on it before HAVING.
            let guards = reading.having.iter().filter(|_| expr.as_column().is_none());
            format!("({})::{ty} AS {}", expr.guarded(guards).render(column), ident(name))
        });
        let mut select = Select::new(outputs).from([format!("{state} AS s")]);
        if let Some(n) = reading.multiplicity {
            select = select.cross_join_lateral(format!("pg_catalog.generate_series(1::bigint, {})", column(n)));
        }
        Some(Sql::new(select.filter(reading.having.iter().map(|having| having.render(column)))))
    }

    /// What the state holds when it is right: the names of its columns, and a SELECT of them from the
    /// tables as they are now.
    pub(crate) fn content(&self) -> (Vec<String>, Select) {
        match &self.body {
            Body::Grouped(grouped) => grouped::content(self, grouped),
            Body::Rows(rows) => rows::content(self, &rows.query),
        }
    }

    /// Applies the deltas of the `changed` tables. With [`Size::One`] they are one row, whose columns are
    /// `$1`, `$2`, … of the statements that read it.
    pub fn flush(&self, state: &QName, changed: &TableSet, signs: Signs, size: Size) -> Flush {
        let deltas = self.deltas(changed, signs, size);
        let signs = if signs == Signs::Passing { Signs::Net } else { signs };
        let change = Change { tables: changed, signs, size, deltas };
        match &self.body {
            Body::Grouped(grouped) => grouped::flush(self, grouped, state, &change),
            Body::Rows(rows) => rows::flush(self, &rows.query, state, &change),
        }
    }

    /// The deltas that are given by WITH queries and not by relations: a single row, and the net change where an expression
    /// could fail for a row that was added and taken away again. None reads another one, so their order is free.
    fn deltas(&self, changed: &TableSet, signs: Signs, size: Size) -> Vec<Cte> {
        match self.row(changed.iter(), size) {
            Some(row) => vec![row.relation(1)],
            None if self.relevant(signs) == Signs::Passing => {
                changed.iter().rev().map(|&table| render::net(table, &self.tables[table].columns)).collect()
            }
            None => Vec::new(),
        }
    }

    fn row<'a>(&self, mut tables: impl Iterator<Item = &'a usize>, size: Size) -> Option<Row<'_>> {
        let Size::One(fate) = size else { return None };
        let &table = tables.next()?;
        Some(Row { table, columns: &self.tables[table].columns, fate })
    }

    /// Computes the state from the tables as they are now, and writes what differs.
    pub fn rebuild(&self, state: &QName) -> Rebuild {
        rebuild::statements(self, state)
    }

    /// What must be locked before a change of the `changed` tables is applied, if the `idle` ones change too without making a
    /// difference. With [`Size::One`] the changed row's columns are `$2`, `$3`, ….
    pub fn locking(&self, changed: &TableSet, idle: &Idle, size: Size) -> Locking {
        let row = self.row(changed.iter().chain(idle.keys()), size);
        self.source().map_or(Locking::View, |source| source.locking(changed, idle, row))
    }

    /// A query for each foreign key that the plan relies on. It returns a row if the key doesn't hold.
    pub fn orphans(&self) -> Vec<Sql> {
        let source = self.source().into_iter();
        source.flat_map(|source| source.references.iter().map(|reference| reference.orphan(&source.core))).collect()
    }

    /// The same for the rows of a relation that became part of this base table.
    pub fn orphans_among(&self, base: u32, relation: &QName) -> Vec<Sql> {
        let source = self.source().into_iter();
        let among = |source: &'_ Source| -> Vec<Sql> {
            let orphan = |reference: &Reference| reference.orphan_among(&source.core, base, relation);
            source.references.iter().filter_map(orphan).collect()
        };
        source.flat_map(among).collect()
    }
}
