//! What a replay is worth: the policy against each fixed version, the best version per segment, and chance.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::outcomes::Outcomes;

/// Into how many pieces a learning curve is cut.
pub(crate) const CURVE_BINS: usize = 40;

/// What is known of the file without playing it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Baselines {
    /// Each version's mean reward, in the order of [`Outcomes::versions`].
    pub(crate) fixed: Vec<f64>,
    /// The version that is best in each question's segment.
    best_version: Vec<u16>,
    /// The mean reward of the best version per segment, chosen on the whole file.
    pub(crate) best_per_segment: f64,
    /// The mean reward of drawing a version uniformly.
    pub(crate) chance: f64,
}

impl Baselines {
    /// Counts a file.
    pub(crate) fn new(outcomes: &Outcomes) -> Self {
        let (questions, versions) = (outcomes.len(), outcomes.versions.len());
        let segments = outcomes.segments.iter().max().map_or(0, |last| *last as usize + 1);
        let mut total = vec![0.0; versions];
        let mut by_segment = vec![0.0; segments * versions];
        for question in 0..questions {
            let segment = outcomes.segments[question] as usize;
            for version in 0..versions {
                let reward = outcomes.reward(question, version);
                total[version] += reward;
                by_segment[segment * versions + version] += reward;
            }
        }
        let best: Vec<u16> = by_segment.chunks(versions.max(1)).map(first_largest).collect();
        let best_version: Vec<u16> =
            outcomes.segments.iter().map(|segment| best[*segment as usize]).collect();
        let best_sum: f64 = best_version
            .iter()
            .enumerate()
            .map(|(q, version)| outcomes.reward(q, usize::from(*version)))
            .sum();
        let fixed: Vec<f64> = total.iter().map(|sum| sum / questions as f64).collect();
        let chance = fixed.iter().sum::<f64>() / versions as f64;
        Self { fixed, best_version, best_per_segment: best_sum / questions as f64, chance }
    }

    /// The best of the fixed versions' means.
    pub(crate) fn best_fixed(&self) -> f64 {
        self.fixed.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

fn first_largest(sums: &[f64]) -> u16 {
    let mut best = 0;
    for (index, sum) in sums.iter().enumerate() {
        if *sum > sums[best] {
            best = index;
        }
    }
    best as u16
}

/// What one shuffle earned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShuffleResult {
    /// Mean reward over all questions.
    pub(crate) mean: f64,
    /// The best per segment's mean minus the policy's, on the last quarter of the questions as they were played.
    pub(crate) last_quarter_gap: f64,
    /// Sum and count of rewards in each piece of the curve.
    pub(crate) curve: Vec<(f64, u32)>,
}

impl ShuffleResult {
    /// Adds up what the policy chose: `order[i]` was asked as the i-th and answered with `choices[i]`.
    pub(crate) fn new(outcomes: &Outcomes, baselines: &Baselines, order: &[u32], choices: &[u16]) -> Self {
        let questions = order.len();
        let begin = questions * 3 / 4;
        let mut rewards = vec![0.0; questions];
        let (mut gap, mut curve) = (0.0, vec![(0.0, 0); CURVE_BINS]);
        for (index, (question, choice)) in order.iter().zip(choices).enumerate() {
            let question = *question as usize;
            let reward = outcomes.reward(question, usize::from(*choice));
            rewards[question] = reward;
            if index >= begin {
                gap += outcomes.reward(question, usize::from(baselines.best_version[question])) - reward;
            }
            let bin = &mut curve[index * CURVE_BINS / questions];
            bin.0 += reward;
            bin.1 += 1;
        }
        // In the file's order, so that always choosing one version gives exactly that version's mean.
        let mean = rewards.iter().sum::<f64>() / questions as f64;
        Self { mean, last_quarter_gap: gap / (questions - begin) as f64, curve }
    }
}

/// All shuffles together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// Mean reward over all questions and shuffles.
    pub(crate) mean: f64,
    /// 95 % interval of the mean over shuffles; `None` where one shuffle says nothing about the spread.
    pub(crate) interval: Option<(f64, f64)>,
    /// The last quarter's gap, averaged over shuffles.
    pub(crate) last_quarter_gap: f64,
    /// Mean reward in each piece of the curve; `None` where it holds no question.
    pub(crate) curve: Vec<Option<f64>>,
}

impl Summary {
    /// Sums up at least one shuffle.
    pub(crate) fn new(shuffles: &[ShuffleResult]) -> Self {
        let means: Vec<f64> = shuffles.iter().map(|s| s.mean).collect();
        let count = shuffles.len() as f64;
        let curve = (0..CURVE_BINS)
            .map(|bin| {
                let sum: f64 = shuffles.iter().map(|s| s.curve[bin].0).sum();
                let n: u32 = shuffles.iter().map(|s| s.curve[bin].1).sum();
                (n > 0).then(|| sum / f64::from(n))
            })
            .collect();
        Self {
            mean: means.iter().sum::<f64>() / count,
            interval: student_interval(&means),
            last_quarter_gap: shuffles.iter().map(|s| s.last_quarter_gap).sum::<f64>() / count,
            curve,
        }
    }
}

/// The 95 % interval of a mean by Student's t (Student, "The probable error of a mean", Biometrika 1908); `None` below
/// two values. Its width is zero only where all values are equal, as they are for a policy that never varies.
pub(crate) fn student_interval(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
    let half = quantile * (variance / n).sqrt();
    Some((mean - half, mean + half))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two segments, x and y; version `one` is best in x, `two` in y.
    fn eight() -> Outcomes {
        let x = || json!({"task": "x"});
        let y = || json!({"task": "y"});
        Outcomes::of(
            &["one", "two"],
            &[
                (x(), &[1.0, 0.0]),
                (x(), &[1.0, 0.0]),
                (x(), &[0.0, 1.0]),
                (x(), &[1.0, 0.5]),
                (y(), &[0.0, 1.0]),
                (y(), &[0.0, 1.0]),
                (y(), &[0.5, 1.0]),
                (y(), &[0.5, 0.5]),
            ],
            "task",
        )
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn baselines_by_hand() {
        let baselines = Baselines::new(&eight());
        // one: 1+1+0+1+0+0+0.5+0.5 = 4 of 8; two: 0+0+1+0.5+1+1+1+0.5 = 5 of 8; per segment: 3 + 3.5.
        close(baselines.fixed[0], 0.5);
        close(baselines.fixed[1], 0.625);
        close(baselines.best_fixed(), 0.625);
        close(baselines.best_per_segment, 6.5 / 8.0);
        close(baselines.chance, 0.5625);
    }

    #[test]
    fn a_shuffle_by_hand() {
        let (outcomes, order) = (eight(), [7, 6, 5, 4, 3, 2, 1, 0]);
        let baselines = Baselines::new(&outcomes);
        // Rewards as played: 0.5, 1, 1, 1, 0.5, 1, then 0 and 0 where the best per segment had 1 and 1.
        let result = ShuffleResult::new(&outcomes, &baselines, &order, &[1; 8]);
        close(result.mean, 0.625);
        close(result.last_quarter_gap, 1.0);
        assert_eq!(result.curve[0], (0.5, 1));
        assert_eq!(result.curve[1], (0.0, 0));
        assert_eq!(result.curve[35], (0.0, 1));
        let best = ShuffleResult::new(&outcomes, &baselines, &order, &[1, 1, 1, 1, 0, 0, 0, 0]);
        close(best.mean, baselines.best_per_segment);
        close(best.last_quarter_gap, 0.0);
    }

    #[test]
    fn the_last_quarter_of_one_question_is_that_question() {
        let outcomes = Outcomes::of(&["one"], &[(json!({"task": "x"}), &[0.25])], "task");
        let result = ShuffleResult::new(&outcomes, &Baselines::new(&outcomes), &[0], &[0]);
        close(result.mean, 0.25);
        close(result.last_quarter_gap, 0.0);
    }

    #[test]
    fn intervals_by_students_table() {
        // Mean 2, standard deviation 1, standard error 1/sqrt(3), t(0.975; 2) = 4.302652729911275.
        let (low, high) = student_interval(&[1.0, 2.0, 3.0]).unwrap();
        close(low, 2.0 - 4.302_652_729_911_275 / 3.0_f64.sqrt());
        close(high, 2.0 + 4.302_652_729_911_275 / 3.0_f64.sqrt());
        assert_eq!(student_interval(&[1.0]), None);
        assert_eq!(student_interval(&[0.5, 0.5]), Some((0.5, 0.5)));
    }

    #[test]
    fn a_summary_by_hand() {
        let result = |mean: f64, first: (f64, u32)| ShuffleResult {
            mean,
            last_quarter_gap: mean / 10.0,
            curve: std::iter::once(first).chain([(0.0, 0); CURVE_BINS - 1]).collect(),
        };
        let summary = Summary::new(&[result(0.4, (1.0, 4)), result(0.6, (2.0, 4))]);
        close(summary.mean, 0.5);
        close(summary.last_quarter_gap, 0.05);
        close(summary.curve[0].unwrap(), 0.375);
        assert_eq!(summary.curve[1], None);
        assert_eq!(Summary::new(&[result(0.4, (1.0, 4))]).interval, None);
    }
}
