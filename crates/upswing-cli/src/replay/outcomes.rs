//! Reading a file of outcomes: one JSON object a line, the reward of every version known for every question.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The segment of questions whose context lacks the key.
const NO_VALUE: &str = "(none)";
/// A context key divides a file into segments by itself when it has so many values.
const SEGMENT_VALUES: std::ops::RangeInclusive<usize> = 2..=200;

/// Which rewards a file may hold, and how they become [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RewardRange {
    /// The smallest.
    pub(crate) low: f64,
    /// The largest.
    pub(crate) high: f64,
}

impl RewardRange {
    /// What holds when nothing is said.
    pub(crate) const UNIT: Self = Self { low: 0.0, high: 1.0 };
}

impl std::str::FromStr for RewardRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(',').and_then(|(low, high)| {
            Some(Self { low: low.trim().parse().ok()?, high: high.trim().parse().ok()? })
        });
        match parsed {
            Some(range) if range.low < range.high && (range.high - range.low).is_finite() => Ok(range),
            _ => Err(format!("'{text}' is not LOW,HIGH with two numbers of which the first is smaller")),
        }
    }
}

/// Everything known about a file's questions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcomes {
    /// The versions' names, in the order of the first line.
    pub(crate) versions: Vec<String>,
    /// Each question's context as JSON.
    pub(crate) contexts: Vec<Box<str>>,
    /// By question, then by version.
    rewards: Vec<f64>,
    /// The context key by which the report is divided; `None`: everything is one segment.
    pub(crate) segment_key: Option<String>,
    /// Each question's segment, counted from 0.
    pub(crate) segments: Vec<u32>,
}

impl Outcomes {
    /// Questions from memory: for each its context and its rewards.
    #[cfg(test)]
    pub(crate) fn of(versions: &[&str], questions: &[(Value, &[f64])], segment: &str) -> Self {
        let lines: Vec<String> = questions
            .iter()
            .map(|(context, rewards)| {
                let outcomes: Map<String, Value> = versions
                    .iter()
                    .zip(*rewards)
                    .map(|(name, reward)| ((*name).to_owned(), serde_json::json!({ "reward": reward })))
                    .collect();
                serde_json::json!({ "context": context, "outcomes": outcomes }).to_string()
            })
            .collect();
        read(lines.join("\n").as_bytes(), RewardRange::UNIT, Some(segment)).unwrap()
    }

    /// How many questions there are.
    pub(crate) fn len(&self) -> usize {
        self.contexts.len()
    }

    /// What this version was worth on this question.
    pub(crate) fn reward(&self, question: usize, version: usize) -> f64 {
        self.rewards[question * self.versions.len() + version]
    }
}

/// Reads a file (`-`: standard input), compressed with gzip or not.
pub(crate) fn read_path(path: &Path, range: RewardRange, segment: Option<&str>) -> Result<Outcomes, Failure> {
    if path == Path::new("-") {
        return read(std::io::stdin().lock(), range, segment);
    }
    let file = File::open(path).map_err(|error| {
        Failure::new(format!("cannot read {}: {error}", path.display()))
            .hint("upswing replay FILE, or '-' for standard input")
    })?;
    read(BufReader::new(file), range, segment)
}

/// Reads lines; what begins like gzip is decompressed.
pub(crate) fn read(
    mut input: impl BufRead,
    range: RewardRange,
    segment: Option<&str>,
) -> Result<Outcomes, Failure> {
    let compressed = input.fill_buf().map_err(|e| unreadable(1, &e))?.starts_with(&[0x1f, 0x8b]);
    if compressed {
        read_lines(BufReader::new(MultiGzDecoder::new(input)), range, segment)
    } else {
        read_lines(input, range, segment)
    }
}

fn unreadable(line: usize, error: &std::io::Error) -> Failure {
    Failure::new(format!("line {line} cannot be read: {error}"))
}

/// What is gathered about each context key while reading: whether it holds categories, and each value's number.
#[derive(Default)]
struct Keys {
    order: Vec<String>,
    values: HashMap<String, Values>,
}

#[derive(Default)]
struct Values {
    numbers: HashMap<String, u32>,
    by_question: Vec<u32>,
    categorical: bool,
    crowded: bool,
}

fn read_lines(input: impl BufRead, range: RewardRange, segment: Option<&str>) -> Result<Outcomes, Failure> {
    let mut outcomes = Outcomes {
        versions: Vec::new(),
        contexts: Vec::new(),
        rewards: Vec::new(),
        segment_key: None,
        segments: Vec::new(),
    };
    let mut keys = Keys::default();
    for (index, line) in input.lines().enumerate() {
        let line_number = index + 1;
        let line = line.map_err(|e| unreadable(line_number, &e))?;
        if line.trim().is_empty() {
            continue;
        }
        let context = read_line(&line, range, &mut outcomes).map_err(|(message, hint)| {
            let failure = Failure::new(format!("line {line_number}: {message}"));
            if hint.is_empty() { failure } else { failure.hint(hint) }
        })?;
        keys.add(outcomes.contexts.len(), &context, segment);
        outcomes.contexts.push(Value::Object(context).to_string().into_boxed_str());
    }
    if outcomes.contexts.is_empty() {
        return Err(Failure::new("there are no questions in the file").hint(FORM));
    }
    keys.divide(&mut outcomes, segment)?;
    Ok(outcomes)
}

const FORM: &str = r#"one object a line: {"context": {...}, "outcomes": {"version": {"reward": 0.5}, ...}}"#;

type Complaint = (String, String);

/// Adds one line's rewards; its context remains.
fn read_line(
    line: &str,
    range: RewardRange,
    outcomes: &mut Outcomes,
) -> Result<Map<String, Value>, Complaint> {
    let complain = |message: String| (message, FORM.to_owned());
    let mut value: Value =
        serde_json::from_str(line).map_err(|error| complain(format!("not JSON: {error}")))?;
    let found = match value.get_mut("outcomes").map(Value::take) {
        Some(Value::Object(found)) if !found.is_empty() => found,
        _ => return Err(complain("'outcomes' is missing, empty or not an object".to_owned())),
    };
    if outcomes.versions.is_empty() {
        outcomes.versions = found.keys().cloned().collect();
    }
    if let Some(unknown) = found.keys().find(|name| !outcomes.versions.contains(name)) {
        let message = format!("version '{unknown}' has an outcome here but not on the first line");
        return Err((message, "every version needs an outcome on every line".to_owned()));
    }
    for version in &outcomes.versions {
        let reward = match found.get(version).and_then(|outcome| outcome.get("reward")) {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::Bool(flag)) => Some(f64::from(u8::from(*flag))),
            _ => None,
        };
        let Some(reward) = reward else {
            let message = format!("version '{version}' has no reward (a number)");
            return Err((message, "every version needs an outcome on every line".to_owned()));
        };
        if !(range.low..=range.high).contains(&reward) {
            let message = format!(
                "the reward of version '{version}' is {reward}, but must be from {} to {}",
                range.low, range.high
            );
            return Err((message, "name the range with --reward-range LOW,HIGH".to_owned()));
        }
        outcomes.rewards.push(reward);
    }
    read_context(value.get_mut("context").map(Value::take)).map_err(complain)
}

/// The attributes that are known: `null` is not.
fn read_context(context: Option<Value>) -> Result<Map<String, Value>, String> {
    let mut context = match context {
        Some(Value::Object(context)) => context,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err("'context' is not an object".to_owned()),
    };
    context.retain(|_, value| !value.is_null());
    match context.iter().find(|(_, value)| value.is_object() || value.is_array()) {
        Some((key, _)) => Err(format!("'context.{key}' is neither a category nor a number nor a flag")),
        None => Ok(context),
    }
}

impl Keys {
    /// Notes one question's values. Only what can become the report's segments is kept.
    fn add(&mut self, question: usize, context: &Map<String, Value>, wanted: Option<&str>) {
        for (key, value) in context {
            if !self.values.contains_key(key) {
                self.order.push(key.clone());
            }
            let values = self.values.entry(key.clone()).or_default();
            if values.crowded || wanted.is_some_and(|wanted| wanted != key) {
                continue;
            }
            let label = match value {
                Value::String(text) => {
                    values.categorical = true;
                    text.clone()
                }
                other => other.to_string(),
            };
            if !values.categorical && wanted.is_none() {
                continue;
            }
            values.fill(question);
            let number = values.number(&label);
            values.by_question.push(number);
            if wanted.is_none() && values.numbers.len() > SEGMENT_VALUES.end() + 1 {
                *values = Values { crowded: true, ..Values::default() };
            }
        }
    }

    /// Chooses the key: the one that is wanted, or the first category with a sensible number of values.
    fn divide(mut self, outcomes: &mut Outcomes, wanted: Option<&str>) -> Result<(), Failure> {
        let questions = outcomes.contexts.len();
        let suits = |values: &Values| {
            let distinct = values.numbers.keys().filter(|label| *label != NO_VALUE).count();
            values.categorical && SEGMENT_VALUES.contains(&distinct)
        };
        let key = match wanted {
            Some(key) if self.values.contains_key(key) => Some(key.to_owned()),
            Some(key) => {
                let known = if self.order.is_empty() { "none".to_owned() } else { self.order.join(", ") };
                return Err(Failure::new(format!("no context has the key '{key}'"))
                    .hint(format!("--segment with a key that the file has: {known}")));
            }
            None => self.order.iter().find(|key| self.values.get(*key).is_some_and(suits)).cloned(),
        };
        outcomes.segments = match key.as_ref().and_then(|key| self.values.remove(key)) {
            Some(mut values) => {
                values.fill(questions);
                values.by_question
            }
            None => vec![0; questions],
        };
        outcomes.segment_key = key;
        Ok(())
    }
}

impl Values {
    fn number(&mut self, label: &str) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(label.to_owned()).or_insert(next)
    }

    /// Questions up to here that lacked the key.
    fn fill(&mut self, questions: usize) {
        if self.by_question.len() < questions {
            let none = self.number(NO_VALUE);
            self.by_question.resize(questions, none);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const TWO: &str = r#"
{"id": "a", "context": {"chars": 3, "task": "x"}, "outcomes": {"one": {"reward": 0}, "two": {"reward": 1}}}

{"context": {"chars": 4, "task": "y", "odd": null}, "outcomes": {"two": {"reward": 0.5}, "one": {"reward": true}}}
{"outcomes": {"one": {"reward": 0.25}, "two": {"reward": 0}}}
"#;

    fn read_text(text: &str, segment: Option<&str>) -> Result<Outcomes, String> {
        read(text.as_bytes(), RewardRange::UNIT, segment).map_err(|failure| failure.to_string())
    }

    #[test]
    fn every_version_of_every_question_is_known_by_the_first_lines_order() {
        let outcomes = read_text(TWO, None).unwrap();
        assert_eq!(outcomes.versions, ["one", "two"]);
        assert_eq!(outcomes.rewards, [0.0, 1.0, 1.0, 0.5, 0.25, 0.0]);
        assert_eq!(&*outcomes.contexts[1], r#"{"chars":4,"task":"y"}"#);
        assert_eq!(outcomes.segment_key.as_deref(), Some("task"));
        assert_eq!(outcomes.segments, [0, 1, 2]);
        assert!((outcomes.reward(1, 1) - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_compressed_file_reads_the_same() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(TWO.as_bytes()).unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(read(&bytes[..], RewardRange::UNIT, None).unwrap(), read_text(TWO, None).unwrap());
    }

    #[test]
    fn a_number_divides_only_where_it_is_asked_to() {
        assert_eq!(read_text(TWO, Some("chars")).unwrap().segments, [0, 1, 2]);
        let complaint = read_text(TWO, Some("topic")).unwrap_err();
        assert!(complaint.contains("'topic'") && complaint.contains("chars, task"), "{complaint}");
        let line = r#"{"context": {"n": 1}, "outcomes": {"one": {"reward": 0}}}"#;
        assert_eq!(read_text(line, None).unwrap().segment_key, None);
    }

    #[test]
    fn a_key_with_too_many_values_does_not_divide() {
        let line = |n: usize| {
            format!(
                r#"{{"context": {{"id": "q{n}", "task": "{}"}}, "outcomes": {{"a": {{"reward": 1}}}}}}"#,
                n % 3
            )
        };
        let text: Vec<String> = (0..500).map(line).collect();
        let outcomes = read_text(&text.join("\n"), None).unwrap();
        assert_eq!(outcomes.segment_key.as_deref(), Some("task"));
        assert_eq!(outcomes.segments[..4], [0, 1, 2, 0]);
    }

    #[test]
    fn complaints_name_the_line_and_the_way_out() {
        let first = r#"{"outcomes": {"one": {"reward": 0}, "two": {"reward": 1}}}"#;
        let cases = [
            (r#"{"outcomes": {"one": {"reward": 0}}}"#, "line 2: version 'two' has no reward"),
            (r#"{"outcomes": {"one": {"reward": 0}, "two": {"reward": null}}}"#, "line 2: version 'two'"),
            (r#"{"outcomes": {"one": {"reward": 0}, "two": {"reward": 4}}}"#, "--reward-range"),
            (
                r#"{"outcomes": {"one": {"reward": 0}, "two": {"reward": 1}, "three": {"reward": 1}}}"#,
                "'three'",
            ),
            (r#"{"outcomes": {"#, "line 2: not JSON"),
            (r#"{"context": [1], "outcomes": {"one": {"reward": 0}, "two": {"reward": 1}}}"#, "'context'"),
            ("[]", "'outcomes' is missing"),
        ];
        for (second, expected) in cases {
            let complaint = read_text(&format!("{first}\n{second}\n"), None).unwrap_err();
            assert!(complaint.contains(expected), "{complaint}");
        }
        assert!(read_text("\n", None).unwrap_err().contains("no questions"));
        let stars: RewardRange = "1,5".parse().unwrap();
        let line = r#"{"outcomes": {"one": {"reward": 4}, "two": {"reward": 1}}}"#;
        assert!(read(line.as_bytes(), stars, None).is_ok());
        assert!("5,1".parse::<RewardRange>().is_err() && "1".parse::<RewardRange>().is_err());
        assert!("nan,1".parse::<RewardRange>().is_err() && "0,inf".parse::<RewardRange>().is_err());
    }
}
