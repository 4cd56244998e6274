//! Shapes of domain values for the OpenAPI document. The domain's own serialisation decides; a test compares.

#![expect(dead_code, reason = "these types describe; nothing makes one")]

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Attributes known before deciding: at most 32 categories, numbers and flags.
#[derive(ToSchema)]
#[schema(as = Context, value_type = BTreeMap<String, ContextValueSchema>)]
pub(crate) struct ContextSchema(BTreeMap<String, ContextValueSchema>);

/// A category, a number or a flag.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
#[schema(as = ContextValue)]
pub(crate) enum ContextValueSchema {
    /// Yes or no.
    Flag(bool),
    /// A finite number on any scale.
    Number(f64),
    /// A category.
    Category(String),
}

/// What a text is about.
#[derive(ToSchema)]
#[schema(as = Enrichment)]
pub(crate) struct EnrichmentSchema {
    /// The most frequent words that mean something, folded; at most eight.
    keywords: Vec<String>,
    /// From 0 to 1.
    complexity: f64,
    /// The same from 1 to 10.
    complexity_score: u8,
    /// What it is about, `general` where that is not clear.
    domain: String,
    /// How clear that is, from 0 to 1.
    domain_confidence: f64,
}

/// Why a person should look at a text before it is shown to others.
#[derive(ToSchema)]
#[schema(as = Flag)]
pub(crate) struct FlagSchema {
    /// `profanity`, `harassment`, `hate`, `threat`, `self_harm`, `sexual`, `spam_link` or `prompt_injection`.
    category: String,
    /// How much of it there is, from 0 to 1.
    score: f64,
}

/// Which policy chooses, with its parameters.
#[derive(ToSchema, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[schema(as = Policy)]
pub(crate) enum PolicySchema {
    /// Always the champion.
    Fixed,
    /// The version with the best mean, but with probability `epsilon` any of them.
    EpsilonGreedy {
        /// Share of decisions spread evenly, 0 to 1; 0.1 unless given.
        epsilon: Option<f64>,
    },
    /// Thompson sampling on each version's mean reward; ignores the context.
    Thompson,
    /// Thompson sampling on a Bayesian linear model of the context. The default.
    LinearThompson {
        /// Smallest probability of any eligible version; 0 unless given.
        floor: Option<f64>,
    },
    /// The version with the highest upper confidence bound of a linear model of the context.
    LinUcb {
        /// Width of the bound in standard deviations, 0 to 10; 1 unless given.
        width: Option<f64>,
    },
}

/// A rating, a thumb or a correction.
#[derive(ToSchema)]
#[schema(as = SignalRule)]
pub(crate) struct SignalRuleSchema {
    /// Weight against the other kinds, above 0 up to 1000; 1 unless given.
    weight: Option<f64>,
    /// For a correction: the reward of an answer that had to be corrected.
    #[schema(minimum = 0, maximum = 1)]
    value: Option<f64>,
}

/// Which way is better.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = Direction)]
pub(crate) enum DirectionSchema {
    /// Larger is better.
    Increase,
    /// Smaller is better.
    Decrease,
}

/// What it means when a metric does not come.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = Absence)]
pub(crate) enum AbsenceSchema {
    /// Nothing is known.
    Missing,
    /// It did not happen: after that many seconds the value is 0.
    ZeroAfter(u32),
}

/// A named metric: its bounds, its direction, its weight.
#[derive(ToSchema)]
#[schema(as = MetricRule)]
pub(crate) struct MetricRuleSchema {
    /// Smallest value that is accepted.
    minimum: f64,
    /// Largest value that is accepted.
    maximum: f64,
    /// Which way is better; `increase` unless given.
    direction: Option<DirectionSchema>,
    /// Weight against the other kinds, above 0 up to 1000; 1 unless given.
    weight: Option<f64>,
    /// What it means when it does not come; `missing` unless given.
    absence: Option<AbsenceSchema>,
}

/// How much each source counts; 1 unless given.
#[derive(ToSchema)]
#[schema(as = SourceWeights)]
pub(crate) struct SourceWeightsSchema {
    /// Somebody who used the answer.
    user: Option<f64>,
    /// A reviewer.
    expert: Option<f64>,
    /// A program.
    program: Option<f64>,
}

/// How rating, thumb, correction and named metrics become one reward in [0, 1]. Kinds that are absent do not count.
#[derive(ToSchema)]
#[schema(as = RewardDefinition)]
pub(crate) struct RewardDefinitionSchema {
    /// Stars: 1 is 0, 5 is 1.
    rating: Option<SignalRuleSchema>,
    /// Thumbs: down is 0, up is 1.
    thumb: Option<SignalRuleSchema>,
    /// A correction says that the answer was worth `value`.
    correction: Option<SignalRuleSchema>,
    /// Named metrics, at most 32.
    metrics: Option<BTreeMap<String, MetricRuleSchema>>,
    /// How much each source counts.
    sources: Option<SourceWeightsSchema>,
}

/// Where traffic comes from. What was forced or shadowed does not teach.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = Origin)]
pub(crate) enum OriginSchema {
    /// Real use.
    Live,
    /// Executed beside the served version, not shown to anybody.
    Shadow,
    /// The version was named by the caller.
    Forced,
    /// Recorded outcomes, played again.
    Replay,
    /// A simulation.
    Simulated,
}

/// What kind of statement feedback is.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = FeedbackType)]
pub(crate) enum FeedbackTypeSchema {
    /// It was good.
    ThumbsUp,
    /// It was bad.
    ThumbsDown,
    /// One to five stars.
    StarRating,
    /// Text, ratings by dimension, issue categories.
    DetailedFeedback,
    /// What it should have been.
    Correction,
    /// Something is wrong with it.
    ReportIssue,
    /// A measured outcome.
    Metric,
    /// What somebody did; given as signals.
    Implicit,
}

/// Who speaks.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = FeedbackSource)]
pub(crate) enum FeedbackSourceSchema {
    /// Somebody who used the answer.
    User,
    /// A reviewer.
    Expert,
    /// A program: an evaluator, a downstream outcome.
    Program,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use upswing_domain::{Absence, FeedbackType, Origin, PolicyConfig};

    use super::*;

    #[test]
    fn the_described_names_are_the_domains() {
        let described = |value: &dyn erased::Json| value.json();
        for (origin, name) in [
            (Origin::Live, described(&OriginSchema::Live)),
            (Origin::Shadow, described(&OriginSchema::Shadow)),
            (Origin::Forced, described(&OriginSchema::Forced)),
            (Origin::Replay, described(&OriginSchema::Replay)),
            (Origin::Simulated, described(&OriginSchema::Simulated)),
        ] {
            assert_eq!(json!(origin), name);
        }
        for (policy, shape) in [
            (PolicyConfig::Fixed, described(&PolicySchema::Fixed)),
            (
                PolicyConfig::EpsilonGreedy { epsilon: 0.5 },
                described(&PolicySchema::EpsilonGreedy { epsilon: Some(0.5) }),
            ),
            (PolicyConfig::Thompson, described(&PolicySchema::Thompson)),
            (
                PolicyConfig::LinearThompson { floor: 0.5 },
                described(&PolicySchema::LinearThompson { floor: Some(0.5) }),
            ),
            (PolicyConfig::LinUcb { width: 2.0 }, described(&PolicySchema::LinUcb { width: Some(2.0) })),
        ] {
            assert_eq!(json!(policy), shape);
        }
        assert_eq!(json!(Absence::ZeroAfter(5)), described(&AbsenceSchema::ZeroAfter(5)));
        let types = [
            FeedbackTypeSchema::ThumbsUp,
            FeedbackTypeSchema::ThumbsDown,
            FeedbackTypeSchema::StarRating,
            FeedbackTypeSchema::DetailedFeedback,
            FeedbackTypeSchema::Correction,
            FeedbackTypeSchema::ReportIssue,
            FeedbackTypeSchema::Metric,
            FeedbackTypeSchema::Implicit,
        ];
        assert_eq!(types.map(|t| json!(t)), FeedbackType::ALL.map(|t| json!(t)));
    }

    mod erased {
        /// Anything that serialises.
        pub(super) trait Json {
            fn json(&self) -> serde_json::Value;
        }
        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> serde_json::Value {
                serde_json::to_value(self).unwrap()
            }
        }
    }
}

/// What somebody did. Which fields belong to which type, and what it becomes, stands in `docs/http-api.md`.
#[derive(ToSchema)]
#[schema(as = Behaviour)]
pub(crate) struct BehaviourSchema {
    /// `search`, `item_engagement`, `content_reading`, `navigation`, `copy`, `edit`, `regenerate` or `abandon`.
    r#type: String,
    /// Searches: what for.
    query: Option<String>,
    /// Searches: which results were opened, from 0.
    clicked_indices: Option<Vec<u32>>,
    /// Searches: milliseconds until the first result was opened.
    time_to_first_click: Option<f64>,
    /// Searches: milliseconds in all.
    total_time: Option<f64>,
    /// Searches: how often the query was changed.
    query_refinements: Option<u32>,
    /// Searches: where it was given up.
    abandonment_point: Option<f64>,
    /// Items: which.
    item_id: Option<String>,
    /// Items, reading: what kind of thing.
    category: Option<String>,
    /// Items: milliseconds looked at.
    view_duration: Option<f64>,
    /// Items: how many things were done.
    interaction_depth: Option<f64>,
    /// Items: kept for later.
    bookmarked: Option<bool>,
    /// Items: handed on.
    shared: Option<bool>,
    /// Items: how often the person came back.
    return_visits: Option<f64>,
    /// Items: what was done.
    actions_taken: Option<Vec<String>>,
    /// Reading: which text.
    content_id: Option<String>,
    /// Reading: words a minute.
    words_per_minute: Option<f64>,
    /// Reading, leaving: how far it was scrolled, 0 to 1.
    scroll_depth: Option<f64>,
    /// Reading: milliseconds.
    total_read_time: Option<f64>,
    /// Reading: how many words there are.
    word_count: Option<f64>,
    /// Reading: how often something was selected, opened or followed.
    interactions: Option<u32>,
    /// Navigation: how many pages.
    pages_visited: Option<u32>,
    /// Navigation, leaving: milliseconds.
    dwell_time: Option<f64>,
    /// Navigation: whether it ended on its first page.
    bounced: Option<bool>,
    /// Navigation: where to.
    path: Option<Vec<String>>,
    /// Copying: characters copied.
    copied_length: Option<f64>,
    /// Copying: of how many.
    answer_length: Option<f64>,
    /// Editing: which share was changed, 0 to 1.
    changed_share: Option<f64>,
    /// Copying, asking again: how often.
    count: Option<u32>,
}
