//! When memory runs out: an error, and never the server's end.
//!
//! Two things would be its end. Rust ends the process when an allocation fails. And pgrx, which makes a
//! panic of PostgreSQL's error, copies it to the current memory context while its own handler is still
//! the one that errors come back to: for want of memory the copy is the next error, and the next, until
//! PostgreSQL has no room for more and panics. That is in every call that pgrx guards
//! (`pg_guard_ffi_boundary` of pgrx-pg-sys), so it is mended in the one function that all of them
//! call: our library is linked with `--wrap=CopyErrorData`. Where the panic becomes PostgreSQL's error
//! again, its texts are copied to the current memory context too, which may ask for a block of a megabyte
//! to hold them, and nobody is left to catch the panic of that: hence `--wrap=errstart`.
//!
//! Both go to a context that has its memory already. For what Rust needs on the way out there is
//! a reserve, which whoever runs out gives back to the allocator. Nothing is begun without it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use imat_compile::error::{Error, SqlState};
use pgrx::pg_sys;

/// Enough to compile a view, which takes nothing of PostgreSQL that would fail before. It is never
/// written to, and so takes no memory that others could use.
const RESERVE: Layout = Layout::new::<[u8; 1 << 20]>();

/// What error data takes, but for long contexts.
const COPY: usize = 16 << 10;

static KEPT: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static COPIES: AtomicPtr<pg_sys::MemoryContextData> = AtomicPtr::new(null_mut());

/// Sets aside what an error is copied to, when the library is loaded.
pub fn prepare() {
    // SAFETY: the name is static, and the context lives as long as the backend.
    let context = unsafe {
        let (parent, largest) = (pg_sys::TopMemoryContext, pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize);
        pg_sys::AllocSetContextCreateInternal(parent, c"pg_imat errors".as_ptr(), COPY, COPY, largest)
    };
    COPIES.store(context, Relaxed);
}

/// Sees to it that there is a reserve.
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

/// Gives the reserve back.
fn release() {
    let reserve = KEPT.swap(null_mut(), Relaxed);
    if !reserve.is_null() {
        // SAFETY: allocated in `keep`, and nobody else has it.
        unsafe { System.dealloc(reserve, RESERVE) };
    }
}

/// Rust's own memory. The wrapper costs a comparison.
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

/// What the linker lets us answer instead of PostgreSQL.
#[cfg(target_os = "linux")]
mod wrapped {
    use super::{COPIES, Relaxed, pg_sys, release};

    unsafe extern "C-unwind" {
        fn geterrcode() -> std::ffi::c_int;
        /// PostgreSQL's.
        fn __real_CopyErrorData() -> *mut pg_sys::ErrorData;
        fn __real_errstart(level: std::ffi::c_int, domain: *const std::ffi::c_char) -> bool;
    }

    /// Where errors are copied to. PostgreSQL keeps memory for errors too, until there is ours.
    fn copies() -> pg_sys::MemoryContext {
        let copies = COPIES.load(Relaxed);
        // SAFETY: reads a variable.
        if copies.is_null() { unsafe { pg_sys::ErrorContext } } else { copies }
    }

    /// What pgrx calls in its handler.
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

    /// What pgrx calls before it hands over an error's texts, which it frees.
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
