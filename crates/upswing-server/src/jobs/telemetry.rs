//! Traces that have come become executions, and feedback that waited for them is written. One server at a time, by a lease.
//!
//! Whatever stops this in between is made up for: an execution's id is made of its trace and span, a piece of feedback has the
//! id under which it waits, and a trace is noted as assembled last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use upswing_domain::{AgentId, ExecutionId, FeedbackId, OrganisationId, Target, Timestamp};
use upswing_otlp::{
    RecordedContent, RecordedExecution, RecordedFeedback, RecordedSpan, Target as Named, TraceId, assemble,
    resolve,
};
use upswing_store::{Ack, Assembled, DueTrace, Event, StoreError, StoredTrace, Waiting as Stored};
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::registry::AgentEntry;
use crate::telemetry::statement::{self, Waiting};
use crate::telemetry::{agent, run};

const LEASE: &str = "telemetry";
const LEASE_SECONDS: i64 = 5;
const RENEW_EVERY: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);
/// How many traces, or pieces of feedback, are taken at once.
const PIECE: i64 = 100;
/// Of how many bytes of spans no more traces are taken at once.
const PIECE_BYTES: usize = 16 << 20;
/// A statement about a trace counts for each of so many executions; a trace of more is no one thing that was judged.
const MOST_TARGETS: usize = 100;
/// After this time an evaluation that names an answer which nobody recorded is about the span on which it came.
const CARRIER_SECONDS: i64 = 60;
/// For how long feedback waits for what it names.
const PATIENCE_SECONDS: i64 = 30 * 86_400;
/// The pauses between looks grow up to this.
const LONGEST_PAUSE_SECONDS: i64 = 3_600;
/// How often old spans are looked for, by the clock of the day.
const PURGE_SECONDS: i64 = 60;

struct Job {
    app: Shared,
    fence: Option<i64>,
    renewed: Option<Instant>,
    purged: Timestamp,
}

pub(crate) async fn follow(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut job = Job { purged: app.now(), app, fence: None, renewed: None };
    loop {
        if let Err(error) = job.turn().await {
            tracing::warn!(%error, "telemetry waits");
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// A run that became an execution.
struct Run {
    /// Which of the traces of the piece it is of.
    place: usize,
    agent: std::sync::Arc<AgentEntry>,
    recorded: RecordedExecution,
}

impl Job {
    async fn turn(&mut self) -> Result<(), StoreError> {
        if self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY) {
            let app = &self.app;
            self.fence = app.store.lease(LEASE, &app.instance, app.now(), LEASE_SECONDS).await?;
            self.renewed = Some(Instant::now());
        }
        let Some(fence) = self.fence else { return Ok(()) };
        let now = self.app.now();
        let purge = now.0 - self.purged.0 >= PURGE_SECONDS * 1_000_000;
        for organisation in self.app.registry.organisations() {
            let store = &self.app.store;
            let traces = store.due_traces(organisation, now, PIECE).await?;
            if !traces.is_empty() {
                self.assemble(organisation, fence, traces).await?;
            }
            let mut traces = Traces::new();
            for waiting in store.due_feedback(organisation, now, PIECE).await? {
                self.look_at(organisation, waiting, &mut traces).await?;
            }
            if purge {
                let before = now.plus_seconds(-self.app.limits.telemetry.keep_seconds);
                store.purge_traces(organisation, before, PIECE).await?;
            }
        }
        if purge {
            self.purged = now;
        }
        Ok(())
    }

    /// Makes executions of traces, as many as fit into memory, and notes under which names feedback finds them.
    async fn assemble(
        &self,
        organisation: OrganisationId,
        fence: i64,
        traces: Vec<DueTrace>,
    ) -> Result<(), StoreError> {
        let app = &self.app;
        let mut assembled: Vec<Assembled> = Vec::with_capacity(traces.len());
        let mut bytes = 0;
        let (mut runs, mut events) = (Vec::new(), Vec::new());
        for trace in traces {
            // Those that are left are as due in the next turn.
            if bytes >= PIECE_BYTES {
                break;
            }
            let place = assembled.len();
            let stored = app.store.trace(organisation, &trace.trace).await?;
            bytes += stored.spans.iter().map(|(_, body)| body.len()).sum::<usize>();
            let mut error = None;
            let spans = read(&stored).unwrap_or_else(|reason| {
                tracing::warn!(reason, trace = trace.trace, "a stored trace cannot be read");
                error = Some(reason);
                Vec::new()
            });
            for recorded in assemble(&spans) {
                let of_request = stored.spans.iter().find_map(|(agent, _)| *agent);
                match agent::of_run(app, organisation, &recorded.run, of_request) {
                    Ok(agent) => {
                        events.push(run::event(app, organisation, &agent, &recorded, &spans));
                        runs.push(Run { place, agent, recorded });
                    }
                    Err(reason) => {
                        tracing::warn!(reason, trace = trace.trace, "a run is assigned to no agent");
                        error = Some(reason);
                    }
                }
            }
            assembled.push(Assembled { trace, aliases: Vec::new(), superseded: BTreeMap::new(), error });
        }
        let acks = app.store.write(organisation, app.now(), events.clone()).await?;
        let mut known = Vec::with_capacity(assembled.len());
        for trace in &assembled {
            // What was an execution while less was known.
            let name = format!("trace:{}", trace.trace.trace);
            let here = app.store.executions_named(organisation, &name).await?;
            known.push(here.into_iter().map(|(id, _)| id).collect::<BTreeSet<ExecutionId>>());
        }
        for ((run, event), ack) in runs.into_iter().zip(events).zip(acks) {
            let here = &known[run.place];
            let Assembled { trace, aliases, superseded, error } = &mut assembled[run.place];
            let ack = match ack {
                Ack::OtherAgent(reason) => {
                    tracing::warn!(reason, trace = trace.trace, "a run is stored without its decision");
                    let event = vec![run::undecided(event)];
                    let acks = app.store.write(organisation, app.now(), event).await?;
                    acks.into_iter().next().unwrap_or(Ack::OtherAgent(reason))
                }
                ack => ack,
            };
            match ack {
                Ack::Stored { .. } | Ack::Duplicate { .. } => {
                    aliases.extend(run::aliases(&run.agent, &run.recorded));
                    let parts = run.recorded.supersedes.iter().filter(|id| here.contains(id));
                    superseded.extend(parts.map(|part| (*part, run.recorded.id)));
                }
                Ack::NoConsent(purpose) => {
                    app.store.forget_trace(organisation, &trace.trace).await?;
                    *error = Some(format!("the person has not agreed to {}", purpose.name()));
                }
                refused => {
                    tracing::warn!(?refused, trace = trace.trace, "a run was not stored");
                    *error = Some("the run was refused".to_owned());
                }
            }
        }
        let lease = (LEASE.to_owned(), app.instance.clone(), fence);
        app.store.save_assembled(organisation, lease, app.now(), assembled).await
    }

    /// Writes feedback whose target is known, or notes when to look again.
    async fn look_at(
        &self,
        organisation: OrganisationId,
        stored: Stored,
        traces: &mut Traces,
    ) -> Result<(), StoreError> {
        let app = &self.app;
        let now = app.now();
        let waiting: Waiting = match serde_json::from_str(&stored.body) {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::warn!(%error, feedback = %stored.id, "waiting feedback cannot be read");
                let error = Some("it cannot be read".to_owned());
                return app.store.save_waiting(organisation, stored.id, None, error).await;
            }
        };
        let targets = match &waiting {
            Waiting::Given(given) => {
                let found = app.store.executions_named(organisation, &stored.wants).await?;
                found.into_iter().map(|(id, _)| (Target::Execution(id), given.agent())).collect()
            }
            Waiting::Telemetry(said) => targets(app, organisation, said, stored.received_at, traces).await?,
        };
        if targets.len() > MOST_TARGETS {
            let error = format!("it is about {} executions, more than {MOST_TARGETS}", targets.len());
            tracing::warn!(error, feedback = %stored.id, "feedback is not counted");
            return app.store.save_waiting(organisation, stored.id, None, Some(error)).await;
        }
        if targets.is_empty() {
            let waited = now.0 - stored.received_at.0;
            if waited >= PATIENCE_SECONDS * 1_000_000 {
                let error = Some("nothing of that name came".to_owned());
                return app.store.save_waiting(organisation, stored.id, None, error).await;
            }
            let pause = (10_i64 << stored.attempts.clamp(0, 9)).min(LONGEST_PAUSE_SECONDS);
            return app
                .store
                .save_waiting(organisation, stored.id, Some(now.plus_seconds(pause)), None)
                .await;
        }
        let single = targets.len() == 1;
        let mut error = None;
        let mut events: Vec<Event> = Vec::with_capacity(targets.len());
        for (target, agent) in targets {
            let id = if single { stored.id } else { part(stored.id, &target, agent) };
            match &waiting {
                Waiting::Given(given) => events.push(given.event(app, organisation, id, target)),
                Waiting::Telemetry(said) => {
                    match statement::event(app, organisation, (agent, id, target), said, stored.received_at) {
                        Ok(event) => events.push(event),
                        Err(problem) => error = Some(problem.detail),
                    }
                }
            }
        }
        for ack in app.store.write(organisation, now, events).await? {
            if !matches!(ack, Ack::Stored { .. } | Ack::Duplicate { .. }) {
                tracing::warn!(?ack, feedback = %stored.id, "feedback that waited was not stored");
                error = Some(match ack {
                    Ack::OtherAgent(reason) => reason.to_owned(),
                    _ => "it was refused".to_owned(),
                });
            }
        }
        app.store.save_waiting(organisation, stored.id, None, error).await
    }
}

/// The spans of a trace, with the content that came apart from them.
fn read(stored: &StoredTrace) -> Result<Vec<RecordedSpan>, String> {
    let contents: Vec<RecordedContent> = stored
        .contents
        .iter()
        .map(|body| serde_json::from_str(body))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let mut spans: Vec<RecordedSpan> = stored
        .spans
        .iter()
        .map(|(_, body)| serde_json::from_str(body))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    for span in &mut spans {
        span.attach(&contents);
    }
    Ok(spans)
}

/// One id for each of several things that one statement is about, always the same.
fn part(id: FeedbackId, target: &Target, agent: AgentId) -> FeedbackId {
    let about = target.execution().map_or(agent.0, |execution| execution.0);
    FeedbackId(Uuid::new_v5(&id.0, about.as_bytes()))
}

/// What a statement of telemetry is about, as far as it is known.
async fn targets(
    app: &App,
    organisation: OrganisationId,
    said: &RecordedFeedback,
    received_at: Timestamp,
    traces: &mut Traces,
) -> Result<Vec<(Target, AgentId)>, StoreError> {
    let executions = |found: Vec<(ExecutionId, AgentId)>| {
        found.into_iter().map(|(id, agent)| (Target::Execution(id), agent)).collect::<Vec<_>>()
    };
    match &said.target {
        Named::Response(id) => {
            let found = app.store.executions_named(organisation, &format!("response:{id}")).await?;
            let patient = app.now().0 - received_at.0 < CARRIER_SECONDS * 1_000_000;
            match said.carrier {
                Some((trace_id, span_id)) if found.is_empty() && !patient => {
                    let carrier = Named::Span { trace_id, span_id };
                    Ok(executions(within(app, organisation, trace_id, &carrier, traces).await?))
                }
                _ => Ok(executions(found)),
            }
        }
        Named::Trace(trace) | Named::Span { trace_id: trace, .. } => {
            Ok(executions(within(app, organisation, *trace, &said.target, traces).await?))
        }
        Named::Session(session) => {
            let found = app.store.executions_named(organisation, &format!("session:{session}")).await?;
            let mut agents: BTreeSet<AgentId> = found.into_iter().map(|(_, agent)| agent).collect();
            if agents.is_empty() {
                agents.extend(agent::only(app, organisation).map(|agent| agent.id));
            }
            Ok(agents.into_iter().map(|agent| (Target::Session(session.clone()), agent)).collect())
        }
    }
}

/// A trace as feedback looks at it.
struct Assembly {
    pending: bool,
    spans: Vec<RecordedSpan>,
    recorded: Vec<RecordedExecution>,
    known: Vec<(ExecutionId, AgentId)>,
}

/// Traces that several statements of one piece are about are read once. Some, so that memory is bounded.
type Traces = BTreeMap<TraceId, Assembly>;
const MOST_TRACES: usize = 4;

/// The executions of a trace that a statement is about. While more of the trace may come, none.
async fn within(
    app: &App,
    organisation: OrganisationId,
    trace: TraceId,
    target: &Named,
    traces: &mut Traces,
) -> Result<Vec<(ExecutionId, AgentId)>, StoreError> {
    if !traces.contains_key(&trace) {
        if traces.len() >= MOST_TRACES {
            traces.clear();
        }
        let stored = app.store.trace(organisation, &trace.to_string()).await?;
        let known = app.store.executions_named(organisation, &format!("trace:{trace}")).await?;
        let spans = read(&stored).unwrap_or_default();
        let recorded = assemble(&spans);
        traces.insert(trace, Assembly { pending: stored.pending, spans, recorded, known });
    }
    let Some(assembly) = traces.get(&trace).filter(|assembly| !assembly.pending) else {
        return Ok(Vec::new());
    };
    if !assembly.spans.is_empty() {
        let agents: BTreeMap<ExecutionId, AgentId> = assembly.known.iter().copied().collect();
        let about = resolve(target, &assembly.spans, &assembly.recorded);
        return Ok(about.into_iter().filter_map(|id| Some((id, *agents.get(&id)?))).collect());
    }
    // The spans are gone, or never came here: the names remain.
    match target {
        Named::Span { span_id, .. } => {
            let alias = format!("span:{trace}-{span_id}");
            app.store.executions_named(organisation, &alias).await
        }
        _ => Ok(assembly.known.clone()),
    }
}
