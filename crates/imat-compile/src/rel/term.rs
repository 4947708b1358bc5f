//! The normal form of linear relations: a sum of products.
//!
//! Filter, Project, Repeat, Join, Union and Negate are linear, so a relation of these over tables is a sum of signed
//! products of leaves. Each product is one SELECT.

use std::ops::Range;

use super::Rel;
use crate::error::Unsupported;
use crate::rel::ops::Scan;
use crate::scalar::Scalar;

/// One signed product. Expressions are over the columns of all leaves, one leaf after the
/// other: the *product row*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub negative: bool,
    pub leaves: Vec<Scan>,
    pub filter: Vec<Scalar>,
    /// The columns of the product row by which it is repeated.
    pub repeats: Vec<usize>,
    pub fences: Vec<Fence>,
    /// The relation's columns, over the product row.
    pub columns: Vec<Scalar>,
}

/// A fence: conditions above it must not be computed for rows that it filters out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The columns of the product row below the fence.
    columns: Range<usize>,
    guards: Vec<Scalar>,
}

impl Fence {
    /// Whether a condition depends on rows below the fence. An equality of two columns may be computed for any row.
    fn concerns(&self, condition: &Scalar) -> bool {
        !is_equality(condition) && condition.columns().any(|column| self.columns.contains(&column))
    }
}

/// Whether a repeated row occurs at all.
fn is_positive(count: usize) -> Scalar {
    let mut condition = Scalar::column(count);
    condition.push_text(" > 0");
    condition
}

/// Whether a condition is an equality of two columns by PostgreSQL's own operator.
fn is_equality(condition: &Scalar) -> bool {
    let mut text = condition.render(|_| "#".to_owned());
    while let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        text = inner.to_owned();
    }
    text == "# = #"
}

impl Term {
    /// The terms whose sum is `rel`.
    pub fn all(rel: &Rel) -> Result<Vec<Term>, Unsupported> {
        match rel {
            Rel::Scan(scan) => Ok(vec![Term::leaf(scan)]),
            Rel::Values(values) => Ok(values.rows.iter().map(|row| Term::row(row)).collect()),
            Rel::Union(union) => Ok(union.inputs.iter().map(Term::all).collect::<Result<Vec<_>, _>>()?.concat()),
            Rel::Negate(negate) => Term::each(&negate.input, Term::negated),
            Rel::Filter(filter) => Term::each(&filter.input, |t| match filter.fence {
                true => t.filtered(&filter.conjuncts).fenced(),
                false => t.filtered(&filter.conjuncts),
            }),
            Rel::Project(project) => Term::each(&project.input, |t| t.projected(&project.outputs)),
            Rel::Repeat(repeat) => Term::all(&repeat.input)?.into_iter().map(|t| t.repeated(repeat.count)).collect(),
            Rel::Join(join) => {
                let right = Term::all(&join.right)?;
                Ok(Term::all(&join.left)?
                    .iter()
                    .flat_map(|l| right.iter().map(|r| l.times(r)))
                    .map(|product| product.filtered(std::slice::from_ref(&join.on)))
                    .collect())
            }
            Rel::Distinct(_) => Err(Unsupported::new("DISTINCT")),
            Rel::Aggregate(_) => Err(Unsupported::new("GROUP BY")),
        }
    }

    /// The width of the product row.
    pub fn width(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.width).sum()
    }

    /// An expression over the relation's columns, rewritten over the product row.
    pub fn resolve(&self, scalar: &Scalar) -> Scalar {
        scalar.substitute(|position| self.columns[position].clone())
    }

    /// The conditions that are true for every row of the term.
    pub fn guards(&self) -> Vec<Scalar> {
        self.filter.iter().cloned().chain(self.repeats.iter().map(|&count| is_positive(count))).collect()
    }

    /// The term as a relation.
    pub fn to_rel(&self) -> Rel {
        let product =
            self.leaves.iter().map(|leaf| Rel::Scan(leaf.clone())).reduce(Rel::cross).unwrap_or_else(Rel::unit);
        let repeated = self.repeats.iter().copied().fold(product, Rel::repeat);
        let rel = self.filter.iter().cloned().fold(repeated, Rel::filter).project(self.columns.clone());
        if self.negative { rel.negate() } else { rel }
    }

    fn each(input: &Rel, f: impl Fn(Term) -> Term) -> Result<Vec<Term>, Unsupported> {
        Ok(Term::all(input)?.into_iter().map(f).collect())
    }

    fn leaf(scan: &Scan) -> Term {
        Term {
            negative: false,
            leaves: vec![scan.clone()],
            filter: Vec::new(),
            repeats: Vec::new(),
            fences: Vec::new(),
            columns: (0..scan.width).map(Scalar::column).collect(),
        }
    }

    fn row(constants: &[Scalar]) -> Term {
        Term {
            negative: false,
            leaves: Vec::new(),
            filter: Vec::new(),
            repeats: Vec::new(),
            fences: Vec::new(),
            columns: constants.to_vec(),
        }
    }

    fn negated(self) -> Term {
        Term { negative: !self.negative, ..self }
    }

    fn filtered(mut self, conjuncts: &[Scalar]) -> Term {
        let always = Scalar::text("true");
        for conjunct in conjuncts.iter().filter(|conjunct| **conjunct != always) {
            let conjunct = self.resolve(conjunct);
            let fences = self.fences.iter().filter(|fence| fence.concerns(&conjunct));
            let guarded = conjunct.guarded(fences.flat_map(|fence| &fence.guards));
            self.filter.push(guarded);
        }
        self
    }

    /// Repeats the term. The count must be a plain column, since an expression could fail for other rows.
    fn repeated(mut self, count: usize) -> Result<Term, Unsupported> {
        let column = self.columns[count].as_column();
        self.repeats.push(column.ok_or_else(|| Unsupported::new("a function in FROM"))?);
        Ok(self)
    }

    fn fenced(mut self) -> Term {
        let guards = self.guards();
        self.fences = match guards.is_empty() {
            true => Vec::new(),
            false => vec![Fence { columns: 0..self.width(), guards }],
        };
        self
    }

    fn projected(mut self, outputs: &[Scalar]) -> Term {
        self.columns = outputs.iter().map(|output| self.resolve(output)).collect();
        self
    }

    /// The product of two terms: the signs are multiplied, and the right one's columns are shifted.
    fn times(&self, right: &Term) -> Term {
        let base = self.width();
        let moved = |scalar: &Scalar| scalar.map_columns(|position| base + position);
        let mut product = self.clone();
        product.negative ^= right.negative;
        product.leaves.extend_from_slice(&right.leaves);
        product.filter.extend(right.filter.iter().map(moved));
        product.repeats.extend(right.repeats.iter().map(|count| base + count));
        product.columns.extend(right.columns.iter().map(moved));
        product.fences.extend(right.fences.iter().map(|fence| Fence {
            columns: base + fence.columns.start..base + fence.columns.end,
            guards: fence.guards.iter().map(moved).collect(),
        }));
        product
    }
}
