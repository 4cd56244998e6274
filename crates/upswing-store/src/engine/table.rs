//! What the write path does many times a second: rows into tables, keys out of them. Both engines' texts are made from
//! one description: SQLite runs a prepared statement a row (the fastest there), PostgreSQL one `UNNEST` a table.

use std::sync::LazyLock;

use crate::value::ColumnType::{self, Bool, Bytes, F64, I64, Text, Uuid};

/// A table that rows are written to.
pub(crate) struct Table {
    pub(super) sqlite: String,
    pub(super) postgres: String,
    pub(super) types: Vec<ColumnType>,
}

impl Table {
    fn new(name: &str, columns: &[(&str, ColumnType)], on_conflict: &str) -> Self {
        let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let marks = (1..=columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let arrays =
            columns.iter().enumerate().map(|(n, (_, ty))| format!("${}::{}", n + 1, ty.postgres_array()));
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        Self {
            sqlite: format!("INSERT INTO {name} ({names}) VALUES ({marks}) {on_conflict}"),
            postgres: format!("INSERT INTO {name} ({names}) SELECT * FROM UNNEST({arrays}) {on_conflict}"),
            types: columns.iter().map(|(_, ty)| *ty).collect(),
        }
    }
}

/// Rows that are looked up by many keys at once.
pub(crate) struct Lookup {
    pub(super) sqlite: String,
    pub(super) postgres: String,
    pub(super) types: Vec<ColumnType>,
}

impl Lookup {
    fn new(table: &str, columns: &str, key: &[(&str, ColumnType)], rest: &str) -> Self {
        let equal = key.iter().enumerate().map(|(n, (name, _))| format!("t.{name} = ?{}", n + 1));
        let joined = key.iter().map(|(name, _)| format!("t.{name} = k.{name}"));
        let names = key.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let arrays =
            key.iter().enumerate().map(|(n, (_, ty))| format!("${}::{}", n + 1, ty.postgres_array()));
        let (equal, joined) =
            (equal.collect::<Vec<_>>().join(" AND "), joined.collect::<Vec<_>>().join(" AND "));
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        Self {
            sqlite: format!("SELECT {columns} FROM {table} t WHERE {equal} {rest}"),
            // A fence around the inner query: whatever the planner knows of the table (nothing, while it is new), it
            // goes from key to row through the index of the key.
            postgres: format!(
                "SELECT l.* FROM UNNEST({arrays}) AS k({names}) CROSS JOIN LATERAL \
                 (SELECT {columns} FROM {table} t WHERE {joined} {rest} OFFSET 0) AS l"
            ),
            types: key.iter().map(|(_, ty)| *ty).collect(),
        }
    }
}

const BY_ID: &[(&str, ColumnType)] = &[("organisation", Uuid), ("id", Uuid)];
const BY_EXECUTION: &[(&str, ColumnType)] = &[("organisation", Uuid), ("execution", Uuid)];

macro_rules! tables {
    ($($name:ident: $ty:ty = $make:expr;)*) => {$(
        pub(crate) static $name: LazyLock<$ty> = LazyLock::new(|| $make);
    )*};
}

tables! {
    DECISION: Table = Table::new("decision", &[
        ("organisation", Uuid), ("id", Uuid), ("position", I64), ("schema_version", I64), ("agent", Uuid),
        ("version", Bytes), ("unit", Bytes), ("context", Text), ("reason", Text), ("origin", Text),
        ("propensity", F64), ("probabilities", Bytes), ("epoch", I64), ("policy_revision", I64), ("decided_at", I64),
        ("experiment", Uuid), ("allocation", I64), ("arm", I64), ("assigned", Bytes),
    ], "ON CONFLICT (organisation, id) DO NOTHING");
    EXPERIMENT_UNIT: Table = Table::new("experiment_unit", &[
        ("organisation", Uuid), ("experiment", Uuid), ("unit", Bytes), ("state", Bytes), ("closes_at", I64),
    ], "ON CONFLICT (organisation, experiment, unit) DO UPDATE SET state = excluded.state, closes_at = excluded.closes_at");
    CONTENT: Table = Table::new("content", &[
        ("organisation", Uuid), ("id", Bytes), ("body", Text), ("created_at", I64),
    // When it was last referred to, to the day: what is used again does not pass its retention.
    ], "ON CONFLICT (organisation, id) DO UPDATE SET created_at = excluded.created_at \
        WHERE content.created_at < excluded.created_at - 86400000000");
    EXECUTION: Table = Table::new("execution", &[
        ("organisation", Uuid), ("id", Uuid), ("position", I64), ("schema_version", I64), ("agent", Uuid),
        ("decision", Uuid), ("version", Bytes), ("unit", Bytes), ("subject", Bytes), ("session", Text),
        ("trace", Text), ("parent", Uuid), ("step", I64), ("context", Text), ("input", Bytes), ("output", Bytes),
        ("metrics", Text), ("error", Text), ("origin", Text), ("occurred_at", I64), ("received_at", I64),
        ("fingerprint", Bytes), ("record_kind", Text), ("record", Bytes), ("enrichment", Bytes),
    ], "");
    FEEDBACK: Table = Table::new("feedback", &[
        ("organisation", Uuid), ("id", Uuid), ("position", I64), ("schema_version", I64), ("agent", Uuid),
        ("execution", Uuid), ("session", Text), ("unit", Bytes), ("feedback_type", Text), ("source", Text), ("author", Bytes), ("rating", I64),
        ("dimensions", Text), ("issue_categories", Text), ("metrics", Text), ("comment", Bytes),
        ("correction", Bytes), ("details_kind", Text), ("details", Bytes), ("standing", Text), ("via_token", Bool),
        ("occurred_at", I64), ("received_at", I64), ("fingerprint", Bytes), ("flags", Text), ("enrichment", Bytes),
    ], "");
    AWAITING: Table = Table::new("awaiting", &[
        ("organisation", Uuid), ("awaited", Uuid), ("execution", Uuid),
    ], "ON CONFLICT (organisation, awaited, execution) DO NOTHING");
    OUTCOME: Table = Table::new("outcome", &[
        ("organisation", Uuid), ("execution", Uuid), ("agent", Uuid), ("reward", I64), ("definition_version", I64),
        ("first_position", I64), ("token_uses", I64),
    ], "ON CONFLICT (organisation, execution) DO UPDATE SET reward = excluded.reward, \
        definition_version = excluded.definition_version, first_position = excluded.first_position, \
        token_uses = excluded.token_uses");
    LEDGER: Table = Table::new("reward_ledger", &[
        ("organisation", Uuid), ("agent", Uuid), ("position", I64), ("first_position", I64), ("execution", Uuid),
        ("decision", Uuid), ("version", Bytes), ("definition_version", I64), ("old_reward", I64),
        ("new_reward", I64), ("cause", Uuid), ("context_source", I64), ("propensity", F64), ("origin", Text),
        ("occurred_at", I64), ("recorded_at", I64),
    ], "");
    AGENT_HEAD: Table = Table::new("agent_head", &[
        ("organisation", Uuid), ("agent", Uuid), ("position", I64),
    ], "ON CONFLICT (organisation, agent) DO UPDATE SET position = excluded.position");
    SEGMENT_VALUE: Table = Table::new("segment_value", &[
        ("organisation", Uuid), ("agent", Uuid), ("segment_key", Text), ("segment_value", Text),
    ], "ON CONFLICT (organisation, agent, segment_key, segment_value) DO NOTHING");
    ROLLUP: Table = Table::new("rollup", &[
        ("organisation", Uuid), ("agent", Uuid), ("version", Bytes), ("segment_key", Text), ("segment_value", Text),
        ("metric", Text), ("hour", I64), ("count", I64), ("sum", I64), ("sum_squares", Text), ("sketch", Bytes),
    ], "ON CONFLICT (organisation, agent, version, segment_key, segment_value, metric, hour) DO UPDATE SET \
        count = excluded.count, sum = excluded.sum, sum_squares = excluded.sum_squares, sketch = excluded.sketch");

    AUTHOR_TOTAL: Table = Table::new("author_total", &[
        ("organisation", Uuid), ("agent", Uuid), ("author", Bytes), ("period", I64), ("counted", I64), ("received", I64),
    ], "ON CONFLICT (organisation, agent, author, period) DO UPDATE SET counted = excluded.counted, \
        received = excluded.received");
    TEXT_GROUP: Table = Table::new("text_group", &[
        ("organisation", Uuid), ("agent", Uuid), ("period", I64), ("band", I64), ("fingerprint", Bytes), ("copies", I64),
    ], "ON CONFLICT (organisation, agent, period, band, fingerprint) DO UPDATE SET copies = excluded.copies");
    SPAN: Table = Table::new("span", &[
        ("organisation", Uuid), ("trace", Text), ("span", Text), ("agent", Uuid), ("ended_at", I64), ("digest", Bytes),
        ("received_at", I64), ("body", Text),
    ], "ON CONFLICT (organisation, trace, span) DO UPDATE SET agent = excluded.agent, ended_at = excluded.ended_at, \
        digest = excluded.digest, received_at = excluded.received_at, body = excluded.body \
        WHERE excluded.ended_at > span.ended_at \
        OR (excluded.ended_at = span.ended_at AND excluded.digest > span.digest)");
    SPAN_CONTENT: Table = Table::new("span_content", &[
        ("organisation", Uuid), ("trace", Text), ("span", Text), ("digest", Bytes), ("body", Text),
    ], "ON CONFLICT (organisation, trace, span, digest) DO NOTHING");
    PENDING_TRACE: Table = Table::new("pending_trace", &[
        ("organisation", Uuid), ("trace", Text), ("arrivals", I64), ("first_received_at", I64),
        ("last_received_at", I64), ("complete", Bool), ("due_at", I64),
    ], "ON CONFLICT (organisation, trace) DO UPDATE SET arrivals = pending_trace.arrivals + 1, \
        last_received_at = excluded.last_received_at, complete = (pending_trace.complete OR excluded.complete), \
        due_at = excluded.due_at, error = NULL");
    EXECUTION_ALIAS: Table = Table::new("execution_alias", &[
        ("organisation", Uuid), ("alias", Text), ("execution", Uuid), ("agent", Uuid), ("recorded_at", I64),
    ], "ON CONFLICT (organisation, alias, execution) DO NOTHING");
    SUPERSEDED_EXECUTION: Table = Table::new("superseded_execution", &[
        ("organisation", Uuid), ("execution", Uuid), ("superseded_by", Uuid),
    ], "ON CONFLICT (organisation, execution) DO UPDATE SET superseded_by = excluded.superseded_by");
    WAITING_FEEDBACK: Table = Table::new("waiting_feedback", &[
        ("organisation", Uuid), ("id", Uuid), ("fingerprint", Bytes), ("wants", Text), ("body", Text),
        ("received_at", I64), ("due_at", I64), ("attempts", I64),
    ], "ON CONFLICT (organisation, id) DO NOTHING");

    SPAN_FACTS: Lookup = Lookup::new("span", "t.trace, t.span, t.ended_at, t.digest",
        &[("organisation", Uuid), ("trace", Text), ("span", Text)], "");
    SPAN_CONTENT_FACTS: Lookup = Lookup::new("span_content", "t.trace, t.span, t.digest",
        &[("organisation", Uuid), ("trace", Text), ("span", Text), ("digest", Bytes)], "");
    TRACE_FACTS: Lookup = Lookup::new("pending_trace", "t.trace, t.complete, t.first_received_at",
        &[("organisation", Uuid), ("trace", Text)], "");
    WAITING_FACTS: Lookup = Lookup::new("waiting_feedback", "t.id, t.fingerprint", BY_ID, "");
    AUTHOR_TRUST: Table = Table::new("author_trust", &[
        ("organisation", Uuid), ("agent", Uuid), ("author", Bytes), ("weight_millionths", I64), ("distrusted", Bool),
        ("decided_at", I64), ("pending", Bool),
    ], "ON CONFLICT (organisation, agent, author) DO UPDATE SET weight_millionths = excluded.weight_millionths, \
        decided_at = CASE WHEN author_trust.distrusted = excluded.distrusted THEN author_trust.decided_at \
        ELSE excluded.decided_at END, \
        pending = (author_trust.pending OR author_trust.distrusted <> excluded.distrusted), \
        distrusted = excluded.distrusted");

    CONSENT_FACTS: Lookup = Lookup::new("consent", "t.organisation, t.subject, t.purpose, t.granted",
        &[("organisation", Uuid), ("subject", Bytes)], "ORDER BY t.version");
    AUTHOR_FACTS: Lookup = Lookup::new("author_total",
        "t.organisation, t.agent, t.author, t.period, t.counted, t.received",
        &[("organisation", Uuid), ("agent", Uuid), ("author", Bytes), ("period", I64)], "");
    AUTHOR_TRUSTED: Lookup = Lookup::new("author_trust", "t.organisation, t.agent, t.author, t.distrusted",
        &[("organisation", Uuid), ("agent", Uuid), ("author", Bytes)], "");
    TEXT_FACTS: Lookup = Lookup::new("text_group",
        "t.organisation, t.agent, t.period, t.band, t.fingerprint, t.copies",
        &[("organisation", Uuid), ("agent", Uuid), ("period", I64), ("band", I64)], "");
    DECISION_FACTS: Lookup = Lookup::new("decision",
        "t.organisation, t.id, t.position, t.agent, t.version, t.origin, t.propensity, t.decided_at, \
         t.context, t.experiment, t.allocation, t.arm, t.assigned", BY_ID, "");
    EXECUTION_FACTS: Lookup = Lookup::new("execution",
        "t.organisation, t.id, t.position, t.agent, t.decision, t.version, t.origin, t.occurred_at, \
         t.context, t.fingerprint", BY_ID, "");
    // Those that have another id than the decision they followed from.
    FOLLOWING_EXECUTIONS: Lookup = Lookup::new("execution",
        "t.organisation, t.id, t.position, t.agent, t.decision, t.version, t.origin, t.occurred_at, \
         t.context, t.fingerprint", &[("organisation", Uuid), ("decision", Uuid)], "AND t.decision <> t.id");
    DEPLOYMENT_ELIGIBLE: Lookup = Lookup::new("deployment", "t.agent, t.epoch, t.eligible",
        &[("organisation", Uuid), ("agent", Uuid), ("epoch", I64)], "");
    FEEDBACK_FACTS: Lookup = Lookup::new("feedback",
        "t.organisation, t.id, t.position, t.execution, t.fingerprint", BY_ID, "");
    FEEDBACK_SIGNALS: Lookup = Lookup::new("feedback",
        "t.organisation, t.execution, t.position, t.id, t.feedback_type, t.source, t.rating, t.metrics, \
         t.standing",
        BY_EXECUTION, "ORDER BY t.position");
    AUTHOR_SIGNALS: Lookup = Lookup::new("feedback",
        "t.organisation, t.execution, t.position, t.id, t.feedback_type, t.source, t.rating, t.metrics, \
         t.standing, t.author",
        &[("organisation", Uuid), ("execution", Uuid), ("author", Bytes)], "ORDER BY t.position");
    OUTCOME_FACTS: Lookup = Lookup::new("outcome",
        "t.organisation, t.execution, t.agent, t.reward, t.definition_version, t.first_position, t.token_uses",
        BY_EXECUTION, "");
    AWAITING_EXECUTIONS: Lookup = Lookup::new("awaiting", "t.organisation, t.awaited, t.execution",
        &[("organisation", Uuid), ("awaited", Uuid)], "ORDER BY t.execution");
    AGENT_DEFINITION: Lookup = Lookup::new("agent", "t.organisation, t.id, t.definition_version", BY_ID, "");
    DEFINITION_BODY: Lookup = Lookup::new("reward_definition", "t.organisation, t.agent, t.version, t.body",
        &[("organisation", Uuid), ("agent", Uuid), ("version", I64)], "");
    EXPERIMENT_UNIT_STATE: Lookup = Lookup::new("experiment_unit", "t.experiment, t.unit, t.state",
        &[("organisation", Uuid), ("experiment", Uuid), ("unit", Bytes)], "");
    ROLLUP_STATE: Lookup = Lookup::new("rollup",
        "t.agent, t.version, t.segment_key, t.segment_value, t.metric, t.hour, t.count, t.sum, t.sum_squares, t.sketch",
        &[("organisation", Uuid), ("agent", Uuid), ("version", Bytes), ("segment_key", Text),
          ("segment_value", Text), ("metric", Text), ("hour", I64)], "");
}
