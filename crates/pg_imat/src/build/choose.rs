//! Which plan a maintained table gets.

use imat_compile::error::{Error, Unsupported};
use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::sql::ddl;

use crate::build::analyze::{self, Analysis, Subject};
use crate::build::definition::{DEFINITION, define, is_faithful};
use crate::build::scratch::Scratch;
use crate::build::state;
use crate::build::trial::{self, Trial};
use crate::catalog::compile;
use crate::catalog::facts::SystemCatalog;
use crate::pg::context;
use crate::pg::error::server_version;
use crate::refuse;

/// What the state is called until it is moved.
pub const STATE: &str = "state";

/// The same of the result.
pub const RESULT: &str = "result";

/// A plan, and why it is no cheaper.
pub type Chosen = (Plan, Option<Unsupported>);

/// How a view would be maintained for `user`, by this owner. Nothing of it is kept.
pub fn check(view: u32, user: u32, owner: u32) -> Result<Chosen, Error> {
    let analysis = analyze::analyze(view, Subject::Source, Some(user))?;
    let scratch = Scratch::open(owner);
    let defined = define(view, &analysis.stand_ins, DEFINITION, &scratch);
    let chosen = defined.map_err(|misread| refuse::changed_meaning("the query", misread)).and_then(|definition| {
        // Who only asks has not decided to run the functions of others.
        let chosen = choose(&analysis, definition, &scratch, Trial::OfOwn);
        scratch.run(&ddl::drop_view(&scratch.name(DEFINITION), false));
        chosen.inspect(|_| scratch.run(&ddl::drop_table(&scratch.name(STATE), false)))
    });
    scratch.close();
    chosen
}

/// The cheapest plan that keeps the definition exactly, and why it is no cheaper. Its state is created on the way, since
/// not every plan has one that PostgreSQL can store: a group can take several columns for each of the query's.
pub fn choose(analysis: &Analysis, definition: u32, scratch: &Scratch, trial: Trial) -> Result<Chosen, Error> {
    analyze::check_text_search(analysis)?;
    trial::check(definition, scratch, trial)?;
    let parsed = match &analysis.whole {
        Some(construct) => Err(construct.clone()),
        None => compile::view(definition, &SystemCatalog::default()),
    };
    let planned = parsed.and_then(|view| {
        if !is_faithful(&view, definition, scratch) {
            return Err(Unsupported::new("query that could not be read back exactly"));
        }
        scratch.as_role(&[], || context::with_text(|| compile::plan(&view, definition, server_version())))
    });
    let create = |plan: &Plan| state::create(plan, &scratch.name(STATE), scratch);
    let (construct, wide) = match planned {
        Ok(plan) => match create(&plan) {
            Ok(()) if state::follows_reader(&plan, &scratch.name(STATE), &scratch.name(RESULT), scratch)? => {
                scratch.run(&ddl::drop_table(&scratch.name(STATE), false));
                (Unsupported::new("expression over aggregates that follows settings"), None)
            }
            Ok(()) => return Ok((plan, None)),
            Err(wide) => (Unsupported::new("more columns in its groups than a row can have"), Some(wide)),
        },
        Err(construct) => (construct, None),
    };
    let bases: Vec<(u32, QName)> = analysis.bases.iter().map(|base| (base.oid, base.name.clone())).collect();
    let whole = compile::whole(&construct, definition, &bases);
    create(&whole).map_err(|error| wide.unwrap_or(error))?;
    Ok((whole, Some(construct)))
}
