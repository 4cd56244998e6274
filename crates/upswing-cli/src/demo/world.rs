//! What is true in the simulated support desk: who asks, and how good each way of answering is for them.

use crate::random::SplitMix64;

/// The ways of answering.
pub(crate) const VERSIONS: [&str; 3] = ["concise", "step_by_step", "with_sources"];
/// What questions are about.
pub(crate) const TOPICS: [&str; 5] = ["billing", "setup", "outage", "security", "how_to"];
/// What the askers pay for.
pub(crate) const PLANS: [&str; 3] = ["free", "team", "enterprise"];

/// How good each way of answering is for each topic: the chance of a thumb up. No way is the best everywhere, and each is
/// in the middle on average (0.57, 0.58, 0.56), so that what is learned must be learned from the context.
const QUALITY: [[f64; 3]; 5] =
    [[0.80, 0.50, 0.60], [0.35, 0.85, 0.50], [0.75, 0.45, 0.35], [0.35, 0.50, 0.85], [0.60, 0.60, 0.50]];
/// Askers who pay for more are a little harder to please, whatever the answer.
const PLAN_EFFECT: [f64; 3] = [0.04, 0.0, -0.04];
/// How many people say nothing at all.
const SILENT: f64 = 0.6;
/// How many of the others use a thumb; the rest gives stars.
const THUMBS: f64 = 0.7;

/// A question that comes in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Question {
    topic: usize,
    plan: usize,
    /// How long it is.
    pub(crate) message_chars: u32,
}

/// What somebody does after reading an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// A thumb, up or down.
    Thumb(bool),
    /// One to five stars.
    Stars(u8),
}

impl Reaction {
    /// What it is worth under the default reward definition.
    pub(crate) fn reward(self) -> f64 {
        match self {
            Self::Thumb(up) => f64::from(u8::from(up)),
            Self::Stars(stars) => f64::from(stars - 1) / 4.0,
        }
    }
}

impl Question {
    /// Somebody asks something.
    pub(crate) fn draw(random: &mut SplitMix64) -> Self {
        let topic = random.below(TOPICS.len());
        let plan = random.below(PLANS.len());
        // Lengths from 20 to some 1,100, mostly short.
        let message_chars = 20 + (random.unit().powi(3) * 1_080.0) as u32;
        Self { topic, plan, message_chars }
    }

    /// What it is about.
    pub(crate) fn topic(&self) -> &'static str {
        TOPICS[self.topic]
    }

    /// What the asker pays for.
    pub(crate) fn plan(&self) -> &'static str {
        PLANS[self.plan]
    }

    /// How good this way of answering is here: the reward to expect.
    pub(crate) fn quality(&self, version: usize) -> f64 {
        QUALITY[self.topic][version] + PLAN_EFFECT[self.plan]
    }

    /// Whether no other way of answering is better here.
    pub(crate) fn is_best(&self, version: usize) -> bool {
        (0..VERSIONS.len()).all(|other| self.quality(other) <= self.quality(version))
    }

    /// What the asker does after this way of answering; most say nothing. Thumb and stars have the quality as their
    /// expected reward: a thumb is up with that chance, and stars are one more than four throws with that chance.
    pub(crate) fn react(&self, version: usize, random: &mut SplitMix64) -> Option<Reaction> {
        let quality = self.quality(version);
        let (says, how) = (random.unit(), random.unit());
        let throws: [bool; 4] = std::array::from_fn(|_| random.unit() < quality);
        if says < SILENT {
            None
        } else if how < THUMBS {
            Some(Reaction::Thumb(throws[0]))
        } else {
            Some(Reaction::Stars(1 + throws.iter().map(|hit| u8::from(*hit)).sum::<u8>()))
        }
    }
}

/// The reward to expect from drawing a version uniformly.
pub(crate) fn chance() -> f64 {
    let sum: f64 = QUALITY.iter().flatten().sum();
    sum / (TOPICS.len() * VERSIONS.len()) as f64
}

/// The reward to expect from always choosing the best version for the topic.
pub(crate) fn best() -> f64 {
    QUALITY.iter().map(|row| row.iter().copied().fold(0.0, f64::max)).sum::<f64>() / TOPICS.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_by_hand() {
        // Sums of the rows: 1.90 + 1.70 + 1.55 + 1.70 + 1.70 = 8.55, over 15.
        assert!((chance() - 0.57).abs() < 1e-12);
        // 0.80 + 0.85 + 0.75 + 0.85 + 0.60 = 3.85, over 5.
        assert!((best() - 0.77).abs() < 1e-12);
    }

    #[test]
    fn reactions_have_the_quality_as_their_mean_and_most_people_say_nothing() {
        let mut random = SplitMix64::new(1);
        let question = Question { topic: 1, plan: 1, message_chars: 100 };
        let rewards: Vec<f64> =
            (0..20_000).filter_map(|_| question.react(1, &mut random)).map(Reaction::reward).collect();
        // 8,000 expected, standard deviation sqrt(20000 * 0.6 * 0.4) = 69.3; five of them.
        assert!(rewards.len().abs_diff(8_000) < 347, "{}", rewards.len());
        // A thumb has at most the standard deviation 0.357; five standard errors of 8,000 are 0.02.
        let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
        assert!((mean - 0.85).abs() < 0.02, "{mean}");
    }

    #[test]
    fn no_version_is_best_everywhere() {
        for version in 0..VERSIONS.len() {
            let questions = (0..TOPICS.len()).map(|topic| Question { topic, plan: 0, message_chars: 20 });
            let best = questions.filter(|question| question.is_best(version)).count();
            assert!((1..TOPICS.len()).contains(&best), "{version}: {best}");
        }
    }
}
