//! The small part of SQL's expressions that the interpreter understands, with SQL's
//! three-valued logic.
//!
//! ```text
//! expr  = and {OR and}       and  = not {AND not}      not = [NOT] is
//! is    = cmp [IS [NOT] (NULL | TRUE | DISTINCT FROM cmp)]
//! cmp   = sum [(= | <> | <) sum]                       sum = atom {(+ | - | *) atom}
//! atom  = #n | integer | 'text' | NULL | true | false | coalesce(expr, expr) | (expr)
//! ```
//! `sum` is left to right, without precedence: write parentheses.

use super::Value;
use crate::scalar::Scalar;

#[derive(Clone, Debug)]
pub enum Expr {
    Column(usize),
    Constant(Value),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    Binary(Operation, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug)]
pub enum Operation {
    And,
    Or,
    Equal,
    Less,
    Add,
    Subtract,
    Multiply,
    Same,
    Coalesce,
}

impl Expr {
    /// Whether a predicate is true, that is neither false nor NULL.
    pub fn holds(&self, row: &[Value]) -> bool {
        self.eval(row) == Value::Bool(true)
    }

    pub fn eval(&self, row: &[Value]) -> Value {
        match self {
            Expr::Column(position) => row[*position].clone(),
            Expr::Constant(value) => value.clone(),
            Expr::IsNull(inner) => Value::Bool(inner.eval(row) == Value::Null),
            Expr::Not(inner) => match inner.eval(row) {
                Value::Bool(truth) => Value::Bool(!truth),
                _ => Value::Null,
            },
            Expr::Binary(operation, left, right) => operation.apply(left.eval(row), right.eval(row)),
        }
    }
}

impl Operation {
    fn apply(self, left: Value, right: Value) -> Value {
        use Operation::*;
        match (self, left, right) {
            (Same, l, r) => Value::Bool(l == r),
            (Coalesce, Value::Null, r) => r,
            (Coalesce, l, _) => l,
            (And, Value::Bool(false), _) | (And, _, Value::Bool(false)) => Value::Bool(false),
            (And, Value::Bool(true), Value::Bool(true)) => Value::Bool(true),
            (Or, Value::Bool(true), _) | (Or, _, Value::Bool(true)) => Value::Bool(true),
            (Or, Value::Bool(false), Value::Bool(false)) => Value::Bool(false),
            (And | Or, _, _) | (_, Value::Null, _) | (_, _, Value::Null) => Value::Null,
            (Equal, l, r) => Value::Bool(l == r),
            (Less, l, r) => Value::Bool(l < r),
            (Add, Value::Int(l), Value::Int(r)) => Value::Int(l.wrapping_add(r)),
            (Subtract, Value::Int(l), Value::Int(r)) => Value::Int(l.wrapping_sub(r)),
            (Multiply, Value::Int(l), Value::Int(r)) => Value::Int(l.wrapping_mul(r)),
            // PostgreSQL would reject such a view. Here any function of the row will do.
            (Add | Subtract | Multiply, _, _) => Value::Null,
        }
    }
}

/// Reads a scalar.
pub fn parse(scalar: &Scalar) -> Expr {
    let mut parser = Parser::new(scalar);
    let expr = parser.or();
    assert!(parser.at_end(), "trailing text in {}", parser.text);
    expr
}

/// Reads an aggregate call: its name and its argument, `None` for `*`.
pub fn parse_call(scalar: &Scalar) -> (String, Option<Expr>) {
    let mut parser = Parser::new(scalar);
    let name = parser.word();
    parser.expect("(");
    let arg = if parser.eat("*") { None } else { Some(parser.or()) };
    parser.expect(")");
    assert!(parser.at_end(), "trailing text in {}", parser.text);
    (name, arg)
}

struct Parser {
    text: String,
    at: usize,
}

impl Parser {
    fn new(scalar: &Scalar) -> Self {
        Parser { text: scalar.render(|position| format!("#{position}")), at: 0 }
    }

    fn or(&mut self) -> Expr {
        self.chain(&[("OR", Operation::Or)], Self::and)
    }

    fn and(&mut self) -> Expr {
        self.chain(&[("AND", Operation::And)], Self::not)
    }

    fn not(&mut self) -> Expr {
        if self.eat("NOT") { Expr::Not(Box::new(self.is())) } else { self.is() }
    }

    fn is(&mut self) -> Expr {
        let left = self.comparison();
        if !self.eat("IS") {
            return left;
        }
        let negated = self.eat("NOT");
        let (test, truth_means) = if self.eat("NULL") {
            (Expr::IsNull(Box::new(left)), true)
        } else if self.eat("TRUE") {
            let truth = Expr::Constant(Value::Bool(true));
            (binary(Operation::Same, left, truth), true)
        } else {
            self.expect("DISTINCT");
            self.expect("FROM");
            let right = self.comparison();
            (binary(Operation::Same, left, right), false)
        };
        if negated == truth_means { Expr::Not(Box::new(test)) } else { test }
    }

    fn comparison(&mut self) -> Expr {
        let left = self.sum();
        if self.eat("<>") {
            let right = self.sum();
            Expr::Not(Box::new(binary(Operation::Equal, left, right)))
        } else if self.eat("=") {
            let right = self.sum();
            binary(Operation::Equal, left, right)
        } else if self.eat("<") {
            let right = self.sum();
            binary(Operation::Less, left, right)
        } else {
            left
        }
    }

    fn sum(&mut self) -> Expr {
        let operations = [("+", Operation::Add), ("-", Operation::Subtract), ("*", Operation::Multiply)];
        self.chain(&operations, Self::atom)
    }

    fn atom(&mut self) -> Expr {
        if self.eat("(") {
            let inner = self.or();
            self.expect(")");
            return inner;
        }
        if self.eat("#") {
            return Expr::Column(self.digits());
        }
        if self.eat("'") {
            let end = self.rest().find('\'').expect("an unterminated string");
            let text = self.rest()[..end].to_owned();
            self.at += end + 1;
            return Expr::Constant(Value::Text(text));
        }
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return Expr::Constant(Value::Int(self.digits() as i64));
        }
        match self.word().as_str() {
            "NULL" => Expr::Constant(Value::Null),
            "true" => Expr::Constant(Value::Bool(true)),
            "false" => Expr::Constant(Value::Bool(false)),
            "coalesce" => {
                self.expect("(");
                let first = self.or();
                self.expect(",");
                let second = self.or();
                self.expect(")");
                binary(Operation::Coalesce, first, second)
            }
            other => panic!("no such expression: {other:?} in {}", self.text),
        }
    }

    /// Operands with infix operators between them, grouped to the left.
    fn chain(&mut self, operations: &[(&str, Operation)], operand: fn(&mut Self) -> Expr) -> Expr {
        let mut left = operand(self);
        while let Some((_, operation)) = operations.iter().find(|(symbol, _)| self.eat(symbol)) {
            left = binary(*operation, left, operand(self));
        }
        left
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn at_end(&self) -> bool {
        self.rest().trim().is_empty()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Consumes `symbol` if it is next; a word must match as a whole.
    fn eat(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let Some(after) = self.rest().strip_prefix(symbol) else {
            return false;
        };
        let is_word = symbol.ends_with(char::is_alphabetic);
        if is_word && after.starts_with(char::is_alphabetic) {
            return false;
        }
        self.at += symbol.len();
        true
    }

    fn expect(&mut self, symbol: &str) {
        assert!(self.eat(symbol), "no {symbol} at {} of {}", self.at, self.text);
    }

    fn word(&mut self) -> String {
        self.skip_space();
        self.take_while(char::is_alphabetic).to_owned()
    }

    fn digits(&mut self) -> usize {
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits.parse().expect("a number")
    }

    fn take_while(&mut self, wanted: fn(char) -> bool) -> &str {
        let from = self.at;
        let length = self.rest().find(|c| !wanted(c));
        self.at += length.unwrap_or(self.rest().len());
        &self.text[from..self.at]
    }
}

fn binary(operation: Operation, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operation, Box::new(left), Box::new(right))
}
