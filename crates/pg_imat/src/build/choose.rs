//! Chooses the plan for a maintained table.

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

/// The state's name in the scratch schema.
pub const STATE: &str = "state";

/// The name in the scratch schema of the view over the state.
pub const RESULT: &str = "result";

/// A plan, and for a "whole" plan the construct that is the reason.
pub type Chosen = (Plan, Option<Unsupported>);

/// How a view of `user` would be maintained as `owner`. All objects that this makes are dropped again.
pub fn check(view: u32, user: u32, owner: u32) -> Result<Chosen, Error> {
    let analysis = analyze::analyze(view, Subject::Source, Some(user))?;
    let scratch = Scratch::open(owner);
    let defined = define(view, &analysis.stand_ins, DEFINITION, &scratch);
    let chosen = defined.map_err(|misread| refuse::changed_meaning("the query", misread)).and_then(|definition| {
        // A caller of check_imat has not agreed to run functions of other roles.
        let chosen = choose(&analysis, definition, &scratch, Trial::OfOwn);
        scratch.run(&ddl::drop_view(&scratch.name(DEFINITION), false));
        chosen.inspect(|_| scratch.run(&ddl::drop_table(&scratch.name(STATE), false)))
    });
    scratch.close();
    chosen
}

/// The cheapest plan that is exact for the definition. This also creates the state, since PostgreSQL can't store every
/// state: a group can need several columns for one column of the query. In that case the plan is "whole".
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
            Ok(()) if state::depends_on_reader(&plan, &scratch.name(STATE), &scratch.name(RESULT), scratch)? => {
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
