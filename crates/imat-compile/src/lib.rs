//! Compiles a view's definition to the SQL that keeps its result current.
//!
//! The input is the text that PostgreSQL prints for an analysed query (`pg_get_viewdef` under `search_path =
//! pg_catalog`), and catalog facts as plain data. The output is a [`plan::Plan`]. Nothing here talks to a server, so
//! all tests run without one.
//!
//! ```text
//! text --parse--> View --lower--> Rel --delta--> Rel --sql--> statements
//! ```
//!
//! **Invariant:** this crate does no I/O, reads no setting and holds no state.
//! **Invariant:** [`sql::Sql`] is made here only; the extension executes nothing else.

pub mod error;
pub mod facts;
pub mod lower;
pub mod name;
pub mod parse;
pub mod plan;
pub mod rel;
pub mod scalar;
pub mod sql;
pub mod view;
pub mod zset;
