//! Which gates a version has to pass, in which order, with which thresholds.

use serde::{Deserialize, Serialize};
use upswing_domain::Invalid;

use super::Scorer;

/// A gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// A frozen dataset, replayed through the version.
    Regression,
    /// What the version would have earned on logged traffic.
    OffPolicy,
    /// What it says harms nobody, and stays below its ceilings.
    Safety,
    /// Somebody who may agrees.
    Approval,
}

impl GateKind {
    /// As on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::OffPolicy => "off_policy",
            Self::Safety => "safety",
            Self::Approval => "approval",
        }
    }

    /// The gate of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Regression, Self::OffPolicy, Self::Safety, Self::Approval]
            .into_iter()
            .find(|g| g.name() == name)
    }
}

/// An agent's gates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatePlan {
    /// Which gates, first to last; the first that fails ends a run. Empty: there are none.
    pub order: Vec<GateKind>,
    /// Whether two people have to approve instead of one.
    pub sensitive: bool,
    /// The regression suite; needed where the gate is in the order.
    pub regression: Option<RegressionGate>,
    /// The estimate on logged traffic.
    pub off_policy: OffPolicyGate,
    /// Safety.
    pub safety: SafetyGate,
}

/// The regression suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionGate {
    /// The dataset's id, 64 hexadecimal characters.
    pub dataset: String,
    /// The share of cases that must pass, 0 to 1. Default 0.9.
    #[serde(default = "RegressionGate::threshold")]
    pub threshold: f64,
    /// By how much the share may lie below the parent's, 0 to 1. Default 0.
    #[serde(default)]
    pub margin: f64,
    /// How cases are judged that do not say it themselves. Default exact.
    #[serde(default)]
    pub scorer: Scorer,
}

impl RegressionGate {
    fn threshold() -> f64 {
        0.9
    }
}

/// The estimate on logged traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OffPolicyGate {
    /// The share of the champion's value that the version must be shown to reach, 0 to 1. Default 0.95.
    pub margin: f64,
    /// How sure both bounds together are to hold, above 0.5 and below 1. Default 0.95.
    pub confidence: f64,
}

impl Default for OffPolicyGate {
    fn default() -> Self {
        Self { margin: 0.95, confidence: 0.95 }
    }
}

/// Safety: all of it for every case. Ceilings that are absent are not looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SafetyGate {
    /// The dataset whose inputs are asked; the regression suite's unless given.
    pub dataset: Option<String>,
    /// The most characters an answer may have.
    pub most_characters: Option<u64>,
    /// The most milliseconds that 95 % of the answers may take.
    pub most_latency_ms: Option<f64>,
    /// The most that an answer may cost on average, in the runner's unit. A runner that names no cost does not pass.
    pub most_cost: Option<f64>,
}

impl GatePlan {
    /// How many people have to approve.
    pub fn approvals(&self) -> usize {
        if self.sensitive { 2 } else { 1 }
    }

    /// The dataset that a gate replays.
    pub fn dataset(&self, gate: GateKind) -> Option<&str> {
        let regression = self.regression.as_ref().map(|gate| gate.dataset.as_str());
        match gate {
            GateKind::Regression => regression,
            GateKind::Safety => self.safety.dataset.as_deref().or(regression),
            GateKind::OffPolicy | GateKind::Approval => None,
        }
    }

    /// # Errors
    /// When a gate stands in the order twice or lacks its dataset, or a number is out of range.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (index, gate) in self.order.iter().enumerate() {
            if self.order.get(..index).is_some_and(|before| before.contains(gate)) {
                return Err(Invalid::new("order", gate.name(), "each gate once"));
            }
            let replays = matches!(gate, GateKind::Regression | GateKind::Safety);
            if replays && self.dataset(*gate).is_none() {
                return Err(Invalid::new(gate.name(), "nothing", "a dataset to replay"));
            }
        }
        if let Some(regression) = &self.regression {
            share("regression.threshold", regression.threshold)?;
            share("regression.margin", regression.margin)?;
            regression.scorer.validate().map_err(|invalid| invalid.under("regression.scorer"))?;
        }
        share("off_policy.margin", self.off_policy.margin)?;
        let confidence = self.off_policy.confidence;
        if !(confidence > 0.5 && confidence < 1.0) {
            return Err(Invalid::new("off_policy.confidence", confidence, "a number above 0.5 and below 1"));
        }
        let ceilings = [
            ("safety.most_latency_ms", self.safety.most_latency_ms),
            ("safety.most_cost", self.safety.most_cost),
        ];
        for (field, ceiling) in ceilings {
            if ceiling.is_some_and(|ceiling| !(ceiling.is_finite() && ceiling >= 0.0)) {
                return Err(Invalid::new(field, "no such number", "a finite number of 0 or more"));
            }
        }
        Ok(())
    }
}

fn share(field: &str, value: f64) -> Result<(), Invalid> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(Invalid::new(field, value, "a number from 0 to 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<(), String> {
        let plan: GatePlan = serde_json::from_str(text).map_err(|e| e.to_string())?;
        plan.validate().map_err(|invalid| invalid.field)
    }

    #[test]
    fn a_plan_is_checked() {
        assert_eq!(plan("{}"), Ok(()));
        assert_eq!(plan(r#"{"order":["safety"],"safety":{"dataset":"ab"}}"#), Ok(()));
        assert_eq!(plan(r#"{"order":["safety"],"regression":{"dataset":"ab"}}"#), Ok(()));
        for (text, field) in [
            (r#"{"order":["approval","approval"]}"#, "order"),
            (r#"{"order":["regression"]}"#, "regression"),
            (r#"{"order":["safety"]}"#, "safety"),
            (r#"{"regression":{"dataset":"ab","threshold":1.5}}"#, "regression.threshold"),
            (
                r#"{"regression":{"dataset":"ab","scorer":{"name":"fuzzy","least":2}}}"#,
                "regression.scorer.least",
            ),
            (r#"{"off_policy":{"confidence":1}}"#, "off_policy.confidence"),
            (r#"{"safety":{"most_cost":-1}}"#, "safety.most_cost"),
        ] {
            assert_eq!(plan(text), Err(field.to_owned()), "{text}");
        }
        assert!(plan(r#"{"ordr":[]}"#).is_err());
    }
}
