//! The tables of nycflights13 with real types and keys, filled from its files by COPY.

use super::sample;
use crate::text;
use anyhow::{Context, Result, bail};
use postgres::Client;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Parents before children. `flights.dest` has no foreign key: four airports are missing in
/// the data, as are the planes of some flights.
const TABLES: [(&str, &str); 5] = [
    ("airlines", "carrier text PRIMARY KEY, name text NOT NULL"),
    (
        "airports",
        "faa text PRIMARY KEY, name text NOT NULL, lat float8 NOT NULL, lon float8 NOT NULL,
         alt int NOT NULL, tz int NOT NULL, dst text, tzone text",
    ),
    (
        "planes",
        "tailnum text PRIMARY KEY, year int, type text, manufacturer text NOT NULL, model text,
         engines int, seats int, speed int, engine text",
    ),
    (
        "weather",
        "origin text NOT NULL, year int NOT NULL, month int NOT NULL, day int NOT NULL,
         hour int NOT NULL, temp numeric, dewp numeric, humid numeric, wind_dir int,
         wind_speed numeric, wind_gust numeric, precip numeric, pressure numeric,
         visib numeric NOT NULL, time_hour timestamptz NOT NULL, PRIMARY KEY (origin, time_hour)",
    ),
    (
        "flights",
        "year int NOT NULL, month int NOT NULL, day int NOT NULL, dep_time int,
         sched_dep_time int NOT NULL, dep_delay int, arr_time int, sched_arr_time int NOT NULL,
         arr_delay int, carrier text NOT NULL REFERENCES airlines, flight int NOT NULL,
         tailnum text, origin text NOT NULL REFERENCES airports, dest text NOT NULL,
         air_time int, distance int NOT NULL, hour int NOT NULL, minute int NOT NULL,
         time_hour timestamptz NOT NULL, PRIMARY KEY (time_hour, carrier, flight)",
    ),
];

/// What an application with these joins and routes would have anyway.
const INDEXES: &str = "CREATE INDEX ON flights (tailnum);
    CREATE INDEX ON flights (origin, dest);
    CREATE INDEX ON flights (dest);
    CREATE INDEX ON flights (carrier, tailnum);
    CREATE INDEX ON flights (origin, time_hour);";

/// Creates and fills the tables; refuses to touch a database that has them.
pub fn load(client: &mut Client, folder: &Path) -> Result<()> {
    let exists: bool = client.query_one("SELECT to_regclass('flights') IS NOT NULL", &[])?.get(0);
    if exists {
        bail!("this database has a table named flights already; give the demo an empty one");
    }
    let real = TABLES.iter().all(|(table, _)| folder.join(format!("{table}.csv")).is_file());
    if !real {
        announce_sample(folder);
    }
    let bar = text::steps(TABLES.len() as u64 + 1);
    let mut loaded = Vec::new();
    for (table, columns) in TABLES {
        bar.set_message(format!("loading {table}"));
        client.batch_execute(&format!("CREATE TABLE {table} ({columns})"))?;
        let csv = if real {
            let file = folder.join(format!("{table}.csv"));
            fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?
        } else {
            sample::csv(table).into_bytes()
        };
        let rows = copy(client, table, &csv).with_context(|| format!("cannot load {table}"))?;
        loaded.push(format!("{table} {}", text::count(rows)));
        bar.inc(1);
    }
    bar.set_message("indexing");
    client.batch_execute(INDEXES)?;
    client.batch_execute("VACUUM ANALYZE")?;
    bar.finish_and_clear();
    println!("loaded {}", loaded.join(", "));
    Ok(())
}

fn copy(client: &mut Client, table: &str, csv: &[u8]) -> Result<i64> {
    let statement = format!("COPY {table} FROM STDIN (FORMAT csv, HEADER, NULL 'NA')");
    let mut writer = client.copy_in(&statement)?;
    for chunk in csv.chunks(1 << 20) {
        writer.write_all(chunk)?;
    }
    Ok(i64::try_from(writer.finish()?)?)
}

fn announce_sample(folder: &Path) {
    println!("********************************************************************************");
    println!("nycflights13 is not in {}:", folder.display());
    println!("using a small GENERATED SAMPLE of the same shape. Run scripts/setup-data with a");
    println!("network for the real 336,776 flights. The figures below say little about them.");
    println!("********************************************************************************");
}
