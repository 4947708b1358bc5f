//! Makes running out of memory an error, and not the end of the server.
//!
//! Without this, two things end it. Rust ends the process when an allocation fails. And pgrx, to turn a PostgreSQL
//! error into a panic, copies the error to the current memory context while its own handler still receives errors:
//! without memory the copy is the next error, and so on, until PostgreSQL's error stack is full and it panics. That is
//! in every call that pgrx guards (`pg_guard_ffi_boundary` of pgrx-pg-sys), so it is mended in the one function that
//! all of them call: our library is linked with `--wrap=CopyErrorData`. Where the panic becomes a PostgreSQL error
//! again, its texts are copied to the current memory context too. That may need a new block of a megabyte, and a panic
//! there would not be caught: hence `--wrap=errstart`.
//!
//! Both copies go to a context that has its memory already. For Rust's allocations on the way out there is a reserve,
//! which is released to the allocator when memory runs out. No work begins without a reserve.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use imat_compile::error::{Error, SqlState};
use pgrx::pg_sys;

/// Enough to compile a view, since Rust must not fail before PostgreSQL does. It is never written to, so it takes no
/// physical memory.
const RESERVE: Layout = Layout::new::<[u8; 1 << 20]>();

/// The size of error data, except for long contexts.
const COPY: usize = 16 << 10;

static KEPT: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static COPIES: AtomicPtr<pg_sys::MemoryContextData> = AtomicPtr::new(null_mut());

/// Allocates the context for error copies, when the library is loaded.
pub fn prepare() {
    // SAFETY: the name is static, and the context lives as long as the backend.
    let context = unsafe {
        let (parent, largest) = (pg_sys::TopMemoryContext, pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize);
        pg_sys::AllocSetContextCreateInternal(parent, c"pg_imat errors".as_ptr(), COPY, COPY, largest)
    };
    COPIES.store(context, Relaxed);
}

/// Allocates the reserve if there is none.
pub fn require() {
    if KEPT.load(Relaxed).is_null() {
        keep();
    }
}

#[cold]
fn keep() {
    // SAFETY: of a size that is not zero.
    let reserve = unsafe { System.alloc(RESERVE) };
    if reserve.is_null() {
        super::error::raise(
            &Error::new(SqlState("53200"), "out of memory").detail("Nothing is left to be set aside for errors."),
        );
    }
    KEPT.store(reserve, Relaxed);
}

/// Releases the reserve.
fn release() {
    let reserve = KEPT.swap(null_mut(), Relaxed);
    if !reserve.is_null() {
        // SAFETY: allocated in `keep`, and nobody else has it.
        unsafe { System.dealloc(reserve, RESERVE) };
    }
}

/// Rust's global allocator. The wrapper costs one comparison.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

#[cold]
fn again(allocate: impl Fn() -> *mut u8) -> *mut u8 {
    release();
    allocate()
}

fn or_again(allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let memory = allocate();
    if memory.is_null() { again(allocate) } else { memory }
}

// SAFETY: all is the system's; what failed changed nothing, and may be tried once more.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        or_again(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        or_again(|| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        or_again(|| unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The functions that the linker calls instead of PostgreSQL's.
#[cfg(target_os = "linux")]
mod wrapped {
    use super::{COPIES, Relaxed, pg_sys, release};

    unsafe extern "C-unwind" {
        fn geterrcode() -> std::ffi::c_int;
        /// PostgreSQL's.
        fn __real_CopyErrorData() -> *mut pg_sys::ErrorData;
        fn __real_errstart(level: std::ffi::c_int, domain: *const std::ffi::c_char) -> bool;
    }

    /// The context for error copies; PostgreSQL's ErrorContext before ours exists.
    fn copies() -> pg_sys::MemoryContext {
        let copies = COPIES.load(Relaxed);
        // SAFETY: reads a variable.
        if copies.is_null() { unsafe { pg_sys::ErrorContext } } else { copies }
    }

    /// Called by pgrx in its error handler.
    #[unsafe(no_mangle)]
    unsafe extern "C-unwind" fn __wrap_CopyErrorData() -> *mut pg_sys::ErrorData {
        // SAFETY: called while an error is being handled. Whoever gets the copy frees it by its address.
        unsafe {
            if geterrcode() == pgrx::PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY as i32 {
                release();
            }
            let context = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = copies();
            let copy = __real_CopyErrorData();
            pg_sys::CurrentMemoryContext = context;
            copy
        }
    }

    /// Called by pgrx before it passes on an error's texts and frees them.
    #[unsafe(no_mangle)]
    unsafe extern "C-unwind" fn __wrap_errstart(level: std::ffi::c_int, domain: *const std::ffi::c_char) -> bool {
        // SAFETY: an error does not come back, and whoever catches it goes on in a memory context of his own.
        unsafe {
            let wanted = __real_errstart(level, domain);
            if wanted && level >= pgrx::PgLogLevel::ERROR as i32 {
                pg_sys::CurrentMemoryContext = copies();
            }
            wanted
        }
    }
}
