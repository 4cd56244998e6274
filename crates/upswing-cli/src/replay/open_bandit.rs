//! Reading a log of the Open Bandit Dataset: one campaign under one policy.
//!
//! Source: Saito, Aihara, Matsutani, Narita, "Open Bandit Dataset and Pipeline", arXiv 2008.07146. Columns are found by their
//! names: `item_id`, `position`, `click`, `propensity_score`, and `user_feature_*` as the context, to which the position
//! belongs. The columns `user-item_affinity_*` say only how many items there are.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use upswing_domain::{Context, ContextValue};

use super::decisions::{Choice, Decision, Decisions, Names};
use super::lines;
use super::outcomes::RewardRange;
use crate::failure::Failure;

const EXPECTED: &str = "upswing replay --format open-bandit FOLDER, as in obd/random/men with its men.csv.gz";
/// More items than any campaign has; a larger number is a mistake, and would cost memory.
const MOST_ITEMS: usize = 100_000;

/// Reads a file, or a folder that holds one, itself or in the folder of its only campaign.
pub(crate) fn read(path: &Path, range: RewardRange) -> Result<Decisions, Failure> {
    let file = find(path)?;
    let mut reader = Reader::new(range);
    lines::each(&file, |number, line| match number {
        1 => reader.header(line),
        _ if line.trim().is_empty() => Ok(()),
        _ => reader.row(line),
    })?;
    reader.finish(&file)
}

/// The policy's name by where the file lies: `POLICY/CAMPAIGN/CAMPAIGN.csv.gz`.
fn policy(file: &Path) -> String {
    let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let above = |levels: usize| file.ancestors().nth(levels).and_then(Path::file_name);
    above(2).or_else(|| above(0)).map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn find(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let inside = |folder: &Path| -> Result<Vec<PathBuf>, Failure> {
        let unreadable = |e: std::io::Error| Failure::new(format!("cannot read {}: {e}", folder.display()));
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.sort();
        Ok(paths)
    };
    let logs = |folder: &Path| -> Result<Vec<PathBuf>, Failure> {
        let named = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name.ends_with(".csv") || name.ends_with(".csv.gz")) && !name.starts_with("item_context")
        };
        Ok(inside(folder)?.into_iter().filter(named).collect())
    };
    let mut found = logs(path)?;
    if found.is_empty() {
        for folder in inside(path)?.into_iter().filter(|path| path.is_dir()) {
            found.extend(logs(&folder)?);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            Err(Failure::new(format!("there is no log (a .csv or .csv.gz) in {}", path.display()))
                .hint(EXPECTED))
        }
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Failure::new(format!("{} holds several logs", path.display()))
                .hint(format!("name one of {}", names.join(", "))))
        }
    }
}

#[derive(Default)]
struct Columns {
    item: usize,
    position: usize,
    click: usize,
    propensity: usize,
    features: Vec<(String, usize)>,
}

struct Reader {
    columns: Columns,
    range: RewardRange,
    items: usize,
    positions: Names,
    contexts: Vec<Context>,
    numbers: HashMap<String, u32>,
    rows: Vec<Decision>,
}

impl Reader {
    fn new(range: RewardRange) -> Self {
        Self {
            columns: Columns::default(),
            range,
            items: 0,
            positions: Names::default(),
            contexts: Vec::new(),
            numbers: HashMap::new(),
            rows: Vec::new(),
        }
    }

    fn header(&mut self, line: &str) -> Result<(), Failure> {
        let names: Vec<&str> = line.trim_start_matches('\u{feff}').split(',').map(unquoted).collect();
        let column = |name: &str| {
            names.iter().position(|found| *found == name).ok_or_else(|| {
                Failure::new(format!("there is no column '{name}'"))
                    .hint(format!("a header with item_id, position, click and propensity_score: {EXPECTED}"))
            })
        };
        let features = names.iter().enumerate().filter(|(_, name)| name.starts_with("user_feature_"));
        self.columns = Columns {
            item: column("item_id")?,
            position: column("position")?,
            click: column("click")?,
            propensity: column("propensity_score")?,
            features: features.map(|(index, name)| ((*name).to_owned(), index)).collect(),
        };
        self.items = names.iter().filter(|name| name.starts_with("user-item_affinity_")).count();
        Ok(())
    }

    fn row(&mut self, line: &str) -> Result<(), Failure> {
        let fields: Vec<&str> = line.split(',').map(unquoted).collect();
        let field = |index: usize, name: &str| {
            fields.get(index).copied().ok_or_else(|| {
                Failure::new(format!("there is no {name}: only {} fields", fields.len()))
                    .hint("the line may be cut off: fetch the file again")
            })
        };
        let number = |index: usize, name: &str| {
            let text = field(index, name)?;
            text.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
                Failure::new(format!("{name} is '{text}', but must be a number")).hint(EXPECTED)
            })
        };
        let item_text = field(self.columns.item, "item_id")?;
        let item = item_text.parse::<usize>().ok().filter(|item| *item < MOST_ITEMS).ok_or_else(|| {
            Failure::new(format!("item_id is '{item_text}', but must be a whole number below {MOST_ITEMS}"))
                .hint(EXPECTED)
        })?;
        let propensity = checked_propensity(number(self.columns.propensity, "propensity_score")?)?;
        let reward = checked_reward(number(self.columns.click, "click")?, self.range)?;
        let position = field(self.columns.position, "position")?;
        let mut values =
            BTreeMap::from([("position".to_owned(), ContextValue::Category(position.to_owned()))]);
        for (name, index) in &self.columns.features {
            values.insert(name.clone(), ContextValue::Category(field(*index, name)?.to_owned()));
        }
        let context = Context::new(values)
            .map_err(|error| Failure::new(error.to_string()).hint("a shorter user feature"))?;
        let key = context.to_json();
        let next = self.contexts.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.contexts.push(context);
        }
        self.items = self.items.max(item + 1);
        self.rows.push(Decision {
            arm: item as u32,
            choice: 0,
            context: number,
            segment: self.positions.number(position),
            reward,
            propensity,
            unit: None,
        });
        Ok(())
    }

    fn finish(self, file: &Path) -> Result<Decisions, Failure> {
        if self.rows.is_empty() {
            return Err(Failure::new(format!("there are no decisions in {}", file.display())).hint(EXPECTED));
        }
        let policy = policy(file);
        let note = format!(
            "{} decisions of '{policy}' in {}: {} items, {} positions, {} kinds of users",
            self.rows.len(),
            file.display(),
            self.items,
            self.positions.len(),
            self.contexts.len()
        );
        Ok(Decisions {
            notes: vec![note],
            policy,
            noun: "item",
            arms: (0..self.items).map(|item| item.to_string()).collect(),
            segment_key: Some("position".to_owned()),
            segments: self.positions.into_names(),
            choices: vec![Choice { arms: (0..self.items as u32).collect(), count: self.items }],
            contexts: self.contexts,
            rows: self.rows,
            range: Some(self.range),
        })
    }
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
}

/// A probability with which something was chosen.
pub(crate) fn checked_propensity(value: f64) -> Result<f64, Failure> {
    if value > 0.0 && value <= 1.0 {
        return Ok(value);
    }
    Err(Failure::new(format!("the propensity is {value}, but must be above 0 and at most 1")).hint(
        "log the probability with which the choice was drawn; a choice of probability 0 does not happen",
    ))
}

/// A reward in its range.
pub(crate) fn checked_reward(value: f64, range: RewardRange) -> Result<f64, Failure> {
    if (range.low..=range.high).contains(&value) {
        return Ok(value);
    }
    Err(Failure::new(format!("the reward is {value}, but must be from {} to {}", range.low, range.high))
        .hint("name the range with --reward-range LOW,HIGH"))
}
