//! Views without groups: a state row per distinct result row, with its multiplicity.

use crate::error::Unsupported;
use crate::facts::Type;
use crate::lower::Core;
use crate::name::QName;
use crate::plan::source::{self, Source};
use crate::plan::{Body, Key, Plan, Reading, StateColumn, Strategy, TableUse, Types, hidden_name};
use crate::scalar::Scalar;
use crate::view::View;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    pub(crate) query: Query,
}

/// The source of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// Joins, filters and these outputs over the scope row: the delta is derived.
    Source { source: Source, outputs: Vec<Scalar> },
    /// The definition: the delta is its current result minus the state.
    Definition(QName),
}

impl Rows {
    pub(crate) fn source(&self) -> Option<&Source> {
        match &self.query {
            Query::Source { source, .. } => Some(source),
            Query::Definition(_) => None,
        }
    }
}

fn columns(outputs: &[(String, Type)]) -> (Vec<StateColumn>, Reading) {
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    let mut columns: Vec<StateColumn> =
        outputs.iter().map(|(name, ty)| StateColumn { name: name.clone(), ty: ty.column_type() }).collect();
    columns.push(StateColumn { name: hidden_name(&names, "n"), ty: "bigint".into() });
    let reading = Reading {
        outputs: outputs
            .iter()
            .enumerate()
            .map(|(position, (name, ty))| (name.clone(), ty.column_type(), Scalar::column(position)))
            .collect(),
        having: None,
        multiplicity: Some(outputs.len()),
    };
    (columns, reading)
}

pub(crate) fn plan(view: &View, core: Core, types: &Types) -> Result<Plan, Unsupported> {
    let named: Vec<(String, Type)> =
        view.outputs.iter().map(|output| output.name.clone()).zip(types.outputs.iter().cloned()).collect();
    let (columns, reading) = columns(&named);
    let mut outputs: Vec<Scalar> = view.outputs.iter().map(|output| output.expr.clone()).collect();
    let core = source::pulled_up(core, outputs.iter_mut())?;
    let source = Source::new(core, &outputs.iter().collect::<Vec<_>>())?;
    let tables = source.tables()?;
    let body = Body::Rows(Box::new(Rows { query: Query::Source { source, outputs } }));
    Ok(Plan { strategy: Strategy::Arithmetic, tables, columns, key: Key::Image, reading: Some(reading), body })
}

pub(crate) fn whole(
    construct: &Unsupported,
    outputs: Vec<(String, Type)>,
    tables: Vec<TableUse>,
    definition: QName,
) -> Plan {
    let (columns, reading) = columns(&outputs);
    let body = Body::Rows(Box::new(Rows { query: Query::Definition(definition) }));
    let strategy = Strategy::Whole { construct: construct.construct.clone() };
    Plan { strategy, tables, columns, key: Key::Image, reading: Some(reading), body }
}
