//! Maintained tables of which a dump brought back the schema and not the bookkeeping.
//!
//! The trigger [`ddl::MARK`] of a state says what it is the state of. It is a part of the schema, so it goes wherever a
//! dump of that goes, and its definition by the name that this has by then. A mark without bookkeeping is *adopted*:
//! entered into it, and the table made anew. That is done when the last trigger of its base tables is back and the
//! state has no rows ([`crate::follow::restored`]); or else at the first change of a base table, since rows of the bookkeeping may be
//! yet to come. Until then nobody can read it: [`crate::pg::content`] raises an error.
//!
//! One session adopts at a time. A verb waits for its turn. Whoever changes a base table does not, since others may wait for
//! what he has written, and he gives up soon where others are writing what would be made anew: it is left to a later change.
//!
//! **Invariant:** only the extension's owner can make a trigger with that function, so a mark is no means to get
//! something maintained. What it leads to is looked at all the same as create_imat by the owner would.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use imat_compile::error::{Error, SqlState, Unsupported};
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

use crate::{ddl as follow, refuse};
use crate::build::analyze::{self, Analysis, Subject};
use crate::build::create::{self, Source};
use crate::build::register::Registration;
use crate::catalog::{cache, compile, content};
use crate::catalog::bookkeeping::{self, trusted};
use crate::catalog::facts::{self, SystemCatalog, oid};
use crate::change::{capture, locks, stale, trust};
use crate::follow::restored;
use crate::pg::{procedure, xact};
use crate::pg::context::{self, Role, with_path, with_text};
use crate::pg::error::{server_version, warn};
use crate::pg::lock::{self, Mode, Purpose};
use crate::pg::spi::{self, Param};
use crate::verbs::manage;

/// For how many milliseconds a writer waits for others at most, and how many times as long it is not tried again.
const PATIENCE: u64 = 320;
const PAUSE: u32 = 4;

/// The oldest server that a state can come from.
const OLDEST: i32 = 140_000;

/// What a mark says.
pub struct Mark {
    /// What is read, the state or the view over it, if that is there yet.
    name: Option<u32>,
    pub state: u32,
    definition: u32,
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
    if let (Some(name), Some(of)) = (facts::name(state), facts::name(definition)) {
        ddl::create_mark(&name, &of, &facts).iter().for_each(spi::run);
        follow::yield_marks([state]);
    }
}

impl Mark {
    /// The arguments of a trigger end in a zero each.
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

    /// What it consists of: what is read, if that is there, state and definition.
    pub fn parts(&self) -> [u32; 3] {
        [self.name.unwrap_or(self.state), self.state, self.definition]
    }

    /// The tables that its query reads, and the relations through which these change.
    pub fn relations(&self) -> (Vec<u32>, BTreeSet<u32>) {
        const BASES: Sql = Sql::fixed(
            "SELECT c.oid FROM imat_catalog.below($1) AS b \
             JOIN pg_catalog.pg_class AS c ON c.oid = b.relation AND c.relkind IN ('r', 'p')",
        );
        let bases = spi::rows(&BASES, &[oid(self.definition)], |row| row.oid(1));
        let relations = bases.iter().flat_map(|&base| analyze::family(base)).map(|(member, _)| member).collect();
        (bases, relations)
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

    /// Enters it into the bookkeeping; returns what is read, or `None` while not all of it is back: what is read, and
    /// the query's base tables, their families and the triggers of these.
    fn enter(&self) -> Result<Option<u32>, Error> {
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
        if let Some(action) = follow::unfit_state(self.state) {
            return Err(refuse::maintained_altered(&action, &display()));
        }
        let (plan, server_version) = self.plan(owner, &analysis).ok_or_else(|| refuse::stale_shape(&display()))?;
        if !create::is_read_as_meant(owner, self.construct.is_some(), &analysis) {
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
            target_to_be: None,
        };
        capture::own_ddl(|| {
            manage::forget(name);
            new.enter();
            content::watch_again(self.state);
            restored::doubt_no_more(self.definition);
        });
        new.relations().chain([self.state]).for_each(xact::invalidate);
        Ok(Some(name))
    }
}

/// The marks without bookkeeping on these relations, or of queries that read them, with what is read by these and what
/// reads them, the lowest first.
pub fn left_behind(relations: &[Oid]) -> Vec<Mark> {
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

/// Adopts these, as far as they can be; returns what is to be made anew, and why others can't be.
pub fn enter(marks: &[Mark]) -> (BTreeSet<u32>, Vec<Error>) {
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
    /// When others were in the way last.
    static PUT_OFF: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Whether nobody is left to adopt who reads this relation, as far as the session has been told.
fn is_settled(relation: u32) -> bool {
    SETTLED.with_borrow(|settled| settled.get(&relation) == Some(&xact::generation()))
}

/// A relation is about to be changed: adopts who reads it, if nobody is in the way. Others may be known to read it
/// already. If nobody does, nothing is maintained for it, which is told once a session, as is why somebody can't be
/// adopted.
pub fn before_write(relation: u32, is_read: bool) {
    if is_settled(relation) {
        return;
    }
    // A writer that waits for us must not come to take it for a deadlock.
    let patience = Duration::from_millis(PATIENCE.min(procedure::deadlock_timeout() / 2).max(1));
    if PUT_OFF.get().is_some_and(|when| when.elapsed() < patience * PAUSE) {
        return;
    }
    let marks = || trusted(|| left_behind(&[Oid::from(relation)]));
    let nobody = || (BTreeSet::new(), Vec::new());
    let (names, reasons) = match capture::looking_up(marks).is_empty() {
        true => nobody(),
        false => match xact::attempt_aside(patience.as_millis() as u64, || adopt(&marks, patience)) {
            Ok(Some(adopted)) => adopted,
            Ok(None) => return PUT_OFF.set(Some(Instant::now())),
            Err((PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, _)) => return PUT_OFF.set(Some(Instant::now())),
            Err((_, message)) => (BTreeSet::new(), vec![Error::new(SqlState::WARNING, message)]),
        },
    };
    let before = match names.is_empty() {
        true => SETTLED.with_borrow_mut(|settled| settled.insert(relation, xact::generation())),
        false => None,
    };
    if before.is_none() && (names.is_empty() && !is_read || !reasons.is_empty()) {
        let name = capture::looking_up(|| trusted(|| facts::name(relation)));
        warn(&refuse::unread(&name.map_or_else(String::new, |name| name.to_string()), reasons.first()));
    }
}

/// Adopts these and makes them anew, unless somebody else is adopting. All that write what they read are waited for, and
/// kept out, before anything is made.
fn adopt(marks: &impl Fn() -> Vec<Mark>, patience: Duration) -> Option<(BTreeSet<u32>, Vec<Error>)> {
    if !lock::begin_adoption(false) {
        return None;
    }
    let (names, reasons) = capture::looking_up(|| {
        // Another one may have ended meanwhile.
        let (names, reasons) = trusted(|| enter(&marks()));
        cache::fresh();
        let members = names.iter().flat_map(|&name| cache::maintained(name).members.clone()).collect();
        locks::together(Purpose::Adopted, members, Mode::Share, Instant::now() + patience);
        (names, reasons)
    });
    make(&names);
    Some((names, reasons))
}

/// What was left behind that is called so by a verb.
pub fn named(name: &str) -> Option<Mark> {
    const IN_IMAT: Sql = Sql::fixed(
        "SELECT pg_catalog.to_regclass(pg_catalog.format('imat.%I', p[1]))::pg_catalog.oid \
         FROM pg_catalog.parse_ident($1) AS p WHERE pg_catalog.cardinality(p) = 1",
    );
    let in_imat = || spi::first(&IN_IMAT, &[Param::from(name)], |row| row.get::<Oid>(1)).flatten().map(Oid::to_u32);
    let resolved = bookkeeping::resolve(name);
    trusted(|| match resolved.filter(|&relation| bookkeeping::entry(relation).is_some()) {
        Some(_) => None,
        None => resolved.and_then(find).or_else(|| in_imat().and_then(find)),
    })
}

/// What was left behind and is this relation.
pub fn find(relation: u32) -> Option<Mark> {
    left_behind(&[Oid::from(relation)]).into_iter().find(|mark| mark.is(relation))
}

/// Adopts what a verb calls so, if the caller owns it.
pub fn by_verb(name: &str) -> Result<(), Error> {
    let Some(mark) = named(name) else { return Ok(()) };
    let caller = context::user();
    if !trusted(|| analyze::owns(caller, mark.state)) {
        return Err(refuse::not_owner("maintained table", name));
    }
    lock::begin_adoption(true);
    let (names, reasons) = trusted(|| enter(&left_behind(&[Oid::from(mark.state)])));
    make(&names);
    match trusted(|| find(mark.state)) {
        None => Ok(()),
        Some(_) => Err(reasons.into_iter().next().unwrap_or_else(|| refuse::not_adopted(&format!("\"{name}\"")))),
    }
}
