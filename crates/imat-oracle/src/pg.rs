//! A thin layer over the client library: text results, errors with their SQLSTATE, quoting.

use postgres::{Client, NoTls, SimpleQueryMessage};
use std::fmt;

/// An error as the server reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgError {
    pub code: String,
    pub message: String,
    pub more: String,
}

/// The SQLSTATE that is reported when the connection broke: the server crashed or ended the session.
pub const CONNECTION_LOST: &str = "08006";

impl From<postgres::Error> for PgError {
    fn from(error: postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => {
                let parts = [("DETAIL", db.detail()), ("HINT", db.hint()), ("CONTEXT", db.where_())];
                let more = parts.iter().filter_map(|(label, text)| text.map(|t| format!("\n  {label}: {t}"))).collect();
                Self { code: db.code().code().into(), message: db.message().into(), more }
            }
            None => Self { code: CONNECTION_LOST.into(), message: error.to_string(), more: String::new() },
        }
    }
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.code, self.message, self.more)
    }
}

impl std::error::Error for PgError {}

pub type Result<T> = std::result::Result<T, PgError>;

/// Opens a connection whose application_name is its purpose.
pub fn connect(url: &str, purpose: &str) -> Result<Client> {
    let mut config: postgres::Config = url.parse()?;
    config.application_name(&format!("imat-oracle {purpose}"));
    let mut client = config.connect(NoTls)?;
    // Without statistics tables look so large that JIT compilation would be used.
    client.batch_execute("SET client_min_messages = warning; SET deadlock_timeout = '300ms'; SET jit = off")?;
    Ok(client)
}

/// The server's version, such as 150018.
pub fn version(client: &mut Client) -> Result<u32> {
    Ok(scalar(client, "SHOW server_version_num")?.and_then(|v| v.parse().ok()).unwrap_or(0))
}

/// The backend's process id.
pub fn backend_pid(client: &mut Client) -> Result<i32> {
    Ok(scalar(client, "SELECT pg_backend_pid()")?.and_then(|v| v.parse().ok()).unwrap_or(0))
}

/// A row of text values.
pub type Row = Vec<Option<String>>;

/// The rows of every statement in `sql`, as text.
pub fn query_all(client: &mut Client, sql: &str) -> Result<Vec<Vec<Row>>> {
    let (mut results, mut rows) = (Vec::new(), Vec::new());
    for message in client.simple_query(sql)? {
        match message {
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(_) => results.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    Ok(results)
}

/// The rows of one statement, as text.
pub fn query(client: &mut Client, sql: &str) -> Result<Vec<Row>> {
    Ok(query_all(client, sql)?.pop().unwrap_or_default())
}

/// The first value of the first row.
pub fn scalar(client: &mut Client, sql: &str) -> Result<Option<String>> {
    Ok(query(client, sql)?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

/// Rolls back prepared transactions that an interrupted run has left in this database.
pub fn end_prepared(client: &mut Client) -> Result<()> {
    let left = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE 'imat-oracle%'";
    for gid in query(client, left)?.into_iter().flatten().flatten() {
        client.batch_execute(&format!("ROLLBACK PREPARED {}", literal(&gid)))?;
    }
    Ok(())
}

/// An identifier, always quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_doubles_the_quote() {
        assert_eq!(ident(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal("it's"), "'it''s'");
    }
}
