//! The prepared statements of a maintained table.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use imat_compile::name::QName;
use imat_compile::plan::locks::Side;
use imat_compile::plan::{Plan, TableUse};
use imat_compile::sql::statements::Flush;

use crate::catalog::extent::Extent;
use crate::pg::record::Record;
use crate::pg::spi::Prepared;

/// The statements of a flush, each prepared when it is first needed. For example, the state may be empty before the
/// upsert, and a plan made for an empty table would be bad later.
pub struct Statements {
    pub flush: Flush,
    pub extent: Extent,
    pub digest: OnceCell<Prepared>,
    pub write: OnceCell<Prepared>,
    pub watched: OnceCell<Prepared>,
    pub twins: OnceCell<Prepared>,
    pub recompute: Recomputing,
    pub delete: OnceCell<Prepared>,
}

impl Statements {
    pub fn new(flush: Flush, extent: Extent) -> Self {
        Self {
            flush,
            extent,
            digest: OnceCell::new(),
            write: OnceCell::new(),
            watched: OnceCell::new(),
            twins: OnceCell::new(),
            recompute: Recomputing::default(),
            delete: OnceCell::new(),
        }
    }
}

/// See [`imat_compile::sql::statements::Recompute`].
#[derive(Default)]
pub struct Recomputing {
    pub few: RecomputingFew,
    pub many: RecomputingMany,
}

#[derive(Default)]
pub struct RecomputingFew {
    pub digest: OnceCell<Prepared>,
    pub write: OnceCell<Prepared>,
}

#[derive(Default)]
pub struct RecomputingMany {
    pub groups: OnceCell<Prepared>,
    pub digest: OnceCell<Prepared>,
    pub values: OnceCell<Prepared>,
    pub write: OnceCell<Prepared>,
}

/// The locks for one kind of change, with prepared statements that find the keys.
pub enum Locks {
    Rows,
    View,
    Keys(Vec<(Vec<(u16, Side)>, Keys)>),
}

/// See [`imat_compile::sql::locks::Keys`].
pub enum Keys {
    Query(Prepared),
    Columns(Vec<(u16, Side, Record)>),
    All,
}

/// The queue of one base table in an online build.
pub struct Queue {
    pub base: u32,
    pub name: QName,
    pub append: OnceCell<Prepared>,
    pub note: OnceCell<Prepared>,
}

impl Queue {
    pub fn new(base: u32, name: QName) -> Self {
        Self { base, name, append: OnceCell::new(), note: OnceCell::new() }
    }

    /// The base table's position in a plan, and the columns that the plan uses.
    pub fn table<'a>(&self, plan: &'a Plan) -> Option<(usize, &'a TableUse)> {
        plan.tables.iter().enumerate().find(|(_, table)| table.oid == self.base)
    }
}

/// A cache by kinds of changes. There are so few that comparing is faster than hashing.
pub struct PerKind<Kind, T>(RefCell<Vec<(Kind, Rc<T>)>>);

impl<Kind, T> Default for PerKind<Kind, T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<Kind, T> PerKind<Kind, T> {
    pub fn get_or(&self, is_it: impl Fn(&Kind) -> bool, make: impl FnOnce() -> (Kind, T)) -> Rc<T> {
        if let Some((_, found)) = self.0.borrow().iter().find(|(kind, _)| is_it(kind)) {
            return found.clone();
        }
        let (kind, made) = make();
        let made = Rc::new(made);
        self.0.borrow_mut().push((kind, made.clone()));
        made
    }
}
