//! The law of every delta rule, on random plans: the delta of a view is its value after the change minus its value
//! before. Also checks that these tests detect wrong rules.

mod generate;
mod semantics;

use generate::Case;
use imat_compile::rel::term::Term;
use imat_compile::rel::{Image, Rel};
use imat_compile::zset::ZSet;

const CASES: u64 = 12_000;

/// The difference that the change makes to the view, by evaluating it twice.
fn difference(case: &Case) -> ZSet {
    &case.view.eval(&case.db.after()) - &case.view.eval(&case.db.before())
}

/// The number of cases in which `delta` is not the difference.
fn failures(delta: impl Fn(&Case) -> Rel) -> usize {
    let wrong = |seed: &u64| {
        let case = Case::new(*seed);
        delta(&case).eval(&case.db) != difference(&case)
    };
    (0..CASES).filter(wrong).count()
}

#[test]
fn delta_is_difference() {
    for seed in 0..CASES {
        let case = Case::new(seed);
        let delta = case.view.delta(&case.changed);
        assert!(delta.is_sound(), "seed {seed}:\n{delta}");
        assert_eq!(delta.eval(&case.db), difference(&case), "seed {seed}:\n{}\n{delta}", case.view);
    }
}

/// A linear relation is a sum of signed products.
#[test]
fn linear_relations_are_sums_of_products() {
    let mut linear = 0;
    for seed in 0..CASES {
        let Case { view, db, changed } = Case::new(seed);
        for rel in [&view, &view.delta(&changed)] {
            if let Ok(terms) = Term::all(rel) {
                linear += 1;
                let products = terms.iter().map(|term| term.to_rel().eval(&db));
                let sum = products.fold(ZSet::default(), |sum, product| &sum + &product);
                assert_eq!(sum, rel.eval(&db), "seed {seed}:\n{rel}");
            }
        }
    }
    assert!(linear > CASES / 2, "only {linear} linear relations");
}

/// The old image can't be looked up by an index as a current table can.
#[test]
fn a_few_changes_are_multiplied_out() {
    let reads_old = |rel: &Rel| rel.scans().any(|scan| scan.image == Image::Old);
    let (mut several, mut many) = (0, 0);
    for seed in 0..CASES {
        let Case { view, changed, .. } = Case::new(seed);
        let changing = view.scans().filter(|scan| changed.contains(&scan.table)).count();
        if Term::all(&view).is_ok() && changing > 1 {
            several += 1;
            let delta = view.delta(&changed);
            assert!(changing > 4 || !reads_old(&delta), "seed {seed}:\n{delta}");
            many += usize::from(reads_old(&delta));
        }
    }
    assert!(several > 1_000 && many > 10, "{several} with several leaves that change, {many} with many");
}

/// A test of the law proves something only if wrong rules fail it.
mod power {
    use super::*;

    fn replaced(rel: &Rel, from: Image, to: Image) -> Rel {
        rel.map_scans(&|scan| {
            let mut scan = scan.clone();
            if scan.image == from {
                scan.image = to;
            }
            scan
        })
    }

    #[test]
    fn cases_are_worth_something() {
        let changes = |seed: &u64| !difference(&Case::new(*seed)).is_empty();
        let changing = (0..CASES).filter(changes).count();
        assert!(changing > 4_000, "only {changing} views change");
        let is_bag = |seed: &u64| {
            Case::new(*seed).db.0.iter().all(|table| (&table.old + &table.delta).is_bag() && table.old.is_bag())
        };
        assert!((0..CASES).all(|seed| is_bag(&seed)));
    }

    #[test]
    fn both_sides_after_the_change_is_noticed() {
        let wrong = failures(|case| replaced(&case.view.delta(&case.changed), Image::Old, Image::New));
        assert!(wrong > 500, "noticed {wrong} times");
    }

    #[test]
    fn both_sides_before_the_change_is_noticed() {
        let wrong = failures(|case| replaced(&case.view.delta(&case.changed), Image::New, Image::Old));
        assert!(wrong > 500, "noticed {wrong} times");
    }

    /// Each changed table joined with the current versions of the others, like a trigger per table that does not see
    /// other tables' changes. It is wrong only for joins.
    #[test]
    fn naive_join_rule_is_noticed() {
        let wrong = failures(|case| naive(&case.view, case));
        assert!(wrong > 200, "noticed {wrong} times");
    }

    fn naive(rel: &Rel, case: &Case) -> Rel {
        match rel {
            Rel::Join(join) => {
                let left = naive(&join.left, case).join((*join.right).clone(), join.on.clone());
                let right = (*join.left).clone().join(naive(&join.right, case), join.on.clone());
                left.union(right)
            }
            Rel::Filter(_) | Rel::Project(_) | Rel::Union(_) | Rel::Negate(_) => {
                rel.operator().map_inputs(&|input| naive(input, case))
            }
            _ => rel.delta(&case.changed),
        }
    }
}
