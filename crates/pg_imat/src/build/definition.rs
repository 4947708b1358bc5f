//! Makes the definition of a maintained table, a view of ours, and checks that it means the same as the user's view and
//! that the compiler reads its text as PostgreSQL does.

use imat_compile::name::QName;
use imat_compile::parse::{comparable, order};
use imat_compile::sql::ddl;
use imat_compile::sql::recompose::recompose;
use imat_compile::view::View;

use crate::build::analyze::Analysis;
use crate::build::scratch::Scratch;
use crate::build::stand_in::StandIns;
use crate::catalog::facts;
use crate::catalog::names::exists;
use crate::pg::{clock, context, query, xact};
use crate::refuse::Misread;

/// The definition's name in the scratch schema.
pub const DEFINITION: &str = "definition";

/// The names of the two views that are compared to check how a text is read.
const COPY: &str = "copy";
const GUARD: &str = "guard";

/// Makes a view called `name` from a view's text, and checks that it means the same. The text does not name the schema
/// of every operator: those of CASE, IN, USING and others are looked up on the search path. So the schemas of the
/// original's operators are put on the search path, after `pg_catalog`.
pub fn define(view: u32, stand_ins: &StandIns, name: &str, scratch: &Scratch) -> Result<u32, Misread> {
    let name = scratch.name(name);
    let original = stand_ins.contents(view);
    let create = ddl::create_definition(&name, &facts::column_names(view), &stand_ins.definition(view));
    let mut misread = Misread::Otherwise;
    for path in [facts::path_to(&original.operators), context::SAFE_PATH.to_owned()] {
        let path = [(context::SEARCH_PATH.to_owned(), path)];
        let create = || clock::checking(&create, || scratch.run_under(&path, &create));
        match stand_ins.is_empty() {
            true => create(),
            // This can fail: a whole-row reference to a materialized view has a type of its own.
            false => xact::attempt(create).ok_or(Misread::Row)?,
        }
        let defined = exists(&name).map(|defined| (defined, query::of_view(defined)));
        misread = match defined {
            Some((defined, read))
                if read.meaning == original.meaning
                    && !read.reads_clock
                    && facts::columns(defined) == facts::columns(view) =>
            {
                return Ok(defined);
            }
            Some((_, read)) if read.operators != original.operators || read.functions != original.functions => {
                Misread::Operator
            }
            _ if original.whole_rows => Misread::Row,
            _ => Misread::Otherwise,
        };
        scratch.run(&ddl::drop_view(&name, false));
    }
    Err(misread)
}

/// Whether the compiler's parse of a view, and of the views that it reads, is exact. The statements of a flush are
/// made from this parse.
pub fn is_faithful(view: &View, original: u32, scratch: &Scratch) -> bool {
    let below = |(name, below): (&QName, &View)| exists(name).is_some_and(|name| is_faithful(below, name, scratch));
    reads_back(view, original, scratch) && view.views().into_iter().all(below)
}

/// Makes a view called `name` from a text; returns `None` if PostgreSQL raises an error.
fn read(name: &QName, columns: &[String], text: &str, scratch: &Scratch) -> Option<u32> {
    let create = ddl::create_definition(name, columns, text);
    xact::attempt(|| scratch.run(&create)).and_then(|()| exists(name))
}

/// Whether PostgreSQL resolved both views to the same objects.
fn mean_the_same(view: u32, other: u32) -> bool {
    query::of_view(view).meaning == query::of_view(other).meaning
}

/// Whether PostgreSQL prints the recomposed query as it prints the view, and resolves it to the same objects.
fn reads_back(view: &View, original: u32, scratch: &Scratch) -> bool {
    let Ok(copy) = define(original, &StandIns::default(), COPY, scratch) else { return false };
    let (guard, text) = (scratch.name(GUARD), facts::definition(copy));
    let recomposed = format!("{} {}", recompose(view), order(&text));
    let found = read(&guard, &facts::column_names(copy), &recomposed, scratch);
    let same = found
        .is_some_and(|found| comparable(&facts::definition(found)) == comparable(&text) && mean_the_same(found, copy));
    let made = found.map(|_| guard).into_iter().chain([scratch.name(COPY)]);
    made.for_each(|name| scratch.run(&ddl::drop_view(&name, false)));
    same
}

/// Whether the text of a maintained table's query, and of the views that it reads, still resolves to the objects that
/// the stored views are bound to. The text has `f(a)` and `a::t`, and a function or cast created later may match
/// better.
pub fn is_read_as_meant(owner: u32, whole: bool, analysis: &Analysis) -> bool {
    // A "whole" query is run by selecting from the definition, so its text is not parsed again.
    if whole {
        return true;
    }
    let scratch = Scratch::open(owner);
    let name = scratch.name(DEFINITION);
    let same = analysis.views.iter().all(|&view| {
        let read = read(&name, &facts::column_names(view), &facts::definition(view), &scratch);
        let same = read.is_some_and(|read| mean_the_same(read, view));
        read.iter().for_each(|_| scratch.run(&ddl::drop_view(&name, false)));
        same
    });
    scratch.close();
    same
}
