//! The exact image of a row, hashed.
//!
//! Two values of one type have the same image when PostgreSQL stores the same bytes for them
//! (`record_image_eq`), wherever and however compressed they are stored. The hash is SHA-256,
//! so that nobody can make two rows meet.

use pgrx::pg_sys;
use pgrx::prelude::*;
use sha2::{Digest, Sha256};

/// Hashes a composite value: per field a tag and its bytes.
fn digest(record: pg_sys::Datum) -> [u8; 32] {
    let mut hash = Sha256::new();
    // SAFETY: the datum is a composite value, by the function's declaration; the tuple descriptor
    // is the one it names, and is released. Values point into the detoasted tuple, or into
    // what detoasting a field allocates, both in the caller's memory context.
    unsafe {
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
        for position in 0..count {
            let attribute = *attribute(descriptor, position);
            if nulls[position] {
                hash.update([0]);
                continue;
            }
            hash.update([1]);
            feed(&mut hash, values[position], attribute.attbyval, attribute.attlen);
        }
        release(descriptor);
    }
    hash.finalize().into()
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

/// Feeds one value, its length first where it varies.
unsafe fn feed(hash: &mut Sha256, value: pg_sys::Datum, by_value: bool, length: i16) {
    // SAFETY: `by_value` and `length` are the attribute's, so the datum is read as what it is.
    unsafe {
        if by_value {
            hash.update((value.value() as u64).to_le_bytes());
            return;
        }
        let bytes: &[u8] = match length {
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

/// Where a value's bytes are compared, not its meaning.
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
