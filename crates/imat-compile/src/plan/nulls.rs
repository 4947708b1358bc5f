//! Finds expressions that are never NULL.

use crate::facts::{Column, hashes};
use crate::scalar::{Piece, Scalar};
use crate::view::{Source, View};

const NUMBERS: [u32; 4] = [hashes::INTEGER, hashes::REAL, hashes::DOUBLE, hashes::NUMERIC];

/// The number types, as casts to them are printed.
const CASTS: [&str; 6] = ["smallint", "integer", "bigint", "real", "double precision", "numeric"];

/// The characters of PostgreSQL's operators.
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";

/// Whether an expression over the scope row can be NULL. Columns have NOT NULL constraints, and arithmetic on numbers
/// returns NULL only for NULL. All other expressions count as nullable.
pub fn nullable(view: &View, scalar: &Scalar) -> bool {
    let plain = scalar.as_column().is_some();
    !scalar.pieces().iter().all(|piece| match piece {
        Piece::Column(position) => {
            column(view, *position).is_some_and(|column| column.not_null && (plain || is_number(column)))
        }
        Piece::Text(text) => is_arithmetic(text),
    })
}

fn is_number(column: &Column) -> bool {
    column.hash.is_some_and(|hash| NUMBERS.contains(&hash))
}

/// The table's column at a position of the scope row.
fn column(view: &View, position: usize) -> Option<&Column> {
    let offsets = view.offsets();
    let input = offsets.iter().rposition(|&offset| offset <= position)?;
    match &view.inputs.get(input)?.source {
        Source::Table(table) => table.columns.get(position - offsets[input]),
        Source::Query { .. } => None,
    }
}

/// Whether a piece of an expression consists of numbers, parentheses, casts to number types, and the operators `+ - * /
/// %`. These are PostgreSQL's own, since any other operator is printed with its schema.
fn is_arithmetic(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after = match first {
            '(' | ')' => Some(&rest[1..]),
            '+' | '-' | '*' | '/' | '%' => {
                Some(&rest[1..]).filter(|after| !after.starts_with(|c| OPERATOR.contains(c)))
            }
            '0'..='9' => Some(number(rest)),
            '\'' => number(rest[1..].trim_start_matches('-')).strip_prefix("'::").and_then(number_type),
            ':' => rest.strip_prefix("::").and_then(number_type),
            _ => None,
        };
        let Some(after) = after else { return false };
        rest = after.trim_start();
    }
    true
}

/// The text after a number's digits.
fn number(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
}

/// The text after the name of a number type.
fn number_type(text: &str) -> Option<&str> {
    let after = CASTS.iter().find_map(|name| text.strip_prefix(name))?;
    (!after.starts_with(|c: char| c.is_alphanumeric() || c == '_')).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::is_arithmetic;

    #[test]
    fn arithmetic() {
        for text in
            ["", " * ", " % (1000)::bigint)", "(- ", "((100 - ", " * 1.5", "('-1'::integer * ", "::double precision / "]
        {
            assert!(is_arithmetic(text), "{text}");
        }
    }

    #[test]
    fn what_may_be_null() {
        for text in [
            "abs(",
            "NULLIF(",
            " OPERATOR(public.+) ",
            " || ",
            "::public.number",
            "::integers",
            "::integer[]",
            "NULL::integer",
            "'x'::integer",
            "'1'::text",
            "'1'",
            " *<> ",
            " +- ",
            ", ",
            " ^ ",
            "\"",
        ] {
            assert!(!is_arithmetic(text), "{text}");
        }
    }
}
