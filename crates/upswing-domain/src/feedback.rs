//! How an execution was received.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, FeedbackId, Findings, Invalid, Pseudonym, Reward, RewardDefinition, Signal, SignalKind, Target,
    Timestamp,
};

/// What kind of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackType {
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
    /// What somebody did: copied, searched, read on, went away.
    Implicit,
}

impl FeedbackType {
    /// Whether somebody is satisfied who says this: by the stars where there are any, from the fourth on, otherwise by the
    /// thumb; `None` where neither is given.
    #[must_use]
    pub fn satisfied(self, rating: Option<i64>) -> Option<bool> {
        match (rating, self) {
            (Some(rating), _) => Some(rating >= 4),
            (None, Self::ThumbsUp) => Some(true),
            (None, Self::ThumbsDown) => Some(false),
            _ => None,
        }
    }

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ThumbsUp,
        Self::ThumbsDown,
        Self::StarRating,
        Self::DetailedFeedback,
        Self::Correction,
        Self::ReportIssue,
        Self::Metric,
        Self::Implicit,
    ];

    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ThumbsUp => "thumbs_up",
            Self::ThumbsDown => "thumbs_down",
            Self::StarRating => "star_rating",
            Self::DetailedFeedback => "detailed_feedback",
            Self::Correction => "correction",
            Self::ReportIssue => "report_issue",
            Self::Metric => "metric",
            Self::Implicit => "implicit",
        }
    }

    /// The type of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackSource {
    /// Somebody who used the answer.
    #[default]
    User,
    /// A reviewer.
    Expert,
    /// A program: an evaluator, a downstream outcome.
    Program,
    /// Upswing itself, for a metric that was declared to be zero when nothing came within its window.
    Absence,
}

impl FeedbackSource {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Expert => "expert",
            Self::Program => "program",
            Self::Absence => "absence",
        }
    }

    /// The source of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::User, Self::Expert, Self::Program, Self::Absence].into_iter().find(|s| s.name() == name)
    }
}

/// Ratings by dimension, 1 to 5 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    /// Is it right?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<u8>,
    /// Does it help?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helpfulness: Option<u8>,
    /// Is it clear?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clarity: Option<u8>,
    /// Is anything missing?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completeness: Option<u8>,
}

impl Dimensions {
    /// The dimensions with their names.
    pub fn named(&self) -> [(&'static str, Option<u8>); 4] {
        [
            ("accuracy", self.accuracy),
            ("helpfulness", self.helpfulness),
            ("clarity", self.clarity),
            ("completeness", self.completeness),
        ]
    }
}

/// A document of a named shape. Its text is stored apart, as everything that people wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Which shape: `item_rating`, `search`, `optimization` and so on.
    pub kind: String,
    /// The document, as JSON.
    pub body: String,
}

/// Whether a piece of feedback teaches, and if not, why not. It is stored and shown in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It counts.
    #[default]
    Counted,
    /// Its author has said as much about this agent's version already as one person may.
    Capped,
    /// It repeats, nearly word for word, what others have said.
    NearDuplicate,
    /// Its author's statements do not look like one person's own.
    Distrusted,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Counted, Self::Capped, Self::NearDuplicate, Self::Distrusted];

    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Capped => "capped",
            Self::NearDuplicate => "near_duplicate",
            Self::Distrusted => "distrusted",
        }
    }

    /// The standing of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// One statement about how an execution was received. What people wrote is stored apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Its id.
    pub id: FeedbackId,
    /// Whose execution it is about.
    pub agent: AgentId,
    /// What it is about. Feedback may arrive before its execution.
    pub target: Target,
    /// What kind of statement.
    pub feedback_type: FeedbackType,
    /// Who speaks.
    pub source: FeedbackSource,
    /// The person, as a pseudonym.
    pub author: Option<Pseudonym>,
    /// Stars, 1 to 5.
    pub rating: Option<u8>,
    /// Stars by dimension.
    pub dimensions: Dimensions,
    /// What is wrong, in the application's categories.
    pub issue_categories: Vec<String>,
    /// Measured outcomes by name.
    pub metrics: BTreeMap<String, f64>,
    /// What the person wrote.
    pub text: Option<String>,
    /// What the answer should have been.
    pub correction: Option<String>,
    /// The statement in full, where it has a shape of its own.
    pub details: Option<Payload>,
    /// Whether it teaches.
    pub standing: Standing,
    /// What was found out about the text.
    pub findings: Findings,
    /// When it happened, as the client says.
    pub occurred_at: Timestamp,
}

impl Feedback {
    /// How many metrics one piece of feedback may carry.
    pub const MAX_METRICS: usize = 16;
    /// How many issue categories.
    pub const MAX_ISSUES: usize = 16;
    /// How many bytes a comment or a correction may have.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;

    /// Checks ranges that hold whatever the agent's reward definition says.
    ///
    /// # Errors
    /// Names the first field that is out of range or missing for its type.
    pub fn validate(&self) -> Result<(), Invalid> {
        let odd = |value: Option<u8>| value.filter(|stars| !(1..=5).contains(stars));
        let stars = |field: String, value: u8| Err(Invalid::new(field, value, "a whole number from 1 to 5"));
        if let Some(value) = odd(self.rating) {
            return stars("rating".to_owned(), value);
        }
        for (name, value) in self.dimensions.named() {
            if let Some(value) = odd(value) {
                return stars(format!("dimensions.{name}"), value);
            }
        }
        let missing = |field: &str| {
            let kind = self.feedback_type.name();
            Err(Invalid::new(field, "absent", format!("present when feedback_type is {kind}")))
        };
        match self.feedback_type {
            FeedbackType::StarRating if self.rating.is_none() => return missing("rating"),
            FeedbackType::Metric if self.metrics.is_empty() => return missing("metrics"),
            FeedbackType::Correction if self.correction.is_none() && self.details.is_none() => {
                return missing("correction_text");
            }
            FeedbackType::Implicit if self.details.is_none() => return missing("details"),
            _ => {}
        }
        if self.metrics.len() > Self::MAX_METRICS {
            let expected = format!("at most {} metrics", Self::MAX_METRICS);
            return Err(Invalid::new("metrics", self.metrics.len(), expected));
        }
        for (name, value) in &self.metrics {
            if !value.is_finite() {
                return Err(Invalid::new(format!("metrics.{name}"), value, "a finite number"));
            }
            short_text("metrics", name, 100)
                .map_err(|invalid| Invalid { field: format!("metrics.{name}"), ..invalid })?;
        }
        if self.issue_categories.len() > Self::MAX_ISSUES {
            let expected = format!("at most {} categories", Self::MAX_ISSUES);
            return Err(Invalid::new("issue_categories", self.issue_categories.len(), expected));
        }
        for category in &self.issue_categories {
            short_text("issue_categories", category, 100)?;
        }
        for (field, text) in [("feedback_text", &self.text), ("correction_text", &self.correction)] {
            if let Some(text) = text {
                long_text(field, text, Self::MAX_TEXT_BYTES)?;
            }
        }
        Ok(())
    }

    /// What of it concerns rewards.
    pub fn statement(&self) -> Statement<'_> {
        Statement {
            feedback_type: self.feedback_type,
            source: self.source,
            rating: self.rating,
            metrics: &self.metrics,
        }
    }

    /// The signals it carries under a reward definition, with their values on [0, 1].
    ///
    /// # Errors
    /// When a value lies outside of the bounds that the definition declares.
    pub fn signals(&self, definition: &RewardDefinition) -> Result<Vec<Signal>, Invalid> {
        self.statement().signals(definition).collect()
    }
}

/// What feedback says as far as rewards are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// What kind of statement it is.
    pub feedback_type: FeedbackType,
    /// Who says it.
    pub source: FeedbackSource,
    /// One to five stars.
    pub rating: Option<u8>,
    /// Measured outcomes.
    pub metrics: &'a BTreeMap<String, f64>,
}

impl<'a> Statement<'a> {
    /// The signals it carries under a reward definition, with their values on [0, 1]; an error for each value that lies
    /// outside of the bounds that the definition declares.
    pub fn signals(
        self,
        definition: &'a RewardDefinition,
    ) -> impl Iterator<Item = Result<Signal, Invalid>> + use<'a> {
        let Self { feedback_type, source, rating, metrics } = self;
        let signal = move |kind: SignalKind, value: Reward| Signal { source, kind, value };
        let thumb = match feedback_type {
            FeedbackType::ThumbsUp => Some(Reward::ONE),
            FeedbackType::ThumbsDown => Some(Reward::ZERO),
            _ => None,
        };
        let thumb = thumb.filter(|_| definition.thumb.is_some()).map(|value| (SignalKind::Thumb, value));
        let correction = definition.correction.as_ref().filter(|_| feedback_type == FeedbackType::Correction);
        let correction = correction.map(|rule| (SignalKind::Correction, rule.value));
        let rating = rating.filter(|_| definition.rating.is_some());
        let rating = rating.map(|rating| {
            let value = Reward::new((f64::from(rating) - 1.0) / 4.0)?;
            Ok(signal(SignalKind::Rating, value))
        });
        let measured = metrics.iter().filter_map(move |(name, value)| {
            let value = definition.metrics.get(name)?.reward(*value).map_err(|mut error| {
                error.field = format!("metrics.{name}");
                error
            });
            Some(value.map(|value| signal(SignalKind::Metric(name.clone()), value)))
        });
        let clear = thumb.into_iter().chain(correction);
        clear.map(move |(kind, value)| Ok(signal(kind, value))).chain(rating).chain(measured)
    }
}

pub(crate) fn short_text(field: &str, text: &str, chars: usize) -> Result<(), Invalid> {
    if text.is_empty() || text.contains('\0') || text.chars().count() > chars {
        return Err(Invalid::new(field, text, format!("1 to {chars} characters without U+0000")));
    }
    Ok(())
}

pub(crate) fn long_text(field: &str, text: &str, bytes: usize) -> Result<(), Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new(field, "text with U+0000", "text without U+0000"));
    }
    if text.len() > bytes {
        return Err(Invalid::new(field, format!("{} bytes", text.len()), format!("at most {bytes} bytes")));
    }
    Ok(())
}
