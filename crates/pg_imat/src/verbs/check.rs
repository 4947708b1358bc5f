//! `check_imat`: whether and how a query could be maintained.

use imat_compile::error::Error;

use crate::build::query_view::QueryView;
use crate::build::{analyze, choose};
use crate::catalog::bookkeeping::trusted;
use crate::catalog::names;
use crate::change::flush;
use crate::pg::context;
use crate::refuse;

/// The result of `check_imat`.
pub struct Check {
    pub maintainable: bool,
    pub strategy: Option<&'static str>,
    pub reason: Option<String>,
    pub hint: Option<String>,
}

/// Whether and how a query, or the query of the view with this name, would be maintained.
pub fn check(text: &str) -> Result<Check, Error> {
    flush::before("check a query");
    let caller = context::user();
    let checked = match names::named(text) {
        Some(view) => match trusted(|| analyze::describe_kind(view)) {
            Some(kind) => return Err(refuse::not_a_view(text, kind)),
            None if !trusted(|| analyze::owns(caller, view)) => Err(refuse::not_owner("view", text)),
            None => trusted(|| choose::check(view, caller, analyze::owner(view))),
        },
        None => {
            let query_view = QueryView::create(text)?;
            let checked = trusted(|| choose::check(query_view.view, caller, caller));
            query_view.drop();
            checked
        }
    };
    Ok(match checked {
        Ok((plan, construct)) => Check {
            maintainable: true,
            strategy: Some(plan.strategy.name()),
            reason: construct.map(|construct| format!("There is no incremental rule yet for: {construct}.")),
            hint: None,
        },
        Err(Error { message, detail, hint, .. }) => Check {
            maintainable: false,
            strategy: None,
            reason: Some(detail.map_or(message.clone(), |detail| format!("{message}: {detail}"))),
            hint,
        },
    })
}
