//! Resolves names to columns of the scope row.

use std::ops::Range;

use squawk_syntax::SyntaxKind::{self, *};
use squawk_syntax::SyntaxNode;

use super::{refuse, tree};
use crate::error::Unsupported;
use crate::scalar::Scalar;
use crate::view::{Input, Source};

/// The inputs of one query, in order.
#[derive(Default)]
pub(super) struct Scope {
    pub inputs: Vec<Input>,
    /// The aliases of functions in FROM that only repeat rows.
    pub series: Vec<String>,
    /// The columns that joins merged by USING.
    pub merged: Vec<String>,
    /// See [`crate::view::View::implied`].
    pub implied: Vec<Scalar>,
}

const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Keywords that are function calls without parentheses. They have no entry in pg_depend, and their values change
/// without a change of a table.
const VALUE_KEYWORDS: [SyntaxKind; 13] = [
    CURRENT_CATALOG_KW,
    CURRENT_DATE_KW,
    CURRENT_ROLE_KW,
    CURRENT_SCHEMA_KW,
    CURRENT_TIME_KW,
    CURRENT_TIMESTAMP_KW,
    CURRENT_USER_KW,
    LOCALTIME_KW,
    LOCALTIMESTAMP_KW,
    SESSION_USER_KW,
    SYSTEM_USER_KW,
    USER_KW,
    GROUPING_KW,
];

/// Refuses a name that is such a keyword.
pub(super) fn refuse_keyword(node: &SyntaxNode) -> Result<(), Unsupported> {
    match tree::tokens(node).find(|token| VALUE_KEYWORDS.contains(&token.kind())) {
        Some(token) => Err(Unsupported::new(token.text().to_uppercase())),
        None => Ok(()),
    }
}

impl Scope {
    pub fn width(&self) -> usize {
        self.inputs.iter().map(|input| input.columns.len()).sum()
    }

    /// The position of the column that the node names; `None` if it selects a field of a composite value.
    pub fn column(&self, node: &SyntaxNode) -> Result<Option<usize>, Unsupported> {
        match node.kind() {
            NAME_REF => {
                refuse_keyword(node)?;
                self.bare(&tree::name(node)?).map(Some)
            }
            FIELD_EXPR => self.qualified(node),
            _ => Ok(None),
        }
    }

    fn qualified(&self, node: &SyntaxNode) -> Result<Option<usize>, Unsupported> {
        let base = node.first_child().ok_or_else(|| refuse::construct(node))?;
        if tree::tokens(node).any(|token| token.kind() == STAR) {
            return Err(Unsupported::new("a whole-row reference"));
        }
        match base.kind() {
            NAME_REF => {}
            FIELD_EXPR => return Err(Unsupported::new("a column qualified by a schema")),
            _ => return Ok(None),
        }
        let field = node.last_child().ok_or_else(|| refuse::construct(node))?;
        let (alias, column) = (tree::name(&base)?, tree::name(&field)?);
        if self.series.contains(&alias) {
            return Err(Unsupported::new("a function in FROM"));
        }
        let mut inputs = self.inputs.iter().enumerate().filter(|(_, i)| i.alias == alias);
        let (Some((index, input)), None) = (inputs.next(), inputs.next()) else {
            return Err(Unsupported::new("a column of an outer query"));
        };
        Ok(Some(self.range(index).start + position(input, &column)?))
    }

    /// PostgreSQL 16 and later don't qualify columns if there is only one input. With several inputs, the only
    /// unqualified name is that of a USING column that merges two different types.
    fn bare(&self, name: &str) -> Result<usize, Unsupported> {
        match self.inputs.as_slice() {
            [input] => position(input, name),
            _ if self.merged.iter().any(|merged| merged == name) => {
                Err(Unsupported::new("USING over columns of different types"))
            }
            _ => Err(Unsupported::new("an unqualified column")),
        }
    }

    /// The positions of an input's columns.
    pub fn range(&self, index: usize) -> Range<usize> {
        let start = self.inputs[..index].iter().map(|input| input.columns.len()).sum();
        start..start + self.inputs[index].columns.len()
    }

    /// The input that a column belongs to, and its position there.
    pub fn owner(&self, column: usize) -> Option<(usize, usize)> {
        (0..self.inputs.len()).find_map(|index| {
            let range = self.range(index);
            range.contains(&column).then(|| (index, column - range.start))
        })
    }

    /// The name of the column at a position.
    pub fn name(&self, column: usize) -> Option<&str> {
        let (input, index) = self.owner(column)?;
        Some(&self.inputs[input].columns[index])
    }
}

fn position(input: &Input, name: &str) -> Result<usize, Unsupported> {
    let mut found = input.columns.iter().enumerate().filter(|(_, column)| *column == name);
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(Unsupported::new("two columns of the same name")),
        (None, _) if name == input.alias => Err(Unsupported::new("a whole-row reference")),
        (None, _) if matches!(input.source, Source::Table(_)) && SYSTEM_COLUMNS.contains(&name) => {
            Err(Unsupported::new(format!("the system column {name}")))
        }
        (None, _) => Err(Unsupported::new("a column that the catalog does not know")),
    }
}
