//! `drop_imat`: ends the maintenance of a table and drops it.

use imat_compile::error::Error;

use crate::build::analyze;
use crate::build::mark::Mark;
use crate::build::remove::{drop_parts, drop_triggers, remove, unread};
use crate::catalog::bookkeeping::{self, trusted};
use crate::catalog::running_ddl::own_ddl;
use crate::catalog::{facts, names};
use crate::change::flush;
use crate::follow::adopt;
use crate::pg::context;
use crate::pg::lock::{self, Mode, Purpose};
use crate::refuse;

/// Ends the maintenance of a table and drops it. The owner of a base table may call it too, so that writes to the base
/// table can't be blocked by an error in a maintained table of another role.
pub fn drop(name: &str) -> Result<(), Error> {
    flush::before("drop a maintained table");
    if let Some(mark) = adopt::named(name) {
        return drop_unadopted(name, &mark);
    }
    let entry = bookkeeping::find(name, names::resolve(name))?;
    let caller = context::user();
    let owns = |relation| analyze::owns(caller, relation);
    if !trusted(|| owns(entry.state) || bookkeeping::sources(entry.name).into_iter().any(|(base, _)| owns(base))) {
        return Err(refuse::not_owner("maintained table", name));
    }
    if lock::is_being_built(entry.definition) {
        return Err(refuse::being_built(name));
    }
    if let Some(reader) = trusted(|| bookkeeping::readers(entry.state).first().and_then(|&reader| facts::name(reader)))
    {
        return Err(refuse::read_by_another(name, &reader.to_string()));
    }
    trusted(|| {
        lock_to_drop(bookkeeping::relations(entry.name).into_iter().map(|(relation, _)| relation));
        own_ddl(|| remove([entry.name, entry.state, entry.definition], false));
    });
    Ok(())
}

/// Locks the base tables. Transactions that are writing one of them still need the bookkeeping, and PostgreSQL drops
/// triggers even of a table that this session is using.
fn lock_to_drop(relations: impl IntoIterator<Item = u32>) {
    for relation in relations {
        lock::relation(Purpose::Drop, relation, Mode::ShareRowExclusive);
        lock::require_unused(relation, c"drop a maintained table over");
    }
}

/// The same for a restored table without bookkeeping. Some of its parts may be missing.
fn drop_unadopted(name: &str, mark: &Mark) -> Result<(), Error> {
    let caller = context::user();
    let owns = |&relation: &u32| analyze::owns(caller, relation);
    let (bases, relations) = trusted(|| mark.relations());
    if !trusted(|| owns(&mark.state) || bases.iter().any(owns)) {
        return Err(refuse::not_owner("maintained table", name));
    }
    trusted(|| {
        lock_to_drop(relations.iter().copied());
        own_ddl(|| {
            drop_parts(mark.parts(), false);
            drop_triggers(&unread(&relations.into_iter().map(|relation| (relation, false)).collect::<Vec<_>>()));
        });
    });
    Ok(())
}
