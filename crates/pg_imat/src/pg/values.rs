//! The fields of one row.

use pgrx::pg_sys;

use super::image::attribute;

/// One row's fields.
pub struct Values {
    pub values: Vec<pg_sys::Datum>,
    pub nulls: Vec<bool>,
}

impl Values {
    pub fn new(width: usize) -> Self {
        Self { values: vec![pg_sys::Datum::null(); width], nulls: vec![false; width] }
    }

    /// The values at these positions of a slot's row, valid until the slot's next row.
    pub unsafe fn of(slot: *mut pg_sys::TupleTableSlot, places: &[usize]) -> Self {
        // SAFETY: the places are the slot's; a row that was just put there has no value read yet.
        unsafe {
            let last = places.iter().max().map_or(0, |last| last + 1);
            pg_sys::slot_getsomeattrs_int(slot, last as i32);
            let values = places.iter().map(|&place| *(*slot).tts_values.add(place)).collect();
            Self { values, nulls: places.iter().map(|&place| *(*slot).tts_isnull.add(place)).collect() }
        }
    }

    /// The values at these positions.
    pub fn at(&self, places: &[usize]) -> Self {
        let values = places.iter().map(|&place| self.values[place]).collect();
        Self { values, nulls: places.iter().map(|&place| self.nulls[place]).collect() }
    }

    pub unsafe fn put(&self, store: *mut pg_sys::Tuplestorestate, descriptor: pg_sys::TupleDesc) {
        // SAFETY: as wide as the descriptor, by which the row is copied; nothing is written to it.
        unsafe {
            let (values, nulls) = (self.values.as_ptr().cast_mut(), self.nulls.as_ptr().cast_mut());
            pg_sys::tuplestore_putvalues(store, descriptor, values, nulls);
        }
    }

    /// The same row in the current memory context, with no value stored out of line.
    pub unsafe fn copy(&self, descriptor: pg_sys::TupleDesc) -> Values {
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
    pub unsafe fn free(&self, descriptor: pg_sys::TupleDesc) {
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
