//! Maintained tables of which a dump brought back the schema and not the bookkeeping.
//!
//! The trigger [`ddl::MARK`] of a state says what it is the state of. It is a part of the schema, so it goes wherever a
//! dump of that goes, and its definition by the name that this has by then. A mark without bookkeeping is *adopted*:
//! entered into it, and the table made anew. That is done when the last trigger of its base tables is back and the
//! state has no rows; or else at the first change of a base table, since rows of the bookkeeping may be yet to come.
//!
//! **Invariant:** only the extension's owner can make a trigger with that function, so a mark is no means to get
//! something maintained. What it leads to is looked at all the same as create_imat by the owner would.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use imat_compile::error::{Error, Unsupported};
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};
use pgrx::pg_sys::Oid;

use crate::analyze::{self, Analysis};
use crate::catalog::{self, trusted};
use crate::create::Source;
use crate::facts::{self, SystemCatalog, oid};
use crate::pg::context::{self, Role, with_path, with_text};
use crate::pg::error::{server_version, warn};
use crate::pg::spi::{self, Param};
use crate::pg::xact;
use crate::register::Registration;
use crate::{cache, capture, compile, manage, refuse, stale, trust};

/// For how long a restore waits for locks: its other jobs may be waiting for this one.
const PATIENCE: u64 = 10;

/// The oldest server that a state can come from.
const OLDEST: i32 = 140_000;

/// What a mark says.
struct Mark {
    state: u32,
    definition: u32,
    /// Whether the state is read by way of a view.
    is_view: bool,
    source: Option<String>,
    construct: Option<String>,
    shape: String,
    settings: Vec<String>,
}

/// Has a maintained table's state say what it is, as the bookkeeping does.
pub fn mark(name: u32) {
    const FACTS: Sql = Sql::fixed(
        "SELECT i.state::oid, i.definition::oid, ARRAY[(i.name <> i.state)::text, coalesce(i.source, ''), \
             coalesce(i.construct, ''), i.shape] || i.settings \
         FROM imat_catalog.imat AS i WHERE i.name = $1",
    );
    let entered = spi::first(&FACTS, &[oid(name)], |row| (row.oid(1), row.oid(2), row.need::<Vec<String>>(3)));
    let Some((state, definition, facts)) = entered else { return };
    if let (Some(state), Some(definition)) = (facts::name(state), facts::name(definition)) {
        ddl::create_mark(&state, &definition, &facts).iter().for_each(spi::run);
    }
}

impl Mark {
    /// The arguments of a trigger end in a zero each.
    fn read(state: u32, definition: u32, arguments: &[u8]) -> Option<Self> {
        let text = |fact: &[u8]| String::from_utf8_lossy(fact).into_owned();
        let mut facts = arguments.split(|&byte| byte == 0).map(text);
        let given = |fact: String| Some(fact).filter(|fact| !fact.is_empty());
        let is_view = facts.next()? == "true";
        let (source, construct) = (given(facts.next()?), given(facts.next()?));
        let shape = facts.next()?;
        let mut settings: Vec<String> = facts.collect();
        settings.pop();
        Some(Self { state, definition, is_view, source, construct, shape, settings })
    }

    /// What is read: the state, or the view over it.
    fn result(&self) -> Option<u32> {
        const VIEW: Sql = Sql::fixed(
            "SELECT r.ev_class FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid \
                 JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class AND c.relkind = 'v' \
                 JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = $2 \
                 JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace \
             WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 LIMIT 1",
        );
        match self.is_view {
            true => spi::first(&VIEW, &[oid(self.state), ddl::GUARD.into()], |row| row.oid(1)),
            false => Some(self.state),
        }
    }

    /// Whether all is back that its changes come by: the query's base tables, their families and the triggers of these.
    fn is_complete(&self) -> bool {
        const QUERY: Sql = Sql::fixed(
            "WITH RECURSIVE below AS ( \
                 SELECT $1::oid AS relation \
                 UNION SELECT d.refobjid FROM below AS b JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = b.relation \
                     JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                         AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass), \
             base AS ( \
                 SELECT b.relation FROM below AS b JOIN pg_catalog.pg_class AS c ON c.oid = b.relation AND c.relkind IN ('r', 'p')), \
             down AS ( \
                 SELECT b.relation FROM base AS b \
                 UNION SELECT i.inhrelid FROM down AS d JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.relation) \
             SELECT EXISTS (SELECT FROM base) AND NOT EXISTS (SELECT FROM down AS d \
                 WHERE (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid \
                     WHERE t.tgrelid = d.relation AND t.tgname = ANY ($2) \
                         AND f.pronamespace = 'imat_catalog'::pg_catalog.regnamespace) < pg_catalog.cardinality($2))",
        );
        let triggers = ddl::TRIGGERS.map(str::to_owned).to_vec();
        spi::first(&QUERY, &[oid(self.definition), triggers.into()], |row| row.need(1)).unwrap_or(false)
    }

    /// The plan that has such a state, and the version of a server that would have made it.
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
        context::within(Role::Restricted(owner), &with_path(Vec::new()), || with_text(plan))
    }

    /// Enters it into the bookkeeping; returns what is read, or `None` while not all of it is back.
    fn enter(&self) -> Result<Option<u32>, Error> {
        let Some(name) = self.result().filter(|_| self.is_complete()) else { return Ok(None) };
        let display = || facts::name(name).map_or_else(String::new, |name| name.to_string());
        let owner = analyze::owner(self.state);
        if [name, self.definition].into_iter().any(|part| analyze::owner(part) != owner) {
            return Err(refuse::not_owner("maintained table", &display()));
        }
        let analysis = analyze::analyze(self.definition, Some(owner))?;
        let (plan, server_version) = self.plan(owner, &analysis).ok_or_else(|| refuse::stale_shape(&display()))?;
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
            trusts_keys: !catalog::is_passable(&bases),
            server_version,
            target_to_be: None,
        };
        capture::own_ddl(|| {
            manage::forget(name);
            new.enter();
        });
        new.relations().chain([self.state]).for_each(xact::invalidate);
        Ok(Some(name))
    }
}

/// The marks without bookkeeping on these relations, or of queries that read them, with what is read by these and what
/// reads them, the lowest first.
fn left_behind(relations: &[Oid]) -> Vec<Mark> {
    const MARKS: Sql = Sql::fixed(
        "WITH RECURSIVE mark AS ( \
             SELECT t.tgrelid AS state, v.refobjid AS definition, t.tgargs AS facts FROM pg_catalog.pg_depend AS f \
                 JOIN pg_catalog.pg_trigger AS t ON t.oid = f.objid AND t.tgname = $2 \
                 JOIN pg_catalog.pg_depend AS v ON v.classid = f.classid AND v.objid = t.oid \
                     AND v.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND v.deptype = 'n' \
             WHERE f.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
                 AND f.refobjid = 'imat_catalog.definition()'::pg_catalog.regprocedure \
                 AND f.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass \
                 AND NOT EXISTS (SELECT FROM imat_catalog.imat AS i JOIN imat_catalog.source AS s ON s.name = i.name \
                     WHERE i.state = t.tgrelid)), \
         below AS ( \
             SELECT m.state, m.definition AS relation FROM mark AS m \
             UNION SELECT b.state, d.refobjid FROM below AS b JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = b.relation \
                 JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass), \
         up AS ( \
             SELECT r.oid FROM pg_catalog.unnest($1) AS r(oid) \
             UNION SELECT i.inhparent FROM up AS u JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.oid), \
         down AS ( \
             SELECT r.oid FROM pg_catalog.unnest($1) AS r(oid) \
             UNION SELECT i.inhrelid FROM down AS d JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.oid), \
         reader AS ( \
             SELECT b.state FROM below AS b WHERE b.relation IN (SELECT u.oid FROM up AS u UNION ALL SELECT d.oid FROM down AS d) \
             UNION SELECT m.state FROM mark AS m WHERE m.state = ANY ($1) OR EXISTS ( \
                 SELECT FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_depend AS d \
                     ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid \
                         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = m.state \
                 WHERE r.ev_class = ANY ($1)) \
             UNION SELECT CASE b.relation WHEN r.state THEN b.state ELSE b.relation END FROM reader AS r \
                 JOIN below AS b ON b.relation = r.state \
                     OR b.state = r.state AND b.relation IN (SELECT m.state FROM mark AS m)) \
         SELECT m.state, m.definition, m.facts FROM mark AS m JOIN reader AS r ON r.state = m.state \
         ORDER BY (SELECT pg_catalog.count(*) FROM below AS b JOIN mark AS o ON o.state = b.relation WHERE b.state = m.state), m.state",
    );
    let found = spi::rows(&MARKS, &[relations.to_vec().into(), ddl::MARK.into()], |row| {
        Mark::read(row.oid(1), row.oid(2), &row.need::<Vec<u8>>(3))
    });
    found.into_iter().flatten().collect()
}

/// Adopts these, as far as they can be; returns what is to be made anew, and why others can't be.
fn enter(marks: &[Mark]) -> (BTreeSet<u32>, Vec<Error>) {
    let (mut names, mut reasons) = (BTreeSet::new(), Vec::new());
    for mark in marks {
        match mark.enter() {
            Ok(name) => names.extend(name),
            Err(why) => reasons.push(why),
        }
    }
    (names, reasons)
}

/// Makes what was adopted the result of its query.
pub fn make(names: &BTreeSet<u32>) {
    if !names.is_empty() {
        xact::register();
        let list: Vec<u32> = names.iter().copied().collect();
        let mut anew: BTreeSet<u32> = stale::follow(&list).into_iter().collect();
        anew.extend(names);
        manage::rebuild(anew);
        names.iter().for_each(|&name| trust::look_again(name));
    }
}

thread_local! {
    /// Relations with triggers of which nobody is left to adopt, and when that was found.
    static SETTLED: RefCell<BTreeMap<u32, u64>> = RefCell::default();
}

/// Whether nobody is left to adopt who reads this relation, as far as the session has been told.
pub fn is_settled(relation: u32) -> bool {
    SETTLED.with_borrow(|settled| settled.get(&relation) == Some(&xact::generation()))
}

/// A relation is about to be changed: adopts who reads it, to be made anew. Others may be known to read it already. If
/// nobody does, nothing is maintained for it, which is told once a session, as is why somebody can't be adopted.
pub fn before_write(relation: u32, is_read: bool) -> BTreeSet<u32> {
    let (names, reasons) = trusted(|| enter(&left_behind(&[Oid::from(relation)])));
    let before = match names.is_empty() {
        true => SETTLED.with_borrow_mut(|settled| settled.insert(relation, xact::generation())),
        false => None,
    };
    if before.is_none() && (names.is_empty() && !is_read || !reasons.is_empty()) {
        let table = trusted(|| facts::name(relation)).map_or_else(String::new, |name| name.to_string());
        warn(&refuse::unread(&table, reasons.first()));
    }
    names
}

/// Adopts what a verb calls so.
pub fn named(name: &str) {
    const IN_IMAT: Sql = Sql::fixed(
        "SELECT pg_catalog.to_regclass(pg_catalog.format('imat.%I', p[1]))::pg_catalog.oid \
         FROM pg_catalog.parse_ident($1) AS p WHERE pg_catalog.cardinality(p) = 1",
    );
    let in_imat = || trusted(|| spi::first(&IN_IMAT, &[Param::from(name)], |row| row.get::<Oid>(1))).flatten();
    one(catalog::resolve(name));
    one(in_imat().map(Oid::to_u32));
}

/// Adopts this one.
pub fn one(relation: Option<u32>) {
    if let Some(relation) = relation {
        let names = trusted(|| match catalog::entry(relation) {
            Some(_) => BTreeSet::new(),
            None => enter(&left_behind(&[Oid::from(relation)])).0,
        });
        make(&names);
    }
}

/// A dump has brought back triggers of these relations. What is complete with them is looked at: one without
/// bookkeeping is adopted if it has no rows, and one with it is made anew if its rows, or those of a base table, were
/// left out.
pub fn restored(relations: &[Oid]) {
    if capture::is_own_ddl() {
        return;
    }
    xact::register();
    let (left, torn) = trusted(|| (left_behind(relations), torn(relations)));
    if !left.is_empty() {
        // Writers look for them again.
        xact::invalidate_all();
    }
    let marks: Vec<Mark> = left.into_iter().filter(|mark| trusted(|| size(mark.state)) == 0).collect();
    if marks.is_empty() && torn.is_empty() {
        return;
    }
    let made = xact::attempt_aside(PATIENCE, || {
        let mut names = trusted(|| enter(&marks)).0;
        names.extend(&torn);
        make(&names);
    });
    if made.is_none() {
        torn.iter().for_each(|&name| trusted(|| stale::mark_torn(name)));
    }
}

/// The size of a table. A query would be planned as the extension's owner, which evaluates constants in the expressions
/// of indexes and statistics.
fn size(relation: u32) -> i64 {
    const QUERY: Sql = Sql::fixed("SELECT pg_catalog.pg_relation_size($1::pg_catalog.regclass, 'main')");
    spi::first(&QUERY, &[oid(relation)], |row| row.need(1)).unwrap_or(0)
}

/// The maintained tables over these relations that have all of their triggers, and can't have all of their rows: the
/// state is empty and a base table is not, or it has rows while a base table of it has none at all.
fn torn(relations: &[Oid]) -> Vec<u32> {
    const QUERY: Sql = Sql::fixed(
        "SELECT i.name::oid FROM imat_catalog.imat AS i WHERE i.target IS NULL AND i.stale IS NULL \
             AND (i.state::oid = ANY ($1) OR i.name IN (SELECT s.name FROM imat_catalog.source AS s WHERE s.relation::oid = ANY ($1))) \
             AND NOT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.name = i.name AND NOT EXISTS ( \
                 SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = s.relation AND t.tgname = 'imat_update')) \
             AND (SELECT CASE WHEN pg_catalog.pg_relation_size(i.state, 'main') > 0 THEN pg_catalog.bool_or(b.size = 0) \
                     ELSE i.shape = 'Single' OR pg_catalog.bool_or(b.size > 0) END \
                 FROM (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(s.relation, 'main')), 0) AS size \
                     FROM imat_catalog.source AS s WHERE s.name = i.name GROUP BY s.base) AS b) ORDER BY i.depth, 1",
    );
    let names = spi::rows(&QUERY, &[relations.to_vec().into()], |row| row.oid(1));
    names.into_iter().filter(|&name| catalog::is_complete(name)).collect()
}

/// Whether a row of `imat_catalog.imat` that a dump brings is of a table that was adopted, or will be.
pub fn is_known(name: u32, state: u32) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.name = $1) \
             OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = $2 AND t.tgname = $3) \
                 AND pg_catalog.pg_relation_size($2::pg_catalog.regclass, 'main') = 0",
    );
    let params = [oid(name), oid(state), Param::from(ddl::MARK)];
    trusted(|| spi::first(&QUERY, &params, |row| row.need(1))).unwrap_or(false)
}

/// The same of a row of `imat_catalog.source`, by its key.
pub fn is_known_source([name, base, relation]: [u32; 3]) -> bool {
    const QUERY: Sql = Sql::fixed(
        "SELECT EXISTS (SELECT FROM imat_catalog.source AS s WHERE s.name = $1 AND s.base = $2 AND s.relation = $3) \
             OR NOT EXISTS (SELECT FROM imat_catalog.imat AS i WHERE i.name = $1) \
                 AND EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgname = $4 \
                     AND pg_catalog.pg_relation_size(t.tgrelid, 'main') = 0 \
                     AND (t.tgrelid = $1 OR t.tgrelid IN (SELECT d.refobjid FROM pg_catalog.pg_rewrite AS r \
                         JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                             AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass WHERE r.ev_class = $1)))",
    );
    let params = [oid(name), oid(base), oid(relation), Param::from(ddl::MARK)];
    trusted(|| spi::first(&QUERY, &params, |row| row.need(1))).unwrap_or(false)
}
