//! Whole plans: a definition as `pg_get_viewdef` prints it, and every statement made from it.
//!
//! Each case has a snapshot in `snapshots/`. This command rewrites them:
//!
//! ```text
//! INSTA_UPDATE=always cargo test -p imat-compile --test plans
//! ```
//!
//! A snapshot shows the changes that its case selects. The laws of all statements, see [`laws`], are checked for every
//! change.

mod case;
mod catalog;
mod dump;
mod grouped;
mod joins;
mod laws;
mod numeric;
mod recompute;
mod repeated;
mod types;
mod ungrouped;
