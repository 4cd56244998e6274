//! Tokens that come back: proof of a decision, and the way to restore it.

use upswing_domain::{AgentId, Decision, DecisionId, DecisionReason, ExecutionId, OrganisationId, Pseudonym};
use upswing_privacy::{Token, TokenUse};

use crate::app::App;
use crate::problem::{Code, Problem};

/// Opens a token.
pub(super) fn open(app: &App, organisation: OrganisationId, text: &str) -> Result<Token, Problem> {
    Token::open(text, &app.keyring, organisation, app.now()).map_err(Problem::from)
}

/// Refuses a token that belongs to something else.
pub(super) fn check(matches: bool, what: &str) -> Result<(), Problem> {
    if matches {
        return Ok(());
    }
    Err(Problem::new(Code::TokenMismatch, format!("the token belongs to another {what}")).about("token"))
}

/// The decision that a token proves, in case its record was lost.
pub(super) fn restored(token: &Token, unit: Option<Pseudonym>) -> Option<Decision> {
    (!token.decision.0.is_nil()).then(|| Decision {
        id: token.decision,
        agent: token.agent,
        version: token.version,
        unit,
        context: None,
        reason: DecisionReason::Restored,
        origin: token.origin,
        propensity: token.propensity,
        probabilities: Vec::new(),
        epoch: token.epoch,
        policy_revision: token.policy_revision,
        decided_at: token.issued_at,
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
