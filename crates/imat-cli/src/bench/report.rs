//! The figures as a table for people and as CSV for everything else.

use super::measures::{Measure, Sample, Unit};
use super::variants::Variant;
use crate::{stats, text};
use comfy_table::Table;
use std::fmt::Write;

/// The medians of one measure, in the order of the variants.
pub struct Line {
    pub measure: &'static Measure,
    pub values: Vec<f64>,
}

impl Line {
    /// Against `no view`, which is the first variant: its speed is 1, and half the speed 0.5.
    /// For bytes it is the volume: twice as much is 2.
    pub fn ratio(&self, variant: usize) -> f64 {
        let (value, none) = (self.values[variant], self.values[0]);
        match self.measure.unit {
            Unit::Micros => none / value,
            Unit::PerSecond | Unit::Bytes => value / none,
        }
    }
}

pub fn summarize(measures: &[&'static Measure], variants: &[&Variant], samples: &[Sample]) -> Vec<Line> {
    let line = |&measure: &&'static Measure| {
        let value = |variant: &&Variant| {
            let matching = |s: &&Sample| s.measure.name == measure.name && s.variant == variant.name;
            stats::median(&samples.iter().filter(matching).map(|s| s.value).collect::<Vec<_>>())
        };
        Line { measure, values: variants.iter().map(value).collect() }
    };
    measures.iter().map(line).collect()
}

pub fn table(variants: &[&Variant], lines: &[Line]) -> Table {
    let mut header = vec!["measure", "unit"];
    header.extend(variants.iter().map(|variant| variant.name));
    let numbers: Vec<usize> = (2..header.len()).collect();
    let mut table = text::table(&header, &numbers);
    for line in lines {
        let mut cells = vec![line.measure.title.to_owned(), unit(line.measure.unit).to_owned()];
        for (index, &value) in line.values.iter().enumerate() {
            let figure = match line.measure.unit {
                Unit::Micros => text::micros(value),
                Unit::PerSecond | Unit::Bytes => text::count(value.round() as i64),
            };
            let figure = if value.is_nan() { "-".to_owned() } else { figure };
            cells.push(if index == 0 || value.is_nan() {
                figure
            } else {
                format!("{figure}  {}", ratio(line.ratio(index)))
            });
        }
        table.add_row(cells);
    }
    table
}

fn ratio(ratio: f64) -> String {
    match ratio {
        r if r < 0.01 => format!("×{r:.4}"),
        r if r < 10.0 => format!("×{r:.2}"),
        r => format!("×{r:.0}"),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Micros => "time",
        Unit::PerSecond => "commits/s",
        Unit::Bytes => "bytes",
    }
}

pub fn csv(samples: &[Sample]) -> String {
    let mut out = String::from("measure,variant,round,unit,value\n");
    for sample in samples {
        let unit = match sample.measure.unit {
            Unit::Micros => "us",
            Unit::PerSecond => "commits_per_second",
            Unit::Bytes => "bytes",
        };
        let _ = writeln!(out, "{},{},{},{unit},{:.3}", sample.measure.name, sample.variant, sample.round, sample.value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::measures::MEASURES;
    use super::*;

    #[test]
    fn ratios_are_speeds_except_for_volumes() {
        let line = |index: usize, values| Line { measure: &MEASURES[index], values };
        assert_eq!(line(0, vec![10.0, 20.0]).ratio(1), 0.5, "twice the time");
        assert_eq!(line(1, vec![10.0, 5.0]).ratio(1), 0.5, "half the commits");
        assert_eq!(line(7, vec![10.0, 20.0]).ratio(1), 2.0, "twice the bytes");
    }

    #[test]
    fn csv_has_one_line_per_sample() {
        let sample = Sample { measure: &MEASURES[0], variant: "imat", round: 2, value: 1.5 };
        assert_eq!(csv(&[sample]), "measure,variant,round,unit,value\nsingle_row,imat,2,us,1.500\n");
    }
}
