//! Hashes the exact image of a row.
//!
//! Two values of one type have the same image if PostgreSQL stores the same bytes for them (`record_image_eq`), no
//! matter whether they, or fields of composite values in them, are compressed or stored out of line. An array column is
//! hashed element by element, because equal arrays can be stored with or without a null bitmap. The hash is SHA-256, so
//! that no collision can be constructed.

use pgrx::pg_sys;
use pgrx::prelude::*;
use sha2::{Digest, Sha256};

/// Hashes a composite value.
fn digest(record: pg_sys::Datum) -> [u8; 32] {
    let mut hash = Sha256::new();
    // SAFETY: the datum is a composite value, by the function's declaration.
    unsafe { fields(&mut hash, record, feed_column) };
    hash.finalize().into()
}

/// Feeds the fields of a composite value, with a tag before each. A value that is older than an attribute of its type
/// has fewer fields, so NULLs at the end are left out.
unsafe fn fields(hash: &mut Sha256, record: pg_sys::Datum, feed: Feed) {
    // SAFETY: the tuple descriptor is the one that the value names, and is released. Values point
    // into the detoasted tuple, or into what detoasting a field allocates, both in the caller's
    // memory context.
    unsafe {
        // Rows can be nested to any depth.
        pg_sys::check_stack_depth();
        let header = pg_sys::pg_detoast_datum(record.cast_mut_ptr()) as pg_sys::HeapTupleHeader;
        let descriptor = pg_sys::lookup_rowtype_tupdesc(
            pgrx::htup::heap_tuple_header_get_type_id(header),
            pgrx::htup::heap_tuple_header_get_typmod(header),
        );
        let count = usize::try_from((*descriptor).natts).unwrap_or(0);
        let mut tuple = pg_sys::HeapTupleData {
            t_len: varsize(header.cast()),
            t_self: pg_sys::ItemPointerData::default(),
            t_tableOid: pg_sys::Oid::INVALID,
            t_data: header,
        };
        let mut values = vec![pg_sys::Datum::null(); count];
        let mut nulls = vec![false; count];
        pg_sys::heap_deform_tuple(&mut tuple, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
        let filled = nulls.iter().rposition(|null| !null).map_or(0, |last| last + 1);
        for position in 0..filled {
            hash.update([if nulls[position] { NULL } else { VALUE }]);
            if !nulls[position] {
                feed(hash, values[position], Storage::of_attribute(&*attribute(descriptor, position)));
            }
        }
        hash.update([END]);
        release(descriptor);
    }
}

/// The tags of parts of a composite value or an array.
const NULL: u8 = 0;
const VALUE: u8 = 1;
const END: u8 = 2;

/// Common types that are no arrays.
const PLAIN: [pg_sys::Oid; 7] = [
    pg_sys::TEXTOID,
    pg_sys::VARCHAROID,
    pg_sys::BPCHAROID,
    pg_sys::NUMERICOID,
    pg_sys::BYTEAOID,
    pg_sys::JSONOID,
    pg_sys::JSONBOID,
];

/// How values of a type are passed and stored.
#[derive(Clone, Copy)]
struct Storage {
    ty: pg_sys::Oid,
    by_value: bool,
    length: i16,
    align: std::ffi::c_char,
}

impl Storage {
    fn of_attribute(attribute: &pg_sys::FormData_pg_attribute) -> Self {
        let (ty, by_value) = (attribute.atttypid, attribute.attbyval);
        Self { ty, by_value, length: attribute.attlen, align: attribute.attalign }
    }

    fn of_type(ty: pg_sys::Oid) -> Self {
        let mut storage = Self { ty, by_value: false, length: 0, align: 0 };
        // SAFETY: writes to the three places.
        unsafe {
            pg_sys::get_typlenbyvalalign(ty, &mut storage.length, &mut storage.by_value, &mut storage.align);
        }
        storage
    }

    /// Whether values can be or contain composite values. Composite values have this alignment, and types that contain
    /// them inherit it.
    fn may_hold_fields(self) -> bool {
        self.length == -1 && self.align as u8 == pg_sys::TYPALIGN_DOUBLE
    }
}

/// An attribute of a tuple descriptor.
pub(super) unsafe fn attribute(descriptor: pg_sys::TupleDesc, position: usize) -> *mut pg_sys::FormData_pg_attribute {
    // SAFETY: the caller's position is below `natts`. From 18 on the attributes follow the array
    // of compact ones, which is as long.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let first = (*descriptor).attrs.as_mut_ptr();
        #[cfg(feature = "pg18")]
        let first: *mut pg_sys::FormData_pg_attribute =
            (*descriptor).compact_attrs.as_mut_ptr().add((*descriptor).natts as usize).cast();
        first.add(position)
    }
}

unsafe fn release(descriptor: pg_sys::TupleDesc) {
    // SAFETY: only reference-counted descriptors are released, as the macro in tupdesc.h does.
    unsafe {
        if (*descriptor).tdrefcount >= 0 {
            pg_sys::DecrTupleDescRefCount(descriptor);
        }
    }
}

unsafe fn varsize(varlena: *const pg_sys::varlena) -> u32 {
    // SAFETY: an untoasted varlena with a four-byte header.
    unsafe { pgrx::varsize_any(varlena) as u32 }
}

type Feed = unsafe fn(&mut Sha256, pg_sys::Datum, Storage);

/// Feeds a column of the row, or an array's element, which can itself be an array through a domain. Of an array the
/// elements count, not its storage. Inside composite values arrays are fed as stored: attributes there can be dropped,
/// and then their types are unknown, but images must not change.
unsafe fn feed_column(hash: &mut Sha256, value: pg_sys::Datum, storage: Storage) {
    // SAFETY: looks the type up; the value is fed as what its type says.
    unsafe {
        let is_plain = storage.length != -1 || PLAIN.contains(&storage.ty);
        let element = if is_plain { None } else { Some(pg_sys::get_element_type(pg_sys::getBaseType(storage.ty))) };
        match element.filter(|&element| element != pg_sys::Oid::INVALID) {
            Some(element) => feed_elements(hash, value, Storage::of_type(element), feed_column),
            None => feed(hash, value, storage),
        }
    }
}

/// Feeds one value, preceded by its length if that varies.
unsafe fn feed(hash: &mut Sha256, value: pg_sys::Datum, storage: Storage) {
    // SAFETY: the storage is that of the value's type, so the datum is read as what it is.
    unsafe {
        if storage.by_value {
            hash.update((value.value() as u64).to_le_bytes());
            return;
        }
        if storage.may_hold_fields() && feed_parts(hash, value, storage.ty) {
            return;
        }
        let bytes: &[u8] = match storage.length {
            -1 => {
                let packed = pg_sys::pg_detoast_datum_packed(value.cast_mut_ptr());
                std::slice::from_raw_parts(pgrx::vardata_any(packed).cast(), pgrx::varsize_any_exhdr(packed))
            }
            -2 => std::ffi::CStr::from_ptr(value.cast_mut_ptr()).to_bytes(),
            fixed => std::slice::from_raw_parts(value.cast_mut_ptr(), usize::try_from(fixed).unwrap_or(0)),
        };
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
}

/// Feeds a composite value, or a value that contains composite values, part by part. Returns whether it is one.
unsafe fn feed_parts(hash: &mut Sha256, value: pg_sys::Datum, ty: pg_sys::Oid) -> bool {
    let holds = |part: pg_sys::Oid| part != pg_sys::Oid::INVALID && Storage::of_type(part).may_hold_fields();
    // SAFETY: these look types up; each value is fed as what its type says.
    unsafe {
        let ty = pg_sys::getBaseType(ty);
        let (element, range) = (pg_sys::get_element_type(ty), pg_sys::get_multirange_range(ty));
        if pg_sys::type_is_rowtype(ty) {
            fields(hash, value, feed);
        } else if holds(element) {
            feed_elements(hash, value, Storage::of_type(element), feed);
        } else if holds(pg_sys::get_range_subtype(ty)) {
            feed_range(hash, value, ty);
        } else if holds(range) {
            feed_ranges(hash, value, range);
        } else {
            return false;
        }
    }
    true
}

unsafe fn feed_elements(hash: &mut Sha256, value: pg_sys::Datum, element: Storage, feed: Feed) {
    // SAFETY: the value is an array; its dimensions and lower bounds follow its header. What is
    // allocated lasts as long as the caller's memory context.
    unsafe {
        let array: *mut pg_sys::ArrayType = pg_sys::pg_detoast_datum(value.cast_mut_ptr()).cast();
        let shape = 2 * size_of::<i32>() * usize::try_from((*array).ndim).unwrap_or(0);
        hash.update((shape as u64).to_le_bytes());
        hash.update(std::slice::from_raw_parts(array.add(1).cast::<u8>(), shape));
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        pg_sys::deconstruct_array(
            array,
            element.ty,
            i32::from(element.length),
            element.by_value,
            element.align,
            &mut values,
            &mut nulls,
            &mut count,
        );
        for position in 0..usize::try_from(count).unwrap_or(0) {
            let null = *nulls.add(position);
            hash.update([if null { NULL } else { VALUE }]);
            if !null {
                feed(hash, *values.add(position), element);
            }
        }
        hash.update([END]);
    }
}

unsafe fn feed_range(hash: &mut Sha256, value: pg_sys::Datum, ty: pg_sys::Oid) {
    // SAFETY: the value is a range of this type; bounds are written before they are read.
    unsafe {
        let cache = pg_sys::lookup_type_cache(ty, pg_sys::TYPECACHE_RANGE_INFO as i32);
        let range = pg_sys::pg_detoast_datum(value.cast_mut_ptr()).cast();
        let (mut bounds, mut empty) = ([pg_sys::RangeBound::default(); 2], false);
        let [lower, upper] = &mut bounds;
        pg_sys::range_deserialize(cache, range, lower, upper, &mut empty);
        hash.update([u8::from(empty)]);
        for bound in bounds.iter().filter(|_| !empty) {
            hash.update([u8::from(bound.infinite), u8::from(bound.inclusive)]);
            if !bound.infinite {
                feed(hash, bound.val, Storage::of_type((*(*cache).rngelemtype).type_id));
            }
        }
    }
}

unsafe fn feed_ranges(hash: &mut Sha256, value: pg_sys::Datum, range: pg_sys::Oid) {
    unsafe extern "C-unwind" {
        fn multirange_deserialize(
            range: *mut pg_sys::TypeCacheEntry,
            multirange: *const pg_sys::varlena,
            count: *mut i32,
            ranges: *mut *mut *mut pg_sys::RangeType,
        );
    }
    // SAFETY: the value is a multirange of this type of range; the boundary turns a PostgreSQL
    // error into a panic that pgrx reports.
    unsafe {
        let cache = pg_sys::lookup_type_cache(range, pg_sys::TYPECACHE_RANGE_INFO as i32);
        let multirange = pg_sys::pg_detoast_datum(value.cast_mut_ptr());
        let (mut ranges, mut count) = (std::ptr::null_mut(), 0);
        pg_sys::ffi::pg_guard_ffi_boundary(|| multirange_deserialize(cache, multirange, &mut count, &mut ranges));
        for position in 0..usize::try_from(count).unwrap_or(0) {
            hash.update([VALUE]);
            feed_range(hash, pg_sys::Datum::from(*ranges.add(position)), range);
        }
        hash.update([END]);
    }
}

/// Whether two values have the same bytes.
pub(super) unsafe fn same(left: pg_sys::Datum, right: pg_sys::Datum, by_value: bool, length: i16) -> bool {
    unsafe extern "C-unwind" {
        fn datum_image_eq(left: pg_sys::Datum, right: pg_sys::Datum, by_value: bool, length: i32) -> bool;
    }
    // SAFETY: both datums are of the attribute's type; the boundary turns a PostgreSQL error
    // (detoasting can fail) into a panic that pgrx reports.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| datum_image_eq(left, right, by_value, i32::from(length))) }
}

fn argument(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes a valid call with as many arguments as were declared; the
    // functions are strict, so the argument is not NULL.
    unsafe { (*fcinfo).args.as_slice(1)[0].value }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_row_image(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    let image = digest(argument(fcinfo));
    image.as_slice().into_datum().unwrap_or(pg_sys::Datum::null())
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_row_hash(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    let image = digest(argument(fcinfo));
    let mut head = [0; 8];
    head.copy_from_slice(&image[..8]);
    pg_sys::Datum::from(i64::from_le_bytes(head))
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_row_image() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_row_hash() -> &'static pg_sys::Pg_finfo_record {
    &V1
}

/// Declares the calling convention of the functions written out here.
pub(super) static V1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
