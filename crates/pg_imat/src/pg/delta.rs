//! Signed rows of one base table, and how statements read them.

use std::ffi::CString;

use pgrx::pg_sys;

use super::image::{attribute, same};

/// A bag of rows with a weight each, in memory or spilled, that lives to the end of the
/// transaction at most. Columns: `c<attribute number>` of the base table, then `w`.
#[derive(Clone, Copy)]
pub struct Delta {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
    rows: u64,
    removals: bool,
    statements: u32,
}

/// The rows that a trigger saw: the transition tables of one statement.
pub struct Transition {
    pub(super) relation: pg_sys::Relation,
    pub(super) old: *mut pg_sys::Tuplestorestate,
    pub(super) new: *mut pg_sys::Tuplestorestate,
}

impl Transition {
    /// Whether the statement changed no row.
    pub fn is_empty(&self) -> bool {
        // SAFETY: the stores are the trigger's.
        let rows = |store: *mut pg_sys::Tuplestorestate| {
            if store.is_null() { 0 } else { unsafe { pg_sys::tuplestore_tuple_count(store) } }
        };
        rows(self.old) == 0 && rows(self.new) == 0
    }
}

/// A column of the delta: its number in the base table, and in the relation that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    pub base: i16,
    pub fired: i16,
}

/// One row's fields.
struct Values {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

/// Reads a transition table row by row.
struct Reader {
    store: *mut pg_sys::Tuplestorestate,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Reader {
    unsafe fn new(store: *mut pg_sys::Tuplestorestate, relation: pg_sys::Relation) -> Option<Self> {
        if store.is_null() {
            return None;
        }
        // SAFETY: the store is the trigger's; its first read pointer is nobody's between
        // statements, and a statement that reads it brings its own.
        unsafe {
            pg_sys::tuplestore_select_read_pointer(store, 0);
            pg_sys::tuplestore_rescan(store);
            let slot = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &pg_sys::TTSOpsMinimalTuple);
            Some(Self { store, slot })
        }
    }

    unsafe fn next(&mut self, fields: &[Field], into: &mut Values) -> bool {
        // SAFETY: attribute numbers are those of the relation's descriptor; values stay valid
        // until the slot's next row.
        unsafe {
            if !pg_sys::tuplestore_gettupleslot(self.store, true, false, self.slot) {
                return false;
            }
            for (position, field) in fields.iter().enumerate() {
                let number = i32::from(field.fired);
                if i32::from((*self.slot).tts_nvalid) < number {
                    pg_sys::slot_getsomeattrs_int(self.slot, number);
                }
                into.values[position] = *(*self.slot).tts_values.add(number as usize - 1);
                into.nulls[position] = *(*self.slot).tts_isnull.add(number as usize - 1);
            }
            true
        }
    }

    unsafe fn close(self) {
        // SAFETY: made by `new`.
        unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) }
    }
}

impl Values {
    fn new(width: usize) -> Self {
        Self { values: vec![pg_sys::Datum::null(); width], nulls: vec![false; width] }
    }
}

impl Delta {
    /// Copies the used columns of a statement's rows. A row that was taken away and put back as
    /// it was is left out: whatever pairs are compared, dropping two equal rows of opposite
    /// sign changes nothing. Updates hand over both sides in one order, so most are found.
    pub fn collect(transition: &Transition, fields: &[Field]) -> Option<Delta> {
        // SAFETY: memory comes from the transaction's context and is written under its resource
        // owner, so that a spilled file outlives the statement.
        unsafe {
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopTransactionContext);
            let owner = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
            let mut delta = None;
            copy(transition, fields, &mut delta);
            pg_sys::CurrentResourceOwner = owner;
            pg_sys::MemoryContextSwitchTo(context);
            delta
        }
    }

    unsafe fn new(relation: pg_sys::Relation, fields: &[Field]) -> Self {
        // SAFETY: the descriptor has a place for each field and the weight.
        unsafe {
            let width = fields.len();
            let descriptor = pg_sys::CreateTemplateTupleDesc(width as i32 + 1);
            for (position, field) in fields.iter().enumerate() {
                let number = position as i16 + 1;
                pg_sys::TupleDescCopyEntry(descriptor, number, (*relation).rd_att, field.fired);
                let attribute = attribute(descriptor, position);
                let name = CString::new(format!("c{}", field.base)).unwrap_or_default();
                pg_sys::namestrcpy(&mut (*attribute).attname, name.as_ptr());
            }
            pg_sys::TupleDescInitEntry(descriptor, width as i16 + 1, c"w".as_ptr(), pg_sys::INT4OID, -1, 0);
            let store = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
            Self { store, descriptor, rows: 0, removals: false, statements: 1 }
        }
    }

    unsafe fn put(&mut self, row: &mut Values, weight: i32) {
        let last = row.values.len() - 1;
        row.values[last] = pg_sys::Datum::from(weight);
        // SAFETY: as wide as the descriptor, which the row is copied by.
        unsafe {
            pg_sys::tuplestore_putvalues(self.store, self.descriptor, row.values.as_mut_ptr(), row.nulls.as_mut_ptr());
        }
        self.rows += 1;
        self.removals |= weight < 0;
    }

    /// Adds another delta of the same base and columns.
    pub fn append(&mut self, other: &Delta) {
        // SAFETY: both have the same descriptor; the slot is dropped before the stores are.
        unsafe {
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopTransactionContext);
            let owner = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = pg_sys::TopTransactionResourceOwner;
            let slot = pg_sys::MakeSingleTupleTableSlot(other.descriptor, &pg_sys::TTSOpsMinimalTuple);
            pg_sys::tuplestore_select_read_pointer(other.store, 0);
            pg_sys::tuplestore_rescan(other.store);
            while pg_sys::tuplestore_gettupleslot(other.store, true, false, slot) {
                pg_sys::tuplestore_puttupleslot(self.store, slot);
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::CurrentResourceOwner = owner;
            pg_sys::MemoryContextSwitchTo(context);
        }
        self.rows += other.rows;
        self.removals |= other.removals;
        self.statements += other.statements;
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether any weight is negative.
    pub fn removals(&self) -> bool {
        self.removals
    }

    /// Whether no row of it can have been added by one statement and taken away by another.
    pub fn is_of_one_statement(&self) -> bool {
        self.statements == 1
    }

    /// Lets the statements of the current SPI connection read it as `name`; `expected` is the
    /// number of rows for which they are planned.
    pub fn register(&self, name: &str, expected: f64) {
        // SAFETY: SPI keeps the pointer until it disconnects; memory of its procedure context
        // lives as long.
        unsafe {
            let bytes = CString::new(name).unwrap_or_default();
            let relation: *mut pg_sys::EphemeralNamedRelationData =
                pg_sys::palloc0(size_of::<pg_sys::EphemeralNamedRelationData>()).cast();
            (*relation).md.name = pg_sys::pstrdup(bytes.as_ptr());
            (*relation).md.reliddesc = pg_sys::Oid::INVALID;
            (*relation).md.tupdesc = self.descriptor;
            (*relation).md.enrtype = pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE;
            (*relation).md.enrtuples = expected;
            (*relation).reldata = self.store.cast();
            pg_sys::SPI_register_relation(relation);
        }
    }

    /// Frees it.
    pub fn end(self) {
        // SAFETY: no statement reads it any more.
        unsafe { pg_sys::tuplestore_end(self.store) }
    }
}

/// The loop of [`Delta::collect`].
unsafe fn copy(transition: &Transition, fields: &[Field], delta: &mut Option<Delta>) {
    // SAFETY: the caller set memory context and owner; readers are closed before returning.
    unsafe {
        let relation = transition.relation;
        let attributes: Vec<(bool, i16)> = fields
            .iter()
            .map(|field| {
                let attribute = *attribute((*relation).rd_att, field.fired as usize - 1);
                (attribute.attbyval, attribute.attlen)
            })
            .collect();
        let (mut old_row, mut new_row) = (Values::new(fields.len() + 1), Values::new(fields.len() + 1));
        let mut old = Reader::new(transition.old, relation);
        let mut new = Reader::new(transition.new, relation);
        loop {
            let has_old = old.as_mut().is_some_and(|reader| reader.next(fields, &mut old_row));
            let has_new = new.as_mut().is_some_and(|reader| reader.next(fields, &mut new_row));
            if !has_old && !has_new {
                break;
            }
            if has_old && has_new && unchanged(&old_row, &new_row, &attributes) {
                continue;
            }
            let delta = delta.get_or_insert_with(|| Delta::new(relation, fields));
            if has_old {
                delta.put(&mut old_row, -1);
            }
            if has_new {
                delta.put(&mut new_row, 1);
            }
        }
        for reader in [old, new].into_iter().flatten() {
            reader.close();
        }
    }
}

unsafe fn unchanged(old: &Values, new: &Values, attributes: &[(bool, i16)]) -> bool {
    attributes.iter().enumerate().all(|(position, &(by_value, length))| {
        match (old.nulls[position], new.nulls[position]) {
            (true, true) => true,
            // SAFETY: both values are of this attribute.
            (false, false) => unsafe { same(old.values[position], new.values[position], by_value, length) },
            _ => false,
        }
    })
}
