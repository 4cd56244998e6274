//! Experiments as a whole: units folded into a tally that is stored and read, analysed at every look.

// The simulation of `make calibration`, a few replications of it.
#[path = "../examples/calibration/cells.rs"]
mod cells;
#[path = "../examples/calibration/world.rs"]
mod world;

use cells::Cell;

/// Those whose name has this in it, with so many units.
fn cells(units: usize, part: &str) -> Vec<Cell> {
    cells::all(units).into_iter().filter(|cell| cell.name.contains(part)).collect()
}

/// Ten replications of 300 units. The most that is met is 0.05 and three standard errors of ten replications: two of ten. Three or
/// more have a probability of 0.012 where a method spends all of its alpha; the seeds are fixed.
#[test]
fn nothing_is_found_where_there_is_nothing_and_intervals_hold_what_there_is() {
    let mut lines = 0;
    for part in ["no effect, rate 0.1", "no effect, stars", "effect 0.02"] {
        for cell in cells(300, part) {
            for line in cell.run(10, 2) {
                assert!(line.met, "{line}");
                lines += 1;
            }
        }
    }
    assert_eq!(lines, 2 * 4 * 6 + 2);
}

/// Twenty replications: three standard errors of the share of good forecasts are 0.34.
#[test]
fn answers_come_as_soon_as_by_the_sequence_and_are_foreseen() {
    for cell in cells(2_000, "speed 0.1") {
        for line in cell.run(20, 2) {
            assert!(line.met, "{line}");
        }
    }
}
