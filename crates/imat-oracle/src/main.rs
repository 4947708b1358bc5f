//! The command line of the checks.

use clap::{Args, Parser, Subcommand};
use imat_oracle::target::Target;
use imat_oracle::{faults, history, isolation, online, random, readers};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Checks that pg_imat's maintained tables always equal their views' queries", version)]
struct Cli {
    #[command(subcommand)]
    check: Check,
}

#[derive(Args)]
struct Server {
    /// Connection string, such as 'host=/socket/folder user=postgres dbname=test'
    #[arg(long)]
    url: String,
    /// What maintains the tables; the stand-ins prove that the checks can pass and fail
    #[arg(long, value_enum, default_value = "extension")]
    target: Target,
    /// Short for --target plain
    #[arg(long)]
    plain: bool,
}

impl Server {
    fn target(&self) -> Target {
        if self.plain { Target::Plain } else { self.target }
    }
}

#[derive(Subcommand)]
enum Check {
    /// Random views under random statements, compared after every one
    Random {
        #[command(flatten)]
        server: Server,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many statements to check, in whole rounds
        #[arg(long, default_value_t = 2000)]
        statements: u64,
        /// Views per round; four to ten unless given
        #[arg(long)]
        views_per_round: Option<usize>,
        #[arg(long, default_value_t = 100)]
        statements_per_round: u64,
        /// Replay this one round
        #[arg(long)]
        round: Option<u64>,
        /// Where the history of a failing round is written
        #[arg(long, default_value = "oracle-failures")]
        out: PathBuf,
        /// Go on after a difference
        #[arg(long)]
        keep_going: bool,
        /// Reduce a failing round to few statements before reporting it
        #[arg(long)]
        shrink: bool,
    },
    /// Interleaved transactions with their expected results and SQLSTATEs
    Isolation {
        #[command(flatten)]
        server: Server,
        /// When the sessions' changes are applied (imat.flush)
        #[arg(long, value_enum, default_value = "commit")]
        flush: isolation::spec::Flush,
        /// Only specs whose name contains this
        #[arg(long)]
        filter: Option<String>,
        /// One level; all three unless given
        #[arg(long, value_enum)]
        level: Option<isolation::Level>,
        #[arg(long, value_enum, default_value = "all")]
        depth: isolation::Depth,
        /// Run this many generated interleavings instead of the specs
        #[arg(long)]
        exhaustive: Option<u64>,
        /// See that a spec fails for every lock that is left out; needs scripts/mutants
        #[arg(long)]
        mutants: bool,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print every step's outcome
        #[arg(long)]
        show: bool,
    },
    /// Errors, cancels, timeouts and full disks at every point of a change
    Faults {
        #[command(flatten)]
        server: Server,
        /// Only sets of views whose name contains this
        #[arg(long)]
        filter: Option<String>,
        /// Errors come at every so many-th point, the slower kinds of faults at a twelfth of these
        #[arg(long, default_value_t = 1)]
        stride: u64,
        /// With which point to begin
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Many clients with rollbacks and cancels against one repeatable reader
    History {
        #[command(flatten)]
        server: Server,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        #[arg(long, default_value_t = 32)]
        clients: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A shell command that kills the server and starts it again
        #[arg(long)]
        crash: Option<String>,
        /// How many seconds lie between two crashes
        #[arg(long, default_value_t = 7)]
        crash_every: u64,
    },
    /// Tables that are built online under writers, cut short and built again
    Online {
        /// Connection string; the extension is dropped and created in that database
        #[arg(long)]
        url: String,
        #[arg(long, default_value_t = 4)]
        writers: u64,
    },
    /// Maintained tables of one table that come and go while others write it
    Readers {
        /// Connection string; the extension is dropped and created in that database
        #[arg(long)]
        url: String,
        /// How many pairs of one that stays and one that comes and goes; 30 is each once
        #[arg(long, default_value_t = 12)]
        pairs: usize,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().check {
        Check::Random {
            server,
            seed,
            statements,
            views_per_round,
            statements_per_round,
            round,
            out,
            keep_going,
            shrink,
        } => random::run(&random::Options {
            target: server.target(),
            url: server.url,
            seed,
            statements,
            views_per_round,
            statements_per_round,
            round,
            out,
            keep_going,
            shrink,
        }),
        Check::Isolation { server, flush, filter, level, depth, exhaustive, mutants, seed, show } => {
            isolation::run(&isolation::Options {
                target: server.target(),
                url: server.url,
                flush,
                filter,
                level,
                depth,
                exhaustive,
                mutants,
                seed,
                show,
            })
        }
        Check::Faults { server, filter, stride, seed } => faults::run(&faults::Options {
            target: server.target(),
            url: server.url,
            filter,
            stride: stride.max(1),
            seed,
        }),
        Check::History { server, seconds, clients, seed, crash, crash_every } => history::run(&history::Options {
            target: server.target(),
            url: server.url,
            seconds,
            clients,
            seed,
            crash,
            crash_every,
        }),
        Check::Online { url, writers } => online::run(&online::Options { url, writers }),
        Check::Readers { url, pairs, seed } => readers::run(&readers::Options { url, pairs, seed }),
    };
    match outcome {
        Ok(tally) => tally.finish(),
        Err(error) => {
            eprintln!("imat-oracle: {error}");
            println!("0 passed, 1 failed");
            ExitCode::from(2)
        }
    }
}
