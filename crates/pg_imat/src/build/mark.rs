//! The mark of a state: a copy of its bookkeeping in the schema, for dumps without the bookkeeping.
//!
//! It is a trigger on the state that never fires. Being part of the schema, it is in each dump of the state, and names
//! the definition by its current name.
//!
//! **Invariant:** only the extension's owner can make a trigger with this function, so no user can forge a mark.
//! Adopting still checks all that create_imat by the owner would check.

use std::collections::BTreeSet;

use imat_compile::error::{Error, Unsupported};
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::build::analyze::{self, Analysis, Subject};
use crate::build::register::{Registration, Source};
use crate::build::{definition, state};
use crate::catalog::bookkeeping;
use crate::catalog::dependents;
use crate::catalog::facts::{self, SystemCatalog, oid};
use crate::catalog::{cache, compile, content, running_ddl};
use crate::pg::context::{self, Role, with_path, with_text};
use crate::pg::error::server_version;
use crate::pg::spi;
use crate::pg::{lookup, xact};
use crate::refuse;

/// The oldest server version that a state can come from.
const OLDEST: i32 = 140_000;

/// The contents of a mark.
pub struct Mark {
    /// The state, or the view over it if that exists already.
    name: Option<u32>,
    pub state: u32,
    definition: u32,
    source: Option<String>,
    construct: Option<String>,
    shape: String,
    settings: Vec<String>,
}

/// Makes the mark of a maintained table's state from the bookkeeping.
pub fn mark(name: u32) {
    const FACTS: Sql = Sql::fixed(
        "SELECT i.state::oid, i.definition::oid, ARRAY[(i.name <> i.state)::text, coalesce(i.source, ''), \
             coalesce(i.construct, ''), i.shape] || i.settings \
         FROM imat_catalog.imat AS i WHERE i.name = $1",
    );
    let entered = spi::first(&FACTS, &[oid(name)], |row| (row.oid(1), row.oid(2), row.need::<Vec<String>>(3)));
    let Some((state, definition, facts)) = entered else { return };
    if let (Some(name), Some(of)) = (facts::name(state), facts::name(definition)) {
        ddl::create_mark(&name, &of, &facts).iter().for_each(spi::run);
        attach_marks([state]);
    }
}

/// Makes the marks of these states depend on the definitions automatically. A definition can then be dropped first, as
/// a dump with `--clean` does; PostgreSQL makes such a dependency one that prevents the drop.
pub fn attach_marks(states: impl IntoIterator<Item = u32>) {
    let marks = states.into_iter().filter_map(|state| Some((state, lookup::our_trigger(state, ddl::MARK)?)));
    for (state, mark) in marks {
        let on = lookup::DEPENDENCIES.find(&[(1, dependents::TRIGGER), (2, mark)], [4, 5, 7]);
        let is_definition = |&[class, relation, kind]: &[u32; 3]| {
            class == dependents::CLASS && relation != state && kind == u32::from(b'n')
        };
        on.into_iter()
            .filter(is_definition)
            .for_each(|[_, definition, _]| lookup::drop_with_relation(mark, definition));
    }
}

impl Mark {
    /// A trigger's arguments end with a zero byte each.
    fn read(row: &spi::Row) -> Option<Self> {
        let arguments = row.need::<Vec<u8>>(4);
        let text = |fact: &[u8]| String::from_utf8_lossy(fact).into_owned();
        let mut facts = arguments.split(|&byte| byte == 0).skip(1).map(text);
        let given = |fact: String| Some(fact).filter(|fact| !fact.is_empty());
        let (source, construct) = (given(facts.next()?), given(facts.next()?));
        let shape = facts.next()?;
        let mut settings: Vec<String> = facts.collect();
        settings.pop();
        let name = row.get::<Oid>(1).map(Oid::to_u32);
        Some(Self { name, state: row.oid(2), definition: row.oid(3), source, construct, shape, settings })
    }

    fn is(&self, relation: u32) -> bool {
        relation == self.state || Some(relation) == self.name
    }

    /// The relations of the maintained table: the view over the state if it exists, the state and the definition.
    pub fn parts(&self) -> [u32; 3] {
        [self.name.unwrap_or(self.state), self.state, self.definition]
    }

    /// The base tables of its query, and all relations through which their rows can change.
    pub fn relations(&self) -> (Vec<u32>, BTreeSet<u32>) {
        const BASES: Sql = Sql::fixed(
            "SELECT c.oid FROM imat_catalog.below($1) AS b \
             JOIN pg_catalog.pg_class AS c ON c.oid = b.relation AND c.relkind IN ('r', 'p')",
        );
        let bases = spi::rows(&BASES, &[oid(self.definition)], |row| row.oid(1));
        let relations = bases.iter().flat_map(|&base| analyze::hierarchy(base)).map(|(member, _)| member).collect();
        (bases, relations)
    }

    /// The plan for which the state has the right shape, and the server version that makes this plan.
    fn plan(&self, owner: u32, analysis: &Analysis) -> Option<(Plan, i32)> {
        let fits = |plan: &Plan| plan.shape() == self.shape && cache::has_columns(plan, self.state);
        let made_on = |version| Some((self.plan_on(version, owner, analysis).filter(fits)?, version));
        [server_version(), OLDEST].into_iter().find_map(made_on)
    }

    fn plan_on(&self, server_version: i32, owner: u32, analysis: &Analysis) -> Option<Plan> {
        let construct = self.construct.clone().map(Unsupported::new);
        let plan = || match &construct {
            Some(construct) => {
                let bases: Vec<_> = analysis.bases.iter().map(|base| (base.oid, base.name.clone())).collect();
                Some(compile::whole(construct, self.definition, &bases))
            }
            None => {
                let view = compile::view(self.definition, &SystemCatalog::default()).ok()?;
                compile::plan(&view, self.definition, server_version).ok()
            }
        };
        context::as_role(Role::Restricted(owner), &with_path(Vec::new()), || with_text(plan))
    }

    /// Enters the maintained table into the bookkeeping and returns its name. Returns `None` as long as the view over
    /// the state, base tables, members of their hierarchies, or their triggers are missing.
    pub fn enter(&self) -> Result<Option<u32>, Error> {
        let Some(name) = self.name else { return Ok(None) };
        let display = || facts::name(name).map_or_else(String::new, |name| name.to_string());
        let owner = analyze::owner(self.state);
        if [name, self.definition].into_iter().any(|part| analyze::owner(part) != owner) {
            return Err(refuse::not_owner("maintained table", &display()));
        }
        let analysis = analyze::analyze(self.definition, Subject::Definition, Some(owner))?;
        if !bookkeeping::have_triggers(analysis.bases.iter().flat_map(|base| base.relations.iter().copied())) {
            return Ok(None);
        }
        if let Some(action) = state::unfit(self.state) {
            return Err(refuse::maintained_altered(&action, &display()));
        }
        let (plan, server_version) = self.plan(owner, &analysis).ok_or_else(|| refuse::stale_shape(&display()))?;
        if !definition::is_read_as_meant(owner, self.construct.is_some(), &analysis) {
            return Err(refuse::text_redefined(&display()));
        }
        let bases: Vec<u32> = analysis.bases.iter().map(|base| base.oid).collect();
        let settings: Vec<(String, String)> =
            self.settings.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let construct = self.construct.clone().map(Unsupported::new);
        let new = Registration {
            name,
            state: self.state,
            definition: self.definition,
            source: &Source { view: self.definition, name: String::new(), origin: self.source.clone(), owner },
            analysis: &analysis,
            settings: &settings,
            plan: &plan,
            construct: construct.as_ref(),
            trusts_keys: !bookkeeping::is_passable(&bases),
            server_version,
            final_name: None,
        };
        running_ddl::own_ddl(|| {
            bookkeeping::forget(name);
            new.enter();
            content::watch_again(self.state);
            bookkeeping::clear_doubt(self.definition);
        });
        new.relations().chain([self.state]).for_each(xact::invalidate);
        Ok(Some(name))
    }
}

/// The marks without bookkeeping that belong to these relations or whose queries read them, and the marks below and
/// above them; lowest first.
pub fn without_bookkeeping(relations: &[Oid]) -> Vec<Mark> {
    const MARKS: Sql = Sql::fixed(
        "WITH RECURSIVE mark AS MATERIALIZED (SELECT u.* FROM imat_catalog.unadopted AS u), \
         below AS ( \
             SELECT m.state, b.relation FROM mark AS m CROSS JOIN LATERAL imat_catalog.below(m.definition) AS b), \
         up AS ( \
             SELECT r.oid FROM pg_catalog.unnest($1) AS r(oid) \
             UNION SELECT i.inhparent FROM up AS u JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.oid), \
         down AS ( \
             SELECT r.oid FROM pg_catalog.unnest($1) AS r(oid) \
             UNION SELECT i.inhrelid FROM down AS d JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.oid), \
         reader AS ( \
             SELECT b.state FROM below AS b \
                 WHERE b.relation IN (SELECT u.oid FROM up AS u UNION ALL SELECT d.oid FROM down AS d) \
             UNION SELECT m.state FROM mark AS m WHERE m.state = ANY ($1) OR m.name = ANY ($1) \
             UNION SELECT CASE b.relation WHEN r.state THEN b.state ELSE b.relation END FROM reader AS r \
                 JOIN below AS b ON b.relation = r.state \
                     OR b.state = r.state AND b.relation IN (SELECT m.state FROM mark AS m)) \
         SELECT m.name, m.state, m.definition, m.facts FROM mark AS m JOIN reader AS r ON r.state = m.state \
         ORDER BY (SELECT pg_catalog.count(*) FROM below AS b JOIN mark AS o ON o.state = b.relation \
             WHERE b.state = m.state), m.state",
    );
    spi::rows(&MARKS, &[relations.to_vec().into()], Mark::read).into_iter().flatten().collect()
}

/// The mark without bookkeeping of this relation.
pub fn find(relation: u32) -> Option<Mark> {
    without_bookkeeping(&[Oid::from(relation)]).into_iter().find(|mark| mark.is(relation))
}
