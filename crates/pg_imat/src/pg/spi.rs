//! Runs [`Sql`] by SPI.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::rc::Rc;

use imat_compile::sql::Sql;
use pgrx::pg_sys;
use pgrx::{FromDatum, IntoDatum};

use super::layout::Layout;
use super::plan::Basis;
use super::prepared::{Deltas, Plan};
use super::{context, memory};

pub use super::params::Params;
pub use super::planner::Reach;
pub use super::prepared::Prepared;

// Declared here, because pgrx's bindings catch errors and raise them again without the names of schema, table and
// constraint, and with XX000 for any SQLSTATE that pgrx does not know. Functions of views and triggers on states may
// raise any SQLSTATE, and callers may catch errors by it.
unsafe extern "C-unwind" {
    fn SPI_execute_plan(
        plan: pg_sys::SPIPlanPtr,
        values: *mut pg_sys::Datum,
        nulls: *const c_char,
        read_only: bool,
        count: std::ffi::c_long,
    ) -> i32;
    fn SPI_execute_snapshot(
        plan: pg_sys::SPIPlanPtr,
        values: *mut pg_sys::Datum,
        nulls: *const c_char,
        snapshot: pg_sys::Snapshot,
        crosscheck: pg_sys::Snapshot,
        read_only: bool,
        fire_triggers: bool,
        count: std::ffi::c_long,
    ) -> i32;
    fn SPI_execute_plan_extended(plan: pg_sys::SPIPlanPtr, options: *const pg_sys::SPIExecuteOptions) -> i32;
    /// Plans the statement, which evaluates constants.
    fn SPI_plan_get_cached_plan(plan: pg_sys::SPIPlanPtr) -> *mut pg_sys::CachedPlan;
}

/// A parameter of a bookkeeping query.
pub struct Param {
    value: Option<pg_sys::Datum>,
    ty: pg_sys::Oid,
}

impl<T: IntoDatum> From<T> for Param {
    fn from(value: T) -> Self {
        Self { ty: T::type_oid(), value: value.into_datum() }
    }
}

// Missing in pgrx's bindings.
unsafe extern "C-unwind" {
    fn SetTuplestoreDestReceiverParams(
        receiver: *mut pg_sys::DestReceiver,
        store: *mut pg_sys::Tuplestorestate,
        context: pg_sys::MemoryContext,
        detoast: bool,
        target: pg_sys::TupleDesc,
        failure: *const c_char,
    );
}

/// The snapshot under which a statement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// The snapshot of the isolation level.
    Transaction,
    /// A new snapshot, which sees everything that is committed.
    Latest,
}

/// The SPI connection of one flush. After an error PostgreSQL closes it.
pub struct Connection {
    /// The deltas that its statements can read.
    deltas: RefCell<Deltas>,
}

fn fail(action: &str, code: i32) -> ! {
    super::error::raise(&imat_compile::error::Error::new(
        imat_compile::error::SqlState("XX000"),
        format!("{action} failed with code {code}"),
    ))
}

impl Connection {
    pub fn open() -> Self {
        memory::require();
        // SAFETY: paired with `close`, or with the transaction's abort.
        let code = unsafe { pg_sys::SPI_connect() };
        if code != pg_sys::SPI_OK_CONNECT as i32 {
            fail("SPI_connect", code);
        }
        Self { deltas: RefCell::default() }
    }

    pub fn close(self) {
        // SAFETY: the connection is open.
        unsafe { pg_sys::SPI_finish() };
    }

    /// Analyses and plans a statement. The deltas that it reads must be registered. Planning evaluates constants, so it
    /// is done under the current settings, except those of the planner: see [`planner`] and [`Reach`]. An error jumps
    /// through this as in [`Connection::execute`].
    pub fn prepare(&self, sql: &Sql, params: &[pg_sys::Oid], reach: Reach) -> Prepared {
        let mut plan = self.general(sql, params, reach);
        let mut basis = self.make(plan);
        if let Reach::FewUnless(many) = reach
            && basis.rows().is_some_and(|rows| rows >= f64::from(many))
        {
            // SAFETY: nothing runs it yet.
            plan = unsafe { plan.free() };
            basis = self.make(plan);
        }
        Prepared::new(sql, reach, (plan, basis), params, &self.deltas.borrow())
    }

    /// Makes the plan of a statement that has none.
    fn make(&self, plan: Plan) -> Basis {
        // SAFETY: the plan is of one statement; what is planned is released, and stays.
        plan.with(|plan| unsafe {
            let planned = SPI_plan_get_cached_plan(plan);
            if planned.is_null() {
                return Basis::default();
            }
            let basis = Basis::of(planned);
            pg_sys::ReleaseCachedPlan(planned, pg_sys::CurrentResourceOwner);
            basis
        })
    }

    /// The plan of a statement for these parameter types. It is made again if it was made for other types, or for
    /// deltas with other columns than the registered ones.
    fn plan(&self, prepared: &Prepared, types: &[pg_sys::Oid]) -> Plan {
        let known = prepared.plan_for(types, &self.deltas.borrow());
        known.unwrap_or_else(|| prepared.renewed(|sql, reach| self.prepare(sql, types, reach)))
    }

    /// Lets the statements read a delta with this layout.
    pub(super) unsafe fn register(
        &self,
        relation: *mut pg_sys::EphemeralNamedRelationData,
        name: &str,
        layout: &Rc<Layout>,
    ) {
        // SAFETY: the caller's relation lives as long as the connection.
        let code = unsafe { pg_sys::SPI_register_relation(relation) };
        if code < 0 {
            fail("SPI_register_relation", code);
        }
        self.deltas.borrow_mut().push((name.to_owned(), layout.clone()));
    }

    /// Runs a statement and puts the rows that it returns into the store. Returns their descriptor, which belongs to
    /// the plan.
    pub(super) fn execute_into(
        &self,
        prepared: &Prepared,
        params: &Params,
        store: *mut pg_sys::Tuplestorestate,
    ) -> pg_sys::TupleDesc {
        let plan = self.plan(prepared, &params.types);
        // SAFETY: the receiver and the options live through the call; a statement that returns rows
        // has a descriptor.
        unsafe {
            let receiver = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestTuplestore);
            let context = pg_sys::TopTransactionContext;
            SetTuplestoreDestReceiverParams(receiver, store, context, true, std::ptr::null_mut(), std::ptr::null());
            let options = pg_sys::SPIExecuteOptions { dest: receiver, params: params.list(), ..Default::default() };
            let code = plan.with(|plan| SPI_execute_plan_extended(plan, &options));
            if code < 0 {
                fail("SPI_execute_plan_extended", code);
            }
            plan.result()
        }
    }

    /// Analyses a statement under the current settings. It lives as long as the connection.
    fn analyse(&self, sql: &Sql, params: &[pg_sys::Oid], options: u32) -> pg_sys::SPIPlanPtr {
        let text = CString::new(sql.as_str()).unwrap_or_default();
        let mut params = params.to_vec();
        // SAFETY: the text and types outlive the call.
        let plan = unsafe {
            pg_sys::SPI_prepare_cursor(text.as_ptr(), params.len() as i32, params.as_mut_ptr(), options as i32)
        };
        if plan.is_null() {
            // SAFETY: reads a variable.
            fail("SPI_prepare", unsafe { pg_sys::SPI_result });
        }
        plan
    }

    /// A statement with a generic plan. Its text is parsed under the settings for text.
    fn general(&self, sql: &Sql, params: &[pg_sys::Oid], reach: Reach) -> Plan {
        let plan = context::with_text(|| self.analyse(sql, params, pg_sys::CURSOR_OPT_GENERIC_PLAN));
        // SAFETY: the plan was just made, and is moved to memory that lives as long as the backend.
        let code = unsafe { pg_sys::SPI_keepplan(plan) };
        if code != 0 {
            fail("SPI_keepplan", code);
        }
        // SAFETY: it was kept.
        unsafe { Plan::kept(plan, sql, reach) }
    }

    /// Runs a statement; returns how many rows it processed.
    ///
    /// An error jumps through the callers, up to the trigger, so they must hold no borrow.
    pub fn execute(&self, prepared: &Prepared, params: &Params, snapshot: Snapshot) -> u64 {
        let (values, flags) = (params.values.as_ptr().cast_mut(), params.nulls.as_ptr());
        // SAFETY: as many values as the plan has parameters, which SPI only reads.
        // `read_only = false`: the statement sees what this transaction did and, under READ
        // COMMITTED, what others committed by now.
        let code = self.plan(prepared, &params.types).with(|plan| unsafe {
            match snapshot {
                Snapshot::Transaction => SPI_execute_plan(plan, values, flags, false, 0),
                Snapshot::Latest => SPI_execute_snapshot(
                    plan,
                    values,
                    flags,
                    pg_sys::GetLatestSnapshot(),
                    std::ptr::null_mut(),
                    false,
                    true,
                    0,
                ),
            }
        });
        if code < 0 {
            fail("SPI_execute_plan", code);
        }
        // SAFETY: reads a variable.
        unsafe { pg_sys::SPI_processed }
    }

    /// A field of the last statement's first row.
    fn field(&self, number: i32) -> Option<pg_sys::Datum> {
        // SAFETY: called after a statement that returned a row with that many fields.
        unsafe {
            let table = pg_sys::SPI_tuptable;
            if table.is_null() || pg_sys::SPI_processed == 0 {
                return None;
            }
            let mut null = false;
            let value = pg_sys::SPI_getbinval(*(*table).vals, (*table).tupdesc, number, &mut null);
            (!null).then_some(value)
        }
    }

    /// A text field of the last statement's first row.
    pub fn text(&self, number: i32) -> Option<String> {
        // SAFETY: the field has the type text.
        self.field(number).and_then(|value| unsafe { String::from_datum(value, false) })
    }

    /// A bigint field of the last statement's first row.
    pub fn number(&self, number: i32) -> Option<i64> {
        // SAFETY: the field has the type bigint.
        self.field(number).and_then(|value| unsafe { i64::from_datum(value, false) })
    }

    /// The last statement's rows, which have N integer fields that are not NULL.
    pub fn integers<const N: usize>(&self) -> Vec<[i32; N]> {
        // SAFETY: the rows live to the next statement; the fields are passed by value.
        unsafe {
            let table = pg_sys::SPI_tuptable;
            let count = if table.is_null() { 0 } else { pg_sys::SPI_processed as usize };
            let field = |row: usize, number: usize| {
                let mut null = false;
                let (tuple, descriptor) = (*(*table).vals.add(row), (*table).tupdesc);
                pg_sys::SPI_getbinval(tuple, descriptor, number as i32 + 1, &mut null).value() as i32
            };
            (0..count).map(|row| std::array::from_fn(|number| field(row, number))).collect()
        }
    }

    /// An array of tids, as a parameter that is valid until the connection closes, and its length. NULL is an empty
    /// array.
    pub fn tids(&self, number: i32) -> (Params, usize) {
        let mut tids = Params::default();
        let Some(value) = self.field(number) else {
            tids.push(pg_sys::Datum::null(), true, pg_sys::TIDARRAYOID);
            return (tids, 0);
        };
        // SAFETY: the field has the type tid[]; a copy outlives the statement's memory.
        unsafe {
            let array = pg_sys::pg_detoast_datum_copy(value.cast_mut_ptr());
            let header = array.cast::<pg_sys::ArrayType>();
            let length = pg_sys::ArrayGetNItems((*header).ndim, header.add(1).cast());
            tids.push(pg_sys::Datum::from(array), false, pg_sys::TIDARRAYOID);
            (tids, usize::try_from(length).unwrap_or(0))
        }
    }
}

/// Runs a statement for its effect. If Citus is installed, DDL is not sent to other nodes, since it refers to triggers,
/// temporary views and other objects that only this node has.
pub fn run(sql: &Sql) {
    let run = || run_with(sql, &[]);
    match context::is_setting(PROPAGATION) {
        true => context::with_settings(&[(PROPAGATION, "off")], run),
        false => run(),
    }
}

/// The setting by which Citus sends DDL to other nodes.
const PROPAGATION: &str = "citus.enable_ddl_propagation";

pub fn run_with(sql: &Sql, params: &[Param]) {
    rows(sql, params, |_| ());
}

fn unexpected(error: &dyn std::fmt::Display) -> ! {
    super::error::raise(&imat_compile::error::Error::new(
        imat_compile::error::SqlState("XX000"),
        format!("bookkeeping query failed: {error}"),
    ))
}

/// A row of a result. Fields count from 1.
pub struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Row {
    /// The field, or `None` for NULL.
    pub fn get<T: FromDatum>(&self, number: usize) -> Option<T> {
        // SAFETY: the tuple and its descriptor live while the query's result is made into values.
        unsafe {
            let mut null = false;
            let value = pg_sys::SPI_getbinval(self.tuple, self.descriptor, number as i32, &mut null);
            let ty = pg_sys::SPI_gettypeid(self.descriptor, number as i32);
            T::from_polymorphic_datum(value, null, ty)
        }
    }

    /// A field that is never NULL.
    pub fn need<T: FromDatum>(&self, number: usize) -> T {
        self.get(number).unwrap_or_else(|| unexpected(&format!("column {number} is NULL")))
    }

    /// An OID field.
    pub fn oid(&self, number: usize) -> u32 {
        self.need::<pg_sys::Oid>(number).to_u32()
    }
}

thread_local! {
    /// The bookkeeping queries that this backend has used, by their text.
    static KEPT: RefCell<HashMap<&'static str, Prepared>> = RefCell::default();
}

/// A prepared bookkeeping query. Queries with a constant text are kept. The connection is open.
fn query(connection: &Connection, sql: &Sql, types: &[pg_sys::Oid]) -> Plan {
    let Some(text) = sql.as_fixed() else {
        // SAFETY: it lives as long as the connection.
        return unsafe { Plan::of(connection.analyse(sql, types, 0), Reach::Many) };
    };
    let none = Deltas::new();
    if let Some(plan) = KEPT.with_borrow(|kept| kept.get(text)?.plan_for(types, &none)) {
        return plan;
    }
    // These queries look rows up in catalogs, which may grow after planning.
    let plan = connection.general(sql, types, Reach::Few);
    KEPT.with_borrow_mut(|kept| {
        kept.insert(text, Prepared::new(sql, Reach::Few, (plan, Basis::default()), types, &none))
    });
    plan
}

/// The rows of a bookkeeping query, each converted by `make`. The query reads the latest committed state, whatever the
/// transaction's snapshot: the bookkeeping that belongs to a trigger may be newer.
pub fn rows<T>(sql: &Sql, params: &[Param], make: impl Fn(&Row) -> T) -> Vec<T> {
    rows_under(Snapshot::Latest, sql, params, make)
}

/// The same with a chosen snapshot.
pub fn rows_under<T>(snapshot: Snapshot, sql: &Sql, params: &[Param], make: impl Fn(&Row) -> T) -> Vec<T> {
    let connection = Connection::open();
    let types: Vec<pg_sys::Oid> = params.iter().map(|param| param.ty).collect();
    let mut values: Vec<pg_sys::Datum> =
        params.iter().map(|param| param.value.unwrap_or(pg_sys::Datum::null())).collect();
    let nulls: Vec<c_char> = params.iter().map(|param| if param.value.is_some() { b' ' } else { b'n' } as _).collect();
    let plan = query(&connection, sql, &types);
    // SAFETY: all that is passed outlives the call; rows are read before the connection closes.
    let made = unsafe {
        let snapshot = match snapshot {
            Snapshot::Transaction => pg_sys::GetTransactionSnapshot(),
            Snapshot::Latest => pg_sys::GetLatestSnapshot(),
        };
        let none = std::ptr::null_mut();
        let (values, nulls) = (values.as_mut_ptr(), nulls.as_ptr());
        let code = plan.with(|plan| pg_sys::SPI_execute_snapshot(plan, values, nulls, snapshot, none, false, true, 0));
        if code < 0 {
            fail("SPI_execute_snapshot", code);
        }
        let table = pg_sys::SPI_tuptable;
        let count = if table.is_null() { 0 } else { pg_sys::SPI_processed as usize };
        (0..count).map(|row| make(&Row { tuple: *(*table).vals.add(row), descriptor: (*table).tupdesc })).collect()
    };
    connection.close();
    made
}

/// The first row of a query.
pub fn first<T>(sql: &Sql, params: &[Param], make: impl Fn(&Row) -> T) -> Option<T> {
    rows(sql, params, make).into_iter().next()
}

/// A result column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    pub oid: u32,
    pub modifier: i32,
    pub collation: u32,
}

/// The types of a query's columns; the query is not executed.
pub fn describe(sql: &Sql) -> Vec<ColumnType> {
    let connection = Connection::open();
    let plan = connection.analyse(sql, &[], 0);
    // SAFETY: the plan and its sources live until the connection closes; what is read is copied.
    let types = unsafe {
        let sources = pgrx::PgList::<pg_sys::CachedPlanSource>::from_pg(pg_sys::SPI_plan_get_plan_sources(plan));
        match sources.get_ptr(0) {
            Some(source) if !(*source).resultDesc.is_null() => {
                let descriptor = (*source).resultDesc;
                (0..(*descriptor).natts as usize)
                    .map(|position| {
                        let attribute = *super::image::attribute(descriptor, position);
                        ColumnType {
                            oid: attribute.atttypid.to_u32(),
                            modifier: attribute.atttypmod,
                            collation: attribute.attcollation.to_u32(),
                        }
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    };
    connection.close();
    types
}
