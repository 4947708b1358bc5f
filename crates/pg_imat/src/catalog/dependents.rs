//! Finds the maintained tables that a command affects. For most commands a few index look-ups find none.

use std::collections::BTreeSet;

use imat_compile::sql::ddl;
use pgrx::pg_sys::Oid;

use crate::pg::lookup::{self, By};

/// Class and OID.
pub type Object = (u32, u32);

/// Catalogs as the classes of objects.
pub const CLASS: u32 = 1259;
pub const TYPE: u32 = 1247;
pub const RULE: u32 = 2618;
pub const TRIGGER: u32 = 2620;
const FUNCTION: u32 = 1255;
const OPERATOR: u32 = 2617;
const CAST: u32 = 2605;
const CONSTRAINT: u32 = 2606;
const SCHEMA: u32 = 2615;
const LANGUAGE: u32 = 2612;
const OPERATOR_CLASS: u32 = 2616;
const OPERATOR_FAMILY: u32 = 2753;
/// The catalogs of the members of operator classes and families.
const MEMBERS: [u32; 2] = [2602, 2603];

/// Columns of `pg_depend`: the dependent object, the referenced object, and the dependency type.
const WHO_CLASS: i16 = 1;
const WHO: i16 = 2;
const ON_CLASS: i16 = 4;
const ON: i16 = 5;
const KIND: i16 = 7;
const NORMAL: u32 = b'n' as u32;
const INTERNAL: u32 = b'i' as u32;
const COUNTS: [u32; 3] = [NORMAL, b'a' as u32, INTERNAL];

/// Our tables with the indexes for look-ups, opened once per command.
pub struct Bookkeeping {
    sources: By,
    parts: [(i16, By); 3],
}

impl Bookkeeping {
    /// `None` if the extension's tables are just being dropped.
    pub fn open() -> Option<Self> {
        Some(Self {
            sources: By::named("source", "source_pkey")?,
            parts: [
                (1, By::named("imat", "imat_pkey")?),
                (2, By::named("imat", "imat_state_key")?),
                (3, By::named("imat", "imat_definition_key")?),
            ],
        })
    }

    fn is_source(&self, relation: u32) -> bool {
        self.sources.any(&[(RELATION_OF_SOURCE, relation)])
    }

    /// Whether a relation is the name, the state or the definition of a maintained table.
    pub fn is_part(&self, relation: u32) -> bool {
        self.parts.iter().any(|&(column, by)| by.any(&[(column, relation)]))
    }

    /// Whether a relation has to do with a maintained table: by the bookkeeping, as a view that another one reads, or
    /// by a trigger of ours, which a restore can create before the bookkeeping.
    fn concerns(&self, relation: u32) -> bool {
        self.is_source(relation)
            || self.is_part(relation)
            || lookup::is_view(relation) && is_read(relation)
            || [ddl::TRIGGERS[0], ddl::GUARD].iter().any(|name| lookup::trigger(relation, name).is_some())
    }

    /// Whether a view is read by another view, or is part of a maintained table.
    pub fn is_read_or_part(&self, view: u32) -> bool {
        is_read(view) || self.is_part(view)
    }

    /// Those of these relations, their descendants and their ancestors that a maintained table has to do with.
    pub fn concerned(&self, relations: &[Oid]) -> Vec<Oid> {
        const CHILD: i16 = 1;
        const PARENT: i16 = 2;
        let relations: BTreeSet<u32> = relations.iter().map(|relation| relation.to_u32()).collect();
        let mut all = reached(relations.clone(), |relation| lookup::CHILDREN.find(&[(PARENT, relation)], [CHILD]));
        all.extend(reached(relations, |relation| lookup::PARENTS.find(&[(CHILD, relation)], [PARENT])));
        all.into_iter().filter(|&relation| self.concerns(relation)).map(Oid::from).collect()
    }

    /// The maintained tables whose query uses one of these objects: directly or through views, functions with BEGIN
    /// ATOMIC bodies, operators and their classes, types and columns.
    pub fn callers(&self, objects: BTreeSet<Object>) -> BTreeSet<u32> {
        let (column, definitions) = self.parts[2];
        let mut open: Vec<Object> = objects.iter().copied().collect();
        let mut above = objects;
        while let Some(object) = open.pop() {
            let dependents = lookup::DEPENDENTS.find(&[(ON_CLASS, object.0), (ON, object.1)], [WHO_CLASS, WHO, KIND]);
            let dependents = dependents.into_iter().filter(|[.., kind]| COUNTS.contains(kind));
            let found = dependents.map(|[class, object, _]| (class, object)).chain(containers(object));
            open.extend(found.filter(|&found| above.insert(found)));
        }
        let relations = above.into_iter().filter(|&(class, _)| class == CLASS).map(|(_, relation)| relation);
        relations.flat_map(|relation| definitions.find(&[(column, relation)], [1])).map(|[name]| name).collect()
    }
}

/// The third column of `imat_catalog.source` is the first of its primary key.
const RELATION_OF_SOURCE: i16 = 3;

/// Whether another view reads this one. The view's own rule depends on it too, and does not count.
fn is_read(view: u32) -> bool {
    let rules = lookup::DEPENDENTS.find(&[(ON_CLASS, CLASS), (ON, view)], [WHO_CLASS, WHO, KIND]);
    let rules = rules.into_iter().filter(|&[class, _, kind]| class == RULE && kind == NORMAL);
    rules.flat_map(|[_, rule, _]| lookup::RULE.find(&[(1, rule)], [3])).any(|[reader]| reader != view)
}

/// The relations that can be reached from these by `next`, and these.
fn reached(from: BTreeSet<u32>, next: impl Fn(u32) -> Vec<[u32; 1]>) -> BTreeSet<u32> {
    let mut open: Vec<u32> = from.iter().copied().collect();
    let mut reached = from;
    while let Some(relation) = open.pop() {
        open.extend(next(relation).into_iter().map(|[found]| found).filter(|&found| reached.insert(found)));
    }
    reached
}

/// The objects whose users may be affected when an object is created or altered. For a relation that is its row type;
/// changes of its rows are handled elsewhere. For a function, an operator or a cast these include those that a query's
/// text may have resolved to until now.
pub fn redefined((class, object): Object) -> Vec<Object> {
    match class {
        CLASS => lookup::row_type(object).map(|ty| (TYPE, ty)).into_iter().collect(),
        SCHEMA | LANGUAGE => Vec::new(),
        FUNCTION => namesakes(class, lookup::FUNCTIONS.namesakes(lookup::FUNCTION, object)),
        OPERATOR => namesakes(class, lookup::OPERATORS.namesakes(lookup::OPERATOR, object)),
        CAST => {
            let types = lookup::CAST.find(&[(1, object)], [2, 3]);
            [(class, object)].into_iter().chain(types.into_iter().flatten().map(|ty| (TYPE, ty))).collect()
        }
        _ => vec![(class, object)],
    }
}

fn namesakes(class: u32, objects: Vec<u32>) -> Vec<Object> {
    objects.into_iter().map(|object| (class, object)).collect()
}

/// The objects that contain this one: the view of a rule, the domain of a constraint; for a member of an operator class
/// or family, that class or family and its operators.
fn containers((class, object): Object) -> Vec<Object> {
    let is_member = MEMBERS.contains(&class) || class == OPERATOR_CLASS;
    if ![RULE, CONSTRAINT].contains(&class) && !is_member {
        return Vec::new();
    }
    let on = lookup::DEPENDENCIES.find(&[(WHO_CLASS, class), (WHO, object)], [ON_CLASS, ON, KIND]);
    let is_whole = |&[on_class, _, kind]: &[u32; 3]| match class {
        RULE => kind == INTERNAL,
        CONSTRAINT => on_class == TYPE,
        _ => [OPERATOR, OPERATOR_CLASS, OPERATOR_FAMILY].contains(&on_class),
    };
    on.into_iter().filter(is_whole).map(|[class, object, _]| (class, object)).collect()
}
