//! One table with groups: keys, counts, sums, averages and extremes.

use imat_compile::plan::Signs::{Additions, Net, Statement};
use imat_compile::plan::Size::{Large, Small};

use crate::case::{ADDED, Case, REMOVED, check};

const SALE: &[&str] = &["sale"];

/// The state is the result.
#[test]
fn direct() {
    let case = Case::new(
        &["store integer", "n bigint", "qty bigint"],
        " SELECT sale.store,
    count(*) AS n,
    sum(sale.qty) AS qty
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Additions, ADDED), (SALE, Statement, REMOVED), (SALE, Additions, Small), (SALE, Net, Large)],
    );
    check("direct", &case);
}

#[test]
fn direct_over_expressions() {
    let case = Case::new(
        &["store integer", "qty bigint", "costs bigint", "n bigint"],
        " SELECT sale.store,
    sum((sale.qty * 2)) AS qty,
    count(sale.cost) AS costs,
    count(*) AS n
   FROM shop.sale
  WHERE ((sale.qty > 0) AND (sale.region IS NOT NULL))
  GROUP BY sale.store;",
        &[(SALE, Statement, REMOVED), (SALE, Statement, Small)],
    );
    check("direct_over_expressions", &case);
}

const NULLABLE_KEY: Case = Case::new(
    &["clerk integer", "n bigint", "qty bigint"],
    " SELECT sale.clerk,
    count(*) AS n,
    sum(sale.qty) AS qty
   FROM shop.sale
  GROUP BY sale.clerk;",
    &[(SALE, Additions, ADDED), (SALE, Statement, Small)],
);

/// Before 15 a unique index treats NULLs as distinct, so the index is over the key's image.
#[test]
fn nullable_key_before_15() {
    check("nullable_key_before_15", &Case { server_version: 140_000, ..NULLABLE_KEY });
}

#[test]
fn nullable_key() {
    check("nullable_key", &Case { server_version: 150_000, ..NULLABLE_KEY });
}

/// A text can be too long for a btree entry.
#[test]
fn text_key() {
    let case = Case::new(
        &["region text", "store integer", "n bigint", "qty bigint"],
        " SELECT sale.region,
    sale.store,
    count(*) AS n,
    sum(sale.qty) AS qty
   FROM shop.sale
  GROUP BY sale.region, sale.store;",
        &[(SALE, Additions, ADDED), (SALE, Statement, Small)],
    );
    check("text_key", &case);
}

#[test]
fn expression_keys() {
    let case = Case::new(
        &["day timestamp with time zone", "region text", "n bigint"],
        " SELECT date_trunc('day'::text, sale.sold) AS day,
    lower(sale.region) AS region,
    count(*) AS n
   FROM shop.sale
  GROUP BY (date_trunc('day'::text, sale.sold)), (lower(sale.region));",
        &[(SALE, Statement, Small)],
    );
    check("expression_keys", &case);
}

/// Keys that are no outputs, and outputs that occur twice.
#[test]
fn hidden_keys() {
    let case = Case::new(
        &["n bigint", "again bigint", "code character varying(20)", "same character varying(20)"],
        " SELECT count(*) AS n,
    count(*) AS again,
    sale.code,
    sale.code AS same
   FROM shop.sale
  GROUP BY sale.store, sale.code;",
        &[(SALE, Statement, Small)],
    );
    check("hidden_keys", &case);
}

/// Only the value of a numeric counts, so either of `1.0` and `1.00` may be stored.
#[test]
fn numeric_key() {
    let case = Case::new(
        &["cost numeric", "price numeric(10,2)", "n bigint"],
        " SELECT sale.cost,
    sale.price,
    count(*) AS n
   FROM shop.sale
  GROUP BY sale.cost, sale.price;",
        &[(SALE, Statement, Small)],
    );
    check("numeric_key", &case);
}

/// The text of the key depends on which of the equal values it is.
#[test]
fn numeric_key_as_text() {
    let case = Case::new(
        &["cost text", "n bigint"],
        " SELECT (sale.cost)::text AS cost,
    count(*) AS n
   FROM shop.sale
  GROUP BY sale.cost;",
        &[],
    );
    check("numeric_key_as_text", &case);
}

/// Equal floats can differ: zero has two signs.
#[test]
fn float_key() {
    let case = Case::new(
        &["weight double precision", "n bigint"],
        " SELECT sale.weight,
    count(*) AS n
   FROM shop.sale
  GROUP BY sale.weight;",
        &[],
    );
    check("float_key", &case);
}

/// An image holds texts of any length, and the declared scale leaves each price one form.
#[test]
fn text_and_numeric_keys() {
    let case = Case::new(
        &["region text", "price numeric(10,2)", "n bigint"],
        " SELECT sale.region,
    sale.price,
    count(*) AS n
   FROM shop.sale
  GROUP BY sale.region, sale.price;",
        &[(SALE, Statement, Small)],
    );
    check("text_and_numeric_keys", &case);
}

/// The statement for recomputation uses unambiguous names for the columns by which it finds rows.
#[test]
fn columns_called_tid() {
    let case = Case::new(
        &["tid integer", "imat_tid integer", "imat_touched bigint"],
        " SELECT sale.store AS tid,
    max(sale.qty) AS imat_tid,
    count(*) AS imat_touched
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Statement, Small)],
    );
    check("columns_called_tid", &case);
}

#[test]
fn only_row_called_tid() {
    let case = Case::new(
        &["tid integer", "imat_touched bigint"],
        " SELECT max(sale.qty) AS tid,
    count(*) AS imat_touched
   FROM shop.sale;",
        &[(SALE, Statement, Small)],
    );
    check("only_row_called_tid", &case);
}

/// No output has the name of a hidden column.
#[test]
fn names_of_hidden_columns() {
    let case = Case::new(
        &["imat_2 integer", "imat_dirty integer"],
        " SELECT sale.store AS imat_2,
    max(sale.qty) AS imat_dirty
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Additions, Small)],
    );
    check("names_of_hidden_columns", &case);
}

#[test]
fn averages() {
    let case = Case::new(
        &["store integer", "mean numeric", "spread numeric", "all_returned boolean", "any_paid boolean"],
        " SELECT sale.store,
    avg(sale.qty) AS mean,
    stddev(sale.qty) FILTER (WHERE sale.returned) AS spread,
    bool_and(sale.returned) FILTER (WHERE (sale.qty > 1)) AS all_returned,
    bool_or(sale.paid) AS any_paid
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Statement, REMOVED), (SALE, Net, Small)],
    );
    check("averages", &case);
}

const EXTREMES: Case = Case::new(
    &["store integer", "cheapest numeric", "latest timestamp with time zone", "n bigint"],
    " SELECT sale.store,
    min(sale.price) AS cheapest,
    max(sale.sold) AS latest,
    count(*) AS n
   FROM shop.sale
  GROUP BY sale.store;",
    &[(SALE, Additions, ADDED), (SALE, Statement, REMOVED), (SALE, Additions, Small), (SALE, Statement, Small)],
);

#[test]
fn extremes() {
    check("extremes", &EXTREMES);
}

/// An added row may have been removed again, so every group with a removal is recomputed.
#[test]
fn extremes_of_a_net_change() {
    check("extremes_of_a_net_change", &Case { changes: &[(SALE, Net, Small), (SALE, Net, Large)], ..EXTREMES });
}

#[test]
fn having_and_expressions() {
    let case = Case::new(
        &["next integer", "mean numeric", "first_region text"],
        " SELECT (sale.store + 1) AS next,
    round((sum(sale.price) / (count(*))::numeric), 2) AS mean,
    upper(min(sale.region)) AS first_region
   FROM shop.sale
  GROUP BY sale.store
 HAVING ((count(*) > 1) AND (sum(sale.qty) < 100));",
        &[(SALE, Statement, Small)],
    );
    check("having_and_expressions", &case);
}

/// No key: always one row, which is never deleted.
#[test]
fn without_keys() {
    let case = Case::new(
        &["n bigint", "total numeric", "most integer"],
        " SELECT count(*) AS n,
    sum(sale.price) AS total,
    max(sale.qty) AS most
   FROM shop.sale
  WHERE sale.returned;",
        &[(SALE, Additions, ADDED), (SALE, Statement, REMOVED), (SALE, Statement, Small)],
    );
    check("without_keys", &case);
}

#[test]
fn without_keys_but_having() {
    let case = Case::new(
        &["qty bigint"],
        " SELECT sum(sale.qty) AS qty
   FROM shop.sale
 HAVING (count(*) > 2);",
        &[(SALE, Net, Large)],
    );
    check("without_keys_but_having", &case);
}
