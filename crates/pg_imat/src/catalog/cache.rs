//! Compiled plans and prepared statements, per backend.
//!
//! All of it is derived from the catalogs. When a relation that it was derived from is altered, or gets new
//! planner statistics, the whole cache is dropped and derived again when it is needed. So renames need no special
//! treatment.

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
use crate::catalog::statements::{Locks, PerKind, Queue, Statements};
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
    /// The columns of the delta, if some maintained table is computed from it.
    fields: Option<Vec<Field>>,
    layout: RefCell<Option<Rc<Layout>>>,
    trusting: OnceCell<Vec<u32>>,
    /// Whether some maintained table is recomputed whole, so that every change must be noted, without rows.
    pub notes_changes: bool,
    /// The base is itself the state of a maintained table.
    pub is_state: bool,
}

impl Capture {
    /// Whether any maintained table follows the base table.
    pub fn is_followed(&self) -> bool {
        self.notes_changes || self.fields.is_some()
    }

    /// The layout of the delta, if some maintained table is computed from it.
    pub fn layout(&self, transition: &Transition) -> Option<Rc<Layout>> {
        let fields = self.fields.as_ref()?;
        let known = self.layout.borrow().clone().filter(|layout| layout.fits(transition));
        Some(known.unwrap_or_else(|| {
            let layout = Rc::new(Layout::new(transition, fields));
            self.layout.replace(Some(layout.clone()));
            layout
        }))
    }

    /// The maintained tables that follow the base table and rely on foreign keys.
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
    /// All relations through which rows of its base tables can change, by OID.
    pub members: BTreeSet<u32>,
    pub settings: Vec<(String, String)>,
    /// The parts of its query that can raise errors which need an explanation.
    pub error_sources: ErrorSources,
    /// The queues for changes of its base tables, during an online build.
    pub queues: Vec<Queue>,
    statements: PerKind<(TableSet, Signs, Extent), Statements>,
    locks: PerKind<(TableSet, Idle, Extent), Locks>,
}

#[derive(Default)]
struct Cache {
    generation: u64,
    captures: BTreeMap<u32, Rc<Vec<Capture>>>,
    maintained: BTreeMap<u32, Rc<Maintained>>,
    readers: BTreeMap<u32, Rc<[u32]>>,
    /// See [`states_over`].
    over: BTreeMap<u32, Rc<[u32]>>,
    /// See [`partners`].
    partners: BTreeMap<u32, Rc<[u32]>>,
    /// See [`runs_code`].
    codes: BTreeMap<u32, bool>,
    /// All relations that the above was derived from.
    relations: BTreeSet<u32>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// Whether an invalidation of this relation makes the cache outdated.
pub fn depends_on(relation: u32) -> bool {
    // An invalidation can arrive while the cache is borrowed to be filled: then it counts.
    CACHE.with(|cache| cache.try_borrow().map_or(true, |cache| cache.relations.contains(&relation)))
}

/// Drops the cache if it is outdated.
pub fn revalidate() {
    let generation = xact::generation();
    let outdated = CACHE.with_borrow_mut(|cache| {
        (cache.generation != generation).then(|| std::mem::replace(cache, Cache { generation, ..Cache::default() }))
    });
    drop(outdated);
}

/// Whether the cache is valid.
pub fn is_valid() -> bool {
    CACHE.with_borrow(|cache| cache.generation == xact::generation())
}

/// How to collect the changes of a relation: one entry for each base table whose rows it has.
pub fn captures(relation: u32) -> Rc<Vec<Capture>> {
    revalidate();
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

/// How to collect the changes of a relation as changes of this base table.
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
        notes_changes: !whole.is_empty(),
        is_state: bookkeeping::is_state(base),
    }
}

/// The positions of these columns of a base table in a relation of its hierarchy.
fn fields(base: u32, relation: u32, used: &BTreeSet<i16>) -> Vec<Field> {
    if base == relation {
        return used.iter().map(|&number| Field { base: number, fired: number }).collect();
    }
    let pairs = bookkeeping::attributes(base, relation).into_iter();
    let fields: BTreeSet<Field> =
        pairs.filter(|(base, _)| used.contains(base)).map(|(base, fired)| Field { base, fired }).collect();
    fields.into_iter().collect()
}

/// The maintained tables that read a base table and are not stale, by OID.
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

/// The states of the maintained tables over a base table, also over others of them.
pub fn states_over(base: u32) -> Rc<[u32]> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.over.get(&base).cloned()) {
        return found;
    }
    let mut states = BTreeSet::new();
    let mut next = vec![base];
    while let Some(base) = next.pop() {
        let found = readers(base).iter().map(|&reader| maintained(reader).entry.state).collect::<Vec<u32>>();
        next.extend(found.into_iter().filter(|&state| states.insert(state)));
    }
    let states: Rc<[u32]> = states.into_iter().collect();
    CACHE.with_borrow_mut(|cache| cache.over.insert(base, states.clone()));
    states
}

/// The tables that must be read to apply a change of a relation: those of all maintained tables that it reaches.
pub fn partners(relation: u32) -> Rc<[u32]> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.partners.get(&relation).cloned()) {
        return found;
    }
    let mut tables = BTreeSet::new();
    for base in captures(relation).iter().map(|capture| capture.base) {
        for changed in states_over(base).iter().copied().chain([base]) {
            readers(changed).iter().for_each(|&reader| tables.extend(&maintained(reader).bases));
        }
    }
    let tables: Rc<[u32]> = tables.into_iter().collect();
    CACHE.with_borrow_mut(|cache| cache.partners.insert(relation, tables.clone()));
    tables
}

/// Whether a statement on a relation can run user-defined code that its plan doesn't show, before it has ended: see
/// [`bookkeeping::code_of_change`].
pub fn runs_code(relation: u32) -> bool {
    if let Some(found) = CACHE.with_borrow(|cache| cache.codes.get(&relation).copied()) {
        return found;
    }
    xact::compiling(|| {
        let changed = bookkeeping::trusted(|| bookkeeping::code_of_change(relation));
        let runs = changed.iter().any(|(_, runs)| *runs);
        CACHE.with_borrow_mut(|cache| {
            cache.relations.extend(changed.iter().map(|(relation, _)| *relation));
            cache.codes.insert(relation, runs);
        });
        runs
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

/// Raises an error if a maintained table no longer fits its base tables and its definition. Otherwise makes all
/// sessions compile it again, since a change of NOT NULL in a child would not invalidate their plans.
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
    // As the owner, who has the privileges for the query: finding the types of its columns analyses it.
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
    if let Some(table) = bookkeeping::trusted(|| bookkeeping::with_row_security(entry.name).and_then(facts::name)) {
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
        statements: PerKind::default(),
        locks: PerKind::default(),
    }
}

/// Whether a state has the columns of the plan. Types are compared by their current names, since types and schemas
/// can be renamed.
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
    /// Whether it is recomputed whole.
    pub fn is_whole(&self) -> bool {
        matches!(self.plan.strategy, Strategy::Whole { .. })
    }

    /// Whether it relies on foreign keys, or would rely on them if they were validated.
    pub fn relies_on_keys(&self) -> bool {
        self.entry.trusts_keys
            && !self.is_whole()
            && self.bases.len() > 1
            && !bookkeeping::trusted(|| bookkeeping::referenced(self.entry.name)).is_empty()
    }

    /// The statements for a change of these tables, with these signs and this extent.
    pub fn statements(&self, changed: &TableSet, signs: Signs, extent: Extent) -> Rc<Statements> {
        let is_it = |(of, with, like): &(TableSet, Signs, Extent)| of == changed && *with == signs && *like == extent;
        let make = || Statements::new(self.plan.flush(&self.state, changed, signs, extent.size), extent);
        self.statements.get_or(is_it, || ((changed.clone(), signs, extent), make()))
    }

    /// The locks for a change of these tables, of which some are idle, with this extent.
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
