//! Rows that are repeated as often as a column says.

use imat_compile::plan::Signs::{Net, Statement};
use imat_compile::plan::Size::Small;

use crate::case::{ADDED, Case, check};

/// Whatever the change of the table was, rows with +1 in its summed delta exist, so no extreme is recomputed for them.
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

/// A row of the store is joined with any number of other rows, although its key finds it.
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
