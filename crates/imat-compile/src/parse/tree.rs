//! Parses a text to a syntax tree, with limits on the text and protection against panics of the syntax library.

use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_lexer::TokenKind;
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};

use super::refuse;
use crate::error::Unsupported;

/// Longer than any realistic definition.
const MAX_LENGTH: usize = 1 << 20;
/// The syntax library recurses once for each bracket and prefix operator, without a limit. A stack overflow would end
/// the server, so the nesting is limited before it is called.
const MAX_NESTING: usize = 150;
const MAX_CHAINED: usize = 3000;
/// The walk over the tree recurses once for each level. A flat chain of ANDs also makes a level for each operator.
const MAX_LEVELS: usize = 1000;

/// The single query in a text.
pub(super) fn query(text: &str) -> Result<SyntaxNode, Unsupported> {
    if !is_modest(text) {
        return Err(Unsupported::new("a definition this large"));
    }
    // Other statements can nest in ways that are not counted here.
    if !["select", "with", "values", "("].iter().any(|word| begins_with(text, word)) {
        return Err(not_understood());
    }
    let root = checked(text)?;
    if levels(&root) > MAX_LEVELS {
        return Err(Unsupported::new("an expression this large"));
    }
    let mut statements = root.children();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => Ok(statement),
        _ => Err(not_understood()),
    }
}

fn begins_with(text: &str, word: &str) -> bool {
    text.trim_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn checked(text: &str) -> Result<SyntaxNode, Unsupported> {
    // If the syntax library panics, the text counts as not understood. Nothing of the library's result is used then.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        let parsed = SourceFile::parse(text);
        parsed.errors().is_empty().then(|| parsed.syntax_node())
    }));
    parsed.ok().flatten().ok_or_else(not_understood)
}

fn not_understood() -> Unsupported {
    Unsupported::new("syntax that pg_imat does not know")
}

/// The recursion depth of the syntax library and the depth of its tree, estimated from the tokens.
#[derive(Default)]
struct Extent {
    /// Keywords and prefix operators that are open: each is a recursive call.
    keywords: usize,
    prefixes: usize,
    /// For each open bracket the number of tokens since its last comma, and the sum of these. A chain of operators
    /// makes a level of the tree for each operator; a comma begins a new chain.
    chains: Vec<usize>,
    chained: usize,
    /// After the semicolon, where no token may follow.
    ended: bool,
}

/// Whether the syntax library can parse the text with a small stack.
fn is_modest(text: &str) -> bool {
    let mut extent = Extent { chains: vec![0], ..Extent::default() };
    let mut start = 0;
    text.len() <= MAX_LENGTH
        && squawk_lexer::tokenize(text).all(|token| {
            let end = start + token.len as usize;
            let word = text.get(start..end).unwrap_or_default();
            start = end;
            extent.take(token.kind, word)
        })
}

impl Extent {
    /// Counts a token. Returns false if a limit is exceeded.
    fn take(&mut self, kind: TokenKind, word: &str) -> bool {
        if matches!(kind, TokenKind::Whitespace) {
            return true;
        }
        if self.ended {
            return matches!(kind, TokenKind::Eof);
        }
        self.nest(kind, word);
        if let Some(chain) = self.chains.last_mut() {
            *chain += 1;
            self.chained += 1;
        }
        match kind {
            TokenKind::OpenParen | TokenKind::OpenBracket => self.chains.push(0),
            TokenKind::CloseParen | TokenKind::CloseBracket if self.chains.len() > 1 => {
                self.chained -= self.chains.pop().unwrap_or(0);
            }
            TokenKind::Comma => {
                if let Some(chain) = self.chains.last_mut() {
                    self.chained -= std::mem::take(chain);
                }
            }
            TokenKind::Semi => self.ended = true,
            _ => {}
        }
        self.chains.len() + self.keywords + self.prefixes <= MAX_NESTING && self.chained <= MAX_CHAINED
    }

    fn nest(&mut self, kind: TokenKind, word: &str) {
        match kind {
            TokenKind::Ident if nests(word) => self.keywords += 1,
            TokenKind::Ident if closes(word) => self.keywords = self.keywords.saturating_sub(1),
            _ => {}
        }
        match kind {
            TokenKind::Ident if word.eq_ignore_ascii_case("not") => self.prefixes += 1,
            TokenKind::Ident | TokenKind::Literal { .. } | TokenKind::QuotedIdent { .. } => {
                self.prefixes = 0;
            }
            TokenKind::OpenParen | TokenKind::OpenBracket => {}
            _ => self.prefixes += 1,
        }
    }
}

/// Whether a keyword begins a construct that can contain itself without brackets.
fn nests(word: &str) -> bool {
    ["case", "join", "begin"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// Whether a keyword ends such a construct.
fn closes(word: &str) -> bool {
    ["end", "on", "using"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

fn levels(root: &SyntaxNode) -> usize {
    let mut deepest = 0;
    let mut open = vec![(root.clone(), 1)];
    while let Some((node, level)) = open.pop() {
        deepest = deepest.max(level);
        open.extend(node.children().map(|child| (child, level + 1)));
    }
    deepest
}

/// The tokens directly in a node, without white space and comments.
pub(super) fn tokens(node: &SyntaxNode) -> impl Iterator<Item = SyntaxToken> {
    node.children_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT))
}

/// Refuses a node that directly contains tokens other than `known`.
pub(super) fn only_tokens(node: &SyntaxNode, known: &[SyntaxKind]) -> Result<(), Unsupported> {
    match tokens(node).find(|token| !known.contains(&token.kind())) {
        Some(token) => Err(Unsupported::new(token.text().to_uppercase())),
        None => Ok(()),
    }
}

/// The node's child of this kind.
pub(super) fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// The only child of a node.
pub(super) fn sole(node: &SyntaxNode) -> Result<SyntaxNode, Unsupported> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (Some(child), None) => Ok(child),
        (_, Some(extra)) => Err(refuse::construct(&extra)),
        (None, None) => Err(refuse::construct(node)),
    }
}

/// The name in a node with one identifier, folded as PostgreSQL folds it.
pub(super) fn name(node: &SyntaxNode) -> Result<String, Unsupported> {
    let mut tokens = node.descendants_with_tokens().filter_map(|element| element.into_token());
    let (Some(token), None) = (tokens.next(), tokens.next()) else {
        return Err(refuse::construct(node));
    };
    identifier(token.text()).ok_or_else(|| refuse::construct(node))
}

fn identifier(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('"') {
        return Some(inner.strip_suffix('"')?.replace("\"\"", "\""));
    }
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    text.chars().all(plain).then(|| text.to_ascii_lowercase())
}

/// The schema and the name of a possibly qualified name.
pub(super) fn path(node: &SyntaxNode) -> Result<(Option<String>, String), Unsupported> {
    let mut parts = Vec::new();
    for segment in node.descendants() {
        if segment.kind() == SyntaxKind::PATH_SEGMENT_REF {
            parts.push(name(&segment)?);
        }
    }
    match parts.as_slice() {
        [name] => Ok((None, name.clone())),
        [schema, name] => Ok((Some(schema.clone()), name.clone())),
        _ => Err(refuse::construct(node)),
    }
}
