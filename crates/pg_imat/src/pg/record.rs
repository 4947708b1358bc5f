//! Hashes of records.

use std::cell::Cell;

use pgrx::pg_sys;

use super::image::attribute;
use super::spi::Params;

/// Some values of a row as a record, hashed by PostgreSQL's own `hash_record`, as the statements do.
pub struct Record {
    positions: Vec<usize>,
    /// The descriptor for values of these types.
    descriptor: Cell<pg_sys::TupleDesc>,
    /// `hash_record`, which caches type information in it.
    function: *mut pg_sys::FmgrInfo,
}

impl Record {
    /// The record of the values at these positions.
    pub fn new(row: &Params, positions: Vec<usize>) -> Self {
        let descriptor = Cell::new(descriptor(row, &positions));
        // SAFETY: it lives until it is dropped.
        unsafe {
            let size = size_of::<pg_sys::FmgrInfo>();
            let function = pg_sys::MemoryContextAllocZero(pg_sys::TopMemoryContext, size).cast();
            pg_sys::fmgr_info_cxt(pg_sys::Oid::from(pg_sys::F_HASH_RECORD), function, pg_sys::TopMemoryContext);
            Self { positions, descriptor, function }
        }
    }

    /// The descriptor of the record for rows with the types of this one.
    fn descriptor(&self, row: &Params) -> pg_sys::TupleDesc {
        let known = self.descriptor.get();
        let has_type = |(field, &position): (usize, &usize)| {
            // SAFETY: the descriptor has an entry for each position.
            unsafe { (*attribute(known, field)).atttypid == row.types[position] }
        };
        if self.positions.iter().enumerate().all(has_type) {
            return known;
        }
        let made = descriptor(row, &self.positions);
        self.descriptor.set(made);
        // SAFETY: nobody else has it.
        unsafe { pg_sys::FreeTupleDesc(known) };
        made
    }

    /// The hash, or `None` if a value is NULL. Without any values it is 0.
    pub fn hash(&self, row: &Params) -> Option<i32> {
        if self.positions.is_empty() {
            return Some(0);
        }
        let mut values = self.positions.iter().map(|&position| row.value(position)).collect::<Option<Vec<_>>>()?;
        let mut nulls = vec![false; values.len()];
        // SAFETY: as many values as the descriptor has entries, of their types.
        unsafe {
            let tuple = pg_sys::heap_form_tuple(self.descriptor(row), values.as_mut_ptr(), nulls.as_mut_ptr());
            let record = pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data);
            let hash = pg_sys::FunctionCall1Coll(self.function, pg_sys::Oid::INVALID, record);
            pg_sys::heap_freetuple(tuple);
            Some(hash.value() as i32)
        }
    }
}

/// A descriptor for the values at these positions of rows with the types of this one.
fn descriptor(row: &Params, positions: &[usize]) -> pg_sys::TupleDesc {
    // SAFETY: it has an entry for each position, and lives until it is freed.
    unsafe {
        let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let descriptor = pg_sys::CreateTemplateTupleDesc(positions.len() as i32);
        for (field, &position) in positions.iter().enumerate() {
            let ty = row.types[position];
            pg_sys::TupleDescInitEntry(descriptor, field as i16 + 1, std::ptr::null(), ty, -1, 0);
        }
        let descriptor = pg_sys::BlessTupleDesc(descriptor);
        pg_sys::MemoryContextSwitchTo(context);
        descriptor
    }
}

impl Drop for Record {
    /// Frees the memory. If an error skips this, the memory only stays allocated.
    fn drop(&mut self) {
        // SAFETY: nobody else has them.
        unsafe {
            if !(*self.function).fn_extra.is_null() {
                pg_sys::pfree((*self.function).fn_extra);
            }
            pg_sys::pfree(self.function.cast());
            pg_sys::FreeTupleDesc(self.descriptor.get());
        }
    }
}
