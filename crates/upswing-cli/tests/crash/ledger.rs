//! What was derived from the events: rewards, rollups and the learner's state, against a clean replay.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use upswing_domain::{Agent, AgentId, DecisionId, ExecutionId, Position, Reward, Signal, Timestamp};
use upswing_server::{Clock as _, SystemClock, replay_ledger};
use upswing_store::{LedgerEntry, Store, StoredDecision, StoredExecution, StoredFeedback};
use uuid::Uuid;

use crate::client::Client;
use crate::journal::Journal;
use crate::load::Worker;
use crate::place::{Place, Server};
use crate::random::Random;
use crate::support::until;
use crate::table::Tally;

const PAGE: usize = 5000;
/// Longer than a lease of a server that was killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets the learner catch up, stops the server, compares everything with a clean replay, and starts a server again.
pub(crate) async fn compare(
    place: &Place,
    server: Server,
    journal: &Arc<Journal>,
    random: &mut Random,
    tally: &mut Tally,
) -> Server {
    let mut worker = Worker::new(place, &server.client, journal, random.fork());
    let mut known = HashMap::new();
    for agent in &place.agents {
        // The last of the sequence: who has read this has read everything.
        let execution = Uuid::now_v7();
        let last = worker.hear_of(agent.id.0, execution, None).await.unwrap();
        let position = last["position"].as_i64().unwrap();
        known.insert(agent.id, (position, learned(&server.client, agent.id, position).await));
    }
    server.stop().await;

    let store = place.store().await;
    for agent in &place.agents {
        let replayed = replay_ledger(&store, place.organisation, agent.id).await.unwrap();
        let replayed = blake3::hash(&replayed.to_bytes()).to_hex().to_string();
        let (position, learned) = &known[&agent.id];
        if *learned != replayed {
            tally
                .learner
                .push(format!("{} knew {learned} at {position}, but a replay gives {replayed}", agent.id));
        }
        known.insert(agent.id, (*position, replayed));
        let facts = Facts::read(&store, place, agent.id).await;
        facts.compare(tally);
        facts.compare_rollups(&store, place, tally).await;
    }
    store.close().await;

    let server = place.serve().await;
    for (agent, (position, replayed)) in known {
        let learned = learned(&server.client, agent, position).await;
        if learned != replayed {
            tally
                .learner
                .push(format!("{agent} knows {learned} after a restart, but a replay gives {replayed}"));
        }
    }
    server
}

/// The state's hash once the learner has read that far.
async fn learned(client: &Client, agent: AgentId, position: i64) -> String {
    let path = format!("/api/learning/agents/{agent}/policy");
    until("the learner catches up", PATIENCE, || async {
        let policy = client.expect("GET", &path, None).await;
        let there = policy["position"].as_i64().unwrap() >= position;
        there.then(|| policy["state_hash"].as_str().unwrap().to_owned())
    })
    .await
}

/// Everything stored of one agent.
struct Facts {
    agent: Agent,
    ledger: Vec<LedgerEntry>,
    executions: HashMap<ExecutionId, StoredExecution>,
    decisions: HashMap<DecisionId, StoredDecision>,
    /// By execution, oldest first.
    feedback: BTreeMap<ExecutionId, Vec<StoredFeedback>>,
}

impl Facts {
    async fn read(store: &Store, place: &Place, id: AgentId) -> Self {
        let organisation = place.organisation;
        let agent = store.agent(organisation, id).await.unwrap().unwrap().agent;
        let mut ledger: Vec<LedgerEntry> = Vec::new();
        loop {
            let after = ledger.last().map_or(Position(0), |entry| entry.position);
            let page = store.ledger(organisation, id, after, PAGE).await.unwrap();
            let last = page.len() < PAGE;
            ledger.extend(page);
            if last {
                break;
            }
        }
        let mut executions = HashMap::new();
        let mut after = None;
        loop {
            let page = store.export_executions(organisation, Some(id), after, PAGE).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.execution.id);
            executions.extend(page.into_iter().map(|e| (e.execution.id, e)));
        }
        let mut decisions = HashMap::new();
        let mut after = None;
        loop {
            let page = store.export_decisions(organisation, Some(id), after, PAGE).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.stored.decision.id);
            decisions.extend(page.into_iter().map(|d| (d.stored.decision.id, d.stored)));
        }
        let mut feedback: BTreeMap<ExecutionId, Vec<StoredFeedback>> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = store.export_feedback(organisation, Some(id), after, PAGE).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.feedback.id);
            for item in page {
                if let Some(execution) = item.feedback.target.execution() {
                    feedback.entry(execution).or_default().push(item);
                }
            }
        }
        for items in feedback.values_mut() {
            items.sort_by_key(|item| item.position);
        }
        Self { agent, ledger, executions, decisions, feedback }
    }

    /// Whether it is known what an execution's feedback is about.
    fn resolved(&self, id: ExecutionId) -> bool {
        match self.executions.get(&id).map(|stored| stored.execution.decision) {
            Some(Some(decision)) => self.decisions.contains_key(&decision),
            Some(None) => true,
            None => self.decisions.contains_key(&DecisionId(id.0)),
        }
    }

    /// What the stored feedback of an execution comes to, by the domain's own rules.
    fn reward(&self, id: ExecutionId) -> Option<Reward> {
        if !self.resolved(id) {
            return None;
        }
        let definition = &self.agent.reward_definition;
        let items = self.feedback.get(&id).into_iter().flatten();
        let signals: Vec<Signal> =
            items.flat_map(|item| item.feedback.signals(definition).unwrap()).collect();
        definition.reward(&signals)
    }

    /// Every entry begins where the one before it ended, and the last one ends at the reward.
    fn compare(&self, tally: &mut Tally) {
        let mut now: HashMap<ExecutionId, Option<Reward>> = HashMap::new();
        let mut position = Position(0);
        for entry in &self.ledger {
            let before = now.insert(entry.execution, entry.new).flatten();
            if entry.old != before || entry.position <= position {
                tally.ledger.push(format!("{:?} follows {before:?} at {position}", entry));
            }
            position = entry.position;
        }
        for (id, _) in self.feedback.iter().filter(|(id, _)| !now.contains_key(id)) {
            if let Some(reward) = self.reward(*id) {
                tally.ledger.push(format!("{id} has the reward {reward}, but no entry"));
            }
        }
        for (id, reward) in now {
            let expected = self.reward(id);
            if reward != expected {
                tally.ledger.push(format!("{id} ends at {reward:?}, but its feedback comes to {expected:?}"));
            }
        }
        for stored in self.executions.values() {
            let expected = self.reward(stored.execution.id);
            if stored.reward != expected {
                let (id, reward) = (stored.execution.id, stored.reward);
                tally
                    .ledger
                    .push(format!("{id} has the reward {reward:?}, but its feedback comes to {expected:?}"));
            }
        }
    }

    /// Counts and sums, once the rollups have caught up.
    async fn compare_rollups(&self, store: &Store, place: &Place, tally: &mut Tally) {
        let (organisation, id) = (place.organisation, self.agent.id);
        while !store.fold_rollups(organisation, id, SystemClock.now()).await.unwrap() {}
        let (summaries, _) = store.performance(organisation, id, "", Timestamp(0)).await.unwrap();
        let count =
            |metric: &str| summaries.iter().filter(|s| s.metric == metric).map(|s| s.count).sum::<i64>();
        let rewards: Vec<i64> = {
            let mut now: HashMap<ExecutionId, i64> = HashMap::new();
            for entry in &self.ledger {
                match entry.new {
                    Some(reward) => now.insert(entry.execution, reward.millionths()),
                    None => now.remove(&entry.execution),
                };
            }
            now.into_values().collect()
        };
        let sum: f64 =
            summaries.iter().filter(|s| s.metric == "reward").map(|s| s.mean * s.count as f64 * 1e6).sum();
        let statistics = store.feedback_stats(organisation, Some(id), Timestamp(0)).await.unwrap();
        let feedback = self.feedback.values().map(Vec::len).sum::<usize>();
        let found = [
            ("executions", count("executions"), self.executions.len() as i64),
            ("rewards", count("reward"), rewards.len() as i64),
            ("millionths of reward", sum.round() as i64, rewards.iter().sum()),
            ("pieces of feedback", statistics.total, feedback as i64),
        ];
        for (what, counted, there) in found {
            if counted != there {
                tally
                    .rollups
                    .push(format!("{id}: the rollups count {counted} {what}, but there are {there}"));
            }
        }
    }
}
