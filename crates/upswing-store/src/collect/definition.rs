//! Reward definitions as the writer sees them. They are remembered for as long as an organisation's head stands where the last
//! batch left it: a change of a definition moves the head, and so does everything that another server writes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use upswing_domain::{AgentId, OrganisationId, Position, RewardDefinition};

use crate::StoreError;
use crate::engine::{Connection, tables};

/// The current definition of an agent.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) version: i64,
    pub(crate) body: Arc<RewardDefinition>,
}

/// What is remembered between batches. Bounded by the number of agents.
#[derive(Default)]
pub(crate) struct Definitions {
    known: HashMap<(OrganisationId, AgentId), Definition>,
    /// Those that were read since the head was last moved by somebody else.
    current: HashSet<(OrganisationId, AgentId)>,
    /// Where the last batch left each organisation's head.
    heads: HashMap<OrganisationId, Position>,
    /// Where others write as well: what is remembered will not do, so it is not waited for to be found out.
    shared: HashSet<OrganisationId>,
}

impl Definitions {
    pub(crate) fn get(&self, organisation: OrganisationId, agent: AgentId) -> Option<&Definition> {
        self.known.get(&(organisation, agent))
    }

    /// Whether a batch may hope to do with what is remembered.
    pub(crate) fn remembers(&self, organisation: OrganisationId, agent: AgentId) -> bool {
        self.current.contains(&(organisation, agent)) && !self.shared.contains(&organisation)
    }

    /// Whether what is remembered holds at this head; what does not is to be read again.
    pub(crate) fn hold(&mut self, organisation: OrganisationId, head: Position) -> bool {
        let hold = self.heads.get(&organisation) == Some(&head);
        if hold {
            self.shared.remove(&organisation);
        } else {
            self.shared.insert(organisation);
            self.current.retain(|(other, _)| *other != organisation);
        }
        hold
    }

    /// Notes where a batch has left an organisation's head.
    pub(crate) fn left(&mut self, organisation: OrganisationId, head: Position) {
        self.heads.insert(organisation, head);
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
