//! Compiled plans and prepared statements, per backend.
//!
//! Everything is derived from the catalogs; when a relation that something was derived from is
//! altered, or the planner's statistics of one change, all is dropped and derived anew when
//! next needed. Renames therefore need no care.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use imat_compile::error::Unsupported;
use imat_compile::name::QName;
use imat_compile::plan::references::Idle;
use imat_compile::plan::{Plan, Signs, Strategy};
use imat_compile::rel::TableSet;
use imat_compile::sql::locks::Locking;

use crate::catalog::bookkeeping::{self, Entry};
use crate::catalog::error_sources::ErrorSources;
use crate::catalog::extent::Extent;
use crate::catalog::facts::{self, SystemCatalog};
use crate::catalog::statements::{Locks, Made, Queue, Statements};
use crate::catalog::{citus, compile};
use crate::pg::context::{Role, as_role, with_path, with_text};
use crate::pg::error::raise;
use crate::pg::layout::Layout;
use crate::pg::transition::{Field, Transition};
use crate::pg::xact;
use crate::refuse;

/// How the changes of one relation become a delta of one base table.
pub struct Capture {
    pub base: u32,
    /// The columns of the delta, where some maintained table is computed from it.
    fields: Option<Vec<Field>>,
    layout: RefCell<Option<Rc<Layout>>>,
    trusting: OnceCell<Vec<u32>>,
    /// Some maintained table is recomputed whole: it is told of any change of any column.
    pub tells: bool,
    /// The base is itself the state of a maintained table.
    pub is_state: bool,
}

impl Capture {
    /// Whether anybody follows the base.
    pub fn is_followed(&self) -> bool {
        self.tells || self.fields.is_some()
    }

    /// The shape of the delta, where some maintained table is computed from it.
    pub fn layout(&self, transition: &Transition) -> Option<Rc<Layout>> {
        let fields = self.fields.as_ref()?;
        let known = self.layout.borrow().clone().filter(|layout| layout.fits(transition));
        Some(known.unwrap_or_else(|| {
            let layout = Rc::new(Layout::new(transition, fields));
            self.layout.replace(Some(layout.clone()));
            layout
        }))
    }

    /// The maintained tables that follow the base and rely on foreign keys.
    pub fn trusting(&self) -> &[u32] {
        let relies = |&reader: &u32| maintained(reader).relies_on_keys();
        self.trusting.get_or_init(|| readers(self.base).iter().copied().filter(relies).collect())
    }
}

/// A maintained table.
pub struct Maintained {
    pub entry: Entry,
    pub display: String,
    pub state: QName,
    pub plan: Plan,
    /// The base tables.
    pub bases: BTreeSet<u32>,
    /// The relations whose writers write any base table, by OID.
    pub members: BTreeSet<u32>,
    pub settings: Vec<(String, String)>,
    /// What an error in it can be of.
    pub error_sources: ErrorSources,
    /// Where changes of its base tables go while it is being built.
    pub queues: Vec<Queue>,
    statements: Made<(TableSet, Signs, Extent), Statements>,
    locks: Made<(TableSet, Idle, Extent), Locks>,
}

#[derive(Default)]
struct Cache {
    generation: u64,
    captures: BTreeMap<u32, Rc<Vec<Capture>>>,
    maintained: BTreeMap<u32, Rc<Maintained>>,
    readers: BTreeMap<u32, Rc<[u32]>>,
    /// All relations that the above was derived from.
    relations: BTreeSet<u32>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// Whether a change of this relation makes the cache stale.
pub fn depends_on(relation: u32) -> bool {
    // An invalidation can arrive while the cache is being filled; assume the worst then.
    CACHE.with(|cache| cache.try_borrow().map_or(true, |cache| cache.relations.contains(&relation)))
}

/// Drops what is stale.
pub fn fresh() {
    let generation = xact::generation();
    let stale = CACHE.with_borrow_mut(|cache| {
        (cache.generation != generation).then(|| std::mem::replace(cache, Cache { generation, ..Cache::default() }))
    });
    drop(stale);
}

/// Whether nothing is.
pub fn is_fresh() -> bool {
    CACHE.with_borrow(|cache| cache.generation == xact::generation())
}

/// What the changes of a relation have to be collected for.
pub fn captures(relation: u32) -> Rc<Vec<Capture>> {
    fresh();
    if let Some(found) = CACHE.with_borrow(|cache| cache.captures.get(&relation).cloned()) {
        return found;
    }
    xact::compiling(|| {
        let captures = Rc::new(bookkeeping::trusted(|| {
            bookkeeping::bases_of_relation(relation).into_iter().map(|base| capture(base, relation)).collect::<Vec<_>>()
        }));
        CACHE.with_borrow_mut(|cache| {
            cache.relations.insert(relation);
            cache.captures.insert(relation, captures.clone());
        });
        captures
    })
}

/// What they have to be collected for as changes of a base table.
pub fn capture(base: u32, relation: u32) -> Capture {
    let readers: Vec<Rc<Maintained>> = readers(base).iter().copied().map(maintained).collect();
    let (whole, derived): (Vec<_>, Vec<_>) = readers.iter().partition(|reader| reader.is_whole());
    let used: BTreeSet<i16> = derived
        .iter()
        .flat_map(|reader| reader.plan.tables.iter().filter(|table| table.oid == base))
        .flat_map(|table| table.columns.iter().copied())
        .collect();
    Capture {
        base,
        fields: (!derived.is_empty()).then(|| fields(base, relation, &used)),
        layout: RefCell::default(),
        trusting: OnceCell::new(),
        tells: !whole.is_empty(),
        is_state: bookkeeping::is_state(base),
    }
}

/// Where these columns of a base table are in a relation that reaches it, by their numbers in the former.
fn fields(base: u32, relation: u32, used: &BTreeSet<i16>) -> Vec<Field> {
    if base == relation {
        return used.iter().map(|&number| Field { base: number, fired: number }).collect();
    }
    let pairs = bookkeeping::attributes(base, relation).into_iter();
    let fields: BTreeSet<Field> =
        pairs.filter(|(base, _)| used.contains(base)).map(|(base, fired)| Field { base, fired }).collect();
    fields.into_iter().collect()
}

/// The maintained tables that read a base table and follow it, by OID.
pub fn readers(base: u32) -> Rc<[u32]> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.readers.get(&base).cloned()) {
        return found;
    }
    xact::compiling(|| {
        let readers: Rc<[u32]> = bookkeeping::trusted(|| bookkeeping::followers(base)).into();
        CACHE.with_borrow_mut(|cache| {
            cache.relations.insert(base);
            cache.readers.insert(base, readers.clone());
        });
        readers
    })
}

/// A maintained table, compiled.
pub fn maintained(name: u32) -> Rc<Maintained> {
    find(name).unwrap_or_else(|| raise(&refuse::not_maintained(&name.to_string())))
}

/// The same, if there is one of that name.
pub fn find(name: u32) -> Option<Rc<Maintained>> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.maintained.get(&name).cloned()) {
        return Some(found);
    }
    xact::compiling(|| {
        let loaded = Rc::new(load(bookkeeping::trusted(|| bookkeeping::entry(name))?));
        CACHE.with_borrow_mut(|cache| {
            let entry = &loaded.entry;
            cache.relations.extend([entry.name, entry.state, entry.definition]);
            cache.relations.extend(loaded.plan.tables.iter().map(|table| table.oid));
            cache.maintained.insert(name, loaded.clone());
        });
        Some(loaded)
    })
}

/// Raises an error where a maintained table does not fit what it is made of any more. Where it
/// still does, all sessions compile it anew: of a child's NOT NULL they are not told otherwise.
pub fn check(name: u32) {
    let Some(entry) = bookkeeping::trusted(|| bookkeeping::entry(name)) else { return };
    let maintained = load(entry);
    let entry = &maintained.entry;
    xact::invalidate(entry.state);
    let columns = |relation| bookkeeping::trusted(|| facts::columns(relation));
    if columns(entry.name) != columns(entry.definition) {
        raise(&refuse::stale_shape(&maintained.display));
    }
}

fn load(entry: Entry) -> Maintained {
    // Types are asked for as the owner, who may use the functions and tables of the query.
    let compile = || {
        let names = (facts::name(entry.state), facts::name(entry.name));
        let (Some(state), Some(display)) = names else { raise(&refuse::not_maintained(&entry.name.to_string())) };
        (compiled(&entry), state, display.to_string())
    };
    let (plan, state, display) = as_role(Role::Restricted(entry.owner), &with_path(Vec::new()), || with_text(compile));
    let members: BTreeSet<u32> =
        bookkeeping::trusted(|| bookkeeping::sources(entry.name)).into_iter().map(|(_, relation)| relation).collect();
    let queues = if entry.queued { bookkeeping::trusted(|| bookkeeping::queues(entry.name)) } else { Vec::new() };
    let queues = queues.into_iter().map(|(base, name)| Queue::new(base, name)).collect();
    let display = entry.target.as_ref().map_or(display, |target| target.to_string());
    if let Some(table) = bookkeeping::trusted(|| bookkeeping::filtered(entry.name).and_then(facts::name)) {
        raise(&refuse::row_security(&table.to_string(), &display));
    }
    if let Some(table) =
        citus::managed(members.iter().copied()).and_then(|table| bookkeeping::trusted(|| facts::name(table)))
    {
        raise(&refuse::became_citus_table(&table.to_string(), &display));
    }
    let plan = match plan {
        Ok(plan) if plan.shape() == entry.shape && has_columns(&plan, entry.state) => plan,
        _ => raise(&refuse::stale_shape(&display)),
    };
    let foreign = bookkeeping::trusted(|| bookkeeping::runs_user_code(entry.definition, entry.state));
    let settings = if foreign { with_path(entry.settings()) } else { entry.settings() };
    let subqueries = bookkeeping::trusted(|| facts::scalar_subqueries(entry.definition));
    Maintained {
        bases: plan.tables.iter().map(|table| table.oid).collect(),
        members,
        entry,
        display,
        state,
        plan,
        settings,
        error_sources: ErrorSources { subqueries, functions: foreign },
        queues,
        statements: Made::default(),
        locks: Made::default(),
    }
}

/// Whether a state has the columns that the plan keeps. Types are compared as they are called now,
/// since they and their schemas can be renamed.
pub fn has_columns(plan: &Plan, state: u32) -> bool {
    let planned = plan.columns.iter().map(|column| (column.name.clone(), column.ty.clone()));
    planned.eq(bookkeeping::trusted(|| facts::columns(state)))
}

fn compiled(entry: &Entry) -> Result<Plan, Unsupported> {
    match &entry.construct {
        Some(construct) => {
            let bases = bookkeeping::bases(entry.name);
            Ok(compile::whole(&Unsupported::new(construct.clone()), entry.definition, &bases))
        }
        None => {
            let not_null = Some(bookkeeping::not_null(entry.name));
            let catalog = SystemCatalog { not_null, distrusts_keys: !entry.trusts_keys };
            compile::plan(&compile::view(entry.definition, &catalog)?, entry.definition, entry.server_version)
        }
    }
}

impl Maintained {
    /// Whether any change makes the query run again.
    pub fn is_whole(&self) -> bool {
        matches!(self.plan.strategy, Strategy::Whole { .. })
    }

    /// Whether it relies on foreign keys, or would if they were validated.
    pub fn relies_on_keys(&self) -> bool {
        self.entry.trusts_keys
            && !self.is_whole()
            && self.bases.len() > 1
            && !bookkeeping::trusted(|| bookkeeping::referenced(self.entry.name)).is_empty()
    }

    /// The statements for such a change.
    pub fn statements(&self, changed: &TableSet, signs: Signs, extent: Extent) -> Rc<Statements> {
        let is_it = |(of, with, like): &(TableSet, Signs, Extent)| of == changed && *with == signs && *like == extent;
        let make = || Statements::new(self.plan.flush(&self.state, changed, signs, extent.size), extent);
        self.statements.get_or(is_it, || ((changed.clone(), signs, extent), make()))
    }

    /// What such a change locks, likewise.
    pub fn locks(
        &self,
        changed: &TableSet,
        idle: &Idle,
        extent: Extent,
        prepare: impl FnOnce(Locking) -> Locks,
    ) -> Rc<Locks> {
        let is_it = |(of, beside, like): &(TableSet, Idle, Extent)| of == changed && beside == idle && *like == extent;
        let make = || prepare(self.plan.locking(changed, idle, extent.size));
        self.locks.get_or(is_it, || ((changed.clone(), idle.clone(), extent), make()))
    }
}
