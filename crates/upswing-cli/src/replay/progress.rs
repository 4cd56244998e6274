//! How far a replay is: a bar on a terminal, a line now and then elsewhere, nothing when quiet.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);
/// After how many questions the bar is looked at again.
const STRIDE: u64 = 64;

/// Counts questions and rewards. Writes to standard error alone.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    total: u64,
    count: Cell<u64>,
    sum: Cell<f64>,
    begun: Instant,
    last_line: Cell<Instant>,
}

impl Progress {
    /// Begins to count up to `total`.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
            let template = "  {bar:30} {percent:>3} %  {per_sec}  {msg}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                let per_second = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0} questions/s", state.per_sec());
                };
                bar.set_style(style.with_key("per_sec", per_second).progress_chars("━╸─"));
            }
            bar
        });
        let now = Instant::now();
        Self {
            bar,
            lines: !terminal && !quiet,
            total,
            count: Cell::new(0),
            sum: Cell::new(0.0),
            begun: now,
            last_line: Cell::new(now),
        }
    }

    /// One more question with its reward.
    pub(crate) fn add(&self, reward: f64) {
        let count = self.count.get() + 1;
        self.count.set(count);
        self.sum.set(self.sum.get() + reward);
        if !count.is_multiple_of(STRIDE) {
            return;
        }
        let mean = self.sum.get() / count as f64;
        if let Some(bar) = &self.bar {
            bar.set_position(count);
            bar.set_message(format!("mean reward {mean:.3}"));
        } else if self.lines && self.last_line.get().elapsed() >= EVERY {
            self.last_line.set(Instant::now());
            let rate = count as f64 / self.begun.elapsed().as_secs_f64();
            eprintln!("{count} of {} questions, {rate:.0} questions/s, mean reward {mean:.3}", self.total);
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
