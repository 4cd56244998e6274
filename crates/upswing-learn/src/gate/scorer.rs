//! Scorers: whether one answer is what was expected. Pure; the scorer that runs a program is only named here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use upswing_domain::Invalid;

use super::schema;

/// The longest text that is compared letter by letter: the comparison takes time in proportion to the lengths' product.
const LONGEST: usize = 4_000;

/// How an answer is judged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scorer {
    /// The answer is what was expected, to the letter; objects whatever the order of their keys.
    #[default]
    Exact,
    /// The texts are alike: 1 minus the edit distance (Levenshtein 1966) over the longer one's length.
    Fuzzy {
        /// How alike at least, 0 to 1. Default 0.9.
        #[serde(default = "least")]
        least: f64,
    },
    /// The answer, or the JSON that it is the text of, has the shape that `expected` describes: see [`schema`].
    Schema,
    /// The answer is a number near the expected one: within `absolute` plus `relative` times what was expected.
    Numeric {
        /// In the number's unit; 0 or more.
        #[serde(default)]
        absolute: f64,
        /// As a share of what was expected; 0 or more.
        #[serde(default)]
        relative: f64,
    },
    /// A program of the server's configuration judges; it is named, never given.
    Command {
        /// Its name there.
        command: String,
    },
}

fn least() -> f64 {
    0.9
}

impl Scorer {
    /// # Errors
    /// When a number is out of range.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::Fuzzy { least } if !(0.0..=1.0).contains(least) => {
                Err(Invalid::new("least", least, "a number from 0 to 1"))
            }
            Self::Numeric { absolute, relative } => {
                for (field, value) in [("absolute", absolute), ("relative", relative)] {
                    if !(value.is_finite() && *value >= 0.0) {
                        return Err(Invalid::new(field, value, "a finite number of 0 or more"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether this scorer can judge by such an expectation.
    ///
    /// # Errors
    /// When it never could: a number is expected and something else is given, a schema uses what is not known here.
    pub fn check(&self, expected: &Value) -> Result<(), Invalid> {
        self.validate()?;
        match self {
            Self::Numeric { .. } if number(expected).is_none() => {
                Err(Invalid::new("expected", expected, "a number, for the scorer numeric"))
            }
            Self::Fuzzy { .. } if !expected.is_string() => {
                Err(Invalid::new("expected", expected, "a text, for the scorer fuzzy"))
            }
            Self::Schema => schema::check(expected)
                .map_err(|why| Invalid::new("expected", why, "a schema of known keywords")),
            _ => Ok(()),
        }
    }

    /// What is wrong with an answer; `None` when it passes. For [`Scorer::Command`] somebody else has to say.
    pub fn fault(&self, expected: &Value, output: &Value) -> Option<String> {
        match self {
            Self::Exact => (expected != output).then(|| "is not what was expected".to_owned()),
            Self::Fuzzy { least } => {
                let (Some(expected), Some(output)) = (expected.as_str(), output.as_str()) else {
                    return Some("is no text".to_owned());
                };
                if expected.chars().count().max(output.chars().count()) > LONGEST {
                    return Some(format!("is longer than the {LONGEST} characters that are compared"));
                }
                let alike = strsim::normalized_levenshtein(expected, output);
                (alike < *least).then(|| format!("is alike to {alike:.3}, {least} are needed"))
            }
            Self::Schema => {
                let parsed = output.as_str().and_then(|text| serde_json::from_str(text).ok());
                match schema::fault(expected, output) {
                    // A text may be JSON, where a text was not asked for.
                    Some(fault) => parsed.map_or(Some(fault), |parsed| schema::fault(expected, &parsed)),
                    None => None,
                }
            }
            Self::Numeric { absolute, relative } => {
                let (Some(expected), Some(output)) = (number(expected), number(output)) else {
                    return Some("is no number".to_owned());
                };
                let off = (output - expected).abs();
                let near = off <= absolute + relative * expected.abs();
                (!near).then(|| format!("is off by {off}"))
            }
            Self::Command { .. } => Some("was not judged".to_owned()),
        }
    }
}

/// A finite number, or the text of one.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_scorer_tells_right_from_wrong() {
        let near = Scorer::Numeric { absolute: 0.5, relative: 0.01 };
        let shape = json!({"type": "object", "required": ["a"]});
        for (scorer, expected, right, wrong) in [
            (Scorer::Exact, json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), json!({"a": 1})),
            (Scorer::Fuzzy { least: 0.8 }, json!("kitten"), json!("kittem"), json!("sitting")),
            (Scorer::Fuzzy { least: 0.8 }, json!(""), json!(""), json!(7)),
            (Scorer::Schema, shape.clone(), json!({"a": 1}), json!([])),
            (Scorer::Schema, shape, json!("{\"a\": 1}"), json!("{\"b\": 1}")),
            (near.clone(), json!(100), json!("101.5"), json!(101.6)),
            (near, json!(100), json!(98.5), json!("NaN")),
        ] {
            assert_eq!(scorer.check(&expected), Ok(()));
            assert_eq!(scorer.fault(&expected, &right), None, "{scorer:?}");
            assert!(scorer.fault(&expected, &wrong).is_some(), "{scorer:?}");
        }
        // "kitten" and "sitting": three edits of seven letters.
        let fault = Scorer::Fuzzy { least: 0.8 }.fault(&json!("kitten"), &json!("sitting")).unwrap();
        assert!(fault.contains("0.571"), "{fault}");
        assert!(Scorer::Command { command: "x".to_owned() }.fault(&json!(1), &json!(1)).is_some());
        assert!(Scorer::Numeric { absolute: f64::NAN, relative: 0.0 }.validate().is_err());
        assert!(Scorer::Numeric { absolute: 0.0, relative: 0.0 }.check(&json!("x")).is_err());
    }
}
