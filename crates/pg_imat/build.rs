//! Has pgrx's calls of `CopyErrorData` and `errstart` answered by `src/pg/memory.rs`, which says why.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // An option of GNU's linker and those that follow it.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg-cdylib=-Wl,--wrap=CopyErrorData,--wrap=errstart");
    }
}
