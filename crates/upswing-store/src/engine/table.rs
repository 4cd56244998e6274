//! What the write path does many times a second: rows into tables, keys out of them. Both engines' texts are made from
//! one description: SQLite runs a prepared statement a row (the fastest there), PostgreSQL one `UNNEST` a table.
//!
//! PostgreSQL unpacks every array of an `UNNEST` by itself, so what a batch has everywhere alike is not sent as one: a column
//! without any value is left out, and one of a few with the same value in every row is a plain parameter.

use std::sync::LazyLock;

use crate::StoreError;
use crate::value::ColumnType::{self, Bool, Bytes, F64, I64, Text, Uuid};
use crate::value::Value;

/// Columns that mostly have one value in all of a batch. Only these are looked at: each combination is a statement.
const STEADY: [&str; 10] = [
    "organisation",
    "agent",
    "experiment",
    "schema_version",
    "feedback_type",
    "source",
    "origin",
    "definition_version",
    "context_source",
    "via_token",
];

/// A table that rows are written to, and how.
pub(crate) struct Table {
    pub(super) name: &'static str,
    pub(super) sqlite: String,
    columns: &'static [(&'static str, ColumnType)],
    write: Write,
}

/// What is done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Write {
    /// They are inserted, and give way like this.
    Insert { on_conflict: &'static str },
    /// The first columns find those that are there, the others are set.
    Update { keys: usize },
    /// All columns find those that go.
    Delete,
    /// The first two columns find those that are there: a key, and where it is expected to stand. The third is where it is to
    /// stand.
    Move,
}

/// How rows are written: their table, what is done with them, and their shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Form {
    table: &'static str,
    write: Write,
    shape: Shape,
}

/// How the columns of some rows are sent, a bit each: those that have no value anywhere, and those that have one for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Shape {
    absent: u64,
    same: u64,
}

impl Form {
    /// Whether these rows are moved.
    pub(super) fn moves(self) -> bool {
        self.write == Write::Move
    }
}

impl Shape {
    fn is_absent(self, column: usize) -> bool {
        self.absent >> column & 1 == 1
    }

    fn is_same(self, column: usize) -> bool {
        self.same >> column & 1 == 1
    }
}

impl Table {
    fn new(
        name: &'static str,
        columns: &'static [(&'static str, ColumnType)],
        on_conflict: &'static str,
    ) -> Self {
        let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let marks = (1..=columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let sqlite = format!("INSERT INTO {name} ({names}) VALUES ({marks}) {on_conflict}");
        Self { name, sqlite, columns, write: Write::Insert { on_conflict } }
    }

    /// Rows that are there already: the first columns find them, the others are set.
    fn update(name: &'static str, keys: usize, columns: &'static [(&'static str, ColumnType)]) -> Self {
        let equal = |(n, (name, _)): (usize, &(&str, ColumnType))| format!("{name} = ?{}", n + 1);
        let mut equal = columns.iter().enumerate().map(equal);
        let found = equal.by_ref().take(keys).collect::<Vec<_>>().join(" AND ");
        let set = equal.collect::<Vec<_>>().join(", ");
        let sqlite = format!("UPDATE {name} SET {set} WHERE {found}");
        Self { name, sqlite, columns, write: Write::Update { keys } }
    }

    /// Rows that go.
    fn delete(name: &'static str, columns: &'static [(&'static str, ColumnType)]) -> Self {
        let equal = columns.iter().enumerate().map(|(n, (name, _))| format!("{name} = ?{}", n + 1));
        let found = equal.collect::<Vec<_>>().join(" AND ");
        Self { name, sqlite: format!("DELETE FROM {name} WHERE {found}"), columns, write: Write::Delete }
    }

    /// Rows that are expected to stand somewhere, and go on from there.
    fn moving(name: &'static str, columns: &'static [(&'static str, ColumnType); 3]) -> Self {
        let [(key, _), (position, _), _] = columns;
        let sqlite = format!("UPDATE {name} SET {position} = ?3 WHERE {key} = ?1 AND {position} = ?2");
        Self { name, sqlite, columns, write: Write::Move }
    }

    /// How these rows are best sent.
    pub(super) fn form(&self, rows: &[Vec<Value>]) -> Form {
        Form { table: self.name, write: self.write, shape: self.shape(rows) }
    }

    fn shape(&self, rows: &[Vec<Value>]) -> Shape {
        let mut shape = Shape::default();
        let Some((first, rest)) = rows.split_first() else { return shape };
        if rest.is_empty() {
            // One row has one shape, whatever it has: few at a time come in every combination.
            return Shape { absent: 0, same: (1 << self.columns.len()) - 1 };
        }
        let inserted = matches!(self.write, Write::Insert { .. });
        for (n, ((name, _), value)) in self.columns.iter().zip(first).enumerate() {
            let alike = || rest.iter().all(|row| row.get(n) == Some(value));
            if inserted && *value == Value::Null {
                shape.absent |= u64::from(alike()) << n;
            } else if STEADY.contains(name) && alike() {
                shape.same |= 1 << n;
            }
        }
        shape
    }

    /// The statement for rows of a shape, whose first parameter has this number; and the number after its last.
    pub(super) fn statement(&self, Form { shape, .. }: Form, first: usize) -> (String, usize) {
        let mut parameter = first;
        let (mut names, mut values, mut arrays, mut aliases) = (vec![], vec![], vec![], vec![]);
        for (n, (name, ty)) in self.columns.iter().enumerate() {
            if shape.is_absent(n) {
                continue;
            }
            names.push(*name);
            if shape.is_same(n) {
                values.push(format!("${parameter}::{}", ty.name()));
            } else {
                values.push(format!("u.{name}"));
                arrays.push(format!("${parameter}::{}[]", ty.name()));
                aliases.push(*name);
            }
            parameter += 1;
        }
        let unnest = format!("UNNEST({}) AS u ({})", arrays.join(", "), aliases.join(", "));
        let from = |word: &str| if arrays.is_empty() { String::new() } else { format!("{word} {unnest}") };
        let (name, given) = (self.name, names.join(", "));
        let mut equal = names.iter().zip(&values);
        let statement = match self.write {
            Write::Insert { on_conflict } => {
                let values = values.join(", ");
                format!("INSERT INTO {name} ({given}) SELECT {values} {} {on_conflict}", from("FROM"))
            }
            Write::Update { keys } => {
                let found = equal.by_ref().take(keys).map(|(name, value)| format!("t.{name} = {value}"));
                let found = found.collect::<Vec<_>>().join(" AND ");
                let set = equal.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>();
                format!("UPDATE {name} t SET {} {} WHERE {found}", set.join(", "), from("FROM"))
            }
            Write::Delete => {
                let found = equal.map(|(name, value)| format!("t.{name} = {value}")).collect::<Vec<_>>();
                format!("DELETE FROM {name} t {} WHERE {}", from("USING"), found.join(" AND "))
            }
            Write::Move => {
                let found = equal.by_ref().take(2).map(|(name, value)| format!("t.{name} = {value}"));
                let found = found.collect::<Vec<_>>().join(" AND ");
                let position = names.get(1).copied().unwrap_or_default();
                let next = equal.next().map(|(_, value)| value.as_str()).unwrap_or_default();
                let from = from("FROM");
                format!("UPDATE {name} t SET {position} = {next} {from} WHERE {found} RETURNING 1 AS moved")
            }
        };
        (statement, parameter)
    }

    /// What a statement says at its end that begins with moving rows: it fails where one did not stand where it was expected,
    /// since there is nothing to divide by.
    pub(super) fn all_moved(&self, Form { shape, .. }: Form) -> String {
        let rows = if shape.is_same(0) { "1" } else { "cardinality($1)" };
        format!("1 / (count(moved) = {rows})::int FROM w0")
    }

    /// The parameters of that statement.
    pub(super) fn parameters(
        &self,
        Form { shape, .. }: Form,
        rows: Vec<Vec<Value>>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut columns: Vec<Vec<Value>> = Vec::with_capacity(self.columns.len());
        columns.extend(self.columns.iter().map(|_| Vec::new()));
        for row in rows {
            for (n, (column, value)) in columns.iter_mut().zip(row).enumerate() {
                if !shape.is_absent(n) && (column.is_empty() || !shape.is_same(n)) {
                    column.push(value);
                }
            }
        }
        let mut parameters = Vec::with_capacity(self.columns.len());
        for (n, ((_, ty), mut values)) in self.columns.iter().zip(columns).enumerate() {
            if shape.is_absent(n) {
                continue;
            }
            parameters.push(if shape.is_same(n) {
                ty.fits(values.pop().unwrap_or(Value::Null))?
            } else {
                Value::Column(ty.collect(values.into_iter())?)
            });
        }
        Ok(parameters)
    }
}

/// Rows that are looked up by many keys at once.
pub(crate) struct Lookup {
    pub(super) sqlite: String,
    /// For keys of several organisations.
    pub(super) postgres: String,
    /// For keys of one organisation, which is the first parameter.
    pub(super) postgres_of_one: String,
    types: Vec<ColumnType>,
}

/// A look-up, and the keys that it is asked by.
pub(crate) type Question<'a> = (&'a Lookup, Vec<Vec<Value>>);

impl Lookup {
    fn new(table: &str, columns: &str, key: &[(&str, ColumnType)], rest: &str) -> Self {
        Self::of(&[table], columns, key, rest)
    }

    /// The same of several tables that have the same columns: `rest` holds of each of them, and its order of all together.
    fn of(tables: &[&str], columns: &str, key: &[(&str, ColumnType)], rest: &str) -> Self {
        let order = rest.find("ORDER BY").map_or("", |at| &rest[at..]).replace("t.", "");
        let select = |found: &str| {
            let of = |table: &&str| format!("SELECT {columns} FROM {table} t WHERE {found} {rest}");
            let each: Vec<_> = tables.iter().map(of).collect();
            match &each[..] {
                [one] => one.clone(),
                several => {
                    let each = several.iter().enumerate();
                    let each = each.map(|(n, one)| format!("SELECT * FROM ({one}) AS t{n}"));
                    format!("{} {order}", each.collect::<Vec<_>>().join(" UNION ALL "))
                }
            }
        };
        let equal = key.iter().enumerate().map(|(n, (name, _))| format!("t.{name} = ?{}", n + 1));
        let equal = equal.collect::<Vec<_>>().join(" AND ");
        // A fence around the inner query: whatever the planner knows of the table (nothing, while it is new), it goes
        // from key to row through the index of the key.
        let lateral = |unnested: &[(usize, &(&str, ColumnType))], fixed: &[String]| {
            let names = unnested.iter().map(|(_, (name, _))| *name).collect::<Vec<_>>().join(", ");
            let arrays = unnested.iter().map(|(n, (_, ty))| format!("${}::{}[]", n + 1, ty.name()));
            let arrays = arrays.collect::<Vec<_>>().join(", ");
            let joined = unnested.iter().map(|(_, (name, _))| format!("t.{name} = k.{name}"));
            let joined = fixed.iter().cloned().chain(joined).collect::<Vec<_>>().join(" AND ");
            format!(
                "SELECT l.* FROM UNNEST({arrays}) AS k({names}) CROSS JOIN LATERAL \
                 ({} OFFSET 0) AS l",
                select(&joined)
            )
        };
        let all: Vec<_> = key.iter().enumerate().collect();
        Self {
            sqlite: select(&equal),
            postgres: lateral(&all, &[]),
            postgres_of_one: lateral(&all[1..], &[format!("t.{} = $1", key[0].0)]),
            types: key.iter().map(|(_, ty)| *ty).collect(),
        }
    }

    /// The statement for these keys, and its parameters.
    pub(super) fn statement(&self, keys: &[Vec<Value>]) -> Result<(&str, Vec<Value>), StoreError> {
        let first = keys.first().and_then(|key| key.first());
        let of_one = keys.iter().all(|key| key.first() == first);
        let column = |(n, ty): (usize, &ColumnType)| {
            let values = keys.iter().filter_map(|key| key.get(n)).cloned();
            Ok(Value::Column(ty.collect(values)?))
        };
        let columns = self.types.iter().enumerate();
        match first.filter(|_| of_one) {
            Some(one) => {
                let mut parameters = vec![one.clone()];
                parameters.extend(columns.skip(1).map(column).collect::<Result<Vec<_>, StoreError>>()?);
                Ok((&self.postgres_of_one, parameters))
            }
            None => Ok((&self.postgres, columns.map(column).collect::<Result<_, StoreError>>()?)),
        }
    }
}

const BY_ID: &[(&str, ColumnType)] = &[("organisation", Uuid), ("id", Uuid)];
const BY_EXECUTION: &[(&str, ColumnType)] = &[("organisation", Uuid), ("execution", Uuid)];

macro_rules! tables {
    ($($name:ident: $ty:ty = $make:expr;)*) => {
        $(pub(crate) static $name: LazyLock<$ty> = LazyLock::new(|| $make);)*

        /// What each of them says to SQLite.
        #[cfg(test)]
        pub(super) fn texts() -> Vec<(&'static str, &'static str)> {
            vec![$((stringify!($name), $name.sqlite.as_str()),)*]
        }
    };
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
    SHADOW_EXECUTION: Table = Table::new("shadow_execution", &[
        ("organisation", Uuid), ("rollout", Uuid), ("decision", Uuid), ("position", I64), ("agent", Uuid),
        ("version", Bytes), ("metrics", Text), ("error", Text), ("output", Bytes), ("occurred_at", I64),
        ("received_at", I64), ("fingerprint", Bytes),
    ], "");
    FEEDBACK: Table = Table::new("feedback", &[
        ("organisation", Uuid), ("id", Uuid), ("position", I64), ("schema_version", I64), ("agent", Uuid),
        ("execution", Uuid), ("session", Text), ("unit", Bytes), ("feedback_type", Text), ("source", Text), ("author", Bytes), ("rating", I64),
        ("dimensions", Text), ("issue_categories", Text), ("metrics", Text), ("comment", Bytes),
        ("correction", Bytes), ("details_kind", Text), ("details", Bytes), ("standing", Text), ("via_token", Bool),
        ("occurred_at", I64), ("received_at", I64), ("fingerprint", Bytes), ("flags", Text), ("enrichment", Bytes),
        // The entry of the ledger that it caused, if any.
        ("first_position", I64), ("decision", Uuid), ("version", Bytes), ("definition_version", I64), ("old_reward", I64),
        ("new_reward", I64), ("context_source", I64), ("propensity", F64), ("origin", Text), ("executed_at", I64),
    ], "");
    AWAITING: Table = Table::new("awaiting", &[
        ("organisation", Uuid), ("awaited", Uuid), ("execution", Uuid),
    ], "ON CONFLICT (organisation, awaited, execution) DO NOTHING");
    ARRIVED: Table = Table::delete("awaiting", &[("organisation", Uuid), ("awaited", Uuid)]);
    STREAM_HEAD_AT: Table = Table::moving("stream_head", &[("organisation", Uuid), ("position", I64), ("next", I64)]);
    STREAM_HEAD: Table = Table::update("stream_head", 1, &[("organisation", Uuid), ("position", I64)]);
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
    SHADOW_FACTS: Lookup = Lookup::new("shadow_execution",
        "t.organisation, t.rollout, t.decision, t.position, t.fingerprint",
        &[("organisation", Uuid), ("rollout", Uuid), ("decision", Uuid)], "");
    SHADOW_WAITING: Lookup = Lookup::new("shadow_execution",
        "t.decision, t.position, t.error, t.metrics, t.output",
        &[("organisation", Uuid), ("rollout", Uuid), ("decision", Uuid)], "AND t.compared_with IS NULL");
    SERVED_EXECUTION: Lookup = Lookup::new("execution",
        "t.id, t.id, t.position, t.agent, t.version, t.error, t.metrics, t.output",
        BY_ID, "AND (t.decision IS NULL OR t.decision = t.id)");
    SERVED_FOLLOWING: Lookup = Lookup::new("execution",
        "t.decision, t.id, t.position, t.agent, t.version, t.error, t.metrics, t.output",
        &[("organisation", Uuid), ("decision", Uuid)], "AND t.decision <> t.id");
    COMPARED_EXECUTION: Lookup = Lookup::new("execution", "t.id, t.error, t.metrics, t.output", BY_ID, "");
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
         t.standing, t.via_token, t.fingerprint",
        BY_EXECUTION, "ORDER BY t.position");
    AUTHOR_SIGNALS: Lookup = Lookup::new("feedback",
        "t.organisation, t.execution, t.position, t.id, t.feedback_type, t.source, t.rating, t.metrics, \
         t.standing, t.via_token, t.author",
        &[("organisation", Uuid), ("execution", Uuid), ("author", Bytes)], "ORDER BY t.position");
    EVIDENCE_EXECUTION: Lookup = Lookup::new("execution",
        "t.id, t.decision, t.agent, t.version, t.error, t.received_at", BY_ID,
        "AND (t.decision IS NULL OR t.decision = t.id)");
    EVIDENCE_FOLLOWING: Lookup = Lookup::new("execution",
        "t.id, t.decision, t.agent, t.version, t.error, t.received_at",
        &[("organisation", Uuid), ("decision", Uuid)], "AND t.decision <> t.id");
    EVIDENCE_FEEDBACK: Lookup = Lookup::new("feedback",
        "t.execution, t.received_at, t.id, t.feedback_type, t.source, t.rating, t.standing",
        BY_EXECUTION, "ORDER BY t.position");
    // An execution's reward is what the ledger says last, in rows of its own and in those of feedback.
    LAST_REWARD: Lookup = Lookup::of(&["reward_ledger", "feedback"],
        "t.organisation, t.execution, t.new_reward, t.first_position, t.position", BY_EXECUTION,
        "AND t.first_position IS NOT NULL ORDER BY t.position DESC LIMIT 1");
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
