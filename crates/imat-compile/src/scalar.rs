//! Scalar expressions: PostgreSQL text with holes for columns.
//!
//! The compiler understands only the columns of an expression, so every expression that PostgreSQL supports works here
//! unchanged.

/// One expression over the columns of a row, by position.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Scalar {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text that is passed through: from PostgreSQL's own deparser, or a constant of the compiler.
    Text(String),
    /// The column at this position of the input row.
    Column(usize),
}

impl Scalar {
    pub fn column(position: usize) -> Self {
        Self { pieces: vec![Piece::Column(position)] }
    }

    pub fn text(text: impl Into<String>) -> Self {
        let mut scalar = Self::default();
        scalar.push_text(&text.into());
        scalar
    }

    /// `left = right`; the operator is found under `search_path = pg_catalog`.
    pub fn equal(left: usize, right: usize) -> Self {
        let mut scalar = Self::column(left);
        scalar.push_text(" = ");
        scalar.push_column(right);
        scalar
    }

    pub fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    pub fn push_column(&mut self, position: usize) {
        self.pieces.push(Piece::Column(position));
    }

    /// Appends another expression's pieces, unparenthesised.
    pub fn push(&mut self, other: &Scalar) {
        for piece in &other.pieces {
            match piece {
                Piece::Text(text) => self.push_text(text),
                Piece::Column(position) => self.push_column(*position),
            }
        }
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The position, if the expression is just a column.
    pub fn as_column(&self) -> Option<usize> {
        match self.pieces.as_slice() {
            [Piece::Column(position)] => Some(*position),
            _ => None,
        }
    }

    /// The positions that it reads, in order of appearance, with repetitions.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(position) => Some(*position),
            Piece::Text(_) => None,
        })
    }

    /// The same expression over renumbered columns.
    pub fn map_columns(&self, f: impl Fn(usize) -> usize) -> Scalar {
        self.substitute(|position| Scalar::column(f(position)))
    }

    /// The expression with each column replaced by an expression, in parentheses unless that is itself a column.
    pub fn substitute(&self, f: impl Fn(usize) -> Scalar) -> Scalar {
        let mut out = Scalar::default();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_text(text),
                Piece::Column(position) => {
                    let inner = f(*position);
                    let bare = inner.as_column().is_some() || self.pieces.len() == 1;
                    if !bare {
                        out.push_text("(");
                    }
                    out.push(&inner);
                    if !bare {
                        out.push_text(")");
                    }
                }
            }
        }
        out
    }

    /// The SQL text, with `column` naming each position.
    pub fn render(&self, column: impl Fn(usize) -> String) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Column(position) => column(*position),
            })
            .collect()
    }

    pub fn in_parentheses(&self) -> Scalar {
        let mut out = Scalar::text("(");
        out.push(self);
        out.push_text(")");
        out
    }

    /// The operands and the operator (with its spaces), if the expression is a comparison.
    pub fn comparison(&self) -> Option<(Scalar, &'static str, Scalar)> {
        if self.has_hole() {
            return None;
        }
        let text = self.render(|_| HOLE.to_string());
        let text = without_parentheses(&text);
        let mut found = outside_parentheses(text).filter_map(|at| {
            let operator = COMPARISONS.iter().find(|operator| text[at..].starts_with(**operator))?;
            Some((at, *operator))
        });
        let (Some((at, operator)), None) = (found.next(), found.next()) else { return None };
        let (left, right) = (&text[..at], &text[at + operator.len()..]);
        let is_operand = |side: &str| !NO_OPERANDS.iter().any(|word| side.starts_with(word));
        let mut columns = self.columns();
        let mut operand = |side: &str| Scalar::with_holes(side, &mut columns);
        (is_operand(left) && is_operand(right)).then(|| (operand(left), operator, operand(right)))
    }

    fn with_holes(text: &str, columns: &mut impl Iterator<Item = usize>) -> Scalar {
        let mut scalar = Scalar::default();
        for (number, part) in text.split(HOLE).enumerate() {
            if number > 0 {
                columns.next().into_iter().for_each(|column| scalar.push_column(column));
            }
            scalar.push_text(part);
        }
        scalar
    }

    /// `self` if all of `guards` are true, otherwise NULL, without computing `self`. AND would compute `self` if a
    /// guard is NULL, and the planner may reorder its operands if they are conditions.
    pub fn guarded<'a>(&self, guards: impl DoubleEndedIterator<Item = &'a Scalar>) -> Scalar {
        guards.rev().fold(self.clone(), |inner, guard| {
            let mut out = Scalar::text("CASE WHEN (");
            out.push(guard);
            out.push_text(") THEN (");
            out.push(&inner);
            out.push_text(") END");
            out
        })
    }

    /// Whether [`Scalar::guarded`] has already put the expression behind this guard.
    pub fn is_guarded_by(&self, guard: &Scalar) -> bool {
        let text = |scalar: &Scalar| scalar.render(|position| format!("{HOLE}{position}{HOLE}"));
        !self.has_hole() && text(self).contains(&format!("CASE WHEN ({}) THEN", text(guard)))
    }

    /// Whether a text contains the placeholder for a column, as a literal can.
    fn has_hole(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(HOLE)))
    }
}

/// The placeholder for a column.
const HOLE: char = '\u{1}';

const COMPARISONS: [&str; 6] = [" = ", " <> ", " < ", " <= ", " > ", " >= "];

/// The beginnings of right-hand sides that are no plain operands.
const NO_OPERANDS: [&str; 3] = ["ANY ", "ALL ", "ROW("];

/// A text without the parentheses around the whole of it.
pub fn without_parentheses(text: &str) -> &str {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    match inner.filter(|_| outside_parentheses(text).next() == Some(text.len() - 1)) {
        Some(inner) => without_parentheses(inner),
        None => text,
    }
}

/// The byte positions of a text outside of parentheses and quotes, including closing ones.
fn outside_parentheses(text: &str) -> impl Iterator<Item = usize> {
    let (mut depth, mut quote) = (0, None);
    text.char_indices().filter_map(move |(at, c)| {
        match (quote, c) {
            (Some(open), _) => quote = Some(open).filter(|open| *open != c),
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            _ => {}
        }
        (depth == 0 && quote.is_none()).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitution_keeps_precedence() {
        let mut product = Scalar::column(0);
        product.push_text(" * ");
        product.push_column(1);
        let mut sum = Scalar::column(5);
        sum.push_text(" + 1");
        let out = product.substitute(|p| if p == 0 { sum.clone() } else { Scalar::column(7) });
        assert_eq!(out.render(|p| format!("c{p}")), "(c5 + 1) * c7");
    }

    /// `#` is a column.
    fn operands(text: &str) -> Option<String> {
        let mut columns = 0..;
        let (left, operator, right) = Scalar::with_holes(&text.replace('#', "\u{1}"), &mut columns).comparison()?;
        let [left, right] = [left, right].map(|side| side.render(|p| format!("c{p}")));
        Some(format!("{left}{operator}{right}"))
    }

    #[test]
    fn comparisons_have_two_operands() {
        for (text, expected) in [
            ("# = #", "c0 = c1"),
            ("((# = (10 / #)))", "c0 = (10 / c1)"),
            ("((# + 1) >= f(#, (# = 2)))", "(c0 + 1) >= f(c1, (c2 = 2))"),
            ("(CASE WHEN (# = 1) THEN # END < ' = '::text)", "CASE WHEN (c0 = 1) THEN c1 END < ' = '::text"),
        ] {
            assert_eq!(operands(text).as_deref(), Some(expected));
        }
        for text in [
            "((# = #) OR (# = #))",
            "(# = ANY (#))",
            "(NOT (# = #))",
            "(ROW(#, #) = ROW(#, #))",
            "(# ~ ' = '::text)",
            "(# OPERATOR(shop.=) #)",
            "f((# = #))",
            "#",
        ] {
            assert_eq!(operands(text), None, "{text}");
        }
    }

    #[test]
    fn a_literal_is_no_column() {
        let mut condition = Scalar::text("nullif('\u{1}', ");
        condition.push_column(0);
        condition.push_text(") = ");
        condition.push_column(1);
        assert_eq!(condition.comparison(), None);

        let mut guard = Scalar::column(0);
        guard.push_text(" > 0");
        let literal = Scalar::text("'CASE WHEN (\u{1}0\u{1} > 0) THEN'");
        assert!(!literal.is_guarded_by(&guard));
        assert!(Scalar::column(1).guarded([&guard].into_iter()).is_guarded_by(&guard));
    }
}
