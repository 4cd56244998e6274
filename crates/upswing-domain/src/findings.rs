//! What was found out about a text when it came in.

use serde::{Deserialize, Serialize};

/// What a text is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enrichment {
    /// The most frequent words that mean something, folded.
    pub keywords: Vec<String>,
    /// From 0 to 1.
    pub complexity: f64,
    /// The same from 1 to 10, as interaction records have it.
    pub complexity_score: u8,
    /// What it is about, `general` where that is not clear.
    pub domain: String,
    /// How clear that is, from 0 to 1.
    pub domain_confidence: f64,
}

/// Why a person should look at a text before it is shown to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// What it was found to be.
    pub category: String,
    /// How much of it there is, from 0 to 1.
    pub score: f64,
}

/// What was found out about what a person wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// What moderation found and let stand, the most of it first.
    pub flags: Vec<Flag>,
    /// What it is about; `None` without a text, or where that is not looked at.
    pub enrichment: Option<Enrichment>,
}
