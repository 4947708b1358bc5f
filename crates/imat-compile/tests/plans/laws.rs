//! Laws of every plan and of every statement in it.

use std::collections::BTreeSet;

use crate::case::{ADDED, REMOVED};
use imat_compile::name::QName;
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Key, Plan, Signs, Size};
use imat_compile::rel::TableSet;
use imat_compile::sql::Sql;
use imat_compile::sql::locks::{Keys, Locking};
use imat_compile::sql::render::delta_name;
use imat_compile::sql::statements::{Apply, Flush, Recompute};
use squawk_syntax::SourceFile;

/// Checks the laws for `plan`; `again` is the plan of the same view, made a second time.
pub fn hold(plan: &Plan, again: &Plan) {
    assert_eq!(plan, again, "a plan depends on its view alone");
    assert_eq!(plan.shape(), again.shape());
    let names: BTreeSet<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names.len(), plan.columns.len(), "two columns of the state have one name");
    let state = QName::new("imat", "v");
    let rebuild = plan.rebuild(&state);
    let mut statements = plan.create(&state);
    statements.extend(plan.reading(&state));
    statements.extend([rebuild.digest, rebuild.filled, rebuild.populate]);
    statements.extend([rebuild.clear, rebuild.difference, rebuild.delete, rebuild.insert]);
    statements.extend(rebuild.possible);
    statements.iter().for_each(is_sql);
    for changed in changes(plan) {
        let sizes: &[Size] = match changed.len() {
            1 => &[ADDED, REMOVED, Size::Small, Size::Large],
            _ => &[Size::Small, Size::Large],
        };
        for &size in sizes {
            locks(plan, &plan.locking(&changed, &Idle::new(), size), &changed, size);
            let all = [Signs::Additions, Signs::Statement, Signs::Net, Signs::Passing];
            let made = all.map(|signs| {
                let made = plan.flush(&state, &changed, signs, size);
                flush(plan, &made, &changed, size);
                made
            });
            let is_one = matches!(size, Size::One(_));
            assert!(!is_one || made.iter().all(|one| *one == made[0]), "what one row did depends on something else");
        }
    }
}

/// Two sessions lock the same keys, even if their plans differ in facts that can change while both write.
pub fn agree(plan: &Plan, other: &Plan) {
    // If a view depends on a primary key, PostgreSQL prevents that it is dropped.
    if other.strategy != plan.strategy {
        return;
    }
    for changed in changes(plan) {
        let locking = |plan: &Plan| plan.locking(&changed, &Idle::new(), Size::Small);
        assert_eq!(locking(plan), locking(other), "what is locked depends on whether keys hold");
    }
}

/// All sessions lock in the same order, so they can't deadlock.
fn locks(plan: &Plan, locking: &Locking, changed: &TableSet, size: Size) {
    let Locking::Keys(steps) = locking else { return };
    let order: Vec<_> = steps.iter().flat_map(|step| step.sides.iter().copied()).collect();
    assert!(!order.is_empty(), "a change of a join locks nothing");
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {order:?}");
    for step in steps {
        match &step.keys {
            Keys::Query(query) => {
                is_sql(query);
                reads(plan, query, changed, size, 1);
            }
            Keys::All => assert_ne!(step, &steps[0], "asks nothing where nothing is locked yet"),
            Keys::Columns(keys) => {
                assert!(matches!(size, Size::One(_)), "many rows have no columns");
                let given = changed.iter().map(|&table| plan.tables[table].columns.len()).sum();
                assert!(keys.iter().flat_map(|(.., columns)| columns).all(|&column| column < given));
                let sides: BTreeSet<_> = keys.iter().map(|(edge, side, _)| (*edge, *side)).collect();
                assert!(sides.into_iter().eq(step.sides.iter().copied()), "a side without a key: {step:?}");
            }
        }
    }
}

/// Every non-empty set of tables.
fn changes(plan: &Plan) -> impl Iterator<Item = TableSet> {
    let tables = plan.tables.len();
    (1..1_usize << tables).map(move |bits| (0..tables).filter(|table| bits & (1 << table) != 0).collect())
}

fn flush(plan: &Plan, flush: &Flush, changed: &TableSet, size: Size) {
    let Apply { write, watched, twins } = &flush.apply;
    let on_delta: Vec<&Sql> = flush.digest.iter().chain([write, watched]).collect();
    let (on_tids, on_groups): (Vec<&Sql>, Vec<&Sql>) = match &flush.recompute {
        None => (Vec::new(), Vec::new()),
        Some(Recompute { few, many }) => {
            (vec![&few.write, &few.digest, &many.groups], vec![&many.values, &many.digest, &many.write])
        }
    };
    let on_tids: Vec<&Sql> = on_tids.into_iter().chain(&flush.delete).chain([twins]).collect();
    on_delta.iter().chain(&on_tids).chain(&on_groups).for_each(|sql| is_sql(sql));
    on_delta.iter().for_each(|sql| reads(plan, sql, changed, size, 0));
    for sql in on_tids.into_iter().filter(|sql| plan.key != Key::Single || *sql != twins) {
        assert_eq!(params(sql).max(), Some(1), "takes the tids: {sql}");
    }
    on_groups.iter().for_each(|sql| assert_eq!(params(sql).max(), None, "reads relations: {sql}"));
    assert!(flush.returns || (flush.recompute.is_none() && flush.delete.is_none()), "nothing says which rows");
    assert!(flush.delete.is_none() || plan.key != Key::Single, "the only row stays");
}

/// A statement reads only deltas and parameters that exist. The columns of a single row are the parameters after the
/// first.
fn reads(plan: &Plan, sql: &Sql, changed: &TableSet, size: Size, first: usize) {
    let read: TableSet = (0..plan.tables.len()).filter(|&table| sql.as_str().contains(&delta_name(table))).collect();
    assert!(read.is_subset(changed), "reads a delta that is not there: {sql}");
    let is_one = matches!(size, Size::One(_));
    let row = changed.iter().filter(|_| is_one).map(|&table| plan.tables[table].columns.len());
    let given = first + row.sum::<usize>();
    assert!(params(sql).all(|number| number <= given), "reads a parameter that is not there: {sql}");
    let is_given = |table: &usize| sql.as_str().contains(&format!("{:?} (", delta_name(*table)));
    assert_eq!(changed.iter().any(is_given), is_one && !read.is_empty(), "makes one row a delta: {sql}");
}

/// The numbers of the parameters that a statement reads.
fn params(sql: &Sql) -> impl Iterator<Item = usize> + '_ {
    let parts = sql.as_str().split('$').skip(1);
    parts.filter_map(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
}

fn is_sql(sql: &Sql) {
    let parsed = SourceFile::parse(sql.as_str());
    assert!(parsed.errors().is_empty(), "{:?} in {sql}", parsed.errors());
    assert_eq!(parsed.syntax_node().children().count(), 1, "one statement: {sql}");
}
