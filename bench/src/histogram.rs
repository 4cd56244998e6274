//! Latencies, log-linear: 128 steps in each power of two, so that a quantile is right within 1 %.

use std::time::Duration;

const STEPS: u32 = 7;

/// How often which latency was seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Counts one.
    pub(crate) fn record(&mut self, latency: Duration) {
        let index = index(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
    }

    /// How many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The smallest latency that at least this share of all did not exceed, in milliseconds; `None` without any.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(value(found) as f64 / 1e6)
    }
}

fn index(nanoseconds: u64) -> usize {
    let magnitude = (u64::BITS - nanoseconds.leading_zeros()).saturating_sub(STEPS + 1);
    ((u64::from(magnitude) << STEPS) + (nanoseconds >> magnitude)) as usize
}

/// The largest number with that index.
fn value(index: usize) -> u64 {
    let index = index as u64;
    let magnitude = (index >> STEPS).saturating_sub(1);
    ((index - (magnitude << STEPS) + 1) << magnitude) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_again_within_one_percent() {
        for nanoseconds in (0..60).flat_map(|n| [1_u64 << n, (1 << n) + 1, (1 << n) - 1, 3 << n]) {
            let found = value(index(nanoseconds));
            assert!(found >= nanoseconds, "{nanoseconds} became {found}");
            assert!(found - nanoseconds <= nanoseconds / 100, "{nanoseconds} became {found}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for milliseconds in 1..=100 {
            histogram.record(Duration::from_millis(milliseconds));
        }
        let close = |share: f64, expected: f64| {
            let found = histogram.quantile(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.01, "{share}: {found}");
        };
        close(0.5, 50.0);
        close(0.99, 99.0);
        close(1.0, 100.0);
    }
}
