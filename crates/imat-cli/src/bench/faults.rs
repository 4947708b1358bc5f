//! What was slow once, as ratios to what it is measured by: each case at two sizes, in turns.
//!
//! A ratio that grows with the size is a statement that reads or writes more than what it concerns.

use crate::client::connect_quietly;
use crate::{stats, text};
use anyhow::{Context, Result};
use comfy_table::Table;
use postgres::Client;
use std::time::Instant;

const ROUNDS: i64 = 5;

/// What a statement over maintained tables is compared with.
enum Against {
    /// The same statement over the same tables without them.
    Plain,
    /// The query that runs again.
    Query(&'static str),
    /// The same statement while nothing looks at DDL.
    WithoutEventTriggers,
}

/// In its texts `{n}` is the size, and `{k}` the number of the run, from 1, which no other run has.
struct Case {
    name: &'static str,
    what: &'static str,
    sizes: [i64; 2],
    tables: &'static str,
    /// The maintained tables, lower ones first, with their queries.
    views: &'static [(&'static str, &'static str)],
    statement: &'static str,
    against: Against,
}

const CASES: [Case; 8] = [
    Case {
        name: "whole",
        what: "an order comes; customers LEFT JOIN orders, run again (to the query)",
        sizes: [10_000, 40_000],
        tables: "CREATE TABLE orders (id int PRIMARY KEY, customer int);
            CREATE TABLE lines (ord int, amount int); CREATE INDEX ON lines (ord);
            INSERT INTO orders SELECT i, i % 100 FROM generate_series(1, {n}) AS i;
            INSERT INTO lines SELECT (hashint4(i) & 2147483647) % {n}, i % 97 FROM generate_series(1, {n} * 7) AS i;",
        views: &[("fault", LEFT_JOIN)],
        statement: "INSERT INTO orders VALUES (-{k}, 1)",
        against: Against::Query(LEFT_JOIN),
    },
    Case {
        name: "cascade",
        what: "a parent and its ten children go",
        sizes: [50_000, 500_000],
        tables: "CREATE TABLE parent (id int PRIMARY KEY, g int);
            CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE, n int);
            CREATE INDEX ON child (parent);
            INSERT INTO parent SELECT i, i % 100 FROM generate_series(0, {n} / 10) AS i;
            INSERT INTO child SELECT i, i / 10, i % 97 FROM generate_series(1, {n}) AS i;",
        views: &[(
            "fault",
            "SELECT p.g, count(*) AS k, sum(c.n) AS s FROM parent p JOIN child c ON c.parent = p.id GROUP BY p.g",
        )],
        statement: "DELETE FROM parent WHERE id = {k}",
        against: Against::Plain,
    },
    Case {
        name: "within_or",
        what: "60 rows of a table that is joined within OR change",
        sizes: [30_000, 300_000],
        tables: "CREATE TABLE dim (id int PRIMARY KEY, g int); CREATE TABLE fact (dim int, other int, n int);
            CREATE TABLE other (id int, g int); CREATE INDEX ON fact (dim);
            INSERT INTO dim SELECT i, i % 10 FROM generate_series(0, {n} / 10) AS i;
            INSERT INTO other SELECT i, i FROM generate_series(0, 10) AS i;
            INSERT INTO fact SELECT i / 10, i % 10, i % 97 FROM generate_series(1, {n}) AS i;",
        views: &[(
            "fault",
            "SELECT d.g, count(*) AS k, sum(f.n) AS s FROM fact f, dim d, other o WHERE f.other = o.id
             AND ((d.id = f.dim AND d.g < 5) OR (d.id = f.dim AND f.n > 9)) GROUP BY d.g",
        )],
        statement: "UPDATE dim SET g = (g + 1) % 10 WHERE id >= {k} * 60 AND id < {k} * 60 + 60",
        against: Against::Plain,
    },
    Case {
        name: "emptied",
        what: "4,000 groups are emptied",
        sizes: [100_000, 600_000],
        tables: "CREATE TABLE t (g int, n int); CREATE INDEX ON t (g);
            INSERT INTO t SELECT i, i % 97 FROM generate_series(0, {n}) AS i;",
        views: &[("fault", "SELECT g, count(*) AS k, sum(n) AS s FROM t GROUP BY g")],
        statement: "DELETE FROM t WHERE g >= {k} * 4000 AND g < {k} * 4000 + 4000",
        against: Against::Plain,
    },
    Case {
        name: "date_trunc",
        what: "the least value of an hour goes",
        sizes: [50_000, 200_000],
        tables: "CREATE TABLE t (at timestamptz NOT NULL, n int); CREATE INDEX ON t (at);
            INSERT INTO t SELECT timestamptz '2024-01-01' + i * interval '1 minute', i % 60
            FROM generate_series(0, {n}) AS i;",
        views: &[(
            "fault",
            "SELECT date_trunc('hour', at) AS h, min(n) AS least FROM t GROUP BY date_trunc('hour', at)",
        )],
        statement: "DELETE FROM t WHERE at = timestamptz '2024-01-01' + {k} * interval '1 hour'",
        against: Against::Plain,
    },
    Case {
        name: "over_rows",
        what: "a row comes; a maintained table over one without aggregates",
        sizes: [20_000, 100_000],
        tables: "CREATE TABLE t (id int PRIMARY KEY, g int, n int);
            INSERT INTO t SELECT i, i % 100, i % 97 FROM generate_series(1, {n}) AS i;",
        views: &[
            ("fault_rows", "SELECT id, g, n FROM t WHERE n > 3"),
            ("fault", "SELECT g, count(*) AS k, sum(n) AS s FROM imat.fault_rows GROUP BY g"),
        ],
        statement: "INSERT INTO t VALUES (-{k}, 1, 10)",
        against: Against::Plain,
    },
    Case {
        name: "ddl",
        what: "DDL that concerns no maintained table, beside one over partitions",
        sizes: [100, 400],
        tables: "CREATE TABLE t (id int, n int) PARTITION BY RANGE (id);
            DO $$ BEGIN FOR i IN 1..{n} LOOP
                EXECUTE format('CREATE TABLE t_%s PARTITION OF t FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
            END LOOP; END $$;",
        views: &[("fault", "SELECT n, count(*) AS k FROM t GROUP BY n")],
        statement: "CREATE TABLE beside_{k} (id int); DROP TABLE beside_{k}",
        against: Against::WithoutEventTriggers,
    },
    Case {
        name: "wide",
        what: "one of 25 nations is renamed (to the query)",
        sizes: [10_000, 100_000],
        tables: "CREATE TABLE nation (id int PRIMARY KEY, name text);
            CREATE TABLE customer (id int PRIMARY KEY, nation int); CREATE INDEX ON customer (nation);
            CREATE TABLE orders (id int PRIMARY KEY, customer int, amount int); CREATE INDEX ON orders (customer);
            INSERT INTO nation SELECT i, 'n' || i FROM generate_series(0, 24) AS i;
            INSERT INTO customer SELECT i, i % 25 FROM generate_series(1, {n} / 10) AS i;
            INSERT INTO orders SELECT i, 1 + (hashint4(i) & 2147483647) % ({n} / 10), i % 97
            FROM generate_series(1, {n} * 5) AS i;",
        views: &[("fault", BY_NATION)],
        statement: "UPDATE nation SET name = name || '!' WHERE id = {k} % 25",
        against: Against::Query(BY_NATION),
    },
];

const LEFT_JOIN: &str = "SELECT o.customer, count(l.ord) AS k, sum(l.amount) AS s
    FROM orders o LEFT JOIN lines l ON l.ord = o.id GROUP BY o.customer";
const BY_NATION: &str = "SELECT n.name, count(*) AS k, sum(o.amount) AS s FROM nation n
    JOIN customer c ON c.nation = n.id JOIN orders o ON o.customer = c.id GROUP BY n.name";

/// Measures all cases, and prints a table.
pub fn run(url: &str) -> Result<()> {
    let mut client = connect_quietly(url)?;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_imat SCHEMA public")?;
    let mut table = text::table(&["case", "what", "size", "compared", "takes", "ratio"], &[2, 3, 4, 5]);
    for case in &CASES {
        for size in case.sizes {
            measure(&mut client, case, size, &mut table)
                .with_context(|| format!("the case {} of {size} failed", case.name))?;
        }
    }
    println!("{table}");
    println!("(medians of {ROUNDS}; a ratio that grows with the size is what to look for)");
    Ok(())
}

fn measure(client: &mut Client, case: &Case, size: i64, table: &mut Table) -> Result<()> {
    let text = |text: &str, run: i64| text.replace("{n}", &size.to_string()).replace("{k}", &run.to_string());
    for schema in ["faults_plain", "faults"] {
        client.batch_execute(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}, public"))?;
        client.batch_execute(&text(case.tables, 0))?;
    }
    for (name, query) in case.views {
        client.batch_execute(&format!("CREATE VIEW {name} AS {query}; SELECT create_imat('{name}')"))?;
    }
    client.batch_execute("VACUUM ANALYZE")?;
    let (mut compared, mut taken) = (Vec::new(), Vec::new());
    // The first run compiles and plans.
    for run in 1..=ROUNDS + 1 {
        let statement = text(case.statement, run);
        let base = match case.against {
            Against::Plain => timed(client, "SET search_path = faults_plain, public", &statement)?,
            Against::Query(query) => timed(client, "SET search_path = faults, public", query)?,
            Against::WithoutEventTriggers => {
                client.batch_execute(&event_triggers("DISABLE"))?;
                let base = timed(client, "SET search_path = faults_plain, public", &statement)?;
                client.batch_execute(&event_triggers("ENABLE ALWAYS"))?;
                base
            }
        };
        let took = timed(client, "SET search_path = faults, public", &statement)?;
        if run > 1 {
            compared.push(base);
            taken.push(took);
        }
    }
    exact(client, case)?;
    let (base, took) = (stats::median(&compared), stats::median(&taken));
    let ratio = format!("{:.1}", took / base);
    let cells = [case.name, case.what, &text::count(size), &text::micros(base), &text::micros(took), &ratio];
    table.add_row(cells);
    for (name, _) in case.views.iter().rev() {
        client.batch_execute(&format!("SELECT drop_imat('imat.{name}'); DROP VIEW {name}"))?;
    }
    client.batch_execute("SET client_min_messages = warning; DROP SCHEMA faults, faults_plain CASCADE")?;
    Ok(())
}

/// How many microseconds a statement takes after another one that is not measured.
fn timed(client: &mut Client, before: &str, statement: &str) -> Result<f64> {
    client.batch_execute(before)?;
    let start = Instant::now();
    client.batch_execute(statement)?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

/// The extension's event triggers, which are all that there are.
fn event_triggers(what: &str) -> String {
    format!(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT evtname FROM pg_event_trigger LOOP
             EXECUTE format('ALTER EVENT TRIGGER %I {what}', name); END LOOP; END $$"
    )
}

/// A fast wrong answer is worth nothing.
fn exact(client: &mut Client, case: &Case) -> Result<()> {
    for (name, _) in case.views {
        let query = format!("SELECT count(*) FROM verify_imat('imat.{name}')");
        let wrong: i64 = client.query_one(&query, &[])?.get(0);
        anyhow::ensure!(wrong == 0, "{wrong} rows of imat.{name} are wrong");
    }
    Ok(())
}
