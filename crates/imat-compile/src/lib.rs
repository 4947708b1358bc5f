//! From a view's definition to the SQL that keeps its result current.
//!
//! The input is PostgreSQL's own rendering of an analysed query (`pg_get_viewdef` under
//! `search_path = pg_catalog`) and catalog facts as plain data; the output is a
//! [`plan::Plan`]. Nothing here talks to a server, so everything here is tested without one.
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
