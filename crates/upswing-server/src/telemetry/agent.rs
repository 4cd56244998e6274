//! Which of an organisation's agents a run is of.

use std::sync::Arc;

use upswing_domain::{AgentId, OrganisationId};
use upswing_otlp::RecordedSpan;
use uuid::Uuid;

use crate::app::App;
use crate::registry::AgentEntry;

/// An agent by name or id.
pub(crate) fn find(app: &App, organisation: OrganisationId, name: &str) -> Option<Arc<AgentEntry>> {
    let by_id = Uuid::parse_str(name).ok().and_then(|id| app.registry.agent(organisation, AgentId(id)));
    by_id.or_else(|| app.registry.agent_named(organisation, name))
}

/// The agent of a run, as its span says after assembly: what is said to Upswing, then what the conventions say, then
/// what the request named, then the only agent there is.
///
/// # Errors
/// A sentence with the ways out. An agent that is named to Upswing and does not exist is never replaced by another: the
/// run would teach the wrong one.
pub(crate) fn of_run(
    app: &App,
    organisation: OrganisationId,
    run: &RecordedSpan,
    of_request: Option<AgentId>,
) -> Result<Arc<AgentEntry>, String> {
    if let Some(name) = run.upswing.agent.as_ref().or_else(|| run.resource.get("upswing.agent")) {
        return find(app, organisation, name)
            .ok_or_else(|| format!("upswing.agent names {name}, but there is no such agent"));
    }
    let hints = [
        run.agent.name.as_ref(),
        run.agent.id.as_ref(),
        run.agent.workflow.as_ref(),
        run.agent.prompt.as_ref(),
        run.resource.get("service.name"),
    ];
    let by_hint = hints.into_iter().flatten().find_map(|name| find(app, organisation, name));
    let of_request = || app.registry.agent(organisation, of_request?);
    by_hint.or_else(of_request).or_else(|| only(app, organisation)).ok_or_else(|| {
        "no agent is named: set the attribute upswing.agent, gen_ai.agent.name or the service's name to the name of an \
         agent, or add ?agent=NAME to the endpoint or the header upswing-agent to the request"
            .to_owned()
    })
}

/// The organisation's agent, where it has one.
pub(crate) fn only(app: &App, organisation: OrganisationId) -> Option<Arc<AgentEntry>> {
    let mut agents = app.registry.agents(organisation);
    agents.pop().filter(|_| agents.is_empty())
}
