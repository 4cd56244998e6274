//! `upswing rollout`: start a rollout, watch it, and say what is to become of it.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{print_json, print_text};
use crate::client::Client;
use crate::failure::Failure;

/// How often a rollout that is watched is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `rollout`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give a version a growing share of the traffic, and take it back when it hurts
    Start(Start),
    /// Show where rollouts stand, and what is known of them
    Status(Status),
    /// Give everybody the version
    Promote(Move),
    /// Keep the share as it is
    Hold(Move),
    /// Let a held rollout go on
    Resume(Move),
    /// Take the version back, at once
    Rollback(Move),
}

/// Which server, with which key, and how the answer is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// The server
    #[arg(long, value_name = "URL", env = "UPSWING_SERVER", default_value = "http://127.0.0.1:8787")]
    pub(super) server: String,
    /// A key there: an administrator's, where something changes
    #[arg(long, value_name = "KEY", env = "UPSWING_KEY", hide_env_values = true)]
    pub(super) key: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
struct Start {
    /// The agent, by name or id
    agent: String,
    /// The version, by label, id or the beginning of its id
    version: String,
    /// A plan as JSON: shadow, steps, guardrails, goal, alpha, margin, freeze [default: 5 % for ten minutes, then 10, 25 and 50 %]
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Why, for people who look later
    #[arg(long, default_value = "")]
    reason: String,
    /// Show how it goes until it is over
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, clap::Args)]
struct Status {
    /// The agent, by name or id, or a rollout's id
    of: String,
    /// Show how it goes until it is over
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, clap::Args)]
struct Move {
    /// The agent, by name or id, whose rollout is under way, or the rollout's id
    of: String,
    /// Why, for people who look later
    #[arg(long, default_value = "")]
    reason: String,
    /// Promote although it is not proven; needs a reason, and is recorded
    #[arg(long = "override")]
    overriding: bool,
    #[command(flatten)]
    at: Where,
}

/// Does it.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Start(start) => begin(start).await,
        Action::Status(status) => show(status).await,
        Action::Promote(moved) => act(moved, "promote").await,
        Action::Hold(moved) => act(moved, "hold").await,
        Action::Resume(moved) => act(moved, "resume").await,
        Action::Rollback(moved) => act(moved, "rollback").await,
    }
}

async fn begin(start: Start) -> Result<(), Failure> {
    let client = Client::new(&start.at.server, &start.at.key)?;
    let agent = agent(&client, &start.agent).await?;
    let version = version(&client, &agent, &start.version).await?;
    let plan = match &start.plan {
        None => json!({}),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            serde_json::from_str(&text)
                .map_err(|error| Failure::new(error.to_string()).at(&path.display().to_string()))?
        }
    };
    let body = json!({ "version": version, "plan": plan, "reason": start.reason });
    let rollout: Value = client.post(&format!("/api/learning/agents/{agent}/rollouts"), &body).await?;
    tell(&rollout, start.at.json);
    if start.watch { watch(&client, text(&rollout["id"]), start.at.json).await } else { Ok(()) }
}

async fn show(status: Status) -> Result<(), Failure> {
    let client = Client::new(&status.at.server, &status.at.key)?;
    if status.watch {
        let id = rollout(&client, &status.of).await?;
        return watch(&client, &id, status.at.json).await;
    }
    if is_id(&status.of)
        && let Ok(found) = client.get::<Value>(&format!("/api/learning/rollouts/{}", status.of)).await
    {
        tell(&found, status.at.json);
        return Ok(());
    }
    let agent = agent(&client, &status.of).await?;
    let found: Value = client.get(&format!("/api/learning/agents/{agent}/rollouts")).await?;
    let rollouts = found["rollouts"].as_array().cloned().unwrap_or_default();
    if status.at.json {
        print_json(&found);
    } else if rollouts.is_empty() {
        print_text(&format!("{} has had no rollout\n", status.of));
    }
    for rollout in rollouts.iter().filter(|_| !status.at.json) {
        tell(rollout, false);
    }
    Ok(())
}

async fn act(moved: Move, action: &str) -> Result<(), Failure> {
    let client = Client::new(&moved.at.server, &moved.at.key)?;
    let id = rollout(&client, &moved.of).await?;
    let body = json!({ "reason": moved.reason, "override": moved.overriding });
    let asked = client.post(&format!("/api/learning/rollouts/{id}/{action}"), &body).await;
    let after: Value = asked.map_err(|failure: Failure| {
        let unproven = failure.to_string().contains("(not_proven)");
        if unproven {
            failure.hint("wait for more, or promote with --override --reason WHY")
        } else {
            failure
        }
    })?;
    tell(&after, moved.at.json);
    Ok(())
}

/// Asks again and again until the rollout is over or waits for somebody. On a terminal one line is drawn anew; elsewhere each
/// change is a line.
async fn watch(client: &Client, id: &str, json: bool) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal() && !json;
    let mut told = String::new();
    loop {
        let rollout: Value = client.get(&format!("/api/learning/rollouts/{id}")).await?;
        let line = line(&rollout);
        let moved = format!("{}{}", rollout["state"], rollout["step"]);
        if terminal {
            print_text(&format!("\r\x1b[K{line}"));
        } else if told != moved {
            if json { print_json(&rollout) } else { print_text(&format!("{line}\n")) }
        }
        told = moved;
        if rollout["state"] != "running" {
            if terminal {
                print_text("\n");
            }
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn tell(rollout: &Value, json: bool) {
    if json { print_json(rollout) } else { print_text(&format!("{}\n", line(rollout))) }
}

/// A rollout in one line.
fn line(rollout: &Value) -> String {
    let evidence = &rollout["evidence"];
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let place = if rollout["shadow"] == true {
        "shadow".to_owned()
    } else {
        format!("step {} of {}", rollout["step"], rollout["steps"])
    };
    let known = match (evidence["harm"].as_str(), evidence["silent"].as_str()) {
        (Some(guardrail), _) => format!("{guardrail} is worse"),
        (None, _) if rollout["shadow"] == true => beside(&evidence["shadow"]),
        (None, Some(stream)) => format!("nothing heard of {stream} yet"),
        (None, None) if evidence["not_inferior"] == true => "proven to be as good".to_owned(),
        (None, None) => format!(
            "harm {:.1} to 1, as good {:.1} to 1",
            number(&evidence["harm_e_value"]),
            number(&evidence["goal_e_value"])
        ),
    };
    let share = number(&rollout["weight"]);
    let filled = (share * 20.0).round().clamp(0.0, 20.0) as usize;
    format!(
        "{} {:<11} [{}{}] {:>3.0} %  {place}  {} units against {}  {known}",
        text(&rollout["id"]),
        text(&rollout["state"]).replace('_', " "),
        "#".repeat(filled),
        ".".repeat(20 - filled),
        share * 100.0,
        evidence["units"],
        evidence["current_units"],
    )
}

/// What a shadow has shown, in some words.
fn beside(found: &Value) -> String {
    let agreement = found["agreement"].as_f64();
    let same = agreement.map_or_else(String::new, |share| format!(", {:.0} % the same", share * 100.0));
    format!("{} pairs{same}, harm {:.1} to 1", found["pairs"], found["e_value"].as_f64().unwrap_or(1.0))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok()
}

/// The rollout of that id, or the one of that agent that is under way.
async fn rollout(client: &Client, of: &str) -> Result<String, Failure> {
    if is_id(of) && client.get::<Value>(&format!("/api/learning/rollouts/{of}")).await.is_ok() {
        return Ok(of.to_owned());
    }
    let agent = agent(client, of).await?;
    let found: Value = client.get(&format!("/api/learning/agents/{agent}/rollouts")).await?;
    let mut rollouts = found["rollouts"].as_array().into_iter().flatten();
    let active = rollouts.rfind(|rollout| matches!(text(&rollout["state"]), "running" | "held"));
    active.map(|rollout| text(&rollout["id"]).to_owned()).ok_or_else(|| {
        Failure::new(format!("no rollout of {of} is under way"))
            .hint(format!("upswing rollout start {of} VERSION"))
    })
}

/// The id of an agent.
pub(super) async fn agent(client: &Client, name: &str) -> Result<String, Failure> {
    if is_id(name) {
        return Ok(name.to_owned());
    }
    let mut cursor = String::new();
    let mut names = Vec::new();
    loop {
        let page: Value = client.get(&format!("/api/learning/agents?limit=100{cursor}")).await?;
        for agent in page["agents"].as_array().into_iter().flatten() {
            if agent["name"] == name {
                return Ok(text(&agent["id"]).to_owned());
            }
            names.push(text(&agent["name"]).to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let known = if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
    Err(Failure::new(format!("there is no agent {name}")).hint(format!("agents: {known}")))
}

/// The id of a version, by its label, its id or the beginning of it.
pub(super) async fn version(client: &Client, agent: &str, name: &str) -> Result<String, Failure> {
    let page: Value = client.get(&format!("/api/learning/agents/{agent}/versions?limit=200")).await?;
    let versions = page["versions"].as_array().cloned().unwrap_or_default();
    let labelled = versions.iter().find(|version| version["label"] == name);
    let mut begins = versions.iter().filter(|v| name.len() >= 6 && text(&v["version"]).starts_with(name));
    let found = labelled.or_else(|| {
        let first = begins.next()?;
        begins.next().is_none().then_some(first)
    });
    found.map(|version| text(&version["version"]).to_owned()).ok_or_else(|| {
        let labels: Vec<&str> = versions.iter().map(|version| text(&version["label"])).collect();
        Failure::new(format!("the agent has no version {name}"))
            .hint(format!("versions: {}", labels.join(", ")))
    })
}
