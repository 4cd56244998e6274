//! Stream windows over implicit feedback: a thousand signals or a minute, at least ten of them. One server at a time, by
//! a lease; windows follow positions, so that nothing is read twice or passed over, whenever the server stops.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use upswing_domain::{AgentId, Behaviour, OrganisationId, Position, Pseudonym, Purpose};
use upswing_learn::stream::{
    Item, LEAST_CONFIDENCE, LEAST_SIGNALS, Profile, StageReport, WINDOW_SECONDS, WINDOW_SIZE, aggregate,
    extract, filter,
};
use upswing_store::{StoreError, StoredProfile, StreamSignal, StreamWindow, WindowOutcome};

use crate::app::Shared;
use crate::jobs::news::AgentKey;

const LEASE: &str = "windows";
const LEASE_SECONDS: i64 = 5;
const RENEW_EVERY: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);
/// A window that fails so often is set aside.
const ATTEMPTS: i64 = 5;

struct Windows {
    app: Shared,
    fence: Option<i64>,
    renewed: Option<Instant>,
    /// Agents whose signals have not filled a window.
    open: HashSet<AgentKey>,
}

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut windows = Windows { app, fence: None, renewed: None, open: HashSet::new() };
    loop {
        if let Err(error) = windows.turn().await {
            tracing::warn!(%error, "stream windows wait");
        }
        tokio::select! {
            () = stop.requested() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    if windows.fence.is_some()
        && let Err(error) = windows.app.store.release_lease(LEASE, &windows.app.instance).await
    {
        tracing::warn!(%error, "the lease ends by itself");
    }
}

impl Windows {
    async fn turn(&mut self) -> Result<(), StoreError> {
        if self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY) {
            let app = &self.app;
            let held = app.store.lease(LEASE, &app.instance, app.now(), LEASE_SECONDS).await?;
            self.renewed = Some(Instant::now());
            if held.is_some() && held != self.fence {
                // Whatever came in while nobody looked.
                self.open.extend(app.registry.all_agents().iter().map(|a| (a.organisation, a.id)));
            }
            self.fence = held;
        }
        let Some(fence) = self.fence else { return Ok(()) };
        self.open.extend(self.app.news.windows.take().into_keys());
        for key in self.open.clone() {
            while self.advance(key, fence).await? {}
        }
        Ok(())
    }

    /// Makes the agent's next window; whether another may be ready.
    async fn advance(&mut self, key: AgentKey, fence: i64) -> Result<bool, StoreError> {
        let (organisation, agent) = key;
        let now = self.app.now();
        let store = &self.app.store;
        let due = store.due_windows(organisation, agent, now).await?;
        let waiting = !due.is_empty();
        for window in due {
            let range = (window.from, window.to);
            let signals = store.window_signals(organisation, agent, range, WINDOW_SIZE).await?;
            self.process(key, fence, window, signals).await?;
        }
        let (head, last) = store.window_head(organisation, agent).await?;
        let ahead = (head, Position(i64::MAX));
        let signals = store.window_signals(organisation, agent, ahead, WINDOW_SIZE).await?;
        let Some((first, newest)) = signals.first().zip(signals.last()) else {
            let retrying = store.windows(organisation, agent, None, 200).await?;
            if !waiting && !retrying.iter().any(|w| w.status == "retrying") {
                self.open.remove(&key);
            }
            return Ok(false);
        };
        let full = signals.len() >= WINDOW_SIZE;
        let late = now.0 - first.received_at.0 >= WINDOW_SECONDS * 1_000_000;
        let ready = full || (late && signals.len() >= LEAST_SIGNALS);
        if !ready {
            return Ok(false);
        }
        let window = StreamWindow {
            ordinal: last + 1,
            from: head,
            to: newest.position,
            signals: i64::try_from(signals.len()).unwrap_or(i64::MAX),
            status: String::new(),
            stages: String::new(),
            attempts: 0,
            next_attempt_at: None,
            error: None,
            updated_at: now,
        };
        self.process(key, fence, window, signals).await?;
        Ok(full)
    }

    /// Puts a window through its stages and writes what became of it.
    async fn process(
        &self,
        (organisation, agent): AgentKey,
        fence: i64,
        mut window: StreamWindow,
        signals: Vec<StreamSignal>,
    ) -> Result<(), StoreError> {
        let now = self.app.now();
        let mut stages = Vec::new();
        let outcome = self.stages(organisation, agent, &signals, window.attempts, &mut stages).await;
        window.attempts += 1;
        window.updated_at = now;
        window.stages = serde_json::to_string(&stages).unwrap_or_default();
        window.next_attempt_at = None;
        let (profiles, queued) = match outcome {
            Ok(made) => {
                window.status = "processed".to_owned();
                window.error = None;
                made
            }
            Err(Failed::Database(error)) => return Err(error),
            Err(Failed::Unsure(stage)) => {
                window.status = "stopped".to_owned();
                window.error = Some(format!("the stage {stage} is not confident enough"));
                Default::default()
            }
            Err(Failed::Stage(stage, reason)) => {
                tracing::warn!(stage, reason, %agent, ordinal = window.ordinal, "a stage of a window failed");
                window.error = Some(format!("{stage}: {reason}"));
                if window.attempts >= ATTEMPTS {
                    window.status = "set_aside".to_owned();
                } else {
                    window.status = "retrying".to_owned();
                    // 1, 2, 4, 8 seconds.
                    window.next_attempt_at = Some(now.plus_seconds(1 << (window.attempts - 1)));
                }
                Default::default()
            }
        };
        let lease = (LEASE.to_owned(), self.app.instance.clone(), fence);
        let outcome = WindowOutcome { window, profiles: profiles.clone(), queued };
        self.app.store.save_window(organisation, agent, lease, now, outcome).await?;
        for stored in profiles {
            publish(&self.app, organisation, stored);
        }
        Ok(())
    }

    async fn stages(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        signals: &[StreamSignal],
        attempts: i64,
        reports: &mut Vec<StageReport>,
    ) -> Result<Made, Failed> {
        let fault = |stage: &'static str| match &self.app.stage_fault {
            Some(fault) => fault(stage, attempts).map_err(|reason| Failed::Stage(stage, reason)),
            None => Ok(()),
        };
        let mut clock = Instant::now();
        let mut report = |stage: &'static str, input: usize, output: usize, confidence: f64| {
            let milliseconds = clock.elapsed().as_secs_f64() * 1000.0;
            clock = Instant::now();
            let confidence = (confidence * 1e6).round() / 1e6;
            reports.push(StageReport { stage: stage.to_owned(), input, output, confidence, milliseconds });
            if confidence < LEAST_CONFIDENCE { Err(Failed::Unsure(stage)) } else { Ok(()) }
        };
        fault("validation")?;
        let items: Vec<_> = signals.iter().filter_map(item).collect();
        let share = items.len() as f64 / signals.len().max(1) as f64;
        report("validation", signals.len(), items.len(), share)?;
        fault("aggregation")?;
        let input = items.len();
        let (groups, confidence) = aggregate(items);
        report("aggregation", input, groups.len(), confidence)?;
        fault("quality_filter")?;
        let input = groups.len();
        let (kept, confidence) = filter(groups);
        report("quality_filter", input, kept.len(), confidence)?;
        fault("signal_extraction")?;
        let input = kept.len();
        let (immediate, queued, confidence) = extract(kept);
        report("signal_extraction", input, immediate.len() + queued.len(), confidence)?;
        fault("profile_update")?;
        let profiles = self.profiles(organisation, agent, &immediate).await.map_err(Failed::Database)?;
        report("profile_update", immediate.len(), profiles.len(), 1.0)?;
        fault("training_queue")?;
        let ids: BTreeMap<i64, _> = signals.iter().map(|s| (s.position.0, s.id)).collect();
        let queued: Vec<_> = queued
            .iter()
            .filter_map(|item| Some((Position(item.position), *ids.get(&item.position)?, item.strength)))
            .collect();
        report("training_queue", queued.len(), queued.len(), 1.0)?;
        Ok((profiles, queued))
    }

    /// The profiles of those whose signals were strong, as they are with them. Who has refused has none.
    async fn profiles(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        immediate: &[Item<Pseudonym>],
    ) -> Result<Vec<StoredProfile>, StoreError> {
        let mut by_person: BTreeMap<Pseudonym, Vec<&Item<Pseudonym>>> = BTreeMap::new();
        for item in immediate {
            if let Some(person) = item.person {
                by_person.entry(person).or_default().push(item);
            }
        }
        let store = &self.app.store;
        let mut profiles = Vec::with_capacity(by_person.len());
        for (subject, items) in by_person {
            let decided = store.consents(organisation, subject).await?;
            let latest = decided.iter().rfind(|c| c.purpose == Purpose::Personalisation).map(|c| c.granted);
            if !self.app.consent.allows(latest) {
                continue;
            }
            let stored = store.profile(organisation, agent, subject).await?;
            let mut profile: Profile = match &stored {
                Some(stored) => serde_json::from_str(&stored.body)
                    .map_err(|e| StoreError::Corrupt(format!("profile of {subject}: {e}")))?,
                None => Profile::default(),
            };
            let known = stored.map_or(Position(0), |stored| stored.position);
            // A window that is tried again must not be counted twice.
            let fresh: Vec<_> = items.into_iter().filter(|item| item.position > known.0).collect();
            let Some(newest) = fresh.last() else { continue };
            let position = Position(newest.position);
            for item in &fresh {
                profile.observe(&item.kind, item.category.as_deref(), item.value);
            }
            let body = serde_json::to_string(&profile).unwrap_or_default();
            profiles.push(StoredProfile { agent, subject, position, body, updated_at: self.app.now() });
        }
        Ok(profiles)
    }
}

type Made = (Vec<StoredProfile>, Vec<(Position, upswing_domain::FeedbackId, f64)>);

/// Why a window went no further.
enum Failed {
    /// Not the window's fault: the whole turn is tried again.
    Database(StoreError),
    /// The stage's confidence was too low.
    Unsure(&'static str),
    /// The stage failed.
    Stage(&'static str, String),
}

fn item(signal: &StreamSignal) -> Option<Item<Pseudonym>> {
    let behaviour: Behaviour = serde_json::from_str(signal.behaviour.as_deref()?).ok()?;
    behaviour.validate().ok()?;
    let reading = behaviour.reading();
    Some(Item {
        position: signal.position.0,
        person: signal.author,
        kind: behaviour.kind().to_owned(),
        category: behaviour.category().map(str::to_owned),
        strength: reading.strength,
        value: reading.value,
    })
}

fn publish(app: &Shared, organisation: OrganisationId, stored: StoredProfile) {
    match serde_json::from_str(&stored.body) {
        Ok(profile) => {
            app.profiles.put((organisation, stored.agent, stored.subject), profile, stored.updated_at);
        }
        Err(error) => tracing::warn!(%error, subject = %stored.subject, "a profile cannot be read"),
    }
}

/// How many profiles are read at once.
const PAGE: usize = 1000;

/// Follows the profiles that any server has changed: what is known of a person changes what the next decision sees, on all of
/// them.
pub(crate) async fn follow_profiles(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut seen: BTreeMap<OrganisationId, Position> = BTreeMap::new();
    loop {
        for organisation in app.registry.organisations() {
            if let Err(error) = follow(&app, organisation, &mut seen).await {
                tracing::debug!(%error, "profiles cannot be followed");
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

async fn follow(
    app: &Shared,
    organisation: OrganisationId,
    seen: &mut BTreeMap<OrganisationId, Position>,
) -> Result<(), StoreError> {
    let Some(&from) = seen.get(&organisation) else {
        let latest = app.store.latest_profiles(organisation, crate::profiles::REMEMBERED).await?;
        seen.insert(organisation, latest.first().map_or(Position(0), |profile| profile.position));
        for stored in latest.into_iter().rev() {
            publish(app, organisation, stored);
        }
        return Ok(());
    };
    if !app.shared_database {
        // This server makes them all, and puts them in place when it does.
        return Ok(());
    }
    // From the last position on, once more: a window's profiles may share one.
    let changed = app.store.profiles_since(organisation, from, PAGE).await?;
    if let Some(newest) = changed.last() {
        seen.insert(organisation, newest.position);
    }
    for stored in changed {
        publish(app, organisation, stored);
    }
    Ok(())
}
