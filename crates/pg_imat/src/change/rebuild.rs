//! Rebuilds maintained tables, and the maintained tables that read them.

use std::collections::BTreeSet;

use crate::catalog::cache;
use crate::change::{flush, queue, session};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::xact;

/// Rebuilds maintained tables, and those that read them, except stale ones.
pub fn rebuild(names: BTreeSet<u32>) {
    rebuild_with(names, || {});
}

/// The same, and applies the changes that `collect` collects. All is done in one flush, so that a maintained table that
/// reads several of the changed tables gets their changes together. If a change is being collected or flushed already,
/// `collect` is not called, and that change's flush does the rebuild.
pub fn rebuild_with(names: BTreeSet<u32>, collect: impl FnOnce()) {
    xact::register();
    cache::revalidate();
    let names = names.into_iter().filter(|&name| is_finished(name)).collect();
    session::request_rebuilds(&names);
    if !session::is_busy() {
        flush::after(collect);
    }
}

/// Whether a maintained table follows its base tables. If it is being built online, makes the build start again.
fn is_finished(name: u32) -> bool {
    let mut maintained = cache::maintained(name);
    if maintained.entry.queued {
        // A writer's lock, so that the last round of the build waits for this transaction and finds the note.
        let lock = |&relation: &u32| lock::relation(Purpose::Unfinished, relation, Mode::RowExclusive);
        maintained.members.first().into_iter().for_each(lock);
        cache::revalidate();
        maintained = cache::maintained(name);
    }
    if maintained.entry.queued {
        queue::restart_build(&maintained);
    }
    !maintained.entry.queued && maintained.entry.stale.is_none()
}
