//! Whether feedback fits what it is about.
//!
//! Ranges and what a type of feedback must carry are checked by [`upswing_domain::Feedback::validate`] and
//! [`upswing_domain::Feedback::signals`]. Here are the checks that need more than the feedback: what it depends on must
//! belong to the same agent and come before it, and its parts must not deny each other.
//!
//! What it depends on may come later (an execution may arrive after its feedback): then nothing can be said yet, and the
//! caller asks again when it has come.

use upswing_domain::{AgentId, Feedback, FeedbackType, Invalid, Timestamp};

/// How far the clock of a client may be ahead, in seconds.
pub const CLOCK_SKEW_SECONDS: i64 = 300;

/// What is known of what a piece of feedback depends on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dependencies {
    /// Whose execution it is; `None` while it has not come.
    pub execution_agent: Option<AgentId>,
    /// When the execution began.
    pub executed_at: Option<Timestamp>,
    /// When the server received the feedback.
    pub received_at: Option<Timestamp>,
}

/// Checks feedback against what it depends on.
///
/// # Errors
/// Names the first field that does not fit.
pub fn check_dependencies(feedback: &Feedback, known: &Dependencies) -> Result<(), Invalid> {
    if let Some(agent) = known.execution_agent
        && agent != feedback.agent
    {
        return Err(Invalid::new(
            "execution_id",
            feedback.target.execution().map_or_else(String::new, |id| id.to_string()),
            "an execution of the agent it is sent for",
        ));
    }
    let skew = CLOCK_SKEW_SECONDS * 1_000_000;
    let at = feedback.occurred_at.0;
    if let Some(executed) = known.executed_at
        && at.saturating_add(skew) < executed.0
    {
        return Err(Invalid::new("occurred_at", at, "not before the execution it is about"));
    }
    if let Some(received) = known.received_at
        && at > received.0.saturating_add(skew)
    {
        return Err(Invalid::new("occurred_at", at, "not in the future"));
    }
    let thumb = match feedback.feedback_type {
        FeedbackType::ThumbsUp => Some(("thumbs_up", 1)),
        FeedbackType::ThumbsDown => Some(("thumbs_down", 5)),
        _ => None,
    };
    if let (Some((name, opposite)), Some(stars)) = (thumb, feedback.rating)
        && stars == opposite
    {
        return Err(Invalid::new("rating", stars, format!("no contradiction to {name}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use upswing_domain::{Dimensions, ExecutionId, FeedbackId, FeedbackSource};

    use super::*;

    fn agent(i: u8) -> AgentId {
        AgentId(serde_json::from_str(&format!("\"00000000-0000-0000-0000-0000000000{i:02}\"")).unwrap())
    }

    fn feedback(feedback_type: FeedbackType, rating: Option<u8>, at: i64) -> Feedback {
        Feedback {
            id: FeedbackId(agent(1).0),
            agent: agent(1),
            target: upswing_domain::Target::Execution(ExecutionId(agent(2).0)),
            feedback_type,
            source: FeedbackSource::User,
            author: None,
            rating,
            dimensions: Dimensions::default(),
            issue_categories: Vec::new(),
            metrics: BTreeMap::new(),
            text: None,
            correction: None,
            details: None,
            standing: upswing_domain::Standing::Counted,
            findings: Default::default(),
            occurred_at: Timestamp(at),
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let known = Dependencies {
            execution_agent: Some(agent(1)),
            executed_at: Some(Timestamp(1_000_000_000)),
            received_at: Some(Timestamp(2_000_000_000)),
        };
        let field = |feedback: &Feedback, known: &Dependencies| {
            check_dependencies(feedback, known).err().map(|e| e.field)
        };
        let good = feedback(FeedbackType::StarRating, Some(4), 1_500_000_000);
        assert_eq!(field(&good, &known), None);
        assert_eq!(field(&good, &Dependencies::default()), None, "nothing is known yet");
        let elsewhere = Dependencies { execution_agent: Some(agent(3)), ..known };
        assert_eq!(field(&good, &elsewhere).unwrap(), "execution_id");
        for at in [1_000_000_000 - 301_000_000, 2_000_000_000 + 301_000_000, i64::MIN, i64::MAX] {
            assert_eq!(
                field(&feedback(FeedbackType::StarRating, Some(4), at), &known).unwrap(),
                "occurred_at",
                "{at}"
            );
        }
        for (kind, stars) in [(FeedbackType::ThumbsUp, 1), (FeedbackType::ThumbsDown, 5)] {
            assert_eq!(field(&feedback(kind, Some(stars), 1_500_000_000), &known).unwrap(), "rating");
            assert_eq!(field(&feedback(kind, Some(3), 1_500_000_000), &known), None);
        }
    }
}
