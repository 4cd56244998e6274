//! Hourly rollups: a follower that folds executions, feedback and the ledger in the order of positions.
//!
//! Count and sums are exact integers and the sketch subtracts, so a reward that is revised later leaves no trace of its
//! old value: the rollups of a clean replay are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use upswing_domain::{
    AgentId, Context, FeedbackType, MAX_SEGMENT_VALUES, OrganisationId, Position, Reward, SEGMENT_OTHER,
    Segment, Timestamp, VersionId,
};
use upswing_stats::Sketch;

use crate::collect::{context_of, read, rows};
use crate::engine::{Connection, tables};
use crate::platform::checkpoint;
use crate::recent::{Executed, Recent, What};
use crate::value::Value;
use crate::{Checkpoint, LedgerEntry, LineageEdge, StoreError};

/// The follower's name.
pub(crate) const FOLLOWER: &str = "rollup";

/// The metric that counts executions.
pub(crate) const EXECUTIONS: &str = "executions";
/// The metric of rewards.
pub(crate) const REWARD: &str = "reward";
/// The metric of ratings, and of satisfied (1) and dissatisfied (0) people.
pub(crate) const RATING: &str = "feedback.rating";
pub(crate) const SATISFIED: &str = "feedback.satisfied";
/// How the counters of feedback types begin.
pub(crate) const FEEDBACK_TYPE: &str = "feedback.type.";

/// Stands for the version where feedback is counted for the agent as a whole.
const NO_VERSION: VersionId = VersionId([0; 32]);

/// Events of each kind that are read for one piece.
const PIECE: usize = 500;
/// Events of all kinds in a piece that is in memory.
const RECENT: usize = 4_000;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    version: VersionId,
    segment: Segment,
    metric: String,
    hour: Timestamp,
}

/// Count, exact sums in millionths, sketch.
#[derive(Default)]
pub(crate) struct Moments {
    pub(crate) count: i64,
    pub(crate) sum: i64,
    pub(crate) sum_squares: i128,
    pub(crate) sketch: Sketch,
}

impl Moments {
    fn add(&mut self, value: f64, count: i64) {
        let millionths = (value * 1e6).round().clamp(-1e18, 1e18) as i64;
        self.count += count;
        self.sum = self.sum.saturating_add(millionths.saturating_mul(count));
        let square = i128::from(millionths) * i128::from(millionths) * i128::from(count);
        self.sum_squares = self.sum_squares.saturating_add(square);
        self.sketch.add(value, count);
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.sum_squares = self.sum_squares.saturating_add(other.sum_squares);
        self.sketch.merge(&other.sketch);
    }

    /// Reads the last four columns of a rollup.
    pub(crate) fn read(row: &mut crate::value::Row) -> Result<Self, StoreError> {
        let (count, sum) = (row.take()?, row.take()?);
        let sum_squares: String = row.take()?;
        let sum_squares = sum_squares
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("sum of squares {sum_squares:?}")))?;
        let sketch = Sketch::from_bytes(&row.take::<Vec<u8>>()?)
            .map_err(|e| StoreError::Corrupt(format!("a rollup's sketch: {e}")))?;
        Ok(Self { count, sum, sum_squares, sketch })
    }
}

/// The agent's declared segments with the values that are counted apart.
struct Segments {
    keys: Vec<String>,
    known: BTreeMap<String, BTreeSet<String>>,
    fresh: Vec<Segment>,
}

impl Segments {
    async fn load(
        connection: &mut Connection,
        organisation: OrganisationId,
        agent: AgentId,
    ) -> Result<Self, StoreError> {
        let parameters = || -> Vec<Value> { vec![organisation.into(), agent.into()] };
        let sql = "SELECT segments FROM agent WHERE organisation = $1 AND id = $2";
        let mut row = connection
            .query_one(sql, parameters())
            .await?
            .ok_or_else(|| StoreError::NotFound { noun: "agent", id: agent.to_string() })?;
        let keys = rows::parse("segments", &row.take::<String>()?)?;
        let mut known = BTreeMap::<String, BTreeSet<String>>::new();
        let sql =
            "SELECT segment_key, segment_value FROM segment_value WHERE organisation = $1 AND agent = $2";
        for mut row in connection.query(sql, parameters()).await? {
            known.entry(row.take()?).or_default().insert(row.take()?);
        }
        Ok(Self { keys, known, fresh: Vec::new() })
    }

    /// The segments of a context. The first values seen are counted apart, the rest together, for good.
    fn of(&mut self, context: Option<&Context>) -> Vec<Segment> {
        let mut segments = Segment::of(context, &self.keys);
        for segment in segments.iter_mut().filter(|s| !s.key.is_empty()) {
            let known = self.known.entry(segment.key.clone()).or_default();
            if known.contains(&segment.value) {
                continue;
            }
            if known.len() < MAX_SEGMENT_VALUES {
                known.insert(segment.value.clone());
                self.fresh.push(segment.clone());
            } else {
                SEGMENT_OTHER.clone_into(&mut segment.value);
            }
        }
        segments
    }
}

#[derive(Default)]
struct Fold {
    moments: BTreeMap<Key, Moments>,
}

impl Fold {
    fn add(
        &mut self,
        version: VersionId,
        segments: &[Segment],
        metric: &str,
        at: Timestamp,
        value: f64,
        count: i64,
    ) {
        for segment in segments {
            let key = Key { version, segment: segment.clone(), metric: metric.to_owned(), hour: at.hour() };
            self.moments.entry(key).or_default().add(value, count);
        }
    }
}

/// What is folded in one piece: everything up to a position, and more that comes later.
struct Events {
    executed: Vec<(Position, Executed)>,
    said: Vec<(Position, FeedbackType, Option<i64>, Timestamp)>,
    ledger: Vec<LedgerEntry>,
    to: Position,
}

/// What was written lately, where that reaches up to the head.
fn lately(
    recent: &Recent,
    key: (OrganisationId, AgentId),
    (from, head): (Position, Position),
) -> Option<Events> {
    let (mut executed, mut said, mut ledger) = (Vec::new(), Vec::new(), Vec::new());
    let (_, to) = recent.read(key, from, head, RECENT, |event| {
        match &event.what {
            What::Exposed(_) => return None,
            What::Executed(what) => executed.push((event.position, what.clone())),
            What::Said(what) => said.push((event.position, what.feedback_type, what.rating, event.at)),
            What::Rewarded(entry) => ledger.push(entry.clone()),
        }
        Some(())
    })?;
    Some(Events { executed, said, ledger, to: to.min(head) })
}

/// The same from the tables.
async fn stored(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    (from, head): (Position, Position),
) -> Result<Events, StoreError> {
    let limit = i64::try_from(PIECE).unwrap_or(i64::MAX);
    let page = || -> Vec<Value> { vec![organisation.into(), agent.into(), from.into(), limit.into()] };
    let sql = "SELECT position, version, context, metrics, occurred_at FROM execution \
               WHERE organisation = $1 AND agent = $2 AND position > $3 AND position > 0 ORDER BY position LIMIT $4";
    let executions = connection.query(sql, page()).await?;
    let sql = "SELECT position, feedback_type, rating, received_at FROM feedback \
               WHERE organisation = $1 AND agent = $2 AND position > $3 AND position > 0 ORDER BY position LIMIT $4";
    let feedback = connection.query(sql, page()).await?;
    let ledger = read::ledger(connection, organisation, agent, from, PIECE).await?;
    let mut to = head;
    let mut executed = Vec::new();
    for mut row in executions {
        let position: Position = row.take()?;
        let what = Executed {
            version: row.take()?,
            context: context_of(row.take()?)?.map(Arc::new),
            metrics: Arc::new(rows::metrics(row.take()?)?),
            failed: false,
            occurred_at: row.take()?,
        };
        executed.push((position, what));
    }
    let mut said = Vec::new();
    for mut row in feedback {
        let position: Position = row.take()?;
        let kind = rows::named("feedback_type", &row.take::<String>()?, FeedbackType::named)?;
        said.push((position, kind, row.take()?, row.take()?));
    }
    // A page that is full ends before the head: only up to the earliest such end is everything known.
    for (len, last) in [
        (executed.len(), executed.last().map(|e| e.0)),
        (said.len(), said.last().map(|s| s.0)),
        (ledger.len(), ledger.last().map(|l| l.position)),
    ] {
        if let (true, Some(last)) = (len == PIECE, last) {
            to = to.min(last);
        }
    }
    Ok(Events { executed, said, ledger, to })
}

/// A piece of an agent's events, folded but not saved.
pub(crate) struct Piece {
    /// The checkpoint that it goes on from: position and revision.
    before: (Position, i64),
    to: Position,
    head: Position,
    fold: Fold,
    fresh: Vec<Segment>,
}

/// Folds the next piece; `None` when nothing is left.
pub(crate) async fn fold(
    connection: &mut Connection,
    recent: &Recent,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<Option<Piece>, StoreError> {
    let before = folded(connection, organisation, agent).await?;
    let from = before.0;
    let head = checkpoint::head(connection, organisation, agent).await?;
    if head <= from {
        return Ok(None);
    }
    let mut segments = Segments::load(connection, organisation, agent).await?;
    let events = match lately(recent, (organisation, agent), (from, head)) {
        Some(events) => events,
        None => stored(connection, organisation, agent, (from, head)).await?,
    };
    let Events { executed, said, ledger, to } = events;

    let mut fold = Fold::default();
    for (_, executed) in executed.into_iter().filter(|e| e.0 <= to) {
        let (version, at) = (executed.version.unwrap_or(NO_VERSION), executed.occurred_at);
        let segments = segments.of(executed.context.as_deref());
        fold.add(version, &segments, EXECUTIONS, at, 1.0, 1);
        for (metric, value) in executed.metrics.iter() {
            fold.add(version, &segments, metric, at, *value, 1);
        }
    }
    let whole = [Segment::all()];
    for (_, kind, rating, at) in said.into_iter().filter(|s| s.0 <= to) {
        fold.add(NO_VERSION, &whole, &format!("{FEEDBACK_TYPE}{}", kind.name()), at, 1.0, 1);
        if let Some(rating) = rating {
            fold.add(NO_VERSION, &whole, RATING, at, rating as f64, 1);
        }
        if let Some(satisfied) = kind.satisfied(rating) {
            fold.add(NO_VERSION, &whole, SATISFIED, at, f64::from(u8::from(satisfied)), 1);
        }
    }
    for entry in ledger.into_iter().filter(|l| l.position <= to) {
        let segments = segments.of(entry.context.as_deref());
        for (reward, count) in [(entry.old, -1), (entry.new, 1)] {
            if let Some(value) = reward.map(Reward::get) {
                fold.add(entry.version, &segments, REWARD, entry.occurred_at, value, count);
            }
        }
    }
    Ok(Some(Piece { before, to, head, fold, fresh: segments.fresh }))
}

/// The checkpoint: position and revision.
async fn folded(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<(Position, i64), StoreError> {
    let saved = checkpoint::load(connection, organisation, agent, FOLLOWER).await?;
    Ok(saved.map_or((Position(0), 0), |saved| (saved.position, saved.revision)))
}

/// Saves a piece with the position it has read up to; true when that was all. Of two who folded the same only one saves.
pub(crate) async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
    piece: Piece,
) -> Result<bool, StoreError> {
    connection.advance(organisation, 0).await?;
    if folded(connection, organisation, agent).await? != piece.before {
        return Ok(false);
    }
    let Piece { before, to, head, fold, fresh } = piece;
    write(connection, organisation, agent, fold, fresh).await?;
    let made_with = format!("{{\"rollup\":1,\"schema\":{}}}", rows::SCHEMA_VERSION);
    let revision = before.1 + 1;
    let after = Checkpoint { position: to, revision, state: Vec::new(), made_with: made_with.clone() };
    checkpoint::save(connection, organisation, agent, FOLLOWER, now, &after).await?;
    for source in ["execution", "feedback", "reward_ledger"] {
        let edge = LineageEdge {
            derived_kind: FOLLOWER.to_owned(),
            derived_id: agent.to_string(),
            source_kind: source.to_owned(),
            source_id: agent.to_string(),
            from: Some(Position(0)),
            to: Some(to),
            made_with: made_with.clone(),
            at: now,
        };
        checkpoint::link(connection, organisation, &edge).await?;
    }
    Ok(to == head)
}

/// Hours deleted in one piece: one may have thousands of rows, and events wait behind them.
const HOURS: i64 = 1;

/// Deletes a piece of the hours before a moment; how many. What is revised in them later makes a row that is deleted with
/// the next piece, and is not read meanwhile: who reads begins with what is kept.
pub(crate) async fn expire(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    before: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "SELECT DISTINCT hour FROM rollup WHERE organisation = $1 AND agent = $2 AND hour < $3 \
               ORDER BY hour LIMIT $4";
    let parameters = vec![organisation.into(), agent.into(), before.hour().into(), HOURS.into()];
    let old = connection.query(sql, parameters).await?;
    let count = old.len();
    for mut row in old {
        let hour: Timestamp = row.take()?;
        let sql = "DELETE FROM rollup WHERE organisation = $1 AND agent = $2 AND hour = $3";
        connection.execute(sql, vec![organisation.into(), agent.into(), hour.into()]).await?;
    }
    Ok(count)
}

async fn write(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    mut fold: Fold,
    fresh: Vec<Segment>,
) -> Result<(), StoreError> {
    let key = |k: &Key| -> Vec<Value> {
        vec![
            organisation.into(),
            agent.into(),
            k.version.into(),
            k.segment.key.clone().into(),
            k.segment.value.clone().into(),
            k.metric.clone().into(),
            k.hour.into(),
        ]
    };
    let keys = fold.moments.keys().map(key).collect();
    for mut row in connection.look_up(&tables::ROLLUP_STATE, keys).await? {
        let _agent: AgentId = row.take()?;
        let version = row.take()?;
        let segment = Segment { key: row.take()?, value: row.take()? };
        let found = Key { version, segment, metric: row.take()?, hour: row.take()? };
        let stored = Moments::read(&mut row)?;
        if let Some(moments) = fold.moments.get_mut(&found) {
            moments.merge(&stored);
        }
    }
    let row = |(k, m): (&Key, &Moments)| {
        let mut values = key(k);
        values.extend([
            m.count.into(),
            m.sum.into(),
            m.sum_squares.to_string().into(),
            m.sketch.to_bytes().into(),
        ]);
        values
    };
    let rows: Vec<_> = fold.moments.iter().map(row).collect();
    connection.insert(&tables::ROLLUP, rows).await?;
    let fresh =
        fresh.into_iter().map(|s| vec![organisation.into(), agent.into(), s.key.into(), s.value.into()]);
    connection.insert(&tables::SEGMENT_VALUE, fresh.collect()).await
}
