//! How many units, and days, an experiment takes.

use serde::{Deserialize, Serialize};
use upswing_learn::evaluate::{Planned, Planning};
use utoipa::ToSchema;

use crate::problem::{Code, Problem, Problems};
use crate::wire::json::Json;

/// What is expected of an experiment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PowerRequest {
    /// The control's mean, or rate.
    baseline: f64,
    /// The smallest difference that is to be found, in the metric's unit.
    effect: f64,
    /// The standard deviation of one unit; of a rate, that of the baseline, unless given.
    standard_deviation: Option<f64>,
    /// How often at most an experiment without effect may say that there is one; 0.05 unless given.
    alpha: Option<f64>,
    /// How often an effect of that size is to be found; 0.8 unless given.
    power: Option<f64>,
    /// The treatment's share of the units; 0.5 unless given.
    treatment_share: Option<f64>,
    /// New units a day, for the duration.
    units_a_day: Option<f64>,
}

/// How large an experiment has to be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PowerResponse {
    /// Units in all arms for one look at the end.
    fixed_horizon_units: f64,
    /// Units in all arms at most where it is looked at all the time; it often ends earlier.
    sequential_units: f64,
    /// Days for these, where `units_a_day` is known.
    sequential_days: Option<f64>,
}

/// How many units, and days, an experiment takes to find a difference.
#[utoipa::path(
    post,
    path = "/api/learning/power",
    tag = "evaluate",
    operation_id = "power",
    request_body = PowerRequest,
    responses((status = 200, description = "The size", body = PowerResponse), Problems)
)]
pub(crate) async fn power(Json(request): Json<PowerRequest>) -> Result<Json<PowerResponse>, Problem> {
    let planning = Planning {
        baseline: request.baseline,
        effect: request.effect,
        standard_deviation: request.standard_deviation,
        alpha: request.alpha.unwrap_or(0.05),
        power: request.power.unwrap_or(0.8),
        treatment_share: request.treatment_share.unwrap_or(0.5),
        units_a_day: request.units_a_day,
    };
    let Planned { fixed_horizon_units, sequential_units, sequential_days } =
        planning.plan().map_err(|error| Problem::new(Code::ValueOutOfRange, error.to_string()))?;
    Ok(Json(PowerResponse { fixed_horizon_units, sequential_units, sequential_days }))
}
