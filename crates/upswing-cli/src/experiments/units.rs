//! Units of a file, folded as a server folds them. The order of rows is the order in which outcomes were known.

use std::collections::HashMap;

use upswing_domain::{MetricKind, MetricRole, Timestamp};
use upswing_learn::evaluate::{Results, Tally, Unit, analyse};

use super::metric::MetricSpec;
use super::plan::Asked;
use super::table::Table;
use crate::failure::Failure;

/// What was analysed, and what came of it.
#[derive(Debug)]
pub(crate) struct Analysed {
    /// The arms' names, the control first.
    pub(crate) arms: Vec<String>,
    /// What came of it.
    pub(crate) results: Results,
    /// What a reader has to know besides.
    pub(crate) notes: Vec<String>,
}

/// A metric with the columns that its values stand in.
struct Column {
    spec: MetricSpec,
    place: usize,
    denominator: Option<usize>,
}

/// Analyses a table of units.
pub(crate) fn analysed(table: &Table, asked: &Asked) -> Result<Analysed, Failure> {
    let arm =
        ["arm", "version", "variant", "variation", "group"].into_iter().find_map(|name| table.column(name));
    let arm = arm.ok_or_else(|| {
        Failure::new(format!("no column says which arm a unit got; there are {}", table.columns.join(", ")))
            .hint("name that column 'arm' in the header")
    })?;
    let unit = table.column("unit");
    let named = |name: &str| {
        table.column(name).ok_or_else(|| {
            Failure::new(format!("there is no column '{name}'"))
                .hint(format!("the columns are {}", table.columns.join(", ")))
        })
    };
    let covariate = asked.covariate.as_deref().map(named).transpose()?;
    let taken = [Some(arm), unit, covariate];
    let columns = columns(table, asked, &taken)?;
    let found = arms(table, arm, unit)?;
    let arms = asked.order(found)?;
    let goal = columns.iter().position(|c| c.spec.role == Some(MetricRole::Goal)).unwrap_or(0);
    let mut metrics = Vec::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        let role = column.spec.role.unwrap_or_default();
        let role = if place == goal { MetricRole::Goal } else { role };
        metrics.push(column.spec.metric(kind(table, column)?, role));
    }
    let (plan, allocations) = asked.plan(&arms, metrics)?;
    let places: HashMap<&str, u16> = arms.iter().map(String::as_str).zip(0..).collect();
    let mut tally = Tally::new(&plan);
    for (row, second) in table.rows.iter().zip(0_i64..) {
        // Two seconds a row: exposed, and done a second later.
        let at = Timestamp(0).plus_seconds(2 * second);
        let mut unit = Unit::exposed(&plan, (places.get(row.text(arm)).copied(), 1), at, None, &[]);
        if let (Some(place), Some(name)) = (covariate, &asked.covariate) {
            unit.covariate = row.number(place, name)?;
        }
        tally.expose(&plan, &mut unit);
        for (column, metric) in columns.iter().zip(&plan.metrics) {
            let Some(value) = row.number(column.place, &column.spec.name)? else { continue };
            if let Some([low, high]) = metric.outcome_bounds().or(metric.bounds)
                && metric.kind != MetricKind::Proportion
                && !(low..=high).contains(&value)
            {
                return Err(Failure::new(format!(
                    "line {}, column '{}': {value} is not from {low} to {high}",
                    row.line, metric.name
                ))
                .hint(format!("say between which values it lies, as in --bounds {}=0,10", metric.name)));
            }
            let what = (metric.source(), value, 1);
            if metric.kind == MetricKind::Ratio {
                let name = metric.denominator.as_deref().unwrap_or_default();
                let below = column.denominator.map(|place| row.number(place, name)).transpose()?.flatten();
                let below = below.ok_or_else(|| {
                    Failure::new(format!(
                        "line {}: '{}' has a value, and '{name}' below it has none",
                        row.line, metric.name
                    ))
                })?;
                tally.take(&plan, &allocations, &mut unit, at, (name, below, 1));
            }
            tally.take(&plan, &allocations, &mut unit, at, what);
        }
        tally.close_due(&plan, &allocations, &mut unit, at.plus_seconds(1));
    }
    let results = analyse(&plan, &allocations, &tally, None, Timestamp(0));
    let mut notes = vec![format!("'{}' is the control", arms.first().map_or("", String::as_str))];
    if results.sample_ratio.mismatch && asked.weights.is_empty() {
        notes.push(
            "arms were taken to have equal shares; where they were assigned others, name them with --weight"
                .to_owned(),
        );
    }
    if asked.covariate.is_some() && plan.metrics.iter().any(|metric| metric.outcome_bounds().is_some()) {
        notes.push("the covariate narrows intervals; the e-process does not use it".to_owned());
    }
    Ok(Analysed { arms, results, notes })
}

/// The metrics: those that were asked for, or all columns of numbers.
fn columns(table: &Table, asked: &Asked, taken: &[Option<usize>]) -> Result<Vec<Column>, Failure> {
    let mut specs = asked.specs();
    if specs.is_empty() {
        // A column that begins with a number holds numbers: what is none further down is a mistake, and not another kind of column.
        let numbers = |place: &usize| {
            let first = table.rows.iter().find(|row| !row.text(*place).is_empty());
            first.is_some_and(|row| row.number(*place, "").is_ok())
        };
        let free = (0..table.columns.len()).filter(|place| !taken.contains(&Some(*place)));
        specs = free
            .filter(numbers)
            .filter_map(|place| table.columns.get(place))
            .map(|name| MetricSpec::named(name))
            .collect();
        specs.iter_mut().for_each(|spec| asked.bound(spec));
    }
    if specs.is_empty() {
        return Err(
            Failure::new("no column holds numbers to compare").hint("name one with --metric NAME:KIND")
        );
    }
    let place = |name: &str| {
        table.column(name).ok_or_else(|| {
            Failure::new(format!("metric '{name}' has no column"))
                .hint(format!("--metric with one of {}", table.columns.join(", ")))
        })
    };
    let asked_for = !asked.specs().is_empty();
    for (spec, row) in specs.iter().flat_map(|spec| table.rows.iter().map(move |row| (spec, row))) {
        row.number(place(&spec.name)?, &spec.name).map_err(|failure| {
            let which = "mend it, or say with --metric NAME which columns are to be compared";
            if asked_for { failure } else { failure.hint(which) }
        })?;
    }
    specs
        .into_iter()
        .map(|spec| {
            let denominator = spec.per.as_deref().map(place).transpose()?;
            Ok(Column { place: place(&spec.name)?, denominator, spec })
        })
        .collect()
}

/// What a column measures: of zeros and ones a proportion, otherwise a mean, unless it was said.
fn kind(table: &Table, column: &Column) -> Result<MetricKind, Failure> {
    if let Some(kind) = column.spec.kind {
        return Ok(kind);
    }
    let mut binary = column.spec.bounds.is_none();
    for row in &table.rows {
        let value = row.number(column.place, &column.spec.name)?;
        binary &= value.is_none_or(|value| value.abs() < f64::EPSILON || (value - 1.0).abs() < f64::EPSILON);
    }
    Ok(if binary { MetricKind::Proportion } else { MetricKind::Mean })
}

/// The arms in the order in which they occur; each unit stands in one row.
fn arms(table: &Table, arm: usize, unit: Option<usize>) -> Result<Vec<String>, Failure> {
    let mut found: Vec<String> = Vec::new();
    let mut units: HashMap<&str, usize> = HashMap::new();
    for row in &table.rows {
        let name = row.text(arm);
        if name.is_empty() {
            return Err(Failure::new(format!("line {}: the unit has no arm", row.line))
                .hint("leave units out that took no part"));
        }
        if !found.iter().any(|other| other == name) {
            found.push(name.to_owned());
            if found.len() > 20 {
                return Err(Failure::new(format!("line {}: '{name}' is the 21st arm", row.line))
                    .hint("20 arms are compared at most: is this the right column?"));
            }
        }
        if let Some(id) = unit.map(|unit| row.text(unit)).filter(|id| !id.is_empty())
            && let Some(before) = units.insert(id, row.line)
        {
            return Err(Failure::new(format!(
                "unit '{id}' stands on line {before} and on line {}",
                row.line
            ))
            .hint("sum up what each unit did in one row: rows of the same unit are not independent"));
        }
    }
    if found.len() < 2 {
        return Err(
            Failure::new(format!("there are {} arms", found.len())).hint("two or more are needed to compare")
        );
    }
    Ok(found)
}
