//! The life of a change: collected, buffered, and applied under locks, in the transaction that made it.

pub mod apply;
pub mod buffer;
pub mod capture;
pub mod digest;
pub mod fill;
pub mod flush;
pub mod foreign_keys;
pub mod locks;
pub mod owner;
pub mod queue;
pub mod reach;
pub mod rebuild;
pub mod recompute;
pub mod session;
pub mod stale;
