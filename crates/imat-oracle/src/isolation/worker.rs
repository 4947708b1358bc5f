//! A session in its own thread, so that it can wait while others continue.

use super::Level;
use crate::pg::{self, PgError, Result};
use postgres::Client;
use std::fmt::{self, Display, Formatter};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The outcome of a session's statement: an error or none, and the result of the inner comparison.
#[derive(Debug, Clone)]
pub struct Answer {
    pub error: Option<PgError>,
    /// Why the comparison under the session's own snapshot failed.
    pub inexact: Option<Inexact>,
}

#[derive(Debug, Clone)]
pub enum Inexact {
    Differs(String),
    Failed(PgError),
}

impl Display for Inexact {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Inexact::Differs(what) => f.write_str(what),
            Inexact::Failed(error) => error.fmt(f),
        }
    }
}

struct Command {
    sql: String,
    inside: Option<String>,
}

/// A session. It runs at most one statement at a time.
pub struct Worker {
    pub pid: i32,
    inside: Option<String>,
    commands: Option<Sender<Command>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
    pub busy: bool,
}

/// After this time a session counts as stuck. Longer than it takes to detect a deadlock.
pub const STUCK: Duration = Duration::from_secs(10);

impl Worker {
    /// Connects, and runs `settings`.
    pub fn start(url: &str, name: &str, settings: &str) -> Result<Self> {
        let mut client = pg::connect(url, &format!("session {name}"))?;
        // Queried before BEGIN, since a query after it would take the transaction's snapshot.
        let pid = pg::backend_pid(&mut client)?;
        client.batch_execute(settings)?;
        let (commands, inbox) = channel::<Command>();
        let (outbox, answers) = channel();
        let thread = thread::spawn(move || {
            for Command { sql, inside } in inbox {
                let answer = answer(&mut client, &sql, inside.as_deref());
                if outbox.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Self { pid, inside: None, commands: Some(commands), answers, thread: Some(thread), busy: false })
    }

    /// Begins a transaction. `inside` is SQL that returns a row for each view that is not exact; it is run after each
    /// statement of the transaction.
    pub fn begin(&mut self, level: Level, inside: Option<&str>) -> Option<PgError> {
        self.inside = None;
        self.send(&format!("BEGIN ISOLATION LEVEL {}", level.sql()));
        self.inside = inside.map(str::to_owned);
        self.answer(STUCK)?.error
    }

    /// Ends the transaction in any state. Returns whether the session can be used again.
    pub fn end(&mut self) -> bool {
        self.inside = None;
        self.send("ROLLBACK");
        self.answer(STUCK).is_some_and(|answer| answer.error.is_none())
    }

    pub fn send(&mut self, sql: &str) {
        self.busy = true;
        if let Some(commands) = &self.commands {
            // If the channel is closed, reading the answer reports a lost connection.
            let _ = commands.send(Command { sql: sql.to_owned(), inside: self.inside.clone() });
        }
    }

    /// The answer, or `None` if the statement is still running after `limit`.
    pub fn answer(&mut self, limit: Duration) -> Option<Answer> {
        let answer = match self.answers.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                let error =
                    PgError { code: pg::CONNECTION_LOST.into(), message: "session ended".into(), more: String::new() };
                Answer { error: Some(error), inexact: None }
            }
        };
        self.busy = false;
        Some(answer)
    }

    /// Waits until the statement ends or is seen to be blocked by another session.
    pub fn settle(&mut self, control: &mut Client) -> Result<Option<Answer>> {
        let (started, mut seen) = (Instant::now(), 0);
        while started.elapsed() < STUCK {
            if let Some(answer) = self.answer(Duration::from_millis(4)) {
                return Ok(Some(answer));
            }
            let sql = format!("SELECT cardinality(pg_blocking_pids({})) > 0", self.pid);
            seen = if pg::scalar(control, &sql)?.as_deref() == Some("t") { seen + 1 } else { 0 };
            if seen >= 2 {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(client: &mut Client, sql: &str, inside: Option<&str>) -> Answer {
    let error = client.batch_execute(sql).err().map(PgError::from);
    let ends = ["COMMIT", "ROLLBACK"].contains(&sql);
    let inexact = match inside {
        Some(check) if error.is_none() && !ends => match pg::query(client, check) {
            Ok(rows) => rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()).map(Inexact::Differs),
            // In a failed transaction there is nothing to compare.
            Err(error) if error.code == "25P02" => None,
            Err(error) => Some(Inexact::Failed(error)),
        },
        _ => None,
    };
    Answer { error, inexact }
}
