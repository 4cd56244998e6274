//! Playing one shuffle of a file: decide, look up what the chosen version really did, give feedback.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::outcomes::{Outcomes, RewardRange};
use super::progress::Progress;
use crate::client::Client;
use crate::failure::Failure;
use crate::random::SplitMix64;

/// The namespace of the ids that a replay derives.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_7c5e_0b64_4b0e_9d55_7a3f_1f0c_88a1);

/// What is the same for all shuffles.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What order and draws follow from.
    pub(crate) seed: u64,
    /// Counts earlier runs of the same seed on the same server: ids are never used twice there.
    pub(crate) run: u32,
    /// The policy; `None` for the server's default.
    pub(crate) policy: Option<String>,
    /// How a reward becomes [0, 1].
    pub(crate) range: RewardRange,
}

/// What came of one shuffle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Played {
    /// The questions in the order in which they were asked.
    pub(crate) order: Vec<u32>,
    /// The version that was chosen for each.
    pub(crate) choices: Vec<u16>,
    /// The policy's name, as the server says.
    pub(crate) policy: String,
    /// Decisions that were made before the learner had read all earlier feedback.
    pub(crate) stale: u64,
}

#[derive(Serialize)]
struct DecideRequest<'a> {
    agent_id: Uuid,
    decision_id: Uuid,
    context: &'a RawValue,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_position: Option<i64>,
}

#[derive(Deserialize)]
struct DecideResponse {
    version: String,
    token: String,
    learner_position: Option<i64>,
}

#[derive(Serialize)]
struct FeedbackRequest<'a> {
    id: Uuid,
    execution_id: Uuid,
    agent_id: Uuid,
    feedback_type: &'static str,
    metrics: Reward,
    source: &'static str,
    token: &'a str,
}

#[derive(Serialize)]
struct Reward {
    reward: f64,
}

#[derive(Deserialize)]
struct FeedbackResponse {
    position: i64,
}

#[derive(Deserialize)]
struct AgentPage {
    agents: Vec<NamedAgent>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct NamedAgent {
    name: String,
}

#[derive(Deserialize)]
struct AgentResponse {
    id: Uuid,
    policy: NamedPolicy,
}

#[derive(Deserialize)]
struct NamedPolicy {
    name: String,
}

#[derive(Deserialize)]
struct VersionResponse {
    version: String,
}

fn agent_name(seed: u64, run: u32, shuffle: u32) -> String {
    format!("replay-seed{seed}-run{run}-shuffle{shuffle}")
}

/// The first run number of this seed that no agent of the organisation has used.
pub(crate) async fn next_run(client: &Client, seed: u64) -> Result<u32, Failure> {
    let (mut next, mut cursor) = (0, None::<String>);
    loop {
        let path = match &cursor {
            Some(cursor) => format!("/api/learning/agents?limit=200&cursor={cursor}"),
            None => "/api/learning/agents?limit=200".to_owned(),
        };
        let page: AgentPage = client.get(&path).await?;
        for agent in page.agents {
            let run = agent
                .name
                .strip_prefix(&format!("replay-seed{seed}-run"))
                .and_then(|rest| rest.split_once("-shuffle")?.0.parse::<u32>().ok());
            next = next.max(run.map_or(0, |run| run + 1));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(next);
        }
    }
}

/// The order in which a shuffle asks its questions. It depends on seed and shuffle alone, so that policies compare.
pub(crate) fn order(seed: u64, shuffle: u32, questions: usize) -> Vec<u32> {
    SplitMix64::of(&[seed, u64::from(shuffle)]).shuffled(questions)
}

/// Plays one shuffle with an agent of its own.
pub(crate) async fn shuffle(
    client: &Client,
    outcomes: &Outcomes,
    plan: &Plan,
    shuffle: u32,
    progress: &Progress,
) -> Result<Played, Failure> {
    let (agent, versions) = create_agent(client, outcomes, plan, shuffle).await?;
    let order = order(plan.seed, shuffle, outcomes.len());
    let mut played =
        Played { choices: Vec::with_capacity(order.len()), order, policy: agent.policy.name, stale: 0 };
    let mut position = None;
    for question in &played.order {
        let question = *question as usize;
        let id = |kind: &str| {
            let Plan { seed, run, .. } = plan;
            Uuid::new_v5(&NAMESPACE, format!("{kind}/{seed}/{run}/{shuffle}/{question}").as_bytes())
        };
        let context: &RawValue = serde_json::from_str(&outcomes.contexts[question])
            .map_err(|error| Failure::new(format!("a context that was read is not JSON: {error}")))?;
        let decision_id = id("decision");
        let request = DecideRequest {
            agent_id: agent.id,
            decision_id,
            context,
            origin: "replay",
            min_position: position,
        };
        let decision: DecideResponse = client.post("/api/learning/decide", &request).await?;
        played.stale +=
            u64::from(decision.learner_position.is_some_and(|at| position.is_some_and(|p| at < p)));
        let choice = *versions.get(&decision.version).ok_or_else(|| {
            Failure::new(format!(
                "the server chose version {}, which is not one of the file",
                decision.version
            ))
        })?;
        let reward = outcomes.reward(question, usize::from(choice));
        let request = FeedbackRequest {
            id: id("feedback"),
            execution_id: decision_id,
            agent_id: agent.id,
            feedback_type: "metric",
            metrics: Reward { reward },
            source: "program",
            token: &decision.token,
        };
        let feedback: FeedbackResponse = client.post("/api/learning/feedback", &request).await?;
        position = Some(feedback.position);
        played.choices.push(choice);
        progress.add(reward);
    }
    Ok(played)
}

/// A fresh agent with one version for each name of the file.
async fn create_agent(
    client: &Client,
    outcomes: &Outcomes,
    plan: &Plan,
    shuffle: u32,
) -> Result<(AgentResponse, HashMap<String, u16>), Failure> {
    let mut body = json!({
        "name": agent_name(plan.seed, plan.run, shuffle),
        "description": format!("Replay of a file of outcomes: seed {}, shuffle {shuffle}", plan.seed),
        "salt": format!("replay/{}/{shuffle}", plan.seed),
    });
    if let Some(policy) = &plan.policy {
        body["policy"] = json!({ "name": policy });
    }
    if plan.range != RewardRange::UNIT {
        let RewardRange { low, high } = plan.range;
        body["reward_definition"] = json!({ "metrics": { "reward": { "minimum": low, "maximum": high } } });
    }
    let agent: AgentResponse = client.post("/api/learning/agents", &body).await?;
    let mut versions = HashMap::new();
    for (index, name) in outcomes.versions.iter().enumerate() {
        let label: String = name.chars().take(100).collect();
        let body = json!({ "label": label, "config": { "template": name } });
        let path = format!("/api/learning/agents/{}/versions", agent.id);
        let created: VersionResponse = client.post(&path, &body).await?;
        if index == 0 && plan.policy.as_deref() == Some("fixed") {
            let path = format!("{path}/{}/promote", created.version);
            let _: Value = client.post(&path, &json!({ "reason": "the first version of the file" })).await?;
        }
        versions.insert(created.version, index as u16);
    }
    Ok((agent, versions))
}
