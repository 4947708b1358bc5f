//! `imat bench`: the ways of keeping one summary current, side by side in one run.
//!
//! Absolute times of a shared machine move by a third; so every figure is taken in turns with
//! the others' and is reported next to `no view`.

mod faults;
mod measures;
mod orders;
mod picture;
mod report;
mod variants;

use crate::{client, text};
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// Connection string of an empty database with the extension available
    #[arg(long, env = "IMAT_URL")]
    pub url: String,
    /// Seconds for each variant of each timed measure
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Folder for the raw figures (CSV) and the picture (SVG)
    #[arg(long)]
    pub out: PathBuf,
    /// How many clients write at once where it is about concurrency
    #[arg(long, default_value_t = 16)]
    pub clients: usize,
    /// Only these variants, such as none,imat
    #[arg(long, value_delimiter = ',')]
    pub variants: Vec<String>,
    /// Only these measures, by their names in the CSV, such as single_row,orders; or faults, alone: what was slow
    /// once, as ratios at two sizes
    #[arg(long, value_delimiter = ',')]
    pub measures: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    if options.measures == ["faults"] {
        return faults::run(&options.url);
    }
    let mut client = client::connect(&options.url)?;
    let variants = variants::available(&mut client, &options.variants)?;
    let version: String = client.query_one("SELECT version()", &[])?.get(0);
    println!("{version}");
    for variant in &variants {
        println!("  {:<12} {}", variant.name, variant.what);
        variant.create(&mut client).with_context(|| format!("cannot set up the variant {}", variant.name))?;
    }
    let measures = measures::wanted(&options.measures)?;
    let bar = text::steps(measures.len() as u64);
    let mut samples = Vec::new();
    for &measure in &measures {
        bar.set_message(measure.title);
        samples.extend(measures::take(measure, options, &variants)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let summary = report::summarize(&measures, &variants, &samples);
    println!("{}", report::table(&variants, &summary));
    println!(
        "(ratios are speed against no view, for WAL the volume against it; medians of {} rounds)",
        measures::ROUNDS
    );
    exact(&mut client, &variants)?;

    fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let csv = options.out.join("figures.csv");
    fs::write(&csv, report::csv(&samples)).with_context(|| format!("cannot write {}", csv.display()))?;
    let svg = options.out.join("figures.svg");
    picture::draw(&svg, &variants, &summary)?;
    println!("raw figures: {}\npicture: {}", csv.display(), svg.display());
    Ok(())
}

/// A fast wrong answer is worth nothing: every variant must end with the right summary.
fn exact(client: &mut postgres::Client, variants: &[&variants::Variant]) -> Result<()> {
    for variant in variants {
        for comparison in variant.comparisons() {
            let wrong: i64 = client.query_one(&comparison, &[])?.get(0);
            anyhow::ensure!(wrong == 0, "{}: {wrong} rows of a summary are wrong after the run", variant.name);
        }
    }
    println!("every summary is exact after the run");
    Ok(())
}
