//! Follows DDL on the objects that maintained tables use, and restores of dumps.

pub mod adopt;
pub mod command;
pub mod ddl;
pub mod inheritance;
pub mod restored;
