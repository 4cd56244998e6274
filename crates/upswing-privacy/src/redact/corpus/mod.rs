//! Labelled sentences, made from a seed: what must be found, in many spellings, and what must not.
//!
//! Numbers are made from their public definitions here, not with what the detectors know: a card has its Luhn digit, an
//! IBAN its check digits, each computed anew. The corpus shows that a change breaks nothing that worked; it is no estimate
//! for texts of other people, which need labels of their own.

mod draw;
mod negatives;
mod positives;
mod sentences;

use std::ops::Range;

use super::Kind;
use draw::Draw;

/// A text with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// Kind and bytes of each thing in it.
    pub spans: Vec<(Kind, Range<usize>)>,
}

/// How many texts of each kind, and how many without any.
const OF_EACH_KIND: usize = 220;
const NEGATIVES: usize = 1_400;
const PAIRS: usize = 120;

/// The corpus of a seed: the same for the same seed.
pub fn generate(seed: u64) -> Vec<Labelled> {
    let mut draw = Draw::new(seed);
    let mut texts = Vec::new();
    for kind in Kind::ALL {
        for _ in 0..OF_EACH_KIND {
            texts.push(fill(sentences::with(&mut draw, kind), &mut draw));
        }
    }
    for _ in 0..PAIRS {
        let mut text = fill(sentences::any(&mut draw), &mut draw);
        let other = fill(sentences::any(&mut draw), &mut draw);
        let offset = text.text.len() + 1;
        text.text = format!("{}\n{}", text.text, other.text);
        text.spans.extend(
            other.spans.into_iter().map(|(kind, span)| (kind, span.start + offset..span.end + offset)),
        );
        texts.push(text);
    }
    for _ in 0..NEGATIVES {
        texts.push(Labelled { text: negatives::sentence(&mut draw), spans: Vec::new() });
    }
    draw.shuffle(&mut texts);
    texts
}

/// Puts values into a template: `{email}` is one of that kind, everything else stays.
fn fill(template: &str, draw: &mut Draw) -> Labelled {
    let (mut text, mut spans) = (String::new(), Vec::new());
    let mut rest = template;
    while let Some(open) = rest.find("{{") {
        text.push_str(&rest[..open]);
        let Some(close) = rest[open..].find("}}") else { break };
        let name = &rest[open + 2..open + close];
        match Kind::ALL.into_iter().find(|kind| kind.name() == name) {
            Some(kind) => {
                let value = positives::value(draw, kind);
                spans.push((kind, text.len()..text.len() + value.len()));
                text.push_str(&value);
            }
            None => {
                let (before, value, after) = positives::special(draw, name);
                text.push_str(&before);
                let kind = if name == "bare_ssn" {
                    Kind::Ssn
                } else if name.ends_with("phone") {
                    Kind::Phone
                } else {
                    Kind::Secret
                };
                spans.push((kind, text.len()..text.len() + value.len()));
                text.push_str(&value);
                text.push_str(&after);
            }
        }
        rest = &rest[open + close + 2..];
    }
    text.push_str(rest);
    Labelled { text, spans }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_corpus() {
        let corpus = generate(1);
        assert_eq!(corpus, generate(1));
        assert_ne!(corpus, generate(2));
        let (positives, negatives): (Vec<_>, Vec<_>) = corpus.iter().partition(|text| !text.spans.is_empty());
        assert!(positives.len() >= 1_000 && negatives.len() >= 1_000);
        for Labelled { text, spans } in positives {
            assert!(
                spans.iter().all(|(_, span)| text.get(span.clone()).is_some_and(|part| !part.is_empty())),
                "{text}"
            );
        }
    }
}
