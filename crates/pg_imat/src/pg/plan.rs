//! The assumptions of a plan: the estimated rows of its steps, and the sizes of its tables.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag::*;

/// The sizes and estimates that a plan was made with.
#[derive(Default)]
pub(super) struct Basis {
    /// The tables that it scans, with their pages at that time.
    tables: Vec<(pg_sys::Oid, u32)>,
    /// The estimated rows of the step that returns most.
    rows: f64,
    /// Whether all but small tables have been analysed at some time.
    counted: bool,
}

/// A plan is made again if a table has grown or shrunk by this factor. Tables that are small stay cheap to read.
const FACTOR: u32 = 4;
const FEW_PAGES: u32 = 16;

impl Basis {
    /// The assumptions of a plan that was just made. The planner has locked the tables.
    pub unsafe fn of(plan: *mut pg_sys::CachedPlan) -> Basis {
        let mut basis = Basis { counted: true, ..Basis::default() };
        // SAFETY: a cached plan of one statement that can be planned.
        unsafe {
            let statements = pgrx::PgList::<pg_sys::PlannedStmt>::from_pg((*plan).stmt_list);
            let Some(statement) = statements.get_ptr(0) else { return basis };
            let tables = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*statement).rtable);
            let subplans = pgrx::PgList::<pg_sys::Plan>::from_pg((*statement).subplans);
            basis.walk((*statement).planTree, &tables);
            subplans.iter_ptr().for_each(|subplan| basis.walk(subplan, &tables));
        }
        basis
    }

    /// The estimated rows of the step that returns most, if the tables have statistics.
    pub fn rows(&self) -> Option<f64> {
        self.counted.then_some(self.rows)
    }

    /// Whether the tables still have about the size for which the plan was made.
    pub fn holds(&self) -> bool {
        let is_near = |&(table, before): &(pg_sys::Oid, u32)| {
            // SAFETY: what the plan reads is about to be locked in this way by its execution.
            let now = unsafe { measure(table, pg_sys::AccessShareLock as i32) }.map_or(0, |(pages, _)| pages);
            let (less, more) = (before.min(now), before.max(now).max(FEW_PAGES));
            more <= less.max(FEW_PAGES).saturating_mul(FACTOR)
        };
        self.tables.iter().all(is_near)
    }

    unsafe fn walk(&mut self, plan: *mut pg_sys::Plan, tables: &pgrx::PgList<pg_sys::RangeTblEntry>) {
        // SAFETY: a node of the plan, of the type that its tag says.
        unsafe {
            if plan.is_null() {
                return;
            }
            self.rows = self.rows.max((*plan).plan_rows);
            let below = match (*plan).type_ {
                T_SeqScan | T_SampleScan | T_IndexScan | T_IndexOnlyScan | T_BitmapHeapScan | T_TidScan
                | T_TidRangeScan => {
                    self.add((*plan.cast::<pg_sys::Scan>()).scanrelid, tables);
                    std::ptr::null_mut()
                }
                T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
                T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
                T_SubqueryScan => return self.walk((*plan.cast::<pg_sys::SubqueryScan>()).subplan, tables),
                _ => std::ptr::null_mut(),
            };
            pgrx::PgList::<pg_sys::Plan>::from_pg(below).iter_ptr().for_each(|plan| self.walk(plan, tables));
            self.walk((*plan).lefttree, tables);
            self.walk((*plan).righttree, tables);
        }
    }

    unsafe fn add(&mut self, scanned: u32, tables: &pgrx::PgList<pg_sys::RangeTblEntry>) {
        // SAFETY: scans number the entries from 1.
        unsafe {
            let Some(entry) = tables.get_ptr(scanned as usize - 1) else { return };
            let table = (*entry).relid;
            if self.tables.iter().any(|(known, _)| *known == table) {
                return;
            }
            if let Some((pages, counted)) = measure(table, pg_sys::NoLock as i32) {
                self.tables.push((table, pages));
                self.counted &= counted;
            }
        }
    }
}

/// A table's pages, and whether it has been analysed or is small.
unsafe fn measure(table: pg_sys::Oid, lock: i32) -> Option<(u32, bool)> {
    // SAFETY: opened under that lock, or one that is held, and closed; a table that has gone is not opened.
    unsafe {
        let relation = pg_sys::try_relation_open(table, lock);
        if relation.is_null() {
            return None;
        }
        let pages = pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM);
        let counted = pages <= FEW_PAGES || (*(*relation).rd_rel).reltuples > 0.0;
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        Some((pages, counted))
    }
}
