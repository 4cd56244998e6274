//! Whether feedback is accepted, and what it is held against before it counts: moderation, the spam score with what is known
//! of the author's last hour, near-duplicates and caps.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use upswing_domain::{Enrichment, ExecutionId, Findings, OrganisationId, Pseudonym, Timestamp};
use upswing_privacy::Keyring;
use upswing_store::{Defence, TextKeys};
use upswing_trust::{Behaviour, Fingerprint, SpamInput, Verdict, fingerprint, moderate, spam_score};

use crate::app::App;
use crate::copies::Written;
use crate::problem::{Code, Problem};

/// How much of one author, and of one text, counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// Statements of one author about one agent within 30 days.
    pub(crate) per_author: i64,
    /// Texts that are nearly the same, within 30 days.
    pub(crate) copies: i64,
}

/// What somebody said, as it is judged.
pub(crate) struct Statement<'a> {
    pub(crate) organisation: OrganisationId,
    pub(crate) author: Option<Pseudonym>,
    pub(crate) execution: Option<ExecutionId>,
    pub(crate) text: Option<&'a str>,
    pub(crate) correction: Option<&'a str>,
    /// From 0, the worst, to 1.
    pub(crate) rating: Option<f64>,
    /// When it was said, as far as that can be believed.
    pub(crate) at: Timestamp,
}

/// Refuses what no moderator would let stand, and what looks like spam, also by what was written within the last hour.
///
/// # Errors
/// `content_refused` with the categories, `spam` with score and reasons; neither repeats the text.
pub(crate) fn judge(app: &App, statement: &Statement<'_>) -> Result<(), Problem> {
    if let Some(text) = statement.text {
        let moderation = moderate(text);
        if moderation.verdict == Verdict::Refused {
            let categories: Vec<_> =
                moderation.categories.iter().map(|(category, _)| name(category)).collect();
            let detail = format!("the text was found to be {}", categories.join(", "));
            return Err(Problem::new(Code::ContentRefused, detail).about("feedback_text"));
        }
    }
    let written = statement.text.map(|text| Written {
        organisation: statement.organisation,
        author: statement.author,
        execution: statement.execution,
        at: statement.at,
        fingerprint: fingerprint(text, &app.keyring.sketch_key(statement.organisation)),
    });
    // What many people write by chance is no copy.
    let written = written.filter(|written| written.fingerprint.across_authors());
    let copies = written.as_ref().map(|written| app.texts.copies(written)).unwrap_or_default();
    let behaviour = Behaviour {
        own_copies: copies.own,
        others_copies: copies.others,
        ..app.authors.behaviour(statement)
    };
    let score = spam_score(&SpamInput {
        text: statement.text,
        correction: statement.correction,
        reward: statement.rating,
        behaviour,
    });
    if score.refused() {
        let reasons: Vec<_> = score
            .reasons
            .iter()
            .map(|reason| format!("{} {:.2}", name(&reason.code), reason.weight))
            .collect();
        let detail = format!("the spam score is {:.2}, above 0.80: {}", score.score, reasons.join(", "));
        return Err(Problem::new(Code::Spam, detail));
    }
    app.authors.note(statement);
    if let Some(written) = written {
        app.texts.note(written);
    }
    Ok(())
}

/// What is found out about what a person wrote, as it is kept: without what was taken out of it.
pub(crate) fn findings(app: &App, text: Option<&str>) -> Findings {
    let flags = text.map(|text| moderate(text).flags()).unwrap_or_default();
    Findings { flags, enrichment: enrichment(app, text) }
}

/// What a text is about, as it is kept, unless that is switched off.
pub(crate) fn enrichment(app: &App, text: Option<&str>) -> Option<Enrichment> {
    let text = text.filter(|text| app.limits.enrichment && !text.trim().is_empty())?;
    Some(upswing_trust::enrich(text, KEYWORDS).kept())
}

/// Keywords that are kept of a text.
const KEYWORDS: usize = 8;

/// What a category or a reason is called on the wire.
fn name(code: &impl serde::Serialize) -> String {
    serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What the statement is held against when it is written.
pub(crate) fn defence(
    caps: Caps,
    keyring: &Keyring,
    organisation: OrganisationId,
    text: Option<&str>,
) -> Defence {
    let sketch = text.map(|text| fingerprint(text, &keyring.sketch_key(organisation)));
    let text = sketch.filter(Fingerprint::across_authors).and_then(|sketch| {
        let (rows, agreeing) = match &sketch {
            Fingerprint::Similar(rows) => (rows.to_vec(), Fingerprint::EQUAL_ROWS),
            Fingerprint::Exact(hash) => {
                let rows =
                    hash.to_be_bytes().chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
                (rows, 4)
            }
            Fingerprint::Common(_) | Fingerprint::Empty => return None,
        };
        Some(TextKeys { rows, agreeing, bands: sketch.keys() })
    });
    Defence { author_cap: caps.per_author, copies: caps.copies, text }
}

/// How many authors are remembered. The one that was silent longest is forgotten first, roughly.
const REMEMBERED: usize = 65_536;
/// How many statements of one author are remembered: more than an hour's worth of any score.
const STATEMENTS: usize = 256;
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// What authors did within the last hour, as this server saw it.
#[derive(Debug, Default)]
pub(crate) struct Authors(Mutex<Recent>);

/// When, and about which execution.
type Said = (Timestamp, Option<ExecutionId>);

#[derive(Debug, Default)]
struct Recent {
    by_author: HashMap<(OrganisationId, Pseudonym), VecDeque<Said>>,
    /// Authors in the order in which they first spoke since they were last forgotten.
    order: VecDeque<(OrganisationId, Pseudonym)>,
}

impl Authors {
    fn behaviour(&self, statement: &Statement<'_>) -> Behaviour {
        let Some(author) = statement.author else { return Behaviour::default() };
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = recent.by_author.get(&(statement.organisation, author)) else {
            return Behaviour::default();
        };
        let within = |span: i64| said.iter().filter(move |(at, _)| statement.at.0 - at.0 < span);
        let mut executions: Vec<_> = within(HOUR).filter_map(|(_, execution)| *execution).collect();
        executions.sort_unstable();
        executions.dedup();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Behaviour {
            in_last_minute: count(within(MINUTE).count()),
            in_last_hour: count(within(HOUR).count()),
            executions_in_last_hour: Some(count(executions.len())),
            ..Behaviour::default()
        }
    }

    fn note(&self, statement: &Statement<'_>) {
        let Some(author) = statement.author else { return };
        let key = (statement.organisation, author);
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !recent.by_author.contains_key(&key) {
            if recent.order.len() >= REMEMBERED
                && let Some(oldest) = recent.order.pop_front()
            {
                recent.by_author.remove(&oldest);
            }
            recent.order.push_back(key);
        }
        let said = recent.by_author.entry(key).or_default();
        said.retain(|(at, _)| statement.at.0 - at.0 < HOUR);
        if said.len() >= STATEMENTS {
            said.pop_front();
        }
        said.push_back((statement.at, statement.execution));
    }
}
