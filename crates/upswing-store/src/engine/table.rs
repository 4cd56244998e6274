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
    fn new(table: &str, columns: &str, key: &[(&str, ColumnType)], order: &str) -> Self {
        let equal = key.iter().enumerate().map(|(n, (name, _))| format!("t.{name} = ?{}", n + 1));
        let joined = key.iter().map(|(name, _)| format!("t.{name} = k.{name}"));
        let names = key.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let arrays =
            key.iter().enumerate().map(|(n, (_, ty))| format!("${}::{}", n + 1, ty.postgres_array()));
        let (equal, joined) =
            (equal.collect::<Vec<_>>().join(" AND "), joined.collect::<Vec<_>>().join(" AND "));
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        Self {
            sqlite: format!("SELECT {columns} FROM {table} t WHERE {equal} {order}"),
            // A fence around the inner query: whatever the planner knows of the table (nothing, while it is new), it
            // goes from key to row through the index of the key.
            postgres: format!(
                "SELECT l.* FROM UNNEST({arrays}) AS k({names}) CROSS JOIN LATERAL \
                 (SELECT {columns} FROM {table} t WHERE {joined} {order} OFFSET 0) AS l"
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
    ], "ON CONFLICT (organisation, id) DO NOTHING");
    CONTENT: Table = Table::new("content", &[
        ("organisation", Uuid), ("id", Bytes), ("body", Text), ("created_at", I64),
    ], "ON CONFLICT (organisation, id) DO NOTHING");
    EXECUTION: Table = Table::new("execution", &[
        ("organisation", Uuid), ("id", Uuid), ("position", I64), ("schema_version", I64), ("agent", Uuid),
        ("decision", Uuid), ("version", Bytes), ("unit", Bytes), ("subject", Bytes), ("session", Text),
        ("trace", Text), ("parent", Uuid), ("step", I64), ("context", Text), ("input", Bytes), ("output", Bytes),
        ("metrics", Text), ("error", Text), ("origin", Text), ("occurred_at", I64), ("received_at", I64),
        ("fingerprint", Bytes),
    ], "");
    FEEDBACK: Table = Table::new("feedback", &[
        ("organisation", Uuid), ("id", Uuid), ("position", I64), ("schema_version", I64), ("agent", Uuid),
        ("execution", Uuid), ("feedback_type", Text), ("source", Text), ("author", Bytes), ("rating", I64),
        ("dimensions", Text), ("issue_categories", Text), ("metrics", Text), ("comment", Bytes),
        ("correction", Bytes), ("via_token", Bool), ("occurred_at", I64), ("received_at", I64),
        ("fingerprint", Bytes),
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

    DECISION_FACTS: Lookup = Lookup::new("decision",
        "t.organisation, t.id, t.position, t.agent, t.version, t.origin, t.propensity, t.decided_at, \
         t.context IS NOT NULL", BY_ID, "");
    EXECUTION_FACTS: Lookup = Lookup::new("execution",
        "t.organisation, t.id, t.position, t.agent, t.decision, t.version, t.origin, t.occurred_at, \
         t.context IS NOT NULL, t.fingerprint", BY_ID, "");
    FEEDBACK_FACTS: Lookup = Lookup::new("feedback",
        "t.organisation, t.id, t.position, t.execution, t.fingerprint", BY_ID, "");
    FEEDBACK_SIGNALS: Lookup = Lookup::new("feedback",
        "t.organisation, t.execution, t.position, t.id, t.feedback_type, t.source, t.rating, t.metrics",
        BY_EXECUTION, "ORDER BY t.position");
    OUTCOME_FACTS: Lookup = Lookup::new("outcome",
        "t.organisation, t.execution, t.agent, t.reward, t.definition_version, t.first_position, t.token_uses",
        BY_EXECUTION, "");
    AWAITING_EXECUTIONS: Lookup = Lookup::new("awaiting", "t.organisation, t.awaited, t.execution",
        &[("organisation", Uuid), ("awaited", Uuid)], "ORDER BY t.execution");
    AGENT_DEFINITION: Lookup = Lookup::new("agent", "t.organisation, t.id, t.definition_version", BY_ID, "");
    DEFINITION_BODY: Lookup = Lookup::new("reward_definition", "t.organisation, t.agent, t.version, t.body",
        &[("organisation", Uuid), ("agent", Uuid), ("version", I64)], "");
    ROLLUP_STATE: Lookup = Lookup::new("rollup",
        "t.agent, t.version, t.segment_key, t.segment_value, t.metric, t.hour, t.count, t.sum, t.sum_squares, t.sketch",
        &[("organisation", Uuid), ("agent", Uuid), ("version", Bytes), ("segment_key", Text),
          ("segment_value", Text), ("metric", Text), ("hour", I64)], "");
}
