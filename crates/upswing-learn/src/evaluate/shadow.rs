//! What both versions did on the same inputs, all pairs together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use upswing_domain::{
    Did, Direction, ExperimentMetric, MetricKind, PairedDifference, RolloutPlan, ShadowFindings, ShadowPair,
    is_of_executions,
};
use upswing_stats::sequential::{Alpha, AsymptoticSequence, PairedInterval, PairedTest};

use super::{Sums, TallyError};

/// Changes when the layout of [`ShadowTally`], or what is counted, changes.
pub const SHADOW_VERSION: u16 = 1;

/// So many metrics are compared, those that are seen first; an execution carries as many at most.
const MOST_METRICS: usize = 64;
/// Below so many pairs the central limit theorem says nothing.
const LEAST_PAIRS: i64 = 50;
/// Intervals of metrics without bounds are narrowest at so many pairs.
const PLANNED: f64 = 1_000.0;

/// One value that is saved with the position it has read up to. Its size grows with metrics, not with pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowTally {
    version: u16,
    pairs: u64,
    /// Pairs of which both said something, and those of them that said the same.
    outputs: u64,
    same: u64,
    /// The plan's guardrails that executions carry, in its order.
    guardrails: Vec<Guardrail>,
    /// Every metric, by its source.
    metrics: BTreeMap<String, Differences>,
}

/// A guardrail, in its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Guardrail {
    /// Pairs in which what was served carries it.
    carried: u64,
    differences: Differences,
    test: PairedTest,
}

/// Differences of pairs, new less current.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Differences {
    /// The difference, and the current version's value.
    sums: Sums,
    /// Where values have bounds.
    interval: Option<PairedInterval>,
}

impl Differences {
    fn add(&mut self, current: f64, shadow: f64, range: Option<f64>) {
        let difference = shadow - current;
        self.sums.add(difference, current);
        if let Some(range) = range {
            let unit = (0.5 + difference / (2.0 * range)).clamp(0.0, 1.0);
            // It lies in [0, 1], so it is not refused.
            let _refused = self.interval.get_or_insert_default().observe(unit);
        }
    }

    fn told(&self, name: &str, range: Option<f64>, alpha: Alpha) -> PairedDifference {
        let n = self.sums.n;
        let difference = self.sums.mean();
        let current = self.sums.other_sample().map(|sample| sample.average());
        let exact = self.interval.as_ref().zip(range).and_then(|(interval, range)| {
            let [low, high] = interval.interval(alpha).ok()?;
            Some([(2.0 * low - 1.0) * range, (2.0 * high - 1.0) * range])
        });
        let asymptotic = || {
            let deviation = self.sums.sample()?.variance()?.sqrt();
            // Where nothing has varied yet, nothing is known of how much it does.
            let known = n >= LEAST_PAIRS && deviation > 0.0;
            let sequence = AsymptoticSequence::exact(PLANNED, alpha).ok().filter(|_| known)?;
            let half = sequence.half_width(deviation, n as f64).ok()?;
            Some([difference? - half, difference? + half])
        };
        let ends = if range.is_some() { exact } else { asymptotic() };
        PairedDifference {
            name: name.to_owned(),
            pairs: u64::try_from(n).unwrap_or(0),
            current,
            shadow: current.zip(difference).map(|(current, difference)| current + difference),
            difference,
            low: ends.map(|[low, _]| low),
            high: ends.map(|[_, high]| high),
            method: if range.is_some() { "exact" } else { "asymptotic" },
            e_value: None,
        }
    }
}

fn guardrails(plan: &RolloutPlan) -> impl Iterator<Item = &ExperimentMetric> {
    plan.guardrails.iter().filter(|metric| is_of_executions(metric))
}

/// A guardrail's outcome, from 0 to 1; `None` where the execution does not say.
fn outcome(metric: &ExperimentMetric, did: &Did) -> Option<f64> {
    let value = did.value(metric.source())?;
    let [low, high] = metric.outcome_bounds()?;
    let value = if metric.kind == MetricKind::Proportion { f64::from(u8::from(value > 0.0)) } else { value };
    Some((value.clamp(low, high) - low) / (high - low))
}

/// The difference between a metric's bounds, where its source has any by itself.
fn range_of(source: &str) -> Option<f64> {
    (source == "error").then_some(1.0)
}

impl ShadowTally {
    /// Of a shadow in which nothing was compared yet.
    pub fn new(plan: &RolloutPlan) -> Self {
        let guardrails = guardrails(plan).map(|_| Guardrail::default()).collect();
        let metrics = BTreeMap::new();
        Self { version: SHADOW_VERSION, pairs: 0, outputs: 0, same: 0, guardrails, metrics }
    }

    /// Takes one pair. What one of both does not say is no value of either: it is left out.
    pub fn take(&mut self, plan: &RolloutPlan, pair: &ShadowPair) {
        self.pairs += 1;
        self.outputs += u64::from(pair.same.is_some());
        self.same += u64::from(pair.same == Some(true));
        for (metric, guardrail) in guardrails(plan).zip(&mut self.guardrails) {
            let Some(current) = outcome(metric, &pair.current) else { continue };
            guardrail.carried += 1;
            let Some(shadow) = outcome(metric, &pair.shadow) else { continue };
            guardrail.differences.add(current, shadow, Some(1.0));
            let worse = match metric.direction {
                Direction::Decrease => shadow - current,
                Direction::Increase => current - shadow,
            };
            // Both lie in [0, 1], so it is not refused.
            let _refused = guardrail.test.observe(worse);
        }
        for source in std::iter::once("error").chain(pair.current.metrics.keys().map(String::as_str)) {
            let (Some(current), Some(shadow)) = (pair.current.value(source), pair.shadow.value(source))
            else {
                continue;
            };
            if self.metrics.len() < MOST_METRICS || self.metrics.contains_key(source) {
                let differences = self.metrics.entry(source.to_owned()).or_default();
                differences.add(current, shadow, range_of(source));
            }
        }
    }

    /// What has been seen. O(metrics).
    pub fn findings(&self, plan: &RolloutPlan) -> ShadowFindings {
        let alpha = Alpha::new(plan.alpha).unwrap_or_default();
        let each = || guardrails(plan).zip(&self.guardrails);
        // What what is served does not carry either is not for a shadow to show.
        let carried = each().filter(|(_, guardrail)| guardrail.carried > 0);
        let least = carried
            .min_by_key(|(_, guardrail)| guardrail.differences.sums.n)
            .map(|(metric, guardrail)| (metric.name.clone(), guardrail.differences.sums.n));
        let first = || (guardrails(plan).next().map_or_else(String::new, |metric| metric.name.clone()), 0);
        let (least, judged) = least.unwrap_or_else(first);
        let count = self.guardrails.len().max(1) as f64;
        let e_value =
            self.guardrails.iter().map(|guardrail| guardrail.test.log_e().exp()).sum::<f64>() / count;
        let worst = each().max_by(|(_, a), (_, b)| a.test.log_e().total_cmp(&b.test.log_e()));
        let told = |(metric, guardrail): (&ExperimentMetric, &Guardrail)| {
            let range = metric.outcome_bounds().map_or(1.0, |[low, high]| high - low);
            let low = metric.outcome_bounds().map_or(0.0, |[low, _]| low);
            let told = guardrail.differences.told(&metric.name, Some(1.0), alpha);
            let value = |value: Option<f64>| value.map(|value| low + value * range);
            let difference = |value: Option<f64>| value.map(|value| value * range);
            PairedDifference {
                current: value(told.current),
                shadow: value(told.shadow),
                difference: difference(told.difference),
                low: difference(told.low),
                high: difference(told.high),
                e_value: Some(guardrail.test.log_e().exp()),
                ..told
            }
        };
        ShadowFindings {
            pairs: self.pairs,
            judged: u64::try_from(judged).unwrap_or(0),
            least,
            outputs: self.outputs,
            agreement: (self.outputs > 0).then(|| self.same as f64 / self.outputs as f64),
            e_value,
            worst: worst.map_or_else(String::new, |(metric, _)| metric.name.clone()),
            guardrails: each().map(told).collect(),
            metrics: self
                .metrics
                .iter()
                .map(|(source, differences)| differences.told(source, range_of(source), alpha))
                .collect(),
        }
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads what [`ShadowTally::to_bytes`] wrote.
    ///
    /// # Errors
    /// When another program wrote it, or it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TallyError> {
        let corrupt = |error: postcard::Error| TallyError::Corrupt(error.to_string());
        let (version, _) = postcard::take_from_bytes::<u16>(bytes).map_err(corrupt)?;
        if version != SHADOW_VERSION {
            return Err(TallyError::Version(version));
        }
        postcard::from_bytes(bytes).map_err(corrupt)
    }
}

#[cfg(test)]
mod tests {
    use upswing_domain::{DecisionId, ExecutionId};

    use super::*;

    fn did(failed: bool, latency: Option<f64>) -> Did {
        Did { failed, metrics: latency.map(|ms| ("latency_ms".to_owned(), ms)).into_iter().collect() }
    }

    fn pair(current: Did, shadow: Did, same: Option<bool>) -> ShadowPair {
        let (decision, execution) = (DecisionId(Default::default()), ExecutionId(Default::default()));
        ShadowPair { decision, execution, current, shadow, same }
    }

    fn plan() -> RolloutPlan {
        let mut plan = RolloutPlan::default();
        let mut latency = plan.guardrails[0].clone();
        latency.name = "slow".to_owned();
        latency.source = "latency_ms".to_owned();
        latency.kind = MetricKind::Mean;
        latency.bounds = Some([0.0, 1_000.0]);
        let mut rated = latency.clone();
        rated.name = "rated".to_owned();
        rated.source = "rating".to_owned();
        plan.guardrails.extend([latency, rated]);
        plan
    }

    #[test]
    fn pairs_come_to_differences_in_the_metrics_own_units() {
        let plan = plan();
        let mut tally = ShadowTally::new(&plan);
        for n in 0..200 {
            let slower = 100.0 + f64::from(n % 10);
            tally
                .take(&plan, &pair(did(false, Some(100.0)), did(n % 4 == 0, Some(slower)), Some(n % 2 == 0)));
        }
        let found = tally.findings(&plan);
        assert_eq!((found.pairs, found.judged, found.outputs, found.agreement), (200, 200, 200, Some(0.5)));
        let names: Vec<&str> = found.guardrails.iter().map(|guardrail| guardrail.name.as_str()).collect();
        assert_eq!(names, ["error", "slow"], "nobody rates a shadow");
        assert_eq!(found.worst, "error");
        assert!(found.e_value > 1e6, "{}", found.e_value);
        for (of, expected) in
            [(&found.guardrails[1], 4.5), (&found.metrics[1], 4.5), (&found.metrics[0], 0.25)]
        {
            let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-6;
            assert!(near(of.difference, expected), "{of:?}");
            assert!(of.low.unwrap() < expected && expected < of.high.unwrap(), "{of:?}");
        }
        // Half a second of a second of bounds is known less well than what really varies.
        assert_eq!((found.guardrails[1].method, found.metrics[1].method), ("exact", "asymptotic"));
        let restored = ShadowTally::from_bytes(&tally.to_bytes()).unwrap();
        assert_eq!(restored, tally);
        assert!(ShadowTally::from_bytes(&[9, 9]).is_err() && ShadowTally::from_bytes(&[]).is_err());
    }

    #[test]
    fn what_is_not_said_is_no_zero_and_holds_the_shadow_back() {
        let plan = plan();
        let mut tally = ShadowTally::new(&plan);
        let nothing = tally.findings(&plan);
        assert_eq!((nothing.judged, nothing.least.as_str(), nothing.agreement), (0, "error", None));
        // Nobody reports how slow it was: that is not for the shadow to show.
        tally.take(&plan, &pair(did(false, None), did(false, None), None));
        assert_eq!(tally.findings(&plan).judged, 1);
        // What is served says it, the shadow does not.
        tally.take(&plan, &pair(did(false, Some(3.0)), did(false, None), None));
        let found = tally.findings(&plan);
        assert_eq!((found.judged, found.least.as_str(), found.guardrails[1].pairs), (0, "slow", 0));
        assert_eq!(found.guardrails[1].difference, None);
        assert!((found.e_value - 1.0).abs() < 1e-12);
    }
}
