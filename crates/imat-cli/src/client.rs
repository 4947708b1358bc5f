//! Connections, and errors as psql would show them.

use anyhow::{Context, Result};
use postgres::{Client, Config, NoTls, error::SqlState};
use std::fmt::Write;

/// Connects, and shows the server's notices on standard error.
pub fn connect(url: &str) -> Result<Client> {
    let mut config: Config = url.parse().context("the --url is not a connection string")?;
    config.application_name("imat");
    config.notice_callback(|notice| eprintln!("{}: {}", notice.severity(), notice.message()));
    config.connect(NoTls).context("cannot connect")
}

/// A connection for one of many clients: silent, because every one would say the same.
pub fn connect_quietly(url: &str) -> Result<Client> {
    let mut config: Config = url.parse().context("the --url is not a connection string")?;
    config.application_name("imat").notice_callback(|_| {});
    config.connect(NoTls).context("cannot connect")
}

/// May the same transaction succeed when it is tried again?
pub fn is_retryable(error: &postgres::Error) -> bool {
    matches!(error.code(), Some(code) if [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ].contains(code))
}

/// Did whoever reads our output stop reading? That is no failure.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The whole chain of an error, with the server's SQLSTATE, detail and hint.
pub fn describe(error: &anyhow::Error) -> String {
    let mut out = String::from("error");
    for cause in error.chain() {
        let server = cause.downcast_ref::<postgres::Error>().and_then(|e| e.as_db_error());
        let Some(server) = server else {
            // The causes below a server's error repeat what it says.
            if cause.downcast_ref::<postgres::error::DbError>().is_none() {
                let _ = write!(out, ": {cause}");
            }
            continue;
        };
        let _ = write!(out, ": {} [{}]", server.message(), server.code().code());
        if let Some(detail) = server.detail() {
            let _ = write!(out, "\nDETAIL:  {detail}");
        }
        if let Some(hint) = server.hint() {
            let _ = write!(out, "\nHINT:  {hint}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_server_is_named_as_such() {
        let error = connect("host=/nonexistent user=nobody").err().expect("nothing listens there");
        assert!(describe(&error).starts_with("error: cannot connect: "));
    }
}
