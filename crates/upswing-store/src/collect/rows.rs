//! Events as rows, in the order of the tables' columns.

use std::collections::BTreeMap;

use upswing_domain::{
    Context, Decision, Execution, Feedback, OrganisationId, Position, Reward, ShadowExecution, Standing,
    Target, Timestamp,
};

use super::plan::{Entry, ExecutionFacts, FeedbackFacts};
use crate::StoreError;
use crate::value::Value;

/// The form of event rows.
pub(crate) const SCHEMA_VERSION: i64 = 1;

pub(super) fn decision(organisation: OrganisationId, position: Position, d: &Decision) -> Vec<Value> {
    let mut probabilities = Vec::with_capacity(d.probabilities.len() * 8);
    for p in &d.probabilities {
        probabilities.extend_from_slice(&p.to_be_bytes());
    }
    vec![
        organisation.into(),
        d.id.into(),
        position.into(),
        SCHEMA_VERSION.into(),
        d.agent.into(),
        d.version.into(),
        d.unit.into(),
        d.context.as_ref().map(Context::to_json).into(),
        Value::Name(d.reason.name()),
        Value::Name(d.origin.name()),
        d.propensity.get().into(),
        probabilities.into(),
        d.epoch.into(),
        d.policy_revision.into(),
        d.decided_at.into(),
        d.assignment.map(|a| a.experiment).into(),
        d.assignment.map(|a| a.allocation).into(),
        d.assignment.and_then(|a| a.arm).map(i64::from).into(),
        d.assignment.map(|a| a.unit).into(),
    ]
}

pub(super) fn execution(
    organisation: OrganisationId,
    now: Timestamp,
    e: &Execution,
    facts: &ExecutionFacts,
    [input, output, record, enrichment]: [Option<[u8; 18]>; 4],
) -> Vec<Value> {
    vec![
        organisation.into(),
        e.id.into(),
        facts.position.into(),
        SCHEMA_VERSION.into(),
        e.agent.into(),
        facts.decision.into(),
        facts.version.into(),
        e.unit.into(),
        e.subject.into(),
        e.session.clone().into(),
        e.trace.clone().into(),
        e.parent.into(),
        e.step.into(),
        e.context.as_ref().map(Context::to_json).into(),
        input.into(),
        output.into(),
        json(&e.metrics),
        e.error.clone().into(),
        Value::Name(facts.origin.name()),
        e.occurred_at.into(),
        now.into(),
        facts.fingerprint.into(),
        e.record.as_ref().map(|record| record.kind.clone()).into(),
        record.into(),
        enrichment.into(),
    ]
}

pub(super) fn shadow(
    organisation: OrganisationId,
    now: Timestamp,
    s: &ShadowExecution,
    (position, fingerprint): (Position, crate::Fingerprint),
    output: Option<[u8; 18]>,
) -> Vec<Value> {
    vec![
        organisation.into(),
        s.rollout.into(),
        s.decision.into(),
        position.into(),
        s.agent.into(),
        s.version.into(),
        json(&s.metrics),
        s.error.clone().into(),
        output.into(),
        s.occurred_at.into(),
        now.into(),
        fingerprint.into(),
    ]
}

pub(super) fn feedback(
    organisation: OrganisationId,
    now: Timestamp,
    f: &Feedback,
    facts: &FeedbackFacts,
    [comment, correction, details, enrichment]: [Option<[u8; 18]>; 4],
    via_token: bool,
    caused: Option<&Entry>,
) -> Vec<Value> {
    let (session, unit) = match &f.target {
        Target::Execution(_) => (None, None),
        Target::Session(session) => (Some(session.clone()), None),
        Target::Unit(unit) => (None, Some(*unit)),
    };
    let dimensions = f.dimensions.named().iter().any(|(_, value)| value.is_some());
    let dimensions = dimensions.then(|| serde_json::to_string(&f.dimensions).unwrap_or_default());
    let issues = (!f.issue_categories.is_empty())
        .then(|| serde_json::to_string(&f.issue_categories).unwrap_or_default());
    let mut values = Vec::with_capacity(36);
    values.extend([
        organisation.into(),
        f.id.into(),
        facts.position.into(),
        SCHEMA_VERSION.into(),
        f.agent.into(),
        f.target.execution().into(),
        session.into(),
        unit.into(),
        Value::Name(f.feedback_type.name()),
        Value::Name(f.source.name()),
        f.author.into(),
        f.rating.map(i64::from).into(),
        dimensions.into(),
        issues.into(),
        json(&f.metrics),
        comment.into(),
        correction.into(),
        f.details.as_ref().map(|details| details.kind.clone()).into(),
        details.into(),
        (f.standing != Standing::Counted).then(|| f.standing.name().to_owned()).into(),
        via_token.into(),
        f.occurred_at.into(),
        now.into(),
        facts.fingerprint.into(),
        (!f.findings.flags.is_empty())
            .then(|| serde_json::to_string(&f.findings.flags).unwrap_or_default())
            .into(),
        enrichment.into(),
    ]);
    match caused {
        Some(Entry { context_source, entry, .. }) => values.extend([
            entry.first_position.into(),
            entry.decision.into(),
            entry.version.into(),
            entry.definition_version.into(),
            entry.old.map(Reward::millionths).into(),
            entry.new.map(Reward::millionths).into(),
            (*context_source).into(),
            entry.propensity.into(),
            Value::Name(entry.origin.name()),
            entry.occurred_at.into(),
        ]),
        None => values.extend([const { Value::Null }; 10]),
    }
    values
}

/// An entry of the ledger in a row of its own.
pub(super) fn entry(
    organisation: OrganisationId,
    now: Timestamp,
    Entry { agent, context_source, entry }: &Entry,
) -> Vec<Value> {
    vec![
        organisation.into(),
        (*agent).into(),
        entry.position.into(),
        entry.first_position.into(),
        entry.execution.into(),
        entry.decision.into(),
        entry.version.into(),
        entry.definition_version.into(),
        entry.old.map(Reward::millionths).into(),
        entry.new.map(Reward::millionths).into(),
        entry.cause.into(),
        (*context_source).into(),
        entry.propensity.into(),
        Value::Name(entry.origin.name()),
        entry.occurred_at.into(),
        now.into(),
    ]
}

fn json(metrics: &BTreeMap<String, f64>) -> Value {
    (!metrics.is_empty()).then(|| serde_json::to_string(metrics).unwrap_or_default()).into()
}

/// Reads metrics as stored.
pub(crate) fn metrics(text: Option<String>) -> Result<BTreeMap<String, f64>, StoreError> {
    match text {
        None => Ok(BTreeMap::new()),
        Some(text) => parse("metrics", &text),
    }
}

/// Reads stored JSON.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
}

/// Reads one of a fixed set of names.
pub(crate) fn named<T>(what: &str, name: &str, find: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    find(name).ok_or_else(|| StoreError::Corrupt(format!("{what} is {name:?}")))
}

/// Reads a stored rating.
pub(super) fn rating(value: Option<i64>) -> Result<Option<u8>, StoreError> {
    value.map(|v| u8::try_from(v).map_err(|_| StoreError::Corrupt(format!("rating {v}")))).transpose()
}

/// Reads whether a piece of feedback teaches.
pub(super) fn standing(value: Option<String>) -> Result<Standing, StoreError> {
    value.map_or(Ok(Standing::Counted), |name| named("standing", &name, Standing::named))
}
