//! What was sent, what was acknowledged, what was decided: what the database is compared with.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Execution,
    Feedback,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Execution, Self::Feedback];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Execution => "/api/learning/executions",
            Self::Feedback => "/api/learning/feedback",
        }
    }

    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Execution => "executions",
            Self::Feedback => "feedback",
        }
    }
}

/// Something sent, whether or not it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) id: Uuid,
    pub(crate) body: Value,
    pub(crate) acknowledged: bool,
    /// In which cycle it was acknowledged.
    pub(crate) cycle: usize,
}

/// A decision that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) id: Uuid,
    pub(crate) answer: Value,
}

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) cycle: usize,
    pub(crate) entries: HashMap<(Kind, Uuid), Entry>,
    pub(crate) order: Vec<(Kind, Uuid)>,
    pub(crate) decisions: HashMap<Uuid, Decided>,
    /// Which decision a token proves.
    pub(crate) tokens: HashMap<String, Uuid>,
    /// Answers that no client should get.
    pub(crate) faults: Vec<String>,
    /// Requests that broke off.
    pub(crate) broken: u64,
}

pub(crate) struct Journal {
    notes: Mutex<Notes>,
    /// How many requests were answered with success.
    answers: watch::Sender<u64>,
    /// How many writes were put off with 503.
    put_off: watch::Sender<u64>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { notes: Mutex::default(), answers: watch::Sender::new(0), put_off: watch::Sender::new(0) }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    pub(crate) fn next_cycle(&self) -> usize {
        let mut notes = self.notes();
        notes.cycle += 1;
        notes.cycle
    }

    pub(crate) fn sent(&self, kind: Kind, id: Uuid, body: &Value) {
        let mut notes = self.notes();
        let cycle = notes.cycle;
        if !notes.entries.contains_key(&(kind, id)) {
            notes.order.push((kind, id));
            notes
                .entries
                .insert((kind, id), Entry { kind, id, body: body.clone(), acknowledged: false, cycle });
        }
    }

    pub(crate) fn acknowledged(&self, kind: Kind, id: Uuid) {
        let mut notes = self.notes();
        let cycle = notes.cycle;
        let entry = notes.entries.get_mut(&(kind, id)).unwrap();
        if !entry.acknowledged {
            (entry.acknowledged, entry.cycle) = (true, cycle);
        }
    }

    pub(crate) fn decided(&self, answer: Value) -> Uuid {
        let id = answer["decision_id"].as_str().unwrap().parse().unwrap();
        let mut notes = self.notes();
        notes.tokens.insert(answer["token"].as_str().unwrap().to_owned(), id);
        notes.decisions.entry(id).or_insert(Decided { id, answer });
        id
    }

    pub(crate) fn fault(&self, text: String) {
        self.notes().faults.push(text);
    }

    pub(crate) fn broke_off(&self) {
        self.notes().broken += 1;
    }

    pub(crate) fn answered(&self) {
        self.answers.send_modify(|n| *n += 1);
    }

    pub(crate) fn put_off(&self) {
        self.put_off.send_modify(|n| *n += 1);
    }

    /// Waits for so many more answers.
    pub(crate) async fn after_answers(&self, more: u64) {
        reach(&self.answers, more, "answers").await;
        let faults = self.notes().faults.clone();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Waits for so many more writes that were put off.
    pub(crate) async fn after_put_off(&self, more: u64) {
        reach(&self.put_off, more, "writes put off").await;
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.notes().entries.values().filter(|e| e.kind == kind && e.acknowledged).count()
    }
}

async fn reach(count: &watch::Sender<u64>, more: u64, what: &str) {
    let mut count = count.subscribe();
    let target = *count.borrow() + more;
    let limit = std::time::Duration::from_secs(60);
    let reached = tokio::time::timeout(limit, count.wait_for(|n| *n >= target)).await.is_ok();
    assert!(reached, "waited {limit:?} for {more} {what}");
}
