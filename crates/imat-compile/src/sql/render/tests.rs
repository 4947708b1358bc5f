//! Whole statements, from a view to the SELECTs of its delta.

use insta::assert_snapshot;

use super::{blocks, union_all};
use crate::facts::{Column, Table};
use crate::lower::{Core, core};
use crate::name::QName;
use crate::plan::source::used_columns;
use crate::scalar::Scalar;
use crate::view::{Condition, From, Input, Origin, Output, Source, View};

/// A table `public.<name>` whose columns are `id`, `k`, `V`; attribute 2 was dropped.
fn table(oid: u32, name: &str) -> Table {
    let column = |name: &str, number| Column { name: name.to_owned(), number, not_null: false, hash: Some(20) };
    Table {
        oid,
        name: QName::new("public", name),
        columns: vec![column("id", 1), column("k", 3), column("V", 4)],
        primary_key: vec![1],
        key_holds: true,
        foreign_keys: Vec::new(),
        indexed: Vec::new(),
    }
}

fn input(alias: &str, source: Source) -> Input {
    let columns = match &source {
        Source::Table(table) => table.columns.iter().map(|c| c.name.clone()).collect(),
        Source::Query { view, .. } => view.outputs.iter().map(|o| o.name.clone()).collect(),
    };
    Input { alias: alias.to_owned(), source, columns }
}

/// `"$1 = $4"`: a `$` and a digit is a column of the scope row.
fn scalar(template: &str) -> Scalar {
    let mut parts = template.split('$');
    let mut scalar = Scalar::text(parts.next().unwrap_or_default());
    for part in parts {
        let (position, text) = part.split_at(1);
        scalar.push_column(position.parse().expect("a digit after $"));
        scalar.push_text(text);
    }
    scalar
}

fn view(inputs: Vec<Input>, from: Vec<From>, filter: Option<&str>, outputs: &[&str]) -> View {
    let output = |(i, text): (usize, &&str)| Output { name: format!("o{i}"), expr: scalar(text) };
    View {
        with: Vec::new(),
        inputs,
        from,
        filter: filter.map(scalar).into_iter().collect(),
        implied: Vec::new(),
        grouping: None,
        outputs: outputs.iter().enumerate().map(output).collect(),
    }
}

fn tables(names: &[(u32, &str)]) -> Vec<Input> {
    names.iter().map(|(oid, name)| input(name, Source::Table(table(*oid, name)))).collect()
}

fn join(left: From, right: From, on: &str) -> From {
    From::Join { left: Box::new(left), right: Box::new(right), on: Condition::On(vec![scalar(on)]) }
}

/// `a JOIN b ON a.k = b.k`, where `b` has the lower oid.
fn two() -> View {
    let from = join(From::Input(0), From::Input(1), "($1 = $4)");
    view(tables(&[(20, "a"), (10, "b")]), vec![from], None, &["$0", "$5"])
}

fn expressions(view: &View) -> (Core, Vec<Scalar>, Vec<String>) {
    let outputs = view.outputs.iter().map(|output| output.expr.clone());
    let names = view.outputs.iter().map(|output| output.name.clone());
    (core(view).expect("supported"), outputs.collect(), names.collect())
}

/// The SELECTs of the view's delta when the named tables change.
fn delta(view: &View, changed: &[&str]) -> String {
    let (core, outputs, names) = expressions(view);
    let is_changed = |i: &usize| changed.contains(&core.tables[*i].name.name.as_str());
    let changed = core.all_tables().into_iter().filter(is_changed).collect();
    let rel = core.rel.delta(&changed);
    let blocks = blocks(&rel, &outputs, &core.tables).expect("linear");
    union_all(&blocks, &names).unwrap_or_default()
}

/// The SELECT of the view itself.
fn whole(view: &View) -> String {
    let (core, outputs, names) = expressions(view);
    let blocks = blocks(&core.rel, &outputs, &core.tables).expect("linear");
    union_all(&blocks, &names).unwrap_or_default()
}

fn used(view: &View) -> Vec<Vec<usize>> {
    let (core, outputs, _) = expressions(view);
    used_columns(&core, &outputs).expect("linear")
}

#[test]
fn one_table() {
    let one = view(tables(&[(10, "a")]), vec![From::Input(0)], Some("($2 > 0 OR $1 IS NULL)"), &["$1", "$2 * 2"]);
    assert_snapshot!(whole(&one), @r#"
    SELECT t0."k" AS "o0", t0."V" * 2 AS "o1", 1 AS w
    FROM "public"."a" AS t0
    WHERE ((t0."V" > 0 OR t0."k" IS NULL))
    "#);
    assert_snapshot!(delta(&one, &["a"]), @r#"
    SELECT t0.c3 AS "o0", t0.c4 * 2 AS "o1", t0.w AS w
    FROM "imat_delta_0" AS t0
    WHERE ((t0.c4 > 0 OR t0.c3 IS NULL))
    "#);
    assert_snapshot!(delta(&one, &[]), @"");
    assert_eq!(used(&one), [vec![1, 2]]);
}

#[test]
fn join_with_one_side_changed() {
    assert_snapshot!(whole(&two()), @r#"
    SELECT t0."id" AS "o0", t1."V" AS "o1", 1 AS w
    FROM "public"."a" AS t0, "public"."b" AS t1
    WHERE ((t0."k" = t1."k"))
    "#);
    assert_snapshot!(delta(&two(), &["a"]), @r#"
    SELECT t0.c1 AS "o0", t1."V" AS "o1", t0.w AS w
    FROM "imat_delta_1" AS t0, "public"."b" AS t1
    WHERE ((t0.c3 = t1."k"))
    "#);
    assert_snapshot!(delta(&two(), &["b"]), @r#"
    SELECT t0."id" AS "o0", t1.c4 AS "o1", t1.w AS w
    FROM "public"."a" AS t0, "imat_delta_0" AS t1
    WHERE ((t0."k" = t1.c3))
    "#);
    assert_eq!(used(&two()), [vec![1, 2], vec![0, 1]]);
}

#[test]
fn join_with_both_sides_changed() {
    assert_snapshot!(delta(&two(), &["a", "b"]), @r#"
    SELECT t0.c1 AS "o0", t1."V" AS "o1", t0.w AS w
    FROM "imat_delta_1" AS t0, "public"."b" AS t1
    WHERE ((t0.c3 = t1."k"))
    UNION ALL
    SELECT t0."id" AS "o0", t1.c4 AS "o1", t1.w AS w
    FROM "public"."a" AS t0, "imat_delta_0" AS t1
    WHERE ((t0."k" = t1.c3))
    UNION ALL
    SELECT t0.c1 AS "o0", t1.c4 AS "o1", -t0.w * t1.w AS w
    FROM "imat_delta_1" AS t0, "imat_delta_0" AS t1
    WHERE ((t0.c3 = t1.c3))
    "#);
}

#[test]
fn join_of_three() {
    let from = vec![join(From::Input(0), From::Input(1), "($1 = $4)"), From::Input(2)];
    let inputs = tables(&[(10, "a"), (20, "b"), (30, "c")]);
    let three = view(inputs, from, Some("($5 < $8)"), &["$0", "$7"]);
    assert_snapshot!(delta(&three, &["a", "b", "c"]), @r#"
    SELECT t0.c1 AS "o0", t2."k" AS "o1", t0.w AS w
    FROM "imat_delta_0" AS t0, "public"."b" AS t1, "public"."c" AS t2
    WHERE ((t0.c3 = t1."k")) AND ((t1."V" < t2."V"))
    UNION ALL
    SELECT t0."id" AS "o0", t2."k" AS "o1", t1.w AS w
    FROM "public"."a" AS t0, "imat_delta_1" AS t1, "public"."c" AS t2
    WHERE ((t0."k" = t1.c3)) AND ((t1.c4 < t2."V"))
    UNION ALL
    SELECT t0.c1 AS "o0", t2."k" AS "o1", -t0.w * t1.w AS w
    FROM "imat_delta_0" AS t0, "imat_delta_1" AS t1, "public"."c" AS t2
    WHERE ((t0.c3 = t1.c3)) AND ((t1.c4 < t2."V"))
    UNION ALL
    SELECT t0."id" AS "o0", t2.c3 AS "o1", t2.w AS w
    FROM "public"."a" AS t0, "public"."b" AS t1, "imat_delta_2" AS t2
    WHERE ((t0."k" = t1."k")) AND ((t1."V" < t2.c4))
    UNION ALL
    SELECT t0.c1 AS "o0", t2.c3 AS "o1", -t0.w * t2.w AS w
    FROM "imat_delta_0" AS t0, "public"."b" AS t1, "imat_delta_2" AS t2
    WHERE ((t0.c3 = t1."k")) AND ((t1."V" < t2.c4))
    UNION ALL
    SELECT t0."id" AS "o0", t2.c3 AS "o1", -t1.w * t2.w AS w
    FROM "public"."a" AS t0, "imat_delta_1" AS t1, "imat_delta_2" AS t2
    WHERE ((t0."k" = t1.c3)) AND ((t1.c4 < t2.c4))
    UNION ALL
    SELECT t0.c1 AS "o0", t2.c3 AS "o1", t0.w * t1.w * t2.w AS w
    FROM "imat_delta_0" AS t0, "imat_delta_1" AS t1, "imat_delta_2" AS t2
    WHERE ((t0.c3 = t1.c3)) AND ((t1.c4 < t2.c4))
    "#);
}

#[test]
fn join_using() {
    let from = From::Join {
        left: Box::new(From::Input(0)),
        right: Box::new(From::Input(1)),
        on: Condition::Using(vec![("id".into(), 0, 3), ("k".into(), 1, 4)]),
    };
    let using = view(tables(&[(10, "a"), (20, "b")]), vec![from], None, &["$0"]);
    assert_snapshot!(whole(&using), @r#"
    SELECT t0."id" AS "o0", 1 AS w
    FROM "public"."a" AS t0, "public"."b" AS t1
    WHERE (t0."id" = t1."id") AND (t0."k" = t1."k")
    "#);
}

#[test]
fn self_join() {
    let from = join(From::Input(0), From::Input(1), "($0 = $4)");
    let itself = view(tables(&[(10, "a"), (10, "a")]), vec![from], None, &["$2", "$5"]);
    assert!(core(&itself).expect("supported").self_join);
    assert_snapshot!(delta(&itself, &["a"]), @r#"
    SELECT t0.c4 AS "o0", t1."V" AS "o1", t0.w AS w
    FROM "imat_delta_0" AS t0, "public"."a" AS t1
    WHERE ((t0.c1 = t1."k"))
    UNION ALL
    SELECT t0."V" AS "o0", t1.c4 AS "o1", t1.w AS w
    FROM "public"."a" AS t0, "imat_delta_0" AS t1
    WHERE ((t0."id" = t1.c3))
    UNION ALL
    SELECT t0.c4 AS "o0", t1.c4 AS "o1", -t0.w * t1.w AS w
    FROM "imat_delta_0" AS t0, "imat_delta_0" AS t1
    WHERE ((t0.c1 = t1.c3))
    "#);
    assert_eq!(used(&itself), [vec![0, 1, 2]]);
}

#[test]
fn projected_subquery() {
    let inner = view(tables(&[(20, "b")]), vec![From::Input(0)], Some("($2 > 10)"), &["$1 + 1", "$2", "'x'::text"]);
    let source = Source::Query { origin: Origin::Here, fence: false, view: Box::new(inner) };
    let inputs = vec![tables(&[(10, "a")]).remove(0), input("q", source)];
    let from = join(From::Input(0), From::Input(1), "($1 = $3)");
    let outer = view(inputs, vec![from], Some("($2 <> $4)"), &["$0", "$3 * 2", "$5"]);
    assert_snapshot!(delta(&outer, &["a", "b"]), @r#"
    SELECT t0.c1 AS "o0", (t1."k" + 1) * 2 AS "o1", 'x'::text AS "o2", t0.w AS w
    FROM "imat_delta_0" AS t0, "public"."b" AS t1
    WHERE ((t1."V" > 10)) AND ((t0.c3 = (CASE WHEN ((t1."V" > 10)) THEN ((t1."k" + 1)) END))) AND ((t0.c4 <> t1."V"))
    UNION ALL
    SELECT t0."id" AS "o0", (t1.c3 + 1) * 2 AS "o1", 'x'::text AS "o2", t1.w AS w
    FROM "public"."a" AS t0, "imat_delta_1" AS t1
    WHERE ((t1.c4 > 10)) AND ((t0."k" = (CASE WHEN ((t1.c4 > 10)) THEN ((t1.c3 + 1)) END))) AND ((t0."V" <> t1.c4))
    UNION ALL
    SELECT t0.c1 AS "o0", (t1.c3 + 1) * 2 AS "o1", 'x'::text AS "o2", -t0.w * t1.w AS w
    FROM "imat_delta_0" AS t0, "imat_delta_1" AS t1
    WHERE ((t1.c4 > 10)) AND ((t0.c3 = (CASE WHEN ((t1.c4 > 10)) THEN ((t1.c3 + 1)) END))) AND ((t0.c4 <> t1.c4))
    "#);
    assert_eq!(used(&outer), [vec![0, 1, 2], vec![1, 2]]);
}

#[test]
fn cross_join_needs_no_column() {
    let from = vec![From::Input(0), From::Input(1)];
    let crossed = view(tables(&[(10, "a"), (20, "b")]), from, None, &["1"]);
    assert_snapshot!(delta(&crossed, &["a", "b"]), @r#"
    SELECT 1 AS "o0", t0.w AS w
    FROM "imat_delta_0" AS t0, "public"."b" AS t1
    UNION ALL
    SELECT 1 AS "o0", t1.w AS w
    FROM "public"."a" AS t0, "imat_delta_1" AS t1
    UNION ALL
    SELECT 1 AS "o0", -t0.w * t1.w AS w
    FROM "imat_delta_0" AS t0, "imat_delta_1" AS t1
    "#);
    assert_eq!(used(&crossed), [vec![], vec![]]);
}

#[test]
fn no_from() {
    let constant = view(Vec::new(), Vec::new(), Some("true"), &["1 + 1"]);
    assert_snapshot!(whole(&constant), @r#"SELECT 1 + 1 AS "o0", 1 AS w"#);
    assert_snapshot!(delta(&constant, &[]), @"");
}

#[test]
fn subtraction_has_negative_weight() {
    let core = core(&two()).expect("supported");
    let blocks = blocks(&core.rel.negate(), &[], &core.tables).expect("linear");
    assert_snapshot!(union_all(&blocks, &[]).unwrap_or_default(), @r#"
    SELECT -1 AS w
    FROM "public"."a" AS t0, "public"."b" AS t1
    WHERE ((t0."k" = t1."k"))
    "#);
}

#[test]
fn grouped_subquery_has_no_rule() {
    let mut inner = view(tables(&[(20, "b")]), vec![From::Input(0)], None, &["$0"]);
    inner.grouping =
        Some(crate::view::Grouping { keys: vec![Scalar::column(0)], listed: 1, aggregates: Vec::new(), having: None });
    let source = Source::Query { origin: Origin::Here, fence: false, view: Box::new(inner) };
    let outer = view(vec![input("q", source)], vec![From::Input(0)], None, &["$0"]);
    let unsupported = core(&outer).expect_err("no rule");
    assert_snapshot!(unsupported, @"GROUP BY in a subquery or view in FROM");
}
