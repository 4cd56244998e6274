//! Who answers for which number.
//!
//! A number is an *input*, *reproduced* to 1e-8, or *excluded* with its reason. Where the reference is an approximation and what is
//! computed here is not, it is excluded too, and how far they may be apart is checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// How close a result has to be: relative, or absolute below one billionth of that.
const TOLERANCE: f64 = 1e-8;

/// Numbers by the path to them, and what has been said about them.
pub(crate) struct Claims {
    numbers: BTreeMap<Vec<String>, f64>,
    /// Reproduced or excluded.
    answered: BTreeSet<Vec<String>>,
    /// Read to compute others.
    read: BTreeSet<Vec<String>>,
    faults: Vec<String>,
    reproduced: usize,
    exclusions: Vec<(String, usize, String)>,
    /// How many are approximated in the reference, by reason.
    approximate: BTreeMap<&'static str, usize>,
}

impl Claims {
    /// All numbers of a document. `"inf"` and `"-inf"` are such; other strings, booleans and nulls are not.
    pub(crate) fn new(document: &Value) -> Self {
        let mut numbers = BTreeMap::new();
        collect(document, &mut Vec::new(), &mut numbers);
        let (answered, read) = (BTreeSet::new(), BTreeSet::new());
        Self {
            numbers,
            answered,
            read,
            faults: Vec::new(),
            reproduced: 0,
            exclusions: Vec::new(),
            approximate: BTreeMap::new(),
        }
    }

    /// An input, read for a check.
    pub(crate) fn input(&mut self, path: &[&str]) -> f64 {
        let path = owned(path);
        let value = *self.numbers.get(&path).unwrap_or_else(|| panic!("no input {}", path.join(" > ")));
        self.read.insert(path);
        value
    }

    /// A list of inputs.
    pub(crate) fn inputs(&mut self, path: &[&str]) -> Vec<f64> {
        let mut values = Vec::new();
        while self.numbers.contains_key(&owned(&[path, &[&values.len().to_string()]].concat())) {
            let place = values.len().to_string();
            values.push(self.input(&[path, &[&place]].concat()));
        }
        values
    }

    /// A number that was computed, and the place where the reference has it.
    pub(crate) fn reproduces(&mut self, path: &[&str], found: f64) {
        let Some(expected) = self.answer(path) else { return };
        if near(found, expected) {
            self.reproduced += 1;
        } else {
            self.faults.push(format!("{}: found {found}, expected {expected}", path.join(" > ")));
        }
    }

    /// A number that the reference approximates. It is reproduced when what is exact is equal to it; else it is excluded for the
    /// reason, provided that `explained` holds of it.
    pub(crate) fn approximates(
        &mut self,
        path: &[&str],
        exact: f64,
        reason: &'static str,
        explained: impl Fn(f64) -> bool,
    ) {
        let Some(expected) = self.answer(path) else { return };
        if !explained(expected) {
            self.faults.push(format!("{}: {exact}, not {expected}, and unexplained", path.join(" > ")));
        } else if near(exact, expected) {
            self.reproduced += 1;
        } else {
            *self.approximate.entry(reason).or_default() += 1;
        }
    }

    /// All numbers at or below a place are left out, and why.
    pub(crate) fn excluded(&mut self, path: &[&str], reason: &str) {
        let path = owned(path);
        let below: Vec<_> = self.numbers.keys().filter(|p| p.starts_with(&path)).cloned().collect();
        let before = self.answered.len();
        self.answered.extend(below.into_iter().filter(|p| !self.read.contains(p)));
        let count = self.answered.len() - before;
        if count == 0 {
            self.faults.push(format!("{}: an exclusion without numbers", path.join(" > ")));
        }
        self.exclusions.push((path.join(" > "), count, reason.to_owned()));
    }

    fn answer(&mut self, path: &[&str]) -> Option<f64> {
        let (key, name) = (owned(path), path.join(" > "));
        let Some(&expected) = self.numbers.get(&key) else {
            self.faults.push(format!("{name}: there is no such number"));
            return None;
        };
        if !self.answered.insert(key) {
            self.faults.push(format!("{name}: claimed twice"));
            return None;
        }
        Some(expected)
    }

    /// What is wrong so far, and every number that nobody has claimed.
    pub(crate) fn faults(&self) -> Vec<String> {
        let unclaimed =
            self.numbers.keys().filter(|p| !self.answered.contains(*p) && !self.read.contains(*p));
        let unclaimed = unclaimed.map(|path| format!("{}: nobody claims it", path.join(" > ")));
        self.faults.iter().cloned().chain(unclaimed).collect()
    }

    /// Prints the account, and fails on any fault.
    pub(crate) fn settle(self) {
        let (numbers, read) = (self.numbers.len(), self.read.len());
        let excluded = numbers - self.reproduced - read;
        println!("{numbers} numbers: {} reproduced, {read} inputs, {excluded} excluded:", self.reproduced);
        for (reason, count) in &self.approximate {
            println!("{count:5}  {reason}");
        }
        for (path, count, reason) in &self.exclusions {
            println!("{count:5}  {path}: {reason}");
        }
        let faults = self.faults();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }
}

/// Twelve digits are written in the reference.
fn near(found: f64, expected: f64) -> bool {
    let same = expected.is_infinite() && found.is_infinite() && found.signum() == expected.signum();
    same || (found - expected).abs() <= TOLERANCE * expected.abs().max(1e-9)
}

fn collect(value: &Value, path: &mut Vec<String>, numbers: &mut BTreeMap<Vec<String>, f64>) {
    let mut descend = |key: String, value: &Value| {
        path.push(key);
        collect(value, path, numbers);
        path.pop();
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| descend(key.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| descend(i.to_string(), value)),
        Value::Number(number) => drop(numbers.insert(path.clone(), number.as_f64().unwrap())),
        Value::String(text) => {
            if let Some(infinity) = match text.as_str() {
                "inf" => Some(f64::INFINITY),
                "-inf" => Some(f64::NEG_INFINITY),
                _ => None,
            } {
                numbers.insert(path.clone(), infinity);
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&part| part.to_owned()).collect()
}
