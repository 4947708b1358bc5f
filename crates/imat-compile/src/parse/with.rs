//! WITH: named queries, which are copied to each reference.

use squawk_syntax::SyntaxKind::*;
use squawk_syntax::SyntaxNode;

use super::{Context, refuse, select, tree};
use crate::error::Unsupported;
use crate::view::With;

/// The queries of a WITH clause. Each can refer to those before it.
pub(super) fn clause(node: &SyntaxNode, context: Context<'_>) -> Result<Vec<With>, Unsupported> {
    tree::only_tokens(node, &[WITH_KW, COMMA])?;
    let mut known = context.with.to_vec();
    for table in node.children() {
        if table.kind() != WITH_TABLE {
            return Err(refuse::construct(&table));
        }
        let query = one(&table, Context { with: &known, ..context })?;
        known.push(query);
    }
    Ok(known.split_off(context.with.len()))
}

fn one(node: &SyntaxNode, context: Context<'_>) -> Result<With, Unsupported> {
    tree::only_tokens(node, &[AS_KW, L_PAREN, R_PAREN])?;
    let (mut name, mut columns, mut materialized, mut query) = (None, None, None, None);
    for child in node.children() {
        match child.kind() {
            CTE_NAME => name = Some(tree::name(&child)?),
            COLUMN_LIST => {
                let names: Result<Vec<_>, _> = child.children().map(|column| tree::name(&column)).collect();
                columns = Some(names?);
            }
            MATERIALIZED => materialized = Some(true),
            NOT_MATERIALIZED => materialized = Some(false),
            _ if query.is_none() => query = Some(child),
            _ => return Err(refuse::construct(&child)),
        }
    }
    let (Some(name), Some(query)) = (name, query) else { return Err(refuse::construct(node)) };
    let view = select::query(&query, select::Names::Implied, context.inner()?)?;
    if columns.as_ref().is_some_and(|columns: &Vec<String>| columns.len() != view.outputs.len()) {
        return Err(Unsupported::new("an incomplete list of column aliases"));
    }
    Ok(With { name, columns, materialized, view })
}
