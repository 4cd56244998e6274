//! Statements with a shape of their own: one notion of feedback, several payloads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use upswing_domain::{Invalid, Payload};
use upswing_privacy::redact::Redactor;
use utoipa::ToSchema;

use crate::problem::Problem;

/// How many bytes the details of one statement may have.
const MAX_BYTES: usize = 256 * 1024;

/// A statement in full.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = FeedbackDetails)]
pub(crate) enum Details {
    /// What somebody thinks of a thing: a tool, a product.
    ItemRating {
        /// Which thing.
        item_id: String,
        /// Stars by aspect, 1 to 5: `usability`, `effectiveness`, `value_for_money`, `documentation` and your own.
        #[serde(default)]
        aspects: BTreeMap<String, f64>,
        /// Whether the person would recommend it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        would_recommend: Option<bool>,
        /// What the person uses it for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        use_case: Option<String>,
        /// Under which circumstances it was rated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rating_context: Option<String>,
        /// How experienced the person is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        experience_level: Option<String>,
    },
    /// How a recommendation was taken.
    Recommendation {
        /// What was recommended.
        item_id: String,
        /// Whether it was to the point.
        relevant: bool,
        /// What the person did with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<RecommendationAction>,
        /// Its place among the recommendations, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rank: Option<u32>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// What somebody thinks of a feature.
    Feature {
        /// Which feature.
        feature: String,
        /// How satisfied, 1 to 5.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        satisfaction: Option<f64>,
        /// How easy it was, 1 to 5.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ease: Option<f64>,
        /// What is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suggestion: Option<String>,
    },
    /// What an evaluator found.
    Evaluation {
        /// What was evaluated for.
        name: String,
        /// The score, on the evaluator's scale.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<f64>,
        /// The verdict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        explanation: Option<String>,
    },
}

/// What somebody did with a recommendation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecommendationAction {
    /// Took it.
    Accepted,
    /// Waved it off.
    Dismissed,
    /// Kept it for later.
    Saved,
    /// Did not look at it.
    Ignored,
}

impl Details {
    /// Its kind, as stored.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ItemRating { .. } => "item_rating",
            Self::Recommendation { .. } => "recommendation",
            Self::Feature { .. } => "feature",
            Self::Evaluation { .. } => "evaluation",
        }
    }

    /// Stars that it gives as a whole, where the statement itself has none.
    pub(crate) fn rating(&self) -> Option<f64> {
        match self {
            Self::Feature { satisfaction, .. } => *satisfaction,
            _ => None,
        }
    }

    /// What it measures, by the names under which a reward definition may take it up.
    pub(crate) fn metrics(&self) -> Vec<(String, f64)> {
        match self {
            Self::ItemRating { aspects, would_recommend, .. } => {
                let aspects = aspects.iter().map(|(name, stars)| (format!("aspect.{name}"), *stars));
                let recommend =
                    would_recommend.map(|yes| ("would_recommend".to_owned(), f64::from(u8::from(yes))));
                aspects.chain(recommend).collect()
            }
            Self::Recommendation { relevant, .. } => {
                vec![("recommendation.relevant".to_owned(), f64::from(u8::from(*relevant)))]
            }
            Self::Feature { ease, .. } => {
                ease.map(|ease| ("feature.ease".to_owned(), ease)).into_iter().collect()
            }
            Self::Evaluation { name, score, .. } => {
                score.map(|score| (format!("evaluation.{name}"), score)).into_iter().collect()
            }
        }
    }

    /// Checks ranges.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let text = |field: &str, text: &str, most: usize| {
            if text.is_empty() || text.chars().count() > most {
                return Err(Invalid::new(
                    format!("details.{field}"),
                    text,
                    format!("1 to {most} characters"),
                ));
            }
            Ok(())
        };
        let optional = |field: &str, given: &Option<String>, most| match given {
            Some(given) => text(field, given, most),
            None => Ok(()),
        };
        let stars = |field: &str, value: Option<f64>| match value {
            Some(v) if !(1.0..=5.0).contains(&v) => {
                Err(Invalid::new(format!("details.{field}"), v, "a number from 1 to 5"))
            }
            _ => Ok(()),
        };
        match self {
            Self::ItemRating { item_id, aspects, use_case, rating_context, experience_level, .. } => {
                text("item_id", item_id, 200)?;
                if aspects.len() > 12 {
                    return Err(Invalid::new("details.aspects", aspects.len(), "at most 12 aspects"));
                }
                for (name, value) in aspects {
                    text("aspects", name, 50)?;
                    stars(&format!("aspects.{name}"), Some(*value))?;
                }
                optional("use_case", use_case, 1000)?;
                optional("rating_context", rating_context, 1000)?;
                optional("experience_level", experience_level, 100)
            }
            Self::Recommendation { item_id, reason, .. } => {
                text("item_id", item_id, 200)?;
                optional("reason", reason, 4000)
            }
            Self::Feature { feature, satisfaction, ease, suggestion } => {
                text("feature", feature, 200)?;
                stars("satisfaction", *satisfaction)?;
                stars("ease", *ease)?;
                optional("suggestion", suggestion, 4000)
            }
            Self::Evaluation { name, score, label, explanation } => {
                text("name", name, 80)?;
                if score.is_some_and(|score| !score.is_finite()) {
                    return Err(Invalid::new("details.score", "not finite", "a finite number"));
                }
                optional("label", label, 200)?;
                optional("explanation", explanation, 16_000)
            }
        }
    }

    /// As it is stored: without what identifies people, or is secret.
    pub(crate) fn payload(&self) -> Result<Payload, Problem> {
        let value = serde_json::to_value(self).map_err(|e| Problem::internal(&e.to_string()))?;
        payload(self.kind(), value)
    }
}

/// A document as it is stored: without what identifies people, or is secret.
pub(crate) fn payload(kind: &str, mut document: Value) -> Result<Payload, Problem> {
    Redactor::new().json(&mut document);
    let body = document.to_string();
    if body.len() > MAX_BYTES {
        return Err(Invalid::new(
            "details",
            format!("{} bytes", body.len()),
            format!("at most {MAX_BYTES} bytes"),
        )
        .into());
    }
    Ok(Payload { kind: kind.to_owned(), body })
}
