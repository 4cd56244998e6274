//! Sums of a file: what other tools keep of an experiment. The e-process needs the order of units, and is left out.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use upswing_domain::{MetricKind, MetricRole, SequentialMethod, Timestamp};
use upswing_learn::evaluate::{Sums, Tally, analyse};

use super::metric::MetricSpec;
use super::plan::Asked;
use super::units::Analysed;
use crate::failure::Failure;

const FORM: &str = "each arm: {\"name\": \"control\", \"n\": 1000, \"sum\": 200, \"sum_squares\": 200}, or \
                    {\"name\": \"control\", \"metrics\": {\"revenue\": {\"n\": ..., \"sum\": ..., \"sum_squares\": ...}}}";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOfSums {
    arms: Vec<ArmOfSums>,
    /// What the sums are of, where arms have only one metric.
    metric: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ArmOfSums {
    name: String,
    metrics: Option<serde_json::Map<String, Value>>,
    #[serde(flatten)]
    own: BTreeMap<String, Value>,
}

/// One metric of one arm. A ratio has denominators beside it, an adjusted mean what was known before.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricOfSums {
    n: u64,
    /// Of a proportion: how many successes.
    sum: f64,
    sum_squares: Option<f64>,
    denominator_sum: Option<f64>,
    denominator_sum_squares: Option<f64>,
    covariate_sum: Option<f64>,
    covariate_sum_squares: Option<f64>,
    /// Of the metric with the denominator or the covariate.
    product_sum: Option<f64>,
}

impl MetricOfSums {
    fn kind(&self) -> MetricKind {
        match (self.sum_squares, self.denominator_sum) {
            (_, Some(_)) => MetricKind::Ratio,
            (None, None) => MetricKind::Proportion,
            (Some(_), None) => MetricKind::Mean,
        }
    }

    fn other(&self) -> Option<[f64; 2]> {
        Some([
            self.denominator_sum.or(self.covariate_sum)?,
            self.denominator_sum_squares.or(self.covariate_sum_squares)?,
        ])
    }

    /// The sums, and those with the covariate.
    fn sums(&self) -> Result<(Sums, Sums), &'static str> {
        let squares = match self.sum_squares {
            Some(squares) => squares,
            None if (0.0..=self.n as f64).contains(&self.sum) => self.sum,
            None => return Err("without 'sum_squares' it is a proportion, whose 'sum' is from 0 to 'n'"),
        };
        // Cauchy and Schwarz; the last digits are the caller's rounding.
        if squares * self.n as f64 * (1.0 + 1e-9) < self.sum * self.sum {
            return Err("'sum_squares' is too small for 'sum' and 'n'");
        }
        let large = "a number is too large";
        let own = Sums::of(self.n, [self.sum, squares], [0.0; 2], 0.0).ok_or(large)?;
        let one_missing = "a denominator or a covariate needs its sum, its sum of squares and 'product_sum'";
        match (self.other(), self.product_sum) {
            (Some(other), Some(products)) => {
                let both = Sums::of(self.n, [self.sum, squares], other, products).ok_or(large)?;
                if self.denominator_sum.is_some() { Ok((both, Sums::default())) } else { Ok((own, both)) }
            }
            (None, None) if self.denominator_sum.is_none() && self.covariate_sum.is_none() => {
                Ok((own, Sums::default()))
            }
            _ => Err(one_missing),
        }
    }
}

/// Analyses sums.
pub(crate) fn analysed(value: Value, asked: &Asked) -> Result<Analysed, Failure> {
    let file: FileOfSums = serde_json::from_value(value)
        .map_err(|error| Failure::new(format!("the sums are not understood: {error}")).hint(FORM))?;
    let mut arms: Vec<(String, Vec<(String, MetricOfSums)>)> = Vec::with_capacity(file.arms.len());
    for arm in file.arms {
        let metrics = metrics(&arm, file.metric.as_deref().unwrap_or("metric"))?;
        if arms.iter().any(|(name, _)| *name == arm.name) {
            return Err(Failure::new(format!("two arms are called '{}'", arm.name)));
        }
        arms.push((arm.name, metrics));
    }
    let names = asked.order(arms.iter().map(|(name, _)| name.clone()).collect())?;
    arms.sort_by_key(|(name, _)| names.iter().position(|other| other == name));
    let specs = specs(asked, arms.first().map(|(_, metrics)| metrics.as_slice()).unwrap_or_default())?;
    let goal = specs.iter().position(|(spec, _)| spec.role == Some(MetricRole::Goal)).unwrap_or(0);
    let metrics = specs.iter().enumerate().map(|(place, (spec, kind))| {
        let role = if place == goal { MetricRole::Goal } else { spec.role.unwrap_or_default() };
        let mut metric = spec.metric(*kind, role);
        metric.method = Some(SequentialMethod::Asymptotic);
        if *kind == MetricKind::Ratio && metric.denominator.is_none() {
            metric.denominator = Some("denominator".to_owned());
        }
        metric
    });
    let (plan, allocations) = asked.plan(&names, metrics.collect())?;
    let mut tally = Tally::new(&plan);
    for (place, (arm, of_arm)) in arms.iter().enumerate() {
        for (metric, (spec, _)) in tally.metrics.iter_mut().zip(&specs) {
            let complain =
                |why: &str| Failure::new(format!("arm '{arm}', metric '{}': {why}", spec.name)).hint(FORM);
            let sums = of_arm.iter().find(|(name, _)| *name == spec.name);
            let (_, sums) = sums.ok_or_else(|| complain("there is none, though the control has it"))?;
            let (own, adjusted) = sums.sums().map_err(complain)?;
            let exposed = tally.exposed.entry(1).or_insert_with(|| vec![0; arms.len()]);
            if let (Some(tally), Some(exposed)) = (metric.arms.get_mut(place), exposed.get_mut(place)) {
                (tally.sums, tally.adjusted) = (own, adjusted);
                *exposed = (*exposed).max(sums.n);
            }
        }
    }
    let results = analyse(&plan, &allocations, &tally, None, Timestamp(0));
    let mut notes = vec![
        format!("'{}' is the control", names.first().map_or("", String::as_str)),
        "sums do not say in which order units came: judged by the asymptotic sequence, without the e-process"
            .to_owned(),
    ];
    if results.sample_ratio.mismatch && asked.weights.is_empty() {
        notes.push(
            "arms were taken to have equal shares; where they were assigned others, name them with --weight"
                .to_owned(),
        );
    }
    Ok(Analysed { arms: names, results, notes })
}

fn metrics(arm: &ArmOfSums, name: &str) -> Result<Vec<(String, MetricOfSums)>, Failure> {
    let read = |name: &str, value: Value| {
        serde_json::from_value(value)
            .map(|metric| (name.to_owned(), metric))
            .map_err(|error| Failure::new(format!("arm '{}', metric '{name}': {error}", arm.name)).hint(FORM))
    };
    match &arm.metrics {
        Some(metrics) => metrics.iter().map(|(name, value)| read(name, value.clone())).collect(),
        None => Ok(vec![read(name, Value::Object(arm.own.clone().into_iter().collect()))?]),
    }
}

/// The metrics with what is asked of them; all of the control's, where nothing is asked.
fn specs(asked: &Asked, found: &[(String, MetricOfSums)]) -> Result<Vec<(MetricSpec, MetricKind)>, Failure> {
    let mut specs = asked.specs();
    if specs.is_empty() {
        specs = found.iter().map(|(name, _)| MetricSpec::named(name)).collect();
        specs.iter_mut().for_each(|spec| asked.bound(spec));
    }
    specs
        .into_iter()
        .map(|spec| {
            let own = found.iter().find(|(name, _)| *name == spec.name).map(|(_, metric)| metric.kind());
            let kind = own.ok_or_else(|| {
                let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
                Failure::new(format!("there are no sums of metric '{}'", spec.name))
                    .hint(format!("--metric with one of {}", names.join(", ")))
            })?;
            if spec.kind == Some(MetricKind::Quantile) {
                return Err(Failure::new("a quantile does not follow from sums").hint("give the units"));
            }
            Ok((spec.clone(), spec.kind.unwrap_or(kind)))
        })
        .collect()
}
