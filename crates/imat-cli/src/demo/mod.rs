//! `imat demo`: real data, real materialized views, one `create_imat` each, then changes from
//! several clients, and the comparison that counts: is every maintained table still exact?

mod data;
mod measure;
mod sample;
mod traffic;
mod views;

use crate::{client, text};
use anyhow::{Result, bail};
use clap::Args;
use measure::Costs;
use postgres::Client;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use views::{VIEWS, View};

#[derive(Args)]
pub struct Options {
    /// Connection string of an empty database with the extension available
    #[arg(long, env = "IMAT_URL")]
    url: String,
    /// The folder with the CSV files of nycflights13; without them a sample is generated
    #[arg(long)]
    data: PathBuf,
    /// How long the clients change the data
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many clients change it at once
    #[arg(long, default_value_t = 4)]
    clients: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let mut client = client::connect(&options.url)?;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_imat")?;
    data::load(&mut client, &options.data)?;
    materialize(&mut client)?;
    let costs = measure::all(&mut client)?;
    convert(&mut client)?;
    println!(
        "{} clients insert, update and delete for {} s, with all {} views maintained …",
        options.clients,
        options.seconds,
        VIEWS.len()
    );
    let before = checksums(&mut client)?;
    let done = traffic::run(&options.url, options.clients, Duration::from_secs(options.seconds))?;
    println!("{done}");
    let after = checksums(&mut client)?;
    report(&mut client, &costs, &before, &after)
}

/// The materialized views as anybody would have them, before pg_imat comes in.
fn materialize(client: &mut Client) -> Result<()> {
    for view in &VIEWS {
        client.batch_execute(&format!("CREATE MATERIALIZED VIEW {} AS {}", view.name, view.query))?;
    }
    Ok(())
}

fn convert(client: &mut Client) -> Result<()> {
    println!("SELECT create_imat('…') for each view:");
    for view in &VIEWS {
        let start = Instant::now();
        let made = create(client, view)?;
        println!("  {made:<32} {:>8}", text::micros(start.elapsed().as_secs_f64() * 1e6));
    }
    Ok(())
}

fn create(client: &mut Client, view: &View) -> Result<String> {
    let row = client.query_one("SELECT create_imat($1::text)::text", &[&view.name])?;
    Ok(row.get(0))
}

/// One figure per maintained table that changes with its content: proof that the traffic
/// reached it, without which "exact" would say nothing.
fn checksums(client: &mut Client) -> Result<Vec<i64>> {
    let sum = |view: &View| {
        let query = format!("SELECT coalesce(sum(hashtext(v::text)), 0)::bigint FROM imat.{} v", view.name);
        Ok(client.query_one(&query, &[])?.get(0))
    };
    VIEWS.iter().map(sum).collect()
}

fn report(client: &mut Client, costs: &[Costs], before: &[i64], after: &[i64]) -> Result<()> {
    let header = [
        "view",
        "what it has",
        "rows",
        "strategy",
        "cost per insert",
        "REFRESH",
        "REFRESH ÷ cost",
        "changed",
        "verify_imat",
    ];
    let mut table = text::table(&header, &[2, 4, 5, 6]);
    let mut wrong = 0;
    for (index, (view, cost)) in VIEWS.iter().zip(costs).enumerate() {
        let name = format!("imat.{}", view.name);
        let rows: i64 = client.query_one(&format!("SELECT count(*) FROM {name}"), &[])?.get(0);
        let status = "SELECT strategy FROM imat_status WHERE name::oid = $1::text::regclass::oid";
        let strategy: String = client.query_one(status, &[&name])?.get(0);
        let differences: i64 = client.query_one("SELECT count(*) FROM verify_imat($1)", &[&name])?.get(0);
        wrong += usize::from(differences != 0);
        table.add_row([
            view.name.to_owned(),
            view.what.to_owned(),
            text::count(rows),
            strategy,
            signed(cost.added()),
            text::micros(cost.refresh),
            format!("{:.0}", cost.refresh / cost.added().max(1.0)),
            if before[index] == after[index] { "no" } else { "yes" }.to_owned(),
            if differences == 0 { "exact".to_owned() } else { format!("{differences} rows differ") },
        ]);
    }
    println!("{table}");
    println!(
        "cost per insert: median of a single-row INSERT into flights with only that view maintained,\n\
         less the same without any ({} in this run). REFRESH: median of three.",
        text::micros(crate::stats::median(&costs.iter().map(|c| c.bare).collect::<Vec<_>>()))
    );
    if wrong > 0 {
        bail!("{wrong} of {} maintained tables differ from their query", VIEWS.len());
    }
    Ok(())
}

/// A difference of two medians can come out below zero where it is less than their noise.
fn signed(micros: f64) -> String {
    let sign = if micros < 0.0 { '-' } else { '+' };
    format!("{sign} {}", text::micros(micros.abs()))
}
