//! Making maintained tables anew, and what reads them.

use std::collections::BTreeSet;

use crate::catalog::cache;
use crate::change::{flush, queue, session};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::xact;

/// Rebuilds maintained tables, and what reads them, unless they wait for their triggers.
pub fn rebuild(names: BTreeSet<u32>) {
    rebuild_with(names, || {});
}

/// The same, and applies what `collect` collects, all in one flush: what reads several of them, or one of them and a
/// base table, gets it all at once. That is left out if a change is under way, whose own flush makes them anew.
pub fn rebuild_with(names: BTreeSet<u32>, collect: impl FnOnce()) {
    xact::register();
    cache::fresh();
    let names = names.into_iter().filter(|&name| is_finished(name)).collect();
    session::remake(&names);
    if !session::is_busy() {
        flush::after(collect);
    }
}

/// Whether a maintained table follows its base tables by itself. One that is being built begins anew.
fn is_finished(name: u32) -> bool {
    let mut maintained = cache::maintained(name);
    if maintained.entry.queued {
        // As whoever writes a base table does, so that the queues are not done with before this is committed.
        let lock = |&relation: &u32| lock::relation(Purpose::Unfinished, relation, Mode::RowExclusive);
        maintained.members.first().into_iter().for_each(lock);
        cache::fresh();
        maintained = cache::maintained(name);
    }
    if maintained.entry.queued {
        queue::start_again(&maintained);
    }
    !maintained.entry.queued && maintained.entry.stale.is_none()
}
