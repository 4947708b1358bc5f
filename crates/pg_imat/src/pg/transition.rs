//! The changed rows: those of a trigger, or all rows of a table.

use pgrx::pg_sys;

use super::values::Values;

/// The changed rows: a statement trigger's transition tables, a row trigger's row, or all rows of a table that is
/// attached or detached.
pub struct Transition {
    pub(super) relation: pg_sys::Relation,
    pub(super) old: Side,
    pub(super) new: Side,
}

/// The old or the new rows of a change.
#[derive(Clone, Copy)]
pub(super) enum Side {
    None,
    Table(*mut pg_sys::Tuplestorestate),
    Row(*mut pg_sys::TupleTableSlot),
    Scan(Scan),
}

/// A scan of a table, the slot for its rows, and the resource owner of its pages. All are released with the
/// subtransaction.
#[derive(Clone, Copy)]
pub(super) struct Scan {
    scan: pg_sys::TableScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    owner: pg_sys::ResourceOwner,
}

impl Scan {
    unsafe fn next(self) -> bool {
        // SAFETY: all are of the current subtransaction; after an error PostgreSQL resets the owner.
        unsafe {
            let owner = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = self.owner;
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            let found = pg_sys::table_scan_getnextslot(self.scan, forward, self.slot);
            pg_sys::CurrentResourceOwner = owner;
            found
        }
    }
}

impl Side {
    fn is_empty(self) -> bool {
        match self {
            Side::None => true,
            // SAFETY: the store is the trigger's.
            Side::Table(store) => unsafe { pg_sys::tuplestore_tuple_count(store) == 0 },
            Side::Row(_) | Side::Scan(_) => false,
        }
    }
}

impl Transition {
    /// The rows of a statement trigger.
    pub(super) fn of_statement(data: &pg_sys::TriggerData) -> Self {
        let table = |store: *mut pg_sys::Tuplestorestate| if store.is_null() { Side::None } else { Side::Table(store) };
        Self { relation: data.tg_relation, old: table(data.tg_oldtable), new: table(data.tg_newtable) }
    }

    /// The row of a row trigger.
    pub(super) fn of_row(data: &pg_sys::TriggerData) -> Self {
        let (row, updated) = (Side::Row(data.tg_trigslot), Side::Row(data.tg_newslot));
        let (old, new) = match data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => (Side::None, row),
            pg_sys::TRIGGER_EVENT_UPDATE => (row, updated),
            _ => (row, Side::None),
        };
        Self { relation: data.tg_relation, old, new }
    }

    /// Calls `body` with all rows of a table, without its children: as added rows, or if `added` is false as removed
    /// ones. These are the rows that are committed by now; the caller has excluded writers of the table.
    pub fn of_table<T>(table: u32, added: bool, body: impl FnOnce(&Transition) -> T) -> T {
        let lock = pg_sys::AccessShareLock as i32;
        // SAFETY: relation, snapshot, scan and slot live to the end of `body`; after an error PostgreSQL releases them.
        unsafe {
            let relation = pg_sys::relation_open(pg_sys::Oid::from(table), lock);
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            let scan = pg_sys::table_beginscan(relation, snapshot, 0, std::ptr::null_mut());
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            let rows = Side::Scan(Scan { scan, slot, owner: pg_sys::CurrentResourceOwner });
            let (old, new) = if added { (Side::None, rows) } else { (rows, Side::None) };
            let value = body(&Transition { relation, old, new });
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::table_endscan(scan);
            pg_sys::UnregisterSnapshot(snapshot);
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            value
        }
    }

    /// Whether no row was changed.
    pub fn is_empty(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }
}

/// A column of the delta: its number in the base table and in the relation whose trigger fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    pub base: i16,
    pub fired: i16,
}

/// Reads the old or the new rows one by one.
pub(super) struct Reader {
    side: Side,
    slot: *mut pg_sys::TupleTableSlot,
    /// The last column that is read.
    last: i16,
}

impl Reader {
    pub unsafe fn new(side: Side, relation: pg_sys::Relation, fields: &[Field]) -> Option<Self> {
        // SAFETY: the store is the trigger's; its first read pointer is nobody's between
        // statements, and a statement that reads it brings its own.
        let slot = match side {
            Side::None => return None,
            Side::Row(slot) | Side::Scan(Scan { slot, .. }) => slot,
            Side::Table(store) => unsafe {
                pg_sys::tuplestore_select_read_pointer(store, 0);
                pg_sys::tuplestore_rescan(store);
                pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &pg_sys::TTSOpsMinimalTuple)
            },
        };
        Some(Self { side, slot, last: fields.iter().map(|field| field.fired).max().unwrap_or(0) })
    }

    pub unsafe fn next(&mut self, fields: &[Field], into: &mut Values) -> bool {
        // SAFETY: attribute numbers are those of the relation's descriptor; values stay valid
        // until the slot's next row.
        unsafe {
            let found = match self.side {
                Side::Table(store) => pg_sys::tuplestore_gettupleslot(store, true, false, self.slot),
                Side::Scan(scan) => scan.next(),
                Side::Row(_) => true,
                Side::None => false,
            };
            if !found {
                return false;
            }
            // A row trigger's row is the only one; a scan ends with the table.
            if let Side::Row(_) = self.side {
                self.side = Side::None;
            }
            if (*self.slot).tts_nvalid < self.last {
                pg_sys::slot_getsomeattrs_int(self.slot, i32::from(self.last));
            }
            for (position, field) in fields.iter().enumerate() {
                into.values[position] = *(*self.slot).tts_values.add(field.fired as usize - 1);
                into.nulls[position] = *(*self.slot).tts_isnull.add(field.fired as usize - 1);
            }
            true
        }
    }

    pub unsafe fn close(self) {
        if let Side::Table(_) = self.side {
            // SAFETY: made by `new`.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) }
        }
    }
}
