//! The simulated application: asks which way of answering to use, answers, and passes on what the askers say.
//!
//! It speaks the public HTTP API alone, with a member's key; an administrator's key makes the agent at the beginning.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{Question, Reaction, VERSIONS};
use crate::client::Client;
use crate::failure::Failure;
use crate::random::SplitMix64;

/// The agent's name.
pub(crate) const AGENT: &str = "support-answers";
const DESCRIPTION: &str = "SIMULATED: a support desk with three ways of answering. Which is best depends on the topic; \
                           most askers give no feedback. Its traffic has the origin 'simulated'.";

/// What one question came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Handled {
    /// Whether no other version was better.
    pub(crate) best: bool,
    /// What it was worth, if the asker said.
    pub(crate) reward: Option<f64>,
}

#[derive(Deserialize)]
struct AgentPage {
    agents: Vec<Agent>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Agent {
    id: Uuid,
    name: String,
}

#[derive(Deserialize)]
struct Decision {
    decision_id: Uuid,
    version: String,
    label: String,
    token: String,
}

/// Makes the agent with its versions, or finds it again.
pub(crate) async fn prepare(admin: &Client) -> Result<Uuid, Failure> {
    let agent = match find(admin).await? {
        Some(agent) => agent,
        None => {
            let body = json!({ "name": AGENT, "description": DESCRIPTION, "segments": ["topic"] });
            let agent: Agent = admin.post("/api/learning/agents", &body).await?;
            agent.id
        }
    };
    for label in VERSIONS {
        // Content-addressed: a version that is there already is found, not made again.
        let body = json!({ "label": label, "config": { "style": label, "simulated": true } });
        let _: Value = admin.post(&format!("/api/learning/agents/{agent}/versions"), &body).await?;
    }
    Ok(agent)
}

async fn find(admin: &Client) -> Result<Option<Uuid>, Failure> {
    let mut path = "/api/learning/agents?limit=200".to_owned();
    loop {
        let page: AgentPage = admin.get(&path).await?;
        if let Some(agent) = page.agents.iter().find(|agent| agent.name == AGENT) {
            return Ok(Some(agent.id));
        }
        match page.next_cursor {
            Some(cursor) => path = format!("/api/learning/agents?limit=200&cursor={cursor}"),
            None => return Ok(None),
        }
    }
}

/// One question from beginning to end. Everything random about it follows from `seed`.
pub(crate) async fn handle(client: &Client, agent: Uuid, seed: u64) -> Result<Handled, Failure> {
    let mut random = SplitMix64::new(seed);
    let question = Question::draw(&mut random);
    let unit = format!("simulated-user-{}", random.below(5_000));
    let context = json!({
        "topic": question.topic(),
        "plan": question.plan(),
        "message_chars": question.message_chars,
    });
    let request = json!({ "agent_id": agent, "unit": unit, "context": context, "origin": "simulated" });
    let decision: Decision = client.post("/api/learning/decide", &request).await?;
    let Some(version) = VERSIONS.iter().position(|label| *label == decision.label) else {
        return Err(Failure::new(format!("'{}' is not a version of the demonstration", decision.label))
            .hint("begin with a new folder: upswing demo --data FOLDER"));
    };

    let output_tokens = 60 + 90 * version + random.below(60);
    let execution = json!({
        "id": decision.decision_id,
        "agent_id": agent,
        "decision_id": decision.decision_id,
        "token": decision.token,
        "version": decision.version,
        "unit": unit,
        "context": context,
        "metrics": { "latency_ms": 200 + 4 * output_tokens, "output_tokens": output_tokens },
        "origin": "simulated",
    });
    let _: Value = client.post("/api/learning/executions", &execution).await?;

    let reaction = question.react(version, &mut random);
    if let Some(reaction) = reaction {
        let mut feedback = json!({
            "id": Uuid::now_v7(),
            "execution_id": decision.decision_id,
            "agent_id": agent,
            "source": "user",
            "author": unit,
        });
        match reaction {
            Reaction::Thumb(true) => feedback["feedback_type"] = json!("thumbs_up"),
            Reaction::Thumb(false) => feedback["feedback_type"] = json!("thumbs_down"),
            Reaction::Stars(stars) => {
                feedback["feedback_type"] = json!("star_rating");
                feedback["rating"] = json!(stars);
            }
        }
        let _: Value = client.post("/api/learning/feedback", &feedback).await?;
    }
    Ok(Handled { best: question.is_best(version), reward: reaction.map(Reaction::reward) })
}
