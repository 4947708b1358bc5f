//! Runs steps on a connection, also for the twin without maintained tables.

use super::dml::{Action, IMAT};
use super::script::Step;
use crate::pg::{CONNECTION_LOST, PgError, Result, ident};
use postgres::Client;
use std::io::Write;

/// The savepoint around guarded steps.
const GUARD: &str = "SAVEPOINT guard";

/// A connection and its schema.
pub struct Session {
    pub client: Client,
    /// The schema of the maintained tables, or of the plain views that replace them.
    imat: String,
}

impl Session {
    pub fn new(mut client: Client, schema: &str, imat: &str, zone: &str) -> Result<Self> {
        client.batch_execute(&format!("SET search_path = {}, public; SET timezone = '{zone}'", ident(schema)))?;
        Ok(Self { client, imat: ident(imat) })
    }

    /// Runs one step. The inner result is the server's error, the outer one a failure of the test.
    pub fn run(&mut self, step: &Step) -> Result<()> {
        if step.guarded {
            self.client.batch_execute(GUARD)?;
        }
        let outcome = self.act(&step.action);
        if step.guarded && !matches!(&outcome, Err(e) if e.code == CONNECTION_LOST) {
            self.client.batch_execute(match outcome {
                Ok(()) => "RELEASE SAVEPOINT guard",
                Err(_) => "ROLLBACK TO SAVEPOINT guard; RELEASE SAVEPOINT guard",
            })?;
        }
        outcome
    }

    fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Sql(sql) => self.client.batch_execute(&sql.replace(IMAT, &self.imat))?,
            Action::Extended(sql) => {
                self.client.query(&sql.replace(IMAT, &self.imat), &[])?;
            }
            Action::Copy { sql, data } => {
                let mut writer = self.client.copy_in(sql)?;
                writer.write_all(data.as_bytes()).map_err(|e| PgError {
                    code: CONNECTION_LOST.into(),
                    message: e.to_string(),
                    more: String::new(),
                })?;
                writer.finish()?;
            }
        }
        Ok(())
    }
}
