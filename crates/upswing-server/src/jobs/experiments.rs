//! Folds what units of experiments do into their tallies: a few times a second, and before somebody looks.
//!
//! Any server may fold: whoever saves says what it has read, and of two who read the same only one saves. In the background
//! the server that learns does it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use upswing_domain::{Experiment, ExperimentId, ExperimentStatus, Pseudonym, Timestamp};
use upswing_learn::evaluate::{Tally, Unit, analyse, top_two_shares};
use upswing_store::{
    Actor, ExperimentChanges, ExperimentEvent, ExperimentLook, ExperimentProgress, ExperimentUnit, Happened,
    StoreError,
};

use crate::app::{App, Shared};
use crate::jobs::news::AgentKey;
use crate::routes::effective_at;

const EVERY: Duration = Duration::from_millis(200);
/// Events of each kind in one piece.
const PIECE: usize = 1_000;
/// Pieces of one agent before others have their turn.
const PIECES: usize = 20;
/// How long a request waits for the fold to catch up; what is behind then is told by the position.
const PATIENCE: Duration = Duration::from_secs(2);
/// Outcomes close so long after the end of their windows: what was recorded before the end has been written by then.
const SLACK_SECONDS: i64 = 2;
/// Adaptive shares follow at most so often, and by so much.
const REALLOCATE_SECONDS: i64 = 60;
const REALLOCATE_FROM: f64 = 0.02;
/// A look is kept when so much more is known, or when so much time has passed.
const LOOK_GROWTH: f64 = 1.05;
const LOOK_EVERY_SECONDS: i64 = 3_600;

/// What was folded, by agent.
#[derive(Default)]
pub(crate) struct Folds(Mutex<HashMap<AgentKey, Arc<tokio::sync::Mutex<Fold>>>>);

/// One agent's tallies, as they were saved last.
#[derive(Default)]
struct Fold {
    /// `None` where they have to be read.
    progress: Option<ExperimentProgress>,
    tallies: HashMap<ExperimentId, Tally>,
}

impl Folds {
    fn of(&self, key: AgentKey) -> Arc<tokio::sync::Mutex<Fold>> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }
}

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    loop {
        let mine = !app.shared_database || app.counts.learner_lease.load(Relaxed) == 1;
        if mine && app.store.queue().connected {
            for agent in app.registry.all_agents() {
                let experiments = agent.serving().state.experiments.clone();
                if experiments.is_empty() {
                    continue;
                }
                let key = (agent.organisation, agent.id);
                if let Err(error) = fold(&app, key, &experiments).await {
                    tracing::warn!(%error, agent = %agent.id, "experiments wait");
                    continue;
                }
                for experiment in &experiments {
                    if let Err(error) = reallocate(&app, key, experiment).await {
                        tracing::warn!(%error, experiment = %experiment.id, "the split stays as it is");
                    }
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Gives an adaptive experiment the shares that follow what is known: at most once a minute, and where they move enough.
async fn reallocate(app: &App, key: AgentKey, experiment: &Experiment) -> Result<(), StoreError> {
    let (Some(adaptive), Some(latest)) = (experiment.plan.adaptive, experiment.allocations.last()) else {
        return Ok(());
    };
    let now = app.now();
    let due = latest.effective_at.plus_seconds(REALLOCATE_SECONDS) <= now;
    if experiment.status != ExperimentStatus::Running || !due {
        return Ok(());
    }
    let folded = app.experiments.of(key);
    let shares = {
        let fold = folded.lock().await;
        let Some(tally) = fold.tallies.get(&experiment.id) else { return Ok(()) };
        top_two_shares(&experiment.plan, tally, adaptive.floor)
    };
    let weights = experiment.plan.weights();
    if weights.iter().zip(&shares).all(|(old, new)| (old - new).abs() < REALLOCATE_FROM) {
        return Ok(());
    }
    let actor = Actor { organisation: key.0, key: None, now, request: None };
    let at = effective_at(app, now);
    app.store.split_experiment(actor, experiment.id, shares, experiment.plan.coverage, at).await?;
    app.registry.reload_agent(&app.store, key.0, key.1).await
}

/// What is known of an experiment now; for one that is still under way, after folding what is new.
///
/// # Errors
/// When the database refuses, or what it holds is not understood.
pub(crate) async fn current(app: &App, key: AgentKey, experiment: &Experiment) -> Result<Tally, StoreError> {
    let agent = app.registry.agent(key.0, key.1);
    let active = agent.map(|agent| agent.serving().state.experiments.clone()).unwrap_or_default();
    if active.iter().any(|other| other.id == experiment.id) {
        let work = async {
            while !fold(app, key, &active).await? {}
            Ok::<_, StoreError>(())
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap_or(Ok(()))?;
        let folded = app.experiments.of(key);
        let fold = folded.lock().await;
        if let Some(tally) = fold.tallies.get(&experiment.id) {
            return Ok(tally.clone());
        }
    }
    stored(app, key, experiment).await
}

async fn stored(app: &App, key: AgentKey, experiment: &Experiment) -> Result<Tally, StoreError> {
    match app.store.experiment_tally(key.0, experiment.id).await? {
        Some(bytes) => Tally::from_bytes(&bytes).map_err(|error| StoreError::Corrupt(error.to_string())),
        None => Ok(Tally::new(&experiment.plan)),
    }
}

/// Folds one agent's news; whether nothing is left.
async fn fold(app: &App, key: AgentKey, experiments: &[Experiment]) -> Result<bool, StoreError> {
    let folded = app.experiments.of(key);
    let mut folded = folded.lock().await;
    for _ in 0..PIECES {
        match fold_piece(app, key, experiments, &mut folded).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // Somebody else has saved: what is in memory is of before.
            Err(StoreError::LeaseLost) => folded.progress = None,
            Err(error) => {
                folded.progress = None;
                return Err(error);
            }
        }
    }
    Ok(false)
}

async fn fold_piece(
    app: &App,
    key: AgentKey,
    experiments: &[Experiment],
    fold: &mut Fold,
) -> Result<bool, StoreError> {
    let (organisation, agent) = key;
    let before = match fold.progress {
        Some(progress) => progress,
        None => {
            fold.tallies.clear();
            app.store.experiment_progress(organisation, agent).await?
        }
    };
    fold.progress = Some(before);
    for experiment in experiments {
        if let Entry::Vacant(place) = fold.tallies.entry(experiment.id) {
            place.insert(stored(app, key, experiment).await?);
        }
    }
    // Read before the events: what was recorded up to then is among them, unless it still waits to be written.
    let now = app.now();
    let piece = app.store.experiment_piece(organisation, agent, before.position, PIECE).await?;
    let mut work =
        Work { experiments, tallies: &mut fold.tallies, units: HashMap::new(), changed: HashSet::new() };
    work.read_units(app, key, &piece.events).await?;
    let segments = app.registry.agent(organisation, agent);
    let segments = segments.map(|agent| agent.serving().state.agent.segments.clone()).unwrap_or_default();
    for event in &piece.events {
        work.take(event, &segments);
    }
    let mut complete = piece.complete;
    if piece.complete {
        for experiment in experiments {
            let until = now.plus_seconds(-SLACK_SECONDS);
            complete &= work.close_due(app, key, experiment, until).await?;
        }
    }
    let looks = work.looks(now);
    let changes = work.changes(looks)?;
    let nothing = changes.units.is_empty() && changes.looks.is_empty();
    if nothing && piece.to == before.position {
        return Ok(complete);
    }
    // Nobody's units moved: reading on is all there is to save, and that can wait for more.
    if nothing && complete && piece.to.0 - before.position.0 < i64::try_from(PIECE).unwrap_or(i64::MAX) {
        fold.progress = Some(before);
        return Ok(true);
    }
    fold.progress = None;
    let saved = app.store.save_experiments(organisation, agent, now, (before, piece.to), changes).await?;
    fold.progress = Some(saved);
    Ok(complete)
}

type UnitKey = (ExperimentId, Pseudonym);

/// One piece while it is folded.
struct Work<'a> {
    experiments: &'a [Experiment],
    tallies: &'a mut HashMap<ExperimentId, Tally>,
    units: HashMap<UnitKey, Unit>,
    changed: HashSet<UnitKey>,
}

impl Work<'_> {
    fn experiment(&self, id: ExperimentId) -> Option<&Experiment> {
        self.experiments.iter().find(|experiment| experiment.id == id)
    }

    async fn read_units(
        &mut self,
        app: &App,
        key: AgentKey,
        events: &[ExperimentEvent],
    ) -> Result<(), StoreError> {
        let keys = events.iter().map(|event| (event.assignment.experiment, event.assignment.unit));
        let keys: HashSet<UnitKey> = keys.filter(|(id, _)| self.experiment(*id).is_some()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        for (experiment, unit, state) in app.store.experiment_units(key.0, keys).await? {
            self.units.insert((experiment, unit), understood(&state)?);
        }
        Ok(())
    }

    fn take(&mut self, event: &ExperimentEvent, segments: &[String]) {
        let assignment = event.assignment;
        let found = self.experiments.iter().find(|experiment| experiment.id == assignment.experiment);
        let (Some(experiment), Some(tally)) = (found, self.tallies.get_mut(&assignment.experiment)) else {
            return;
        };
        let key = (assignment.experiment, assignment.unit);
        let plan = &experiment.plan;
        let context = match &event.what {
            Happened::Exposed { context } => context.as_deref(),
            Happened::Value { .. } => None,
        };
        let unit = match self.units.entry(key) {
            Entry::Occupied(unit) => unit.into_mut(),
            Entry::Vacant(place) => {
                let arm = (assignment.arm, assignment.allocation);
                let mut unit = Unit::exposed(plan, arm, event.at, context, segments);
                tally.expose(plan, &mut unit);
                self.changed.insert(key);
                place.insert(unit)
            }
        };
        if let Happened::Value { source, value, count } = &event.what {
            let before = unit.totals.clone();
            tally.take(plan, &experiment.allocations, unit, event.at, (source, *value, *count));
            if unit.totals != before {
                self.changed.insert(key);
            }
        }
    }

    /// Closes what has ended; whether nothing is left.
    async fn close_due(
        &mut self,
        app: &App,
        key: AgentKey,
        experiment: &Experiment,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        if experiment.plan.metrics.iter().all(|metric| metric.window().is_none()) {
            return Ok(true);
        }
        let mut due: Vec<(Timestamp, Pseudonym)> = Vec::new();
        let stored = app.store.due_experiment_units(key.0, experiment.id, until, PIECE).await?;
        let complete = stored.len() < PIECE;
        for (unit, state) in stored {
            if let Entry::Vacant(place) = self.units.entry((experiment.id, unit)) {
                place.insert(understood(&state)?);
            }
            due.extend(
                self.units
                    .get(&(experiment.id, unit))
                    .and_then(|u| u.closes_at(&experiment.plan))
                    .map(|at| (at, unit)),
            );
        }
        // Units of this piece may be due already, and are not stored yet.
        if complete {
            let fresh = self.changed.iter().filter(|(id, _)| *id == experiment.id);
            let fresh =
                fresh.filter_map(|key| Some((self.units.get(key)?.closes_at(&experiment.plan)?, key.1)));
            due.extend(fresh.filter(|(at, _)| *at <= until));
        }
        due.sort_unstable();
        due.dedup();
        let Some(tally) = self.tallies.get_mut(&experiment.id) else { return Ok(true) };
        for (_, unit) in due {
            let key = (experiment.id, unit);
            if let Some(unit) = self.units.get_mut(&key) {
                tally.close_due(&experiment.plan, &experiment.allocations, unit, until);
                self.changed.insert(key);
            }
        }
        Ok(complete)
    }

    /// What each experiment looks like now, where enough is new to be remembered.
    fn looks(&mut self, now: Timestamp) -> Vec<ExperimentLook> {
        let changed: HashSet<ExperimentId> = self.changed.iter().map(|(id, _)| *id).collect();
        let mut looks = Vec::new();
        for experiment in self.experiments.iter().filter(|experiment| changed.contains(&experiment.id)) {
            let Some(tally) = self.tallies.get_mut(&experiment.id) else { continue };
            let closed = tally.closed(&experiment.plan);
            let (known, at) = tally.looked;
            let grown = closed as f64 >= (known as f64 * LOOK_GROWTH).max(known as f64 + 1.0);
            let waited = now.0 - at.0 >= LOOK_EVERY_SECONDS * 1_000_000;
            if grown || (waited && closed > known) {
                tally.looked = (closed, now);
                let results =
                    analyse(&experiment.plan, &experiment.allocations, tally, experiment.started_at, now);
                let results = serde_json::to_string(&results).unwrap_or_default();
                looks.push(ExperimentLook { experiment: experiment.id, at: now, results });
            }
        }
        looks
    }

    fn changes(self, looks: Vec<ExperimentLook>) -> Result<ExperimentChanges, StoreError> {
        let mut tallies = HashSet::new();
        let mut units = Vec::with_capacity(self.changed.len());
        for key in self.changed {
            let plan = self.experiments.iter().find(|experiment| experiment.id == key.0).map(|e| &e.plan);
            let (Some(unit), Some(plan)) = (self.units.get(&key), plan) else { continue };
            tallies.insert(key.0);
            let (state, closes_at) = (unit.to_bytes(), unit.closes_at(plan));
            units.push(ExperimentUnit { experiment: key.0, unit: key.1, state, closes_at });
        }
        let bytes = |id: ExperimentId| Some((id, self.tallies.get(&id)?.to_bytes()));
        Ok(ExperimentChanges { units, tallies: tallies.into_iter().filter_map(bytes).collect(), looks })
    }
}

fn understood(state: &[u8]) -> Result<Unit, StoreError> {
    Unit::from_bytes(state).map_err(|error| StoreError::Corrupt(error.to_string()))
}
