//! Names for unsupported constructs, in a user's words.

use squawk_syntax::SyntaxKind::{self, *};
use squawk_syntax::SyntaxNode;

use crate::error::Unsupported;

/// The reason why a node is unsupported.
pub(super) fn construct(node: &SyntaxNode) -> Unsupported {
    match known(node.kind()) {
        Some(words) => Unsupported::new(words),
        None => Unsupported::new(unknown(node)),
    }
}

/// Refuses an explicit COLLATE in an expression that another one reads as a column: an explicit collation overrides
/// others, a column's collation does not.
pub(super) fn collate(node: &SyntaxNode, place: &str) -> Result<(), Unsupported> {
    match node.descendants().any(|node| node.kind() == COLLATE) {
        true => Err(Unsupported::new(format!("COLLATE in {place}"))),
        false => Ok(()),
    }
}

fn known(kind: SyntaxKind) -> Option<&'static str> {
    Some(match kind {
        SELECT | COMPOUND_SELECT | PAREN_SELECT | EXISTS_FN => "a subquery in an expression",
        VALUES => "VALUES",
        TABLE => "TABLE",
        WITH_CLAUSE => "WITH",
        DISTINCT_CLAUSE => "DISTINCT",
        LIMIT_CLAUSE => "LIMIT",
        OFFSET_CLAUSE => "OFFSET",
        FETCH_CLAUSE => "FETCH FIRST",
        LOCKING_CLAUSE => "FOR UPDATE or FOR SHARE",
        WINDOW_CLAUSE | OVER_CLAUSE => "a window function",
        GROUPING_SETS => "GROUPING SETS",
        GROUPING_ROLLUP => "ROLLUP",
        GROUPING_CUBE => "CUBE",
        JOIN_LEFT => "LEFT JOIN",
        JOIN_RIGHT => "RIGHT JOIN",
        JOIN_FULL => "FULL JOIN",
        FUNCTION_FROM_ITEM | ROWS_FROM_ITEM | EXPR_FROM_ITEM => "a function in FROM",
        JSON_TABLE_FROM_ITEM => "JSON_TABLE",
        XML_TABLE_FROM_ITEM => "XMLTABLE",
        GRAPH_TABLE_FROM_ITEM => "GRAPH_TABLE",
        TABLESAMPLE_CLAUSE => "TABLESAMPLE",
        REQUIRED_AS_ALIAS => "an alias for a join",
        IGNORE_NULLS | RESPECT_NULLS => "IGNORE NULLS or RESPECT NULLS",
        JSON_ARRAY_AGG_FN => "JSON_ARRAYAGG",
        JSON_OBJECT_AGG_FN => "JSON_OBJECTAGG",
        UNION => "UNION",
        INTERSECT => "INTERSECT",
        EXCEPT => "EXCEPT",
        _ => return None,
    })
}

/// The first word of the text, if the construct has no better name: `XMLELEMENT`.
fn unknown(node: &SyntaxNode) -> String {
    let text = node.text().to_string();
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if word.is_empty() { "syntax that pg_imat does not know".to_owned() } else { word.to_uppercase() }
}
