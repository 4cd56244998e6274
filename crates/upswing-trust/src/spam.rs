//! How much feedback looks like spam or abuse, and why.
//!
//! Each reason that applies has a strength in [0, 1] and a largest weight; together they score `1 - product of (1 - weight *
//! strength)`, a noisy-or: reasons add up, none of them is proof, and the score stays below 1. Above [`SPAM_LIMIT`] feedback
//! is refused.
//!
//! No reason has a weight of 0.8 or more, so that none refuses alone; and those that also honest people give often (short,
//! in capitals, extreme, a link) are so small that all of them together do not: see the test of it. What refuses is
//! promotion with links or contacts, and behaviour of machines: dozens in a minute, the same text again and again.
//!
//! Text in languages that are not listed is judged by its form alone. Weights are set by hand to hold to the tables of
//! honest and spam texts below, not learned.
//!
//! ```
//! use upswing_trust::{SPAM_LIMIT, SpamInput, spam_score};
//!
//! let honest = SpamInput { text: Some("bad"), reward: Some(0.0), ..SpamInput::default() };
//! assert!(spam_score(&honest).score < 0.2);
//! let spam = SpamInput { text: Some("BUY CHEAP FOLLOWERS!!! https://x.example whatsapp +1 555 0100 200"), ..honest };
//! assert!(spam_score(&spam).score > SPAM_LIMIT);
//! ```

use serde::Serialize;

use crate::fold::{fold, words};

/// Feedback that scores more is refused.
pub const SPAM_LIMIT: f64 = 0.8;

/// Feedback as it is scored. What is not known is left out, and counts for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpamInput<'a> {
    /// The comment.
    pub text: Option<&'a str>,
    /// The correction: it may well be long, repetitive, and have links, so only its promotion is looked at.
    pub correction: Option<&'a str>,
    /// What the feedback is worth, from 0 for the worst to 1 for the best.
    pub reward: Option<f64>,
    /// What the author did before.
    pub behaviour: Behaviour,
}

/// What is known of an author's behaviour, without this feedback.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// Feedback by this author in the last minute.
    pub in_last_minute: u32,
    /// Feedback by this author in the last hour.
    pub in_last_hour: u32,
    /// Different executions that the last hour's feedback was on.
    pub executions_in_last_hour: Option<u32>,
    /// Age of the session in seconds.
    pub session_seconds: Option<f64>,
    /// Seconds from the answer to this feedback.
    pub seconds_since_answer: Option<f64>,
    /// Feedback by this author that the next share is of.
    pub rated: u32,
    /// The share of it that was as bad or as good as can be.
    pub extreme_share: Option<f64>,
    /// Texts by this author that this one is a copy of.
    pub own_copies: u32,
    /// Texts by others that this one is a copy of (of those where [`crate::Fingerprint::across_authors`] holds).
    pub others_copies: u32,
}

/// Why feedback looks like spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// Links.
    Links,
    /// Characters on end, as in `aaaaaaaa`.
    RepeatedCharacters,
    /// The same words over and over.
    RepeatedWords,
    /// Capitals throughout.
    Capitals,
    /// Phrases that sell.
    Promotion,
    /// A telephone number, an address, a messenger, a wallet.
    Contact,
    /// No language looks like that.
    Gibberish,
    /// Nearly no text with an extreme rating.
    ShortAndExtreme,
    /// The words say the opposite of the rating.
    Contradiction,
    /// More than a person writes in a minute.
    BurstMinute,
    /// More than a person writes in an hour.
    BurstHour,
    /// Many statements on few executions.
    FewExecutions,
    /// The session has hardly begun.
    NewSession,
    /// Faster than the answer can be read.
    TooFast,
    /// Nothing but extreme ratings.
    AlwaysExtreme,
    /// The author wrote this before.
    OwnCopies,
    /// Others wrote this before.
    OthersCopies,
}

impl ReasonCode {
    /// The most that this reason adds alone.
    pub fn weight(self) -> f64 {
        match self {
            Self::Promotion | Self::BurstMinute | Self::Contact => 0.7,
            Self::OwnCopies => 0.65,
            Self::OthersCopies | Self::BurstHour => 0.6,
            Self::Links | Self::RepeatedWords | Self::Gibberish | Self::FewExecutions => 0.5,
            Self::RepeatedCharacters => 0.35,
            Self::Contradiction => 0.25,
            Self::TooFast => 0.2,
            Self::AlwaysExtreme => 0.15,
            Self::Capitals | Self::NewSession => 0.1,
            Self::ShortAndExtreme => 0.05,
        }
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Which.
    pub code: ReasonCode,
    /// What it adds alone: its largest weight times its strength here.
    pub weight: f64,
    /// What was found, for an operator. Never a text itself.
    pub detail: String,
}

/// A score in [0, 1) and its reasons, the strongest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpamScore {
    /// 0 where nothing speaks for spam.
    pub score: f64,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl SpamScore {
    /// Whether the feedback is refused.
    pub fn refused(&self) -> bool {
        self.score > SPAM_LIMIT
    }
}

/// Reasons as they are gathered.
#[derive(Default)]
struct Reasons(Vec<Reason>);

impl Reasons {
    fn add(&mut self, code: ReasonCode, strength: f64, detail: impl FnOnce() -> String) {
        if strength > 0.0 {
            self.0.push(Reason { code, weight: code.weight() * strength.min(1.0), detail: detail() });
        }
    }
}

/// Scores feedback. O(length of the texts).
pub fn spam_score(input: &SpamInput<'_>) -> SpamScore {
    let mut reasons = Reasons::default();
    if let Some(text) = input.text {
        of_text(text, input.reward, &mut reasons);
    }
    if let Some(correction) = input.correction {
        let spam = Text::new(correction);
        reasons.add(ReasonCode::Promotion, ramp(spam.promotion as f64, 1.0, 3.0), || {
            format!("{} phrases in the correction", spam.promotion)
        });
    }
    of_behaviour(&input.behaviour, &mut reasons);
    let mut reasons = reasons.0;
    reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let score = 1.0 - reasons.iter().map(|reason| 1.0 - reason.weight).product::<f64>();
    SpamScore { score, reasons }
}

/// 0 up to `from`, 1 from `to` on, and even between.
fn ramp(value: f64, from: f64, to: f64) -> f64 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

const PROMOTION: &[&str] = &[
    "buy now",
    "buy cheap",
    "cheap prices",
    "order now",
    "click here",
    "limited offer",
    "special offer",
    "free money",
    "make money",
    "earn money",
    "work from home",
    "casino",
    "jackpot",
    "viagra",
    "cialis",
    "crypto investment",
    "investment opportunity",
    "double your",
    "guaranteed profit",
    "guaranteed income",
    "100 free",
    "free followers",
    "cheap followers",
    "buy followers",
    "seo services",
    "backlinks",
    "best price",
    "discount code",
    "promo code",
    "visit our",
    "visit my",
    "subscribe to my",
    "follow me",
    "check out my",
    "dm me",
    "loan approved",
    "weight loss",
    "lose weight",
    "replica watches",
    "hot singles",
    "onlyfans",
    "jetzt kaufen",
    "geld verdienen",
    "gratis geld",
    "acheter maintenant",
    "gagner de l argent",
    "gana dinero",
    "compra ahora",
    "купить",
    "заработок",
    "казино",
    "скидка",
];
const CONTACT: &[&str] = &[
    "whatsapp",
    "telegram",
    "wechat",
    "t me",
    "wa me",
    "signal me",
    "call me at",
    "text me at",
    "gmail com",
    "hotmail com",
    "bitcoin wallet",
    "btc address",
];
const PRAISE: &[&str] = &[
    "great",
    "excellent",
    "perfect",
    "love",
    "awesome",
    "amazing",
    "helpful",
    "wonderful",
    "fantastic",
    "thanks",
    "super",
    "toll",
    "danke",
    "parfait",
    "merci",
    "excelente",
    "gracias",
    "отлично",
    "спасибо",
];
const BLAME: &[&str] = &[
    "bad",
    "wrong",
    "terrible",
    "useless",
    "awful",
    "hate",
    "horrible",
    "worst",
    "incorrect",
    "broken",
    "schlecht",
    "falsch",
    "nutzlos",
    "mauvais",
    "nul",
    "faux",
    "malo",
    "mal",
    "inutil",
    "плохо",
    "ужасно",
];
const NEGATION: &[&str] = &[
    "not", "no", "never", "isnt", "wasnt", "dont", "doesnt", "didnt", "cant", "without", "nothing", "but",
    "than", "nicht", "kein", "keine", "nie", "aber", "pas", "jamais", "mais", "nunca", "pero", "не", "но",
];

/// What is counted in a text.
struct Text {
    folded: String,
    words: Vec<String>,
    links: usize,
    promotion: usize,
    contacts: usize,
}

impl Text {
    fn new(text: &str) -> Self {
        // The beginning says enough.
        let text: String = text.chars().take(8_192).collect();
        let folded = fold(&text);
        let words = words(&folded);
        let joined = format!(" {} ", words.join(" "));
        let count =
            |list: &[&str]| list.iter().filter(|phrase| joined.contains(&format!(" {phrase} "))).count();
        let is_link = |word: &&str| word.contains("://") || word.starts_with("www.");
        let links = folded.split_whitespace().filter(is_link).count();
        let contacts = count(CONTACT) + telephones(&folded) + addresses(&folded);
        Self { promotion: count(PROMOTION), links, contacts, words, folded }
    }
}

/// Telephone numbers: a plus and eight digits or more, with nothing but separators between.
fn telephones(folded: &str) -> usize {
    let mut found = 0;
    for (at, _) in folded.match_indices('+') {
        let rest = folded[at + 1..].chars().take_while(|c| c.is_ascii_digit() || " -./()".contains(*c));
        found += usize::from(rest.filter(char::is_ascii_digit).count() >= 8);
    }
    found
}

fn addresses(folded: &str) -> usize {
    let address = |word: &&str| {
        word.split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !word.contains("://"))
    };
    folded.split_whitespace().filter(address).count()
}

fn of_text(text: &str, reward: Option<f64>, reasons: &mut Reasons) {
    let found = Text::new(text);
    let (letters, count) = (text.chars().filter(|c| c.is_alphabetic()).count(), found.words.len());
    // One or two links are evidence; beside words that sell they are the point of it.
    let links = if found.links > 0 && found.promotion > 0 { 1.0 } else { ramp(found.links as f64, 2.0, 6.0) };
    reasons.add(ReasonCode::Links, links, || format!("{} links", found.links));
    let promotion = if found.promotion > 0 { 0.6 + 0.3 * (found.promotion - 1) as f64 } else { 0.0 };
    reasons.add(ReasonCode::Promotion, promotion, || format!("{} phrases", found.promotion));
    let contacts = match (found.contacts, found.promotion) {
        (0, _) => 0.0,
        (n, 0) => 0.6 + 0.2 * (n - 1) as f64,
        _ => 1.0,
    };
    reasons.add(ReasonCode::Contact, contacts, || format!("{} contacts", found.contacts));
    let run = longest_run(&found.folded);
    reasons.add(ReasonCode::RepeatedCharacters, ramp(run as f64, 8.0, 24.0), || format!("{run} on end"));
    if count >= 8 {
        let mut distinct = found.words.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let repeated = 1.0 - distinct.len() as f64 / count as f64;
        // Long texts repeat their small words: half of the words of some hundred are repetitions.
        let usual = if count > 60 { 0.65 } else { 0.5 };
        reasons.add(ReasonCode::RepeatedWords, ramp(repeated, usual, 0.8), || {
            format!("{:.0} % of the words", repeated * 100.0)
        });
    }
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    if letters >= 12 {
        reasons.add(ReasonCode::Capitals, ramp(capitals as f64 / letters as f64, 0.7, 0.95), || {
            format!("{capitals} of {letters} letters")
        });
    }
    reasons.add(ReasonCode::Gibberish, gibberish(&found.words), || "letters that form no words".to_owned());
    let Some(reward) = reward else { return };
    let extreme = reward <= 0.0 || reward >= 1.0;
    if extreme && text.trim().chars().count() < 4 {
        reasons
            .add(ReasonCode::ShortAndExtreme, 1.0, || format!("{} characters", text.trim().chars().count()));
    }
    // Negation turns the sense around, and a list cannot tell: then nothing is said.
    let has = |list: &[&str]| found.words.iter().any(|word| list.contains(&word.as_str()));
    if extreme && !has(NEGATION) && has(PRAISE) != has(BLAME) && (reward > 0.5) == has(BLAME) {
        reasons.add(ReasonCode::Contradiction, 1.0, || "words and rating contradict each other".to_owned());
    }
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, ' ');
    for c in text.chars() {
        run = if c == last && (c.is_alphanumeric() || "!?".contains(c)) { run + 1 } else { 1 };
        last = c;
        longest = longest.max(run);
    }
    longest
}

/// How much of a text's longer Latin words have no vowels to speak of, or run through a row of consonants no language has.
/// Words with digits are identifiers; other scripts are not judged.
fn gibberish(words: &[String]) -> f64 {
    let judged: Vec<&String> =
        words.iter().filter(|word| word.len() >= 6 && word.chars().all(|c| c.is_ascii_lowercase())).collect();
    let letters: usize = judged.iter().map(|word| word.len()).sum();
    // Below that it may be a name or a typing error.
    if letters < 12 {
        return 0.0;
    }
    let odd = |word: &&&String| {
        let vowel = |c: char| "aeiouy".contains(c);
        let vowels = word.chars().filter(|&c| vowel(c)).count() as f64 / word.len() as f64;
        let (mut row, mut longest) = (0, 0);
        for c in word.chars() {
            row = if vowel(c) { 0 } else { row + 1 };
            longest = longest.max(row);
        }
        vowels < 0.15 || longest >= 6
    };
    let odd: usize = judged.iter().filter(odd).map(|word| word.len()).sum();
    let all: usize = words.iter().map(String::len).sum();
    ramp(odd as f64 / all.max(1) as f64, 0.3, 0.8)
}

fn of_behaviour(behaviour: &Behaviour, reasons: &mut Reasons) {
    let Behaviour { in_last_minute, in_last_hour, own_copies, others_copies, rated, .. } = *behaviour;
    // Thumbs below a list of ten answers are ten in a minute.
    reasons.add(ReasonCode::BurstMinute, ramp(in_last_minute.into(), 10.0, 30.0), || {
        format!("{in_last_minute} in a minute")
    });
    reasons.add(ReasonCode::BurstHour, ramp(in_last_hour.into(), 60.0, 240.0), || {
        format!("{in_last_hour} in an hour")
    });
    if let Some(executions) = behaviour.executions_in_last_hour {
        let each = f64::from(in_last_hour) / f64::from(executions.max(1));
        reasons.add(ReasonCode::FewExecutions, ramp(each, 4.0, 12.0), || {
            format!("{in_last_hour} on {executions} executions")
        });
    }
    if let Some(seconds) = behaviour.session_seconds {
        reasons.add(ReasonCode::NewSession, 1.0 - ramp(seconds, 1.0, 10.0), || format!("{seconds:.0} s old"));
    }
    if let Some(seconds) = behaviour.seconds_since_answer {
        reasons.add(ReasonCode::TooFast, 1.0 - ramp(seconds, 0.3, 1.5), || format!("after {seconds:.1} s"));
    }
    if let (Some(share), true) = (behaviour.extreme_share, rated >= 10) {
        reasons.add(ReasonCode::AlwaysExtreme, ramp(share, 0.9, 1.0), || {
            format!("{:.0} % of {rated}", share * 100.0)
        });
    }
    reasons.add(ReasonCode::OwnCopies, ramp(own_copies.into(), 2.0, 10.0), || {
        format!("{own_copies} by the author")
    });
    reasons.add(ReasonCode::OthersCopies, ramp(others_copies.into(), 2.0, 20.0), || {
        format!("{others_copies} by others")
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(text: &str, reward: f64) -> SpamScore {
        spam_score(&SpamInput { text: Some(text), reward: Some(reward), ..SpamInput::default() })
    }

    const HONEST: &[(&str, f64)] = &[
        ("bad", 0.0),
        ("👍", 1.0),
        ("great!!!", 1.0),
        ("ok", 0.5),
        ("no", 0.0),
        ("WRONG", 0.0),
        ("THIS IS COMPLETELY WRONG AND USELESS", 0.0),
        ("sooooo good", 1.0),
        ("nooooooooooo", 0.0),
        ("", 0.0),
        ("!!!", 0.0),
        ("5", 1.0),
        ("not bad at all", 1.0),
        ("thanks for nothing", 0.0),
        ("See https://doc.rust-lang.org/std/ for why this is wrong: the method was stabilised in 1.70", 0.0),
        ("https://example.org/evidence", 0.0),
        ("The answer cites https://a.example/1 and https://b.example/2, both are dead links", 0.0),
        ("Der Betrag ist falsch, bitte an buchhaltung@firma.example melden", 0.0),
        ("Ответ неправильный, дата не та", 0.0),
        ("答えが違います", 0.0),
        ("très bien, merci", 1.0),
        ("The function strncpy from mbstowcs and HttpsProxy is wrong", 0.0),
        ("It said yes yes yes yes and then no no no no to the same thing", 0.0),
        ("id 8f14e45fceea167a5a36dedd4bea2543 was not found", 0.0),
        ("The discount was computed wrongly: 15% of 80 is 12", 0.0),
        ("Rhythm and Schwarzschild were misspelt, and Knightsbridge too", 0.25),
    ];

    const SPAM: &[&str] = &[
        "BUY CHEAP FOLLOWERS NOW!!! https://spam.example/a https://spam.example/b",
        "Make money from home! whatsapp +44 7700 900123",
        "best casino jackpot https://a.example https://b.example https://c.example",
        "click here https://x.example limited offer free money",
        "contact me on telegram for crypto investment, guaranteed profit, me@gmail.com",
        "sdfkjhsdf kjhsdfkjh sdkfjhskdjfh skdjfhskjdfh buy now https://x.example",
        "ｂｕｙ ｎｏｗ!!! visit my site www.x.example promo code FREE call me at +1 (555) 010-0200",
    ];

    #[test]
    fn terse_honest_feedback_is_far_from_refused() {
        for (text, reward) in HONEST {
            let found = score(text, *reward);
            assert!(found.score < 0.5, "{text}: {found:?}");
        }
    }

    #[test]
    fn spam_is_refused() {
        for text in SPAM {
            let found = score(text, 1.0);
            assert!(found.refused(), "{text}: {found:?}");
        }
    }

    #[test]
    fn machines_are_refused_and_busy_people_are_not() {
        let of = |behaviour| {
            spam_score(&SpamInput {
                text: Some("good"),
                reward: Some(1.0),
                behaviour,
                ..SpamInput::default()
            })
        };
        let busy = Behaviour {
            in_last_minute: 10,
            in_last_hour: 60,
            executions_in_last_hour: Some(60),
            session_seconds: Some(4_000.0),
            rated: 60,
            extreme_share: Some(1.0),
            own_copies: 2,
            ..Behaviour::default()
        };
        assert!(of(busy).score < 0.5, "{:?}", of(busy));
        let machine = Behaviour {
            in_last_minute: 40,
            in_last_hour: 400,
            executions_in_last_hour: Some(400),
            ..Behaviour::default()
        };
        assert!(of(machine).refused(), "{:?}", of(machine));
        let parrot = Behaviour { own_copies: 12, others_copies: 30, ..Behaviour::default() };
        assert!(of(parrot).refused(), "{:?}", of(parrot));
    }

    #[test]
    fn what_honest_people_do_does_not_refuse_even_together() {
        use ReasonCode::*;
        let usual = [Capitals, NewSession, ShortAndExtreme, TooFast, AlwaysExtreme, Contradiction];
        let together = 1.0 - usual.iter().map(|code| 1.0 - code.weight()).product::<f64>();
        assert!(together < SPAM_LIMIT, "{together}");
    }

    proptest! {
        #[test]
        fn scores_lie_in_range_whatever_comes(text in any::<String>(), reward in any::<f64>(), n in any::<u32>(), s in any::<f64>()) {
            let behaviour = Behaviour {
                in_last_minute: n, in_last_hour: n, executions_in_last_hour: Some(n), session_seconds: Some(s),
                seconds_since_answer: Some(s), rated: n, extreme_share: Some(s), own_copies: n, others_copies: n,
            };
            let found = spam_score(&SpamInput { text: Some(&text), correction: Some(&text), reward: Some(reward), behaviour });
            prop_assert!((0.0..1.0).contains(&found.score), "{:?}", found);
        }

        #[test]
        fn more_copies_never_look_more_honest(copies in 0..1_000_u32) {
            let of = |own_copies| spam_score(&SpamInput { behaviour: Behaviour { own_copies, ..Behaviour::default() }, ..SpamInput::default() }).score;
            prop_assert!(of(copies) <= of(copies + 1));
        }
    }
}
