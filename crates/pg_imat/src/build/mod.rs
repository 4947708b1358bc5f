//! Builds a new maintained table, in one transaction or online.

pub mod analyze;
pub mod carry_over;
pub mod catch_up;
pub mod choose;
pub mod create;
pub mod definition;
pub mod mark;
pub mod online;
pub mod query_view;
pub mod register;
pub mod remove;
pub mod scratch;
pub mod stand_in;
pub mod state;
pub mod trial;
