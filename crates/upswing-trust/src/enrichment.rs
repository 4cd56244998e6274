//! What a text is about: keywords, how complex it is, and its domain. Features for contexts and segments.
//!
//! **Keywords** are the most frequent words that are no stop words, earlier ones first among equals; the plainest form of
//! term frequency (Luhn 1958, DOI 10.1147/rd.22.0159), since one text has no corpus to weigh against. Stop words are
//! listed for English, German, French and Spanish. Scripts without spaces give their runs of characters as words.
//!
//! **Complexity** is on [0, 1], a weighted sum of four parts, each on [0, 1]:
//!
//! | part | formula | weight |
//! | --- | --- | --- |
//! | length | `ln(1 + words) / ln(1 + 400)` | 0.35 |
//! | vocabulary | `distinct words / words * min(1, words / 50)` | 0.20 |
//! | sentences | `mean words a sentence / 30` | 0.20 |
//! | demands | (conditions + list items + code blocks + questions beyond the first) / 8 | 0.25 |
//!
//! cut off at 1 each. [`Enrichment::complexity_level`] is the same on 1 to 10, as interaction records have it.
//!
//! **Domain** is the one of [`Domain`] whose vocabulary has the most of the text's words, each counted once; its confidence
//! is `hits / (hits + 1) * (hits - next) / hits`, with `next` the hits of the second: one word says little, and neither do
//! two domains with as many. Below a confidence of 0.3, or without a hit, the domain is general. Vocabularies are English.
//!
//! ```
//! use upswing_trust::{Domain, enrich};
//!
//! let found = enrich("Write a function to validate email addresses", 3);
//! assert_eq!(found.keywords, ["function", "validate", "email"]);
//! assert_eq!(found.domain, Domain::Programming);
//! assert_eq!(found.complexity_level(), 3);
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use serde::Serialize;

use crate::fold::{fold, words};

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Software.
    Programming,
    /// Numbers, tables, models.
    Data,
    /// Texts for others to read.
    Writing,
    /// Companies, markets, customers.
    Business,
    /// Money, taxes, accounts.
    Finance,
    /// Contracts and law.
    Legal,
    /// Body and mind.
    Health,
    /// Learning and teaching.
    Education,
    /// Jobs and applications.
    Recruiting,
    /// Science and mathematics.
    Science,
    /// None of these, or not clearly one.
    General,
}

impl Domain {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Programming => "programming",
            Self::Data => "data",
            Self::Writing => "writing",
            Self::Business => "business",
            Self::Finance => "finance",
            Self::Legal => "legal",
            Self::Health => "health",
            Self::Education => "education",
            Self::Recruiting => "recruiting",
            Self::Science => "science",
            Self::General => "general",
        }
    }
}

/// What was found out about a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Enrichment {
    /// The most frequent words that mean something, folded.
    pub keywords: Vec<String>,
    /// From 0 to 1.
    pub complexity: f64,
    /// What it is about.
    pub domain: Domain,
    /// How clear that is, from 0 to 1; of [`Domain::General`] 0.
    pub domain_confidence: f64,
}

impl Enrichment {
    /// As it is kept with what it was found in.
    pub fn kept(self) -> upswing_domain::Enrichment {
        let (complexity_score, domain) = (self.complexity_level(), self.domain.name().to_owned());
        let Self { keywords, complexity, domain_confidence, .. } = self;
        upswing_domain::Enrichment { keywords, complexity, complexity_score, domain, domain_confidence }
    }

    /// Complexity from 1 to 10.
    pub fn complexity_level(&self) -> u8 {
        (1.0 + 9.0 * self.complexity).round() as u8
    }
}

/// Words that are looked at.
const MOST_WORDS: usize = 20_000;
/// Confidence from which on a text belongs to a domain.
const CLEAR: f64 = 0.3;

const STOP_WORDS: &str = "a about above after again all also am an and any are as at be because been before being below between both but by can \
    could did do does doing dont down during each few for from further get give had has have having he her here hers him his how i if in into is it its \
    itself just lets make me more most my myself need no nor not now of off on once only or other our out over own please same she should so some such \
    than that the their them then there these they this those through to too under until up use very want was we were what when where which while who \
    whom why will with would write you your yours \
    aber als am an auch auf aus bei bin bis bitte da damit das dass dem den der des die dies diese dieser doch du durch ein eine einem einen einer \
    eines er es fur hat ich ihr im in ist ja kann mein mit nach nicht noch nur oder sein sich sie sind so und uns von war was wenn wer wie wir wird zu \
    zum zur uber \
    au aux avec ce ces cette dans de des du elle en est et eux il ils je la le les leur lui ma mais me mes moi mon ne nos notre nous on ou par pas pour \
    plus qu que qui sa se ses son sont sur ta te tes toi ton tu un une vos votre vous \
    al como con cual de del desde donde el ella ellas ellos en entre era es esta este esto fue hay la las lo los mas mi muy nos o para pero por porque \
    que se ser si sin sobre su sus también tambien te tiene un una uno unos y ya yo";

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());

const CONDITIONS: &[&str] = &[
    "must",
    "should",
    "unless",
    "except",
    "without",
    "only",
    "if",
    "when",
    "otherwise",
    "ensure",
    "exactly",
    "least",
    "wenn",
    "muss",
    "sollte",
    "ohne",
    "falls",
    "si",
    "doit",
    "sans",
    "sauf",
    "debe",
    "cuando",
];

const VOCABULARIES: &[(Domain, &str)] = &[
    (
        Domain::Programming,
        "api algorithm array async backend bash bug class cli code compile compiler css database debug deploy docker email endpoint \
         exception frontend function git html http java javascript json kubernetes library linux loop method null parser pointer program \
         programming python query react recursion refactor regex rust script server sql stack string syntax terminal thread typescript \
         unittest validate variable xml yaml",
    ),
    (
        Domain::Data,
        "average chart classification cluster column correlation csv dashboard data dataset excel forecast histogram mean median model \
         outlier pandas pivot plot prediction regression row sample spreadsheet statistics table trend variance visualization",
    ),
    (
        Domain::Writing,
        "article blog caption chapter character draft essay headline letter narrative newsletter novel paragraph plot poem proofread \
         rewrite rhyme slogan speech story summarize summary tone translate translation",
    ),
    (
        Domain::Business,
        "b2b brand campaign client competitor customer growth kpi lead logistics market marketing meeting negotiation okr pitch pricing \
         product proposal roadmap sales stakeholder startup strategy supplier",
    ),
    (
        Domain::Finance,
        "accounting amortization asset audit balance bank bond budget cash credit currency debt deduction depreciation dividend equity \
         expense income inflation interest invest investment invoice ledger loan mortgage pension portfolio revenue stock tax vat",
    ),
    (
        Domain::Legal,
        "agreement arbitration attorney clause compliance contract copyright court defendant gdpr jurisdiction law lawsuit lawyer legal \
         liability licence license litigation nda patent plaintiff regulation statute tenant trademark warranty",
    ),
    (
        Domain::Health,
        "allergy anxiety blood cancer clinical dentist depression diabetes diagnosis diet disease doctor dosage dose exercise fever \
         health hospital infection medication medicine nurse nutrition pain patient pregnancy sleep surgery symptom symptoms therapy \
         vaccine vitamin",
    ),
    (
        Domain::Education,
        "assignment classroom course curriculum exam exercise explain grade homework learn learning lecture lesson pupil quiz school \
         student students study syllabus teach teacher tutor university worksheet",
    ),
    (
        Domain::Recruiting,
        "applicant application candidate career cv employer experience hire hiring interview job jobs linkedin onboarding position \
         recruiter recruiting recruitment resume salary skills vacancy",
    ),
    (
        Domain::Science,
        "atom biology calculus cell chemistry derivative dna energy equation experiment force galaxy gravity hypothesis integral matrix \
         mechanics molecule particle photosynthesis physics planet probability proof protein quantum reaction species theorem theory vector",
    ),
];

/// Looks a text through, for that many keywords. O(words).
pub fn enrich(text: &str, keywords: usize) -> Enrichment {
    let folded = fold(text);
    let mut words = words(&folded);
    words.truncate(MOST_WORDS);
    let distinct: BTreeSet<&str> = words.iter().map(String::as_str).collect();
    let (domain, domain_confidence) = domain(&distinct);
    Enrichment {
        keywords: most_frequent(&words, keywords),
        complexity: complexity(text, &words, distinct.len()),
        domain,
        domain_confidence,
    }
}

fn most_frequent(words: &[String], most: usize) -> Vec<String> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for (place, word) in words.iter().enumerate() {
        let number = word.chars().all(|c| c.is_ascii_digit());
        let letter = word.is_ascii() && word.len() < 2;
        if !number && !letter && !STOP.contains(word.as_str()) {
            counts.entry(word).or_insert((0, place)).0 += 1;
        }
    }
    let mut ranked: Vec<(&str, (usize, usize))> = counts.into_iter().collect();
    ranked.sort_unstable_by_key(|&(_, (count, place))| (std::cmp::Reverse(count), place));
    ranked.into_iter().take(most).map(|(word, _)| word.to_owned()).collect()
}

fn complexity(text: &str, words: &[String], distinct: usize) -> f64 {
    if words.is_empty() {
        return 0.0;
    }
    let n = words.len() as f64;
    let ends = text
        .split(['.', '!', '?', '\n', '。', '？'])
        .filter(|s| s.chars().any(char::is_alphanumeric))
        .count();
    let questions = text.matches(['?', '？']).count().saturating_sub(1);
    let items = text
        .lines()
        .filter(|line| {
            let line = line.trim_start();
            let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
            line.starts_with(['-', '*', '•'])
                || (numbered.len() < line.len() && numbered.starts_with(['.', ')']))
        })
        .count();
    let code = text.matches("```").count() / 2;
    let conditions = words.iter().filter(|word| CONDITIONS.contains(&word.as_str())).count();
    let length = (1.0 + n).ln() / 401.0_f64.ln();
    let vocabulary = distinct as f64 / n * (n / 50.0).min(1.0);
    let sentences = n / ends.max(1) as f64 / 30.0;
    let demands = (conditions + items + code + questions) as f64 / 8.0;
    0.35 * length.min(1.0) + 0.20 * vocabulary.min(1.0) + 0.20 * sentences.min(1.0) + 0.25 * demands.min(1.0)
}

fn domain(distinct: &BTreeSet<&str>) -> (Domain, f64) {
    // A word stands for itself, and a plural for its singular.
    let forms = distinct.iter().flat_map(|word| [Some(*word), word.strip_suffix('s')]).flatten();
    let found: BTreeSet<&str> = forms.filter(|word| BY_WORD.contains_key(word)).collect();
    let mut hits = [0_usize; VOCABULARIES.len()];
    for place in found.into_iter().filter_map(|word| BY_WORD.get(word)).flatten() {
        if let Some(hits) = hits.get_mut(*place) {
            *hits += 1;
        }
    }
    let (mut best, mut next) = ((Domain::General, 0), 0);
    for ((domain, _), hits) in VOCABULARIES.iter().zip(hits) {
        if hits > best.1 {
            next = best.1;
            best = (*domain, hits);
        } else {
            next = next.max(hits);
        }
    }
    let hits = best.1 as f64;
    let confidence = if best.1 == 0 { 0.0 } else { (hits - next as f64) / (hits + 1.0) };
    if confidence < CLEAR { (Domain::General, 0.0) } else { (best.0, confidence) }
}

/// The places in [`VOCABULARIES`] where a word stands.
static BY_WORD: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, (_, vocabulary)) in VOCABULARIES.iter().enumerate() {
        vocabulary.split_whitespace().for_each(|word| places.entry(word).or_default().push(place));
    }
    places
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn domains_are_told_apart() {
        for (text, domain) in [
            ("Fix the bug in this python script, the loop never ends", Domain::Programming),
            ("Plot a histogram of the dataset and find outliers", Domain::Data),
            ("Rewrite this paragraph of my essay in a friendlier tone", Domain::Writing),
            ("Is the interest on my mortgage a tax deduction?", Domain::Finance),
            ("Which clause of the contract limits liability?", Domain::Legal),
            ("My fever is gone but the pain stays, should I see a doctor", Domain::Health),
            ("Improve my resume for the job interview", Domain::Recruiting),
            ("What is the weather like", Domain::General),
            ("", Domain::General),
        ] {
            assert_eq!(enrich(text, 5).domain, domain, "{text}");
        }
    }

    #[test]
    fn keywords_are_the_words_that_mean_something() {
        assert_eq!(
            enrich("Der Vertrag und die Kündigung: ist der Vertrag gültig?", 2).keywords,
            ["vertrag", "kundigung"]
        );
        assert_eq!(enrich("le contrat et la durée du contrat", 1).keywords, ["contrat"]);
        assert!(enrich("the of and to 42 !!", 5).keywords.is_empty());
    }

    #[test]
    fn more_demands_are_more_complex() {
        let simple = "Say hello";
        let medium = "Write a function that validates email addresses and returns an error when the domain is missing.";
        let complex = "Design a service. It must be idempotent, unless the client retries.\n- store events\n- ensure order\n- only once\n\
                       If the database fails, what happens? What should be logged? When must it stop?\n```\ncode\n```";
        let of = |text| enrich(text, 0).complexity;
        assert!(
            of("") == 0.0 && of(simple) < of(medium) && of(medium) < of(complex),
            "{} {} {}",
            of(simple),
            of(medium),
            of(complex)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_in_range(text in any::<String>(), k in 0..10_usize) {
            let found = enrich(&text, k);
            prop_assert!((0.0..=1.0).contains(&found.complexity) && (0.0..=1.0).contains(&found.domain_confidence));
            prop_assert!(found.keywords.len() <= k && (1..=10).contains(&found.complexity_level()));
        }
    }
}
