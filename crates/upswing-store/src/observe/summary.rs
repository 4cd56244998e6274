//! Performance and feedback statistics, read from rollups.

use std::collections::BTreeMap;

use upswing_domain::{AgentId, OrganisationId, Position, Timestamp};

use super::rollup::{EXECUTIONS, FEEDBACK_TYPE, FOLLOWER, Moments, RATING, SATISFIED};
use crate::engine::Connection;
use crate::platform::checkpoint;
use crate::value::Value;
use crate::{FeedbackStats, MetricSummary, StoreError};

/// Summaries by version, segment value and metric since the hour of a moment.
pub(crate) async fn performance(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    segment_key: &str,
    since: Timestamp,
) -> Result<(Vec<MetricSummary>, Position), StoreError> {
    let sql = "SELECT version, segment_value, metric, count, sum, sum_squares, sketch FROM rollup \
               WHERE organisation = $1 AND agent = $2 AND segment_key = $3 AND hour >= $4";
    let parameters = vec![organisation.into(), agent.into(), segment_key.into(), since.hour().into()];
    let mut merged = BTreeMap::new();
    for mut row in connection.query(sql, parameters).await? {
        let key: (upswing_domain::VersionId, String, String) = (row.take()?, row.take()?, row.take()?);
        if !key.2.starts_with("feedback.") {
            merged.entry(key).or_insert_with(Moments::default).merge(&Moments::read(&mut row)?);
        }
    }
    let position = checkpoint::load(connection, organisation, agent, FOLLOWER).await?;
    let summaries =
        merged.into_iter().filter(|(_, m)| m.count > 0).map(|((version, segment_value, metric), m)| {
            let n = m.count as f64;
            let mean = m.sum as f64 / 1e6 / n;
            let sum_squares = m.sum_squares as f64 / 1e12;
            let variance = (m.count > 1).then(|| ((sum_squares - n * mean * mean) / (n - 1.0)).max(0.0));
            let quantile = |q| m.sketch.quantile(q);
            let quantiles = match (quantile(0.5), quantile(0.95), quantile(0.99)) {
                (Some(a), Some(b), Some(c)) if metric != EXECUTIONS => Some([a, b, c]),
                _ => None,
            };
            let segment_key = segment_key.to_owned();
            MetricSummary {
                version,
                segment_key,
                segment_value,
                metric,
                count: m.count,
                mean,
                variance,
                quantiles,
            }
        });
    Ok((summaries.collect(), position.map_or(Position(0), |c| c.position)))
}

/// What people said since the hour of a moment, of one agent or all.
pub(crate) async fn feedback_stats(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: Option<AgentId>,
    since: Timestamp,
) -> Result<FeedbackStats, StoreError> {
    let scope =
        || -> [Value; 2] { [agent.is_none().into(), agent.map_or(uuid::Uuid::nil(), |a| a.0).into()] };
    let sql = "SELECT metric, CAST(sum(count) AS BIGINT), CAST(sum(sum) AS BIGINT) FROM rollup \
               WHERE organisation = $1 AND ($3 OR agent = $4) AND hour >= $2 AND metric LIKE 'feedback.%' \
               GROUP BY metric ORDER BY metric";
    let [all, one] = scope();
    let mut stats = FeedbackStats::default();
    for mut row in connection.query(sql, vec![organisation.into(), since.hour().into(), all, one]).await? {
        let (metric, count, sum): (String, i64, i64) = (row.take()?, row.take()?, row.take()?);
        let mean = (count > 0).then(|| sum as f64 / 1e6 / count as f64);
        match metric.as_str() {
            RATING => stats.average_rating = mean,
            SATISFIED => stats.satisfaction_rate = mean,
            _ => {
                if let Some(kind) = metric.strip_prefix(FEEDBACK_TYPE) {
                    stats.total += count;
                    stats.by_type.insert(kind.to_owned(), count);
                }
            }
        }
    }
    let sql = "SELECT count(*) FROM feedback WHERE organisation = $1 AND flags IS NOT NULL AND received_at >= $2 \
               AND ($3 OR agent = $4)";
    let [all, one] = scope();
    let row = connection.query_one(sql, vec![organisation.into(), since.into(), all, one]).await?;
    stats.flagged = row.map_or(Ok(0), |mut row| row.take())?;
    let sql = "SELECT CAST(coalesce(min(position), 0) AS BIGINT) FROM checkpoint \
               WHERE organisation = $1 AND follower = $2 AND ($3 OR agent = $4)";
    let [all, one] = scope();
    let row = connection.query_one(sql, vec![organisation.into(), FOLLOWER.into(), all, one]).await?;
    stats.as_of = row.map_or(Ok(Position(0)), |mut row| row.take())?;
    Ok(stats)
}
