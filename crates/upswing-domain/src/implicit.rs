//! Implicit feedback: what somebody did, and how much that says.
//!
//! Each kind has a **strength** in [0, 1], how much it says, and a **value** in [0, 1], how good it is, which is the metric
//! `implicit.<kind>` of the reward definition. For what people turn to (searching, reading, engaging, moving on) the two are
//! the same; for what they do to an answer (editing it, asking again, going away) they are not.
//!
//! Search strength and the weights of attention are published formulas; the normalisers, and the kinds without a published
//! formula, are ours and stand in the documentation of their types. A missing measurement adds nothing to a sum and is left
//! out of an average: it is never taken for zero.

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Behaviour {
    /// Searched.
    #[serde(alias = "search_interaction")]
    Search(Search),
    /// Dealt with an item: a tool, a product, a recommendation.
    #[serde(alias = "tool_engagement")]
    ItemEngagement(ItemEngagement),
    /// Read.
    #[serde(alias = "content_interaction")]
    ContentReading(ContentReading),
    /// Went from page to page.
    Navigation(Navigation),
    /// Copied the answer, or some of it.
    Copy(Copy),
    /// Changed the answer before using it.
    Edit(Edit),
    /// Asked for another answer.
    Regenerate(Regenerate),
    /// Went away.
    Abandon(Abandon),
}

/// A search and what followed. All times in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Search {
    /// What was searched for; kept without what identifies people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// How many results were shown.
    #[serde(
        default,
        alias = "resultsCount",
        alias = "resultsShown",
        skip_serializing_if = "Option::is_none"
    )]
    pub results_count: Option<u32>,
    /// Which results were opened, from 0.
    #[serde(default, alias = "clickedIndices", alias = "clickedResults")]
    pub clicked_indices: Vec<u32>,
    /// Until the first result was opened; absent when none was.
    #[serde(default, alias = "timeToFirstClick", skip_serializing_if = "Option::is_none")]
    pub time_to_first_click: Option<f64>,
    /// Spent in all.
    #[serde(
        default,
        alias = "totalTime",
        alias = "totalEngagementTime",
        skip_serializing_if = "Option::is_none"
    )]
    pub total_time: Option<f64>,
    /// How often the query was changed.
    #[serde(default, alias = "queryRefinements", alias = "refinements", deserialize_with = "count_or_list")]
    pub query_refinements: u32,
    /// Where the search was given up, from 0; absent when it was not.
    #[serde(default, alias = "abandonmentPoint", skip_serializing_if = "Option::is_none")]
    pub abandonment_point: Option<f64>,
}

/// What somebody did with an item. Duration in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ItemEngagement {
    /// Which item.
    #[serde(default, alias = "itemId", alias = "toolId", alias = "tool_id")]
    pub item_id: String,
    /// What kind of thing it is; a person's profile counts these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Looked at for so long.
    #[serde(default, alias = "viewDuration", skip_serializing_if = "Option::is_none")]
    pub view_duration: Option<f64>,
    /// How many things were done with it.
    #[serde(default, alias = "interactionDepth", skip_serializing_if = "Option::is_none")]
    pub interaction_depth: Option<f64>,
    /// Kept for later.
    #[serde(default)]
    pub bookmarked: bool,
    /// Handed on.
    #[serde(default)]
    pub shared: bool,
    /// How often the person came back to it.
    #[serde(default, alias = "returnVisits", skip_serializing_if = "Option::is_none")]
    pub return_visits: Option<f64>,
    /// What was done.
    #[serde(default, alias = "actionsTaken", skip_serializing_if = "Vec::is_empty")]
    pub actions_taken: Vec<String>,
    /// How far a task with it was brought, 0 to 1.
    #[serde(default, alias = "completionRate", skip_serializing_if = "Option::is_none")]
    pub completion_rate: Option<f64>,
    /// Whether the person was about to leave.
    #[serde(default, alias = "exitIntent", skip_serializing_if = "Option::is_none")]
    pub exit_intent: Option<bool>,
}

/// How something was read. Time in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContentReading {
    /// Which text.
    #[serde(default, alias = "contentId", skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// What it is about; a person's profile counts these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Words a minute.
    #[serde(default, alias = "wordsPerMinute", skip_serializing_if = "Option::is_none")]
    pub words_per_minute: Option<f64>,
    /// How far it was scrolled, 0 to 1.
    #[serde(default, alias = "scrollDepth", skip_serializing_if = "Option::is_none")]
    pub scroll_depth: Option<f64>,
    /// Spent reading.
    #[serde(default, alias = "totalReadTime", skip_serializing_if = "Option::is_none")]
    pub total_read_time: Option<f64>,
    /// How many words it has.
    #[serde(default, alias = "wordCount", skip_serializing_if = "Option::is_none")]
    pub word_count: Option<f64>,
    /// How often something in it was selected, opened or followed.
    #[serde(default, deserialize_with = "count_or_list_option", skip_serializing_if = "Option::is_none")]
    pub interactions: Option<u32>,
}

/// A way through pages. Time in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Navigation {
    /// How many pages.
    #[serde(default, alias = "pagesVisited", skip_serializing_if = "Option::is_none")]
    pub pages_visited: Option<u32>,
    /// Spent on them.
    #[serde(default, alias = "dwellTime", skip_serializing_if = "Option::is_none")]
    pub dwell_time: Option<f64>,
    /// Whether the visit ended on its first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounced: Option<bool>,
    /// Where the person went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

/// The answer, or some of it, went to the clipboard.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Copy {
    /// How many characters.
    #[serde(default, alias = "copiedLength", skip_serializing_if = "Option::is_none")]
    pub copied_length: Option<f64>,
    /// Of how many.
    #[serde(default, alias = "answerLength", skip_serializing_if = "Option::is_none")]
    pub answer_length: Option<f64>,
    /// How often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// The answer was changed before it was used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Edit {
    /// Which share of the answer was changed: edit distance over the longer length, 0 to 1.
    #[serde(alias = "changedShare")]
    pub changed_share: f64,
    /// How often a key was pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keystrokes: Option<u32>,
}

/// Another answer was asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Regenerate {
    /// How often by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// The person went away. Time in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Abandon {
    /// After so long.
    #[serde(default, alias = "dwellTime", skip_serializing_if = "Option::is_none")]
    pub dwell_time: Option<f64>,
    /// How far the answer was scrolled, 0 to 1.
    #[serde(default, alias = "scrollDepth", skip_serializing_if = "Option::is_none")]
    pub scroll_depth: Option<f64>,
}

/// What a behaviour says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// How much it says, 0 to 1.
    pub strength: f64,
    /// How good it is, 0 to 1.
    pub value: f64,
}

impl Behaviour {
    /// The names of all kinds.
    pub const KINDS: [&'static str; 8] = [
        "search",
        "item_engagement",
        "content_reading",
        "navigation",
        "copy",
        "edit",
        "regenerate",
        "abandon",
    ];

    /// Its kind, as stored; the metric is `implicit.` and this.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Search(_) => "search",
            Self::ItemEngagement(_) => "item_engagement",
            Self::ContentReading(_) => "content_reading",
            Self::Navigation(_) => "navigation",
            Self::Copy(_) => "copy",
            Self::Edit(_) => "edit",
            Self::Regenerate(_) => "regenerate",
            Self::Abandon(_) => "abandon",
        }
    }

    /// What it is about, for a person's profile.
    pub fn category(&self) -> Option<&str> {
        match self {
            Self::ItemEngagement(item) => item.category.as_deref(),
            Self::ContentReading(text) => text.category.as_deref(),
            _ => None,
        }
    }

    /// Checks that measurements are finite, not negative, and shares at most 1.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::Search(s) => {
                amount("time_to_first_click", s.time_to_first_click)?;
                amount("total_time", s.total_time)?;
                amount("abandonment_point", s.abandonment_point)?;
                count("clicked_indices", s.clicked_indices.len(), 1000)
            }
            Self::ItemEngagement(item) => {
                if item.item_id.is_empty() || item.item_id.chars().count() > 200 {
                    return Err(Invalid::new("item_id", &item.item_id, "1 to 200 characters"));
                }
                amount("view_duration", item.view_duration)?;
                amount("interaction_depth", item.interaction_depth)?;
                amount("return_visits", item.return_visits)?;
                share("completion_rate", item.completion_rate)?;
                short("category", item.category.as_deref())?;
                count("actions_taken", item.actions_taken.len(), 100)
            }
            Self::ContentReading(text) => {
                amount("words_per_minute", text.words_per_minute)?;
                amount("total_read_time", text.total_read_time)?;
                amount("word_count", text.word_count)?;
                short("category", text.category.as_deref())?;
                short("content_id", text.content_id.as_deref())?;
                share("scroll_depth", text.scroll_depth)
            }
            Self::Navigation(n) => {
                amount("dwell_time", n.dwell_time)?;
                count("path", n.path.len(), 100)
            }
            Self::Copy(copy) => {
                amount("copied_length", copy.copied_length)?;
                amount("answer_length", copy.answer_length)
            }
            Self::Edit(edit) => share("changed_share", Some(edit.changed_share)),
            Self::Regenerate(_) => Ok(()),
            Self::Abandon(a) => {
                amount("dwell_time", a.dwell_time)?;
                share("scroll_depth", a.scroll_depth)
            }
        }
    }

    /// What it says.
    ///
    /// * Search: 0.3 for each opened result, 0.4 when more than 30 s were spent, 0.2 when the first result was opened within
    ///   5 s, 0.1 when the query was refined, 0.3 when the search was not given up; at most 1.
    /// * Item: 0.3 · time looked at (full at two minutes), 0.3 · depth (full at ten things done), 0.15 each for keeping and
    ///   for handing on, 0.1 · returning (full at three times).
    /// * Reading: 0.25 · speed (full between 100 and 400 words a minute, nothing at 0 and at 1,000), 0.25 · how far
    ///   scrolled, 0.3 · time (full at what the words take at 238 a minute, or at three minutes), 0.2 · interactions (full at
    ///   five); the mean over what was measured.
    /// * Navigation: 0.5 · pages (full at five), 0.3 · time (full at a minute), 0.2 when it did not end on the first page.
    /// * Copy: 0.6 and 0.4 · the share that was copied (all of it where lengths are unknown).
    /// * Edit: value 1 − the changed share; says most when nearly nothing or nearly everything was changed.
    /// * Regenerate: value 0; strength 0.6, and 0.2 for each further time.
    /// * Abandon: value 0; strength 0.3, and up to 0.5 the sooner it was (none after 30 s).
    pub fn reading(&self) -> Reading {
        let same = |strength: f64| Reading { strength, value: strength };
        match self {
            Self::Search(search) => same(search_strength(search)),
            Self::ItemEngagement(item) => {
                let flag = |yes: bool| if yes { 1.0 } else { 0.0 };
                same(
                    0.3 * up_to(item.view_duration, 120_000.0).unwrap_or(0.0)
                        + 0.3 * up_to(item.interaction_depth, 10.0).unwrap_or(0.0)
                        + 0.15 * flag(item.bookmarked)
                        + 0.15 * flag(item.shared)
                        + 0.1 * up_to(item.return_visits, 3.0).unwrap_or(0.0),
                )
            }
            Self::ContentReading(text) => same(attention(text)),
            Self::Navigation(n) => {
                let pages = up_to(n.pages_visited.map(f64::from), 5.0);
                let parts = [
                    (0.5, pages),
                    (0.3, up_to(n.dwell_time, 60_000.0)),
                    (0.2, n.bounced.map(|bounced| if bounced { 0.0 } else { 1.0 })),
                ];
                same(mean(&parts))
            }
            Self::Copy(copy) => {
                let share = match (copy.copied_length, copy.answer_length) {
                    (Some(copied), Some(all)) if all > 0.0 => (copied / all).min(1.0),
                    _ => 1.0,
                };
                same(0.6 + 0.4 * share)
            }
            Self::Edit(edit) => {
                let changed = edit.changed_share;
                Reading { strength: 0.5 + (0.5 - changed).abs(), value: 1.0 - changed }
            }
            Self::Regenerate(again) => {
                let further = f64::from(again.count.unwrap_or(1).saturating_sub(1));
                Reading { strength: (0.6 + 0.2 * further).min(1.0), value: 0.0 }
            }
            Self::Abandon(gone) => {
                let soon = up_to(gone.dwell_time, 30_000.0).map_or(0.0, |late| 1.0 - late);
                Reading { strength: 0.3 + 0.5 * soon, value: 0.0 }
            }
        }
    }
}

fn search_strength(search: &Search) -> f64 {
    let mut strength = 0.3 * search.clicked_indices.len() as f64;
    if search.total_time.is_some_and(|time| time > 30_000.0) {
        strength += 0.4;
    }
    if search.time_to_first_click.is_some_and(|time| time < 5_000.0) {
        strength += 0.2;
    }
    if search.query_refinements > 0 {
        strength += 0.1;
    }
    if search.abandonment_point.is_none() {
        strength += 0.3;
    }
    strength.min(1.0)
}

fn attention(text: &ContentReading) -> f64 {
    let speed = text.words_per_minute.map(|speed| match speed {
        s if s < 100.0 => s / 100.0,
        s if s <= 400.0 => 1.0,
        s => ((1000.0 - s) / 600.0).max(0.0),
    });
    let expected =
        text.word_count.filter(|words| *words > 0.0).map_or(180_000.0, |words| words / 238.0 * 60_000.0);
    mean(&[
        (0.25, speed),
        (0.25, text.scroll_depth),
        (0.3, up_to(text.total_read_time, expected)),
        (0.2, up_to(text.interactions.map(f64::from), 5.0)),
    ])
}

/// The weighted mean of what is there; 0 when nothing is, since then nothing was seen to be attended to.
fn mean(parts: &[(f64, Option<f64>)]) -> f64 {
    let there = parts.iter().filter_map(|(weight, value)| value.map(|value| (weight, value)));
    let (sum, weights) = there.fold((0.0, 0.0), |(s, w), (weight, value)| (s + weight * value, w + weight));
    if weights > 0.0 { sum / weights } else { 0.0 }
}

fn up_to(value: Option<f64>, full: f64) -> Option<f64> {
    value.map(|value| (value / full).clamp(0.0, 1.0))
}

fn amount(field: &str, value: Option<f64>) -> Result<(), Invalid> {
    match value {
        Some(v) if !(0.0..=1e12).contains(&v) => Err(Invalid::new(field, v, "a number from 0 to 1e12")),
        _ => Ok(()),
    }
}

fn share(field: &str, value: Option<f64>) -> Result<(), Invalid> {
    match value {
        Some(v) if !(0.0..=1.0).contains(&v) => Err(Invalid::new(field, v, "a number from 0 to 1")),
        _ => Ok(()),
    }
}

fn short(field: &str, text: Option<&str>) -> Result<(), Invalid> {
    match text {
        Some(t) if t.is_empty() || t.chars().count() > 200 => {
            Err(Invalid::new(field, t, "1 to 200 characters"))
        }
        _ => Ok(()),
    }
}

fn count(field: &str, count: usize, most: usize) -> Result<(), Invalid> {
    if count > most {
        return Err(Invalid::new(field, format!("{count} items"), format!("at most {most}")));
    }
    Ok(())
}

/// A number, or a list whose length is meant.
fn count_or_list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(count_or_list_option(deserializer)?.unwrap_or(0))
}

fn count_or_list_option<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Count(u32),
        List(Vec<serde::de::IgnoredAny>),
    }
    Ok(Option::<Given>::deserialize(deserializer)?.map(|given| match given {
        Given::Count(count) => count,
        Given::List(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
    }))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "strengths are rounded to nine digits, and halves and ones are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strength(json: &str) -> f64 {
        let behaviour: Behaviour = serde_json::from_str(json).unwrap();
        behaviour.validate().unwrap();
        (behaviour.reading().strength * 1e9).round() / 1e9
    }

    #[test]
    fn a_search_is_as_strong_as_the_published_formula_says() {
        // Two clicks 0.6, over 30 s 0.4, quick 0.2, refined 0.1, not given up 0.3: 1.6, at most 1.
        let full = r#"{"type": "search", "clickedIndices": [0, 2], "totalTime": 31000, "timeToFirstClick": 1200,
            "queryRefinements": ["a"]}"#;
        assert_eq!(strength(full), 1.0);
        assert_eq!(strength(r#"{"type": "search"}"#), 0.3, "no first click earns nothing for speed");
        assert_eq!(
            strength(r#"{"type": "search", "abandonment_point": 0}"#),
            0.0,
            "given up at 0 is given up"
        );
        assert_eq!(strength(r#"{"type": "search", "total_time": 30000, "abandonment_point": 3}"#), 0.0);
        assert_eq!(strength(r#"{"type": "search", "clicked_indices": [1], "abandonment_point": 3}"#), 0.3);
        assert_eq!(
            strength(r#"{"type": "search", "time_to_first_click": 5000, "query_refinements": 2}"#),
            0.4
        );
    }

    #[test]
    fn attention_is_weighed_over_what_was_measured() {
        let all = r#"{"type": "content_reading", "wordsPerMinute": 200, "scrollDepth": 0.5, "totalReadTime": 90000,
            "interactions": 5}"#;
        // 0.25 + 0.25 · 0.5 + 0.3 · 0.5 + 0.2
        assert_eq!(strength(all), 0.725);
        assert_eq!(strength(r#"{"type": "content_reading", "scrollDepth": 0.5}"#), 0.5);
        assert_eq!(strength(r#"{"type": "content_reading"}"#), 0.0);
        let skimmed = r#"{"type": "content_reading", "wordsPerMinute": 700}"#;
        assert_eq!(strength(skimmed), 0.5);
        let by_words = r#"{"type": "content_reading", "totalReadTime": 60000, "wordCount": 476}"#;
        assert_eq!(strength(by_words), 0.5);
    }

    #[test]
    fn what_is_done_to_an_answer_has_a_value_of_its_own() {
        let read = |json: &str| serde_json::from_str::<Behaviour>(json).unwrap().reading();
        assert_eq!(read(r#"{"type": "edit", "changed_share": 0}"#), Reading { strength: 1.0, value: 1.0 });
        assert_eq!(read(r#"{"type": "edit", "changed_share": 0.5}"#), Reading { strength: 0.5, value: 0.5 });
        assert_eq!(read(r#"{"type": "edit", "changed_share": 1}"#), Reading { strength: 1.0, value: 0.0 });
        assert_eq!(read(r#"{"type": "regenerate"}"#), Reading { strength: 0.6, value: 0.0 });
        assert_eq!(read(r#"{"type": "regenerate", "count": 9}"#), Reading { strength: 1.0, value: 0.0 });
        assert_eq!(read(r#"{"type": "abandon", "dwell_time": 0}"#), Reading { strength: 0.8, value: 0.0 });
        assert_eq!(read(r#"{"type": "abandon"}"#), Reading { strength: 0.3, value: 0.0 });
        assert_eq!(read(r#"{"type": "copy"}"#), Reading { strength: 1.0, value: 1.0 });
    }

    #[test]
    fn nonsense_is_refused_with_its_field() {
        for (json, field) in [
            (r#"{"type": "edit", "changed_share": 1.5}"#, "changed_share"),
            (r#"{"type": "search", "total_time": -1}"#, "total_time"),
            (r#"{"type": "item_engagement", "item_id": ""}"#, "item_id"),
            (r#"{"type": "content_reading", "scroll_depth": 2}"#, "scroll_depth"),
            (r#"{"type": "abandon", "dwell_time": 1e300}"#, "dwell_time"),
        ] {
            let behaviour: Behaviour = serde_json::from_str(json).unwrap();
            assert_eq!(behaviour.validate().unwrap_err().field, field);
        }
        assert!(serde_json::from_str::<Behaviour>(r#"{"type": "shrug"}"#).is_err());
        assert!(serde_json::from_str::<Behaviour>(r#"{"type": "edit"}"#).is_err());
    }

    fn measurement() -> impl Strategy<Value = Option<f64>> {
        // Whole numbers, which JSON keeps to the last digit.
        proptest::option::of((0..1_000_000_000_000_u64).prop_map(|n| n as f64))
    }

    proptest! {
        #[test]
        fn strength_and_value_lie_between_0_and_1(
            a in measurement(), b in measurement(), c in measurement(), share in proptest::option::of((0..=1024_u16).prop_map(|n| f64::from(n) / 1024.0)),
            n in proptest::option::of(any::<u32>()), clicks in proptest::collection::vec(any::<u32>(), 0..20),
            yes in any::<bool>(),
        ) {
            let all = [
                Behaviour::Search(Search { clicked_indices: clicks, time_to_first_click: a, total_time: b,
                    query_refinements: n.unwrap_or(0), abandonment_point: c, ..Search::default() }),
                Behaviour::ItemEngagement(ItemEngagement { item_id: "x".to_owned(), view_duration: a,
                    interaction_depth: b, return_visits: c, bookmarked: yes, shared: yes, ..ItemEngagement::default() }),
                Behaviour::ContentReading(ContentReading { words_per_minute: a, total_read_time: b, word_count: c,
                    scroll_depth: share, interactions: n, ..ContentReading::default() }),
                Behaviour::Navigation(Navigation { pages_visited: n, dwell_time: a, bounced: Some(yes), path: vec![] }),
                Behaviour::Copy(Copy { copied_length: a, answer_length: b, count: n }),
                Behaviour::Edit(Edit { changed_share: share.unwrap_or(0.3), keystrokes: n }),
                Behaviour::Regenerate(Regenerate { count: n }),
                Behaviour::Abandon(Abandon { dwell_time: a, scroll_depth: share }),
            ];
            for behaviour in all {
                behaviour.validate().unwrap();
                let Reading { strength, value } = behaviour.reading();
                prop_assert!((0.0..=1.0).contains(&strength) && (0.0..=1.0).contains(&value), "{behaviour:?}");
                // What is stored reads back as what was given.
                let text = serde_json::to_string(&behaviour).unwrap();
                prop_assert_eq!(serde_json::from_str::<Behaviour>(&text).unwrap(), behaviour);
            }
        }
    }
}
