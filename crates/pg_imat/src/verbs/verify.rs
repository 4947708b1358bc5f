//! `verify_imat`: compares a maintained table with its query.

use imat_compile::error::Error;
use imat_compile::facts::{Class, Type};
use imat_compile::sql::ddl::{self, Compare};

use crate::catalog::bookkeeping::trusted;
use crate::catalog::{cache, facts};
use crate::change::flush;
use crate::pg::context::{Role, as_role, with_path};
use crate::pg::error::warn;
use crate::pg::spi::{self, Snapshot};
use crate::refuse;
use crate::verbs::named::finished;
use crate::verbs::refresh::enable_and_rebuild;

/// A row in which a maintained table and its query differ.
pub struct Difference {
    pub kind: String,
    pub times: i64,
    pub row: pgrx::JsonB,
}

/// Compares a maintained table with its query.
pub fn verify(name: &str, repair: bool) -> Result<Vec<Difference>, Error> {
    let entry = finished(name)?;
    flush::before("verify a maintained table");
    cache::revalidate();
    cache::maintained(entry.name);
    let differences = as_role(Role::Restricted(entry.owner), &with_path(entry.settings()), || {
        let names = (facts::name(entry.name), facts::name(entry.definition));
        let (Some(result), Some(definition)) = names else { return Vec::new() };
        let types = facts::column_types(entry.definition);
        let columns: Vec<(String, Compare)> = facts::column_names(entry.definition)
            .into_iter()
            .zip(types)
            .map(|(column, ty)| (column, comparison(&ty)))
            .collect();
        // Under the transaction's snapshot, as the session itself sees both.
        let differences = ddl::differences(&result, &definition, &columns);
        spi::rows_under(Snapshot::Transaction, &differences, &[], |row| Difference {
            kind: row.need(1),
            times: row.need(2),
            row: row.need(3),
        })
    });
    if repair && !differences.is_empty() {
        enable_and_rebuild(&entry);
    } else if let Some(reason) = &entry.stale {
        let display = trusted(|| facts::name(entry.name));
        warn(&refuse::stale(&display.map_or_else(|| name.to_owned(), |name| name.to_string()), reason));
    }
    Ok(differences)
}

fn comparison(ty: &Type) -> Compare {
    match ty.class {
        Class::Float4 => Compare::Real,
        Class::Float8 => Compare::Double,
        Class::Numeric => Compare::Numeric,
        _ => Compare::Image,
    }
}
