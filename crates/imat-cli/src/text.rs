//! Numbers and tables as people read them.

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// An empty table with a header; `numbers` are the columns that are aligned to the right.
pub fn table(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for &column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// 336776 as `336,776`.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if number < 0 { format!("-{out}") } else { out }
}

/// A duration given in microseconds, in the unit that suits it.
pub fn micros(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "-".to_owned(),
        v if v < 1_000.0 => format!("{value:.0} µs"),
        v if v < 100_000.0 => format!("{:.1} ms", value / 1e3),
        v if v < 1_000_000.0 => format!("{:.0} ms", value / 1e3),
        _ => format!("{:.2} s", value / 1e6),
    }
}

/// A progress bar that counts named steps.
pub fn steps(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-336_776, "-336,776")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn durations_take_a_fitting_unit() {
        for (value, text) in [(12.4, "12 µs"), (1_500.0, "1.5 ms"), (150_000.0, "150 ms"), (2.5e6, "2.50 s")] {
            assert_eq!(micros(value), text);
        }
        assert_eq!(micros(f64::NAN), "-");
    }
}
