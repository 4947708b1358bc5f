//! What the columns of a delta are.
//!
//! Values are stored by position, and a position means a column in one layout only. The used columns of a base
//! table are those of all its readers, so a layout changes when a reader comes or goes, between any two looks
//! at it.
//!
//! **Invariant:** whoever reads values by position has the layout beside him that the positions are of, and compares
//! ([`Layout::is_like`]) or looks the columns up ([`Layout::places`]) when he is handed a delta.

use std::ffi::CString;

use pgrx::pg_sys;

use super::image::attribute;
use super::transition::{Field, Transition};

/// The columns of a base table's deltas: `c<attribute number>` for each used column, then `w`; or those of other rows.
pub struct Layout {
    pub(super) descriptor: pg_sys::TupleDesc,
    /// One for each column of a base table.
    pub(super) fields: Vec<Field>,
    /// No column has a collation of its own, so its values can be passed as parameters.
    pub(super) plain: bool,
}

impl Layout {
    /// The layout for these columns of a relation. One that the relation does not have is left out.
    pub fn new(transition: &Transition, fields: &[Field]) -> Self {
        // SAFETY: the relation is open.
        let source = unsafe { (*transition.relation).rd_att };
        // SAFETY: as checked, the field is one of the descriptor's.
        let is_there = |field: &&Field| unsafe {
            i32::from(field.fired) <= (*source).natts && !(*attribute(source, field.fired as usize - 1)).attisdropped
        };
        let fields: Vec<Field> = fields.iter().filter(is_there).copied().collect();
        // SAFETY: as above.
        unsafe { Self::copy(source, fields, |field| field.fired) }
    }

    /// That of a statement's rows.
    pub(super) unsafe fn of_rows(descriptor: pg_sys::TupleDesc) -> Self {
        // SAFETY: the caller's descriptor; the copy lives as long as the layout.
        unsafe {
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let descriptor = pg_sys::CreateTupleDescCopy(descriptor);
            pg_sys::MemoryContextSwitchTo(context);
            Self { descriptor, fields: Vec::new(), plain: false }
        }
    }

    /// That of some of its columns, where it has them.
    pub(super) fn only(&self, columns: &[i16]) -> Option<Self> {
        let places = columns.iter().map(|&column| self.place(column)).collect::<Option<Vec<usize>>>()?;
        let fields = places.iter().map(|&place| self.fields[place]).collect();
        // SAFETY: there is an attribute for each field.
        Some(unsafe {
            Self::copy(self.descriptor, fields, |field| self.place(field.base).map_or(0, |at| at as i16 + 1))
        })
    }

    /// The layout of columns that are at these numbers of a descriptor.
    unsafe fn copy(source: pg_sys::TupleDesc, fields: Vec<Field>, at: impl Fn(&Field) -> i16) -> Self {
        // SAFETY: the descriptor has a place for each field and the weight, and lives as long as the layout.
        unsafe {
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let width = fields.len();
            let descriptor = pg_sys::CreateTemplateTupleDesc(width as i32 + 1);
            let mut plain = true;
            for (position, field) in fields.iter().enumerate() {
                pg_sys::TupleDescCopyEntry(descriptor, position as i16 + 1, source, at(field));
                let attribute = attribute(descriptor, position);
                let name = CString::new(format!("c{}", field.base)).unwrap_or_default();
                pg_sys::namestrcpy(&mut (*attribute).attname, name.as_ptr());
                plain &= (*attribute).attcollation == pg_sys::get_typcollation((*attribute).atttypid);
            }
            pg_sys::TupleDescInitEntry(descriptor, width as i16 + 1, c"w".as_ptr(), pg_sys::INT4OID, -1, 0);
            pg_sys::MemoryContextSwitchTo(context);
            Self { descriptor, fields, plain }
        }
    }

    /// The number of columns, the weight included.
    pub(super) fn width(&self) -> usize {
        // SAFETY: the descriptor lives as long as the layout.
        unsafe { (*self.descriptor).natts as usize }
    }

    /// Where a column of the base table is.
    pub(super) fn place(&self, column: i16) -> Option<usize> {
        self.fields.iter().position(|field| field.base == column)
    }

    /// Whether the relation still has its columns as they were.
    pub fn fits(&self, transition: &Transition) -> bool {
        // SAFETY: the relation is open; as checked, the field is one of its descriptor's.
        self.fields.iter().enumerate().all(|(position, field)| unsafe {
            let relation = (*transition.relation).rd_att;
            i32::from(field.fired) <= (*relation).natts
                && !(*attribute(relation, field.fired as usize - 1)).attisdropped
                && have_one_type(
                    &*attribute(self.descriptor, position),
                    &*attribute(relation, field.fired as usize - 1),
                )
        })
    }

    /// Whether the same columns are at the same positions.
    pub fn is_like(&self, other: &Layout) -> bool {
        let is_same = |position: usize| same_column(self.attribute(position), other.attribute(position));
        std::ptr::eq(self, other) || self.width() == other.width() && (0..self.width()).all(is_same)
    }

    /// Where the columns of this layout, the weight included, are in another one that has all of them.
    pub(super) fn places(&self, other: &Layout) -> Option<Vec<usize>> {
        let place =
            |position| (0..other.width()).find(|&at| same_column(self.attribute(position), other.attribute(at)));
        (0..self.width()).map(place).collect()
    }

    pub(super) fn attribute(&self, position: usize) -> &pg_sys::FormData_pg_attribute {
        // SAFETY: the position is below the width, and the descriptor lives as long as the layout.
        unsafe { &*attribute(self.descriptor, position) }
    }
}

impl Drop for Layout {
    /// Gives the memory back; that it doesn't run after some errors does no harm.
    fn drop(&mut self) {
        // SAFETY: nobody else has the descriptor.
        unsafe { pg_sys::FreeTupleDesc(self.descriptor) };
    }
}

fn have_one_type(left: &pg_sys::FormData_pg_attribute, right: &pg_sys::FormData_pg_attribute) -> bool {
    (left.atttypid, left.atttypmod, left.attcollation) == (right.atttypid, right.atttypmod, right.attcollation)
}

/// What a column is: its name, which is made of its number in the base table, and its type.
fn same_column(left: &pg_sys::FormData_pg_attribute, right: &pg_sys::FormData_pg_attribute) -> bool {
    left.attname.data == right.attname.data && have_one_type(left, right)
}
