//! What changed since the last flush, and which maintained tables have it already.
//!
//! A flush usually empties the buffer. One that a read asks for in the middle of a statement may
//! have to pass over maintained tables, so what it applied is not forgotten but dated: a chunk
//! belongs to an *epoch*, such a flush ends the epoch, and every maintained table that took part
//! has *taken* the chunks of its base tables up to there.
//!
//! A chunk has one layout: where the readers of a base table change within a transaction, its deltas have other
//! columns from then on, and are put together for each reader, by what its columns are.
//!
//! Both belong to the subtransaction that made them. If that is rolled back, the chunk never
//! was, and what was taken is pending again.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use imat_compile::plan::TableUse;

use crate::pg::delta::Delta;
use crate::pg::layout::Layout;
use crate::pg::transition::Transition;

/// What statements did to a base table.
#[derive(Clone, Default)]
pub struct Change {
    pub delta: Option<Delta>,
    /// Something changed of which no rows are known.
    pub unseen: bool,
    pub truncated: bool,
    /// By TRUNCATE. A snapshot that is older finds no rows of the table at all, so it can't read what follows from them.
    pub emptied: bool,
    /// The maintained table that takes it is to be made anew, whatever else it says.
    pub anew: bool,
}

/// One change for each of some base tables.
pub struct Changes(Vec<(u32, Change)>);

impl Changes {
    pub fn of(&self, base: u32) -> Option<&Change> {
        self.0.iter().find(|(changed, _)| *changed == base).map(|(_, change)| change)
    }
}

struct Chunk {
    subtransaction: u32,
    epoch: u32,
    base: u32,
    change: Change,
}

struct Taken {
    subtransaction: u32,
    epoch: u32,
    reader: u32,
}

/// A maintained table is to be made anew.
struct Remake {
    subtransaction: u32,
    epoch: u32,
    reader: u32,
}

#[derive(Default)]
pub struct Buffer {
    chunks: Vec<Chunk>,
    remakes: Vec<Remake>,
    taken: Vec<Taken>,
    epoch: u32,
    /// Sums of several chunks, made for the flush that is running.
    sums: Vec<Delta>,
    /// Of subtransactions that were rolled back when there was no room to free them.
    abandoned: Vec<Delta>,
    /// An error interrupted the work on the chunks: what is left of them is not to be trusted.
    torn: bool,
}

/// From how many chunks on the buffer is tidied before it gets another.
const MANY: usize = 64;

impl Change {
    pub fn unseen() -> Self {
        Self { unseen: true, ..Self::default() }
    }

    pub fn truncated() -> Self {
        Self { truncated: true, emptied: true, ..Self::default() }
    }

    /// Rows changed, and PostgreSQL does not say which. What reads them is made anew, as it is after a TRUNCATE.
    pub fn untold() -> Self {
        Self { truncated: true, ..Self::default() }
    }

    fn layout(&self) -> Option<&Rc<Layout>> {
        self.delta.as_ref().map(Delta::layout)
    }

    fn add(&mut self, other: Change) {
        match (&mut self.delta, other.delta) {
            (Some(delta), Some(more)) => {
                delta.append(&more);
                more.end();
            }
            (delta, more) => *delta = delta.take().or(more),
        }
        self.unseen |= other.unseen;
        self.truncated |= other.truncated;
        self.emptied |= other.emptied;
    }

    /// Whether a delta with this layout can be added.
    fn takes(&self, layout: Option<&Rc<Layout>>) -> bool {
        layout.is_none_or(|layout| self.delta.as_ref().is_none_or(|delta| delta.is_of(layout)))
    }

    /// All of several, for who reads these columns of the rows. A delta that is made for it is added to `sums`.
    fn sum(changes: &[&Change], columns: Option<&[i16]>, sums: &mut Vec<Delta>) -> Change {
        if let [only] = changes {
            return (*only).clone();
        }
        let deltas: Vec<&Delta> = changes.iter().filter_map(|change| change.delta.as_ref()).collect();
        let delta = match (&deltas[..], columns) {
            ([] | [_], _) | (_, None) => deltas.first().copied().cloned(),
            (_, Some(columns)) => Delta::sum(&deltas, columns).inspect(|sum| sums.push(sum.clone())),
        };
        Change {
            // Some were collected when nobody read such columns yet.
            anew: delta.is_none() && !deltas.is_empty(),
            delta,
            unseen: changes.iter().any(|change| change.unseen),
            truncated: changes.iter().any(|change| change.truncated),
            emptied: changes.iter().any(|change| change.emptied),
        }
    }

    fn end(self) {
        if let Some(delta) = self.delta {
            delta.end();
        }
    }
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.remakes.is_empty()
    }

    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// The base tables that changed, each with the last epoch in which it did.
    pub fn changed(&self) -> Vec<(u32, u32)> {
        let mut changed: Vec<(u32, u32)> = Vec::new();
        for chunk in &self.chunks {
            match changed.iter_mut().find(|(base, _)| *base == chunk.base) {
                Some((_, last)) => *last = chunk.epoch.max(*last),
                None => changed.push((chunk.base, chunk.epoch)),
            }
        }
        changed
    }

    /// The maintained tables that are to be made anew, and have not been.
    pub fn remade(&self) -> BTreeSet<u32> {
        self.remakes.iter().map(|remake| remake.reader).filter(|&reader| self.is_remade(reader)).collect()
    }

    fn is_remade(&self, reader: u32) -> bool {
        let from = self.taken(reader);
        self.remakes.iter().any(|remake| remake.reader == reader && Some(remake.epoch) > from)
    }

    /// Has a maintained table made anew.
    pub fn remake(&mut self, subtransaction: u32, reader: u32) {
        self.remakes.push(Remake { subtransaction, epoch: self.epoch, reader });
    }

    /// The base tables that were truncated.
    pub fn truncated(&self) -> BTreeSet<u32> {
        self.chunks.iter().filter(|chunk| chunk.change.truncated).map(|chunk| chunk.base).collect()
    }

    /// The change to which one with such a delta is to be added.
    fn current(&mut self, subtransaction: u32, base: u32, layout: Option<&Rc<Layout>>) -> Option<&mut Change> {
        let wanted = (subtransaction, self.epoch, base);
        let is_it = |chunk: &&mut Chunk| {
            (chunk.subtransaction, chunk.epoch, chunk.base) == wanted && chunk.change.takes(layout)
        };
        self.chunks.iter_mut().find(is_it).map(|chunk| &mut chunk.change)
    }

    pub fn add(&mut self, subtransaction: u32, base: u32, change: Change) {
        match self.current(subtransaction, base, change.layout()) {
            Some(known) => known.add(change),
            None => {
                // A trigger with an exception block leaves a chunk for each row.
                if self.chunks.len() > MANY {
                    self.tidy(|left, right| left == right);
                }
                self.chunks.push(Chunk { subtransaction, epoch: self.epoch, base, change });
            }
        }
    }

    /// Adds a statement's rows to those of earlier statements of the subtransaction.
    pub fn collect(&mut self, subtransaction: u32, base: u32, transition: &Transition, layout: &Rc<Layout>) {
        match self.current(subtransaction, base, Some(layout)) {
            Some(Change { delta: Some(delta), .. }) => delta.extend(transition, layout),
            _ => {
                if let Some(delta) = Delta::collect(transition, layout) {
                    self.add(subtransaction, base, Change { delta: Some(delta), ..Change::default() });
                }
            }
        }
    }

    /// The last epoch up to which a maintained table has taken what its base tables changed.
    pub fn taken(&self, reader: u32) -> Option<u32> {
        self.taken.iter().filter(|taken| taken.reader == reader).map(|taken| taken.epoch).max()
    }

    /// A maintained table takes all there is.
    pub fn take(&mut self, subtransaction: u32, reader: u32) {
        let epoch = self.epoch;
        match self.taken.iter_mut().find(|taken| (taken.subtransaction, taken.reader) == (subtransaction, reader)) {
            Some(taken) => taken.epoch = epoch,
            None => self.taken.push(Taken { subtransaction, epoch, reader }),
        }
    }

    /// What these tables changed that a maintained table, which may ask for rows, has not taken.
    pub fn net(&mut self, reader: u32, tables: &[TableUse], rows: bool) -> Changes {
        let (from, anew) = (self.taken(reader), self.is_remade(reader));
        let Self { chunks, sums, .. } = self;
        let net = |table: &TableUse| {
            let pending = chunks.iter().filter(|chunk| chunk.base == table.oid && Some(chunk.epoch) > from);
            let changes: Vec<&Change> = pending.map(|chunk| &chunk.change).collect();
            (anew || !changes.is_empty()).then(|| {
                let sum = Change::sum(&changes, rows.then_some(&table.columns), sums);
                (table.oid, Change { anew: anew || sum.anew, ..sum })
            })
        };
        Changes(tables.iter().filter_map(net).collect())
    }

    /// Makes one chunk of several of a base table, where nobody has taken one without the other
    /// and their subtransactions may be put together.
    pub fn tidy(&mut self, may: impl Fn(u32, u32) -> bool) {
        if self.torn || self.chunks.len() < 2 {
            return;
        }
        self.torn = true;
        let taken = &self.taken;
        let apart = |a: u32, b: u32| taken.iter().any(|taken| (a.min(b)..a.max(b)).contains(&taken.epoch));
        let mut tidied: Vec<Chunk> = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks.drain(..) {
            let same = |known: &&mut Chunk| {
                known.base == chunk.base
                    && may(known.subtransaction, chunk.subtransaction)
                    && !apart(known.epoch, chunk.epoch)
                    && known.change.takes(chunk.change.layout())
            };
            match tidied.iter_mut().find(same) {
                Some(known) => {
                    known.epoch = known.epoch.max(chunk.epoch);
                    known.change.add(chunk.change);
                }
                None => tidied.push(chunk),
            }
        }
        self.chunks = tidied;
        self.torn = false;
    }

    /// Ends the epoch. What all of a base table's readers have taken is forgotten, unless their
    /// taking could be rolled back and the change not.
    pub fn end_epoch(&mut self, readers: &BTreeMap<u32, Rc<[u32]>>) {
        self.epoch += 1;
        self.sums.drain(..).for_each(Delta::end);
        let taken = &self.taken;
        let by = |reader: u32, chunk: &Chunk| {
            taken.iter().any(|taken| {
                taken.reader == reader && taken.epoch >= chunk.epoch && taken.subtransaction <= chunk.subtransaction
            })
        };
        let by_all = |chunk: &Chunk| {
            readers.get(&chunk.base).is_some_and(|readers| readers.iter().all(|&reader| by(reader, chunk)))
        };
        let (done, kept) = self.chunks.drain(..).partition(by_all);
        self.chunks = kept;
        self.remakes.retain(|remake| {
            !taken.iter().any(|taken| {
                taken.reader == remake.reader
                    && taken.epoch >= remake.epoch
                    && taken.subtransaction <= remake.subtransaction
            })
        });
        Vec::into_iter(done).for_each(|chunk| chunk.change.end());
    }

    /// Everything has been applied.
    pub fn clear(&mut self) {
        self.epoch = 0;
        self.taken.clear();
        self.remakes.clear();
        self.sums.drain(..).for_each(Delta::end);
        self.chunks.drain(..).for_each(|chunk| chunk.change.end());
        self.free();
    }

    /// Frees what could not be freed before; what still can't, PostgreSQL will with the transaction.
    pub fn free(&mut self) {
        self.abandoned = self.abandoned.drain(..).filter_map(Delta::abandon).collect();
    }

    /// What a subtransaction did belongs to its parent now. This must not fail, as half of the
    /// subtransaction is committed, so nothing is written here.
    pub fn release(&mut self, mine: u32, parent: u32) {
        self.chunks
            .iter_mut()
            .filter(|chunk| chunk.subtransaction == mine)
            .for_each(|chunk| chunk.subtransaction = parent);
        self.remakes
            .iter_mut()
            .filter(|remake| remake.subtransaction == mine)
            .for_each(|remake| remake.subtransaction = parent);
        let (released, kept) = self.taken.drain(..).partition(|taken| taken.subtransaction == mine);
        self.taken = kept;
        for Taken { epoch, reader, .. } in Vec::into_iter(released) {
            self.taken.retain(|taken| (taken.subtransaction, taken.reader) != (parent, reader));
            self.taken.push(Taken { subtransaction: parent, epoch, reader });
        }
    }

    /// What a subtransaction did never happened.
    pub fn abort(&mut self, mine: u32) {
        self.taken.retain(|taken| taken.subtransaction < mine);
        self.remakes.retain(|remake| remake.subtransaction < mine);
        let (kept, dropped) = self.chunks.drain(..).partition(|chunk| chunk.subtransaction < mine);
        self.chunks = kept;
        let deltas = Vec::into_iter(dropped).filter_map(|chunk: Chunk| chunk.change.delta);
        self.abandoned.extend(deltas.filter_map(Delta::abandon));
    }
}
