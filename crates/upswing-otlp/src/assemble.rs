//! Which spans of a trace are executions.
//!
//! A run is recorded once, however many spans it leaves:
//!
//! - An agent span with no agent span above it is an execution. All agent and chat spans below are its *members*; what it
//!   does not say itself comes from them: tokens and cost are added up over calls, the input is that of the first
//!   call, the output that of the last.
//! - A chat span with no agent and no chat span above it is an execution. A chat span within it is the same call, seen
//!   by another instrumentation.
//! - Chat spans beside each other (one parent, one response id, another instrumentation) are one call as well: the one
//!   that began first stands for it.
//! - A chat span *around* an agent span is the call through which that agent was reached: a member, not an execution.
//!
//! Spans come in any order and over several requests, children mostly before their parents. [`assemble`] may be asked again
//! with more spans at any time. The id of an execution is that of its span alone, so that it never changes; what may
//! happen is that an execution of before is now a member of another one, which then names it among its
//! [`supersedes`](RecordedExecution::supersedes). The order of the spans and how often each is given change nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use upswing_domain::ExecutionId;

use crate::feedback::Target;
use crate::forest::Forest;
use crate::id::{SpanId, TraceId};
use crate::span::{AgentHints, RecordedSpan, Role, Tokens};

/// Where the chain of parents above a span ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ancestry {
    /// At a span without parent: nothing can come above it.
    Root,
    /// At a parent in another process. It comes when that process reports here as well.
    Remote(SpanId),
    /// At a parent that has not come.
    Unseen(SpanId),
    /// In itself: the parents name each other in a circle, and none is followed.
    Circle,
}

/// One run of an agent, of however many spans.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedExecution {
    /// Its id, derived from trace and span.
    pub id: ExecutionId,
    /// Its outermost span, completed by what the members say.
    pub run: RecordedSpan,
    /// The other agent and chat spans of this run, in the order of their beginning.
    pub members: Vec<SpanId>,
    /// The ids under which members may have been executions of their own when fewer spans were known. A store
    /// that finds one of them replaces it: its feedback is about this execution now.
    pub supersedes: Vec<ExecutionId>,
    /// How many calls of a model it made, each counted once.
    pub steps: u32,
    /// The providers' ids of the answers; feedback may name any of them.
    pub response_ids: Vec<String>,
    /// Where the chain of parents ends.
    pub ancestry: Ancestry,
}

impl RecordedExecution {
    /// Whether no span can come that makes this a member of another execution: all above it is known.
    pub fn complete(&self) -> bool {
        matches!(self.ancestry, Ancestry::Root | Ancestry::Circle)
    }
}

/// What a call or agent took, its own or what is below it.
#[derive(Debug, Clone, Copy, Default)]
struct Summary {
    calls: u32,
    tokens: Tokens,
    cost: Option<f64>,
    /// The nodes whose input, output, and model are the run's.
    input: Option<usize>,
    output: Option<usize>,
    model: Option<usize>,
    /// It failed and nothing was counted, as providers do: no reason not to add up the others, its retry among them.
    failed: bool,
}

/// The executions among these spans, of one trace or several, in the order of their beginning within each trace.
pub fn assemble(spans: &[RecordedSpan]) -> Vec<RecordedExecution> {
    let forest = Forest::new(spans);
    let ruling = Ruling::new(&forest);
    let summaries = summaries(&forest);
    let hints = Inherited::new(&forest);
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for (node, span) in forest.nodes.iter().enumerate() {
        if let Some(owner) = ruling.owner[node].filter(|owner| *owner != node && span.role != Role::Other) {
            members.entry(owner).or_default().push(node);
        }
    }
    let executions = (0..forest.nodes.len()).filter(|node| ruling.owner[*node] == Some(*node));
    executions
        .map(|node| {
            let members = members.remove(&node).unwrap_or_default();
            execution(&forest, node, &members, &summaries, &hints)
        })
        .collect()
}

/// Who belongs to which execution.
struct Ruling {
    /// The execution of which each node is part; its own index where it is one.
    owner: Vec<Option<usize>>,
}

impl Ruling {
    fn new(forest: &Forest<'_>) -> Self {
        let count = forest.nodes.len();
        let role = |node: usize| forest.nodes[node].role;
        let (mut under_agent, mut under_chat) = (vec![false; count], vec![false; count]);
        for &node in &forest.order {
            if let Some(parent) = forest.parent[node] {
                under_agent[node] = under_agent[parent] || role(parent) == Role::Agent;
                under_chat[node] = under_chat[parent] || role(parent) == Role::Chat;
            }
        }
        // The first outermost agent within each node.
        let mut agent_below: Vec<Option<usize>> = vec![None; count];
        for &node in forest.order.iter().rev() {
            let own = (role(node) == Role::Agent && !under_agent[node]).then_some(node);
            let first = own.or(agent_below[node]);
            agent_below[node] = first;
            if let (Some(parent), Some(first)) = (forest.parent[node], first) {
                agent_below[parent] = Some(agent_below[parent].map_or(first, |known| known.min(first)));
            }
        }
        let mut owner: Vec<Option<usize>> = (0..count)
            .map(|node| match role(node) {
                Role::Agent => (!under_agent[node]).then_some(node),
                Role::Chat if under_agent[node] => None,
                Role::Chat if agent_below[node].is_some() => agent_below[node],
                Role::Chat => (!under_chat[node]).then_some(node),
                Role::Other => None,
            })
            .collect();
        let executions: Vec<usize> =
            (0..count).filter(|node| owner[*node] == Some(*node) && role(*node) == Role::Chat).collect();
        for twins in twins(forest, &executions) {
            for twin in &twins[1..] {
                owner[*twin] = Some(twins[0]);
            }
        }
        for &node in &forest.order {
            if owner[node].is_none() {
                owner[node] = forest.parent[node].and_then(|parent| owner[parent]);
            }
        }
        Self { owner }
    }
}

/// Groups chat spans that are one call seen by several instrumentations: one parent, one response id, different scopes. Each
/// group in the order of the nodes, as are the groups.
fn twins(forest: &Forest<'_>, calls: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<(TraceId, Option<SpanId>, &str), usize> = HashMap::new();
    for &node in calls {
        let span = forest.nodes[node];
        let place = span
            .response_id
            .as_deref()
            .filter(|_| span.role == Role::Chat)
            .and_then(|id| known.get(&(span.trace_id, span.parent_span_id, id)).copied());
        let differs =
            |group: &Vec<usize>| group.iter().all(|twin| forest.nodes[*twin].scope_name != span.scope_name);
        match place {
            Some(place) if differs(&groups[place]) => groups[place].push(node),
            _ => {
                if let Some(id) = span.response_id.as_deref().filter(|_| span.role == Role::Chat) {
                    known.entry((span.trace_id, span.parent_span_id, id)).or_insert(groups.len());
                }
                groups.push(vec![node]);
            }
        }
    }
    groups
}

/// What each agent and chat node took, from the leaves up.
fn summaries(forest: &Forest<'_>) -> Vec<Summary> {
    let count = forest.nodes.len();
    let mut summaries = vec![Summary::default(); count];
    // The nearest agent and chat nodes below each node that are not yet part of one.
    let mut open: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &node in forest.order.iter().rev() {
        let mut below = std::mem::take(&mut open[node]);
        let mut passed = if forest.nodes[node].role == Role::Other {
            below
        } else {
            below.sort_unstable();
            summaries[node] = summary(forest, node, &below, &summaries);
            vec![node]
        };
        if let Some(parent) = forest.parent[node] {
            // The shorter list goes into the longer one, so that a deep trace is not copied at each level.
            if passed.len() > open[parent].len() {
                std::mem::swap(&mut passed, &mut open[parent]);
            }
            open[parent].append(&mut passed);
        }
    }
    summaries
}

fn summary(forest: &Forest<'_>, node: usize, below: &[usize], known: &[Summary]) -> Summary {
    let span = forest.nodes[node];
    // Of several views of one call, the first that counted tokens.
    let calls: Vec<&Summary> = twins(forest, below)
        .into_iter()
        .map(|twins| {
            let counted = twins.iter().find(|twin| known[**twin].tokens.counted());
            &known[*counted.unwrap_or(&twins[0])]
        })
        .collect();
    let steps = calls.iter().fold(0_u32, |sum, call| sum.saturating_add(call.calls));
    let own = |present: bool| present.then_some(node);
    Summary {
        calls: if span.role == Role::Chat { steps.max(1) } else { steps },
        tokens: if span.tokens.counted() { span.tokens } else { sum(&calls) },
        cost: span.cost.or_else(|| all(&calls, |call| call.cost).map(|costs| costs.iter().sum())),
        input: own(span.input.is_some()).or_else(|| calls.iter().find_map(|call| call.input)),
        output: own(span.output.is_some()).or_else(|| calls.iter().rev().find_map(|call| call.output)),
        model: own(span.request_model.is_some() || span.response_model.is_some())
            .or_else(|| calls.iter().rev().find_map(|call| call.model)),
        failed: span.error.is_some() && !span.tokens.counted() && span.cost.is_none(),
    }
}

/// All values, or nothing where one is missing: a sum without it would be of something else.
fn all<T>(calls: &[&Summary], value: impl Fn(&Summary) -> Option<T>) -> Option<Vec<T>> {
    let took = calls.iter().filter(|call| !call.failed);
    took.map(|call| value(call)).collect::<Option<Vec<T>>>().filter(|values| !values.is_empty())
}

fn sum(calls: &[&Summary]) -> Tokens {
    let total = |value: fn(&Tokens) -> Option<u64>| {
        all(calls, |call| value(&call.tokens)).map(|counts| counts.into_iter().fold(0, u64::saturating_add))
    };
    // Parts of the totals: emitters leave them out where there are none.
    let known = |value: fn(&Tokens) -> Option<u64>| {
        calls.iter().filter_map(|call| value(&call.tokens)).reduce(u64::saturating_add)
    };
    Tokens {
        input: total(|tokens| tokens.input),
        output: total(|tokens| tokens.output),
        cache_read: known(|tokens| tokens.cache_read),
        cache_write: known(|tokens| tokens.cache_write),
        reasoning: known(|tokens| tokens.reasoning),
    }
}

/// The nearest span, from each node upwards, that says something which holds for all below it.
struct Inherited {
    agent: Vec<Option<usize>>,
    named: Vec<Option<usize>>,
    decision: Vec<Option<usize>>,
    context: Vec<Option<usize>>,
    session: Vec<Option<usize>>,
    user: Vec<Option<usize>>,
}

impl Inherited {
    fn new(forest: &Forest<'_>) -> Self {
        let nearest = |says: fn(&RecordedSpan) -> bool| {
            let mut found: Vec<Option<usize>> = vec![None; forest.nodes.len()];
            for &node in &forest.order {
                found[node] = if says(forest.nodes[node]) {
                    Some(node)
                } else {
                    forest.parent[node].and_then(|parent| found[parent])
                };
            }
            found
        };
        Self {
            agent: nearest(|span| span.upswing.agent.is_some()),
            named: nearest(|span| span.agent != AgentHints::default()),
            decision: nearest(|span| span.upswing.names_decision()),
            context: nearest(|span| !span.upswing.context.is_empty()),
            session: nearest(|span| span.session.is_some()),
            user: nearest(|span| span.user.is_some()),
        }
    }
}

fn execution(
    forest: &Forest<'_>,
    node: usize,
    members: &[usize],
    summaries: &[Summary],
    hints: &Inherited,
) -> RecordedExecution {
    let span = forest.nodes[node];
    let mut run = span.clone();
    let mut parts = vec![summaries[node]];
    // Other views of the same call say what this one does not.
    parts.extend(
        members.iter().filter(|member| forest.parent[**member] == forest.parent[node]).map(|m| summaries[*m]),
    );
    for part in &parts {
        if !run.tokens.counted() {
            run.tokens = part.tokens;
        }
        run.cost = run.cost.or(part.cost);
        let of = |node: Option<usize>| node.map(|node| forest.nodes[node]);
        run.input = run.input.or_else(|| of(part.input)?.input.clone());
        run.output = run.output.or_else(|| of(part.output)?.output.clone());
        if let Some(from) =
            of(part.model).filter(|_| run.request_model.is_none() && run.response_model.is_none())
        {
            run.request_model.clone_from(&from.request_model);
            run.response_model.clone_from(&from.response_model);
            run.provider = run.provider.or_else(|| from.provider.clone());
        }
        if let Some(from) = of(part.output).filter(|_| run.finish_reasons.is_empty()) {
            run.finish_reasons.clone_from(&from.finish_reasons);
        }
    }
    // From the span itself or above it, otherwise from the first member that says so.
    let source = |inherited: &[Option<usize>], says: fn(&RecordedSpan) -> bool| {
        let below = || members.iter().copied().find(|member| says(forest.nodes[*member]));
        inherited[node].or_else(below).map(|node| forest.nodes[node])
    };
    let said = &mut run.upswing;
    if let Some(from) = source(&hints.decision, |span| span.upswing.names_decision()) {
        said.version.clone_from(&from.upswing.version);
        said.decision_id = from.upswing.decision_id;
        said.token.clone_from(&from.upswing.token);
    }
    if let Some(from) = source(&hints.context, |span| !span.upswing.context.is_empty()) {
        said.context.clone_from(&from.upswing.context);
    }
    let agent = source(&hints.agent, |span| span.upswing.agent.is_some());
    said.agent = agent.and_then(|from| from.upswing.agent.clone());
    said.agent = said.agent.take().or_else(|| run.resource.get("upswing.agent").cloned());
    said.version = said.version.take().or_else(|| run.resource.get("upswing.version").cloned());
    if let Some(from) = source(&hints.named, |span| span.agent != AgentHints::default()) {
        run.agent.clone_from(&from.agent);
    }
    run.session = source(&hints.session, |span| span.session.is_some()).and_then(|from| from.session.clone());
    run.user = source(&hints.user, |span| span.user.is_some()).and_then(|from| from.user.clone());
    let mut response_ids = Vec::new();
    let mut seen = HashSet::new();
    for id in [node].iter().chain(members).filter_map(|part| forest.nodes[*part].response_id.clone()) {
        if seen.insert(id.clone()) {
            response_ids.push(id);
        }
    }
    RecordedExecution {
        id: span.execution_id(),
        run,
        members: members.iter().map(|member| forest.nodes[*member].span_id).collect(),
        supersedes: members.iter().map(|member| forest.nodes[*member].execution_id()).collect(),
        steps: summaries[node].calls,
        response_ids,
        ancestry: forest.ancestry[node],
    }
}

/// The executions that a piece of feedback is about, of those assembled from these spans. Empty where its target is not among
/// them (yet).
///
/// A span that is no part of an execution stands for the execution around it, otherwise for all below it: a
/// request's root span for the one agent that answered it.
pub fn resolve(
    target: &Target,
    spans: &[RecordedSpan],
    executions: &[RecordedExecution],
) -> Vec<ExecutionId> {
    let all = |holds: &dyn Fn(&RecordedExecution) -> bool| {
        executions.iter().filter(|execution| holds(execution)).map(|execution| execution.id).collect()
    };
    match target {
        Target::Response(id) => all(&|execution| execution.response_ids.contains(id)),
        Target::Session(id) => all(&|execution| execution.run.session.as_ref() == Some(id)),
        Target::Trace(id) => all(&|execution| execution.run.trace_id == *id),
        Target::Span { trace_id, span_id } => {
            let parents: BTreeMap<SpanId, Option<SpanId>> = spans
                .iter()
                .filter(|span| span.trace_id == *trace_id)
                .map(|span| (span.span_id, span.parent_span_id))
                .collect();
            // At most as many steps as there are spans, should the parents form a circle.
            let above = |start: SpanId| {
                std::iter::successors(Some(start), |span| parents.get(span).copied().flatten())
                    .take(parents.len() + 1)
            };
            let here: Vec<&RecordedExecution> =
                executions.iter().filter(|execution| execution.run.trace_id == *trace_id).collect();
            let mut owners: HashMap<SpanId, ExecutionId> = HashMap::new();
            for execution in &here {
                owners.extend(execution.members.iter().map(|member| (*member, execution.id)));
                owners.insert(execution.run.span_id, execution.id);
            }
            if let Some(owner) = above(*span_id).find_map(|span| owners.get(&span)) {
                return vec![*owner];
            }
            let below =
                here.iter().filter(|execution| above(execution.run.span_id).any(|span| span == *span_id));
            below.map(|execution| execution.id).collect()
        }
    }
}
