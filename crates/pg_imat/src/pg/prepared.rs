//! Prepared statements, and what their plans were made for.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::rc::Rc;

use imat_compile::sql::Sql;
use pgrx::pg_sys;

use super::layout::Layout;
use super::plan::Basis;
use super::planner::{self, Reach};

/// A statement, analysed and kept for the life of the backend.
///
/// Its plan reads the columns of deltas, and parameters, by position. PostgreSQL does not check whether these have
/// changed.
///
/// **Invariant:** a plan is handed out only for the layouts and parameter types that it was made for.
pub struct Prepared {
    sql: Sql,
    reach: Reach,
    made: RefCell<Made>,
}

struct Made {
    plan: Plan,
    basis: Rc<Basis>,
    types: Vec<pg_sys::Oid>,
    deltas: Deltas,
}

/// The deltas that statements can read, by name.
pub(super) type Deltas = Vec<(String, Rc<Layout>)>;

/// A plan of one statement.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    plan: pg_sys::SPIPlanPtr,
    /// See [`planner::ours`].
    text: *const c_char,
    reach: Reach,
}

impl Plan {
    /// A statement that lives as long as it is used.
    pub unsafe fn of(plan: pg_sys::SPIPlanPtr, reach: Reach) -> Self {
        // SAFETY: the plan is of one statement, and so has one source, whose text lives as long.
        unsafe { Self { plan, text: (*source(plan)).query_string, reach } }
    }

    /// A statement that was moved to memory which lives as long as the backend. Its text is replaced by its first
    /// words, because PostgreSQL shows the text to users in the context of errors, and a flush's text can have pages.
    /// The text is not needed after the analysis, and `explain_imat` shows it.
    pub unsafe fn kept(plan: pg_sys::SPIPlanPtr, sql: &Sql, reach: Reach) -> Self {
        let text = CString::new(sql.abbreviated()).unwrap_or_default();
        // SAFETY: the source is there as long as the plan; the copy lives as long as that.
        unsafe {
            let source = source(plan);
            if sql.as_fixed().is_none() {
                (*source).query_string = pg_sys::MemoryContextStrdup((*source).context, text.as_ptr());
            }
            Self::of(plan, reach)
        }
    }

    /// Discards the statement's plan, so that it is planned again for the current tables. No execution of it is
    /// running.
    pub unsafe fn free(self) -> Self {
        // SAFETY: as above.
        unsafe {
            let generic = (*source(self.plan)).gplan;
            if !generic.is_null() {
                (*generic).is_valid = false;
            }
        }
        Self { reach: Reach::Many, ..self }
    }

    /// Runs `body`, in which the statement may be planned.
    pub fn with<T>(self, body: impl FnOnce(pg_sys::SPIPlanPtr) -> T) -> T {
        planner::ours(self.text, self.reach, || body(self.plan))
    }

    /// The descriptor of the rows that it returns.
    pub unsafe fn result(self) -> pg_sys::TupleDesc {
        // SAFETY: as above.
        unsafe { (*source(self.plan)).resultDesc }
    }
}

unsafe fn source(plan: pg_sys::SPIPlanPtr) -> *mut pg_sys::CachedPlanSource {
    // SAFETY: the plan is of one statement, and so has one source.
    unsafe {
        let sources = pgrx::PgList::<pg_sys::CachedPlanSource>::from_pg(pg_sys::SPI_plan_get_plan_sources(plan));
        sources.get_ptr(0).unwrap_or(std::ptr::null_mut())
    }
}

impl Prepared {
    /// The statement with a plan for parameters of these types and for these deltas.
    pub(super) fn new(
        sql: &Sql,
        reach: Reach,
        (plan, basis): (Plan, Basis),
        types: &[pg_sys::Oid],
        deltas: &Deltas,
    ) -> Self {
        let made = Made { plan, basis: Rc::new(basis), types: types.to_vec(), deltas: deltas.clone() };
        Self { sql: sql.clone(), reach, made: RefCell::new(made) }
    }

    /// The estimated rows of the step that returns most, if the tables have statistics.
    pub fn expected(&self) -> Option<f64> {
        self.made.borrow().basis.rows()
    }

    /// Whether the tables still have the size for which it was planned. Plans for few rows use an index at any size, so
    /// this matters only if the planner was free.
    fn is_of_this_size(&self) -> bool {
        let (reach, basis) = {
            let made = self.made.borrow();
            (made.plan.reach, made.basis.clone())
        };
        reach != Reach::Many || basis.holds()
    }

    /// Its plan, if that was made for these parameter types, these deltas, and tables of the current size.
    pub(super) fn plan_for(&self, types: &[pg_sys::Oid], deltas: &Deltas) -> Option<Plan> {
        if !self.is_of_this_size() {
            return None;
        }
        let made = self.made.borrow();
        let fits = |(name, layout): &(String, Rc<Layout>)| {
            made.deltas.iter().all(|(known, of)| known != name || of.is_like(layout))
        };
        (made.types == types && deltas.iter().all(fits)).then_some(made.plan)
    }

    /// Replaces its plan by one that `prepare` makes.
    pub(super) fn renewed(&self, prepare: impl FnOnce(&Sql, Reach) -> Prepared) -> Plan {
        self.made.swap(&prepare(&self.sql, self.reach).made);
        self.made.borrow().plan
    }
}

impl Drop for Made {
    /// Frees the memory. If an error skips this, the memory only stays allocated.
    fn drop(&mut self) {
        // SAFETY: the plan was kept, and nobody else has the pointer.
        unsafe { pg_sys::SPI_freeplan(self.plan.plan) };
    }
}
