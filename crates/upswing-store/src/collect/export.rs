//! Decisions as they are exported: with what they were chosen from, and what came of them.

use std::collections::{BTreeMap, BTreeSet};

use upswing_domain::{AgentId, DecisionId, ExecutionId, Reward, VersionId};

use super::facts::learn_execution;
use super::plan::Known;
use super::read::{self, Page};
use super::rows;
use crate::engine::{Connection, tables};
use crate::value::Value;
use crate::{ExportedDecision, StoreError, StoredDecision};

/// A page of decisions in the order of ids. A fixed number of questions a page, whatever its size.
pub(crate) async fn decisions(
    connection: &mut Connection,
    page: Page,
) -> Result<Vec<ExportedDecision>, StoreError> {
    let organisation: Value = page.organisation.into();
    let decisions = read::decisions(connection, page).await?;
    let eligible = eligible(connection, &organisation, &decisions).await?;
    let rewards = rewards(connection, &organisation, &decisions).await?;
    Ok(decisions
        .into_iter()
        .map(|stored| ExportedDecision {
            eligible: eligible.get(&(stored.decision.agent, stored.decision.epoch)).cloned(),
            reward: rewards.get(&stored.decision.id).map(|rewards| mean(rewards)),
            stored,
        })
        .collect())
}

/// The eligible versions of each epoch that the decisions were made in.
async fn eligible(
    connection: &mut Connection,
    organisation: &Value,
    decisions: &[StoredDecision],
) -> Result<BTreeMap<(AgentId, i64), Vec<VersionId>>, StoreError> {
    let epochs: BTreeSet<_> =
        decisions.iter().map(|stored| (stored.decision.agent, stored.decision.epoch)).collect();
    let keys = epochs.iter().map(|&(agent, epoch)| vec![organisation.clone(), agent.into(), epoch.into()]);
    let rows = connection.look_up(&tables::DEPLOYMENT_ELIGIBLE, keys.collect()).await?;
    rows.into_iter()
        .map(|mut row| {
            let epoch = (row.take()?, row.take()?);
            Ok((epoch, rows::parse("eligible versions", &row.take::<String>()?)?))
        })
        .collect()
}

/// What is known of the executions that followed. One that ran another version than was decided says nothing about the decision.
async fn rewards(
    connection: &mut Connection,
    organisation: &Value,
    decisions: &[StoredDecision],
) -> Result<BTreeMap<DecisionId, Vec<Reward>>, StoreError> {
    let keys = |ids: &mut dyn Iterator<Item = Value>| -> Vec<Vec<Value>> {
        ids.map(|id| vec![organisation.clone(), id]).collect()
    };
    let ids = || keys(&mut decisions.iter().map(|stored| stored.decision.id.into()));
    let mut known = Known::default();
    for lookup in [&tables::EXECUTION_FACTS, &tables::FOLLOWING_EXECUTIONS] {
        for row in connection.look_up(lookup, ids()).await? {
            learn_execution(&mut known, row)?;
        }
    }
    // Feedback may be there before its execution is, under the decision's own id.
    let own = decisions.iter().map(|stored| ExecutionId(stored.decision.id.0));
    let executions: BTreeMap<_, _> = known.executions.iter().map(|((_, id), facts)| (*id, facts)).collect();
    let asked: BTreeSet<_> = executions.keys().copied().chain(own).collect();
    let asked = keys(&mut asked.into_iter().map(Value::from));
    let versions: BTreeMap<DecisionId, VersionId> =
        decisions.iter().map(|stored| (stored.decision.id, stored.decision.version)).collect();
    let mut rewards: BTreeMap<DecisionId, Vec<Reward>> = BTreeMap::new();
    for mut row in connection.look_up(&tables::LAST_REWARD, asked).await? {
        row.skip(1);
        let (id, reward): (ExecutionId, Option<Reward>) = (row.take()?, row.take()?);
        let followed = match executions.get(&id) {
            Some(execution) => execution.decision.filter(|id| {
                // One that came before its decision, and does not say, ran what was decided.
                execution.version.is_none_or(|version| versions.get(id) == Some(&version))
            }),
            None => Some(DecisionId(id.0)),
        };
        if let (Some(decision), Some(reward)) = (followed, reward) {
            rewards.entry(decision).or_default().push(reward);
        }
    }
    Ok(rewards)
}

fn mean(rewards: &[Reward]) -> f64 {
    rewards.iter().map(|reward| reward.get()).sum::<f64>() / rewards.len() as f64
}
