//! Random plans over random databases that are small enough for many collisions: few values, many NULLs, duplicates,
//! the same table in several places, several changed tables.

use imat_compile::rel::ops::Union;
use imat_compile::rel::{Image, Rel, TableSet};
use imat_compile::scalar::Scalar;
use imat_compile::zset::{Database, Row, Stored, Value, ZSet};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The number of columns of each table.
const WIDTHS: [usize; 3] = [1, 2, 3];

pub struct Case {
    pub view: Rel,
    pub db: Database,
    pub changed: TableSet,
}

impl Case {
    pub fn new(seed: u64) -> Case {
        let mut generator = Generator(ChaCha8Rng::seed_from_u64(seed));
        let (db, changed) = generator.database();
        let view = generator.plan(3);
        Case { view, db, changed }
    }
}

struct Generator(ChaCha8Rng);

impl Generator {
    fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn database(&mut self) -> (Database, TableSet) {
        let changed = (0..WIDTHS.len()).filter(|_| self.chance(70)).collect();
        let tables = WIDTHS.iter().enumerate();
        let stored = tables.map(|(i, width)| self.table(*width, TableSet::contains(&changed, &i)));
        (Database(stored.collect()), changed)
    }

    /// Rows, some of which the change removes (one copy or all), and rows that it adds.
    fn table(&mut self, width: usize, changes: bool) -> Stored {
        let rows = self.below(5);
        let old: ZSet = (0..rows).map(|_| (self.row(width), 1)).collect();
        let mut delta = ZSet::default();
        if changes {
            for (row, weight) in old.iter() {
                if self.chance(40) {
                    let copies = 1 + self.below(weight as usize) as i64;
                    delta.insert(row.clone(), -copies);
                }
            }
            for _ in 0..self.below(4) {
                delta.insert(self.row(width), 1);
            }
        }
        Stored { old, delta }
    }

    fn row(&mut self, width: usize) -> Row {
        (0..width).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Value {
        match self.below(5) {
            0 => Value::Null,
            1 => Value::Text("a".to_owned()),
            n => Value::Int(n as i64 - 2),
        }
    }

    fn plan(&mut self, depth: usize) -> Rel {
        if depth == 0 {
            return self.leaf();
        }
        match self.below(14) {
            0 => self.leaf(),
            1 | 2 => {
                let input = self.plan(depth - 1);
                let predicate = self.predicate(input.width());
                input.filter(predicate)
            }
            3 | 4 => {
                let input = self.plan(depth - 1);
                let outputs = (0..1 + self.below(3)).map(|_| self.scalar(input.width()));
                let outputs = outputs.collect();
                input.project(outputs)
            }
            5..=8 => {
                let left = self.plan(depth - 1);
                let right_depth = self.below(depth);
                let right = self.plan(right_depth);
                let on = self.join_condition(left.width(), right.width());
                left.join(right, on)
            }
            9 => self.union(depth),
            10 => self.plan(depth - 1).negate(),
            11 => self.plan(depth - 1).distinct(),
            12 => self.repeated(depth),
            _ => self.aggregate(depth),
        }
    }

    fn leaf(&mut self) -> Rel {
        match self.below(20) {
            0 => Rel::empty(1),
            1 => Rel::unit(),
            n => {
                let table = n % WIDTHS.len();
                Rel::scan(table, Image::New, WIDTHS[table])
            }
        }
    }

    fn repeated(&mut self, depth: usize) -> Rel {
        let input = self.plan(depth - 1);
        match input.width() {
            0 => input,
            width => input.repeat(self.below(width)),
        }
    }

    /// The inputs, cut or padded to the width of the first.
    fn union(&mut self, depth: usize) -> Rel {
        let first = self.plan(depth - 1);
        let width = first.width();
        let mut inputs = vec![first];
        for _ in 0..1 + self.below(2) {
            let input = self.plan(depth - 1);
            let outputs = (0..width).map(|i| match input.width() {
                0 => Scalar::text("NULL"),
                n => Scalar::column(i % n),
            });
            let outputs = outputs.collect();
            let input = input.project(outputs);
            inputs.push(if self.chance(30) { input.negate() } else { input });
        }
        Rel::Union(Union { inputs })
    }

    fn aggregate(&mut self, depth: usize) -> Rel {
        let input = self.plan(depth - 1);
        let width = input.width();
        let keys = (0..self.below(3)).map(|_| self.scalar(width)).collect();
        let calls = (0..1 + self.below(2)).map(|_| self.call(width)).collect();
        input.aggregate(keys, calls)
    }

    fn call(&mut self, width: usize) -> Scalar {
        let name = ["count", "sum", "min", "max"][self.below(4)];
        if width == 0 || self.chance(20) {
            return Scalar::text("count(*)");
        }
        let argument = self.scalar(width);
        fill(&format!("{name}($)"), &[argument])
    }

    fn column(&mut self, width: usize) -> Scalar {
        match width {
            0 => Scalar::text("1"),
            width => Scalar::column(self.below(width)),
        }
    }

    fn scalar(&mut self, width: usize) -> Scalar {
        let columns = [self.column(width), self.column(width)];
        let templates = ["$", "$", "$", "$ + $", "$ - 1", "coalesce($, 0)", "'a'", "NULL"];
        fill(templates[self.below(templates.len())], &columns)
    }

    fn predicate(&mut self, width: usize) -> Scalar {
        let columns = [self.column(width), self.column(width)];
        let templates = [
            "$ = $",
            "$ < $",
            "$ <> 1",
            "$ IS NULL",
            "$ IS NOT NULL",
            "NOT ($ = 0) OR $ = 1",
            "($ = $) IS NOT TRUE",
            "true",
        ];
        fill(templates[self.below(templates.len())], &columns)
    }

    /// Usually an equality between the two sides.
    fn join_condition(&mut self, left: usize, right: usize) -> Scalar {
        if left == 0 || right == 0 || self.chance(20) {
            return self.predicate(left + right);
        }
        let r = Scalar::column(left + self.below(right));
        let l = Scalar::column(self.below(left));
        fill("$ = $", &[l, r])
    }
}

/// The template with each `$` replaced by the next of `parts`.
fn fill(template: &str, parts: &[Scalar]) -> Scalar {
    let mut hole = Scalar::default();
    for (i, text) in template.split('$').enumerate() {
        if i > 0 {
            hole.push_column(i - 1);
        }
        hole.push_text(text);
    }
    hole.substitute(|i| parts[i].clone())
}
