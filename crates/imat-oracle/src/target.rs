//! What maintains the tables under test: the extension, or a stand-in.
//!
//! The stand-ins test the checks themselves: [`Target::Plain`] must always pass, [`Target::Stale`] must fail as soon as
//! a change is visible, and [`Target::Naive`] must pass with one session and fail with concurrent ones.

use crate::bag::{self, Difference, Kind};
use crate::pg::{self, PgError, Result, Row, ident, literal};
use clap::ValueEnum;
use postgres::Client;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The extension.
    Extension,
    /// A plain view: always right.
    Plain,
    /// A materialized view that is never refreshed: always wrong.
    Stale,
    /// A table that triggers recompute without locks: right as long as sessions don't overlap.
    Naive,
}

/// How a view is given to the extension. Each way must lead to the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Materialized,
    MaterializedNoData,
    PlainView,
    Query,
}

const NAIVE: &str = r#"
CREATE OR REPLACE FUNCTION imat.naive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('DELETE FROM imat.%I', TG_ARGV[0]);
  EXECUTE format('INSERT INTO imat.%I SELECT * FROM %s', TG_ARGV[0], TG_ARGV[1]);
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION imat.naive_hook(schema text, view text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE t regclass;
BEGIN
  FOR t IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = schema::regnamespace AND c.relkind IN ('r', 'p') LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s EXECUTE FUNCTION imat.naive(%L, %L)',
      'naive_' || md5(view), t, view, schema || '.' || quote_ident(view));
  END LOOP;
END $$;
"#;

impl Target {
    /// Creates the extension, or the schema `imat`, in this database.
    pub fn install(self, client: &mut Client) -> Result<()> {
        let sql = match self {
            Target::Extension => "CREATE EXTENSION IF NOT EXISTS pg_imat".to_owned(),
            Target::Naive => format!("CREATE SCHEMA IF NOT EXISTS imat; {NAIVE}"),
            Target::Plain | Target::Stale => "CREATE SCHEMA IF NOT EXISTS imat".to_owned(),
        };
        client.batch_execute(&sql)?;
        Ok(())
    }

    /// The statements that define `schema.view` and create `imat.view`.
    pub fn create_sql(self, schema: &str, view: &str, query: &str, origin: Origin) -> String {
        let (s, v) = (ident(schema), ident(view));
        let called = literal(&format!("{s}.{v}"));
        match (self, origin) {
            (Target::Extension, Origin::Materialized) => {
                format!("CREATE MATERIALIZED VIEW {s}.{v} AS\n{query};\nSELECT create_imat({called})")
            }
            (Target::Extension, Origin::MaterializedNoData) => {
                format!("CREATE MATERIALIZED VIEW {s}.{v} AS\n{query}\nWITH NO DATA;\nSELECT create_imat({called})")
            }
            (Target::Extension, Origin::PlainView) => {
                format!("CREATE VIEW {s}.{v} AS\n{query};\nSELECT create_imat({called}, 'imat')")
            }
            (Target::Extension, Origin::Query) => {
                format!("SELECT create_imat({}, query => $imat$\n{query}$imat$)", literal(&v))
            }
            (Target::Plain, _) => format!("CREATE VIEW imat.{v} AS\n{query}"),
            (Target::Stale, _) => format!("CREATE MATERIALIZED VIEW imat.{v} AS\n{query}"),
            (Target::Naive, _) => format!(
                "CREATE VIEW {s}.{v} AS\n{query};\nCREATE TABLE imat.{v} AS TABLE {s}.{v};\n\
                 SELECT imat.naive_hook({}, {})",
                literal(&s),
                literal(view)
            ),
        }
    }

    /// The statement that drops `imat.view`.
    pub fn drop_sql(self, view: &str) -> String {
        let v = ident(view);
        match self {
            Target::Extension => format!("SELECT drop_imat({})", literal(&format!("imat.{v}"))),
            Target::Plain => format!("DROP VIEW imat.{v}"),
            Target::Stale => format!("DROP MATERIALIZED VIEW imat.{v}"),
            Target::Naive => format!("DROP TABLE imat.{v}"),
        }
    }

    /// The statement that drops the source of `imat.view`, if it still exists.
    pub fn drop_source_sql(self, schema: &str, view: &str, origin: Origin) -> Option<String> {
        let name = format!("{}.{}", ident(schema), ident(view));
        match (self, origin) {
            (Target::Extension, Origin::Materialized | Origin::MaterializedNoData) => {
                Some(format!("DROP MATERIALIZED VIEW {name}"))
            }
            (Target::Extension, Origin::PlainView) | (Target::Naive, _) => Some(format!("DROP VIEW {name}")),
            (Target::Extension, Origin::Query) | (Target::Plain | Target::Stale, _) => None,
        }
    }

    /// Removes what an interrupted run has left in `imat`, dependent objects first.
    pub fn sweep(self, client: &mut Client) -> Result<()> {
        // These may read objects in `imat`.
        let views = "SELECT CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END || 'VIEW IF EXISTS ' || c.oid::regclass \
                     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname NOT LIKE 'imat%' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
                     AND (c.relkind = 'm' OR c.relkind = 'v' AND pg_get_viewdef(c.oid) LIKE '% imat.%') ORDER BY c.oid DESC";
        for view in pg::query(client, views)?.into_iter().flatten().flatten() {
            client.batch_execute(&format!("DROP {view} CASCADE"))?;
        }
        let left = "SELECT c.relname, c.relkind FROM pg_class c WHERE c.relnamespace = 'imat'::regnamespace \
                    AND c.relkind IN ('r', 'v', 'm') ORDER BY c.oid DESC";
        for row in pg::query(client, left)? {
            let [Some(name), Some(kind)] = row.as_slice() else {
                continue;
            };
            let sql = match (self, kind.as_str()) {
                (Target::Extension, _) => self.drop_sql(name),
                (_, "v") => format!("DROP VIEW imat.{} CASCADE", ident(name)),
                (_, "m") => format!("DROP MATERIALIZED VIEW imat.{}", ident(name)),
                _ => format!("DROP TABLE imat.{}", ident(name)),
            };
            client.batch_execute(&sql)?;
        }
        Ok(())
    }

    /// The strategy that `imat_status` reports.
    pub fn strategy(self, client: &mut Client, view: &str) -> Result<String> {
        if self != Target::Extension {
            return Ok(format!("{self:?}").to_lowercase());
        }
        let name = literal(&format!("imat.{}", ident(view)));
        let sql = format!("SELECT strategy FROM imat_status WHERE name = {name}::regclass");
        Ok(pg::scalar(client, &sql)?.unwrap_or_else(|| "not in imat_status".to_owned()))
    }

    /// The construct for which `imat_status` says that the view is recomputed whole; `None` for the stand-ins.
    pub fn construct(self, client: &mut Client, view: &str) -> Result<Option<String>> {
        if self != Target::Extension {
            return Ok(None);
        }
        let name = literal(&format!("imat.{}", ident(view)));
        pg::scalar(client, &format!("SELECT construct FROM imat_status WHERE name = {name}::regclass"))
    }

    /// The differences that `verify_imat` reports; none for the stand-ins.
    pub fn verify(self, client: &mut Client, view: &str) -> Result<Vec<Row>> {
        match self {
            Target::Extension => {
                let name = literal(&format!("imat.{}", ident(view)));
                pg::query(client, &format!("SELECT * FROM verify_imat({name})"))
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// A maintained table and the query that it must always equal.
#[derive(Debug, Clone)]
pub struct Maintained {
    pub name: String,
    pub query: String,
    pub kinds: Vec<Kind>,
}

impl Maintained {
    /// Checks that both results have columns with the same names and types.
    pub fn describe(client: &mut Client, name: &str, query: &str) -> Result<Self> {
        let table = client.prepare(&format!("SELECT * FROM imat.{}", ident(name)))?;
        let view = client.prepare(query)?;
        let columns = |s: &postgres::Statement| -> Vec<String> {
            s.columns().iter().map(|c| format!("{} {}", c.name(), c.type_())).collect()
        };
        if columns(&table) != columns(&view) {
            return Err(PgError {
                code: "columns".into(),
                message: format!("imat.{name} has columns {:?}, its view {:?}", columns(&table), columns(&view)),
                more: String::new(),
            });
        }
        let kinds = view.columns().iter().map(|c| Kind::of(c.type_())).collect();
        Ok(Self { name: name.to_owned(), query: query.to_owned(), kinds })
    }

    /// Both queries in one text of two statements.
    pub fn comparison_sql(&self) -> String {
        format!("SELECT * FROM imat.{};\n{};\n", ident(&self.name), self.query)
    }
}

/// The result of one comparison of several tables.
pub struct Found {
    pub view: usize,
    pub difference: Difference,
    pub expected: Vec<Row>,
    pub actual: Vec<Row>,
}

/// Compares all tables in one round trip; returns the first difference. Outside of a transaction with one snapshot this
/// is only valid if no other session writes.
pub fn compare(client: &mut Client, tables: &[Maintained]) -> Result<Option<Found>> {
    let sql: String = tables.iter().map(Maintained::comparison_sql).collect();
    let mut results = pg::query_all(client, &sql)?.into_iter();
    for (view, table) in tables.iter().enumerate() {
        let actual = results.next().unwrap_or_default();
        let expected = results.next().unwrap_or_default();
        let difference = bag::difference(&expected, &actual, &table.kinds);
        if !difference.is_empty() {
            return Ok(Some(Found { view, difference, expected, actual }));
        }
    }
    Ok(None)
}

/// Whether these tables equal their queries under one snapshot, while other sessions write. Prints the first
/// difference.
pub fn agree(client: &mut Client, views: &[(&str, &str)]) -> bool {
    let found = compare_in_one_snapshot(client, views);
    match &found {
        Ok(None) => {}
        Ok(Some(found)) => {
            for (label, rows) in [("missing", &found.difference.missing), ("extra", &found.difference.extra)] {
                rows.iter().take(5).for_each(|row| println!("  {} {label} {}", views[found.view].0, bag::show(row)));
            }
        }
        Err(error) => println!("  {error}"),
    }
    matches!(found, Ok(None))
}

fn compare_in_one_snapshot(client: &mut Client, views: &[(&str, &str)]) -> Result<Option<Found>> {
    let tables: Vec<Maintained> =
        views.iter().map(|(name, query)| Maintained::describe(client, name, query)).collect::<Result<_>>()?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let found = compare(client, &tables);
    client.batch_execute("ROLLBACK")?;
    found
}
