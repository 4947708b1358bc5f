//! FROM: the inputs, and how they are joined.

use std::ops::Range;

use squawk_syntax::SyntaxKind::*;
use squawk_syntax::SyntaxNode;

use super::expr::{Rows, callee};
use super::scope::Scope;
use super::{Context, refuse, select, tree};
use crate::error::Unsupported;
use crate::facts::Relation;
use crate::name::{QName, ident};
use crate::scalar::Scalar;
use crate::view::{Condition, From, Input, Origin, Source};

/// A column that a FROM item exposes: its name, and the position of the first column merged into it.
type Shown = Vec<(String, usize)>;

/// The comma-separated items of a FROM clause, and their scope.
pub(super) fn clause(node: &SyntaxNode, context: Context<'_>) -> Result<(Vec<From>, Scope), Unsupported> {
    tree::only_tokens(node, &[FROM_KW, COMMA])?;
    let mut reader = Reader { scope: Scope::default(), context };
    let mut items = Vec::new();
    for item in node.children() {
        items.push(reader.item(&item)?.0);
    }
    Ok((items, reader.scope))
}

/// A definition's text with some relations replaced by others. The old names become aliases, so that column references
/// still work. Nothing else changes.
pub(super) fn reading_instead(query: &SyntaxNode, definition: &str, instead: &[(QName, QName)]) -> String {
    let (mut out, mut from) = (String::new(), 0);
    for item in query.descendants().filter(|node| node.kind() == RELATION_FROM_ITEM) {
        let Some(reference) = tree::child(&item, RELATION_NAME_REF) else { continue };
        let Ok((Some(schema), name)) = tree::path(&reference) else { continue };
        let named = QName::new(schema, name);
        let Some((_, other)) = instead.iter().find(|(read, _)| *read == named) else { continue };
        let range = reference.text_range();
        out.push_str(&definition[from..usize::from(range.start())]);
        out.push_str(&other.to_string());
        if tree::child(&item, FROM_ALIAS).is_none() {
            out.push_str(&format!(" AS {}", ident(&named.name)));
        }
        from = range.end().into();
    }
    out + &definition[from..]
}

struct Reader<'a> {
    scope: Scope,
    context: Context<'a>,
}

impl Reader<'_> {
    fn item(&mut self, node: &SyntaxNode) -> Result<(From, Shown), Unsupported> {
        match node.kind() {
            RELATION_FROM_ITEM => self.relation(node),
            PAREN_FROM_ITEM => self.parenthesised(node),
            JOIN_EXPR => self.join(node),
            _ => Err(refuse::construct(node)),
        }
    }

    fn relation(&mut self, node: &SyntaxNode) -> Result<(From, Shown), Unsupported> {
        tree::only_tokens(node, &[])?;
        let mut reference = None;
        let mut alias = None;
        for child in node.children() {
            match child.kind() {
                RELATION_NAME_REF => reference = Some(tree::sole(&child)?),
                FROM_ALIAS => alias = Some(child),
                _ => return Err(refuse::construct(&child)),
            }
        }
        let reference = reference.ok_or_else(|| refuse::construct(node))?;
        if let Some(name) = tree::child(node, RELATION_NAME_REF) {
            tree::only_tokens(&name, &[])?;
        }
        let (schema, name) = tree::path(&reference)?;
        let source = match self.with(schema.as_deref(), &name) {
            Some(source) => source,
            None => self.named(schema.as_deref(), &name)?,
        };
        let alias = alias.map(|node| Alias::read(&node)).transpose()?;
        self.input(source, alias.unwrap_or(Alias { name, columns: None }))
    }

    /// A query of a WITH clause, which hides a table of the same name.
    fn with(&self, schema: Option<&str>, name: &str) -> Option<Source> {
        let with = self.context.with.iter().rfind(|with| schema.is_none() && with.name == name)?;
        let fence = with.materialized == Some(true);
        Some(Source::Query { origin: Origin::With(with.name.clone()), fence, view: Box::new(with.named()) })
    }

    fn named(&self, schema: Option<&str>, name: &str) -> Result<Source, Unsupported> {
        match self.context.catalog.relation(schema, name) {
            Some(Relation::Table(table)) => Ok(Source::Table(table)),
            Some(Relation::View { name, columns, definition, barrier: fence }) => {
                let context = Context { with: &[], ..self.context.inner()? };
                let view = super::named(&definition, &columns, context)?;
                Ok(Source::Query { origin: Origin::View(name), fence, view: Box::new(view) })
            }
            None => Err(Unsupported::new(format!("{name}, which is not a table or view"))),
        }
    }

    /// A join in parentheses, or a subquery.
    fn parenthesised(&mut self, node: &SyntaxNode) -> Result<(From, Shown), Unsupported> {
        tree::only_tokens(node, &[])?;
        let alias = tree::child(node, FROM_ALIAS);
        let inner = node.first_child().ok_or_else(|| refuse::construct(node))?;
        if let Some(extra) = node.children().find(|c| *c != inner && c.kind() != FROM_ALIAS) {
            return Err(refuse::construct(&extra));
        }
        match (inner.kind(), alias) {
            (PAREN_EXPR, None) => self.item(&tree::sole(&inner)?),
            (PAREN_EXPR, Some(_)) => Err(Unsupported::new("an alias for a join")),
            (PAREN_SELECT, Some(alias)) => {
                tree::only_tokens(&inner, &[L_PAREN, R_PAREN])?;
                let query = tree::sole(&inner)?;
                if let Some(order) = tree::child(&query, ORDER_BY_CLAUSE) {
                    return Err(select::inner_order(&order));
                }
                let context = self.context.inner()?;
                let view = select::query(&query, select::Names::Implied, context)?;
                let source = Source::Query { origin: Origin::Here, fence: false, view: Box::new(view) };
                self.input(source, Alias::read(&alias)?)
            }
            _ => Err(refuse::construct(&inner)),
        }
    }

    fn input(&mut self, source: Source, alias: Alias) -> Result<(From, Shown), Unsupported> {
        let own: Vec<String> = match &source {
            Source::Table(table) => table.columns.iter().map(|c| c.name.clone()).collect(),
            Source::Query { view, .. } => view.outputs.iter().map(|o| o.name.clone()).collect(),
        };
        let columns = match alias.columns {
            None => own,
            Some(columns) if columns.len() != own.len() || columns == own => {
                return Err(Unsupported::new("an incomplete or needless list of column aliases"));
            }
            Some(columns) => columns,
        };
        if self.scope.inputs.iter().any(|input| input.alias == alias.name) {
            return Err(Unsupported::new("two FROM items of the same name"));
        }
        // Each reference is a copy, so a few names can multiply to any number of tables.
        if let Source::Query { view, .. } = &source
            && (view.extent().0 > super::MAX_DEPTH || view.extent().1 > super::MAX_TABLES)
        {
            return Err(Unsupported::new("queries of this many tables"));
        }
        let start = self.scope.width();
        let shown = columns.iter().cloned().zip(start..).collect();
        let index = self.scope.inputs.len();
        self.scope.inputs.push(Input { alias: alias.name, source, columns });
        Ok((From::Input(index), shown))
    }

    fn join(&mut self, node: &SyntaxNode) -> Result<(From, Shown), Unsupported> {
        tree::only_tokens(node, &[])?;
        let start = self.scope.width();
        let (left_node, join) = pair(node)?;
        if join.kind() != JOIN {
            return Err(refuse::construct(&join));
        }
        tree::only_tokens(&join, &[])?;
        let parts: Vec<SyntaxNode> = join.children().collect();
        let (kind, right_node, condition) = match parts.as_slice() {
            [kind, right] => (kind, right, None),
            [kind, right, condition] => (kind, right, Some(condition)),
            _ => return Err(refuse::construct(node)),
        };
        if !matches!(kind.kind(), JOIN_INNER | JOIN_CROSS) {
            return Err(refuse::construct(kind));
        }
        let (left, mut shown) = self.item(&left_node)?;
        if let (JOIN_CROSS, FUNCTION_FROM_ITEM, None) = (kind.kind(), right_node.kind(), condition) {
            return Ok((self.repeat(left, start, right_node)?, shown));
        }
        let (right, mut right_shown) = self.item(right_node)?;
        let on = match (kind.kind(), condition) {
            (JOIN_CROSS, None) => Condition::Cross,
            (JOIN_INNER, Some(on)) if on.kind() == ON_CLAUSE => self.on(on, start..self.scope.width())?,
            (JOIN_INNER, Some(using)) if using.kind() == JOIN_USING_CLAUSE => {
                self.using(using, &shown, &mut right_shown)?
            }
            _ => return Err(refuse::construct(condition.unwrap_or(kind))),
        };
        shown.append(&mut right_shown);
        Ok((From::Join { left: Box::new(left), right: Box::new(right), on }, shown))
    }

    /// `LATERAL generate_series((1)::bigint, column)` whose column is not read: it repeats the rows of `of`.
    fn repeat(&mut self, of: From, start: usize, node: &SyntaxNode) -> Result<From, Unsupported> {
        let refused = || refuse::construct(node);
        tree::only_tokens(node, &[LATERAL_KW])?;
        let children: Vec<SyntaxNode> = node.children().collect();
        let [call, alias] = children.as_slice() else { return Err(refused()) };
        let count = match series(call)? {
            Some(count) => self.scope.column(&count)?.filter(|column| (start..self.scope.width()).contains(column)),
            None => None,
        };
        let count = count.ok_or_else(refused)?;
        let Alias { name: alias, columns } = Alias::read(alias)?;
        let Some([column]) = columns.as_deref() else { return Err(refused()) };
        self.scope.series.push(alias.clone());
        Ok(From::Repeat { of: Box::new(of), count, alias, column: column.clone() })
    }

    fn on(&mut self, node: &SyntaxNode, visible: Range<usize>) -> Result<Condition, Unsupported> {
        let rows = Rows { scope: &self.scope, catalog: self.context.catalog };
        let condition = tree::sole(node)?;
        let (conjuncts, implied) = (rows.conjuncts(&condition)?, rows.implied(&condition)?);
        if !conjuncts.iter().flat_map(Scalar::columns).all(|column| visible.contains(&column)) {
            return Err(Unsupported::new("a join condition over other FROM items"));
        }
        self.scope.implied.extend(implied);
        Ok(Condition::On(conjuncts))
    }

    /// The pairs of columns that USING equates. Removes the merged columns from those that the right side exposes.
    fn using(&mut self, node: &SyntaxNode, left: &Shown, right: &mut Shown) -> Result<Condition, Unsupported> {
        tree::only_tokens(node, &[USING_KW])?;
        let list = tree::sole(node)?;
        let mut pairs = Vec::new();
        for column in list.children() {
            let name = tree::name(&column)?;
            let pair = (only(left, &name)?, only(right, &name)?);
            right.retain(|(shown, _)| *shown != name);
            self.scope.merged.push(name.clone());
            pairs.push((name, pair.0, pair.1));
        }
        Ok(Condition::Using(pairs))
    }
}

/// The upper bound of a call of PostgreSQL's `generate_series` that starts at one.
fn series(call: &SyntaxNode) -> Result<Option<SyntaxNode>, Unsupported> {
    let callee = callee(call)?.filter(|callee| callee.schema.is_none() && callee.name == "generate_series");
    let (Some(_), Some(list)) = (callee, tree::child(call, ARG_LIST)) else { return Ok(None) };
    let arguments: Vec<SyntaxNode> = list.children().map(|argument| tree::sole(&argument)).collect::<Result<_, _>>()?;
    Ok(match arguments.as_slice() {
        [from, to] if from.text() == "(1)::bigint" => Some(to.clone()),
        _ => None,
    })
}

fn only(shown: &Shown, name: &str) -> Result<usize, Unsupported> {
    let mut found = shown.iter().filter(|(column, _)| column == name);
    match (found.next(), found.next()) {
        (Some((_, position)), None) => Ok(*position),
        _ => Err(Unsupported::new("USING over a column that is not on both sides once")),
    }
}

fn pair(node: &SyntaxNode) -> Result<(SyntaxNode, SyntaxNode), Unsupported> {
    let mut children = node.children();
    match (children.next(), children.next(), children.next()) {
        (Some(first), Some(second), None) => Ok((first, second)),
        _ => Err(refuse::construct(node)),
    }
}

/// Whether a node is an alias that equals the name of its table.
pub(super) fn is_repeated_alias(node: &SyntaxNode) -> bool {
    if node.kind() != FROM_ALIAS {
        return false;
    }
    let Some(relation) = node.parent().and_then(|item| tree::child(&item, RELATION_NAME_REF)) else {
        return false;
    };
    match (Alias::read(node), tree::path(&relation)) {
        (Ok(alias), Ok((_, name))) => alias.columns.is_none() && alias.name == name,
        _ => false,
    }
}

/// The alias of a FROM item: `a` or `a(x, y)`.
struct Alias {
    name: String,
    columns: Option<Vec<String>>,
}

impl Alias {
    fn read(node: &SyntaxNode) -> Result<Self, Unsupported> {
        tree::only_tokens(node, &[AS_KW])?;
        let mut name = None;
        let mut columns = None;
        for child in node.children() {
            match child.kind() {
                TABLE_ALIAS => name = Some(tree::name(&child)?),
                COLUMN_LIST => {
                    let names: Result<Vec<_>, _> = child.children().map(|c| tree::name(&c)).collect();
                    columns = Some(names?);
                }
                _ => return Err(refuse::construct(&child)),
            }
        }
        let name = name.ok_or_else(|| refuse::construct(node))?;
        Ok(Self { name, columns })
    }
}
