//! Changes that can't affect a join because of foreign keys.
//!
//! In a join over a foreign key, adding or removing a row of the referenced table while the referencing table does not
//! change leaves the result as it is: no row references it before it is added, nor after it is removed. The change
//! still has to lock the keys that lead to other tables: see [`crate::plan::locks`].

use std::collections::BTreeMap;

use crate::facts::ForeignKey;
use crate::lower::Core;
use crate::plan::links::Links;
use crate::rel::TableSet;
use crate::rel::term::Term;

/// A foreign key on which tables are joined; the tables by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub child: usize,
    pub parent: usize,
    pub key: ForeignKey,
}

/// The foreign keys of a core's joins to tables that it reads once.
pub(crate) fn all(core: &Core) -> Vec<Reference> {
    let Ok([term]) = Term::all(&core.rel).map(<[Term; 1]>::try_from).unwrap_or_else(|_| Err(Vec::new())) else {
        return Vec::new();
    };
    let links = Links::new(&term, core);
    let leaves = &term.leaves;
    let mut found = Vec::new();
    for (parent, leaf) in leaves.iter().enumerate() {
        let once = leaves.iter().filter(|other| other.table == leaf.table).count() == 1;
        for child in (0..leaves.len()).filter(|&child| once && child != parent) {
            let table = &core.tables[leaves[child].table];
            let keys = table.foreign_keys.iter().filter(|key| key.references == core.tables[leaf.table].oid);
            let joined = keys.filter(|key| is_joined(key, child, parent, &links, core));
            found.extend(joined.map(|key| Reference {
                child: leaves[child].table,
                parent: leaf.table,
                key: key.clone(),
            }));
        }
    }
    found
}

/// Whether the two leaves are joined on all columns of the key.
fn is_joined(key: &ForeignKey, child: usize, parent: usize, links: &Links<'_>, core: &Core) -> bool {
    let pairs: Vec<(i16, i16)> = links
        .between(child, parent)
        .into_iter()
        .filter(|(one, other)| one.value.as_column().is_some() && other.value.as_column().is_some())
        .map(|(one, other)| (links.number(one, core), links.number(other, core)))
        .collect();
    key.columns.iter().copied().zip(key.referenced.iter().copied()).all(|pair| pairs.contains(&pair))
}

/// Tables whose change can't affect the result, each with the tables that reference it and did not change.
pub type Idle = BTreeMap<usize, TableSet>;

/// The changed tables in `one_way` whose change can't affect the result. `one_way` are the tables to which rows were
/// only added, or from which rows were only removed.
pub(crate) fn idle(references: &[Reference], changed: &TableSet, one_way: &TableSet) -> Idle {
    let mut idle = Idle::new();
    for Reference { child, parent, .. } in references {
        if one_way.contains(parent) && !changed.contains(child) {
            idle.entry(*parent).or_default().insert(*child);
        }
    }
    idle
}
