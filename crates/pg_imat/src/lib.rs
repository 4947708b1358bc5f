//! pg_imat: materialized views that are always current.
//!
//! This crate is the extension: it reads facts from PostgreSQL's catalogs, passes them to `imat-compile`,
//! and runs the resulting statements at the right time and under the right locks.
//! Each folder imports only those below it:
//!
//! ```text
//! verbs/     the functions that users call
//! follow/    DDL on the objects that maintained tables use, restores of dumps
//! build/     builds a new maintained table
//! change/    the life of a change: capture, buffer, locks, flush
//! catalog/   PostgreSQL's catalogs and ours; plans and prepared statements
//! pg/        the only folder with unsafe code, pg_sys and SPI
//! refuse     the errors: what is refused, and why
//! ```

mod build;
mod catalog;
mod change;
mod follow;
mod pg;
mod refuse;
mod verbs;

use catalog::{cache, object_locks, running_ddl};
use change::{capture, locks, session};
use follow::{adopt, command, restored};
use pg::entrance::{self, Entrances};

pgrx::pg_module_magic!();

#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::memory::prepare();
    pg::setting::define();
    entrance::open(ENTRANCES);
}

/// The functions that PostgreSQL calls.
const ENTRANCES: Entrances = Entrances {
    statement_begins: |relation, is_ours| capture::open(relation, is_ours, adopt::before_write),
    statement_ends: capture::close,
    row_replicated: |relation, row, is_ours| capture::row(relation, row, is_ours, adopt::before_write),
    state_changed: capture::guard,
    is_known: restored::is_known,
    bookkeeping_arrived: restored::after_bookkeeping,
    must_flush_before_read: session::must_flush_before_read,
    before_read: capture::before_read,
    before_command: capture::before_command,
    is_own_statement: session::is_own_statement,
    merges_begin: session::begin_merges,
    merges_end: session::end_merges,
    command_begins: command::begins,
    command_ends: command::ended,
    objects_dropped: command::dropped,
    before_commit: capture::before_commit,
    transaction_ends: || {
        session::end_transaction();
        locks::end_transaction();
        running_ddl::end_transaction();
        object_locks::end_transaction();
    },
    subtransaction_released: |mine, parent| {
        session::release_subtransaction(mine, parent);
        locks::release_subtransaction(mine, parent);
        running_ddl::release_subtransaction(mine, parent);
    },
    subtransaction_aborted: |mine| {
        session::abort_subtransaction(mine);
        locks::abort_subtransaction(mine);
        running_ddl::abort_subtransaction(mine);
    },
    depends_on: cache::depends_on,
    create_procedure: verbs::api::create_procedure,
};

pgrx::extension_sql_file!("bootstrap.sql", name = "bootstrap", bootstrap);
pgrx::extension_sql_file!("finish.sql", name = "finish", finalize);
