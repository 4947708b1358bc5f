//! PostgreSQL's catalogs and ours, and what is compiled from them.

pub mod bookkeeping;
pub mod cache;
pub mod citus;
pub mod compile;
pub mod content;
pub mod dependents;
pub mod error_sources;
pub mod extent;
pub mod facts;
pub mod names;
pub mod object_locks;
pub mod publication;
pub mod running_ddl;
pub mod statements;
