//! Thin clients of the extension's functions: what they add is a table or an exit status.

use crate::{client, text};
use anyhow::{Result, bail};
use clap::Args;
use std::io::Write;

#[derive(Args)]
pub struct Server {
    /// Connection string, such as "host=/run/postgresql user=me dbname=mine"
    #[arg(long, env = "IMAT_URL")]
    url: String,
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    server: Server,
    /// A view or materialized view, or the new name when --query is given
    view: String,
    /// The schema of the maintained table
    #[arg(long, default_value = "imat")]
    schema: String,
    /// Maintain this query instead of a view's
    #[arg(long)]
    query: Option<String>,
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    server: Server,
    /// Maintained tables; all of them when none is named
    names: Vec<String>,
    /// Correct what differs
    #[arg(long)]
    repair: bool,
}

#[derive(Args)]
pub struct Explain {
    #[command(flatten)]
    server: Server,
    name: String,
}

pub fn ls(server: &Server) -> Result<()> {
    let query = "SELECT name::text, strategy, source, rows, pg_size_pretty(size), \
                        CASE WHEN stale IS NULL THEN status ELSE 'stale' END \
                 FROM imat_status ORDER BY name::text";
    let mut table = text::table(&["name", "strategy", "source", "rows", "size", "status"], &[3, 4]);
    for row in client::connect(&server.url)?.query(query, &[])? {
        let rows: Option<i64> = row.get(3);
        table.add_row([
            row.get::<_, String>(0),
            row.get::<_, String>(1),
            row.get::<_, Option<String>>(2).unwrap_or_default(),
            rows.map(text::count).unwrap_or_default(),
            row.get::<_, Option<String>>(4).unwrap_or_default(),
            row.get::<_, String>(5),
        ]);
    }
    line(format_args!("{table}"))?;
    Ok(())
}

pub fn create(options: &Create) -> Result<()> {
    let row = client::connect(&options.server.url)?.query_one(
        "SELECT create_imat($1::text, schema => $2, query => $3)::text",
        &[&options.view, &options.schema, &options.query],
    )?;
    line(format_args!("{}", row.get::<_, String>(0)))?;
    Ok(())
}

pub fn verify(options: &Verify) -> Result<()> {
    let mut client = client::connect(&options.server.url)?;
    let mut names = options.names.clone();
    if names.is_empty() {
        for row in client.query("SELECT name::text, status FROM imat_status ORDER BY 1", &[])? {
            match (row.get::<_, String>(0), row.get::<_, &str>(1)) {
                (name, "ready" | "stale") => names.push(name),
                (name, status) => line(format_args!("{name}: {status}"))?,
            }
        }
    }
    let mut wrong = 0;
    for name in &names {
        let rows = client.query(
            "SELECT difference, times, \"row\"::text FROM verify_imat($1, repair => $2)",
            &[name, &options.repair],
        )?;
        line(format_args!("{name}: {}", if rows.is_empty() { "exact" } else { "differs" }))?;
        for row in &rows {
            let (difference, times): (String, i64) = (row.get(0), row.get(1));
            line(format_args!("  {difference} {times} x {}", row.get::<_, String>(2)))?;
        }
        wrong += usize::from(!rows.is_empty());
    }
    match (wrong, options.repair) {
        (0, _) | (_, true) => Ok(()),
        _ => bail!("{wrong} of {} tables differ from their query", names.len()),
    }
}

pub fn explain(options: &Explain) -> Result<()> {
    let mut client = client::connect(&options.server.url)?;
    for row in client.query("SELECT * FROM explain_imat($1)", &[&options.name])? {
        line(format_args!("{}", row.get::<_, String>(0)))?;
    }
    Ok(())
}

/// Like `println!`, but an error when the reader has gone (`imat ls | head`).
fn line(text: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
