//! Estimators of a target policy's value.

use super::{Contributions, Event, Log, Model, OffPolicyError};

/// How the target policy's mean reward is estimated from a [`Log`].
///
/// Below, w is an event's importance weight (target probability over propensity), r its reward, q the modelled rewards. None
/// is best everywhere: inverse propensities are unbiased and noisy, the direct method is calm and as wrong as its model, the
/// doubly robust ones lie between. Where they disagree by more than their intervals, trust none before knowing why.
///
/// Every estimator is O(n) time and memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimator {
    /// Inverse propensity scoring: `mean(w r)`. Unbiased under overlap; its variance grows with the weights.
    ///
    /// Source: D. G. Horvitz, D. J. Thompson, "A generalization of sampling without replacement from a finite universe", JASA
    /// 47 (1952), DOI 10.1080/01621459.1952.10483446.
    Ips,
    /// Inverse propensity scoring with weights cut off: `mean(min(w, bound) r)`. Biased towards 0 by what is cut.
    ///
    /// Source: Bottou et al., "Counterfactual Reasoning and Learning Systems", JMLR 14 (2013), arXiv 1209.2355.
    ClippedIps {
        /// The largest weight, above 0.
        bound: f64,
    },
    /// Self-normalised inverse propensity scoring: `sum(w r) / sum(w)`. Stays within the range of the rewards and does not
    /// change when a constant is added to them; biased by an order of 1/n.
    ///
    /// Source: Swaminathan, Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NIPS 2015.
    Snips,
    /// The direct method: `mean(q(x, target))`. Its interval covers the sampling of contexts alone, not the model's error.
    ///
    /// Source: Beygelzimer, Langford, "The Offset Tree for Learning with Partial Labels", arXiv 0812.4044.
    DirectMethod,
    /// Doubly robust: `mean(q(x, target) + w (r - q(x, a)))`. Unbiased if either the propensities or the model is right; calm
    /// where the model is good.
    ///
    /// Source: Dudík, Erhan, Langford, Li, arXiv 1503.02834.
    DoublyRobust,
    /// Doubly robust with weights cut off at a bound: biased towards the direct method by what is cut.
    ///
    /// Source: Su, Srinath, Krishnamurthy, "Adaptive Estimator Selection for Off-Policy Evaluation", arXiv 2002.07729, and
    /// [`Estimator::ClippedIps`].
    ClippedDoublyRobust {
        /// The largest weight, above 0.
        bound: f64,
    },
    /// Doubly robust, self-normalised: `mean(q(x, target)) + sum(w (r - q(x, a))) / sum(w)`.
    ///
    /// Source: Kallus, Uehara, "Intrinsically Efficient, Stable, and Bounded Off-Policy Evaluation", arXiv 1906.03735.
    SelfNormalisedDoublyRobust,
    /// Doubly robust where the weight is at most a threshold, the direct method where it is above.
    ///
    /// Source: Wang, Agarwal, Dudík, "Optimal and Adaptive Off-policy Evaluation in Contextual Bandits", arXiv 1612.01205.
    SwitchDoublyRobust {
        /// The largest weight that is used, at least 0.
        threshold: f64,
    },
    /// Doubly robust with optimistic shrinkage: weights `l w / (w^2 + l)`, which for small l approach the direct method and
    /// for large l the doubly robust one.
    ///
    /// Source: Su, Dimakopoulou, Krishnamurthy, Dudík, "Doubly robust off-policy evaluation with shrinkage", arXiv 1907.09623.
    OptimisticShrinkage {
        /// l, above 0.
        shrinkage: f64,
    },
    /// Inverse propensity scoring with weights `w / (1 - l + l w)`, bounded by 1/l: concentrates like a bounded mean.
    ///
    /// Source: Metelli, Russo, Restelli, "Subgaussian and Differentiable Importance Sampling for Off-Policy Evaluation and
    /// Learning", NeurIPS 2021.
    SubGaussianIps {
        /// l, from 0 (plain weights) to 1 (all weights 1).
        shrinkage: f64,
    },
    /// Doubly robust with the weights of [`Estimator::SubGaussianIps`].
    SubGaussianDoublyRobust {
        /// l, from 0 (plain weights) to 1 (all weights 1).
        shrinkage: f64,
    },
}

/// What stands beside the weighted part.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Nothing.
    Propensity,
    /// The direct method, and rewards less what is modelled.
    DoublyRobust,
    /// The direct method alone.
    Direct,
}

impl Estimator {
    /// One of each, with parameters that are a usual start: weights cut at 10, switched at 10, shrunken with 100
    /// (optimistic) and 0.05 (sub-Gaussian). They trade bias for variance; no choice fits every log.
    pub const ALL: [Self; 11] = [
        Self::Ips,
        Self::ClippedIps { bound: 10.0 },
        Self::Snips,
        Self::DirectMethod,
        Self::DoublyRobust,
        Self::ClippedDoublyRobust { bound: 10.0 },
        Self::SelfNormalisedDoublyRobust,
        Self::SwitchDoublyRobust { threshold: 10.0 },
        Self::OptimisticShrinkage { shrinkage: 100.0 },
        Self::SubGaussianIps { shrinkage: 0.05 },
        Self::SubGaussianDoublyRobust { shrinkage: 0.05 },
    ];

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ips => "ips",
            Self::ClippedIps { .. } => "clipped_ips",
            Self::Snips => "snips",
            Self::DirectMethod => "dm",
            Self::DoublyRobust => "dr",
            Self::ClippedDoublyRobust { .. } => "clipped_dr",
            Self::SelfNormalisedDoublyRobust => "sndr",
            Self::SwitchDoublyRobust { .. } => "switch_dr",
            Self::OptimisticShrinkage { .. } => "dr_os",
            Self::SubGaussianIps { .. } => "sg_ips",
            Self::SubGaussianDoublyRobust { .. } => "sg_dr",
        }
    }

    /// Its parameter's name and value, where it has one.
    pub fn parameter(&self) -> Option<(&'static str, f64)> {
        match *self {
            Self::ClippedIps { bound } | Self::ClippedDoublyRobust { bound } => Some(("bound", bound)),
            Self::SwitchDoublyRobust { threshold } => Some(("threshold", threshold)),
            Self::OptimisticShrinkage { shrinkage }
            | Self::SubGaussianIps { shrinkage }
            | Self::SubGaussianDoublyRobust { shrinkage } => Some(("shrinkage", shrinkage)),
            Self::Ips
            | Self::Snips
            | Self::DirectMethod
            | Self::DoublyRobust
            | Self::SelfNormalisedDoublyRobust => None,
        }
    }

    /// Whether it needs every event's [`Model`].
    pub fn needs_model(&self) -> bool {
        self.form() != Form::Propensity
    }

    /// Whether it divides by the sum of the weights.
    pub fn is_ratio(&self) -> bool {
        matches!(self, Self::Snips | Self::SelfNormalisedDoublyRobust)
    }

    /// What each event contributes; [`Contributions::value`] is the estimate.
    ///
    /// # Errors
    /// When a parameter is outside of its range, an event lacks the model that is needed, a self-normalised estimator finds
    /// no weight at all, or numbers overflow.
    pub fn contributions(&self, log: &Log) -> Result<Contributions, OffPolicyError> {
        self.check()?;
        let events = log.events();
        let (mut modelled, mut weighted) =
            (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for (index, event) in events.iter().enumerate() {
            let (a, b) = self.parts(event).ok_or(OffPolicyError::NoModel { event: index })?;
            modelled.push(a);
            weighted.push(b);
        }
        let normaliser = self.is_ratio().then(|| events.iter().map(Event::weight).collect());
        Contributions::new(modelled, weighted, normaliser)
    }

    /// The modelled and the weighted part of one event; `None` where a model is needed and missing.
    fn parts(&self, event: &Event) -> Option<(f64, f64)> {
        let weight = self.weight(event.weight());
        Some(match (self.form(), event.model) {
            (Form::Propensity, _) => (0.0, weight * event.reward),
            (Form::Direct, Some(Model { target, .. })) => (target, 0.0),
            (Form::DoublyRobust, Some(Model { target, logged })) => {
                (target, weight * (event.reward - logged))
            }
            (Form::Direct | Form::DoublyRobust, None) => return None,
        })
    }

    /// The weight as this estimator uses it. Continuous at w = 0 for all, and never above w... except for what the
    /// sub-Gaussian form does to weights below 1, which it draws towards 1.
    fn weight(&self, w: f64) -> f64 {
        match *self {
            Self::ClippedIps { bound } | Self::ClippedDoublyRobust { bound } => w.min(bound),
            Self::SwitchDoublyRobust { threshold } if w > threshold => 0.0,
            // The same as l w / (w^2 + l), without the square that overflows.
            Self::OptimisticShrinkage { shrinkage } => w / (w * (w / shrinkage) + 1.0),
            Self::SubGaussianIps { shrinkage } | Self::SubGaussianDoublyRobust { shrinkage } if w > 0.0 => {
                w / (1.0 - shrinkage + shrinkage * w)
            }
            _ => w,
        }
    }

    /// The largest weight as this estimator uses it, when plain weights are at most `bound`.
    fn largest_weight(&self, bound: f64) -> f64 {
        match *self {
            Self::SwitchDoublyRobust { threshold } => bound.min(threshold),
            // w l / (w^2 + l) has its maximum at the root of l.
            Self::OptimisticShrinkage { shrinkage } => self.weight(bound.min(shrinkage.sqrt())),
            _ => self.weight(bound),
        }
    }

    /// The range that each event's contribution lies in, when weights are at most `bound` and rewards, modelled ones too, lie
    /// from `low` to `high`. Only for those that are means.
    pub(super) fn range(&self, bound: f64, low: f64, high: f64) -> (f64, f64) {
        let w = self.largest_weight(bound);
        match self.form() {
            Form::Direct => (low, high),
            Form::Propensity => ((w * low).min(0.0), (w * high).max(0.0)),
            Form::DoublyRobust => (low - w * (high - low), high + w * (high - low)),
        }
    }

    fn form(&self) -> Form {
        match self {
            Self::Ips | Self::ClippedIps { .. } | Self::Snips | Self::SubGaussianIps { .. } => {
                Form::Propensity
            }
            Self::DirectMethod => Form::Direct,
            Self::DoublyRobust
            | Self::ClippedDoublyRobust { .. }
            | Self::SelfNormalisedDoublyRobust
            | Self::SwitchDoublyRobust { .. }
            | Self::OptimisticShrinkage { .. }
            | Self::SubGaussianDoublyRobust { .. } => Form::DoublyRobust,
        }
    }

    fn check(&self) -> Result<(), OffPolicyError> {
        let Some((name, value)) = self.parameter() else { return Ok(()) };
        let (fits, expected) = match self {
            Self::SwitchDoublyRobust { .. } => (value.is_finite() && value >= 0.0, "a finite number from 0"),
            Self::SubGaussianIps { .. } | Self::SubGaussianDoublyRobust { .. } => {
                ((0.0..=1.0).contains(&value), "a number from 0 to 1")
            }
            _ => (value.is_finite() && value > 0.0, "a finite number above 0"),
        };
        if fits { Ok(()) } else { Err(OffPolicyError::Parameter { name, value, expected }) }
    }
}

impl std::fmt::Display for Estimator {
    /// The name, with the parameter where there is one: `clipped_ips(10)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parameter() {
            Some((_, value)) => write!(f, "{}({value})", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Evidence, Side, interval};
    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        (0.0..1.0, 0.01..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0).prop_map(
            |(reward, propensity, target, logged, expected)| Event {
                reward,
                propensity,
                target,
                model: Some(Model { logged, target: expected }),
            },
        )
    }

    fn value(estimator: Estimator, log: &Log) -> f64 {
        estimator.contributions(log).unwrap().value()
    }

    proptest! {
        #[test]
        fn limits_of_parameters_are_other_estimators(events in prop::collection::vec(event(), 1..40)) {
            let log = Log::new(events).unwrap();
            let near = |a: Estimator, b: Estimator| {
                let (a, b) = (value(a, &log), value(b, &log));
                prop_assert!((a - b).abs() < 1e-6, "{a} {b}");
                Ok(())
            };
            near(Estimator::ClippedIps { bound: 1e6 }, Estimator::Ips)?;
            near(Estimator::ClippedDoublyRobust { bound: 1e6 }, Estimator::DoublyRobust)?;
            near(Estimator::SwitchDoublyRobust { threshold: 1e6 }, Estimator::DoublyRobust)?;
            near(Estimator::OptimisticShrinkage { shrinkage: 1e15 }, Estimator::DoublyRobust)?;
            near(Estimator::OptimisticShrinkage { shrinkage: 1e-12 }, Estimator::DirectMethod)?;
            near(Estimator::SubGaussianIps { shrinkage: 0.0 }, Estimator::Ips)?;
            near(Estimator::SubGaussianDoublyRobust { shrinkage: 0.0 }, Estimator::DoublyRobust)?;
        }

        #[test]
        fn contributions_lie_in_their_range(events in prop::collection::vec(event(), 1..40)) {
            let log = Log::new(events).unwrap();
            for estimator in Estimator::ALL.iter().filter(|estimator| !estimator.is_ratio()) {
                let (low, high) = estimator.range(100.0, 0.0, 1.0);
                for round in estimator.contributions(&log).unwrap().rounds() {
                    prop_assert!((low..=high).contains(&round), "{estimator}: {round}");
                }
            }
        }

        #[test]
        fn both_forms_of_contributions_average_to_the_value(events in prop::collection::vec(event(), 2..40)) {
            let log = Log::new(events).unwrap();
            prop_assume!(log.events().iter().any(|event| event.target > 0.01));
            for estimator in Estimator::ALL {
                let contributions = estimator.contributions(&log).unwrap();
                let n = contributions.events() as f64;
                for mean in [contributions.rounds().sum::<f64>() / n, contributions.linearised().sum::<f64>() / n] {
                    prop_assert!((mean - contributions.value()).abs() < 1e-9 * mean.abs().max(1.0), "{estimator}");
                }
            }
        }

        #[test]
        fn on_the_logging_policy_itself_it_is_the_mean_reward(
            rewards in prop::collection::vec((0.0..1.0, 0.01..1.0), 1..40),
        ) {
            let log = Log::new(rewards.into_iter().map(|(reward, p)| Event {
                reward, propensity: p, target: p, model: None,
            })).unwrap();
            for estimator in [Estimator::Ips, Estimator::Snips, Estimator::ClippedIps { bound: 1.0 },
                Estimator::SubGaussianIps { shrinkage: 0.5 }] {
                prop_assert!((value(estimator, &log) - log.on_policy_value()).abs() < 1e-12);
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_numbers_give_finite_answers_or_errors(
            events in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()), 1..20),
            small in prop::collection::vec((any::<f64>(), 1e-300..1.0, 0.0..=1.0), 1..20),
        ) {
            let hostile = events.into_iter().map(|(reward, propensity, target, q)| Event {
                reward, propensity, target, model: Some(Model { logged: q, target: q }),
            });
            let small = small.into_iter().map(|(reward, propensity, target)| Event {
                reward, propensity, target, model: Some(Model { logged: reward, target: 0.0 }),
            });
            for log in [Log::new(hostile), Log::new(small)].into_iter().flatten() {
                for estimator in Estimator::ALL {
                    let Ok(contributions) = estimator.contributions(&log) else { continue };
                    prop_assert!(contributions.value().is_finite());
                    for made in [
                        interval::student_t(&contributions, 0.95, Side::Both),
                        interval::bootstrap(&contributions, 0.95, Side::Both, 100, 1),
                    ].into_iter().flatten() {
                        prop_assert!(!made.low.is_nan() && !made.high.is_nan(), "{estimator}: {made:?}");
                    }
                }
                if let Ok(evidence) = Evidence::of(&log) {
                    prop_assert!(evidence.effective_informative.is_finite());
                    prop_assert!(evidence.weights.mean_z().is_none_or(|z| !z.is_nan()));
                }
            }
        }
    }

    #[test]
    fn what_is_missing_or_out_of_range_is_an_error() {
        let event = Event { reward: 1.0, propensity: 0.5, target: 0.0, model: None };
        let log = Log::new([event]).unwrap();
        assert_eq!(Estimator::Snips.contributions(&log), Err(OffPolicyError::NoOverlap));
        assert_eq!(Estimator::DirectMethod.contributions(&log), Err(OffPolicyError::NoModel { event: 0 }));
        for bad in [
            Estimator::ClippedIps { bound: 0.0 },
            Estimator::ClippedIps { bound: f64::NAN },
            Estimator::SwitchDoublyRobust { threshold: -1.0 },
            Estimator::OptimisticShrinkage { shrinkage: 0.0 },
            Estimator::SubGaussianIps { shrinkage: 1.5 },
        ] {
            assert!(matches!(bad.contributions(&log), Err(OffPolicyError::Parameter { .. })), "{bad}");
        }
        let heavy = Event { reward: 1e300, propensity: 1e-100, target: 1.0, model: None };
        let log = Log::new([heavy]).unwrap();
        assert_eq!(Estimator::Ips.contributions(&log), Err(OffPolicyError::Overflow));
    }
}
