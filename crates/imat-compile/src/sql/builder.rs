//! Statements that are put together clause by clause.
//!
//! A [`Select`] or [`Write`] is passed on while clauses can still be added to it, and becomes text where it is read:
//! as a [`subquery`], as a WITH query ([`Cte`]) or as an [`Sql`](super::Sql). Clauses can be added in any order, and are
//! written in SQL's. A clause without items is left out, so an optional part needs no branch. Items are text, since a
//! column or a condition is easiest to read as the SQL that it becomes.

use std::fmt::{self, Display, Formatter};

/// A SELECT. WHERE and HAVING are conjunctions; their items must not be bare disjunctions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Select {
    columns: Vec<String>,
    from: Vec<String>,
    filter: Vec<String>,
    group_by: Vec<String>,
    having: Vec<String>,
    order_by: Vec<String>,
    limit: Vec<String>,
    offset: Vec<String>,
    lines: bool,
}

impl Select {
    pub fn new(columns: impl IntoIterator<Item = impl Display>) -> Self {
        Self::default().columns(columns)
    }

    /// Appends columns.
    pub fn columns(mut self, columns: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.columns, columns);
        self
    }

    pub fn from(mut self, items: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.from, items);
        self
    }

    /// Joins the last item of FROM so far with a function or subquery that can use its columns.
    pub fn cross_join_lateral(mut self, item: impl Display) -> Self {
        let last = self.from.pop().unwrap_or_default();
        self.from.push(format!("{last} CROSS JOIN LATERAL {item}"));
        self
    }

    pub fn filter(mut self, conjuncts: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.filter, conjuncts);
        self
    }

    pub fn group_by(mut self, keys: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.group_by, keys);
        self
    }

    pub fn having(mut self, conjuncts: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.having, conjuncts);
        self
    }

    pub fn order_by(mut self, keys: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.order_by, keys);
        self
    }

    pub fn limit(mut self, rows: impl Display) -> Self {
        self.limit = vec![rows.to_string()];
        self
    }

    /// Makes the planner compute it as a subquery of its own: OFFSET 0 keeps it from being merged with what reads it.
    pub fn fenced(mut self) -> Self {
        self.offset = vec!["0".to_owned()];
        self
    }

    /// Writes each clause on a line of its own.
    pub fn on_lines(mut self) -> Self {
        self.lines = true;
        self
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let columns = if self.columns.is_empty() { "" } else { " " };
        write!(f, "SELECT{columns}{}", self.columns.join(", "))?;
        let clauses: [Clause<'_>; 7] = [
            ("FROM", &self.from, ", "),
            ("WHERE", &self.filter, " AND "),
            ("GROUP BY", &self.group_by, ", "),
            ("HAVING", &self.having, " AND "),
            ("ORDER BY", &self.order_by, ", "),
            ("LIMIT", &self.limit, ""),
            ("OFFSET", &self.offset, ""),
        ];
        write_clauses(f, if self.lines { "\n" } else { " " }, &clauses)
    }
}

/// An INSERT or an UPDATE of a table, which its clauses call `s`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Write {
    /// What comes before the clauses.
    verb: String,
    set: Vec<String>,
    from: Vec<String>,
    filter: Vec<String>,
    returning: Vec<String>,
}

impl Write {
    pub fn insert(table: impl Display, columns: &[String], query: impl Display) -> Self {
        Self { verb: format!("INSERT INTO {table} AS s ({}) {query}", columns.join(", ")), ..Self::default() }
    }

    pub fn update(table: impl Display) -> Self {
        Self { verb: format!("UPDATE {table} AS s"), ..Self::default() }
    }

    /// Makes an INSERT an upsert: [`Write::set`] adds the assignments to the row that already has the key.
    pub fn on_conflict(mut self, target: impl Display) -> Self {
        self.verb += &format!(" ON CONFLICT {target} DO UPDATE");
        self
    }

    pub fn set(mut self, assignments: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.set, assignments);
        self
    }

    pub fn from(mut self, items: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.from, items);
        self
    }

    pub fn filter(mut self, conjuncts: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.filter, conjuncts);
        self
    }

    pub fn returning(mut self, columns: impl IntoIterator<Item = impl Display>) -> Self {
        add(&mut self.returning, columns);
        self
    }
}

impl Display for Write {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.verb)?;
        let clauses: [Clause<'_>; 4] = [
            ("SET", &self.set, ", "),
            ("FROM", &self.from, ", "),
            ("WHERE", &self.filter, " AND "),
            ("RETURNING", &self.returning, ", "),
        ];
        write_clauses(f, " ", &clauses)
    }
}

/// A query of a WITH clause.
#[derive(Clone, Debug)]
pub(crate) struct Cte {
    /// Its name, and the names of its columns where they are listed.
    name: String,
    materialized: Option<bool>,
    query: String,
}

impl Cte {
    pub fn new(name: impl Display, query: impl Display) -> Self {
        Self { name: name.to_string(), materialized: None, query: query.to_string() }
    }

    /// Whether PostgreSQL computes the query separately or merges it with the statement that reads it. If this is not
    /// called, PostgreSQL decides.
    pub fn materialized(mut self, materialized: impl Into<Option<bool>>) -> Self {
        self.materialized = materialized.into();
        self
    }
}

impl Display for Cte {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let materialized = match self.materialized {
            None => "",
            Some(true) => "MATERIALIZED ",
            Some(false) => "NOT MATERIALIZED ",
        };
        write!(f, "{} AS {materialized}({})", self.name, self.query)
    }
}

/// A statement that reads these queries, if there are any.
pub(crate) fn with<'a>(queries: impl IntoIterator<Item = &'a Cte>, statement: impl Display) -> String {
    match list(queries) {
        queries if queries.is_empty() => statement.to_string(),
        queries => format!("WITH {queries} {statement}"),
    }
}

/// A query as an item of FROM.
pub(crate) fn subquery(query: impl Display, alias: &str) -> String {
    format!("({query}) AS {alias}")
}

/// Items with commas between them.
pub(crate) fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Columns of the item of FROM that is called `alias`.
pub(crate) fn qualified(alias: &str, columns: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    columns.into_iter().map(|column| format!("{alias}.{column}")).collect()
}

/// A keyword, the items after it, and what stands between them.
type Clause<'a> = (&'a str, &'a [String], &'a str);

fn write_clauses(f: &mut Formatter<'_>, gap: &str, clauses: &[Clause<'_>]) -> fmt::Result {
    for (keyword, items, separator) in clauses.iter().filter(|(_, items, _)| !items.is_empty()) {
        write!(f, "{gap}{keyword} {}", items.join(separator))?;
    }
    Ok(())
}

fn add(items: &mut Vec<String>, more: impl IntoIterator<Item = impl Display>) {
    items.extend(more.into_iter().map(|item| item.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn clauses_are_written_in_the_order_of_sql() {
        let select = Select::default().limit("$1").order_by([1, 2]).having(["c > 1", "d"]).group_by([1, 2]);
        let select = select.filter(["a = 1", "b"]).from(["t", "u"]).columns(["a", "b"]).columns(["count(*)"]);
        assert_eq!(
            select.to_string(),
            "SELECT a, b, count(*) FROM t, u WHERE a = 1 AND b GROUP BY 1, 2 HAVING c > 1 AND d ORDER BY 1, 2 LIMIT $1"
        );
        let fenced = Select::new(["1"]).from(["t", "u"]).cross_join_lateral("f(u.a)").fenced().on_lines();
        assert_eq!(fenced.to_string(), "SELECT 1\nFROM t, u CROSS JOIN LATERAL f(u.a)\nOFFSET 0");
    }

    #[test]
    fn a_clause_without_items_is_left_out() {
        assert_eq!(Select::new(NONE).from(["t"]).filter(NONE).group_by(NONE).to_string(), "SELECT FROM t");
        assert_eq!(Write::update("t").set(["a = 1"]).filter(None::<String>).to_string(), "UPDATE t AS s SET a = 1");
        assert_eq!(with([], "SELECT 1"), "SELECT 1");
        assert_eq!(with(&[Cte::new("q", "r").materialized(true)], "s"), "WITH q AS MATERIALIZED (r) s");
    }

    #[test]
    fn statements_are_made_of_others() {
        let groups = Select::new(["d.k", "sum(d.w) AS n"]).from([subquery("TABLE t", "d")]).group_by([1]);
        let upsert = Write::insert("v", &["k".to_owned(), "n".to_owned()], groups.order_by([1]));
        let upsert = upsert.on_conflict("(k)").set(["n = s.n + EXCLUDED.n"]).returning(["s.n"]);
        let queries = [Cte::new("t (k, w)", "SELECT $1, 1").materialized(false), Cte::new("u", upsert)];
        assert_eq!(
            with(&queries, Select::new(["n"]).from(["u"]).filter(["n = 0"])),
            "WITH t (k, w) AS NOT MATERIALIZED (SELECT $1, 1), u AS (INSERT INTO v AS s (k, n) \
             SELECT d.k, sum(d.w) AS n FROM (TABLE t) AS d GROUP BY 1 ORDER BY 1 \
             ON CONFLICT (k) DO UPDATE SET n = s.n + EXCLUDED.n RETURNING s.n) SELECT n FROM u WHERE n = 0"
        );
    }
}
