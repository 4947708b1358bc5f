//! The figures as bars: speed against no view. SVG, because it needs no font on the machine.

use super::measures::Unit;
use super::report::Line;
use super::variants::Variant;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const SIZE: (i32, i32) = (1180, 560);
/// The plot inside the picture: left, top, right, bottom.
const PLOT: (i32, i32, i32, i32) = (70, 70, 1160, 440);
/// Ratios above this are cut off; the number on the bar tells.
const TOP: f64 = 1.1;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A variant keeps its colour whichever others are shown.
fn color(variant: &Variant) -> RGBColor {
    match variant.name {
        "none" => RGBColor(150, 150, 150),
        "trigger" => RGBColor(230, 159, 0),
        "imat" => RGBColor(0, 114, 178),
        "refresh" => RGBColor(213, 94, 0),
        _ => RGBColor(0, 158, 115),
    }
}

pub fn draw(file: &Path, variants: &[&Variant], lines: &[Line]) -> Result<()> {
    let area = SVGBackend::new(file, (SIZE.0 as u32, SIZE.1 as u32)).into_drawing_area();
    paint(&area, variants, lines)
        .and_then(|()| area.present().map_err(|error| error.to_string()))
        .map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

fn paint(area: &Area, variants: &[&Variant], lines: &[Line]) -> Result<(), String> {
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    text(area, "Speed against no view (higher is better)", (PLOT.0, 14), 20, HPos::Left)?;
    legend(area, variants)?;
    grid(area)?;
    let shown: Vec<&Line> = lines.iter().filter(|line| line.measure.unit != Unit::Bytes).collect();
    let width = (PLOT.2 - PLOT.0) / shown.len().max(1) as i32;
    for (index, line) in shown.into_iter().enumerate() {
        group(area, variants, line, PLOT.0 + index as i32 * width, width)?;
    }
    Ok(())
}

fn legend(area: &Area, variants: &[&Variant]) -> Result<(), String> {
    let mut x = PLOT.0;
    for variant in variants {
        bar(area, (x, 44), (x + 12, 56), color(variant))?;
        text(area, variant.name, (x + 18, 43), 14, HPos::Left)?;
        x += 110;
    }
    Ok(())
}

fn height(ratio: f64) -> i32 {
    let share = ratio.clamp(0.0, TOP) / TOP;
    (f64::from(PLOT.3 - PLOT.1) * share).round() as i32
}

fn grid(area: &Area) -> Result<(), String> {
    for percent in (0..=100).step_by(20) {
        let y = PLOT.3 - height(f64::from(percent) / 100.0);
        let line = PathElement::new(vec![(PLOT.0, y), (PLOT.2, y)], RGBColor(220, 220, 220));
        area.draw(&line).map_err(|error| error.to_string())?;
        text(area, &format!("{percent} %"), (PLOT.0 - 8, y - 7), 13, HPos::Right)?;
    }
    Ok(())
}

/// The bars of one measure.
fn group(area: &Area, variants: &[&Variant], line: &Line, left: i32, width: i32) -> Result<(), String> {
    let each = (width - 24) / line.values.len().max(1) as i32;
    for (index, variant) in variants.iter().enumerate() {
        let x = left + 12 + index as i32 * each;
        let ratio = line.ratio(index);
        if !ratio.is_finite() {
            continue;
        }
        let y = PLOT.3 - height(ratio);
        bar(area, (x, y), (x + each - 3, PLOT.3), color(variant))?;
        text(area, &label(ratio), (x + each / 2, y - 14), 10, HPos::Center)?;
    }
    for (row, words) in wrap(line.measure.title).into_iter().enumerate() {
        text(area, &words, (left + width / 2, PLOT.3 + 12 + 17 * row as i32), 13, HPos::Center)?;
    }
    Ok(())
}

fn label(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent < 1.0 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}

/// Titles are longer than their bars are wide.
fn wrap(title: &str) -> Vec<String> {
    let mut rows: Vec<String> = vec![String::new()];
    for word in title.split_whitespace() {
        let last = rows.len() - 1;
        if !rows[last].is_empty() && rows[last].chars().count() + word.chars().count() >= 16 {
            rows.push(word.to_owned());
        } else {
            let gap = if rows[last].is_empty() { "" } else { " " };
            rows[last] = format!("{}{gap}{word}", rows[last]);
        }
    }
    rows
}

fn bar(area: &Area, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Result<(), String> {
    area.draw(&Rectangle::new([from, to], color.filled())).map_err(|error| error.to_string())
}

fn text(area: &Area, words: &str, at: (i32, i32), size: i32, side: HPos) -> Result<(), String> {
    let style = TextStyle::from(("sans-serif", size).into_font()).pos(Pos::new(side, VPos::Top));
    area.draw(&Text::new(words.to_owned(), at, style)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_wrapped_between_words() {
        assert_eq!(wrap("insert of 100,000 rows"), ["insert of", "100,000 rows"]);
        assert_eq!(wrap("short"), ["short"]);
    }

    #[test]
    fn bars_end_at_the_top() {
        assert_eq!(height(0.0), 0);
        assert_eq!(height(50.0), PLOT.3 - PLOT.1);
    }
}
