//! Casts of text to dates and times, which read the clock for some words.
//!
//! In a maintained table's definition the text of each such cast goes through `imat_catalog.clockless`, which returns
//! the text, or raises an error at one of these words. So the cast keeps PostgreSQL's meaning and can't depend on the
//! clock, in the definition and in all text made from it. The call is inserted when the definition is analysed, because
//! the analysed tree shows every cast and its types, and the text doesn't.

use std::cell::RefCell;
use std::ffi::{CStr, c_void};

use pgrx::pg_sys::NodeTag::*;
use pgrx::prelude::*;
use pgrx::{PgList, pg_sys};

use imat_compile::sql::Sql;

use super::error::raise;
use super::image::V1;
use super::walk;
use crate::refuse;

/// The words for which PostgreSQL's input functions of these types read the clock, with any non-letters around them.
/// PostgreSQL compares the first ten letters of a word. These are shorter, so comparing whole words is exact.
const WORDS: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// The types whose input functions read the clock for these words only. The input function of `timetz` also uses
/// today's offset of the zone.
const TYPES: [pg_sys::Oid; 4] = [pg_sys::DATEOID, pg_sys::TIMESTAMPOID, pg_sys::TIMESTAMPTZOID, pg_sys::TIMEOID];

static mut ANALYZED: pg_sys::post_parse_analyze_hook_type = None;

thread_local! {
    /// The text of the statement whose casts are rewritten.
    static CHECKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A cast of text to one of TYPES.
pub(super) struct Cast {
    /// The text that is cast, without casts to text in between.
    pub text: *mut pg_sys::Node,
    pub to: u32,
    /// Whether the text goes through `clockless`.
    pub is_checked: bool,
}

/// The cast that a node is, if it is one. A cast of an array's elements is none, since the tree has no place for a call
/// there.
pub(super) unsafe fn cast(node: *mut pg_sys::Node) -> Option<Cast> {
    // SAFETY: each cast is to the struct that the node's tag says it is.
    unsafe {
        if (*node).type_ != T_CoerceViaIO {
            return None;
        }
        let cast = *node.cast::<pg_sys::CoerceViaIO>();
        let checked = argument_of_clockless(cast.arg.cast());
        let text = as_given(checked.unwrap_or(cast.arg.cast()));
        (TYPES.contains(&cast.resulttype) && (*text).type_ != T_CaseTestExpr).then_some(Cast {
            text,
            to: cast.resulttype.to_u32(),
            is_checked: checked.is_some(),
        })
    }
}

/// The argument of a cast to text, if its type is one of PostgreSQL's own.
unsafe fn as_given(node: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: as above.
    unsafe {
        match (*node).type_ {
            T_RelabelType if pg_sys::exprType(node) == pg_sys::TEXTOID => {
                as_given((*node.cast::<pg_sys::RelabelType>()).arg.cast())
            }
            T_FuncExpr => {
                let call = *node.cast::<pg_sys::FuncExpr>();
                let is_cast =
                    [pg_sys::F_TEXT_BPCHAR, pg_sys::F_TEXT_NAME, pg_sys::F_TEXT_CHAR].contains(&call.funcid.to_u32());
                match PgList::<pg_sys::Node>::from_pg(call.args).get_ptr(0) {
                    Some(given) if is_cast => as_given(given),
                    _ => node,
                }
            }
            _ => node,
        }
    }
}

unsafe fn argument_of_clockless(node: *mut pg_sys::Node) -> Option<*mut pg_sys::Node> {
    // SAFETY: as above.
    unsafe {
        if (*node).type_ != T_FuncExpr {
            return None;
        }
        let call = *node.cast::<pg_sys::FuncExpr>();
        PgList::<pg_sys::Node>::from_pg(call.args).get_ptr(0).filter(|_| Some(call.funcid) == clockless())
    }
}

fn clockless() -> Option<pg_sys::Oid> {
    // SAFETY: looks it up; the strings are constants.
    let function = unsafe {
        let name = [c"imat_catalog", c"clockless"].map(|part| pg_sys::makeString(part.as_ptr().cast_mut().cast()));
        let mut list = PgList::<pg_sys::Node>::new();
        name.into_iter().for_each(|part| list.push(part.cast()));
        pg_sys::LookupFuncName(list.into_pg(), 1, &pg_sys::TEXTOID, true)
    };
    (function != pg_sys::Oid::INVALID).then_some(function)
}

/// Installs the hook, once per backend.
pub fn install() {
    // SAFETY: hooks are set by one thread, and call the ones they found.
    unsafe {
        ANALYZED = pg_sys::post_parse_analyze_hook;
        pg_sys::post_parse_analyze_hook = Some(analyzed);
    }
}

/// Runs `body`, which runs this statement; the casts in the statement are rewritten.
pub fn checking<T>(sql: &Sql, body: impl FnOnce() -> T) -> T {
    CHECKED.replace(Some(sql.as_str().to_owned()));
    let value = body();
    forget();
    value
}

/// Ends that after an error.
pub(super) fn forget() {
    CHECKED.take();
}

#[pg_guard]
unsafe extern "C-unwind" fn analyzed(
    state: *mut pg_sys::ParseState,
    query: *mut pg_sys::Query,
    jumble: *mut pg_sys::JumbleState,
) {
    // SAFETY: what comes is PostgreSQL's; a source text ends with a zero.
    unsafe {
        if let Some(previous) = ANALYZED {
            previous(state, query, jumble);
        }
        let is_it = |sql: &Option<String>| {
            let text = (*state).p_sourcetext;
            sql.as_ref().is_some_and(|sql| !text.is_null() && CStr::from_ptr(text).to_bytes() == sql.as_bytes())
        };
        if CHECKED.with_borrow(is_it) {
            check(query.cast(), std::ptr::null_mut());
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn check(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: each cast is to the struct that the node's tag says it is; the tree is the analyser's own.
    unsafe {
        if (*node).type_ == T_Query {
            return walk::query(node.cast(), check, context, 0);
        }
        if cast(node).is_some_and(|cast| !cast.is_checked) {
            let cast = node.cast::<pg_sys::CoerceViaIO>();
            if let Some(call) = call((*cast).arg.cast()) {
                (*cast).arg = call.cast();
            }
        }
        walk::expression(node, check, context)
    }
}

/// A call of `clockless`, if the expression has a string type.
unsafe fn call(text: *mut pg_sys::Node) -> Option<*mut pg_sys::FuncExpr> {
    use pg_sys::{CoercionContext::COERCION_IMPLICIT, CoercionForm::*, Oid, TEXTOID};
    // SAFETY: the node is an analysed expression.
    unsafe {
        let (ty, collation) = (pg_sys::exprType(text), pg_sys::exprCollation(text));
        let (none, form) = (std::ptr::null_mut(), COERCE_IMPLICIT_CAST);
        let text = pg_sys::coerce_to_target_type(none, text, ty, TEXTOID, -1, COERCION_IMPLICIT, form, -1);
        let function = clockless().filter(|_| !text.is_null())?;
        if pg_sys::exprCollation(text) == Oid::INVALID {
            pg_sys::exprSetCollation(text, collation);
        }
        let mut arguments = PgList::<pg_sys::Node>::new();
        arguments.push(text);
        let call =
            pg_sys::makeFuncExpr(function, TEXTOID, arguments.into_pg(), collation, collation, COERCE_EXPLICIT_CALL);
        Some(call)
    }
}

/// The word in a text for which the clock would be read.
fn word(text: &[u8]) -> Option<&'static str> {
    let mut runs = text.split(|byte| !byte.is_ascii_alphabetic());
    runs.find_map(|run| WORDS.into_iter().find(|word| run.eq_ignore_ascii_case(word.as_bytes())))
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn imat_clockless(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the function is strict and declared with a text, which is read where it is or where detoasting puts it.
    unsafe {
        let text = (*fcinfo).args.as_slice(1)[0].value;
        let packed = pg_sys::pg_detoast_datum_packed(text.cast_mut_ptr());
        let bytes = std::slice::from_raw_parts(pgrx::vardata_any(packed).cast(), pgrx::varsize_any_exhdr(packed));
        match word(bytes) {
            Some(word) => raise(&refuse::reads_clock(word)),
            None => pg_sys::Datum::from(packed),
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_imat_clockless() -> &'static pg_sys::Pg_finfo_record {
    &V1
}
