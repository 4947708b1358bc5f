//! Compiles a definition in the catalog to a plan.

use imat_compile::error::Unsupported;
use imat_compile::facts::Type;
use imat_compile::name::QName;
use imat_compile::parse::parse;
use imat_compile::plan::{Options, Plan, TableUse, Types};
use imat_compile::sql::probe::probe;
use imat_compile::view::View;

use crate::catalog::facts::{self, SystemCatalog};

/// Parses the definition that a view holds.
pub fn view(definition: u32, catalog: &SystemCatalog) -> Result<View, Unsupported> {
    parse(&facts::definition(definition), &facts::column_names(definition), catalog)
}

fn types(view: &View, definition: u32) -> Types {
    let probe = probe(view);
    let rows = facts::types_of(&probe.rows);
    let keys = view.grouping.as_ref().map_or(0, |grouping| grouping.keys.len());
    let (keys, args) = rows.split_at(keys.min(rows.len()));
    Types {
        keys: keys.to_vec(),
        args: args.to_vec(),
        aggregates: probe.groups.as_ref().map(facts::types_of).unwrap_or_default(),
        outputs: facts::column_types(definition),
    }
}

/// The plan of a parsed view, for a state that a server of this version creates or has created.
pub fn plan(view: &View, definition: u32, server_version: i32) -> Result<Plan, Unsupported> {
    Plan::new(view, &types(view, definition), Options { server_version })
}

/// The plan that recomputes the view whole.
pub fn whole(construct: &Unsupported, definition: u32, bases: &[(u32, QName)]) -> Plan {
    let outputs: Vec<(String, Type)> =
        facts::column_names(definition).into_iter().zip(facts::column_types(definition)).collect();
    let tables =
        bases.iter().map(|(oid, name)| TableUse { oid: *oid, name: name.clone(), columns: Vec::new() }).collect();
    let definition = facts::name(definition).unwrap_or_else(|| QName::new("imat_catalog", "missing"));
    Plan::whole(construct, outputs, tables, definition)
}
