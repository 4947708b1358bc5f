//! The only folder with `unsafe`, `pg_sys` and SPI.
//!
//! Its interface is safe; the rest of the extension is safe Rust.
//!
//! **Invariant:** a PostgreSQL error may unwind or jump past any frame, so nothing here relies on `Drop` for
//! correctness. PostgreSQL's abort, or the callbacks of [`xact`], undo what must be undone.
#![allow(unsafe_code)]

mod bare;
pub mod clock;
pub mod content;
pub mod context;
pub mod delta;
pub mod entrance;
pub mod error;
mod event;
mod executor;
pub mod image;
pub mod layout;
pub mod lock;
pub mod lookup;
pub mod memory;
mod merge;
mod params;
mod plan;
mod planner;
mod prepared;
pub mod procedure;
pub mod progress;
pub mod query;
pub mod record;
pub mod setting;
pub mod spi;
pub mod transition;
pub mod trigger;
mod utility;
mod values;
mod walk;
pub mod xact;
