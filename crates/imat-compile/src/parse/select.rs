//! Parses a SELECT to a [`View`].

use squawk_syntax::SyntaxKind::*;
use squawk_syntax::SyntaxNode;

use super::expr::{Rows, is_aggregate};
use super::group::Groups;
use super::scope::Scope;
use super::{Context, from, refuse, tree, with};
use crate::error::Unsupported;
use crate::facts::Catalog;
use crate::scalar::Scalar;
use crate::view::{Grouping, Output, View};

/// The source of the output names.
#[derive(Clone, Copy)]
pub(super) enum Names<'a> {
    /// The names are given by the catalogs.
    Given(&'a [String]),
    /// The names are in the text: a subquery's AS, or the column's own name.
    Implied,
}

/// The clauses of a query, each at most once.
#[derive(Default)]
struct Clauses {
    with: Option<SyntaxNode>,
    select: Option<SyntaxNode>,
    from: Option<SyntaxNode>,
    filter: Option<SyntaxNode>,
    group: Option<SyntaxNode>,
    having: Option<SyntaxNode>,
}

pub(super) fn query(node: &SyntaxNode, names: Names<'_>, context: Context<'_>) -> Result<View, Unsupported> {
    let clauses = clauses(node, context)?;
    let Some(from) = &clauses.from else {
        return Err(Unsupported::new("a query without FROM"));
    };
    let with = clauses.with.as_ref().map_or(Ok(Vec::new()), |node| with::clause(node, context))?;
    let visible = [context.with, &with].concat();
    let (from, scope) = from::clause(from, Context { with: &visible, ..context })?;
    let rows = Rows { scope: &scope, catalog: context.catalog };
    let (mut filter, mut implied) = (Vec::new(), scope.implied.clone());
    if let Some(node) = &clauses.filter {
        let condition = tree::sole(node)?;
        filter = rows.conjuncts(&condition)?;
        implied.extend(rows.implied(&condition)?);
    }
    let targets = targets(clauses.select.as_ref().ok_or_else(|| refuse::construct(node))?)?;
    if context.depth > 0 {
        targets.iter().try_for_each(|target| refuse::collate(&target.expr, "a subquery or an underlying view"))?;
    }
    let (exprs, grouping) = outputs(&clauses, &targets, rows)?;
    let names = output_names(names, &targets, &scope)?;
    let outputs = names.into_iter().zip(exprs).map(|(name, expr)| Output { name, expr }).collect();
    Ok(fenced(View { with, inputs: scope.inputs, from, filter, implied, grouping, outputs }))
}

/// Makes the view a fence. PostgreSQL computes a WITH query separately if it is read more than once, unless it is NOT
/// MATERIALIZED.
fn fenced(mut view: View) -> View {
    let names: Vec<String> = view.with.iter().filter(|w| w.materialized.is_none()).map(|w| w.name.clone()).collect();
    for name in names {
        let among: usize = view.with.iter().map(|with| with.view.reads_of(&name)).sum();
        if among + view.reads_of(&name) > 1 {
            view.fence_off(&name);
        }
    }
    view
}

fn clauses(node: &SyntaxNode, context: Context<'_>) -> Result<Clauses, Unsupported> {
    match node.kind() {
        SELECT => {}
        COMPOUND_SELECT => return Err(set_operation(node)),
        VALUES | TABLE => return Err(refuse::construct(node)),
        _ => return Err(Unsupported::new("a definition that is not a SELECT")),
    }
    tree::only_tokens(node, &[SEMICOLON])?;
    let mut clauses = Clauses::default();
    for child in node.children() {
        let place = match child.kind() {
            WITH_CLAUSE => &mut clauses.with,
            SELECT_CLAUSE => &mut clauses.select,
            FROM_CLAUSE => &mut clauses.from,
            WHERE_CLAUSE => &mut clauses.filter,
            GROUP_BY_CLAUSE => &mut clauses.group,
            HAVING_CLAUSE => &mut clauses.having,
            // ORDER BY has no effect on a table.
            ORDER_BY_CLAUSE if context.depth == 0 => continue,
            ORDER_BY_CLAUSE => return Err(inner_order(&child)),
            _ => return Err(refuse::construct(&child)),
        };
        if place.replace(child).is_some() {
            return Err(refuse::construct(node));
        }
    }
    Ok(clauses)
}

/// An aggregate that depends on the order of its input, such as array_agg, would see it.
pub(super) fn inner_order(_clause: &SyntaxNode) -> Unsupported {
    Unsupported::new("ORDER BY in a subquery or an underlying view")
}

fn set_operation(node: &SyntaxNode) -> Unsupported {
    let operation = node.children().find(|c| matches!(c.kind(), UNION | INTERSECT | EXCEPT));
    operation.map_or_else(|| Unsupported::new("a set operation"), |node| refuse::construct(&node))
}

/// One item of the target list.
struct Target {
    expr: SyntaxNode,
    name: Option<String>,
}

fn targets(clause: &SyntaxNode) -> Result<Vec<Target>, Unsupported> {
    tree::only_tokens(clause, &[SELECT_KW])?;
    let list = tree::sole(clause).map_err(|error| match tree::child(clause, DISTINCT_CLAUSE) {
        Some(distinct) if tree::child(&distinct, DISTINCT_ON).is_some() => Unsupported::new("DISTINCT ON"),
        Some(distinct) => refuse::construct(&distinct),
        None => error,
    })?;
    if list.kind() != TARGET_LIST {
        return Err(refuse::construct(&list));
    }
    list.children().map(|node| target(&node)).collect()
}

fn target(node: &SyntaxNode) -> Result<Target, Unsupported> {
    tree::only_tokens(node, &[])?;
    let expr = node.first_child().ok_or_else(|| refuse::construct(node))?;
    let mut name = None;
    for child in node.children().skip(1) {
        if child.kind() != AS_NAME {
            return Err(refuse::construct(&child));
        }
        name = Some(tree::name(&tree::sole(&child)?)?);
    }
    Ok(Target { expr, name })
}

fn outputs(
    clauses: &Clauses,
    targets: &[Target],
    rows: Rows<'_>,
) -> Result<(Vec<Scalar>, Option<Grouping>), Unsupported> {
    if !is_grouped(clauses, targets, rows.catalog)? {
        let exprs: Result<_, _> = targets.iter().map(|target| rows.scalar(&target.expr)).collect();
        return Ok((exprs?, None));
    }
    let mut groups = Groups::new(clauses.group.as_ref(), rows)?;
    let mut exprs = Vec::new();
    for target in targets {
        exprs.push(groups.scalar(&target.expr)?);
    }
    let having = match &clauses.having {
        Some(node) => Some(groups.scalar(&tree::sole(node)?)?),
        None => None,
    };
    let (exprs, grouping) = groups.finish(exprs, having);
    Ok((exprs, Some(grouping)))
}

fn is_grouped(clauses: &Clauses, targets: &[Target], catalog: &dyn Catalog) -> Result<bool, Unsupported> {
    if clauses.group.is_some() || clauses.having.is_some() {
        return Ok(true);
    }
    for node in targets.iter().flat_map(|target| target.expr.descendants()) {
        // Aggregates inside of a subquery are not this query's.
        if matches!(node.kind(), SELECT | COMPOUND_SELECT | PAREN_SELECT | VALUES) {
            return Err(refuse::construct(&node));
        }
        if is_aggregate(&node, catalog)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn output_names(names: Names<'_>, targets: &[Target], scope: &Scope) -> Result<Vec<String>, Unsupported> {
    match names {
        Names::Given(names) if names.len() == targets.len() => Ok(names.to_vec()),
        Names::Given(_) => Err(Unsupported::new("a column list that its query does not match")),
        Names::Implied => targets.iter().map(|target| implied_name(target, scope)).collect(),
    }
}

/// The output name without AS. PostgreSQL omits AS only if a column keeps its name, and for `?column?`.
fn implied_name(target: &Target, scope: &Scope) -> Result<String, Unsupported> {
    if let Some(name) = &target.name {
        return Ok(name.clone());
    }
    let column = scope.column(&target.expr)?.and_then(|position| scope.name(position));
    Ok(column.unwrap_or("?column?").to_owned())
}
