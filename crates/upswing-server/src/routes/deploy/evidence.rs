//! What a rollout was judged by, piece by piece, and the way back from a piece.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use upswing_domain::{
    ExecutionId, OrganisationId, Position, Reward, Rollout, RolloutId, RolloutState, Timestamp, VersionId,
};
use upswing_store::{EvidenceFeedback, RolloutEvidence, RolloutTransition, StoreError, StoredPair};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::wire::json::{Json, Params, Path};
use crate::wire::page::PageParams;
use crate::wire::time;

/// How many executions a record names of each version, the worst and the latest.
const NAMED: usize = 20;
/// Among how many of the latest decisions.
const LOOKED_AT: usize = 1_000;

/// The executions that a rollout was judged by, as its record names them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolloutEvidence)]
pub(crate) struct NamedEvidence {
    /// Of the new version.
    new: ArmEvidence,
    /// Of what was served otherwise.
    current: ArmEvidence,
    /// Pairs of the shadow; `null` for a rollout without one.
    shadow: Option<PairEvidence>,
    /// Among so many of the latest decisions the worst were looked for; `all` has the others.
    looked_at: usize,
    /// Where all of it is listed.
    all: String,
    /// Where all pairs of the shadow are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<String>,
}

/// One version's executions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArmEvidence {
    /// Those with an error first, then those with the least reward; none of which nothing is known.
    worst: Vec<EvidenceResponse>,
    /// The newest first.
    latest: Vec<EvidenceResponse>,
}

/// Pairs of a shadow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairEvidence {
    /// Those in which the new version alone failed, then those in which both did.
    worst: Vec<PairResponse>,
    /// The newest first.
    latest: Vec<PairResponse>,
}

/// An execution with what was said of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(crate) struct EvidenceResponse {
    /// The decision.
    decision_id: Uuid,
    /// Where it stands.
    position: i64,
    /// `new` or `current`.
    arm: &'static str,
    /// What ran.
    #[schema(value_type = String)]
    version: VersionId,
    /// When it was decided.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    decided_at: Timestamp,
    /// The execution; `null` while none has been reported.
    execution_id: Option<Uuid>,
    /// Where it is; `null` while there is none.
    execution: Option<String>,
    /// What went wrong, if anything.
    error: Option<String>,
    /// Its reward now; `null` where nothing is known.
    reward: Option<f64>,
    /// What was said of it while the rollout was under way, oldest first.
    feedback: Vec<SaidResponse>,
}

/// A piece of feedback.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EvidenceFeedback)]
pub(crate) struct SaidResponse {
    /// Its id.
    feedback_id: Uuid,
    /// As in feedback.
    feedback_type: &'static str,
    /// `user`, `expert`, `program` or `absence`.
    source: &'static str,
    /// Its stars, where it has any.
    rating: Option<i64>,
    /// Whether it counts.
    counts: bool,
    /// What became of it, with the rollouts it took part in.
    effects: String,
}

/// A decision that both versions were executed for.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Pair)]
pub(crate) struct PairResponse {
    /// The decision.
    decision_id: Uuid,
    /// Where the shadow's report stands.
    position: i64,
    /// The execution of what was served.
    execution_id: Uuid,
    /// Where it is.
    execution: String,
    /// What was served did.
    current: DidResponse,
    /// What the new version did.
    shadow: DidResponse,
    /// Whether both said the same; `null` where one of them did not report what it said.
    same: Option<bool>,
}

/// What one execution of a pair did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DidResponse {
    /// What went wrong, if anything.
    error: Option<String>,
    /// Its measurements.
    metrics: BTreeMap<String, f64>,
}

/// A page of what a rollout was judged by.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidencePage {
    /// The newest decision first.
    evidence: Vec<EvidenceResponse>,
    /// The next page; `null` on the last.
    next_cursor: Option<String>,
}

/// A page of a shadow's pairs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairsPage {
    /// The newest first.
    pairs: Vec<PairResponse>,
    /// The next page; `null` on the last.
    next_cursor: Option<String>,
}

/// A rollout that a piece of feedback took part in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TookPart {
    /// The rollout.
    rollout_id: Uuid,
    /// `new` or `current`: of which version it spoke.
    arm: &'static str,
    /// The version that was rolled out.
    #[schema(value_type = String)]
    version: VersionId,
    /// Where it stands: `running`, `held`, `promoted` or `rolled_back`.
    state: &'static str,
    /// Where its decision record is.
    record: String,
}

impl From<RolloutEvidence> for EvidenceResponse {
    fn from(found: RolloutEvidence) -> Self {
        let execution = Some(found.execution.0).filter(|_| found.reported);
        Self {
            decision_id: found.decision.0,
            position: found.position.0,
            arm: arm(found.new),
            version: found.version,
            decided_at: found.at,
            execution_id: execution,
            execution: execution.map(of_execution),
            error: found.error,
            reward: found.reward.map(Reward::get),
            feedback: found.feedback.into_iter().map(SaidResponse::from).collect(),
        }
    }
}

impl From<EvidenceFeedback> for SaidResponse {
    fn from(said: EvidenceFeedback) -> Self {
        Self {
            feedback_id: said.id.0,
            feedback_type: said.feedback_type.name(),
            source: said.source.name(),
            rating: said.rating,
            counts: said.counts,
            effects: format!("/api/learning/feedback/{}/effects", said.id),
        }
    }
}

impl From<StoredPair> for PairResponse {
    fn from(pair: StoredPair) -> Self {
        let did = |(error, metrics)| DidResponse { error, metrics };
        Self {
            decision_id: pair.decision.0,
            position: pair.position.0,
            execution_id: pair.execution.0,
            execution: of_execution(pair.execution.0),
            current: did(pair.current),
            shadow: did(pair.shadow),
            same: pair.same,
        }
    }
}

fn arm(new: bool) -> &'static str {
    if new { "new" } else { "current" }
}

fn of_execution(id: Uuid) -> String {
    format!("/api/learning/executions/{id}")
}

/// When a rollout was over: what came later was no evidence.
fn ended(transitions: &[RolloutTransition]) -> Option<Timestamp> {
    let mut over = transitions.iter().filter(|transition| !transition.state.active());
    over.next().map(|transition| transition.at)
}

/// What a rollout's record names: the worst and the latest of each version, among the latest decisions.
pub(super) async fn named(
    app: &App,
    organisation: OrganisationId,
    rollout: &Rollout,
    transitions: &[RolloutTransition],
) -> Result<NamedEvidence, Problem> {
    let range = (None, ended(transitions));
    let found = app.store.rollout_evidence(organisation, rollout, range, LOOKED_AT).await?;
    let (new, current): (Vec<_>, Vec<_>) =
        found.into_iter().map(EvidenceResponse::from).partition(|found| found.arm == arm(true));
    let path = |rest: &str| format!("/api/learning/rollouts/{}/{rest}", rollout.id);
    let planned = rollout.plan.shadow.is_some();
    let shadow = match planned {
        true => {
            let pairs = app.store.shadow_pairs(organisation, rollout.id, None, LOOKED_AT).await?;
            Some(PairEvidence::of(pairs.into_iter().map(PairResponse::from).collect()))
        }
        false => None,
    };
    Ok(NamedEvidence {
        new: ArmEvidence::of(new),
        current: ArmEvidence::of(current),
        shadow,
        looked_at: LOOKED_AT,
        all: path("evidence"),
        pairs: planned.then(|| path("pairs")),
    })
}

impl NamedEvidence {
    /// Where all of it is listed.
    pub(super) fn all(&self) -> &str {
        &self.all
    }
}

impl ArmEvidence {
    /// Of executions, the newest first.
    fn of(found: Vec<EvidenceResponse>) -> Self {
        let mut known: Vec<_> = found.iter().filter(|e| e.error.is_some() || e.reward.is_some()).collect();
        // Stable: of equally bad ones the newest comes first.
        known.sort_by(|a, b| {
            let reward = |e: &EvidenceResponse| e.reward.unwrap_or(0.0);
            b.error.is_some().cmp(&a.error.is_some()).then(reward(a).total_cmp(&reward(b)))
        });
        let worst = known.into_iter().take(NAMED).cloned().collect();
        Self { worst, latest: found.into_iter().take(NAMED).collect() }
    }
}

impl PairEvidence {
    fn of(found: Vec<PairResponse>) -> Self {
        let harm = |pair: &PairResponse| match (&pair.shadow.error, &pair.current.error) {
            (Some(_), None) => Some(0),
            (Some(_), Some(_)) => Some(1),
            _ => None,
        };
        let mut worst: Vec<_> = found.iter().filter(|pair| harm(pair).is_some()).collect();
        worst.sort_by_key(|pair| harm(pair));
        let worst = worst.into_iter().take(NAMED).cloned().collect();
        Self { worst, latest: found.into_iter().take(NAMED).collect() }
    }
}

/// Everything that a rollout was judged by: the executions of both versions with what was said of them, the newest decision
/// first. `limit` counts decisions.
#[utoipa::path(
    get,
    path = "/api/learning/rollouts/{rollout_id}/evidence",
    tag = "deploy",
    operation_id = "rollout_evidence",
    params(("rollout_id" = Uuid, Path), PageParams),
    responses((status = 200, description = "A page of it", body = EvidencePage), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(page): Params<PageParams>,
) -> Result<Json<EvidencePage>, Problem> {
    let organisation = caller.organisation();
    let rollout = app.store.rollout(organisation, RolloutId(id)).await?;
    let transitions = app.store.rollout_transitions(organisation, rollout.id).await?;
    let (limit, before) = (page.limit()?, page.number()?.map(Position));
    let range = (before, ended(&transitions));
    let found = app.store.rollout_evidence(organisation, &rollout, range, limit).await?;
    let mut decisions: Vec<Position> = found.iter().map(|found| found.position).collect();
    decisions.dedup();
    // A page that is full may have one after it.
    let next_cursor = decisions.last().filter(|_| decisions.len() == limit).map(|last| last.0.to_string());
    Ok(Json(EvidencePage { evidence: found.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Every pair that a rollout's shadow was judged by, the newest first.
#[utoipa::path(
    get,
    path = "/api/learning/rollouts/{rollout_id}/pairs",
    tag = "deploy",
    operation_id = "rollout_pairs",
    params(("rollout_id" = Uuid, Path), PageParams),
    responses((status = 200, description = "A page of them", body = PairsPage), Problems)
)]
pub(crate) async fn pairs(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(page): Params<PageParams>,
) -> Result<Json<PairsPage>, Problem> {
    let organisation = caller.organisation();
    let rollout = app.store.rollout(organisation, RolloutId(id)).await?;
    let (limit, before) = (page.limit()?, page.number()?.map(Position));
    let found = app.store.shadow_pairs(organisation, rollout.id, before, limit).await?;
    let next_cursor = found.last().filter(|_| found.len() == limit).map(|last| last.position.0.to_string());
    Ok(Json(PairsPage { pairs: found.into_iter().map(Into::into).collect(), next_cursor }))
}

/// The rollouts that a statement about an execution took part in: the one that assigned its decision, unless the statement came
/// after that was over.
pub(in crate::routes) async fn took_part(
    app: &App,
    organisation: OrganisationId,
    execution: ExecutionId,
    said_at: Timestamp,
) -> Result<Vec<TookPart>, Problem> {
    let Some(assignment) = app.store.assigned(organisation, execution).await? else { return Ok(Vec::new()) };
    let rollout = match app.store.rollout(organisation, RolloutId(assignment.experiment.0)).await {
        Ok(rollout) => rollout,
        // An experiment assigned it.
        Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let transitions = app.store.rollout_transitions(organisation, rollout.id).await?;
    if ended(&transitions).is_some_and(|ended| said_at > ended) {
        return Ok(Vec::new());
    }
    Ok(vec![TookPart {
        rollout_id: rollout.id.0,
        arm: arm(assignment.arm.is_some_and(|arm| arm > 0)),
        version: rollout.version,
        state: RolloutState::name(rollout.state),
        record: format!("/api/learning/rollouts/{}/record", rollout.id),
    }])
}

/// What a record names, for people.
pub(super) fn html(named: &NamedEvidence, escaped: fn(&str) -> String) -> String {
    let linked = |link: &str, text: &str| format!("<a href=\"{}\">{}</a>", escaped(link), escaped(text));
    let table = |title: &str, found: &[EvidenceResponse]| {
        if found.is_empty() {
            return format!("<h3>{title}</h3><p>Nothing is known.</p>");
        }
        let rows: String = found
            .iter()
            .map(|found| {
                let said: Vec<String> = found
                    .feedback
                    .iter()
                    .map(|said| {
                        let stars = said.rating.map_or_else(String::new, |rating| format!(" {rating}"));
                        let left = if said.counts { "" } else { " (does not count)" };
                        let text = format!("{}{stars}{left}", said.feedback_type.replace('_', " "));
                        linked(&said.effects, &text)
                    })
                    .collect();
                let execution = match &found.execution {
                    Some(link) => linked(link, &found.decision_id.to_string()),
                    None => "not reported".to_owned(),
                };
                format!(
                    "<tr><td>{}</td><td>{execution}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    escaped(&time::to_text(found.decided_at)),
                    escaped(found.error.as_deref().unwrap_or("none")),
                    found.reward.map_or_else(|| "unknown".to_owned(), |reward| format!("{reward:.3}")),
                    said.join(", "),
                )
            })
            .collect();
        format!(
            "<h3>{title}</h3><table><tr><th>When<th>Execution<th>Error<th>Reward<th>What was said of it</tr>{rows}\
             </table>"
        )
    };
    let beside = named.shadow.as_ref().map_or_else(String::new, |shadow| {
        let rows: String = shadow
            .worst
            .iter()
            .chain(&shadow.latest)
            .map(|pair| {
                let failed = |did: &DidResponse| escaped(did.error.as_deref().unwrap_or("none"));
                let same = pair.same.map_or("unknown", |same| if same { "yes" } else { "no" });
                format!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td>{same}</td></tr>",
                    linked(&pair.execution, &pair.decision_id.to_string()),
                    failed(&pair.current),
                    failed(&pair.shadow),
                )
            })
            .collect();
        format!(
            "<h3>In the shadow: the worst and the latest pairs</h3><table><tr><th>Execution<th>Error of what was \
             served<th>Error of the new version<th>The same was said</tr>{rows}</table>"
        )
    });
    let all = [Some(&named.all), named.pairs.as_ref()].into_iter().flatten();
    let all: Vec<String> = all.map(|link| linked(link, link)).collect();
    format!(
        "<h2>What it rests on</h2><p>Among the latest {} decisions; all of it: {}.</p>{}{}{}{}{beside}",
        named.looked_at,
        all.join(", "),
        table("The new version: the worst", &named.new.worst),
        table("The new version: the latest", &named.new.latest),
        table("The current version: the worst", &named.current.worst),
        table("The current version: the latest", &named.current.latest),
    )
}
