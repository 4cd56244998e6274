//! Tokens that come back: proof of a decision, and the way to restore it.

use upswing_domain::{
    AgentId, Decision, DecisionId, DecisionReason, ExecutionId, OrganisationId, Pseudonym, Role,
};
use upswing_privacy::{Token, TokenUse};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Code, Problem};

/// Opens a token of what was served.
pub(super) fn open(app: &App, organisation: OrganisationId, text: &str) -> Result<Token, Problem> {
    let token = open_any(app, organisation, text)?;
    if matches!(token.token_use, TokenUse::Shadow(_)) {
        let detail = "the token of a shadow reports its execution, and proves nothing of what was served";
        return Err(Problem::new(Code::TokenInvalid, detail).about("token"));
    }
    Ok(token)
}

/// Opens a token, also that of a shadow.
pub(super) fn open_any(app: &App, organisation: OrganisationId, text: &str) -> Result<Token, Problem> {
    Token::open(text, &app.keyring, organisation, app.now()).map_err(Problem::from)
}

/// The token of a statement, held against what the statement says it is about. A publishable key needs the feedback token
/// of the very execution: nobody speaks for somebody else's.
pub(super) fn of_statement(
    app: &App,
    caller: &Caller,
    token: Option<&str>,
    agent: Option<Uuid>,
    execution: Option<Uuid>,
) -> Result<Option<Token>, Problem> {
    let from_browser = caller.key.role == Role::Publishable;
    let Some(token) = token else {
        return match from_browser {
            true => Err(Problem::new(Code::TokenRequired, Code::TokenRequired.title()).about("token")),
            false => Ok(None),
        };
    };
    let token = open(app, caller.organisation(), token)?;
    if from_browser && token.token_use != TokenUse::Feedback {
        let detail = "a page sends the feedback_token, not the token of the decision";
        return Err(Problem::new(Code::TokenInvalid, detail).about("token"));
    }
    check(agent.is_none_or(|id| AgentId(id) == token.agent), "agent")?;
    // A decision's token proves the decision, whatever id its execution was given.
    let any_execution = token.token_use == TokenUse::Decision;
    check(any_execution || execution.is_none_or(|id| ExecutionId(id) == token.execution), "execution")?;
    Ok(Some(token))
}

/// Refuses a token that belongs to something else.
pub(super) fn check(matches: bool, what: &str) -> Result<(), Problem> {
    if matches {
        return Ok(());
    }
    Err(Problem::new(Code::TokenMismatch, format!("the token belongs to another {what}")).about("token"))
}

/// The decision that a token proves, in case its record was lost.
pub(crate) fn restored(token: &Token, unit: Option<Pseudonym>) -> Option<Box<Decision>> {
    let decided = !token.decision.0.is_nil();
    decided.then(|| {
        Box::new(Decision {
            id: token.decision,
            agent: token.agent,
            version: token.version,
            unit,
            context: None,
            reason: DecisionReason::Restored,
            origin: token.origin,
            propensity: token.propensity,
            probabilities: Vec::new(),
            assignment: None,
            epoch: token.epoch,
            policy_revision: token.policy_revision,
            decided_at: token.issued_at,
        })
    })
}

/// A token with which a browser may give feedback about an execution.
pub(super) fn feedback_token(
    app: &App,
    organisation: OrganisationId,
    agent: AgentId,
    execution: ExecutionId,
    proof: Option<Token>,
) -> Result<String, Problem> {
    let now = app.now();
    let decided = proof.unwrap_or(Token {
        token_use: TokenUse::Feedback,
        agent,
        execution,
        decision: DecisionId(uuid::Uuid::nil()),
        version: upswing_domain::VersionId([0; 32]),
        propensity: upswing_domain::Probability::ONE,
        origin: upswing_domain::Origin::Live,
        epoch: 0,
        policy_revision: 0,
        issued_at: now,
        expires_at: now,
    });
    let expires_at = now.plus_seconds(app.limits.feedback_token_seconds);
    let token = Token { token_use: TokenUse::Feedback, execution, expires_at, ..decided };
    Ok(token.seal(&app.keyring, organisation)?)
}
