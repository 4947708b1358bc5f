//! GROUP BY, HAVING and aggregates: scalars over the group row.

use squawk_syntax::SyntaxKind::*;
use squawk_syntax::SyntaxNode;

use super::expr::{Rows, callee, is_aggregate, pieces, stripped};
use super::{refuse, tree};
use crate::error::Unsupported;
use crate::scalar::Scalar;
use crate::view::{Aggregate, Grouping, Source};

/// The provisional position of the first aggregate, while not all keys of the group row are known.
const AGGREGATES: usize = usize::MAX / 2;

/// The group row, to which outputs and HAVING add keys and aggregates.
pub(super) struct Groups<'a> {
    rows: Rows<'a>,
    keys: Vec<Key>,
    listed: usize,
    aggregates: Vec<Aggregate>,
}

impl<'a> Groups<'a> {
    pub fn new(clause: Option<&SyntaxNode>, rows: Rows<'a>) -> Result<Self, Unsupported> {
        let mut keys = Vec::new();
        if let Some(clause) = clause {
            tree::only_tokens(clause, &[GROUP_KW, BY_KW])?;
            for item in tree::sole(clause)?.children() {
                keys.push(key(&item, rows)?);
            }
        }
        Ok(Self { rows, listed: keys.len(), keys, aggregates: Vec::new() })
    }

    /// Converts an expression of the target list or of HAVING.
    pub fn scalar(&mut self, node: &SyntaxNode) -> Result<Scalar, Unsupported> {
        let mut out = Scalar::default();
        self.visit(&stripped(node)?, &mut out)?;
        if out.as_column().is_none() {
            refuse::collate(node, "an expression over groups")?;
            out = Scalar::default();
            self.visit(node, &mut out)?;
        }
        Ok(out)
    }

    /// The grouping, and the scalars in their final numbering.
    pub fn finish(self, exprs: Vec<Scalar>, having: Option<Scalar>) -> (Vec<Scalar>, Grouping) {
        let keys = self.keys.len();
        let place = |scalar: &Scalar| scalar.map_columns(|p| if p >= AGGREGATES { p - AGGREGATES + keys } else { p });
        let exprs = exprs.iter().map(place).collect();
        let having = having.as_ref().map(place);
        let Self { keys, listed, aggregates, .. } = self;
        let keys = keys.into_iter().map(Key::into_spelled).collect();
        (exprs, Grouping { keys, listed, aggregates, having })
    }

    fn visit(&mut self, node: &SyntaxNode, out: &mut Scalar) -> Result<(), Unsupported> {
        if let Some(position) = self.key_of(node)? {
            out.push_column(position);
            return Ok(());
        }
        if is_aggregate(node, self.rows.catalog)? {
            out.push_column(AGGREGATES + self.aggregate(node)?);
            return Ok(());
        }
        if let Some(column) = self.rows.scope.column(node)? {
            out.push_column(self.determined(column)?);
            return Ok(());
        }
        pieces(node, out, &mut |child, out| self.visit(child, out))
    }

    /// The position of the key that equals the node, if there is one.
    fn key_of(&self, node: &SyntaxNode) -> Result<Option<usize>, Unsupported> {
        if !can_be_key(node) || has_aggregate(node, self.rows)? {
            return Ok(None);
        }
        let scalar = self.rows.bare(node)?;
        if scalar.columns().next().is_none() {
            return Ok(None);
        }
        Ok(self.keys.iter().position(|key| key.bare == scalar))
    }

    /// Adds a key for a column that is neither a key nor in an aggregate. PostgreSQL allows it if the listed keys
    /// contain the primary key of its table; then the added key splits no group. Otherwise a key was not recognised,
    /// and adding one would be wrong.
    fn determined(&mut self, column: usize) -> Result<usize, Unsupported> {
        if !self.is_determined(column) {
            return Err(Unsupported::new("an expression that is not recognised as a GROUP BY key"));
        }
        self.keys.push(Key { bare: Scalar::column(column), closed: true });
        Ok(self.keys.len() - 1)
    }

    fn is_determined(&self, column: usize) -> bool {
        let scope = self.rows.scope;
        let Some((index, _)) = scope.owner(column) else {
            return false;
        };
        let Source::Table(table) = &scope.inputs[index].source else {
            return false;
        };
        let listed = |number: &i16| {
            let place = table.columns.iter().position(|column| column.number == *number);
            place.is_some_and(|place| {
                let column = scope.range(index).start + place;
                self.keys[..self.listed].iter().any(|key| key.bare.as_column() == Some(column))
            })
        };
        table.is_found_by(listed)
    }

    fn aggregate(&mut self, node: &SyntaxNode) -> Result<usize, Unsupported> {
        let aggregate = aggregate(node, self.rows)?;
        let found = self.aggregates.iter().position(|known| *known == aggregate);
        Ok(found.unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        }))
    }
}

/// One key of the group row.
struct Key {
    /// The expression without outer parentheses, for comparisons.
    bare: Scalar,
    /// Whether it needs no parentheses next to an operator.
    closed: bool,
}

impl Key {
    fn into_spelled(self) -> Scalar {
        if self.closed {
            return self.bare;
        }
        let mut spelled = Scalar::text("(");
        spelled.push(&self.bare);
        spelled.push_text(")");
        spelled
    }
}

fn key(item: &SyntaxNode, rows: Rows<'_>) -> Result<Key, Unsupported> {
    if item.kind() != GROUPING_EXPR {
        return Err(refuse::construct(item));
    }
    let expr = stripped(&tree::sole(item)?)?;
    match expr.kind() {
        // GROUP BY a position of the target list; PostgreSQL itself never prints that.
        LITERAL => Err(Unsupported::new("GROUP BY a constant")),
        // `GROUP BY (a, b)` has two keys, `ROW(a, b)` is one; the empty set has none.
        TUPLE_EXPR if !tree::tokens(&expr).any(|token| token.kind() == ROW_KW) => {
            Err(Unsupported::new(if expr.first_child().is_none() { "GROUP BY ()" } else { "GROUPING SETS" }))
        }
        kind => {
            let closed = matches!(kind, NAME_REF | FIELD_EXPR | CALL_EXPR | CASE_EXPR);
            Ok(Key { bare: rows.bare(&expr)?, closed })
        }
    }
}

/// Whether the extent of an expression does not depend on operator precedence, which the syntax library may treat
/// differently from PostgreSQL.
fn can_be_key(node: &SyntaxNode) -> bool {
    let operator =
        |node: &SyntaxNode| matches!(node.kind(), BIN_EXPR | BETWEEN_EXPR | PREFIX_EXPR | POSTFIX_EXPR | COLLATE);
    match node.kind() {
        NAME_REF | FIELD_EXPR | CALL_EXPR | CAST_EXPR | CASE_EXPR | ARRAY_EXPR | INDEX_EXPR | SLICE_EXPR
        | TUPLE_EXPR => {
            !node.parent().is_some_and(|parent| node.kind() == CAST_EXPR && matches!(parent.kind(), PREFIX_EXPR))
        }
        _ if operator(node) => !node.parent().is_some_and(|parent| operator(&parent) || parent.kind() == CAST_EXPR),
        _ => false,
    }
}

fn has_aggregate(node: &SyntaxNode, rows: Rows<'_>) -> Result<bool, Unsupported> {
    for node in node.descendants() {
        if is_aggregate(&node, rows.catalog)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn aggregate(node: &SyntaxNode, rows: Rows<'_>) -> Result<Aggregate, Unsupported> {
    let callee = callee(node)?.ok_or_else(|| refuse::construct(node))?;
    let list = tree::child(node, ARG_LIST).ok_or_else(|| refuse::construct(node))?;
    let (mut args, mut distinct, mut filter) = (Vec::new(), false, None);
    let mut ordered = false;
    for child in list.children() {
        match child.kind() {
            DISTINCT => distinct = true,
            ALL => {}
            ARG => {
                let (arg, plain) = argument(&child, rows)?;
                args.push(arg);
                ordered |= !plain;
            }
            ORDER_BY_CLAUSE => ordered = true,
            _ => return Err(refuse::construct(&child)),
        }
    }
    for child in node.children().skip(1) {
        match child.kind() {
            ARG_LIST => {}
            FILTER_CLAUSE => filter = Some(rows.scalar(&tree::sole(&child)?)?),
            WITHIN_CLAUSE => ordered = true,
            _ => return Err(refuse::construct(&child)),
        }
    }
    let call = rows.call(node)?;
    let (schema, name) = (callee.schema, callee.name);
    Ok(Aggregate { schema, name, distinct, args, filter, ordered, call })
}

/// The text of one argument, and whether it is a plain one: no VARIADIC, name or ORDER BY.
fn argument(node: &SyntaxNode, rows: Rows<'_>) -> Result<(Scalar, bool), Unsupported> {
    let expr = node.first_child().ok_or_else(|| refuse::construct(node))?;
    let mut plain = tree::tokens(node).next().is_none() && node.children().count() == 1;
    let expr = if expr.kind() == NAMED_ARG {
        plain = false;
        expr.last_child().ok_or_else(|| refuse::construct(&expr))?
    } else {
        expr
    };
    Ok((rows.scalar(&expr)?, plain))
}
