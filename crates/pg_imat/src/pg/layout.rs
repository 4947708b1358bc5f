//! The columns of a delta.
//!
//! Values are stored by position, so a position has a meaning only together with a layout. A delta has the columns that
//! all readers of its base table use, so the layout changes when a maintained table is created or dropped, which can
//! happen at any time.
//!
//! **Invariant:** code that reads values by position has the layout for these positions. When it gets a delta, it
//! compares the layouts ([`Layout::is_like`]) or looks up the columns ([`Layout::places`]).

use std::ffi::CString;

use pgrx::pg_sys;

use super::image::attribute;
use super::transition::{Field, Transition};

/// The columns of a base table's deltas: `c<attribute number>` for each used column, then the weight `w`. Or the
/// columns of a statement's result.
pub struct Layout {
    pub(super) descriptor: pg_sys::TupleDesc,
    /// One for each column of the base table; none for a statement's result.
    pub(super) fields: Vec<Field>,
    /// Whether no column has a collation of its own, so that values can be passed as parameters.
    pub(super) plain: bool,
}

impl Layout {
    /// The layout for these columns of a relation. Columns that the relation does not have are left out.
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

    /// The layout of a statement's result.
    pub(super) unsafe fn of_rows(descriptor: pg_sys::TupleDesc) -> Self {
        // SAFETY: the caller's descriptor; the copy lives as long as the layout.
        unsafe {
            let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let descriptor = pg_sys::CreateTupleDescCopy(descriptor);
            pg_sys::MemoryContextSwitchTo(context);
            Self { descriptor, fields: Vec::new(), plain: false }
        }
    }

    /// The layout with only these columns of the base table, if it has all of them.
    pub(super) fn only(&self, columns: &[i16]) -> Option<Self> {
        let places = columns.iter().map(|&column| self.place(column)).collect::<Option<Vec<usize>>>()?;
        let fields = places.iter().map(|&place| self.fields[place]).collect();
        // SAFETY: there is an attribute for each field.
        Some(unsafe {
            Self::copy(self.descriptor, fields, |field| self.place(field.base).map_or(0, |at| at as i16 + 1))
        })
    }

    /// A layout with the columns at these attribute numbers of a descriptor.
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

    /// The number of columns, including the weight.
    pub(super) fn width(&self) -> usize {
        // SAFETY: the descriptor lives as long as the layout.
        unsafe { (*self.descriptor).natts as usize }
    }

    /// The position of a column of the base table.
    pub(super) fn place(&self, column: i16) -> Option<usize> {
        self.fields.iter().position(|field| field.base == column)
    }

    /// Whether the relation's columns are still the same.
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

    /// Whether both have the same columns at the same positions.
    pub fn is_like(&self, other: &Layout) -> bool {
        let is_same = |position: usize| same_column(self.attribute(position), other.attribute(position));
        std::ptr::eq(self, other) || self.width() == other.width() && (0..self.width()).all(is_same)
    }

    /// The positions of this layout's columns, including the weight, in another layout that has all of them.
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
    /// Frees the memory. If an error skips this, the memory only stays allocated.
    fn drop(&mut self) {
        // SAFETY: nobody else has the descriptor.
        unsafe { pg_sys::FreeTupleDesc(self.descriptor) };
    }
}

fn have_one_type(left: &pg_sys::FormData_pg_attribute, right: &pg_sys::FormData_pg_attribute) -> bool {
    (left.atttypid, left.atttypmod, left.attcollation) == (right.atttypid, right.atttypmod, right.attcollation)
}

/// Whether two columns are the same: by name, which contains the attribute number in the base table, and by type.
fn same_column(left: &pg_sys::FormData_pg_attribute, right: &pg_sys::FormData_pg_attribute) -> bool {
    left.attname.data == right.attname.data && have_one_type(left, right)
}
