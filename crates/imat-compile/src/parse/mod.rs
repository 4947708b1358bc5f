//! Text to [`View`].
//!
//! The text is PostgreSQL's rendering of an analysed query, so every name in it is resolved
//! and every operator parenthesised. What is not positively understood is [`Unsupported`]:
//! a construct that no file here names can't slip through as text.
//!
//! ```text
//! tree.rs    text -> syntax tree, bounded      select.rs  SELECT -> View
//! from.rs    FROM -> inputs and joins          group.rs   GROUP BY, HAVING, aggregates
//! expr.rs    expressions over the scope row    scope.rs   which column a name means
//! refuse.rs  what a refused construct is called
//! with.rs    WITH
//! ```

mod expr;
mod from;
mod group;
mod refuse;
mod scope;
mod select;
mod tree;
mod with;

use squawk_syntax::SyntaxKind;

use crate::error::Unsupported;
use crate::facts::Catalog;
use crate::name::QName;
use crate::view::{View, With};

/// The deepest nesting of views and subqueries that is parsed. Deeper ones are not realistic, and might overflow the
/// stack.
const MAX_DEPTH: usize = 32;

/// The most tables of a view. PostgreSQL could hardly plan a join of more.
const MAX_TABLES: usize = 100;

/// The context that every part of the parser needs.
#[derive(Clone, Copy)]
struct Context<'a> {
    catalog: &'a dyn Catalog,
    /// The nesting depth of this query.
    depth: usize,
    /// The WITH queries that are visible here, the innermost last.
    with: &'a [With],
}

impl Context<'_> {
    fn inner(self) -> Result<Self, Unsupported> {
        if self.depth >= MAX_DEPTH {
            return Err(Unsupported::new("queries nested this deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// The view whose definition `pg_get_viewdef` gives as `definition` under
/// `search_path = pg_catalog`, and whose columns are called `output_names`.
pub fn parse(definition: &str, output_names: &[String], catalog: &dyn Catalog) -> Result<View, Unsupported> {
    named(definition, output_names, Context { catalog, depth: 0, with: &[] })
}

/// The ORDER BY of the outermost query. It has no effect on a table, so a [`View`] does not keep it.
pub fn order(definition: &str) -> String {
    let query = tree::query(definition).ok();
    let order = query.and_then(|query| tree::child(&query, SyntaxKind::ORDER_BY_CLAUSE));
    order.map_or_else(String::new, |order| order.text().to_string())
}

/// A definition in a form for comparisons: without aliases that equal their table's name, which a [`View`] does not
/// keep. A view was parsed correctly if this is equal for its definition and for PostgreSQL's text of the recomposed
/// query with the definition's [`order`].
pub fn comparable(definition: &str) -> String {
    let Ok(query) = tree::query(definition) else {
        return definition.to_owned();
    };
    let (mut out, mut from) = (String::new(), 0);
    for range in query.descendants().filter(from::is_repeated_alias).map(|alias| alias.text_range()) {
        out.push_str(definition[from..usize::from(range.start())].trim_end());
        from = range.end().into();
    }
    out + &definition[from..]
}

/// A definition's text with some relations replaced by others: pairs (old, new).
pub fn reading_instead(definition: &str, instead: &[(QName, QName)]) -> String {
    match tree::query(definition) {
        Ok(query) => from::reading_instead(&query, definition, instead),
        Err(_) => definition.to_owned(),
    }
}

/// The texts of the scalar subqueries in a definition.
pub fn scalar_subqueries(definition: &str) -> Vec<String> {
    let Ok(query) = tree::query(definition) else { return Vec::new() };
    let subqueries = query.descendants().filter(expr::is_scalar_subquery).map(|subquery| subquery.text().to_string());
    subqueries.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn named(definition: &str, names: &[String], context: Context<'_>) -> Result<View, Unsupported> {
    let query = tree::query(definition)?;
    select::query(&query, select::Names::Given(names), context)
}

#[cfg(test)]
mod tests {
    use super::{reading_instead, scalar_subqueries};
    use crate::name::QName;

    #[test]
    fn other_relations_are_read_under_the_same_names() {
        let definition = " SELECT m.a, x.b, 'public.m' AS c\n   FROM public.m\n     JOIN public.m x ON ((x.a = m.a)), other.m y\n\
            WHERE (EXISTS ( SELECT 1 FROM ONLY public.\"M\" WHERE (\"M\".a = m.a)));";
        let instead = [("m", "s"), ("M", "T")].map(|(from, to)| (QName::new("public", from), QName::new("imat", to)));
        let expected = " SELECT m.a, x.b, 'public.m' AS c\n   FROM \"imat\".\"s\" AS \"m\"\n     JOIN \"imat\".\"s\" x ON ((x.a = m.a)), other.m y\n\
            WHERE (EXISTS ( SELECT 1 FROM ONLY \"imat\".\"T\" AS \"M\" WHERE (\"M\".a = m.a)));";
        assert_eq!(reading_instead(definition, &instead), expected);
    }

    #[test]
    fn subqueries_that_stand_for_a_value() {
        let definition = " SELECT (( SELECT max(u.b) AS max\n   FROM u) + 1), (EXISTS ( SELECT 1 FROM u)), ARRAY( SELECT u.a FROM u)\n\
            FROM ( SELECT t.a, t.b FROM t) t\n\
            WHERE ((t.a IN ( SELECT u.a FROM u)) AND (NOT (t.a IN ( SELECT u.a FROM u))) AND (t.b = ANY ( SELECT u.a FROM u))\
            AND (ROW(t.a, t.b) = ( SELECT u.a, u.b FROM u)) AND (t.a = (( SELECT 1 UNION SELECT 2))))";
        let found = ["( SELECT max(u.b) AS max FROM u)", "( SELECT u.a, u.b FROM u)", "( SELECT 1 UNION SELECT 2)"];
        assert_eq!(scalar_subqueries(definition), found);
    }
}
