//! Parses definitions that PostgreSQL has printed.

#[path = "front_end/fixture.rs"]
mod fixture;

use std::fmt::Write;

use fixture::Fixture;
use imat_compile::parse::{comparable, order, parse};
use imat_compile::scalar::Scalar;
use imat_compile::sql::probe::probe;
use imat_compile::sql::recompose::recompose;
use imat_compile::view::View;

const PG15: &str = include_str!("front_end/pg15.tsv");
const PG18: &str = include_str!("front_end/pg18.tsv");

/// The parts of a view. `$n` is a column of the scope row, `#n` one of the group row.
fn show(view: &View) -> String {
    let scope = |scalar: &Scalar| scalar.render(|column| format!("${column}"));
    let group = |scalar: &Scalar| scalar.render(|column| format!("#{column}"));
    let list = |scalars: &[Scalar]| scalars.iter().map(scope).collect::<Vec<_>>().join(" | ");
    let mut out = String::new();
    let mut line = |label: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "{label}: {text}");
        }
    };
    let inputs: Vec<_> = view.inputs.iter().map(|i| format!("{}({})", i.alias, i.columns.join(" "))).collect();
    line("inputs", inputs.join(" "));
    line("filter", view.filter.iter().map(scope).collect());
    if let Some(grouping) = &view.grouping {
        line("keys", list(&grouping.keys[..grouping.listed]));
        line("determined", list(&grouping.keys[grouping.listed..]));
        for aggregate in &grouping.aggregates {
            let filter = aggregate.filter.as_ref().map(|f| format!(" where {}", scope(f)));
            let marks = [(aggregate.distinct, " distinct"), (aggregate.ordered, " ordered")];
            let marks: String = marks.iter().filter(|mark| mark.0).map(|mark| mark.1).collect();
            let schema = aggregate.schema.as_ref().map(|s| format!("{s}.")).unwrap_or_default();
            let filter = filter.unwrap_or_default();
            line("aggregate", format!("{schema}{} [{}]{marks}{filter}", aggregate.name, list(&aggregate.args)));
        }
        line("having", grouping.having.iter().map(group).collect());
    }
    let outputs = view.outputs.iter().map(|output| {
        let expr = if view.grouping.is_some() { group(&output.expr) } else { scope(&output.expr) };
        format!("{} = {expr}", output.name)
    });
    line("outputs", outputs.collect::<Vec<_>>().join(" | "));
    out.trim_end().to_owned()
}

/// The parsed parts of a definition over the tables of the fixture.
fn read(definition: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    match parse(definition, &names, &Fixture::read(PG15)) {
        Ok(view) => show(&view),
        Err(unsupported) => format!("unsupported: {unsupported}"),
    }
}

/// Every view of a fixture: its recomposed query and its probes, or the reason why it is unsupported.
fn outcomes(fixture: &str) -> String {
    let fixture = Fixture::read(fixture);
    let mut out = String::new();
    for view in fixture.views() {
        let _ = match parse(&view.definition, &view.columns, &fixture) {
            Ok(parsed) => {
                let probe = probe(&parsed);
                let groups = probe.groups.map(|sql| format!("\n  groups {sql}")).unwrap_or_default();
                writeln!(out, "{}\n  {}\n  rows {}{groups}", view.name, recompose(&parsed), probe.rows)
            }
            Err(unsupported) => writeln!(out, "{}\n  unsupported: {unsupported}", view.name),
        };
    }
    out
}

#[test]
fn views_of_postgresql_15() {
    insta::with_settings!({ snapshot_path => "front_end", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("pg15", outcomes(PG15));
    });
}

/// Later majors qualify fewer columns, and the meaning is the same.
#[test]
fn majors_agree() {
    assert_eq!(outcomes(PG15), outcomes(PG18));
}

/// The recomposed text parses to the same view.
#[test]
fn recomposed_reads_back() {
    for text in [PG15, PG18] {
        let fixture = Fixture::read(text);
        for view in fixture.views() {
            let Ok(parsed) = parse(&view.definition, &view.columns, &fixture) else {
                continue;
            };
            let again = parse(recompose(&parsed).as_str(), &view.columns, &fixture);
            let again = again.unwrap_or_else(|error| panic!("{}: {error}", view.name));
            // Each round adds its own parentheses.
            let bare = |view: &View| recompose(view).as_str().replace(['(', ')'], "");
            assert_eq!(bare(&again), bare(&parsed));
        }
    }
}

/// The time must be proportional to the text's length: proportional to its square it would be minutes here.
#[test]
fn a_long_list_is_compared_quickly() {
    let numbers: Vec<String> = (0..30_000).map(|n| n.to_string()).collect();
    let text = format!(" SELECT a.x\n   FROM s.a a\n  WHERE (a.x = ANY (ARRAY[{}]));", numbers.join(", "));
    let began = std::time::Instant::now();
    assert_eq!(comparable(&text), text.replace("s.a a", "s.a"));
    assert!(began.elapsed().as_secs() < 30);
}

#[test]
fn grouped() {
    insta::assert_snapshot!(read(
        " SELECT c.region,
            count(*) AS n,
            (sum((o.qty * 2)) + count(*)) AS x,
            max(o.price) FILTER (WHERE (o.qty > 1)) AS m
           FROM (shop.orders o
             JOIN shop.customer c ON ((c.id = o.customer_id)))
          WHERE (o.small IS NOT NULL)
          GROUP BY c.region
         HAVING (count(*) > 1)
          ORDER BY c.region;",
        &["region", "n", "x", "m"]
    ), @r##"
    inputs: o(id customer_id qty price placed note w region small) c(id full_name region vip home joined tags doc mood)
    filter: ($8 IS NOT NULL)
    keys: $11
    aggregate: count []
    aggregate: sum [($2 * 2)]
    aggregate: max [$3] where ($2 > 1)
    having: (#1 > 1)
    outputs: region = #0 | n = #1 | x = (#2 + #1) | m = #3
    "##);
}

#[test]
fn key_expressions() {
    insta::assert_snapshot!(read(
        " SELECT (lower((o.note)::text) || 'x'::text) AS a, (o.qty + 1) AS b, ((o.qty + 1) * 2) AS c
           FROM shop.orders o
          GROUP BY (lower((o.note)::text)), (o.qty + 1);",
        &["a", "b", "c"]
    ), @r##"
    inputs: o(id customer_id qty price placed note w region small)
    keys: lower(($5)::text) | ($2 + 1)
    outputs: a = (#0 || 'x'::text) | b = #1 | c = ((#1) * 2)
    "##);
}

/// `qty` alone is no key; adding it would split groups.
#[test]
fn a_part_of_a_key_is_no_key() {
    insta::assert_snapshot!(read(
        "SELECT o.qty AS a, count(*) AS n FROM shop.orders o GROUP BY (o.qty + 1);",
        &["a", "n"]
    ), @"unsupported: an expression that is not recognised as a GROUP BY key");
    insta::assert_snapshot!(read(
        "SELECT o.qty + 1 * 2 AS a FROM shop.orders o GROUP BY (o.qty + 1);",
        &["a"]
    ), @"unsupported: an expression that is not recognised as a GROUP BY key");
}

#[test]
fn columns_determined_by_the_primary_key() {
    insta::assert_snapshot!(read(
        "SELECT c.full_name AS a, count(o.id) AS n
           FROM (shop.customer c JOIN shop.orders o ON ((o.customer_id = c.id))) GROUP BY c.id;",
        &["a", "n"]
    ), @r##"
    inputs: c(id full_name region vip home joined tags doc mood) o(id customer_id qty price placed note w region small)
    keys: $0
    determined: $1
    aggregate: count [$9]
    outputs: a = #1 | n = #2
    "##);
}

#[test]
fn aggregates_known_by_their_call_only() {
    insta::assert_snapshot!(read(
        "SELECT string_agg((note)::text, ','::text ORDER BY placed DESC) AS a,
            percentile_cont((0.5)::double precision) WITHIN GROUP (ORDER BY w) AS b,
            shop.mysum(DISTINCT qty) AS c
           FROM shop.orders;",
        &["a", "b", "c"]
    ), @r##"
    inputs: orders(id customer_id qty price placed note w region small)
    aggregate: string_agg [($5)::text | ','::text] ordered
    aggregate: percentile_cont [(0.5)::double precision] ordered
    aggregate: shop.mysum [$2] distinct
    outputs: a = #0 | b = #1 | c = #2
    "##);
}

#[test]
fn names_that_are_not_columns() {
    insta::assert_snapshot!(read(
        "SELECT (c.home).zip AS a, shop.f(id => c.id) AS b, (c.id)::shop.posint AS d, c.tags[1] AS e FROM shop.customer c;",
        &["a", "b", "d", "e"]
    ), @r##"
    inputs: c(id full_name region vip home joined tags doc mood)
    outputs: a = ($4).zip | b = shop.f(id => $0) | d = ($0)::shop.posint | e = $6[1]
    "##);
}

#[test]
fn with_queries_are_read_where_they_are_named() {
    insta::assert_snapshot!(read(
        "WITH t(a, b) AS MATERIALIZED (SELECT o.id, o.qty FROM shop.orders o), pair AS (SELECT t.a FROM t)
         SELECT x.a, p.val FROM (t x JOIN pair ON ((pair.a = x.b))), shop.pair p",
        &["a", "val"]
    ), @r##"
    inputs: x(a b) pair(a) p(id val)
    outputs: a = $0 | val = $4
    "##);
    let doubling = |n: usize| format!("t{n} AS (SELECT a.id FROM t{m} a, t{m} b)", m = n - 1);
    let chain: Vec<String> = (1..=30).map(doubling).collect();
    for (definition, construct) in [
        ("WITH RECURSIVE t AS (SELECT p.id FROM shop.pair p) SELECT t.id FROM t".to_owned(), "RECURSIVE"),
        ("WITH t AS (SELECT p.id FROM shop.pair p LIMIT 1) SELECT t.id FROM t".to_owned(), "LIMIT"),
        (
            "WITH t AS (SELECT p.id FROM shop.pair p) SELECT t.id FROM shop.t".to_owned(),
            "t, which is not a table or view",
        ),
        (
            format!("WITH t0 AS (SELECT p.id FROM shop.pair p), {} SELECT t30.id FROM t30", chain.join(", ")),
            "queries of this many tables",
        ),
    ] {
        assert_eq!(read(&definition, &["id"]), format!("unsupported: {construct}"), "{definition}");
    }
}

#[test]
fn refused() {
    let from = "FROM shop.orders o";
    for (definition, construct) in [
        ("SELECT o.nope AS a FROM shop.orders o", "a column that the catalog does not know"),
        ("SELECT x.qty AS a FROM shop.orders o", "a column of an outer query"),
        ("SELECT count(o.*) AS a FROM shop.orders o", "a whole-row reference"),
        ("SELECT o AS a FROM shop.orders o", "a whole-row reference"),
        ("SELECT o.tableoid AS a FROM shop.orders o", "the system column tableoid"),
        ("SELECT count(*) OVER () AS a FROM shop.orders o", "a window function"),
        ("SELECT $1 AS a FROM shop.orders o", "syntax that pg_imat does not know"),
        ("SELECT GROUPING(o.qty) AS a FROM shop.orders o", "GROUPING"),
        ("SELECT CURRENT_USER AS a FROM shop.orders o", "CURRENT_USER"),
        ("SELECT o.qty AS a FROM shop.orders o GROUP BY 1", "GROUP BY a constant"),
        ("SELECT o.qty AS a, 1 AS b FROM shop.orders o", "a column list that its query does not match"),
        ("SELECT o.qty AS a FROM shop.orders o, shop.orders o", "two FROM items of the same name"),
        ("SELECT sum(count(*)) AS a FROM shop.orders o", "an aggregate in a place of its own kind"),
        ("SELECT o.qty AS a FROM shop.orders o; SELECT 1", "a definition this large"),
        ("DELETE FROM shop.orders", "syntax that pg_imat does not know"),
        ("", "syntax that pg_imat does not know"),
    ] {
        assert_eq!(read(definition, &["a"]), format!("unsupported: {construct}"), "{definition}");
    }
    assert!(read(&format!("SELECT o.qty AS a {from}"), &["a"]).starts_with("inputs"));
}

#[test]
fn comparable_definitions() {
    let text = "SELECT a.x\n   FROM s.t t,\n    s.t a\n  ORDER BY a.x DESC;";
    assert_eq!(comparable(text), "SELECT a.x\n   FROM s.t,\n    s.t a\n  ORDER BY a.x DESC;");
    assert_eq!(order(text), "ORDER BY a.x DESC");
    assert_eq!(order("SELECT a.x FROM s.t a WHERE (a.x IN (SELECT 1 ORDER BY 1));"), "");
}

#[test]
fn too_large_is_refused() {
    let chains = [("", "a.x AND ", ""), ("", "(", ")"), ("", "NOT ", ""), ("CASE WHEN ", "CASE WHEN ", "")];
    for (start, repeated, end) in chains {
        let (open, close) = (repeated.repeat(50_000), end.repeat(50_000));
        let text = format!("SELECT {start}{open}a.x{close} AS x FROM shop.orders a");
        assert_eq!(read(&text, &["x"]), "unsupported: a definition this large");
    }
}

/// Definitions with pieces cut out, repeated, exchanged and replaced: any result is fine, except a panic.
#[test]
fn mutations_never_panic() {
    let fixture = Fixture::read(PG15);
    let texts: Vec<_> = fixture.views().filter(|view| view.definition.len() < 400).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % bound.max(1)
    };
    let rounds = if cfg!(debug_assertions) { 4_000 } else { 40_000 };
    for _ in 0..rounds {
        let view = &texts[random(texts.len())];
        let other: Vec<char> = texts[random(texts.len())].definition.chars().collect();
        let mut text: Vec<char> = view.definition.chars().collect();
        for _ in 0..=random(3) {
            let start = random(text.len());
            let end = (start + random(12)).min(text.len());
            let piece: Vec<char> = match random(5) {
                0 => Vec::new(),
                1 => text[start..end].repeat(2),
                2 => other.iter().skip(random(other.len())).take(random(40)).copied().collect(),
                3 => vec![char::from(u8::try_from(random(128)).unwrap_or(0))],
                _ => "\"'()[].,:;$\\é\u{0}*".chars().skip(random(14)).take(2).collect(),
            };
            text.splice(start..end, piece);
        }
        let text: String = text.into_iter().collect();
        let outcome = parse(&text, &view.columns, &fixture);
        if let Ok(parsed) = outcome {
            probe(&parsed);
            let again = parse(recompose(&parsed).as_str(), &view.columns, &fixture);
            assert!(again.is_ok(), "{text}\n{again:?}");
        }
        comparable(&text);
    }
}
