//! Parameter values of prepared statements.

use std::ffi::c_char;

use pgrx::pg_sys;

/// The parameters of a prepared statement.
#[derive(Default)]
pub struct Params {
    pub(super) values: Vec<pg_sys::Datum>,
    /// `n` for NULL, a space for a value.
    pub(super) nulls: Vec<c_char>,
    pub types: Vec<pg_sys::Oid>,
}

impl Params {
    pub(super) fn push(&mut self, value: pg_sys::Datum, null: bool, ty: pg_sys::Oid) {
        self.values.push(value);
        self.nulls.push(if null { b'n' } else { b' ' } as _);
        self.types.push(ty);
    }

    /// The executor's form, in the current memory context.
    pub(super) unsafe fn list(&self) -> pg_sys::ParamListInfo {
        // SAFETY: there is a place for each.
        unsafe {
            let list = pg_sys::makeParamList(self.types.len() as i32);
            for (position, &ptype) in self.types.iter().enumerate() {
                *(*list).params.as_mut_ptr().add(position) = pg_sys::ParamExternData {
                    value: self.values[position],
                    isnull: self.value(position).is_none(),
                    pflags: 0,
                    ptype,
                };
            }
            list
        }
    }

    /// The value, unless it is NULL.
    pub(super) fn value(&self, position: usize) -> Option<pg_sys::Datum> {
        (self.nulls[position] == b' ' as c_char).then(|| self.values[position])
    }

    /// One parameter: a bigint.
    pub fn number(number: i64) -> Self {
        let mut params = Self::default();
        params.push(pg_sys::Datum::from(number), false, pg_sys::INT8OID);
        params
    }

    /// These parameters followed by `more`.
    pub fn and(mut self, more: &Self) -> Self {
        self.values.extend(&more.values);
        self.nulls.extend(&more.nulls);
        self.types.extend(&more.types);
        self
    }
}
