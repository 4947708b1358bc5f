//! Rows of a relation summed up by image: what remains of a change when rows that were added and taken away are left out.

use crate::sql::builder::{Select, list, qualified, subquery};

/// The rows of a relation with weights `w`. Each has the `image` of these columns; the sum `n` of the weights of all
/// rows with that image; and its number `r` among them.
pub(crate) fn by_image(relation: &str, columns: &[String]) -> String {
    format!(
        "SELECT v.*, pg_catalog.sum(v.w) OVER same AS n, pg_catalog.row_number() OVER same AS r \
         FROM (SELECT b.*, imat_catalog.row_image(ROW({})) AS image FROM {relation} AS b) AS v \
         WINDOW same AS (PARTITION BY v.image)",
        list(qualified("b", columns))
    )
}

/// One row `e` of each image whose weights don't add up to 0.
pub(crate) fn remaining(relation: &str, columns: &[String]) -> Select {
    Select::default().from([subquery(by_image(relation, columns), "e")]).filter(["e.r = 1", "e.n <> 0"])
}

/// The change of a table whose rows are repeated `times`, summed up: each row has the weight `w`, +1 or -1, and is there `n`
/// times. If a count rises from 3 to 4, the change is one added row, and not 3 rows taken away and 4 added.
pub(crate) fn summed(delta: &str, columns: &[String], times: &str) -> Select {
    let weight = format!("d.w * {times} AS w");
    let rows = Select::new(qualified("d", columns)).columns([weight]).from([format!("{delta} AS d")]);
    Select::new(qualified("e", columns))
        .columns(["pg_catalog.sign(e.n)::integer AS w", "CASE WHEN e.r = 1 THEN pg_catalog.abs(e.n)::bigint END AS n"])
        .from([subquery(by_image(&format!("({rows})"), columns), "e")])
}
