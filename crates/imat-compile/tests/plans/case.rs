//! One case: a view, the changes to show, and the snapshot of its plan.

use imat_compile::error::Unsupported;
use imat_compile::name::QName;
use imat_compile::parse::parse;
use imat_compile::plan::{Fate, Options, Plan, Signs, Size, TableUse};

use crate::{catalog, dump, laws, types};

/// A change of some tables.
pub type Change = (&'static [&'static str], Signs, Size);

pub const ADDED: Size = Size::One(Fate::Added);
pub const REMOVED: Size = Size::One(Fate::Removed);

/// A view, and the changes for which its statements are shown.
pub struct Case {
    /// The columns with their types, as in `pg_attribute`: `n bigint`.
    pub columns: &'static [&'static str],
    pub definition: &'static str,
    pub server_version: i32,
    pub changes: &'static [Change],
}

impl Case {
    pub const fn new(columns: &'static [&'static str], definition: &'static str, changes: &'static [Change]) -> Self {
        Self { columns, definition, server_version: 180_000, changes }
    }

    /// Its plan, or the plan that recomputes it whole.
    fn plan(&self, keys_hold: bool) -> Plan {
        let columns = self.columns.iter().map(|column| column.split_once(' ').expect("a name and a type"));
        let (names, outputs): (Vec<String>, Vec<&str>) = columns.map(|(name, ty)| (name.to_owned(), ty)).unzip();
        let parsed = parse(self.definition, &names, &catalog::Shop { keys_hold });
        let options = Options { server_version: self.server_version };
        let plan = parsed.and_then(|view| Plan::new(&view, &types::types(&view, &outputs), options));
        plan.unwrap_or_else(|construct| self.whole(&construct, names, &outputs))
    }

    fn whole(&self, construct: &Unsupported, names: Vec<String>, outputs: &[&str]) -> Plan {
        let tables = catalog::tables_in(self.definition).into_iter();
        let tables = tables.map(|table| TableUse { oid: table.oid, name: table.name, columns: Vec::new() });
        let outputs = names.into_iter().zip(outputs.iter().map(|sql| types::named(sql))).collect();
        Plan::whole(construct, outputs, tables.collect(), QName::new("imat_catalog", "v"))
    }
}

/// Compares the plan with the snapshot `name`, and checks the laws of all plans.
pub fn check(name: &str, case: &Case) {
    let plan = case.plan(true);
    laws::hold(&plan, &case.plan(true));
    laws::agree(&plan, &case.plan(false));
    let text = format!("{}\n\n{}", case.definition.trim(), dump::plan(&plan, case.changes));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}
