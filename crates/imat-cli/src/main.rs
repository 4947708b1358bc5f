//! `imat`: a demonstration and a comparison of pg_imat, and thin clients of its functions.
//!
//! **Invariant:** this is a client like any other: it knows the extension's SQL and nothing else.

mod bench;
mod client;
mod demo;
mod stats;
mod text;
mod verbs;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "imat", version, about = "Materialized views that are always current")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load real data, convert materialized views, change the data and compare.
    Demo(demo::Options),
    /// Compare no view, a hand-written trigger, pg_imat, REFRESH and pg_ivm in one run.
    Bench(bench::Options),
    /// List the maintained tables.
    Ls(verbs::Server),
    /// Make a maintained table from a view, or from a query under a new name.
    Create(verbs::Create),
    /// Compare maintained tables with their queries; fails if any differs.
    Verify(verbs::Verify),
    /// Show how one table is maintained.
    Explain(verbs::Explain),
}

fn main() -> std::process::ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Ls(server) => verbs::ls(&server),
        Command::Create(options) => verbs::create(&options),
        Command::Verify(options) => verbs::verify(&options),
        Command::Explain(options) => verbs::explain(&options),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) if client::is_closed_pipe(&error) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", client::describe(&error));
            std::process::ExitCode::FAILURE
        }
    }
}
