//! Look-ups by an index, without SQL. They need no parsing and no planning, and cost the same in small and large
//! tables. All that must be looked up at every command of a database is looked up here.

use std::ffi::CString;

use pgrx::pg_sys;

/// A table and one of its indexes.
#[derive(Clone, Copy)]
pub struct By {
    table: u32,
    index: u32,
}

// The OIDs of catalogs and their indexes are the same in all major versions.
pub const DEPENDENTS: By = By { table: 2608, index: 2674 };
pub const DEPENDENCIES: By = By { table: 2608, index: 2673 };
pub const CHILDREN: By = By { table: 2611, index: 2187 };
pub const PARENTS: By = By { table: 2611, index: 2680 };
pub const TRIGGER: By = By { table: 2620, index: 2702 };
pub const RULE: By = By { table: 2618, index: 2692 };
pub const CAST: By = By { table: 2605, index: 2660 };
pub const PUBLISHED_TABLE: By = By { table: 6106, index: 6112 };
/// From PostgreSQL 15.
pub const PUBLISHED_SCHEMA: By = By { table: 6237, index: 6238 };
pub const FUNCTIONS: By = By { table: 1255, index: 2691 };
pub const OPERATORS: By = By { table: 2617, index: 2689 };
pub const FUNCTION: By = By { table: 1255, index: 2690 };
pub const OPERATOR: By = By { table: 2617, index: 2688 };

impl By {
    /// A table of the extension with one of its indexes, if it exists.
    pub fn named(table: &str, index: &str) -> Option<Self> {
        let name = |name: &str| CString::new(name).unwrap_or_default();
        let (schema, table, index) = (name("imat_catalog"), name(table), name(index));
        // SAFETY: the names outlive the calls, which look them up.
        let [table, index] = unsafe {
            let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
            [&table, &index].map(|name| pg_sys::get_relname_relid(name.as_ptr(), schema).to_u32())
        };
        (table != 0 && index != 0).then_some(Self { table, index })
    }

    /// Finds the rows that have these OIDs in these columns, which are the first of the index. Returns the values of
    /// `fields`, OIDs or chars.
    pub fn find<const N: usize>(self, keys: &[(i16, u32)], fields: [i16; N]) -> Vec<[u32; N]> {
        let mut found = Vec::new();
        self.scan(&Key::oids(keys), |row| {
            found.push(fields.map(|field| row.field(field)));
            true
        });
        found
    }

    /// Whether there is such a row.
    pub fn any(self, keys: &[(i16, u32)]) -> bool {
        self.writer(keys).is_some()
    }

    /// The transaction that wrote the row.
    pub fn writer(self, keys: &[(i16, u32)]) -> Option<pg_sys::TransactionId> {
        let mut writer = None;
        self.scan(&Key::oids(keys), |row| {
            writer = Some(row.writer());
            false
        });
        writer
    }

    /// The OIDs of the rows of [`FUNCTIONS`] or [`OPERATORS`] that have the same schema and name as the one with this
    /// OID in [`FUNCTION`] or [`OPERATOR`].
    pub fn namesakes(self, one: By, oid: u32) -> Vec<u32> {
        const OID: i16 = 1;
        const NAME: i16 = 2;
        const SCHEMA: i16 = 3;
        let mut found = Vec::new();
        one.scan(&[Key::oid(OID, oid)], |original| {
            let schema = original.field(SCHEMA);
            let name = Key { column: NAME, value: original.datum(NAME), function: pg_sys::F_NAMEEQ };
            self.scan(&[name], |row| {
                if row.field(SCHEMA) == schema {
                    found.push(row.field(OID));
                }
                true
            });
            false
        });
        found
    }

    /// Calls `each` with the rows that are committed by now or written by this transaction, until it returns false.
    fn scan(self, keys: &[Key], mut each: impl FnMut(&Row) -> bool) {
        // SAFETY: the table is closed after the scan; a row lives to the next; after an error PostgreSQL closes both.
        unsafe {
            let relation = pg_sys::table_open(pg_sys::Oid::from(self.table), pg_sys::AccessShareLock as i32);
            let mut made: Vec<pg_sys::ScanKeyData> = keys.iter().map(Key::make).collect();
            let (index, count) = (pg_sys::Oid::from(self.index), made.len() as i32);
            let scan =
                pg_sys::systable_beginscan(relation, index, true, std::ptr::null_mut(), count, made.as_mut_ptr());
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() || !each(&Row { tuple, descriptor: (*relation).rd_att }) {
                    break;
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        }
    }
}

struct Key {
    column: i16,
    value: pg_sys::Datum,
    function: u32,
}

impl Key {
    fn oid(column: i16, oid: u32) -> Self {
        Self { column, value: pg_sys::Datum::from(oid), function: pg_sys::F_OIDEQ }
    }

    fn oids(keys: &[(i16, u32)]) -> Vec<Self> {
        keys.iter().map(|&(column, oid)| Self::oid(column, oid)).collect()
    }

    fn make(&self) -> pg_sys::ScanKeyData {
        let mut key = pg_sys::ScanKeyData::default();
        let equal = pg_sys::BTEqualStrategyNumber as u16;
        // SAFETY: fills the key in.
        unsafe { pg_sys::ScanKeyInit(&mut key, self.column, equal, pg_sys::Oid::from(self.function), self.value) };
        key
    }
}

/// The current row of a scan.
struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Row {
    fn datum(&self, column: i16) -> pg_sys::Datum {
        let mut null = false;
        // SAFETY: the table has the column; what is passed by reference lives as long as the row.
        unsafe { pg_sys::heap_getattr(self.tuple, i32::from(column), self.descriptor, &mut null) }
    }

    fn writer(&self) -> pg_sys::TransactionId {
        // SAFETY: the row lives as long as this.
        let header = unsafe { &*(*self.tuple).t_data };
        match u32::from(header.t_infomask) & pg_sys::HEAP_XMIN_FROZEN {
            pg_sys::HEAP_XMIN_FROZEN => pg_sys::FrozenTransactionId,
            // SAFETY: what is in the table has these fields, and no datum's.
            _ => unsafe { header.t_choice.t_heap.t_xmin },
        }
    }

    /// An OID or a char.
    fn field(&self, column: i16) -> u32 {
        self.datum(column).value() as u32
    }
}

/// The row type of a relation, if it has one.
pub fn row_type(relation: u32) -> Option<u32> {
    // SAFETY: looks it up.
    let ty = unsafe { pg_sys::get_rel_type_id(pg_sys::Oid::from(relation)) }.to_u32();
    (ty != 0).then_some(ty)
}

/// Whether a relation is a view.
pub fn is_view(relation: u32) -> bool {
    // SAFETY: looks it up.
    unsafe { pg_sys::get_rel_relkind(pg_sys::Oid::from(relation)) as u8 == pg_sys::RELKIND_VIEW }
}

/// Whether a relation is in the schema of the bookkeeping.
pub fn is_in_catalog(relation: u32) -> bool {
    // SAFETY: looks them up.
    unsafe {
        pg_sys::get_rel_namespace(pg_sys::Oid::from(relation))
            == pg_sys::get_namespace_oid(c"imat_catalog".as_ptr(), true)
    }
}

/// The trigger of a relation with this name.
pub fn trigger(relation: u32, name: &str) -> Option<u32> {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: the name outlives the call, which looks it up.
    let found = unsafe { pg_sys::get_trigger_oid(pg_sys::Oid::from(relation), name.as_ptr(), true) }.to_u32();
    (found != 0).then_some(found)
}

/// The trigger of a relation with this name, if it calls a function of the extension.
pub fn our_trigger(relation: u32, name: &str) -> Option<u32> {
    let calls = |trigger| TRIGGER.find(&[(1, trigger)], [5]).into_iter().map(|[function]| function).next();
    // SAFETY: looks them up.
    let is_ours = |function: u32| unsafe {
        pg_sys::get_func_namespace(pg_sys::Oid::from(function))
            == pg_sys::get_namespace_oid(c"imat_catalog".as_ptr(), true)
    };
    trigger(relation, name).filter(|&trigger| calls(trigger).is_some_and(is_ours))
}

/// Makes a trigger be dropped together with a relation that it names. Before, it prevented dropping the relation.
pub fn drop_with_relation(trigger: u32, relation: u32) {
    let address = |class, object: u32| pg_sys::ObjectAddress {
        classId: class,
        objectId: pg_sys::Oid::from(object),
        objectSubId: 0,
    };
    let (mark, on) = (address(pg_sys::TriggerRelationId, trigger), address(pg_sys::RelationRelationId, relation));
    let (normal, auto) = (pg_sys::DependencyType::DEPENDENCY_NORMAL, pg_sys::DependencyType::DEPENDENCY_AUTO);
    // SAFETY: both exist; the addresses are copied.
    unsafe {
        pg_sys::deleteDependencyRecordsForSpecific(mark.classId, mark.objectId, normal as i8, on.classId, on.objectId);
        pg_sys::recordDependencyOn(&mark, &on, auto);
    }
}

/// The table of an index, if it is one.
pub fn indexed(index: u32) -> Option<u32> {
    // SAFETY: looks it up.
    let table = unsafe { pg_sys::IndexGetRelation(pg_sys::Oid::from(index), true) }.to_u32();
    (table != 0).then_some(table)
}
