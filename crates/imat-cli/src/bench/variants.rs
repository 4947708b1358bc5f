//! What is compared. Each variant has a schema of its own with the same `sales` table.

use anyhow::Result;
use postgres::Client;

pub struct Variant {
    pub name: &'static str,
    pub what: &'static str,
    /// Runs after `sales` is filled, with the variant's schema first on the search_path.
    set_up: &'static str,
    /// What a writer has to do after each of its statements.
    pub after_statement: Option<&'static str>,
    /// The relation that holds the result.
    pub summary: Option<&'static str>,
    /// The same for orders and lines, where it is compared.
    pub orders: Option<&'static str>,
}

/// How many orders there are in the beginning.
pub const ORDERS: u64 = 20_000;

const ORDERS_AND_LINES: &str = "
    CREATE TABLE orders (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      customer int NOT NULL,
      discount int NOT NULL
    );
    CREATE TABLE lines (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      ord bigint NOT NULL REFERENCES orders,
      qty int NOT NULL,
      price int NOT NULL
    );
    CREATE INDEX ON lines (ord);
    INSERT INTO orders (customer, discount) SELECT n % 1000, n % 50 FROM generate_series(1, {orders}) AS n;
    INSERT INTO lines (ord, qty, price) SELECT n % {orders} + 1, n % 9 + 1, n % 97 FROM generate_series(1, 3 * {orders}) AS n;
    ANALYZE orders, lines;";

const ORDER_QUERY: &str = "SELECT o.customer, sum(l.qty * l.price * (100 - o.discount)) AS total, count(*) AS n \
    FROM orders AS o JOIN lines AS l ON l.ord = o.id GROUP BY o.customer";

/// 1,000 groups of 100 rows: the summary that a shop would look at.
const SALES: &str = "
    CREATE TABLE sales (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      region int NOT NULL,
      product_id int NOT NULL,
      amount int NOT NULL
    );
    INSERT INTO sales (region, product_id, amount)
      SELECT n % 10, n / 10 % 100, n % 97 FROM generate_series(0, 99999) AS n;
    ANALYZE sales;";

const QUERY: &str =
    "SELECT region, product_id, sum(amount) AS total, count(*) AS n FROM sales GROUP BY region, product_id";

/// The best that is known without an extension: one upsert per statement, sorted by key so that
/// two writers never wait for each other in a circle, then delete at zero as a second statement.
const TRIGGER: &str = "
    CREATE TABLE summary (
      region int NOT NULL, product_id int NOT NULL, total bigint NOT NULL, n bigint NOT NULL,
      PRIMARY KEY (region, product_id)
    ) WITH (fillfactor = 70);
    INSERT INTO summary
      SELECT region, product_id, sum(amount), count(*) FROM sales GROUP BY region, product_id;
    ANALYZE summary;
    CREATE FUNCTION sales_inserted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      INSERT INTO summary AS s
        SELECT region, product_id, sum(amount), count(*) FROM new_rows
        GROUP BY region, product_id ORDER BY region, product_id
      ON CONFLICT (region, product_id) DO UPDATE SET total = s.total + excluded.total, n = s.n + excluded.n;
      RETURN NULL;
    END $$;
    CREATE FUNCTION sales_updated() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      INSERT INTO summary AS s
        SELECT region, product_id, sum(amount), sum(n) FROM (
          SELECT region, product_id, amount, 1 AS n FROM new_rows
          UNION ALL SELECT region, product_id, -amount, -1 FROM old_rows) AS d
        GROUP BY region, product_id HAVING sum(amount) <> 0 OR sum(n) <> 0
        ORDER BY region, product_id
      ON CONFLICT (region, product_id) DO UPDATE SET total = s.total + excluded.total, n = s.n + excluded.n;
      DELETE FROM summary AS s USING old_rows AS o
        WHERE s.region = o.region AND s.product_id = o.product_id AND s.n = 0;
      RETURN NULL;
    END $$;
    CREATE FUNCTION sales_deleted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      INSERT INTO summary AS s
        SELECT region, product_id, -sum(amount), -count(*) FROM old_rows
        GROUP BY region, product_id ORDER BY region, product_id
      ON CONFLICT (region, product_id) DO UPDATE SET total = s.total + excluded.total, n = s.n + excluded.n;
      DELETE FROM summary AS s USING old_rows AS o
        WHERE s.region = o.region AND s.product_id = o.product_id AND s.n = 0;
      RETURN NULL;
    END $$;
    CREATE TRIGGER ins AFTER INSERT ON sales REFERENCING NEW TABLE AS new_rows
      FOR EACH STATEMENT EXECUTE FUNCTION sales_inserted();
    CREATE TRIGGER upd AFTER UPDATE ON sales REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
      FOR EACH STATEMENT EXECUTE FUNCTION sales_updated();
    CREATE TRIGGER del AFTER DELETE ON sales REFERENCING OLD TABLE AS old_rows
      FOR EACH STATEMENT EXECUTE FUNCTION sales_deleted();";

const VARIANTS: [Variant; 5] = [
    Variant {
        name: "none",
        what: "no view: the table alone",
        set_up: "",
        after_statement: None,
        summary: None,
        orders: Some(""),
    },
    Variant {
        name: "trigger",
        what: "the best hand-written plpgsql statement triggers",
        set_up: TRIGGER,
        after_statement: None,
        summary: Some("summary"),
        orders: None,
    },
    Variant {
        name: "imat",
        what: "this extension: create_imat('summary')",
        set_up: "CREATE MATERIALIZED VIEW summary AS {query}; SELECT create_imat('summary');",
        after_statement: None,
        summary: Some("imat.summary"),
        orders: Some("CREATE MATERIALIZED VIEW order_totals AS {query}; SELECT create_imat('order_totals');"),
    },
    Variant {
        name: "refresh",
        what: "REFRESH MATERIALIZED VIEW after each statement",
        set_up: "CREATE MATERIALIZED VIEW summary AS {query};",
        after_statement: Some("REFRESH MATERIALIZED VIEW summary"),
        summary: Some("summary"),
        orders: None,
    },
    Variant {
        name: "pg_ivm",
        what: "pg_ivm: create_immv('summary', …)",
        set_up: "SELECT {pg_ivm}.create_immv('summary', '{query}');",
        after_statement: None,
        summary: Some("summary"),
        orders: Some("SELECT {pg_ivm}.create_immv('order_totals', '{query}');"),
    },
];

/// The variants this server can run; `wanted` narrows them, and `none` is always there, because
/// it is what the others are compared with.
pub fn available(client: &mut Client, wanted: &[String]) -> Result<Vec<&'static Variant>> {
    let names = client.query("SELECT name FROM pg_available_extensions", &[])?;
    let has = |extension: &str| names.iter().any(|row| row.get::<_, &str>(0) == extension);
    anyhow::ensure!(
        wanted.iter().all(|name| VARIANTS.iter().any(|variant| variant.name == name)),
        "the variants are none, trigger, imat, refresh and pg_ivm"
    );
    let usable = |variant: &&Variant| match variant.name {
        "imat" => has("pg_imat"),
        "pg_ivm" => has("pg_ivm"),
        _ => true,
    };
    let asked = |variant: &&Variant| {
        wanted.is_empty() || variant.name == "none" || wanted.iter().any(|name| name == variant.name)
    };
    Ok(VARIANTS.iter().filter(asked).filter(usable).collect())
}

impl Variant {
    pub fn schema(&self) -> String {
        format!("bench_{}", self.name)
    }

    /// What a session of this variant runs first.
    pub fn session(&self) -> String {
        format!("SET search_path = {}, public", self.schema())
    }

    pub fn create(&self, client: &mut Client) -> Result<()> {
        let schema = self.schema();
        client.batch_execute(&format!("CREATE SCHEMA {schema}; {};", self.session()))?;
        client.batch_execute(SALES)?;
        client.batch_execute(&ORDERS_AND_LINES.replace("{orders}", &ORDERS.to_string()))?;
        let orders = self.orders.unwrap_or_default().replace("{query}", ORDER_QUERY);
        let mut set_up = format!("{}{orders}", self.set_up.replace("{query}", QUERY));
        match self.name {
            "imat" => client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_imat SCHEMA public")?,
            "pg_ivm" => {
                client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_ivm")?;
                // Version 1.9 moved its functions to another schema.
                let home = "SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = 'create_immv'";
                let home: String = client.query_one(home, &[])?.get(0);
                set_up = set_up.replace("{pg_ivm}", &home);
            }
            _ => {}
        }
        client.batch_execute(&set_up)?;
        Ok(())
    }

    /// Each counts the rows in which a summary and its query differ.
    pub fn comparisons(&self) -> Vec<String> {
        let Some(summary) = self.summary else { return Vec::new() };
        let orders = summary.replace("summary", "order_totals");
        let sales = self.differences(summary, QUERY, "region, product_id, total::numeric, n");
        let orders = self.orders.map(|_| self.differences(&orders, ORDER_QUERY, "customer, total::numeric, n"));
        [sales].into_iter().chain(orders).collect()
    }

    fn differences(&self, summary: &str, query: &str, columns: &str) -> String {
        let schema = self.schema();
        let summary = if summary.contains('.') { summary.to_owned() } else { format!("{schema}.{summary}") };
        let query = query.replace("FROM ", &format!("FROM {schema}.")).replace("JOIN ", &format!("JOIN {schema}."));
        format!(
            "SELECT count(*) FROM (
               (SELECT {columns} FROM {summary} EXCEPT ALL SELECT {columns} FROM ({query}) AS q)
               UNION ALL
               (SELECT {columns} FROM ({query}) AS q EXCEPT ALL SELECT {columns} FROM {summary})) AS d"
        )
    }
}
