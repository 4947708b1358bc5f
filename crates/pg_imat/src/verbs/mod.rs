//! The functions that users call.

pub mod api;
pub mod check;
pub mod drop;
pub mod explain;
pub mod named;
pub mod refresh;
pub mod verify;
