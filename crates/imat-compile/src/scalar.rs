//! Scalar expressions: PostgreSQL text with holes where columns go.
//!
//! The compiler understands columns and nothing else of an expression, so every expression
//! that PostgreSQL has works here unchanged.

/// One expression over the columns of a row, by position.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Scalar {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text that is passed through. It comes from PostgreSQL's own deparser, or is a constant of the compiler's.
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

    /// `left = right`, the operator looked up under `search_path = pg_catalog`.
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

    /// The position, where the expression is a column and nothing else.
    pub fn as_column(&self) -> Option<usize> {
        match self.pieces.as_slice() {
            [Piece::Column(position)] => Some(*position),
            _ => None,
        }
    }

    /// The positions it reads, in order of appearance, repeats included.
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

    /// Each column replaced by an expression, in parentheses unless it is a column itself.
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

    /// `self`, computed only where all of `guards` are true, and else NULL. AND would compute it where a guard is NULL,
    /// and the planner may put its operands, where they are conditions, in any order.
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
}
