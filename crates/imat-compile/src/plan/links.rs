//! The equality conditions of a join.

use crate::facts::{Table, hashes};
use crate::lower::Core;
use crate::rel::ops::Scan;
use crate::rel::term::Term;
use crate::scalar::Scalar;

/// The equality conditions of a term.
pub(crate) struct Links<'a> {
    pub leaves: &'a [Scan],
    pub tables: &'a [Table],
    pub equal: Vec<(End, End)>,
}

/// A column of a leaf, and the expression over it that equals another leaf's.
pub(crate) struct End {
    pub leaf: usize,
    pub column: usize,
    pub value: Scalar,
}

impl<'a> Links<'a> {
    pub fn new(term: &'a Term, core: &'a Core) -> Self {
        let hash = |position: usize| {
            let (leaf, column) = locate(&term.leaves, position);
            core.tables[term.leaves[leaf].table].columns[column].hash
        };
        let end = |(position, value)| {
            let (leaf, column) = locate(&term.leaves, position);
            End { leaf, column, value }
        };
        let pairs = term.filter.iter().filter_map(|conjunct| equated(conjunct, &hash));
        let equal = pairs.map(|[left, right]| (end(left), end(right)));
        let equal = equal.filter(|(left, right)| left.leaf != right.leaf).collect();
        Links { leaves: &term.leaves, tables: &core.tables, equal }
    }

    /// The pairs of ends, one of each leaf, that are equated.
    pub fn between(&self, one: usize, other: usize) -> Vec<(&End, &End)> {
        let pairs = self.equal.iter().filter_map(|(left, right)| match (left.leaf, right.leaf) {
            leaves if leaves == (one, other) => Some((left, right)),
            leaves if leaves == (other, one) => Some((right, left)),
            _ => None,
        });
        pairs.collect()
    }

    /// The attribute number of an end's column.
    pub fn number(&self, end: &End, core: &Core) -> i16 {
        core.tables[self.leaves[end.leaf].table].columns[end.column].number
    }

    /// Whether another leaf is joined to this one by this one's primary key, so that usually many rows there match one
    /// row here.
    /// **Invariant:** all sessions that write one of the tables at the same time get the same answer.
    pub fn is_one(&self, leaf: usize) -> bool {
        let gives_key = |other| {
            let given = self.given(leaf, &[other], |_| true);
            self.table(leaf).has_key_in(|number| given.contains(number))
        };
        (0..self.leaves.len()).any(gives_key)
    }

    /// Whether each row of a leaf is joined to at most one row of every other leaf: each leaf is found by its primary
    /// key from leaves found before.
    pub fn is_many_to_one(&self, leaf: usize) -> bool {
        // After a cast, several values may be equal.
        let plain = |end: &End| end.value.as_column().is_some();
        let mut found = vec![leaf];
        let next = |found: &[usize]| {
            (0..self.leaves.len()).find(|&leaf| {
                let given = self.given(leaf, found, plain);
                !found.contains(&leaf) && self.table(leaf).is_found_by(|number| given.contains(number))
            })
        };
        while let Some(next) = next(&found) {
            found.push(next);
        }
        found.len() == self.leaves.len()
    }

    fn table(&self, leaf: usize) -> &Table {
        &self.tables[self.leaves[leaf].table]
    }

    /// The attribute numbers of a leaf's columns that these other leaves equate with theirs, at ends for which `such`
    /// is true.
    fn given(&self, leaf: usize, others: &[usize], such: impl Fn(&End) -> bool) -> Vec<i16> {
        let ends = others.iter().flat_map(|&other| self.between(leaf, other)).map(|(end, _)| end);
        ends.filter(|end| such(end)).map(|end| self.table(leaf).columns[end.column].number).collect()
    }

    /// Each leaf's parent in a tree in which every leaf that can be reached by primary keys is reached so.
    pub fn parents(&self, root: usize) -> Vec<Option<usize>> {
        let leaves = self.leaves.len();
        let mut parents = vec![None; leaves];
        let mut reached = vec![root];
        while let Some(free) = (0..leaves).find(|leaf| !reached.contains(leaf)) {
            let linked = reached.iter().find_map(|&parent| {
                let mut free = (0..leaves).filter(|leaf| !reached.contains(leaf));
                free.find(|&leaf| !self.between(leaf, parent).is_empty()).map(|leaf| (leaf, parent))
            });
            let (leaf, parent) = linked.unwrap_or((free, root));
            parents[leaf] = Some(parent);
            reached.push(leaf);
        }
        parents
    }
}

/// The two columns that a conjunct equates, each with the equated expression, if equal values have equal hashes.
/// PostgreSQL prints its own `=` without a schema.
fn equated(conjunct: &Scalar, hash: &dyn Fn(usize) -> Option<u32>) -> Option<[(usize, Scalar); 2]> {
    const HOLE: &str = "\u{1}";
    let text = conjunct.render(|_| HOLE.to_owned());
    let bare = |text: &str| text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).map(str::to_owned);
    let mut spellings = std::iter::successors(Some(text), |text| bare(text));
    let mut columns = conjunct.columns();
    let (l, r) = (columns.next()?, columns.next()?);
    let side = |text: &str, position: usize| {
        let column = hash(position)?;
        let cast = text.strip_prefix('(').and_then(|text| text.strip_prefix(HOLE)?.strip_prefix(")::"));
        match cast {
            None if text == HOLE => Some((column, Scalar::column(position))),
            None => None,
            Some(ty) => {
                let mut cast = Scalar::text("(");
                cast.push_column(position);
                cast.push_text(&format!(")::{ty}"));
                Some((hash_of(column, ty)?, cast))
            }
        }
    };
    spellings.find_map(|text| {
        let (left, right) = text.split_once(" = ")?;
        let ((kind, left), (other, right)) = (side(left, l)?, side(right, r)?);
        (kind == other).then_some([(l, left), (r, right)])
    })
}

/// [`crate::facts::Column::hash`] of a type to which PostgreSQL casts a column with this hash for a comparison. A cast
/// that can fail makes no key, since rows are locked that the query's filter may exclude.
fn hash_of(column: u32, ty: &str) -> Option<u32> {
    let text = 25;
    // User-defined types have higher OIDs. Their output functions can fail.
    let is_builtin = column < 16_384;
    match ty {
        "bigint" if column == hashes::INTEGER => Some(hashes::INTEGER),
        "numeric" if matches!(column, hashes::INTEGER | hashes::NUMERIC) => Some(hashes::NUMERIC),
        "text" if is_builtin => Some(text),
        _ => None,
    }
}

/// The leaf to which a column of the product row belongs, and its position there.
pub(crate) fn locate(leaves: &[Scan], position: usize) -> (usize, usize) {
    let mut column = position;
    for (leaf, scan) in leaves.iter().enumerate() {
        if column < scan.width {
            return (leaf, column);
        }
        column -= scan.width;
    }
    unreachable!("column {position} is beyond the product row")
}
