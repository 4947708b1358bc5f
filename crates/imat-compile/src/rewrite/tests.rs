//! Each rule through what it does to a delta: plan in, plan out.

use insta::assert_snapshot;

use super::normalise;
use crate::rel::{Image, Rel, TableSet};
use crate::scalar::Scalar;

fn table(index: usize) -> Rel {
    Rel::scan(index, Image::New, 2)
}

/// `#left = #right`.
fn equal(left: usize, right: usize) -> Scalar {
    let mut scalar = Scalar::column(left);
    scalar.push_text(" = ");
    scalar.push_column(right);
    scalar
}

fn delta(view: &Rel, changed: impl IntoIterator<Item = usize>) -> Rel {
    let changed: TableSet = changed.into_iter().collect();
    normalise(&view.delta(&changed), &changed)
}

#[test]
fn no_change() {
    let view = table(0).join(table(1), equal(0, 2));
    assert_snapshot!(delta(&view, []), @"Empty");
}

#[test]
fn join_with_both_sides_changed() {
    let view = table(0).join(table(1), equal(0, 2));
    assert_snapshot!(delta(&view, [0, 1]), @"
    Union
      Join on #0 = #2
        Scan Delta of table 0
        Scan New of table 1
      Join on #0 = #2
        Scan Old of table 0
        Scan Delta of table 1
    ");
}

#[test]
fn unchanged_table_has_one_image() {
    let view = table(0).join(table(1), equal(0, 2));
    assert_snapshot!(delta(&view, [1]), @"
    Join on #0 = #2
      Scan New of table 0
      Scan Delta of table 1
    ");
}

#[test]
fn sums_and_signs_rise_and_cancel() {
    let subtracted = table(0).minus(table(1).negate().minus(table(2)));
    let view = subtracted.join(table(3), equal(0, 2)).filter(equal(1, 3));
    assert_snapshot!(delta(&view, [3]), @"
    Union
      Filter #1 = #3
        Join on #0 = #2
          Scan New of table 0
          Scan Delta of table 3
      Filter #1 = #3
        Join on #0 = #2
          Scan New of table 1
          Scan Delta of table 3
      Filter #1 = #3
        Join on #0 = #2
          Scan New of table 2
          Scan Delta of table 3
    ");
}

#[test]
fn filters_and_projections_merge() {
    let view = table(0)
        .filter(equal(0, 1))
        .filter(Scalar::text("true"))
        .project(vec![Scalar::column(1), Scalar::column(0)])
        .project(vec![Scalar::column(1)])
        .project(vec![Scalar::column(0)]);
    assert_snapshot!(delta(&view, [0]), @"
    Project #0
      Filter #0 = #1, true
        Scan Delta of table 0
    ");
}

#[test]
fn distinct_is_restricted_to_changed_rows() {
    let view = table(0).project(vec![Scalar::column(0)]).distinct();
    assert_snapshot!(delta(&view, [0]), @"
    Union
      Distinct
        Project #0
          Join on ((#0) IS NOT DISTINCT FROM #1)
            Project #0
              Scan New of table 0
            Distinct
              Union
                Distinct
                  Project #0
                    Scan Delta of table 0
                Distinct
                  Negate
                    Project #0
                      Scan Delta of table 0
      Negate
        Distinct
          Project #0
            Join on ((#0) IS NOT DISTINCT FROM #1)
              Project #0
                Scan Old of table 0
              Distinct
                Union
                  Distinct
                    Project #0
                      Scan Delta of table 0
                  Distinct
                    Negate
                      Project #0
                        Scan Delta of table 0
    ");
}

#[test]
fn aggregate_is_restricted_to_affected_groups() {
    let view = table(0).aggregate(vec![Scalar::column(0)], vec![Scalar::text("count(*)")]);
    assert_snapshot!(delta(&view, [0]), @"
    Union
      Aggregate by (#0): count(*)
        Project #0, #1
          Join on ((#0) IS NOT DISTINCT FROM #2)
            Scan New of table 0
            Distinct
              Union
                Project #0
                  Distinct
                    Scan Delta of table 0
                Project #0
                  Distinct
                    Negate
                      Scan Delta of table 0
      Negate
        Aggregate by (#0): count(*)
          Project #0, #1
            Join on ((#0) IS NOT DISTINCT FROM #2)
              Scan Old of table 0
              Distinct
                Union
                  Project #0
                    Distinct
                      Scan Delta of table 0
                  Project #0
                    Distinct
                      Negate
                        Scan Delta of table 0
    ");
}
