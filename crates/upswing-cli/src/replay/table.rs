//! A replay's report, for people and as JSON.

use serde_json::{Map, Value, json};

use super::curve::{self, Reference};
use super::outcomes::Outcomes;
use super::play::Plan;
use super::report::{Baselines, Summary};

/// All that a report says.
pub(crate) struct Report<'a> {
    /// The file.
    pub(crate) outcomes: &'a Outcomes,
    /// What is known of it without playing.
    pub(crate) baselines: &'a Baselines,
    /// What the policy earned.
    pub(crate) summary: &'a Summary,
    /// How it was played.
    pub(crate) plan: &'a Plan,
    /// The policy's name.
    pub(crate) policy: &'a str,
    /// How many shuffles.
    pub(crate) shuffles: u32,
    /// Decisions that came before the learner had read everything.
    pub(crate) stale: u64,
}

impl Report<'_> {
    /// One object.
    pub(crate) fn json(&self) -> Value {
        let Self { outcomes, baselines, summary, .. } = self;
        let fixed: Map<String, Value> =
            outcomes.versions.iter().cloned().zip(baselines.fixed.iter().map(|m| json!(m))).collect();
        json!({
            "policy": {
                "name": self.policy,
                "mean_reward": summary.mean,
                "last_quarter_gap": summary.last_quarter_gap,
                "interval": summary.interval.map(|(low, high)| [low, high]),
            },
            "fixed": fixed,
            "best_per_segment": baselines.best_per_segment,
            "chance": baselines.chance,
            "questions": outcomes.len(),
            "shuffles": self.shuffles,
            "seed": self.plan.seed,
            "segment": outcomes.segment_key,
            "run": self.plan.run,
            "stale_decisions": self.stale,
            "curve": summary.curve,
        })
    }

    /// A table with the curve below it.
    pub(crate) fn text(&self) -> String {
        let Self { outcomes, baselines, summary, .. } = self;
        let best_name = match &outcomes.segment_key {
            Some(key) => format!("best version per {key}"),
            None => "best version".to_owned(),
        };
        let interval = match summary.interval {
            Some((low, high)) => {
                format!("95 % interval {low:.4} to {high:.4}, over {} shuffles", self.shuffles)
            }
            None => "no interval: one shuffle says nothing about the spread".to_owned(),
        };
        let mut rows = vec![(format!("policy {}", self.policy), summary.mean, interval)];
        for (name, mean) in outcomes.versions.iter().zip(&baselines.fixed) {
            rows.push((format!("always {name}"), *mean, String::new()));
        }
        rows.push((
            best_name.clone(),
            baselines.best_per_segment,
            "chosen in hindsight on the whole file".to_owned(),
        ));
        rows.push(("chance".to_owned(), baselines.chance, "a version drawn uniformly".to_owned()));

        let width = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let mut text = format!(
            "{} questions, {} versions, {} shuffles, seed {}{}\n\n  {:width$}  mean reward\n",
            outcomes.len(),
            outcomes.versions.len(),
            self.shuffles,
            self.plan.seed,
            if self.plan.run > 0 { format!(", run {}", self.plan.run) } else { String::new() },
            "",
        );
        for (name, mean, note) in rows {
            text.push_str(format!("  {name:width$}  {mean:>11.4}  {note}").trim_end());
            text.push('\n');
        }
        let gap = summary.last_quarter_gap;
        let side = if gap < 0.0 { "above" } else { "below" };
        text.push_str(&format!(
            "\n  In the last quarter the policy is {:.4} {side} the {best_name}.\n\n",
            gap.abs()
        ));
        let references = [
            Reference { value: baselines.best_per_segment, stroke: '─', name: &best_name },
            Reference { value: baselines.best_fixed(), stroke: '┄', name: "best fixed" },
            Reference { value: baselines.chance, stroke: '·', name: "chance" },
        ];
        text.push_str(&curve::draw(&summary.curve, &references));
        if self.plan.run > 0 {
            text.push_str(&format!(
                "\n  This is run {} of seed {} on this server: its draws differ from those of run 0.\n",
                self.plan.run, self.plan.seed
            ));
        }
        if self.stale > 0 {
            text.push_str(&format!(
                "\n  {} decisions came before the learner had read all earlier feedback: another run may differ.\n",
                self.stale
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcomes::RewardRange;
    use super::super::report::ShuffleResult;
    use super::*;

    #[test]
    fn one_shuffle_has_no_interval_and_says_so() {
        let outcomes = Outcomes::of(
            &["direct", "careful"],
            &[(json!({"task": "x"}), &[1.0, 0.0]), (json!({"task": "y"}), &[0.5, 1.0])],
            "task",
        );
        let baselines = Baselines::new(&outcomes);
        let summary = Summary::new(&[ShuffleResult::new(&outcomes, &baselines, &[1, 0], &[0, 0])]);
        let plan = Plan { seed: 7, run: 2, policy: None, range: RewardRange::UNIT };
        let report = Report {
            outcomes: &outcomes,
            baselines: &baselines,
            summary: &summary,
            plan: &plan,
            policy: "thompson",
            shuffles: 1,
            stale: 0,
        };
        let json = report.json();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["policy", "fixed", "best_per_segment", "chance", "questions", "shuffles", "seed"];
        assert_eq!(keys[..7], expected);
        assert_eq!(
            json["policy"],
            json!({"name": "thompson", "mean_reward": 0.75, "last_quarter_gap": 0.0, "interval": null})
        );
        assert_eq!(json["fixed"], json!({"direct": 0.75, "careful": 0.5}));
        assert_eq!(json["best_per_segment"], json!(1.0));
        let text = report.text();
        let words: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let has =
            |line: &str| assert!(words.iter().any(|w| w.starts_with(line)), "'{line}' is not in\n{text}");
        has("policy thompson 0.7500 no interval: one shuffle");
        has("always careful 0.5000");
        has("best version per task 1.0000 chosen in hindsight");
        has("This is run 2 of seed 7");
    }
}
