//! Signed rows of one base table, and how statements read them.

use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use imat_compile::plan::Fate;
use pgrx::{PgTryBuilder, pg_sys};

use super::error::raise;
use super::image::{attribute, same};
use super::layout::Layout;
use super::spi::{Connection, Params, Prepared};
use super::transition::{Field, Reader, Transition};
use super::values::Values;
use crate::refuse;

/// A bag of rows with weights. It lives at most until the end of the transaction.
#[derive(Clone)]
pub struct Delta {
    layout: Rc<Layout>,
    rows: Rows,
    count: u64,
    removals: bool,
    additions: bool,
    statements: u32,
}

/// Most statements change one row, which is kept without a tuplestore.
#[derive(Clone)]
enum Rows {
    One(Rc<Values>),
    /// A tuplestore, in memory or on disk.
    Many(*mut pg_sys::Tuplestorestate),
    /// An error interrupted an addition. PostgreSQL frees the store at the end of the transaction.
    Gone,
}

/// Runs `body` with a memory context and resource owner that last until the end of the transaction.
unsafe fn in_transaction<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: both are restored; an error on the way ends the (sub)transaction, which resets them.
    unsafe {
        let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopTransactionContext);
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
        let value = body();
        pg_sys::CurrentResourceOwner = owner;
        pg_sys::MemoryContextSwitchTo(context);
        value
    }
}

impl Delta {
    /// Copies the used columns of a statement's rows. If the same row is removed and added again, both are left out:
    /// dropping two equal rows of opposite sign is always right, whichever pairs are compared. An update delivers both
    /// sides in the same order, so most pairs are found.
    pub fn collect(transition: &Transition, layout: &Rc<Layout>) -> Option<Delta> {
        // SAFETY: the layout was made for this relation.
        unsafe { in_transaction(|| copy(transition, layout, None)) }
    }

    /// Adds the rows of a further statement. `layout` belongs to the changed relation, and equals this delta's.
    pub fn extend(&mut self, transition: &Transition, layout: &Rc<Layout>) {
        if !self.is_of(layout) {
            raise(&refuse::torn());
        }
        // If an error interrupts this, the old store must not be freed twice.
        let before = std::mem::replace(self, Delta { rows: Rows::Gone, ..self.clone() });
        // SAFETY: as above.
        if let Some(extended) = unsafe { in_transaction(|| copy(transition, layout, Some(before))) } {
            *self = Delta { statements: extended.statements + 1, ..extended };
        }
    }

    /// The rows that a statement returns, as a delta of one statement; `None` if there are none.
    pub fn fetch(connection: &Connection, prepared: &Prepared, params: &Params) -> Option<Delta> {
        // SAFETY: the store lives to the end of the transaction at least, and nobody else has it.
        unsafe {
            let store = in_transaction(|| pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem));
            let descriptor = connection.execute_into(prepared, params, store);
            let count = pg_sys::tuplestore_tuple_count(store);
            if count == 0 {
                pg_sys::tuplestore_end(store);
                return None;
            }
            let layout = Rc::new(Layout::of_rows(descriptor));
            let count = count as u64;
            Some(Delta { layout, rows: Rows::Many(store), count, additions: true, removals: true, statements: 1 })
        }
    }

    unsafe fn put(delta: &mut Option<Delta>, layout: &Rc<Layout>, row: &mut Values, weight: i32) {
        let last = row.values.len() - 1;
        row.values[last] = pg_sys::Datum::from(weight);
        // SAFETY: as wide as the descriptor; the first row is copied, and put into a store
        // together with the second.
        unsafe {
            let Some(delta) = delta else {
                let rows = Rows::One(Rc::new(row.copy(layout.descriptor)));
                let layout = layout.clone();
                let (removals, additions) = (weight < 0, weight > 0);
                *delta = Some(Delta { layout, rows, count: 1, removals, additions, statements: 1 });
                return;
            };
            delta.spread();
            let Rows::Many(store) = delta.rows else { return };
            row.put(store, layout.descriptor);
            delta.count += 1;
            delta.removals |= weight < 0;
            delta.additions |= weight > 0;
        }
    }

    /// Converts a single row to a tuplestore, so that more can be added.
    unsafe fn spread(&mut self) {
        if let Rows::One(row) = &self.rows {
            // SAFETY: under the transaction's memory and owner; see the callers.
            unsafe {
                let store = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
                row.put(store, self.layout.descriptor);
                row.free(self.layout.descriptor);
                self.rows = Rows::Many(store);
            }
        }
    }

    /// All rows of several deltas of one base table, with at least these columns. `None` if a delta lacks one of them,
    /// or has it with another type.
    pub fn sum(deltas: &[&Delta], columns: &[i16]) -> Option<Delta> {
        let first = &deltas[0].layout;
        let layout = match deltas.iter().all(|delta| delta.is_of(first)) {
            true => first.clone(),
            false => Rc::new(first.only(columns)?),
        };
        let places = deltas.iter().map(|delta| layout.places(&delta.layout)).collect::<Option<Vec<_>>>()?;
        // SAFETY: a new store, which lives as long as the others'.
        let store = unsafe { in_transaction(|| pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem)) };
        let rows = Rows::Many(store);
        let mut sum = Delta { layout, rows, count: 0, removals: false, additions: false, statements: 0 };
        deltas.iter().zip(&places).for_each(|(delta, places)| sum.add(delta, places));
        Some(sum)
    }

    /// Adds the rows of another delta of the same base table with the same columns.
    pub fn append(&mut self, other: &Delta) {
        let Some(places) = self.layout.places(&other.layout) else { raise(&refuse::torn()) };
        self.add(other, &places);
    }

    /// Adds the rows of another delta, which has this one's columns at `places`.
    fn add(&mut self, other: &Delta, places: &[usize]) {
        let alike = self.is_of(&other.layout);
        // SAFETY: both have the same columns; the slot is dropped before the stores are.
        unsafe {
            in_transaction(|| {
                self.spread();
                let Rows::Many(store) = self.rows else { return };
                match &other.rows {
                    Rows::One(row) => row.at(places).put(store, self.layout.descriptor),
                    Rows::Many(more) => {
                        let from = other.layout.descriptor;
                        let slot = pg_sys::MakeSingleTupleTableSlot(from, &pg_sys::TTSOpsMinimalTuple);
                        pg_sys::tuplestore_select_read_pointer(*more, 0);
                        pg_sys::tuplestore_rescan(*more);
                        while pg_sys::tuplestore_gettupleslot(*more, true, false, slot) {
                            match alike {
                                true => pg_sys::tuplestore_puttupleslot(store, slot),
                                false => Values::of(slot, places).put(store, self.layout.descriptor),
                            }
                        }
                        pg_sys::ExecDropSingleTupleTableSlot(slot);
                    }
                    Rows::Gone => {}
                }
            });
        }
        self.count += other.count;
        self.removals |= other.removals;
        self.additions |= other.additions;
        self.statements += other.statements;
    }

    /// Whether its columns are these, at the same positions.
    pub fn is_of(&self, layout: &Layout) -> bool {
        self.layout.is_like(layout)
    }

    /// The layout of its columns.
    pub fn layout(&self) -> &Rc<Layout> {
        &self.layout
    }

    /// Whether it has these columns of the base table.
    pub fn has(&self, columns: &[i16]) -> bool {
        columns.iter().all(|&column| self.layout.place(column).is_some())
    }

    /// The number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether any weight is negative.
    pub fn removals(&self) -> bool {
        self.removals
    }

    /// Whether all weights have one sign.
    pub fn is_one_way(&self) -> bool {
        self.removals != self.additions
    }

    /// Whether no row can have been added by one statement and removed by another.
    pub fn is_of_one_statement(&self) -> bool {
        self.statements == 1
    }

    /// If there is exactly one row: whether it was added or removed, and its values in these columns of the base table,
    /// if they can be passed as parameters.
    pub fn only_row(&self, columns: &[i16]) -> Option<(Fate, Params)> {
        let Rows::One(row) = &self.rows else { return None };
        if !self.layout.plain {
            return None;
        }
        let mut params = Params::default();
        for &column in columns {
            let place = self.layout.place(column)?;
            params.push(row.values[place], row.nulls[place], self.layout.attribute(place).atttypid);
        }
        Some((if self.removals { Fate::Removed } else { Fate::Added }, params))
    }

    /// Lets the statements of the connection read the delta as `name`. They are planned for `expected` rows.
    pub fn register(&self, connection: &Connection, name: &str, expected: f64) {
        // SAFETY: SPI keeps the pointer until it disconnects; memory of its procedure context,
        // in which a single row's store is made too, lives as long.
        unsafe {
            let store = match &self.rows {
                Rows::Many(store) => *store,
                Rows::Gone => return,
                Rows::One(row) => {
                    let store = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
                    row.put(store, self.layout.descriptor);
                    store
                }
            };
            let bytes = CString::new(name).unwrap_or_default();
            let relation: *mut pg_sys::EphemeralNamedRelationData =
                pg_sys::palloc0(size_of::<pg_sys::EphemeralNamedRelationData>()).cast();
            (*relation).md.name = pg_sys::pstrdup(bytes.as_ptr());
            (*relation).md.reliddesc = pg_sys::Oid::INVALID;
            (*relation).md.tupdesc = self.layout.descriptor;
            (*relation).md.enrtype = pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE;
            (*relation).md.enrtuples = expected;
            (*relation).reldata = store.cast();
            connection.register(relation, name, &self.layout);
        }
    }

    /// Frees the delta.
    pub fn end(self) {
        // SAFETY: no statement reads it any more.
        unsafe {
            match &self.rows {
                Rows::One(row) => row.free(self.layout.descriptor),
                Rows::Many(store) => pg_sys::tuplestore_end(*store),
                Rows::Gone => {}
            }
        }
    }

    /// Frees the delta where no error may be raised, as at the abort of a subtransaction. Returns it if that fails now:
    /// closing a file can mean writing to it, and the disk may be full.
    pub fn abandon(self) -> Option<Delta> {
        let kept = self.clone();
        // SAFETY: what fails changes nothing, and may be tried again. An error drops the hold on
        // interrupts that an abort has, which is put back.
        unsafe {
            let held = pg_sys::InterruptHoldoffCount;
            let end = || {
                self.end();
                true
            };
            let fail = |_| {
                pg_sys::InterruptHoldoffCount = held;
                false
            };
            let freed = PgTryBuilder::new(AssertUnwindSafe(end)).catch_others(fail).execute();
            (!freed).then_some(kept)
        }
    }
}

/// The loop of [`Delta::collect`].
unsafe fn copy(transition: &Transition, layout: &Rc<Layout>, mut delta: Option<Delta>) -> Option<Delta> {
    let fields = layout.fields.as_slice();
    // SAFETY: the caller set memory context and owner; readers are closed before returning.
    unsafe {
        let relation = transition.relation;
        let mut old = Reader::new(transition.old, relation, fields);
        let mut new = Reader::new(transition.new, relation, fields);
        let row = |side: &Option<Reader>| Values::new(if side.is_some() { fields.len() + 1 } else { 0 });
        let (mut old_row, mut new_row) = (row(&old), row(&new));
        loop {
            let has_old = old.as_mut().is_some_and(|reader| reader.next(fields, &mut old_row));
            let has_new = new.as_mut().is_some_and(|reader| reader.next(fields, &mut new_row));
            if !has_old && !has_new {
                break;
            }
            if has_old && has_new && unchanged(&old_row, &new_row, fields, (*relation).rd_att) {
                continue;
            }
            if has_old {
                Delta::put(&mut delta, layout, &mut old_row, -1);
            }
            if has_new {
                Delta::put(&mut delta, layout, &mut new_row, 1);
            }
        }
        for reader in [old, new].into_iter().flatten() {
            reader.close();
        }
    }
    delta
}

unsafe fn unchanged(old: &Values, new: &Values, fields: &[Field], descriptor: pg_sys::TupleDesc) -> bool {
    fields.iter().enumerate().all(|(position, field)| {
        match (old.nulls[position], new.nulls[position]) {
            (true, true) => true,
            // SAFETY: both values are of this attribute of the relation that fired.
            (false, false) => unsafe {
                let attribute = &*attribute(descriptor, field.fired as usize - 1);
                same(old.values[position], new.values[position], attribute.attbyval, attribute.attlen)
            },
            _ => false,
        }
    })
}
