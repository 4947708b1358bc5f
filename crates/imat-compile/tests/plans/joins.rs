//! Grouped views of several tables, of one table twice, and of views.

use imat_compile::plan::Signs::{Additions, Net, Passing, Statement};
use imat_compile::plan::Size::{Large, Small};

use crate::case::{ADDED, Case, REMOVED, check};

/// A writer of `sale` waits for the writers of `store`, which has the higher OID.
#[test]
fn two_tables() {
    let case = Case::new(
        &["city text", "total numeric", "most integer", "n bigint"],
        " SELECT s.city,
    sum(l.price) AS total,
    max(l.qty) AS most,
    count(*) AS n
   FROM (shop.sale l
     JOIN shop.store s ON ((s.id = l.store)))
  WHERE (l.qty > 0)
  GROUP BY s.city;",
        &[
            (&["sale"], Additions, Small),
            (&["sale"], Additions, ADDED),
            (&["store"], Statement, REMOVED),
            (&["store"], Statement, Small),
            (&["sale", "store"], Additions, Small),
            (&["sale", "store"], Net, Large),
        ],
    );
    check("join_of_two", &case);
}

#[test]
fn three_tables() {
    let case = Case::new(
        &["city text", "pay bigint"],
        " SELECT s.city,
    sum(f.pay) AS pay
   FROM shop.sale l,
    shop.store s,
    shop.staff f
  WHERE ((s.id = l.store) AND (f.id = l.clerk))
  GROUP BY s.city;",
        &[
            (&["sale"], Statement, REMOVED),
            (&["store"], Statement, Small),
            (&["store"], Statement, REMOVED),
            (&["sale", "store", "staff"], Net, Small),
        ],
    );
    check("join_of_three", &case);
}

/// An expression over both tables is not computed for a pair of a removed and an added row.
#[test]
fn both_tables_and_what_can_fail() {
    let case = Case::new(
        &["city text", "total bigint"],
        " SELECT s.city,
    sum((100 / (l.qty - s.area))) AS total
   FROM (shop.sale l
     JOIN shop.store s ON (((s.id = l.store) AND ((l.qty % s.area) > 1))))
  WHERE (l.qty > 0)
  GROUP BY s.city;",
        &[(&["sale"], Statement, Small), (&["sale", "store"], Additions, Small), (&["sale", "store"], Net, Large)],
    );
    check("pairs_that_were_there", &case);
}

/// An indexed expression can't fail, so it is looked up directly; the other side stays behind its guard.
#[test]
fn expressions_as_keys() {
    let case = Case::new(
        &["n bigint"],
        " SELECT count(*) AS n
   FROM shop.staff f,
    shop.sale l
  WHERE ((f.pay > 0) AND (l.qty > 0) AND ((f.name)::integer = (100 / l.qty)));",
        &[(&["sale"], Additions, ADDED), (&["staff"], Additions, ADDED)],
    );
    check("expressions_as_join_keys", &case);
}

#[test]
fn using() {
    let case = Case::new(
        &["id integer", "n bigint"],
        " SELECT sale.id,
    count(*) AS n
   FROM (shop.sale
     JOIN shop.staff USING (id))
  GROUP BY sale.id;",
        &[(&["sale"], Additions, Small)],
    );
    check("join_using", &case);
}

/// The two occurrences of one table can't be locked against each other, so the whole view is locked.
#[test]
fn self_join() {
    let case = Case::new(
        &["boss text", "pay bigint", "n bigint"],
        " SELECT b.name AS boss,
    sum(e.pay) AS pay,
    count(*) AS n
   FROM (shop.staff e
     JOIN shop.staff b ON ((b.id = e.boss)))
  GROUP BY b.name;",
        &[(&["staff"], Additions, Small)],
    );
    check("self_join", &case);
}

/// One row of `sale` is in at most one row of the view, although the other table is read twice.
#[test]
fn joined_twice() {
    let case = Case::new(
        &["name text", "least integer", "n bigint"],
        " SELECT c.name,
    min(l.qty) AS least,
    count(*) AS n
   FROM shop.sale l,
    shop.staff c,
    shop.staff b
  WHERE ((c.id = l.clerk) AND (b.id = l.store))
  GROUP BY c.name;",
        &[(&["sale"], Additions, ADDED), (&["sale"], Statement, REMOVED), (&["staff"], Additions, Small)],
    );
    check("joined_twice", &case);
}

/// A column that depends on the primary key is a further key.
#[test]
fn determined_column() {
    let case = Case::new(
        &["id integer", "city text", "n bigint"],
        " SELECT s.id,
    s.city,
    count(*) AS n
   FROM (shop.store s
     JOIN shop.sale l ON ((l.store = s.id)))
  GROUP BY s.id;",
        &[(&["store"], Statement, Small)],
    );
    check("determined_column", &case);
}

#[test]
fn over_a_view() {
    let case = Case::new(
        &["store integer", "amount numeric", "n bigint"],
        " SELECT big_sale.store,
    sum(big_sale.amount) AS amount,
    count(*) AS n
   FROM shop.big_sale
  WHERE (big_sale.amount > (5)::numeric)
  GROUP BY big_sale.store;",
        &[(&["sale"], Statement, REMOVED), (&["sale"], Statement, Small)],
    );
    check("over_a_view", &case);
}

/// Every row of the view is a row of the subquery's table joined with another one.
#[test]
fn over_a_subquery_and_a_view() {
    let case = Case::new(
        &["city text", "amount numeric"],
        " SELECT t.city,
    sum(v.amount) AS amount
   FROM (( SELECT s.id,
            s.city
           FROM shop.store s
          WHERE (s.area > 0)) t
     JOIN shop.big_sale v ON ((v.store = t.id)))
  GROUP BY t.city;",
        &[(&["sale"], Additions, Small), (&["store"], Statement, Small)],
    );
    check("over_a_subquery_and_a_view", &case);
}

/// Conditions above a security barrier are evaluated only for its rows, except the equality of a join.
#[test]
fn over_a_barrier() {
    let case = Case::new(
        &["ratio integer", "n bigint"],
        " SELECT (100 / v.qty) AS ratio,
    count(DISTINCT v.region) AS n
   FROM (shop.kept_sale v
     JOIN shop.store s ON ((s.id = v.store)))
  WHERE (((v.region)::integer > s.area) AND (s.city = 'x'::text))
  GROUP BY (100 / v.qty);",
        &[(&["sale"], Additions, ADDED), (&["store"], Statement, Small)],
    );
    check("over_a_barrier", &case);
}

/// A WITH query that is read twice is computed first; one that is read once is not.
#[test]
fn over_queries_of_with() {
    let case = Case::new(
        &["n bigint"],
        " WITH few AS (
         SELECT sale.id,
            sale.qty
           FROM shop.sale
          WHERE (sale.qty > 10)
        ), once AS (
         SELECT staff.id,
            staff.pay
           FROM shop.staff
          WHERE (staff.pay > 10)
        )
 SELECT count(*) AS n
   FROM few a,
    few b,
    once c
  WHERE ((a.id = b.qty) AND ((100 / a.qty) > 1) AND ((100 / c.pay) > 1));",
        &[(&["staff"], Additions, ADDED)],
    );
    check("over_queries_of_with", &case);
}

/// The rows that are locked may be ones that the filter excludes, so a key with a cast must not be able to fail.
#[test]
fn cast_keys() {
    let case = Case::new(
        &["pay bigint"],
        " SELECT sum(f.pay) AS pay
   FROM shop.sale l,
    shop.store s,
    shop.staff f
  WHERE ((l.region = 'n'::text) AND ((l.region)::integer = s.id) AND ((l.clerk)::text = f.name) AND ((f.id)::numeric = l.cost))
  GROUP BY f.name;",
        &[(&["sale"], Statement, Small), (&["store"], Statement, Small)],
    );
    check("cast_keys", &case);
}

/// All branches of an OR join by one key, however they write it: the key is locked, and an index on it can be used.
#[test]
fn join_within_or() {
    let case = Case::new(
        &["amount numeric"],
        " SELECT sum(l.price) AS amount
   FROM shop.sale l,
    shop.store s
  WHERE (((s.id = l.store) AND (s.area > 5) AND (l.qty < 3)) OR ((l.store = s.id) AND ((s.area < 2) OR (l.qty = 9))));",
        &[(&["sale"], Statement, REMOVED), (&["store"], Statement, Small)],
    );
    check("join_within_or", &case);
}

/// A condition that a branch guards is not evaluated without the branch.
#[test]
fn guarded_within_or() {
    let case = Case::new(
        &["n bigint"],
        " SELECT count(*) AS n
   FROM shop.sale l,
    shop.store s
  WHERE (((l.qty <> 0) AND ((10 / l.qty) = s.id)) OR ((l.qty > 5) AND (s.id = (10 / l.qty))));",
        &[(&["sale"], Statement, Small)],
    );
    check("guarded_within_or", &case);
}

/// Through a table without join keys all rows match, so keys are not computed.
#[test]
fn join_by_nothing() {
    let case = Case::new(
        &["city text", "pay bigint"],
        " SELECT s.city,
    sum(f.pay) AS pay
   FROM shop.sale l,
    shop.staff f,
    shop.store s
  WHERE ((s.id = l.store) AND (f.pay > l.qty))
  GROUP BY s.city;",
        &[(&["sale"], Statement, REMOVED), (&["store"], Statement, Small), (&["staff"], Statement, Small)],
    );
    check("join_by_nothing", &case);
}

/// If a query in FROM computes an expression over one table's rows, it is computed neither for such a pair nor for a
/// row that was added and removed.
#[test]
fn one_table_and_what_can_fail() {
    let case = Case::new(
        &["city text", "total bigint"],
        " SELECT q.city,
    sum(q.ratio) AS total
   FROM ( SELECT s.city,
            (100 / l.qty) AS ratio
           FROM (shop.sale l
             JOIN shop.store s ON ((s.id = l.store)))) q
  GROUP BY q.city;",
        &[(&["sale"], Net, Small), (&["sale"], Passing, Small), (&["sale", "store"], Passing, Small)],
    );
    check("rows_that_were_there", &case);
}
