//! pg_imat: materialized views that are always current.
//!
//! This crate is the extension: it asks PostgreSQL for facts, hands them to `imat-compile`,
//! and runs the statements that come back, at the right moment and under the right locks.
//!
//! ```text
//! api ── create, manage, ddl ── analyze, compile, facts, catalog        (a verb is called)
//! trigger ── capture ── buffer, flush ── cache                     (a base table changes)
//! procedure ── online, queue ── create, flush             (a large table is built meanwhile)
//! pg/: the one room for unsafe code, pg_sys and SPI
//! ```

mod adopt;
mod analyze;
mod api;
mod blame;
mod buffer;
mod cache;
mod capture;
mod carry;
mod catalog;
mod citus;
mod command;
mod compile;
mod concern;
mod content;
mod create;
mod ddl;
mod extent;
mod facts;
mod family;
mod flush;
mod locks;
mod manage;
mod objects;
mod online;
mod passing;
mod pg;
mod publication;
mod queue;
mod recompute;
mod refuse;
mod register;
mod restored;
mod stale;
mod stand_in;
mod state;
mod trial;
mod trust;
mod workshop;

pgrx::pg_module_magic!();

#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::memory::prepare();
    pg::setting::define();
}

pgrx::extension_sql_file!("bootstrap.sql", name = "bootstrap", bootstrap);
pgrx::extension_sql_file!("finish.sql", name = "finish", finalize);
