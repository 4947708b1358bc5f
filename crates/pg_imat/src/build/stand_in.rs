//! Maintained tables that are read instead of the materialized views that they were made from.
//!
//! A REFRESH can't be captured, so a materialized view can't be a base table. But if a query reads a materialized view
//! for which there is a maintained table, that table has the rows that a REFRESH would give the materialized view.

use std::collections::BTreeMap;

use imat_compile::name::QName;
use imat_compile::parse;
use imat_compile::sql::Sql;

use crate::catalog::facts;
use crate::pg::error::notice;
use crate::pg::query::{self, Contents};
use crate::pg::spi::{self, Param};

/// For each materialized view that a view reads directly: the maintained table that stands in for it.
#[derive(Clone, Debug, Default)]
pub struct StandIns(BTreeMap<u32, u32>);

impl StandIns {
    pub fn of(view: u32) -> Self {
        const READ: Sql = Sql::fixed(
            "SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ($1) AND c.relkind = 'm' ORDER BY 1",
        );
        let read = facts::oids(query::of_view(view).relations);
        let read = spi::rows(&READ, &[read], |row| row.oid(1));
        Self(read.into_iter().filter_map(|matview| Some((matview, stand_in(matview)?))).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The view's contents with the stand-ins.
    pub fn contents(&self, view: u32) -> Contents {
        query::reading_instead(view, &self.0)
    }

    /// The view's text with the stand-ins.
    pub fn definition(&self, view: u32) -> String {
        let definition = facts::definition(view);
        match self.names().as_slice() {
            [] => definition,
            names => parse::reading_instead(&definition, names),
        }
    }

    /// Raises a NOTICE for each.
    pub fn notify(&self) {
        for (matview, read) in self.names() {
            notice(
                &format!("reading maintained table {read} in place of materialized view {matview}"),
                "It has the rows that a REFRESH of the materialized view would bring.",
            );
        }
    }

    fn names(&self) -> Vec<(QName, QName)> {
        self.0.iter().filter_map(|(&matview, &read)| Some((facts::name(matview)?, facts::name(read)?))).collect()
    }
}

/// The maintained table that was made from a materialized view, if both still have the same query and columns.
fn stand_in(matview: u32) -> Option<u32> {
    const MADE: Sql = Sql::fixed(
        "SELECT i.name::oid, i.definition::oid FROM imat_catalog.imat AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.name \
         WHERE i.source = $1 AND i.target IS NULL AND i.stale IS NULL \
         ORDER BY c.relnamespace <> 'imat'::pg_catalog.regnamespace, 1",
    );
    let source = facts::name(matview)?.to_string();
    let made = spi::rows(&MADE, &[Param::from(source)], |row| (row.oid(1), row.oid(2)));
    let is_same = |&(name, definition): &(u32, u32)| {
        facts::columns(name) == facts::columns(matview)
            && query::of_view(definition).meaning == StandIns::of(matview).contents(matview).meaning
    };
    made.into_iter().find(is_same).map(|(name, _)| name)
}
