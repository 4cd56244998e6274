//! Experiments: versions compared on live traffic.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use upswing_domain::{
    Adaptive, AgentId, AssignmentUnit, Condition, Direction, Experiment, ExperimentAction, ExperimentArm,
    ExperimentId, ExperimentMetric, ExperimentPlan, ExperimentStatus, Holdout, Invalid, Layer, MetricKind,
    MetricRole, OrganisationId, Timestamp, Version, VersionId,
};
use upswing_learn::evaluate::{Results, Verdict, analyse, letter};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::gates;
use crate::jobs::experiments::current;
use crate::problem::{Code, Problem, Problems};
use crate::registry::AgentEntry;
use crate::routes::deploy::agents;
use crate::runtime::ids;
use crate::server::ExperimentDefaults;
use crate::wire::json::{Json, Params, Path, Vetted};
use crate::wire::page::PageParams;
use crate::wire::time;

/// Another split takes effect so much later where there are other servers, so that all of them know it by then.
const FENCE_SECONDS: i64 = 2;

/// An experiment to write down. Versions are named, or made of `control_config` and `treatment_config`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateExperimentRequest {
    /// For people; 1 to 200 characters.
    name: String,
    /// For people.
    #[serde(default)]
    description: String,
    /// What is expected, and why.
    #[serde(default)]
    hypothesis: String,
    /// Whose versions are compared.
    agent_id: Uuid,
    /// The control's configuration, instead of `arms`.
    #[schema(value_type = Option<Object>)]
    control_config: Option<serde_json::Value>,
    /// The treatment's configuration, instead of `arms`.
    #[schema(value_type = Option<Object>)]
    treatment_config: Option<serde_json::Value>,
    /// The control's share of the units in percent, with `control_config`.
    control_percentage: Option<f64>,
    /// The treatment's.
    treatment_percentage: Option<f64>,
    /// Two to twenty versions, the control first, instead of configurations.
    #[serde(default)]
    arms: Vec<ArmRequest>,
    /// No verdict before so many units have an outcome; as configured unless given, 1,000 where nothing is.
    min_sample_size: Option<u64>,
    /// No verdict before so many hours; as configured unless given, 168 where nothing is.
    min_duration_hours: Option<f64>,
    /// How often at most an experiment without effect may say that there is one; as configured unless given, 0.05 where
    /// nothing is.
    #[serde(alias = "significance_threshold")]
    significance: Option<f64>,
    /// `user` (the default), `session` or `execution`.
    #[serde(default)]
    #[schema(value_type = String)]
    unit: AssignmentUnit,
    /// What units are hashed with, to assign as another SDK does; the experiment's id unless given.
    seed: Option<String>,
    /// The share of units that takes part; 1 unless given.
    #[serde(default = "one")]
    #[schema(default = 1.0)]
    coverage: f64,
    /// A part of a layer: experiments in other parts of it never share a unit with this one.
    #[schema(value_type = Option<Object>)]
    layer: Option<Layer>,
    /// Units that are kept out of experiments, by a salt and a share of their own.
    #[schema(value_type = Option<Object>)]
    holdout: Option<Holdout>,
    /// Conditions on the context, all of which must hold.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    targeting: Vec<Condition>,
    /// What is measured; the mean reward, unless given. One has the role `goal`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    metrics: Vec<ExperimentMetric>,
    /// A context key with what was known of a unit before, to take its share of the variance out (CUPED).
    covariate: Option<String>,
    /// For how many units the asymptotic sequence is narrowest, and futility is judged; 5,000 unless given.
    #[serde(default = "five_thousand")]
    #[schema(default = 5000)]
    planned_units: u64,
    /// Lets the shares follow what is known: `{"floor": 0.05}`.
    #[schema(value_type = Option<Object>)]
    adaptive: Option<Adaptive>,
}

fn one() -> f64 {
    1.0
}
fn five_thousand() -> u64 {
    5_000
}

/// A version with its share.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArmRequest {
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its share of the units; the same for all, unless given.
    weight: Option<f64>,
}

/// An experiment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Experiment)]
pub(crate) struct ExperimentResponse {
    id: Uuid,
    /// Whose versions are compared.
    agent_id: Uuid,
    name: String,
    description: String,
    hypothesis: String,
    /// `draft`, `running`, `paused`, `stopped` or `archived`.
    status: &'static str,
    /// What is compared, on whom, by what; the control is the first of its `arms`.
    #[schema(value_type = Object)]
    plan: ExperimentPlan,
    /// The control's share in percent.
    control_percentage: f64,
    /// The first treatment's.
    treatment_percentage: f64,
    /// No verdict before so many units have an outcome.
    min_sample_size: u64,
    /// No verdict before so many hours.
    min_duration_hours: f64,
    /// Units that got the control.
    current_control_samples: u64,
    /// Units that got a treatment.
    current_treatment_samples: u64,
    /// The p-value of the goal, valid at every look; `null` before there are outcomes.
    statistical_significance: Option<f64>,
    /// `A` for the control, `B` for the treatment (`C`, ... for further ones); `null` before there is a verdict.
    winner: Option<String>,
    /// How often the split was made anew.
    allocation_epoch: i64,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stopped_at: Option<Timestamp>,
}

impl ExperimentResponse {
    pub(super) fn new(experiment: &Experiment, results: &Results) -> Self {
        let percent = |arm: usize| experiment.plan.arms.get(arm).map_or(0.0, |arm| arm.weight * 100.0);
        let goal = results.metrics.iter().find(|metric| metric.role == MetricRole::Goal);
        let p_values = goal.into_iter().flat_map(|goal| &goal.comparisons);
        let p_values = p_values.filter_map(|c| c.sequential.map(|s| s.adjusted_p_value));
        let winner = results.winner.filter(|_| results.verdict != Verdict::Inconclusive);
        Self {
            id: experiment.id.0,
            agent_id: experiment.agent.0,
            name: experiment.name.clone(),
            description: experiment.description.clone(),
            hypothesis: experiment.hypothesis.clone(),
            status: experiment.status.name(),
            control_percentage: percent(0),
            treatment_percentage: percent(1),
            min_sample_size: experiment.plan.minimum_units,
            min_duration_hours: experiment.plan.minimum_seconds as f64 / 3_600.0,
            current_control_samples: results.exposed.first().copied().unwrap_or(0),
            current_treatment_samples: results.exposed.iter().skip(1).sum(),
            statistical_significance: p_values.min_by(f64::total_cmp),
            winner: winner.map(|arm| letter(arm).to_string()),
            allocation_epoch: experiment.allocations.last().map_or(0, |allocation| allocation.epoch),
            created_at: experiment.created_at,
            started_at: experiment.started_at,
            stopped_at: experiment.stopped_at,
            plan: experiment.plan.clone(),
        }
    }
}

/// Experiments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentsResponse {
    /// Oldest first.
    experiments: Vec<ExperimentResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Which experiments.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct ExperimentsParams {
    /// Of one agent alone.
    agent_id: Option<Uuid>,
    /// In one state alone; without it, all but the archived ones.
    status: Option<String>,
}

/// What became of an experiment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentActedResponse {
    /// Whether it was done.
    success: bool,
    /// Where the experiment stands now.
    status: &'static str,
    /// The experiment.
    experiment: ExperimentResponse,
}

/// Why, and whether although.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopExperimentRequest {
    /// For people who look later; at most 1000 characters.
    #[serde(default)]
    reason: String,
    /// Stops also before the minimum duration; that it was so is recorded.
    #[serde(default)]
    confirm: bool,
}

/// Another split.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitExperimentRequest {
    /// The share of each arm, the control's first.
    weights: Vec<f64>,
    /// The share of units that takes part; as it was, unless given.
    coverage: Option<f64>,
}

/// Writes an experiment down, as a draft.
#[utoipa::path(
    post,
    path = "/api/learning/experiments",
    tag = "evaluate",
    operation_id = "create_experiment",
    request_body = CreateExperimentRequest,
    responses((status = 201, description = "The draft", body = ExperimentResponse), Problems)
)]
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Vetted(request): Vetted<CreateExperimentRequest>,
) -> Result<Response, Problem> {
    let agent = agents::find(&app, &caller, request.agent_id).map_err(|problem| problem.about("agent_id"))?;
    for (field, text, least, most) in [
        ("name", &request.name, 1, 200),
        ("description", &request.description, 0, 2_000),
        ("hypothesis", &request.hypothesis, 0, 2_000),
    ] {
        if !(least..=most).contains(&text.chars().count()) {
            return Err(Invalid::new(field, text, format!("{least} to {most} characters")).into());
        }
    }
    let now = app.now();
    let id = ExperimentId(ids::fresh(now));
    let (plan, fresh) = plan(&agent, &request, app.limits.experiments, id, now)?;
    let definition = agent.serving().state.agent.reward_definition.clone();
    plan.check(&|source| definition.metrics.contains_key(source))?;
    for version in fresh {
        app.store.add_version(caller.actor(now), version).await?;
    }
    let experiment = Experiment {
        id,
        agent: agent.id,
        name: request.name,
        description: request.description,
        hypothesis: request.hypothesis,
        status: ExperimentStatus::Draft,
        plan,
        allocations: Vec::new(),
        created_at: now,
        started_at: None,
        stopped_at: None,
    };
    let experiment = app.store.create_experiment(caller.actor(now), experiment).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    let response = respond(&app, caller.organisation(), &experiment).await?;
    Ok((StatusCode::CREATED, Json(response)).into_response())
}

/// The plan, and the versions that have to be stored first.
fn plan(
    agent: &AgentEntry,
    request: &CreateExperimentRequest,
    defaults: ExperimentDefaults,
    id: ExperimentId,
    now: Timestamp,
) -> Result<(ExperimentPlan, Vec<Version>), Problem> {
    let serving = agent.serving();
    let mut fresh = Vec::new();
    let arms = match (&request.control_config, &request.treatment_config, request.arms.is_empty()) {
        (Some(control), Some(treatment), true) => {
            let shares = [request.control_percentage, request.treatment_percentage];
            let [control_share, treatment_share] = match shares {
                [None, None] => [50.0, 50.0],
                [Some(control), None] => [control, 100.0 - control],
                [None, Some(treatment)] => [100.0 - treatment, treatment],
                [Some(control), Some(treatment)] => [control, treatment],
            };
            let mut arms = Vec::new();
            for (config, share, name) in
                [(control, control_share, "control"), (treatment, treatment_share, "treatment")]
            {
                let (version, config) = Version::content(config)?;
                if serving.arm(version).is_none() {
                    let label: String = request.name.chars().take(60).collect();
                    let short: String = id.to_string().chars().rev().take(8).collect();
                    fresh.push(Version {
                        id: version,
                        agent: agent.id,
                        label: format!("{label} ({name} {short})"),
                        config,
                        parents: serving.state.agent.champion.filter(|c| *c != version).into_iter().collect(),
                        eligible: false,
                        created_at: now,
                    });
                }
                arms.push(ExperimentArm { version, weight: share / 100.0 });
            }
            arms
        }
        (None, None, false) => {
            let equal = 1.0 / request.arms.len() as f64;
            let arm = |arm: &ArmRequest| {
                if serving.arm(arm.version).is_none() {
                    return Err(Problem::unknown_version(arm.version).about("arms"));
                }
                Ok(ExperimentArm { version: arm.version, weight: arm.weight.unwrap_or(equal) })
            };
            request.arms.iter().map(arm).collect::<Result<Vec<_>, _>>()?
        }
        _ => {
            let detail = "name the versions by arms, or by control_config and treatment_config";
            return Err(Problem::new(Code::InvalidBody, detail).about("arms"));
        }
    };
    let hours = request.min_duration_hours.unwrap_or(defaults.min_duration_hours);
    if !(0.0..=87_600.0).contains(&hours) {
        return Err(Invalid::new("min_duration_hours", hours, "0 to 87600 hours").into());
    }
    let reward = ExperimentMetric {
        name: "reward".to_owned(),
        source: String::new(),
        kind: MetricKind::Mean,
        role: MetricRole::Goal,
        direction: Direction::Increase,
        bounds: None,
        denominator: None,
        quantile: None,
        absence: Default::default(),
        window_seconds: None,
        minimum_effect: None,
        method: None,
    };
    let plan = ExperimentPlan {
        arms,
        unit: request.unit,
        seed: request.seed.clone().unwrap_or_else(|| id.to_string()),
        coverage: request.coverage,
        layer: request.layer.clone(),
        holdout: request.holdout.clone(),
        targeting: request.targeting.clone(),
        metrics: if request.metrics.is_empty() { vec![reward] } else { request.metrics.clone() },
        covariate: request.covariate.clone(),
        alpha: request.significance.unwrap_or(defaults.significance),
        minimum_units: request.min_sample_size.unwrap_or(defaults.min_samples),
        minimum_seconds: (hours * 3_600.0) as u64,
        planned_units: request.planned_units,
        adaptive: request.adaptive,
        rollout: None,
    };
    Ok((plan, fresh))
}

/// The experiments of the organisation.
#[utoipa::path(
    get,
    path = "/api/learning/experiments",
    tag = "evaluate",
    operation_id = "list_experiments",
    params(ExperimentsParams, PageParams),
    responses((status = 200, description = "A page of experiments", body = ExperimentsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(wanted): Params<ExperimentsParams>,
    Params(page): Params<PageParams>,
) -> Result<Json<ExperimentsResponse>, Problem> {
    let status = match &wanted.status {
        None => None,
        Some(name) => Some(
            ExperimentStatus::named(name)
                .ok_or_else(|| Invalid::new("status", name, "draft, running, paused, stopped or archived"))?,
        ),
    };
    let organisation = caller.organisation();
    let all = app.store.experiments(organisation, wanted.agent_id.map(AgentId)).await?;
    let of_status = |e: &&Experiment| match status {
        _ if e.plan.rollout.is_some() => false,
        Some(status) => e.status == status,
        None => e.status != ExperimentStatus::Archived,
    };
    let (found, next_cursor) = page.of(all.iter().filter(of_status).collect(), |e| e.id.to_string())?;
    let mut experiments = Vec::with_capacity(found.len());
    for experiment in found {
        experiments.push(respond(&app, organisation, experiment).await?);
    }
    Ok(Json(ExperimentsResponse { experiments, next_cursor }))
}

/// An experiment.
#[utoipa::path(
    get,
    path = "/api/learning/experiments/{experiment_id}",
    tag = "evaluate",
    operation_id = "get_experiment",
    params(("experiment_id" = Uuid, Path)),
    responses((status = 200, description = "The experiment", body = ExperimentResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExperimentResponse>, Problem> {
    let organisation = caller.organisation();
    let experiment = find(&app, organisation, id).await?;
    respond(&app, organisation, &experiment).await.map(Json)
}

/// An experiment that somebody made. What judges a rollout is the rollout's.
pub(super) async fn find(app: &App, organisation: OrganisationId, id: Uuid) -> Result<Experiment, Problem> {
    let experiment = app.store.experiment(organisation, ExperimentId(id)).await?;
    if experiment.plan.rollout.is_some() {
        return Err(Problem::not_found("experiment", id));
    }
    Ok(experiment)
}

async fn respond(
    app: &App,
    organisation: OrganisationId,
    experiment: &Experiment,
) -> Result<ExperimentResponse, Problem> {
    Ok(ExperimentResponse::new(experiment, &results(app, organisation, experiment).await?))
}

/// What is known of an experiment now.
pub(super) async fn results(
    app: &App,
    organisation: OrganisationId,
    experiment: &Experiment,
) -> Result<Results, Problem> {
    let tally = current(app, (organisation, experiment.agent), experiment).await?;
    let now = experiment.stopped_at.unwrap_or_else(|| app.now());
    Ok(analyse(&experiment.plan, &experiment.allocations, &tally, experiment.started_at, now))
}

async fn act(
    app: &App,
    caller: &Caller,
    id: Uuid,
    action: ExperimentAction,
    note: serde_json::Value,
) -> Result<Json<ExperimentActedResponse>, Problem> {
    let organisation = caller.organisation();
    let found = find(app, organisation, id).await?;
    let id = found.id;
    if action == ExperimentAction::Start {
        let champion =
            app.registry.agent(organisation, found.agent).and_then(|a| a.serving().state.agent.champion);
        for arm in found.plan.arms.iter().filter(|arm| Some(arm.version) != champion) {
            gates::require(app, organisation, found.agent, arm.version).await?;
        }
    }
    let experiment = app.store.act_on_experiment(caller.actor(app.now()), id, action, note).await?;
    app.registry.reload_agent(&app.store, organisation, experiment.agent).await?;
    let status = experiment.status.name();
    let experiment = respond(app, organisation, &experiment).await?;
    Ok(Json(ExperimentActedResponse { success: true, status, experiment }))
}

/// Starts an experiment, or lets a paused one go on.
#[utoipa::path(
    post,
    path = "/api/learning/experiments/{experiment_id}/start",
    tag = "evaluate",
    operation_id = "start_experiment",
    params(("experiment_id" = Uuid, Path)),
    responses((status = 200, description = "It runs", body = ExperimentActedResponse), Problems)
)]
pub(crate) async fn start(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExperimentActedResponse>, Problem> {
    act(&app, &caller, id, ExperimentAction::Start, json!({})).await
}

/// Assigns nobody for a while; what units do still counts.
#[utoipa::path(
    post,
    path = "/api/learning/experiments/{experiment_id}/pause",
    tag = "evaluate",
    operation_id = "pause_experiment",
    params(("experiment_id" = Uuid, Path)),
    responses((status = 200, description = "It is paused", body = ExperimentActedResponse), Problems)
)]
pub(crate) async fn pause(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExperimentActedResponse>, Problem> {
    act(&app, &caller, id, ExperimentAction::Pause, json!({})).await
}

/// Ends an experiment. Before its minimum duration this has to be confirmed.
#[utoipa::path(
    post,
    path = "/api/learning/experiments/{experiment_id}/stop",
    tag = "evaluate",
    operation_id = "stop_experiment",
    params(("experiment_id" = Uuid, Path)),
    request_body = Option<StopExperimentRequest>,
    responses((status = 200, description = "It has ended", body = ExperimentActedResponse), Problems)
)]
pub(crate) async fn stop(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    request: Option<Vetted<StopExperimentRequest>>,
) -> Result<Json<ExperimentActedResponse>, Problem> {
    let request = request.map(|Vetted(request)| request).unwrap_or_default();
    if request.reason.chars().count() > 1_000 {
        return Err(Invalid::new("reason", &request.reason, "at most 1000 characters").into());
    }
    let organisation = caller.organisation();
    let experiment = find(&app, organisation, id).await?;
    let minimum = i64::try_from(experiment.plan.minimum_seconds).unwrap_or(i64::MAX);
    let early = experiment.started_at.is_some_and(|started| app.now() < started.plus_seconds(minimum));
    if early && !request.confirm && experiment.status.after(ExperimentAction::Stop).is_ok() {
        let hours = experiment.plan.minimum_seconds as f64 / 3_600.0;
        let detail =
            format!("it was to run for {hours} hours; what is found before may change with the weekday");
        return Err(Problem::new(Code::MinimumDuration, detail).about("confirm"));
    }
    // What is known at the end is what stays.
    let results = results(&app, organisation, &experiment).await?;
    let note = json!({ "reason": request.reason, "before_minimum_duration": early,
        "verdict": results.verdict, "summary": results.summary });
    act(&app, &caller, id, ExperimentAction::Stop, note).await
}

/// Takes a draft or an ended experiment out of sight.
#[utoipa::path(
    post,
    path = "/api/learning/experiments/{experiment_id}/archive",
    tag = "evaluate",
    operation_id = "archive_experiment",
    params(("experiment_id" = Uuid, Path)),
    responses((status = 200, description = "It is archived", body = ExperimentActedResponse), Problems)
)]
pub(crate) async fn archive(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExperimentActedResponse>, Problem> {
    act(&app, &caller, id, ExperimentAction::Archive, json!({})).await
}

/// Gives an experiment another split, which moves no more units than it must.
///
/// Units keep counting for the arm of their first exposure. With several servers it takes effect two seconds later, so that
/// none assigns by the old split when another assigns by the new one.
#[utoipa::path(
    put,
    path = "/api/learning/experiments/{experiment_id}/split",
    tag = "evaluate",
    operation_id = "split_experiment",
    params(("experiment_id" = Uuid, Path)),
    request_body = SplitExperimentRequest,
    responses((status = 200, description = "The experiment", body = ExperimentResponse), Problems)
)]
pub(crate) async fn split(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(request): Json<SplitExperimentRequest>,
) -> Result<Json<ExperimentResponse>, Problem> {
    let organisation = caller.organisation();
    let experiment = find(&app, organisation, id).await?;
    let id = experiment.id;
    let coverage = match request.coverage {
        Some(coverage) => coverage,
        None => experiment.plan.coverage,
    };
    let now = app.now();
    let effective_at = effective_at(&app, now);
    let experiment =
        app.store.split_experiment(caller.actor(now), id, request.weights, coverage, effective_at).await?;
    app.registry.reload_agent(&app.store, organisation, experiment.agent).await?;
    respond(&app, organisation, &experiment).await.map(Json)
}

/// From when on another split holds.
pub(crate) fn effective_at(app: &App, now: Timestamp) -> Timestamp {
    if app.shared_database { now.plus_seconds(FENCE_SECONDS) } else { now }
}
