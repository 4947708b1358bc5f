//! Expressions over the scope row, as text with holes.

use squawk_syntax::SyntaxKind::{self, *};
use squawk_syntax::{SyntaxElement, SyntaxNode};

use super::scope::{Scope, refuse_keyword};
use super::{refuse, tree};
use crate::error::Unsupported;
use crate::facts::{Call, Catalog};
use crate::scalar::Scalar;

/// How a node of an expression is converted to text.
enum Class {
    /// Its tokens unchanged, its children each by their own class.
    Walk,
    /// The whole text unchanged: names of types, operators, collations.
    Verbatim,
    /// A construct that this parser does not know.
    Unknown,
}

fn class(kind: SyntaxKind) -> Class {
    match kind {
        ARG | ARG_LIST | ARRAY_EXPR | BETWEEN_EXPR | BIN_EXPR | CALL_EXPR | CASE_EXPR | CAST_EXPR | COLLATE
        | FIELD_EXPR | INDEX_EXPR | LITERAL | NAMED_ARG | PAREN_EXPR | POSTFIX_EXPR | PREFIX_EXPR | SLICE_EXPR
        | TUPLE_EXPR => Class::Walk,
        WHEN_CLAUSE_LIST | WHEN_CLAUSE | ELSE_CLAUSE => Class::Walk,
        FILTER_CLAUSE | WITHIN_CLAUSE | ORDER_BY_CLAUSE | SORT_BY_LIST | SORT_BY => Class::Walk,
        ALL_FN | ANY_FN | SOME_FN | EXTRACT_FN | COLLATION_FOR_FN | POSITION_FN => Class::Walk,
        OVERLAY_FN | OVERLAY_EXPRS | OVERLAY_PLACING => Class::Walk,
        SUBSTRING_FN | SUBSTRING_EXPRS | SUBSTRING_FOR_FROM | SUBSTRING_FROM_FOR | SUBSTRING_SIMILAR_ESCAPE => {
            Class::Walk
        }
        TRIM_FN | TRIM_EXPRS | TRIM_EXPR_FROM | TRIM_FROM => Class::Walk,
        TRIM_BOTH | TRIM_LEADING | TRIM_TRAILING => Class::Verbatim,
        ARRAY_TYPE | BIT_TYPE | BIT_VARYING_TYPE | CHARACTER_TYPE | DOUBLE_TYPE | INTERVAL_TYPE | PATH_TYPE
        | TIMESTAMP_TYPE | TIME_TYPE | VARCHAR_TYPE => Class::Verbatim,
        AT_LOCAL | AT_TIME_ZONE | COLON_COLON | CUSTOM_OP | OPERATOR_CALL => Class::Verbatim,
        IS_DISTINCT_FROM | IS_NOT_DISTINCT_FROM | IS_NOT | NOT_IN | IS_NORMALIZED | IS_NOT_NORMALIZED | IS_JSON
        | IS_JSON_ARRAY | IS_JSON_OBJECT | IS_JSON_SCALAR | IS_JSON_VALUE | IS_NOT_JSON | IS_NOT_JSON_ARRAY
        | IS_NOT_JSON_OBJECT | IS_NOT_JSON_SCALAR | IS_NOT_JSON_VALUE => Class::Verbatim,
        ALL | COLLATION_REF | DISTINCT | EXTRACT_FIELD_LITERAL | EXTRACT_FIELD_NAME | PARAM_NAME_REF => Class::Verbatim,
        NULLS_FIRST | NULLS_LAST | SORT_ASC | SORT_DESC | SORT_USING => Class::Verbatim,
        _ => Class::Unknown,
    }
}

/// Whether a node is a scalar subquery or a row subquery, which must return at most one row.
pub(super) fn is_scalar_subquery(node: &SyntaxNode) -> bool {
    let holds_query = node.kind() == PAREN_EXPR
        && node
            .children()
            .any(|child| matches!(child.kind(), SELECT | COMPOUND_SELECT | PAREN_SELECT | VALUES | TABLE));
    let mut before = std::iter::successors(node.prev_sibling_or_token(), SyntaxElement::prev_sibling_or_token);
    let before = before.find(|element| !matches!(element.kind(), WHITESPACE | COMMENT));
    holds_query && !before.is_some_and(|element| matches!(element.kind(), IN_KW | NOT_IN))
}

/// The name of a called function: its schema, if written, and its name.
pub(super) struct Callee {
    pub schema: Option<String>,
    pub name: String,
}

/// The function that a node calls; `None` if it is no call, or one with special syntax such as EXTRACT.
pub(super) fn callee(node: &SyntaxNode) -> Result<Option<Callee>, Unsupported> {
    if node.kind() != CALL_EXPR || tree::child(node, ARG_LIST).is_none() {
        return Ok(None);
    }
    let called = node.first_child().ok_or_else(|| refuse::construct(node))?;
    let parts: Vec<SyntaxNode> = called.children().collect();
    match (called.kind(), parts.as_slice()) {
        (NAME_REF, _) => {
            refuse_keyword(&called)?;
            Ok(Some(Callee { schema: None, name: tree::name(&called)? }))
        }
        (FIELD_EXPR, [schema, name]) if schema.kind() == NAME_REF && name.kind() == NAME_REF => {
            let schema = Some(tree::name(schema)?).filter(|schema| schema != "pg_catalog");
            Ok(Some(Callee { schema, name: tree::name(name)? }))
        }
        _ => Err(refuse::construct(&called)),
    }
}

/// Whether a node is an aggregate call.
pub(super) fn is_aggregate(node: &SyntaxNode, catalog: &dyn Catalog) -> Result<bool, Unsupported> {
    let Some(callee) = callee(node)? else {
        return Ok(false);
    };
    if let Some(over) = tree::child(node, OVER_CLAUSE) {
        return Err(refuse::construct(&over));
    }
    match catalog.is_aggregate(callee.schema.as_deref(), &callee.name) {
        Call::Function => Ok(false),
        Call::Aggregate => Ok(true),
        // Without WITHIN GROUP, rank and similar functions are window functions.
        Call::Ambiguous if tree::child(node, WITHIN_CLAUSE).is_some() => Ok(true),
        Call::Ambiguous => {
            Err(Unsupported::new(format!("{}, which names both an aggregate and a function", callee.name)))
        }
    }
}

/// The expression without the parentheses around it.
pub(super) fn stripped(node: &SyntaxNode) -> Result<SyntaxNode, Unsupported> {
    let mut node = node.clone();
    while node.kind() == PAREN_EXPR {
        node = tree::sole(&node)?;
    }
    Ok(node)
}

/// The two operands, if the node is this operator.
fn both(node: &SyntaxNode, operator: SyntaxKind) -> Option<(SyntaxNode, SyntaxNode)> {
    let is_it = node.kind() == BIN_EXPR && tree::tokens(node).any(|token| token.kind() == operator);
    let sides: Vec<SyntaxNode> = node.children().filter(|child| child.kind() != EQ).collect();
    match sides.as_slice() {
        [left, right] if is_it => Some((left.clone(), right.clone())),
        _ => None,
    }
}

/// The operands of a chain of one operator, without their parentheses.
fn operands(node: &SyntaxNode, operator: SyntaxKind) -> Result<Vec<SyntaxNode>, Unsupported> {
    let mut all = Vec::new();
    let mut rest = stripped(node)?;
    while let Some((left, right)) = both(&rest, operator) {
        all.push(right);
        rest = left;
    }
    all.push(rest);
    all.reverse();
    Ok(all)
}

type Visit<'v> = &'v mut dyn FnMut(&SyntaxNode, &mut Scalar) -> Result<(), Unsupported>;

/// Appends a node's text; its children go through `visit`.
pub(super) fn pieces(node: &SyntaxNode, out: &mut Scalar, visit: Visit<'_>) -> Result<(), Unsupported> {
    match class(node.kind()) {
        Class::Verbatim => {
            verbatim(node, out);
            return Ok(());
        }
        Class::Unknown => return Err(refuse::construct(node)),
        Class::Walk => {}
    }
    // The name of a function and the field of a composite value look like columns, but are none.
    let name = match node.kind() {
        CALL_EXPR if callee(node)?.is_some() => node.first_child(),
        FIELD_EXPR => node.last_child(),
        _ => None,
    };
    for element in node.children_with_tokens() {
        match element {
            SyntaxElement::Node(child) if Some(&child) == name.as_ref() => verbatim(&child, out),
            SyntaxElement::Node(child) => visit(&child, out)?,
            SyntaxElement::Token(token) => match token.kind() {
                WHITESPACE | COMMENT => out.push_text(" "),
                POSITIONAL_PARAM | DEFAULT_KW | ERROR => return Err(refuse::construct(node)),
                _ => out.push_text(token.text()),
            },
        }
    }
    Ok(())
}

/// The text with uniform white space: PostgreSQL's line breaks depend on the position.
fn verbatim(node: &SyntaxNode, out: &mut Scalar) {
    for token in node.descendants_with_tokens().filter_map(|element| element.into_token()) {
        match token.kind() {
            WHITESPACE | COMMENT => out.push_text(" "),
            _ => out.push_text(token.text()),
        }
    }
}

/// Makes scalars over the scope row, without aggregates.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub scope: &'a Scope,
    pub catalog: &'a dyn Catalog,
}

impl Rows<'_> {
    /// An expression as written; a column in parentheses becomes a column.
    pub fn scalar(self, node: &SyntaxNode) -> Result<Scalar, Unsupported> {
        let bare = self.exact(&stripped(node)?)?;
        if bare.as_column().is_some() { Ok(bare) } else { self.exact(node) }
    }

    /// The form by which two expressions are compared: without outer parentheses.
    pub fn bare(self, node: &SyntaxNode) -> Result<Scalar, Unsupported> {
        self.exact(&stripped(node)?)
    }

    /// The conjuncts of a condition. PostgreSQL prints a chain of ANDs without inner parentheses.
    pub fn conjuncts(self, node: &SyntaxNode) -> Result<Vec<Scalar>, Unsupported> {
        match operands(node, AND_KW)?.as_slice() {
            [_] => Ok(vec![self.scalar(node)?]),
            conjuncts => conjuncts.iter().map(|conjunct| self.scalar(conjunct)).collect(),
        }
    }

    /// The equalities between columns that every branch of an OR in a condition contains. They join the tables
    /// whichever branch holds. PostgreSQL finds them too, if all branches write them alike.
    pub fn implied(self, node: &SyntaxNode) -> Result<Vec<Scalar>, Unsupported> {
        let mut implied = Vec::new();
        for conjunct in operands(node, AND_KW)? {
            if both(&stripped(&conjunct)?, OR_KW).is_some() {
                implied.extend(self.equalities(&conjunct)?);
            }
        }
        Ok(implied)
    }

    /// The equalities between columns that hold whenever a condition is true.
    fn equalities(self, node: &SyntaxNode) -> Result<Vec<Scalar>, Unsupported> {
        let branches = operands(node, OR_KW)?;
        if let [first, others @ ..] = branches.as_slice()
            && !others.is_empty()
        {
            let mut shared = self.equalities(first)?;
            for other in others {
                let other = self.equalities(other)?;
                shared.retain(|equality| other.contains(equality));
            }
            return Ok(shared);
        }
        let conjuncts = operands(node, AND_KW)?;
        if conjuncts.len() > 1 {
            let found: Result<Vec<_>, _> = conjuncts.iter().map(|conjunct| self.equalities(conjunct)).collect();
            return Ok(found?.concat());
        }
        Ok(self.equality(&conjuncts[0])?.into_iter().collect())
    }

    /// An equality between two columns, its sides in a fixed order. Equalities of other expressions are left out, since
    /// they could fail where the branch guards them.
    fn equality(self, node: &SyntaxNode) -> Result<Option<Scalar>, Unsupported> {
        let Some((left, right)) = both(node, EQ) else { return Ok(None) };
        let (left, right) = (self.scalar(&left)?.as_column(), self.scalar(&right)?.as_column());
        Ok(left.zip(right).map(|(left, right)| Scalar::equal(left.min(right), left.max(right))))
    }

    fn exact(self, node: &SyntaxNode) -> Result<Scalar, Unsupported> {
        let mut out = Scalar::default();
        self.visit(node, &mut out)?;
        Ok(out)
    }

    /// An aggregate call's own text.
    pub fn call(self, node: &SyntaxNode) -> Result<Scalar, Unsupported> {
        let mut out = Scalar::default();
        pieces(node, &mut out, &mut |child, out| self.visit(child, out))?;
        Ok(out)
    }

    fn visit(self, node: &SyntaxNode, out: &mut Scalar) -> Result<(), Unsupported> {
        if let Some(position) = self.scope.column(node)? {
            out.push_column(position);
            return Ok(());
        }
        if is_aggregate(node, self.catalog)? {
            return Err(Unsupported::new("an aggregate in a place of its own kind"));
        }
        pieces(node, out, &mut |child, out| self.visit(child, out))
    }
}
