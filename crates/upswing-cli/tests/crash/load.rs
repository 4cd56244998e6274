//! The load: what applications do, all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::journal::{Journal, Kind};
use crate::place::Place;
use crate::random::Random;
use crate::support::between_looks;

/// How many clients there are.
const CLIENTS: usize = 12;

/// The server is gone, or the load is over.
struct Gone;

type Step<T = ()> = Result<T, Gone>;

/// Clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

/// An agent as the load knows it.
#[derive(Clone)]
struct Agent {
    id: Uuid,
    versions: Vec<String>,
}

/// One client.
#[derive(Clone)]
pub(crate) struct Worker {
    client: Client,
    journal: Arc<Journal>,
    agents: Vec<Agent>,
    random: Random,
    stop: Arc<AtomicBool>,
    /// Whether it sends again what was put off or broke off, until it is taken.
    patient: bool,
}

impl Load {
    /// Clients that end when the server does.
    pub(crate) fn start(place: &Place, client: &Client, journal: &Arc<Journal>, random: &mut Random) -> Self {
        Self::with(place, client, journal, random, false)
    }

    /// Clients that send again what was put off.
    pub(crate) fn patient(
        place: &Place,
        client: &Client,
        journal: &Arc<Journal>,
        random: &mut Random,
    ) -> Self {
        Self::with(place, client, journal, random, true)
    }

    fn with(
        place: &Place,
        client: &Client,
        journal: &Arc<Journal>,
        random: &mut Random,
        patient: bool,
    ) -> Self {
        let mut clients = JoinSet::new();
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..CLIENTS {
            let mut worker = Worker::new(place, client, journal, random.fork());
            (worker.patient, worker.stop) = (patient, Arc::clone(&stop));
            clients.spawn(async move { worker.work().await });
        }
        Self { stop, clients }
    }

    /// Waits until every client has noticed that the server is gone.
    pub(crate) async fn ended(self) {
        self.clients.join_all().await;
    }

    /// Lets every client finish what it is doing.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Relaxed);
        self.clients.join_all().await;
    }
}

impl Worker {
    pub(crate) fn new(place: &Place, client: &Client, journal: &Arc<Journal>, random: Random) -> Self {
        let agents = place.agents.iter().map(|a| Agent { id: a.id.0, versions: a.versions.clone() });
        Self {
            client: client.clone(),
            journal: Arc::clone(journal),
            agents: agents.collect(),
            random,
            stop: Arc::default(),
            patient: false,
        }
    }

    async fn work(&mut self) {
        while !self.stop.load(Relaxed) && self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Step {
        match self.random.below(12) {
            0..=2 => self.serve_and_hear().await,
            3 => self.hear_without_execution().await,
            4 => self.decide_many().await,
            5..=6 => self.batches().await,
            7 => self.hear_first().await,
            8 => self.execution_of_its_own_name().await,
            9 => self.unversioned().await,
            _ => self.again().await,
        }
    }

    // ---------------------------------------------------------------------------------------------- what is done

    /// Decide, run, report, hear what people say, and hear again that they changed their minds.
    async fn serve_and_hear(&mut self) -> Step {
        let (agent, decision, token) = self.decide().await?;
        let mut execution = self.execution(&agent);
        match self.random.below(3) {
            0 => execution["token"] = token.into(),
            1 => execution["decision_id"] = json!(decision),
            _ => {
                execution["token"] = token.into();
                execution["decision_id"] = json!(decision);
            }
        }
        self.report(Kind::Execution, decision, execution).await?;
        for _ in 0..=self.random.below(3) {
            self.hear(&agent, decision, None).await?;
        }
        Ok(())
    }

    /// The feedback of an execution that nobody reports.
    async fn hear_without_execution(&mut self) -> Step {
        let (agent, decision, token) = self.decide().await?;
        self.hear(&agent, decision, Some(token)).await?;
        if self.random.one_in(2) { self.hear(&agent, decision, None).await } else { Ok(()) }
    }

    /// Decisions that nobody reports on, for now.
    async fn decide_many(&mut self) -> Step {
        let mut askers = JoinSet::new();
        for _ in 0..8 {
            let mut asker = self.clone();
            asker.random = self.random.fork();
            askers.spawn(async move { asker.decide().await.is_ok() });
        }
        if askers.join_all().await.into_iter().all(|answered| answered) { Ok(()) } else { Err(Gone) }
    }

    /// Many executions at once, then what is said about some of them; one of them may be nonsense.
    async fn batches(&mut self) -> Step {
        let agent = self.agent();
        let count = self.random.magnitude(6) as usize;
        let mut items = Vec::new();
        for _ in 0..count {
            let id = Uuid::now_v7();
            let mut execution = self.execution(&agent);
            execution["id"] = json!(id);
            if self.random.one_in(3) {
                execution["version"] = json!(self.random.pick(&agent.versions));
            }
            items.push((id, execution));
        }
        let executions: Vec<Uuid> = items.iter().map(|(id, _)| *id).collect();
        self.report_many(Kind::Execution, items).await?;
        let mut items = Vec::new();
        for execution in executions {
            if self.random.one_in(2) {
                let id = Uuid::now_v7();
                items.push((id, self.feedback(&agent, id, execution)));
            }
        }
        self.report_many(Kind::Feedback, items).await
    }

    /// Feedback that arrives before its execution, and is revised before.
    async fn hear_first(&mut self) -> Step {
        let (agent, decision, token) = self.decide().await?;
        let id = Uuid::now_v7();
        self.hear(&agent, id, None).await?;
        if self.random.one_in(2) {
            self.hear(&agent, id, None).await?;
        }
        let mut execution = self.execution(&agent);
        execution["id"] = json!(id);
        if self.random.one_in(2) {
            execution["token"] = token.into();
        } else {
            execution["decision_id"] = json!(decision);
        }
        self.report(Kind::Execution, id, execution).await
    }

    /// An execution that has another id than its decision, whose record may be lost.
    async fn execution_of_its_own_name(&mut self) -> Step {
        let (agent, decision, token) = self.decide().await?;
        let id = Uuid::now_v7();
        let mut execution = self.execution(&agent);
        execution["id"] = json!(id);
        execution["decision_id"] = json!(decision);
        self.report(Kind::Execution, id, execution).await?;
        let token = self.random.one_in(2).then_some(token);
        self.hear(&agent, id, token).await
    }

    /// An execution that nobody decided, and that names no version.
    async fn unversioned(&mut self) -> Step {
        let agent = self.agent();
        let id = Uuid::now_v7();
        let mut execution = self.execution(&agent);
        execution["id"] = json!(id);
        self.report(Kind::Execution, id, execution).await?;
        self.hear(&agent, id, None).await
    }

    /// Something that was acknowledged, sent again: it changes nothing. With other content it is refused.
    async fn again(&mut self) -> Step {
        let known = {
            let notes = self.journal.notes();
            if notes.order.is_empty() {
                return Ok(());
            }
            let newest = notes.order.len() - 1 - self.random.below(notes.order.len().min(200));
            notes.entries[&notes.order[newest]].clone()
        };
        if known.acknowledged {
            let altered = self.random.one_in(2);
            self.resend(known.kind, known.id, &known.body, altered).await?;
        }
        Ok(())
    }

    // ---------------------------------------------------------------------------------------------- how it is said

    fn agent(&mut self) -> Agent {
        self.random.pick(&self.agents).clone()
    }

    fn context(&mut self) -> Value {
        let task = format!("task-{}", self.random.below(5));
        json!({ "task": task, "chars": self.random.below(3000), "share": 0.25, "options": self.random.one_in(2) })
    }

    /// A word that is no other's. Letters: a long number is a card's now and then, and is stored as `[card]`.
    fn word(&mut self) -> String {
        let letter = |digit: u8| char::from(digit - b'0' + b'a');
        self.random.next().to_string().bytes().map(letter).collect()
    }

    fn text(&mut self) -> String {
        match self.random.below(4) {
            0 => "the same words".to_owned(),
            1 => format!("Größe – 質問 {} \"quoted\"\n", self.word()),
            2 => "Und so weiter, ".repeat(self.random.magnitude(8) as usize),
            _ => format!("question {}", self.word()),
        }
    }

    fn moment(&mut self) -> String {
        let (minute, second, micros) =
            (self.random.below(60), self.random.below(60), 100_001 + self.random.below(9));
        format!("2026-01-28T12:{minute:02}:{second:02}.{micros}Z")
    }

    fn execution(&mut self, agent: &Agent) -> Value {
        let mut body = json!({
            "agent_id": agent.id,
            "input": self.text(),
            "output": self.text(),
            "metrics": { "latency_ms": self.random.below(5000), "cost": self.random.below(1000) as f64 / 1e4 },
        });
        if self.random.one_in(2) {
            body["context"] = self.context();
            body["unit"] = json!(format!("user-{}", self.random.below(50)));
            body["subject"] = body["unit"].clone();
        }
        if self.random.one_in(3) {
            body["session"] = json!(format!("session-{}", self.random.below(50)));
            body["trace"] = json!("trace");
            body["step"] = json!(self.random.below(9));
            body["parent_id"] = json!(Uuid::now_v7());
            body["error"] = json!("timeout");
        }
        if self.random.one_in(2) {
            body["occurred_at"] = self.moment().into();
        }
        body
    }

    fn feedback(&mut self, agent: &Agent, id: Uuid, execution: Uuid) -> Value {
        let mut body = json!({ "id": id, "agent_id": agent.id, "execution_id": execution });
        let kind = match self.random.below(9) {
            0 => "thumbs_up",
            1 => "thumbs_down",
            2 => {
                body["correction_text"] = self.text().into();
                "correction"
            }
            3 => {
                body["issue_categories"] = json!(["incorrect", "too long"]);
                body["feedback_text"] = self.text().into();
                "report_issue"
            }
            4 => {
                body["dimensions"] = json!({ "accuracy": 1 + self.random.below(5), "clarity": 3 });
                body["feedback_text"] = self.text().into();
                // Everybody speaks once: who speaks fifty times a minute is refused as spam.
                body["author"] = json!(format!("user-{}", self.word()));
                "detailed_feedback"
            }
            5 | 6 => {
                body["rating"] = json!(1 + self.random.below(5));
                "star_rating"
            }
            _ => {
                body["metrics"] = json!({ "reward": self.random.below(1001) as f64 / 1e3 });
                body["source"] = json!("program");
                "metric"
            }
        };
        body["feedback_type"] = kind.into();
        if self.random.one_in(4) {
            body["source"] = json!("expert");
        }
        if self.random.one_in(2) {
            body["occurred_at"] = self.moment().into();
        }
        body
    }

    // ---------------------------------------------------------------------------------------------- requests

    /// Asks for a decision, under an id of the server's or of its own.
    async fn decide(&mut self) -> Step<(Agent, Uuid, String)> {
        let agent = self.agent();
        let mut body = json!({ "agent_id": agent.id, "context": self.context(), "unit": "user-1" });
        let own = self.random.one_in(3);
        if own {
            body["decision_id"] = json!(Uuid::now_v7());
        }
        if self.random.one_in(10) {
            body["version"] = json!(self.random.pick(&agent.versions));
        }
        let path = "/api/learning/decide";
        let (_, answer) = self.post(path, &body, false).await?;
        let (id, token) =
            (self.journal.decided(answer.clone()), answer["token"].as_str().unwrap().to_owned());
        if own && self.random.one_in(3) {
            let (_, again) = self.post(path, &body, false).await?;
            if again["version"] != answer["version"] || again["decision_id"] != answer["decision_id"] {
                self.journal.fault(format!("asked twice, decided twice: {answer} and {again}"));
            }
        }
        Ok((agent, id, token))
    }

    /// Says something about an execution.
    pub(crate) async fn hear_of(
        &mut self,
        agent: Uuid,
        execution: Uuid,
        token: Option<String>,
    ) -> Option<Value> {
        let agent = self.agents.iter().find(|a| a.id == agent).unwrap().clone();
        let id = Uuid::now_v7();
        // Nothing but a rating: a text that happens to be another's copy would be stored, but would not count.
        let mut body = json!({ "id": id, "agent_id": agent.id, "execution_id": execution });
        body["feedback_type"] = "star_rating".into();
        body["rating"] = json!(1 + self.random.below(5));
        if let Some(token) = token {
            body["token"] = token.into();
        }
        self.report_and_see(Kind::Feedback, id, body).await.ok()
    }

    /// Reports the execution of a decision, with its token.
    pub(crate) async fn report_of(&mut self, agent: Uuid, decision: Uuid, token: &str) -> bool {
        let agent = self.agents.iter().find(|a| a.id == agent).unwrap().clone();
        let mut body = self.execution(&agent);
        body["token"] = token.into();
        self.report(Kind::Execution, decision, body).await.is_ok()
    }

    async fn hear(&mut self, agent: &Agent, execution: Uuid, token: Option<String>) -> Step {
        let id = Uuid::now_v7();
        let mut body = self.feedback(agent, id, execution);
        if let Some(token) = token {
            body["token"] = token.into();
        }
        self.report(Kind::Feedback, id, body).await
    }

    async fn report(&mut self, kind: Kind, id: Uuid, body: Value) -> Step {
        self.report_and_see(kind, id, body).await.map(drop)
    }

    async fn report_and_see(&mut self, kind: Kind, id: Uuid, body: Value) -> Step<Value> {
        self.journal.sent(kind, id, &body);
        let (_, answer) = self.post(kind.path(), &body, false).await?;
        self.journal.acknowledged(kind, id);
        if answer["id"] != json!(id) || answer["position"].as_i64().is_none() {
            self.journal.fault(format!("{id} was answered {answer}"));
        }
        Ok(answer)
    }

    async fn report_many(&mut self, kind: Kind, mut items: Vec<(Uuid, Value)>) -> Step {
        if items.is_empty() {
            return Ok(());
        }
        let mut bad = None;
        if self.random.one_in(3) {
            let at = self.random.below(items.len());
            match kind {
                Kind::Execution => items[at].1["version"] = json!("f".repeat(64)),
                Kind::Feedback => items[at].1["rating"] = json!(6),
            }
            bad = Some(at);
        }
        for (index, (id, body)) in items.iter().enumerate() {
            if bad != Some(index) {
                self.journal.sent(kind, *id, body);
            }
        }
        let body: Value = items.iter().map(|(_, body)| body.clone()).collect();
        let lines = self.random.one_in(2);
        let (_, answer) = self.post(kind.path(), &body, lines).await?;
        let rejected: Vec<_> =
            answer["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64()).collect();
        let taken = answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap();
        if rejected != bad.iter().map(|at| Some(*at as u64)).collect::<Vec<_>>()
            || taken as usize + rejected.len() != items.len()
        {
            self.journal.fault(format!(
                "a batch of {} with a bad item at {bad:?} was answered {answer}",
                items.len()
            ));
        }
        for (index, (id, _)) in items.iter().enumerate() {
            if bad != Some(index) {
                self.journal.acknowledged(kind, *id);
            }
        }
        Ok(())
    }

    /// Sends something acknowledged again; true when that was answered as it must be.
    async fn resend(&mut self, kind: Kind, id: Uuid, body: &Value, altered: bool) -> Step<bool> {
        let mut body = body.clone();
        // In a batch an execution always names its id; alone it may have the decision's.
        if altered {
            match kind {
                Kind::Execution => body["output"] = "something else".into(),
                Kind::Feedback => body["feedback_text"] = "something else".into(),
            }
        }
        let expected = if altered { 409 } else { 200 };
        let (status, answer) = self.post_expecting(kind.path(), &body, false, &[expected]).await?;
        let right = status == expected && (altered || answer["status"] == "duplicate");
        if !right {
            self.journal.fault(format!("{id} again, altered: {altered}: {status} {answer}"));
        }
        Ok(right)
    }

    /// Sends again what must be known.
    pub(crate) async fn known(&mut self, kind: Kind, id: Uuid, body: &Value, altered: bool) -> bool {
        self.resend(kind, id, body, altered).await.is_ok_and(|right| right)
    }

    /// Sends again what was in doubt: now it is known to be there.
    pub(crate) async fn insist(&mut self, kind: Kind, id: Uuid, body: &Value) {
        if self.post(kind.path(), body, false).await.is_ok() {
            self.journal.acknowledged(kind, id);
        }
    }

    async fn post(&mut self, path: &str, body: &Value, lines: bool) -> Step<(u16, Value)> {
        self.post_expecting(path, body, lines, &[200, 201]).await
    }

    async fn post_expecting(
        &mut self,
        path: &str,
        body: &Value,
        lines: bool,
        expected: &[u16],
    ) -> Step<(u16, Value)> {
        loop {
            let answer = match lines {
                true => self.client.post_lines(path, body).await,
                false => self.client.post(path, body).await,
            };
            match answer {
                Answer::Given { status, body, .. } if expected.contains(&status) => {
                    self.journal.answered();
                    return Ok((status, body));
                }
                Answer::Given { status: 503, retry_after, .. } => {
                    if !retry_after {
                        self.journal.fault(format!("{path} answered 503 without Retry-After"));
                    }
                    self.journal.put_off();
                }
                Answer::Given { status, body: answer, .. } => {
                    let sent: String = body.to_string().chars().take(400).collect();
                    self.journal.fault(format!("{path} answered {status} {answer} to {sent}"));
                    return Err(Gone);
                }
                Answer::Lost => self.journal.broke_off(),
            }
            if !self.patient || self.stop.load(Relaxed) {
                return Err(Gone);
            }
            between_looks().await;
        }
    }
}
