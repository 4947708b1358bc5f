//! `drop_imat`: end the maintenance of a table.

use imat_compile::error::Error;

use crate::build::analyze;
use crate::build::mark::Mark;
use crate::build::remove::{drop_parts, drop_triggers, remove, unread};
use crate::catalog::bookkeeping::{self, trusted};
use crate::catalog::running_ddl::own_ddl;
use crate::catalog::{facts, names};
use crate::change::session;
use crate::follow::adopt;
use crate::pg::context;
use crate::pg::lock::{self, Mode, Purpose};
use crate::refuse;

/// Ends the maintenance of a table and drops it. Who owns a base table may too: he has to be able to
/// write to it, whatever has become of the maintained table's owner.
pub fn drop(name: &str) -> Result<(), Error> {
    session::require_idle("drop a maintained table");
    if let Some(mark) = adopt::named(name) {
        return drop_left_behind(name, &mark);
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

/// Whoever is writing one of these relations still needs the bookkeeping. PostgreSQL would refuse to drop the triggers
/// of those that this session is using, but not if others need them too.
fn lock_to_drop(relations: impl IntoIterator<Item = u32>) {
    for relation in relations {
        lock::relation(Purpose::Drop, relation, Mode::ShareRowExclusive);
        lock::require_unused(relation, c"drop a maintained table over");
    }
}

/// The same of one that a dump left behind, which may be all that there is of it.
fn drop_left_behind(name: &str, mark: &Mark) -> Result<(), Error> {
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
