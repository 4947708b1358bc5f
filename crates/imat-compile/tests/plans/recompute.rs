//! Aggregates that need all rows of a group, and views that are recomputed whole.

use imat_compile::plan::Signs::{Additions, Net, Statement};
use imat_compile::plan::Size::{Large, Small};

use crate::case::{ADDED, Case, REMOVED, check};

const SALE: &[&str] = &["sale"];

#[test]
fn groups() {
    let case = Case::new(
        &["store integer", "regions bigint", "quantities integer[]", "most integer"],
        " SELECT sale.store,
    count(DISTINCT sale.region) AS regions,
    array_agg(sale.qty ORDER BY sale.sold) AS quantities,
    max(sale.qty) AS most
   FROM shop.sale
  GROUP BY sale.store;",
        &[(SALE, Additions, ADDED), (SALE, Statement, REMOVED), (SALE, Statement, Small)],
    );
    check("recompute_groups", &case);
}

/// Few groups are looked up by an index, many are joined.
#[test]
fn groups_of_a_nullable_key() {
    let case = Case::new(
        &["clerk integer", "regions bigint"],
        " SELECT sale.clerk,
    count(DISTINCT sale.region) AS regions
   FROM shop.sale
  GROUP BY sale.clerk;",
        &[(SALE, Statement, Small), (SALE, Statement, Large)],
    );
    check("recompute_groups_of_a_nullable_key", &case);
}

/// With an index on all keys, each combination of NULL keys can use it.
#[test]
fn groups_of_nullable_keys() {
    let case = Case::new(
        &["clerk integer", "store integer", "returned boolean", "codes bigint"],
        " SELECT sale.clerk,
    sale.store,
    sale.returned,
    count(DISTINCT sale.code) AS codes
   FROM shop.sale
  GROUP BY sale.clerk, sale.store, sale.returned;",
        &[(SALE, Statement, Small)],
    );
    check("recompute_groups_of_nullable_keys", &case);
}

/// Bounds for the column from which a key is computed can use an index.
#[test]
fn groups_of_a_truncated_time() {
    let case = Case::new(
        &["hour timestamp with time zone", "stores bigint"],
        " SELECT date_trunc('hour'::text, sale.sold) AS hour,
    count(DISTINCT sale.store) AS stores
   FROM shop.sale
  GROUP BY (date_trunc('hour'::text, sale.sold));",
        &[(SALE, Statement, Small), (SALE, Statement, Large)],
    );
    check("recompute_groups_of_a_truncated_time", &case);
}

#[test]
fn without_keys() {
    let case = Case::new(
        &["regions bigint"],
        " SELECT count(DISTINCT sale.region) AS regions
   FROM shop.sale;",
        &[(SALE, Additions, Small)],
    );
    check("recompute_without_keys", &case);
}

#[test]
fn whole() {
    let case = Case::new(
        &["id integer", "city text", "qty integer"],
        " SELECT s.id,
    s.city,
    l.qty
   FROM (shop.store s
     LEFT JOIN shop.sale l ON ((l.store = s.id)));",
        &[(&["sale", "store"], Net, Small)],
    );
    check("whole", &case);
}

/// Deltas are applied in key order, and transaction IDs have no order.
#[test]
fn key_without_order() {
    let case = Case::new(
        &["n bigint"],
        " SELECT count(*) AS n
   FROM shop.store
  GROUP BY (((store.area)::text)::xid);",
        &[],
    );
    check("key_without_order", &case);
}
