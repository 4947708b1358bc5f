//! Select-project-join: a state row per distinct result row.

use imat_compile::plan::Signs::{Additions, Net, Statement};
use imat_compile::plan::Size::{Large, Small};

use crate::case::{Case, check};

#[test]
fn one_table() {
    let case = Case::new(
        &["qty integer", "twice numeric", "region text"],
        " SELECT sale.qty,
    (sale.price * (2)::numeric) AS twice,
    sale.region
   FROM shop.sale
  WHERE (sale.qty > 3);",
        &[(&["sale"], Additions, Small), (&["sale"], Net, Large)],
    );
    check("rows_of_one_table", &case);
}

/// No column of the table is read at all.
#[test]
fn constant() {
    let case = Case::new(
        &["one integer"],
        " SELECT 1 AS one
   FROM shop.sale;",
        &[(&["sale"], Statement, Small)],
    );
    check("rows_of_a_constant", &case);
}

#[test]
fn join() {
    let case = Case::new(
        &["id integer", "city text", "amount numeric"],
        " SELECT l.id,
    s.city,
    ((l.qty)::numeric * l.price) AS amount
   FROM (shop.sale l
     JOIN shop.store s ON ((s.id = l.store)))
  WHERE (s.area IS NULL);",
        &[(&["sale"], Additions, Small), (&["store"], Statement, Small), (&["sale", "store"], Net, Small)],
    );
    check("rows_of_a_join", &case);
}
