//! The changes since the last flush, and which maintained tables have applied them already.
//!
//! A flush usually empties the buffer. A flush that a query requests in the middle of a statement can't
//! update all maintained tables, so the buffer keeps the chunks: each chunk belongs to an *epoch*, such a
//! flush ends the epoch, and each maintained table that it updated has *taken* the chunks of its base tables
//! up to that epoch. "Reader" below is a maintained table that reads a base table.
//!
//! A chunk has one layout. If a base table gets or loses readers within a transaction, later deltas have other
//! columns. Deltas of several layouts are summed for each reader, column by column.
//!
//! A chunk and a "taken" entry belong to the subtransaction that made them. If that is rolled back, the chunk is
//! dropped, and chunks that were taken are pending again.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use imat_compile::plan::TableUse;

use crate::pg::delta::Delta;
use crate::pg::layout::Layout;
use crate::pg::transition::Transition;

/// The changes of a base table by statements.
#[derive(Clone, Default)]
pub struct Change {
    pub delta: Option<Delta>,
    /// The table changed, and no rows were collected, because a "whole" view needs none.
    pub without_rows: bool,
    /// The changed rows are not known, so the maintained tables must be rebuilt.
    pub rows_unknown: bool,
    /// There was a TRUNCATE. Older snapshots see an empty base table, so they must not read the new content.
    pub truncated: bool,
    /// The maintained table that takes this change must be rebuilt, whatever the other fields say.
    pub rebuild: bool,
}

/// Changes of base tables, at most one for each.
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
    /// The number of its first change: see [`Buffer::collected`].
    first: u64,
    change: Change,
}

struct Taken {
    subtransaction: u32,
    epoch: u32,
    reader: u32,
}

/// A request to rebuild a maintained table.
struct Rebuild {
    subtransaction: u32,
    epoch: u32,
    reader: u32,
}

#[derive(Default)]
pub struct Buffer {
    /// In the order in which they were made. A subtransaction has a greater number than its parent, so chunks of deeper
    /// ones come last.
    chunks: Vec<Chunk>,
    /// The number of changes that were added.
    collected: u64,
    /// The number of chunks with which they are merged before another one is added.
    many: usize,
    rebuilds: Vec<Rebuild>,
    taken: Vec<Taken>,
    epoch: u32,
    /// Sums of several chunks, made for the running flush.
    sums: Vec<Delta>,
    /// Deltas of rolled back subtransactions that could not be freed, for want of memory or disk.
    abandoned: Vec<Delta>,
    /// An error interrupted work on the chunks, so they are incomplete and must not be applied.
    torn: bool,
}

/// With at least this many chunks, chunks are merged before another one is added.
const MANY: usize = 64;

impl Change {
    pub fn without_rows() -> Self {
        Self { without_rows: true, ..Self::default() }
    }

    pub fn truncated() -> Self {
        Self { rows_unknown: true, truncated: true, ..Self::default() }
    }

    /// Rows changed, and PostgreSQL does not say which. The maintained tables are rebuilt, as after a TRUNCATE.
    pub fn rows_unknown() -> Self {
        Self { rows_unknown: true, ..Self::default() }
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
        self.without_rows |= other.without_rows;
        self.rows_unknown |= other.rows_unknown;
        self.truncated |= other.truncated;
    }

    /// Whether a delta with this layout can be added.
    fn takes(&self, layout: Option<&Rc<Layout>>) -> bool {
        layout.is_none_or(|layout| self.delta.as_ref().is_none_or(|delta| delta.is_of(layout)))
    }

    /// The sum of several changes, for a reader of these columns. If that needs a new delta, it is added to `sums`.
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
            // There is no sum if some deltas were collected without a column that this reader needs.
            rebuild: delta.is_none() && !deltas.is_empty(),
            delta,
            without_rows: changes.iter().any(|change| change.without_rows),
            rows_unknown: changes.iter().any(|change| change.rows_unknown),
            truncated: changes.iter().any(|change| change.truncated),
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
        self.chunks.is_empty() && self.rebuilds.is_empty()
    }

    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// The base tables that changed, each with the last epoch in which it changed.
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

    /// The maintained tables that must be rebuilt and have not been.
    pub fn due_rebuilds(&self) -> BTreeSet<u32> {
        self.rebuilds.iter().map(|rebuild| rebuild.reader).filter(|&reader| self.is_rebuild_due(reader)).collect()
    }

    fn is_rebuild_due(&self, reader: u32) -> bool {
        let from = self.taken(reader);
        self.rebuilds.iter().any(|rebuild| rebuild.reader == reader && Some(rebuild.epoch) > from)
    }

    /// Requests that a maintained table is rebuilt.
    pub fn request_rebuild(&mut self, subtransaction: u32, reader: u32) {
        self.rebuilds.push(Rebuild { subtransaction, epoch: self.epoch, reader });
    }

    /// Whether there are changes whose rows are not known.
    pub fn has_unknown_rows(&self) -> bool {
        self.chunks.iter().any(|chunk| chunk.change.rows_unknown)
    }

    /// The base tables with changes whose rows are not known.
    pub fn with_unknown_rows(&self) -> BTreeSet<u32> {
        self.chunks.iter().filter(|chunk| chunk.change.rows_unknown).map(|chunk| chunk.base).collect()
    }

    /// The chunk's change to which a delta with this layout can be added.
    fn current(&mut self, subtransaction: u32, base: u32, layout: Option<&Rc<Layout>>) -> Option<&mut Change> {
        let epoch = self.epoch;
        let of_mine = self.chunks.iter_mut().rev().take_while(|chunk| chunk.subtransaction >= subtransaction);
        let is_it = |chunk: &&mut Chunk| (chunk.epoch, chunk.base) == (epoch, base) && chunk.change.takes(layout);
        of_mine.into_iter().find(is_it).map(|chunk| &mut chunk.change)
    }

    pub fn add(&mut self, subtransaction: u32, base: u32, change: Change) {
        self.collected += 1;
        match self.current(subtransaction, base, change.layout()) {
            Some(known) => known.add(change),
            None => {
                // A trigger with an exception block makes a chunk for each row. Savepoints that are not released keep
                // theirs apart, so the limit grows with what stays.
                if self.chunks.len() >= self.many.max(MANY) {
                    self.tidy();
                    self.many = 2 * self.chunks.len();
                }
                self.chunks.push(Chunk { subtransaction, epoch: self.epoch, base, first: self.collected, change });
            }
        }
    }

    /// The number of changes that were added so far.
    pub fn collected(&self) -> u64 {
        self.collected
    }

    /// Whether a maintained table has not taken some change of these base tables among the first `collected`.
    pub fn lacks(&self, reader: u32, bases: &BTreeSet<u32>, collected: u64) -> bool {
        let from = self.taken(reader);
        self.chunks
            .iter()
            .any(|chunk| chunk.first <= collected && Some(chunk.epoch) > from && bases.contains(&chunk.base))
    }

    /// Adds a statement's rows to those of earlier statements of the subtransaction.
    pub fn collect(&mut self, subtransaction: u32, base: u32, transition: &Transition, layout: &Rc<Layout>) {
        match self.current(subtransaction, base, Some(layout)) {
            Some(Change { delta: Some(delta), .. }) => {
                delta.extend(transition, layout);
                self.collected += 1;
            }
            _ => {
                if let Some(delta) = Delta::collect(transition, layout) {
                    self.add(subtransaction, base, Change { delta: Some(delta), ..Change::default() });
                }
            }
        }
    }

    /// The last epoch up to which a maintained table has taken the chunks of its base tables.
    pub fn taken(&self, reader: u32) -> Option<u32> {
        self.taken.iter().filter(|taken| taken.reader == reader).map(|taken| taken.epoch).max()
    }

    /// Notes that a maintained table has taken all chunks of its base tables.
    pub fn take(&mut self, subtransaction: u32, reader: u32) {
        let epoch = self.epoch;
        match self.taken.iter_mut().find(|taken| (taken.subtransaction, taken.reader) == (subtransaction, reader)) {
            Some(taken) => taken.epoch = epoch,
            None => self.taken.push(Taken { subtransaction, epoch, reader }),
        }
    }

    /// The changes of these tables that a maintained table has not taken; with their rows if `rows`.
    pub fn pending(&mut self, reader: u32, tables: &[TableUse], rows: bool) -> Changes {
        let (from, rebuild) = (self.taken(reader), self.is_rebuild_due(reader));
        let Self { chunks, sums, .. } = self;
        let pending = |table: &TableUse| {
            let pending = chunks.iter().filter(|chunk| chunk.base == table.oid && Some(chunk.epoch) > from);
            let changes: Vec<&Change> = pending.map(|chunk| &chunk.change).collect();
            (rebuild || !changes.is_empty()).then(|| {
                let sum = Change::sum(&changes, rows.then_some(&table.columns), sums);
                (table.oid, Change { rebuild: rebuild || sum.rebuild, ..sum })
            })
        };
        Changes(tables.iter().filter_map(pending).collect())
    }

    /// Merges chunks of the same base table and subtransaction, if no reader has taken only one of them.
    pub fn tidy(&mut self) {
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
                    && !apart(known.epoch, chunk.epoch)
                    && known.change.takes(chunk.change.layout())
            };
            let of_mine = tidied.iter_mut().rev().take_while(|known| known.subtransaction == chunk.subtransaction);
            match of_mine.into_iter().find(same) {
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

    /// Ends the epoch. Drops the chunks that all readers of the base table have taken. A chunk is kept if a reader
    /// took it in a deeper subtransaction than the chunk's own, whose rollback would make it pending again.
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
        self.rebuilds.retain(|rebuild| {
            !taken.iter().any(|taken| {
                taken.reader == rebuild.reader
                    && taken.epoch >= rebuild.epoch
                    && taken.subtransaction <= rebuild.subtransaction
            })
        });
        Vec::into_iter(done).for_each(|chunk| chunk.change.end());
        if self.is_empty() {
            self.clear();
        }
    }

    /// Whether no rollback of a subtransaction can make an applied change pending again while the change itself stays.
    pub fn is_of(&self, subtransaction: u32) -> bool {
        self.chunks.iter().all(|chunk| chunk.subtransaction >= subtransaction)
            && self.rebuilds.iter().all(|rebuild| rebuild.subtransaction >= subtransaction)
    }

    /// Drops everything, after all of it has been applied.
    pub fn clear(&mut self) {
        self.epoch = 0;
        self.many = 0;
        self.taken.clear();
        self.rebuilds.clear();
        self.sums.drain(..).for_each(Delta::end);
        self.chunks.drain(..).for_each(|chunk| chunk.change.end());
        self.free();
    }

    /// Frees the deltas that could not be freed before. PostgreSQL frees the rest at the end of the transaction.
    pub fn free(&mut self) {
        self.abandoned = self.abandoned.drain(..).filter_map(Delta::abandon).collect();
    }

    /// Gives the entries of a subtransaction to its parent. This must not fail, because half of the
    /// subtransaction is committed already. So it writes to no delta, which could need memory or disk.
    pub fn release(&mut self, mine: u32, parent: u32) {
        let of_mine = self.chunks.iter_mut().rev().take_while(|chunk| chunk.subtransaction == mine);
        of_mine.into_iter().for_each(|chunk| chunk.subtransaction = parent);
        self.rebuilds
            .iter_mut()
            .filter(|rebuild| rebuild.subtransaction == mine)
            .for_each(|rebuild| rebuild.subtransaction = parent);
        let (released, kept) = self.taken.drain(..).partition(|taken| taken.subtransaction == mine);
        self.taken = kept;
        for Taken { epoch, reader, .. } in Vec::into_iter(released) {
            self.taken.retain(|taken| (taken.subtransaction, taken.reader) != (parent, reader));
            self.taken.push(Taken { subtransaction: parent, epoch, reader });
        }
    }

    /// Drops the entries of a subtransaction that is rolled back.
    pub fn abort(&mut self, mine: u32) {
        self.taken.retain(|taken| taken.subtransaction < mine);
        self.rebuilds.retain(|rebuild| rebuild.subtransaction < mine);
        let kept = self.chunks.partition_point(|chunk| chunk.subtransaction < mine);
        let deltas = self.chunks.drain(kept..).filter_map(|chunk| chunk.change.delta);
        self.abandoned.extend(deltas.filter_map(Delta::abandon));
    }
}
