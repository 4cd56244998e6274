//! Gates: what a version has to pass before it meets traffic. Pure judgement stands in `upswing_learn::gate`; here it is
//! asked, stored and read.

mod address;
pub(crate) mod dataset;
mod runner;
mod safety;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use upswing_domain::{AgentId, ExecutionId, OrganisationId, Position, VersionId};
use upswing_learn::gate::off_policy::{self, Logged};
use upswing_learn::gate::{GateKind, GatePlan, GateState, Outcome, Scorer};
use upswing_store::{Actor, GateRecord, GateResult, GateSettings};

use crate::app::App;
use crate::problem::{Code, Problem};
use crate::registry::AgentEntry;
use dataset::Case;
pub(crate) use runner::Runner;
use runner::{Answer, Opened};

/// How many cases are asked at a time.
const AT_ONCE: usize = 8;
/// How long all cases of one run may take together.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many faults a result names.
const NAMED: usize = 20;
/// How many entries of the ledger are read at once, and at most.
const PAGE: usize = 10_000;
const MOST_ENTRIES: usize = 1_000_000;

/// An agent's gates as they are set, read.
pub(crate) struct Settings {
    pub(crate) plan: GatePlan,
    pub(crate) runner: Option<Runner>,
    /// Names both: what was found under others says nothing.
    pub(crate) hash: [u8; 32],
}

impl Settings {
    pub(crate) async fn load(
        app: &App,
        organisation: OrganisationId,
        agent: AgentId,
    ) -> Result<Self, Problem> {
        let GateSettings { plan, runner } = app.store.gate_settings(organisation, agent).await?;
        let broken = |error: serde_json::Error| Problem::internal(&format!("stored gates: {error}"));
        let mut hasher = blake3::Hasher::new();
        for text in [&plan, &runner] {
            let text = text.as_deref().unwrap_or_default();
            hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
        }
        let plan =
            plan.map(|text| serde_json::from_str(&text)).transpose().map_err(broken)?.unwrap_or_default();
        let runner = runner.map(|text| serde_json::from_str(&text)).transpose().map_err(broken)?;
        Ok(Self { plan, runner, hash: *hasher.finalize().as_bytes() })
    }

    /// Where a version stands.
    pub(crate) fn state(&self, record: &GateRecord) -> GateState {
        let mut results: Vec<(GateKind, Outcome, String)> = Vec::new();
        for result in record.results.iter().filter(|result| result.settings == self.hash) {
            let (Some(gate), Some(outcome)) =
                (GateKind::named(&result.gate), Outcome::named(&result.outcome))
            else {
                continue;
            };
            // Newest first.
            if !results.iter().any(|(known, ..)| *known == gate) {
                results.push((gate, outcome, result.why.clone()));
            }
        }
        GateState::of(&self.plan, &results, record.approvals.len())
    }
}

/// Where a version stands before its agent's gates.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn gates_passed(
    app: &App,
    organisation: OrganisationId,
    agent: AgentId,
    version: VersionId,
) -> Result<GateState, Problem> {
    let settings = Settings::load(app, organisation, agent).await?;
    let record = app.store.gate_record(organisation, agent, version).await?;
    Ok(settings.state(&record))
}

/// Refuses a version that has not passed its agent's gates, with the gate and why.
///
/// # Errors
/// `gate_failed`, or when the database does not answer.
pub(crate) async fn require(
    app: &App,
    organisation: OrganisationId,
    agent: AgentId,
    version: VersionId,
) -> Result<(), Problem> {
    let detail = match gates_passed(app, organisation, agent, version).await? {
        GateState::Unconfigured | GateState::Passed => return Ok(()),
        GateState::Failed { gate, why } => format!("the version failed the gate {}: {why}", gate.name()),
        GateState::Missing(gates) => {
            let names: Vec<_> = gates.iter().map(|gate| gate.name()).collect();
            format!("the version has not passed: {}", names.join(", "))
        }
    };
    Err(Problem::new(Code::GateFailed, detail))
}

/// A run of a version's gates.
struct Run<'a> {
    app: &'a App,
    actor: Actor,
    agent: AgentId,
    version: VersionId,
    champion: Option<VersionId>,
    parent: Option<VersionId>,
    configs: HashMap<VersionId, Box<RawValue>>,
    settings: Settings,
    runner: Option<Opened>,
    deadline: Instant,
    asked: HashMap<(VersionId, [u8; 32]), Asked>,
}

/// A dataset with what a version answered.
struct Asked {
    cases: Vec<Case>,
    answers: Vec<Result<Answer, String>>,
}

/// What a gate found.
struct Found {
    outcome: Outcome,
    why: String,
    details: Value,
}

/// Runs a version's gates in their order, storing what each finds, up to the first that fails. Approval is not run: it is
/// given.
///
/// # Errors
/// When a dataset, a runner or a program is not there or not allowed; what was found before is stored.
pub(crate) async fn run(
    app: &App,
    actor: Actor,
    agent: &AgentEntry,
    version: VersionId,
) -> Result<(), Problem> {
    let settings = Settings::load(app, actor.organisation, agent.id).await?;
    let mut run = {
        let serving = agent.serving();
        let champion = serving.state.agent.champion;
        let own = serving.state.versions.iter().find(|known| known.id == version);
        let parent =
            own.and_then(|own| own.parents.first().copied()).or(champion).filter(|id| *id != version);
        let config = |id: VersionId| Some((id, serving.arm(id)?.config.clone()));
        Run {
            app,
            actor,
            agent: agent.id,
            version,
            champion,
            parent,
            configs: [Some(version), parent].into_iter().flatten().filter_map(config).collect(),
            settings,
            runner: None,
            deadline: Instant::now() + PATIENCE,
            asked: HashMap::new(),
        }
    };
    for gate in run.settings.plan.order.clone() {
        let found = match gate {
            GateKind::Regression => run.regression().await?,
            GateKind::OffPolicy => run.off_policy().await?,
            GateKind::Safety => run.safety().await?,
            GateKind::Approval => continue,
        };
        let failed = found.outcome == Outcome::Failed;
        let result = GateResult {
            number: 0,
            gate: gate.name().to_owned(),
            outcome: found.outcome.name().to_owned(),
            why: found.why,
            details: found.details.to_string(),
            settings: run.settings.hash,
            at: run.actor.now,
            key: run.actor.key,
        };
        app.store.record_gate(run.actor.clone(), run.agent, version, result).await?;
        if failed {
            break;
        }
    }
    Ok(())
}

impl Run<'_> {
    async fn regression(&mut self) -> Result<Found, Problem> {
        let Some(gate) = self.settings.plan.regression.clone() else {
            return Err(Problem::unknown_dataset("that the regression gate could replay"));
        };
        let (share, mut details) = self.suite(self.version, &gate.dataset, &gate.scorer).await?;
        let parent = match self.parent {
            Some(parent) => Some((parent, self.suite(parent, &gate.dataset, &gate.scorer).await?.0)),
            None => None,
        };
        details["threshold"] = json!(gate.threshold);
        details["margin"] = json!(gate.margin);
        details["parent"] = json!(parent.map(|(version, share)| json!({"version": version, "share": share})));
        let below = parent.filter(|(_, theirs)| share < theirs - gate.margin);
        let (outcome, why) = if share < gate.threshold {
            (Outcome::Failed, format!("{share:.3} of the cases pass, {} are needed", gate.threshold))
        } else if let Some((_, theirs)) = below {
            let why =
                format!("{share:.3} of the cases pass, of the parent's {theirs:.3}, margin {}", gate.margin);
            (Outcome::Failed, why)
        } else {
            (Outcome::Passed, format!("{share:.3} of the cases pass"))
        };
        Ok(Found { outcome, why, details })
    }

    /// The share of cases that a version passes, with what it does not.
    async fn suite(
        &mut self,
        version: VersionId,
        dataset: &str,
        scorer: &Scorer,
    ) -> Result<(f64, Value), Problem> {
        let commands = &self.app.runners;
        let deadline = self.deadline;
        let asked = self.ask(version, dataset).await?;
        let (mut passed, mut faults) = (0_usize, Vec::new());
        for (index, (case, answer)) in asked.cases.iter().zip(&asked.answers).enumerate() {
            let fault = match (answer, case.scorer.as_ref().unwrap_or(scorer)) {
                (Err(fault), _) => Some(fault.clone()),
                (Ok(answer), Scorer::Command { command }) => {
                    let words = runner::command(commands, command)?;
                    judge(&words, case, answer, deadline).await
                }
                (Ok(answer), scorer) => scorer.fault(&case.expected, &answer.output),
            };
            match fault {
                None => passed += 1,
                Some(fault) if faults.len() < NAMED => {
                    faults.push(json!({"case": index + 1, "fault": fault}))
                }
                Some(_) => {}
            }
        }
        let cases = asked.cases.len();
        let share = passed as f64 / cases.max(1) as f64;
        Ok((
            share,
            json!({"dataset": dataset, "cases": cases, "passed": passed, "share": share, "faults": faults}),
        ))
    }

    async fn safety(&mut self) -> Result<Found, Problem> {
        let gate = self.settings.plan.safety.clone();
        let Some(dataset) = self.settings.plan.dataset(GateKind::Safety).map(str::to_owned) else {
            return Err(Problem::unknown_dataset("that the safety gate could replay"));
        };
        let asked = self.ask(self.version, &dataset).await?;
        let mut faults = Vec::new();
        let mut answers = Vec::new();
        for (index, (case, answer)) in asked.cases.iter().zip(&asked.answers).enumerate() {
            let fault = match answer {
                Err(fault) => Some(fault.clone()),
                Ok(answer) => {
                    answers.push(answer);
                    safety::fault(&gate, &case.input, answer)
                }
            };
            faults.extend(fault.map(|fault| (index + 1, fault)));
        }
        let of_all = safety::fault_of_all(&gate, &answers);
        let why = match (faults.first(), of_all) {
            (Some((case, fault)), _) => Some(format!("the answer to case {case} {fault}")),
            (None, of_all) => of_all,
        };
        let named: Vec<_> =
            faults.iter().take(NAMED).map(|(case, fault)| json!({"case": case, "fault": fault})).collect();
        let details =
            json!({"dataset": dataset, "cases": asked.cases.len(), "faulty": faults.len(), "faults": named});
        Ok(match why {
            Some(why) => Found { outcome: Outcome::Failed, why, details },
            None => Found {
                outcome: Outcome::Passed,
                why: format!("nothing was found in {} answers", asked.cases.len()),
                details,
            },
        })
    }

    async fn off_policy(&mut self) -> Result<Found, Problem> {
        let gate = self.settings.plan.off_policy.clone();
        let Some(champion) = self.champion.filter(|champion| *champion != self.version) else {
            let why = "there is no other champion to compare with".to_owned();
            return Ok(Found { outcome: Outcome::NotApplicable, why, details: json!({}) });
        };
        let mut log: HashMap<ExecutionId, Logged> = HashMap::new();
        let (mut after, mut read) = (Position(0), 0);
        loop {
            let page = self.app.store.ledger(self.actor.organisation, self.agent, after, PAGE).await?;
            read += page.len();
            let Some(last) = page.last() else { break };
            let more = page.len() == PAGE && read < MOST_ENTRIES;
            after = last.position;
            for entry in page.into_iter().filter(|entry| entry.decision.is_some()) {
                match entry.new {
                    Some(reward) => {
                        let reward = reward.millionths() as f64 / 1e6;
                        let logged = Logged { version: entry.version, propensity: entry.propensity, reward };
                        log.insert(entry.execution, logged);
                    }
                    None => drop(log.remove(&entry.execution)),
                }
            }
            if !more {
                break;
            }
        }
        // In one order, so that sums are the same whenever it is asked.
        let mut log: Vec<_> = log.into_iter().collect();
        log.sort_by_key(|(execution, _)| *execution);
        let log: Vec<_> = log.into_iter().map(|(_, logged)| logged).collect();
        let found = off_policy::judge(&log, self.version, champion, &gate)
            .map_err(|error| Problem::internal(&format!("off-policy gate: {error}")))?;
        let value = |value: Option<off_policy::Value>| {
            value.map(|v| {
                let bound = |bound: f64| bound.is_finite().then_some(bound);
                json!({"estimate": v.estimate, "low": bound(v.low), "high": bound(v.high),
                       "effective_sample_size": v.effective_sample_size})
            })
        };
        let details = json!({"decisions": log.len(), "champion": champion, "margin": gate.margin,
            "confidence": gate.confidence, "candidate_value": value(found.candidate),
            "champion_value": value(found.champion)});
        Ok(Found { outcome: found.outcome, why: found.why, details })
    }

    /// Asks a version every case of a dataset, once a run.
    async fn ask(&mut self, version: VersionId, dataset: &str) -> Result<&Asked, Problem> {
        let id = dataset.parse::<VersionId>().map_err(|_| Problem::unknown_dataset(dataset))?.0;
        if !self.asked.contains_key(&(version, id)) {
            let stored = self.app.store.dataset(self.actor.organisation, id).await?;
            let stored = stored.ok_or_else(|| Problem::unknown_dataset(dataset))?;
            let cases = dataset::cases(&stored.body)?;
            if self.runner.is_none() {
                let missing = || Problem::new(Code::RunnerMissing, "nothing is set that could run a version");
                let runner = self.settings.runner.as_ref().ok_or_else(missing)?;
                self.runner = Some(runner.open(&self.app.runners).await?);
            }
            let (Some(runner), Some(config)) = (&self.runner, self.configs.get(&version)) else {
                return Err(Problem::unknown_version(version));
            };
            let mut each = Vec::with_capacity(cases.len());
            for case in &cases {
                each.push(runner.ask(config, &case.input, self.deadline).boxed());
            }
            let answers = stream::iter(each).buffered(AT_ONCE).collect().await;
            self.asked.insert((version, id), Asked { cases, answers });
        }
        self.asked.get(&(version, id)).ok_or_else(|| Problem::unknown_dataset(dataset))
    }
}

/// Lets a program judge: it gets `{"input", "expected", "output"}` and answers `{"passed": true}` or not.
async fn judge(words: &[String], case: &Case, answer: &Answer, deadline: Instant) -> Option<String> {
    let question =
        json!({"input": case.input, "expected": case.expected, "output": answer.output}).to_string();
    let patience = Duration::from_secs(10).min(deadline.saturating_duration_since(Instant::now()));
    let said = match tokio::time::timeout(patience, runner::through(words, &question)).await {
        Err(_) => return Some("was not judged in time".to_owned()),
        Ok(Err(fault)) => return Some(format!("was not judged: the program {fault}")),
        Ok(Ok(said)) => said,
    };
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    match said["passed"].as_bool() {
        Some(true) => None,
        Some(false) => Some("did not pass the program's judgement".to_owned()),
        None => Some("was not judged: the program did not answer {\"passed\": true or false}".to_owned()),
    }
}
