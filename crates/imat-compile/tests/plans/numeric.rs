//! Sums that can't always be subtracted from: numerics and floats.

use imat_compile::plan::Signs::{Additions, Net, Statement};
use imat_compile::plan::Size::Small;

use crate::case::{ADDED, Case, REMOVED, check};

const SALE: &[&str] = &["sale"];

/// The state is the result, so a sum is only equal in value. It can be NaN, from which nothing can be subtracted.
#[test]
fn by_value() {
    let case = Case::new(
        &["store integer", "n bigint", "amount numeric"],
        " SELECT sale.store,
    count(*) AS n,
    sum((sale.price * 1.5)) AS amount
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Additions, ADDED), (SALE, Statement, REMOVED), (SALE, Statement, Small)],
    );
    check("numeric_by_value", &case);
}

/// An argument that can be NULL is counted, and the sum gets the right scale.
#[test]
fn nullable() {
    let case = Case::new(
        &["store integer", "cost numeric"],
        " SELECT sale.store,
    sum(sale.cost) AS cost
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Statement, REMOVED), (SALE, Statement, Small)],
    );
    check("numeric_nullable", &case);
}

/// The text of a sum depends on its scale.
#[test]
fn as_text() {
    let case = Case::new(
        &["store integer", "n bigint", "amount text"],
        " SELECT sale.store,
    count(*) AS n,
    (sum((sale.price * (sale.qty)::numeric)))::text AS amount
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Net, Small)],
    );
    check("numeric_as_text", &case);
}

/// A declared scale is the scale of every sum.
#[test]
fn with_declared_scale() {
    let case = Case::new(
        &["store integer", "mean numeric"],
        " SELECT sale.store,
    avg(sale.price) AS mean
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Statement, Small)],
    );
    check("numeric_with_declared_scale", &case);
}

/// Floats can't be subtracted exactly.
#[test]
fn float_sum() {
    let case = Case::new(
        &["store integer", "weight double precision"],
        " SELECT sale.store,
    sum(sale.weight) AS weight
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Additions, ADDED), (SALE, Statement, REMOVED), (SALE, Additions, Small), (SALE, Statement, Small)],
    );
    check("float_sum", &case);
}

#[test]
fn float_average() {
    let case = Case::new(
        &["store integer", "least numeric", "weight double precision"],
        r#" SELECT sale.store,
    min(DISTINCT sale.cost) AS "least",
    avg(sale.weight) AS weight
   FROM shop.sale
  GROUP BY sale.store;"#,
        &[(SALE, Statement, REMOVED), (SALE, Statement, Small)],
    );
    check("float_average", &case);
}

const INTERVALS: Case = Case::new(
    &["store integer", "age interval"],
    " SELECT sale.store,
    sum((sale.sold - '2000-01-01 00:00:00+00'::timestamp with time zone)) AS age
   FROM shop.sale
  GROUP BY sale.store;",
    &[(SALE, Statement, REMOVED), (SALE, Net, Small)],
);

/// Intervals can be infinite, and infinity can't be subtracted.
#[test]
fn intervals() {
    check("intervals", &INTERVALS);
}
