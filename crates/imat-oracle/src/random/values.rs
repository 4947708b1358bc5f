//! Column types and their values: few distinct ones, many NULLs, and the special values of each type.

use crate::dice::Dice;
use crate::pg::literal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ty {
    Int,
    Big,
    /// numeric(10,2): every value has the same scale
    Money,
    /// numeric without a scale: equal values can have different scales
    Num,
    Text,
    Bool,
    Date,
    Ts,
    /// timestamp with time zone
    Tz,
    Float,
    /// An array or a range that a query makes; no column has one.
    List,
}

pub const ALL: [Ty; 11] =
    [Ty::Int, Ty::Big, Ty::Money, Ty::Num, Ty::Text, Ty::Text, Ty::Bool, Ty::Date, Ty::Ts, Ty::Tz, Ty::Float];

impl Ty {
    pub fn sql(self) -> &'static str {
        match self {
            Ty::Int => "int",
            Ty::Big => "bigint",
            Ty::Money => "numeric(10,2)",
            Ty::Num => "numeric",
            Ty::Text => "text",
            Ty::Bool => "boolean",
            Ty::Date => "date",
            Ty::Ts => "timestamp",
            Ty::Tz => "timestamptz",
            Ty::Float => "float8",
            Ty::List => "int[]",
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self, Ty::Int | Ty::Big | Ty::Money | Ty::Num | Ty::Float)
    }
}

/// The text of a random value, for COPY and for literals.
///
/// `wild` columns also get NaN, infinities and numbers that absorb others. Wild floats are all positive: a sum of 1e17
/// and -1e17 would depend on the order of summation.
pub fn value(dice: &mut Dice, ty: Ty, wild: bool) -> String {
    match ty {
        Ty::Int => dice.range(-3, 9).to_string(),
        Ty::Big if dice.chance(15) => (3_000_000_000 + dice.range(0, 3)).to_string(),
        Ty::Big => dice.range(-2, 6).to_string(),
        Ty::Money => format!("{}.{:02}", dice.range(-3, 12), *dice.pick(&[0, 5, 25, 50, 99])),
        Ty::Num if wild && dice.chance(8) => {
            dice.pick(&["NaN", "12345678901234567890", "0.000000000000000000001"]).to_string()
        }
        Ty::Num => {
            let whole = dice.range(-2, 8);
            let fraction = dice.pick(&["", ".0", ".5", ".50", ".125", ".333333"]);
            format!("{whole}{fraction}")
        }
        Ty::Text => {
            dice.pick(&["", "a", "A", "b", "bb", "Bb", "ünï", "it's", "NULL", "z z", "0", "7", "12"]).to_string()
        }
        Ty::Bool => dice.pick(&["t", "f"]).to_string(),
        Ty::Date => format!("2024-0{}-{:02}", dice.range(1, 3), *dice.pick(&[1, 2, 15, 28])),
        Ty::Ts | Ty::Tz if wild && dice.chance(10) => {
            dice.pick(&["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "9999-12-31 23:59:59+00"]).to_string()
        }
        Ty::Ts => {
            format!("2024-01-0{} {:02}:{}:00", dice.range(1, 3), dice.range(0, 23), dice.pick(&["00", "15", "59"]))
        }
        // Near the boundaries of truncation: an hour that occurs twice in Europe, a day that Apia skipped, and days,
        // months and years that begin at other times in other zones.
        Ty::Tz => {
            let hour = dice.pick(&[
                "2024-10-26 22",
                "2024-10-27 00",
                "2024-10-27 01",
                "2024-10-27 22",
                "2024-10-31 23",
                "2024-10-01 11",
                "2024-10-31 09",
                "2024-12-31 23",
                "2011-12-29 12",
                "2011-12-30 11",
            ]);
            format!("{hour}:{}:00+00", dice.pick(&["00", "30", "59"]))
        }
        Ty::Float if wild && dice.chance(12) => dice.pick(&["1e17", "Infinity", "NaN", "3e16"]).to_string(),
        Ty::Float if wild => format!("{}.25", dice.range(0, 9)),
        Ty::List => "{}".to_owned(),
        Ty::Float => format!("{}{}", dice.range(-4, 9), dice.pick(&["", ".25", ".5", ".75"])),
    }
}

/// The value as a literal of its type.
pub fn sql_literal(dice: &mut Dice, ty: Ty, wild: bool) -> String {
    let text = value(dice, ty, wild);
    match ty {
        Ty::Int | Ty::Big if !text.starts_with('-') => text,
        Ty::Text => literal(&text),
        Ty::Int | Ty::Big => format!("({text})"),
        _ => format!("{}::{}", literal(&text), ty.sql()),
    }
}

/// The time zones of rounds: with DST, with half hours, one that skipped a day, and extreme offsets. PostgreSQL prints
/// still larger offsets, but can't parse them, so a view with such a constant would be refused.
pub const ZONES: [&str; 8] = [
    "UTC",
    "UTC",
    "Europe/Berlin",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Kiritimati",
    "XYZ+15",
];
