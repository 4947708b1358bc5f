//! Rows that are there as often as a column counts.

use imat_compile::plan::Signs::{Net, Statement};
use imat_compile::plan::Size::Small;

use crate::case::{ADDED, Case, check};

/// Whatever was done to the table, what its summed delta adds is there: no extreme is computed anew for it.
#[test]
fn groups() {
    let case = Case::new(
        &["store integer", "k bigint", "first text"],
        " SELECT repeated.store,
    count(*) AS k,
    min(repeated.code) AS first
   FROM shop.repeated
  GROUP BY repeated.store;",
        &[(&["counted"], Net, ADDED), (&["counted"], Net, Small)],
    );
    check("repeated_groups", &case);
}

/// A row of the store is joined to any number of others, though it is found by its key.
#[test]
fn joined() {
    let case = Case::new(
        &["city text", "k bigint"],
        " SELECT store.city,
    count(*) AS k
   FROM (shop.repeated
     JOIN shop.store ON ((store.id = repeated.store)))
  GROUP BY store.city;",
        &[(&["store"], Statement, ADDED), (&["counted"], Statement, ADDED), (&["store", "counted"], Net, Small)],
    );
    check("repeated_joined", &case);
}
