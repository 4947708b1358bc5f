//! Whole plans: a definition as `pg_get_viewdef` prints it, and every statement made of it.
//!
//! Each case has a snapshot in `snapshots/`, and is written anew by
//!
//! ```text
//! INSTA_UPDATE=always cargo test -p imat-compile --test plans
//! ```
//!
//! A snapshot shows the changes that its case asks for. What must hold of every statement,
//! see [`laws`], is checked for every change.

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
