//! A learning curve in the terminal.

/// How many lines the drawing has.
const ROWS: usize = 12;

/// A horizontal line to compare with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'a> {
    /// Where.
    pub(crate) value: f64,
    /// How it is drawn.
    pub(crate) stroke: char,
    /// What it is.
    pub(crate) name: &'a str,
}

/// Draws points over reference lines, with a scale on the left and a legend below. Empty without points.
pub(crate) fn draw(points: &[Option<f64>], references: &[Reference<'_>]) -> String {
    let known = || points.iter().flatten().copied().chain(references.iter().map(|r| r.value));
    if points.iter().flatten().next().is_none() {
        return String::new();
    }
    let low = known().fold(f64::INFINITY, f64::min);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    let height = if high > low { high - low } else { 1.0 };
    let row_of = |value: f64| ((high - value) / height * (ROWS - 1) as f64).round() as usize;

    let mut grid = vec![vec![' '; points.len()]; ROWS];
    // The last one drawn lies on top, so the first named wins where two meet.
    for reference in references.iter().rev() {
        grid[row_of(reference.value)].fill(reference.stroke);
    }
    for (column, point) in points.iter().enumerate() {
        if let Some(value) = point {
            grid[row_of(*value)][column] = '●';
        }
    }
    let mut text = String::new();
    for (row, cells) in grid.iter().enumerate() {
        let value = high - height * row as f64 / (ROWS - 1) as f64;
        let mut labels: Vec<&str> = Vec::new();
        for reference in references.iter().filter(|r| row_of(r.value) == row) {
            labels.push(reference.name);
        }
        let line: String = cells.iter().collect();
        let label = labels.join(", ");
        text.push_str(format!("  {value:>8.3} ┤{line} {label}").trim_end());
        text.push('\n');
    }
    text.push_str(&format!("           └{}\n", "─".repeat(points.len())));
    text.push_str("            first question → last;  ● policy");
    for reference in references {
        text.push_str(&format!("  {} {}", reference.stroke, reference.name));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_at_their_height_over_the_references() {
        let references = [
            Reference { value: 1.0, stroke: '─', name: "best per segment" },
            Reference { value: 0.0, stroke: '·', name: "chance" },
        ];
        let drawing = draw(&[Some(0.0), None, Some(1.0)], &references);
        let lines: Vec<&str> = drawing.lines().collect();
        assert_eq!(lines.len(), ROWS + 2);
        assert_eq!(lines[0], "     1.000 ┤──● best per segment");
        assert_eq!(lines[1], "     0.909 ┤");
        assert_eq!(lines[ROWS - 1], "     0.000 ┤●·· chance");
    }

    #[test]
    fn a_flat_curve_and_no_curve_are_drawn_too() {
        assert!(draw(&[Some(0.5), Some(0.5)], &[]).contains("0.500 ┤●●"));
        assert_eq!(draw(&[None, None], &[]), "");
    }
}
