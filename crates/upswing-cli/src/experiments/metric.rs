//! Metrics as they are named on the command line.

use upswing_domain::{Absence, Direction, ExperimentMetric, MetricKind, MetricRole, SequentialMethod};

/// What may follow a metric's name.
pub(crate) const FORM: &str = "NAME:KIND, and after more colons: increase or decrease, goal, secondary or guardrail, \
                               bounds=LOW..HIGH, min=DIFFERENCE, per=COLUMN (of a ratio), q=0.95 (of a quantile), \
                               e_process or asymptotic";

/// A metric as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricSpec {
    /// The column.
    pub(crate) name: String,
    /// What is measured; by the values, unless given.
    pub(crate) kind: Option<MetricKind>,
    direction: Direction,
    /// What it is for; the first is the goal, unless another one is.
    pub(crate) role: Option<MetricRole>,
    /// The smallest and the largest value.
    pub(crate) bounds: Option<[f64; 2]>,
    minimum_effect: Option<f64>,
    /// Of a ratio: the column of the denominators.
    pub(crate) per: Option<String>,
    quantile: Option<f64>,
    method: Option<SequentialMethod>,
}

impl MetricSpec {
    /// A metric of which only the name is known.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: None,
            direction: Direction::Increase,
            role: None,
            bounds: None,
            minimum_effect: None,
            per: None,
            quantile: None,
            method: None,
        }
    }

    /// The experiment's metric. A row is a unit that is summed up: its window ends with it.
    pub(crate) fn metric(&self, kind: MetricKind, role: MetricRole) -> ExperimentMetric {
        ExperimentMetric {
            name: self.name.clone(),
            source: String::new(),
            kind,
            role,
            direction: self.direction,
            bounds: self.bounds,
            denominator: self.per.clone(),
            quantile: self.quantile,
            absence: Absence::Missing,
            window_seconds: Some(1),
            minimum_effect: self.minimum_effect,
            method: self.method,
        }
    }
}

impl std::str::FromStr for MetricSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let mut spec = Self::named(parts.next().unwrap_or_default().trim());
        if spec.name.is_empty() {
            return Err(format!("'{text}' names no column: {FORM}"));
        }
        for part in parts.map(str::trim) {
            spec.take(part).ok_or_else(|| format!("'{part}' of '{text}' is not understood: {FORM}"))?;
        }
        Ok(spec)
    }
}

impl MetricSpec {
    fn take(&mut self, part: &str) -> Option<()> {
        if let Some((key, value)) = part.split_once('=') {
            match key {
                "bounds" => self.bounds = Some(range(value)?),
                "min" => self.minimum_effect = Some(value.parse().ok()?),
                "per" => self.per = Some(value.to_owned()),
                "q" => self.quantile = Some(value.parse().ok()?),
                _ => return None,
            }
            return Some(());
        }
        match part {
            "proportion" => self.kind = Some(MetricKind::Proportion),
            "mean" => self.kind = Some(MetricKind::Mean),
            "ratio" => self.kind = Some(MetricKind::Ratio),
            "count" => self.kind = Some(MetricKind::Count),
            "duration" => self.kind = Some(MetricKind::Duration),
            "quantile" => self.kind = Some(MetricKind::Quantile),
            "increase" => self.direction = Direction::Increase,
            "decrease" => self.direction = Direction::Decrease,
            "goal" => self.role = Some(MetricRole::Goal),
            "secondary" => self.role = Some(MetricRole::Secondary),
            "guardrail" => self.role = Some(MetricRole::Guardrail),
            "e_process" => self.method = Some(SequentialMethod::EProcess),
            "asymptotic" => self.method = Some(SequentialMethod::Asymptotic),
            _ => return None,
        }
        Some(())
    }
}

/// `LOW..HIGH` or `LOW,HIGH`.
pub(crate) fn range(text: &str) -> Option<[f64; 2]> {
    let (low, high) = text.split_once("..").or_else(|| text.split_once(','))?;
    let (low, high): (f64, f64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low < high && (high - low).is_finite()).then_some([low, high])
}

/// `NAME=LOW,HIGH`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bounds {
    /// The metric.
    pub(crate) metric: String,
    /// Its smallest and its largest value.
    pub(crate) bounds: [f64; 2],
}

impl std::str::FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.split_once('=').and_then(|(metric, bounds)| Some((metric, range(bounds)?)));
        let (metric, bounds) = found.ok_or_else(|| {
            format!("'{text}' is not NAME=LOW,HIGH with two numbers, the smaller one first")
        })?;
        Ok(Self { metric: metric.trim().to_owned(), bounds })
    }
}

/// `ARM=SHARE`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weight {
    /// The arm.
    pub(crate) arm: String,
    /// Its share of the units.
    pub(crate) share: f64,
}

impl std::str::FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.split_once('=').and_then(|(arm, share)| Some((arm, share.trim().parse().ok()?)));
        let (arm, share) = found.ok_or_else(|| format!("'{text}' is not ARM=SHARE, as in treatment=0.1"))?;
        Ok(Self { arm: arm.trim().to_owned(), share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_with_all_that_may_follow_its_name() {
        let spec: MetricSpec = "latency:quantile:q=0.95:decrease:guardrail:min=5".parse().unwrap();
        let metric = spec.metric(spec.kind.unwrap(), spec.role.unwrap());
        assert_eq!((metric.kind, metric.role), (MetricKind::Quantile, MetricRole::Guardrail));
        assert_eq!((metric.quantile, metric.minimum_effect), (Some(0.95), Some(5.0)));
        let stars: MetricSpec = "stars:mean:bounds=1..5".parse().unwrap();
        assert_eq!(stars.bounds, Some([1.0, 5.0]));
        for wrong in ["", "a:sum", "a:bounds=5..1", "a:min=x", "a:what=1"] {
            let complaint = wrong.parse::<MetricSpec>().unwrap_err();
            assert!(complaint.contains("NAME:KIND"), "{complaint}");
        }
        assert!("a=1".parse::<Bounds>().is_err() && "a=0,10".parse::<Bounds>().is_ok());
        assert!("b".parse::<Weight>().is_err());
    }
}
