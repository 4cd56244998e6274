//! Reward definitions as the writer sees them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use upswing_domain::{AgentId, OrganisationId, RewardDefinition};

use crate::StoreError;
use crate::engine::{Connection, tables};

/// The current definition of an agent.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) version: i64,
    pub(crate) body: Arc<RewardDefinition>,
}

/// What was read of them. Bounded by the number of agents.
#[derive(Default)]
pub(crate) struct Definitions {
    known: HashMap<(OrganisationId, AgentId), Definition>,
    /// Those of which nobody has said that they may have changed.
    current: HashSet<(OrganisationId, AgentId)>,
}

impl Definitions {
    pub(crate) fn get(&self, organisation: OrganisationId, agent: AgentId) -> Option<&Definition> {
        self.known.get(&(organisation, agent))
    }

    /// Whether an agent's version need not be asked for.
    pub(super) fn is_current(&self, organisation: OrganisationId, agent: AgentId) -> bool {
        self.current.contains(&(organisation, agent))
    }

    /// An organisation's definitions may have changed.
    pub(super) fn forget(&mut self, organisation: OrganisationId) {
        self.current.retain(|(other, _)| *other != organisation);
    }

    /// Takes note of versions that were read, and loads the bodies of those that are not the remembered ones.
    pub(crate) async fn refresh(
        &mut self,
        connection: &mut Connection,
        versions: &[(OrganisationId, AgentId, i64)],
    ) -> Result<(), StoreError> {
        let stale = |&&(o, a, v): &&(OrganisationId, AgentId, i64)| {
            self.known.get(&(o, a)).is_none_or(|known| known.version != v)
        };
        let keys: Vec<_> =
            versions.iter().filter(stale).map(|&(o, a, v)| vec![o.into(), a.into(), v.into()]).collect();
        for mut row in connection.look_up(&tables::DEFINITION_BODY, keys).await? {
            let key = (row.take()?, row.take()?);
            let version = row.take()?;
            let body: String = row.take()?;
            let body = serde_json::from_str(&body)
                .map_err(|e| StoreError::Corrupt(format!("reward definition {version} of {}: {e}", key.1)))?;
            self.known.insert(key, Definition { version, body: Arc::new(body) });
        }
        self.current.extend(versions.iter().map(|&(o, a, _)| (o, a)));
        Ok(())
    }
}
