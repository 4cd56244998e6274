//! `upswing versions`: what versions change, key by key of their canonical configurations, and which one serves.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{print_json, print_text, rollout};
use crate::client::Client;
use crate::failure::Failure;

/// The longest value that stands on the line of its mark.
const SHORT: usize = 60;

/// Arguments of `versions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which keys of the configuration differ, and how
    Diff(Diff),
    /// Make a version the champion, which serves where nothing else decides: at once, to everybody
    Promote(Promote),
}

#[derive(Debug, clap::Args)]
struct Promote {
    /// The version, by label, id or the beginning of its id
    version: String,
    /// The agent, by name or id [default: the only one]
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Why; kept with the deployment and in the audit log
    #[arg(long, value_name = "WHY", default_value = "")]
    reason: String,
    /// Also without having passed the agent's gates; needs a reason
    #[arg(long = "override", requires = "reason")]
    overriding: bool,
    #[command(flatten)]
    at: rollout::Where,
}

#[derive(Debug, clap::Args)]
struct Diff {
    /// The version before, by label, id or the beginning of its id
    before: String,
    /// The version after
    after: String,
    /// The agent, by name or id [default: the only one]
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    #[command(flatten)]
    at: rollout::Where,
}

/// Asks the server and shows the answer.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Diff(diff) => show(diff).await,
        Action::Promote(promote) => crown(promote).await,
    }
}

async fn crown(asked: Promote) -> Result<(), Failure> {
    let client = Client::new(&asked.at.server, &asked.at.key)?;
    let agent = agent(&client, asked.agent.as_deref()).await?;
    let version = rollout::version(&client, &agent, &asked.version).await?;
    let path = format!("/api/learning/agents/{agent}/versions/{version}/promote");
    let body = json!({ "reason": asked.reason, "override": asked.overriding });
    let after: Value = client.post(&path, &body).await?;
    if asked.at.json {
        print_json(&after);
    } else {
        print_text(&format!("{} is the champion from epoch {} on\n", asked.version, after["epoch"]));
    }
    Ok(())
}

async fn show(diff: Diff) -> Result<(), Failure> {
    let client = Client::new(&diff.at.server, &diff.at.key)?;
    let agent = agent(&client, diff.agent.as_deref()).await?;
    let before = rollout::version(&client, &agent, &diff.before).await?;
    let after = rollout::version(&client, &agent, &diff.after).await?;
    let path = format!("/api/learning/agents/{agent}/versions/{after}/diff?against={before}");
    let found: Value = client.get(&path).await?;
    if diff.at.json {
        print_json(&found);
    } else {
        print_text(&in_words(&diff.before, &diff.after, &found["changed"]));
    }
    Ok(())
}

/// The agent of that name or id; without one the only one.
async fn agent(client: &Client, named: Option<&str>) -> Result<String, Failure> {
    match named {
        Some(named) => rollout::agent(client, named).await,
        None => only(client).await,
    }
}

async fn only(client: &Client) -> Result<String, Failure> {
    let found: Value = client.get("/api/learning/agents?limit=2").await?;
    let agents = found["agents"].as_array().map(Vec::as_slice).unwrap_or_default();
    match agents {
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        [] => Err(Failure::new("there is no agent yet")),
        _ => Err(Failure::new("there are several agents").hint("say which with --agent NAME")),
    }
}

/// A difference for people: a key, what it was behind `-`, what it became behind `+`; texts of several lines line by line.
fn in_words(before: &str, after: &str, changed: &Value) -> String {
    let changed = changed.as_array().map(Vec::as_slice).unwrap_or_default();
    if changed.is_empty() {
        return format!("{before} and {after} have the same configuration\n");
    }
    let mut text = format!("--- {before}\n+++ {after}\n");
    for key in changed {
        text.push_str(&format!("{}\n", key["path"].as_str().unwrap_or_default()));
        match (&key["before"], &key["after"]) {
            (Value::String(before), Value::String(after)) if is_long(before) || is_long(after) => {
                lines(before, after, &mut text);
            }
            (before, after) => {
                for (mark, value) in [('-', before), ('+', after)] {
                    // What is not there has no line.
                    if !value.is_null() {
                        text.push_str(&format!("  {mark} {value}\n"));
                    }
                }
            }
        }
    }
    text
}

fn is_long(text: &str) -> bool {
    text.contains('\n') || text.chars().count() > SHORT
}

/// The lines that differ, without those that both begin and end with.
fn lines(before: &str, after: &str, text: &mut String) {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    old.drain(..same);
    new.drain(..same);
    let mut below = 0;
    while let (Some(a), Some(b)) = (old.last(), new.last())
        && a == b
    {
        old.pop();
        new.pop();
        below += 1;
    }
    let skipped = |count: usize, text: &mut String| {
        if count > 0 {
            text.push_str(&format!("    (equal lines: {count})\n"));
        }
    };
    skipped(same, text);
    for (mark, lines) in [('-', old), ('+', new)] {
        for line in lines {
            text.push_str(&format!("  {mark} {line}\n"));
        }
    }
    skipped(below, text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_reads_from_top_to_bottom() {
        let changed = json!([
            {"path": "model", "before": "a", "after": "b"},
            {"path": "prompt", "before": "Be kind.\nBe short.\nThanks.", "after": "Be kind.\nBe brief.\nThanks."},
            {"path": "temperature", "before": null, "after": 0.2},
        ]);
        let expected = [
            "--- one",
            "+++ two",
            "model",
            "  - \"a\"",
            "  + \"b\"",
            "prompt",
            "    (equal lines: 1)",
            "  - Be short.",
            "  + Be brief.",
            "    (equal lines: 1)",
            "temperature",
            "  + 0.2",
            "",
        ];
        assert_eq!(in_words("one", "two", &changed), expected.join("\n"));
        assert!(in_words("one", "two", &json!([])).contains("the same configuration"));
    }
}
