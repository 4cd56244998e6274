//! How far the demonstration has learned, in one line.

use std::collections::VecDeque;

use super::world;

/// Over how many of the latest the line speaks.
const WINDOW: usize = 500;

/// Counts what was decided and how it was received.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker {
    decisions: u64,
    recent_best: VecDeque<bool>,
    recent_rewards: VecDeque<f64>,
}

impl Tracker {
    /// One more decision: whether it was the best version there, and what it was worth, if anybody said.
    pub(crate) fn add(&mut self, best: bool, reward: Option<f64>) {
        self.decisions += 1;
        push(&mut self.recent_best, best);
        if let Some(reward) = reward {
            push(&mut self.recent_rewards, reward);
        }
    }

    /// How many decisions there were.
    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    /// The line.
    pub(crate) fn line(&self) -> String {
        if self.recent_rewards.is_empty() {
            return format!("{} decisions, nothing learned yet", self.decisions);
        }
        let best = self.recent_best.iter().filter(|best| **best).count();
        let share = 100.0 * best as f64 / self.recent_best.len() as f64;
        let mean = self.recent_rewards.iter().sum::<f64>() / self.recent_rewards.len() as f64;
        format!(
            "{} decisions · best version chosen in {share:.0} % of the last {} · \
             mean of the last {} rewards {mean:.3} (chance {:.3}, best possible {:.3})",
            self.decisions,
            self.recent_best.len(),
            self.recent_rewards.len(),
            world::chance(),
            world::best(),
        )
    }
}

fn push<T>(recent: &mut VecDeque<T>, value: T) {
    if recent.len() == WINDOW {
        recent.pop_front();
    }
    recent.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_speaks_of_the_latest_only() {
        let mut tracker = Tracker::default();
        tracker.add(false, None);
        assert_eq!(tracker.line(), "1 decisions, nothing learned yet");
        for _ in 0..WINDOW {
            tracker.add(false, Some(0.0));
        }
        for _ in 0..WINDOW / 2 {
            tracker.add(true, Some(1.0));
        }
        let line = tracker.line();
        assert!(line.starts_with("751 decisions · best version chosen in 50 % of the last 500"), "{line}");
        assert!(line.contains("last 500 rewards 0.500 (chance 0.570, best possible 0.770)"), "{line}");
    }
}
