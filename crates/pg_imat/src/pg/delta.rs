//! Signed rows of one base table, and how statements read them.

use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use imat_compile::plan::Fate;
use pgrx::{PgTryBuilder, pg_sys};

use super::image::{attribute, same};
use super::spi::{Params, Prepared};
use super::transition::{Field, Reader, Transition};

/// The columns of a base table's deltas: `c<attribute number>` for each used column, then `w`.
pub struct Layout {
    descriptor: pg_sys::TupleDesc,
    fields: Vec<Field>,
    /// No column has a collation of its own, so its values can be passed as parameters.
    plain: bool,
}

/// A bag of rows with a weight each, that lives to the end of the transaction at most.
#[derive(Clone)]
pub struct Delta {
    layout: Rc<Layout>,
    rows: Rows,
    count: u64,
    removals: bool,
    additions: bool,
    statements: u32,
}

/// Most statements change one row: it is kept as it is, without a store.
#[derive(Clone)]
enum Rows {
    One(Rc<Values>),
    /// In memory or spilled.
    Many(*mut pg_sys::Tuplestorestate),
    /// An error interrupted an addition; the transaction's end frees what there was.
    Gone,
}

/// One row's fields.
pub(super) struct Values {
    pub values: Vec<pg_sys::Datum>,
    pub nulls: Vec<bool>,
}

impl Values {
    fn new(width: usize) -> Self {
        Self { values: vec![pg_sys::Datum::null(); width], nulls: vec![false; width] }
    }

    unsafe fn put(&self, store: *mut pg_sys::Tuplestorestate, descriptor: pg_sys::TupleDesc) {
        // SAFETY: as wide as the descriptor, by which the row is copied; nothing is written to it.
        unsafe {
            let (values, nulls) = (self.values.as_ptr().cast_mut(), self.nulls.as_ptr().cast_mut());
            pg_sys::tuplestore_putvalues(store, descriptor, values, nulls);
        }
    }

    /// The same row in the current memory context, nothing of it stored elsewhere.
    unsafe fn copy(&self, descriptor: pg_sys::TupleDesc) -> Values {
        // SAFETY: each value is of its attribute.
        let value = |position: usize| unsafe {
            let (attribute, value) = (*attribute(descriptor, position), self.values[position]);
            match (self.nulls[position] || attribute.attbyval, attribute.attlen) {
                (true, _) => value,
                (false, -1) => pg_sys::Datum::from(pg_sys::pg_detoast_datum_copy(value.cast_mut_ptr())),
                (false, -2) => pg_sys::Datum::from(pg_sys::pstrdup(value.cast_mut_ptr())),
                (false, length) => {
                    let length = usize::try_from(length).unwrap_or(0);
                    let bytes: *mut u8 = pg_sys::palloc(length).cast();
                    std::ptr::copy_nonoverlapping(value.cast_mut_ptr(), bytes, length);
                    pg_sys::Datum::from(bytes)
                }
            }
        };
        Values { values: (0..self.values.len()).map(value).collect(), nulls: self.nulls.clone() }
    }

    /// Frees what `copy` allocated.
    unsafe fn free(&self, descriptor: pg_sys::TupleDesc) {
        for position in 0..self.values.len() {
            // SAFETY: every value that is not passed by value was allocated by `copy`.
            unsafe {
                if !self.nulls[position] && !(*attribute(descriptor, position)).attbyval {
                    pg_sys::pfree(self.values[position].cast_mut_ptr());
                }
            }
        }
    }
}

impl Layout {
    /// The layout for these columns of a relation.
    pub fn new(transition: &Transition, fields: &[Field]) -> Self {
        // SAFETY: the descriptor has a place for each field and the weight, and lives as long as
        // the layout.
        unsafe {
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let source = (*transition.relation).rd_att;
            let width = fields.len();
            let descriptor = pg_sys::CreateTemplateTupleDesc(width as i32 + 1);
            let mut plain = true;
            for (position, field) in fields.iter().enumerate() {
                pg_sys::TupleDescCopyEntry(descriptor, position as i16 + 1, source, field.fired);
                let attribute = attribute(descriptor, position);
                let name = CString::new(format!("c{}", field.base)).unwrap_or_default();
                pg_sys::namestrcpy(&mut (*attribute).attname, name.as_ptr());
                plain &= (*attribute).attcollation == pg_sys::get_typcollation((*attribute).atttypid);
            }
            pg_sys::TupleDescInitEntry(descriptor, width as i16 + 1, c"w".as_ptr(), pg_sys::INT4OID, -1, 0);
            pg_sys::MemoryContextSwitchTo(context);
            Self { descriptor, fields: fields.to_vec(), plain }
        }
    }
}

impl Drop for Layout {
    /// Gives the memory back; that it doesn't run after some errors does no harm.
    fn drop(&mut self) {
        // SAFETY: nobody else has the descriptor.
        unsafe { pg_sys::FreeTupleDesc(self.descriptor) };
    }
}

/// Runs `body` with memory and files that last to the end of the transaction.
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
    /// Copies the used columns of a statement's rows. A row that was taken away and put back as
    /// it was is left out: whatever pairs are compared, dropping two equal rows of opposite
    /// sign changes nothing. Updates hand over both sides in one order, so most are found.
    pub fn collect(transition: &Transition, layout: &Rc<Layout>) -> Option<Delta> {
        // SAFETY: the layout was made for this relation.
        unsafe { in_transaction(|| copy(transition, layout, None)) }
    }

    /// Adds the rows of a further statement. The layout is that of the relation it changed, with
    /// the same columns.
    pub fn extend(&mut self, transition: &Transition, layout: &Rc<Layout>) {
        // After an error on the way nothing is left that could be freed twice.
        let before = std::mem::replace(self, Delta { rows: Rows::Gone, ..self.clone() });
        // SAFETY: as above.
        if let Some(extended) = unsafe { in_transaction(|| copy(transition, layout, Some(before))) } {
            *self = Delta { statements: extended.statements + 1, ..extended };
        }
    }

    /// The rows that a statement returns, with its columns, as a change that one statement made; `None`
    /// if there are none.
    pub fn fetch(prepared: &Prepared) -> Option<Delta> {
        // SAFETY: the store and the copy of the descriptor live to the end of the transaction at
        // least, and nobody else has them.
        unsafe {
            let store = in_transaction(|| pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem));
            let descriptor = prepared.execute_into(store);
            let count = pg_sys::tuplestore_tuple_count(store);
            if count == 0 {
                pg_sys::tuplestore_end(store);
                return None;
            }
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let descriptor = pg_sys::CreateTupleDescCopy(descriptor);
            pg_sys::MemoryContextSwitchTo(context);
            let layout = Rc::new(Layout { descriptor, fields: Vec::new(), plain: false });
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

    /// Makes place for more than one row.
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

    /// All rows of several deltas of one base.
    pub fn sum(deltas: &[&Delta]) -> Delta {
        let layout = deltas[0].layout.clone();
        // SAFETY: a new store, which lives as long as the others'.
        let store = unsafe { in_transaction(|| pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem)) };
        let rows = Rows::Many(store);
        let mut sum = Delta { layout, rows, count: 0, removals: false, additions: false, statements: 0 };
        deltas.iter().for_each(|delta| sum.append(delta));
        sum
    }

    /// Adds the rows of another delta of the same base and columns.
    pub fn append(&mut self, other: &Delta) {
        // SAFETY: both have the same columns; the slot is dropped before the stores are.
        unsafe {
            in_transaction(|| {
                self.spread();
                let Rows::Many(store) = self.rows else { return };
                match &other.rows {
                    Rows::One(row) => row.put(store, other.layout.descriptor),
                    Rows::Many(more) => {
                        let slot =
                            pg_sys::MakeSingleTupleTableSlot(other.layout.descriptor, &pg_sys::TTSOpsMinimalTuple);
                        pg_sys::tuplestore_select_read_pointer(*more, 0);
                        pg_sys::tuplestore_rescan(*more);
                        while pg_sys::tuplestore_gettupleslot(*more, true, false, slot) {
                            pg_sys::tuplestore_puttupleslot(store, slot);
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

    /// Whether it was collected with these columns of the base table.
    pub fn has(&self, columns: &[i16]) -> bool {
        columns.iter().all(|column| self.layout.fields.iter().any(|field| field.base == *column))
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

    /// Whether no row of it can have been added by one statement and taken away by another.
    pub fn is_of_one_statement(&self) -> bool {
        self.statements == 1
    }

    /// What happened to the only row, where there is one only, and its values of these columns of the base table, where
    /// they can be passed as parameters.
    pub fn only_row(&self, columns: &[i16]) -> Option<(Fate, Params)> {
        let Rows::One(row) = &self.rows else { return None };
        let fields = self.layout.fields.iter().enumerate().filter(|(_, field)| columns.contains(&field.base));
        (self.layout.plain && self.has(columns)).then(|| {
            let mut params = Params::default();
            for (position, _) in fields {
                // SAFETY: the position is a field's.
                let ty = unsafe { (*attribute(self.layout.descriptor, position)).atttypid };
                params.push(row.values[position], row.nulls[position], ty);
            }
            (if self.removals { Fate::Removed } else { Fate::Added }, params)
        })
    }

    /// Lets the statements of the current SPI connection read it as `name`; `expected` is the
    /// number of rows for which they are planned.
    pub fn register(&self, name: &str, expected: f64) {
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
            pg_sys::SPI_register_relation(relation);
        }
    }

    /// Frees it.
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

    /// Frees it where no error may come, as when a subtransaction aborts; returns it if it can't be done
    /// yet. To close a file is to write what it lacks, for which the disk may be too full.
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
