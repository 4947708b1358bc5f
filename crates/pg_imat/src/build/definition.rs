//! The definition of a maintained table, a view of ours: does it mean what the user's view means, and is its text read
//! as PostgreSQL reads it?

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

/// What it is called until it is moved.
pub const DEFINITION: &str = "definition";

/// What is compared when a view is read.
const COPY: &str = "copy";
const GUARD: &str = "guard";

/// A view's text as a view called `name`. It must mean what the original means, and the text does
/// not name the schema of every operator: CASE, IN, USING and others find theirs on the search
/// path. So the view's own are looked for where they are, after PostgreSQL's.
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
            // The row of a materialized view as a whole has a type of its own.
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

/// Whether what was parsed is the view, and the views below it that were read along with it: their
/// text is what the statements of a flush are made of.
pub fn is_faithful(view: &View, original: u32, scratch: &Scratch) -> bool {
    let below = |(name, below): (&QName, &View)| exists(name).is_some_and(|name| is_faithful(below, name, scratch));
    reads_back(view, original, scratch) && view.views().into_iter().all(below)
}

/// A text as a view called `name`, where PostgreSQL can make sense of it.
fn read(name: &QName, columns: &[String], text: &str, scratch: &Scratch) -> Option<u32> {
    let create = ddl::create_definition(name, columns, text);
    xact::attempt(|| scratch.run(&create)).and_then(|()| exists(name))
}

/// Whether PostgreSQL looked up the same for both views.
fn mean_the_same(view: u32, other: u32) -> bool {
    query::of_view(view).meaning == query::of_view(other).meaning
}

/// PostgreSQL must print the recomposed query as it prints the view, and find the same in it.
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

/// Whether the text of a maintained table's query, and of the views that it reads, still means what
/// PostgreSQL bound when they were made: it prints `f(a)` and `a::t`, and another function or cast
/// may be what that names by now.
pub fn is_read_as_meant(owner: u32, whole: bool, analysis: &Analysis) -> bool {
    // A query that runs whole does so by its view's name.
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
