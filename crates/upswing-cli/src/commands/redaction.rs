//! `upswing redaction`: what is taken out of texts before they are stored, and how well.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value, json};
use upswing_privacy::redact::score::{Score, Tally};
use upswing_privacy::redact::{Kind, Redactor, corpus};

use super::{print_json, print_text};
use crate::failure::Failure;
use crate::labelled::{self, File, Text};

/// Arguments of `redaction`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Count what is found, missed and found by mistake in labelled texts
    Evaluate {
        /// JSON lines: {"text": "...", "spans": [{"start": 3, "end": 20, "kind": "email"}]}, in Unicode characters; '-' for
        /// standard input [default: texts that are generated]
        file: Option<PathBuf>,
        /// What generated texts follow from
        #[arg(long, default_value_t = 1, conflicts_with = "file")]
        seed: u64,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print generated labelled texts, one JSON object a line
    Generate {
        /// What they follow from: the same seed gives the same texts
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Print standard input without personal data and secrets
    Text,
}

/// Does it.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Evaluate { file, seed, json } => {
            let file = match file {
                Some(path) => labelled::read(&read(&path)?)?,
                None => generated(seed),
            };
            let report = Report::new(&file);
            if json {
                print_json(&report.json());
            } else {
                print_text(&report.text());
            }
        }
        Action::Generate { seed } => {
            let lines = corpus::generate(seed);
            print_text(&lines.iter().map(|text| labelled::line(text) + "\n").collect::<String>());
        }
        Action::Text => {
            let text = read(Path::new("-"))?;
            print_text(&Redactor::new().text(&text).text);
        }
    }
    Ok(())
}

/// The text of a file, or of standard input.
fn read(path: &Path) -> Result<String, Failure> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        ("standard input".to_owned(), std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let bytes = bytes.map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(format!("{name} is not UTF-8: the byte at {at} is none of a character"))
            .hint("convert it to UTF-8")
    })
}

fn generated(seed: u64) -> File {
    let texts = corpus::generate(seed);
    let texts = texts.into_iter().map(|labelled| Text { labelled, unjudged: Vec::new() }).collect();
    File { texts, ..File::default() }
}

/// What an evaluation came to.
struct Report<'f> {
    file: &'f File,
    score: Score,
}

impl<'f> Report<'f> {
    fn new(file: &'f File) -> Self {
        let redactor = Redactor::new();
        let mut score = Score::default();
        for Text { labelled, unjudged } in &file.texts {
            let mut found = redactor.find(&labelled.text);
            // What stands where a label of an unknown kind is cannot be called right or wrong, unless a known one is there.
            found.retain(|finding| {
                let at =
                    |range: &std::ops::Range<usize>| range.start < finding.end && finding.start < range.end;
                !unjudged.iter().any(at) || labelled.spans.iter().any(|(_, span)| at(span))
            });
            score.add(&labelled.text, &labelled.spans, &found);
        }
        Self { file, score }
    }

    fn without_labels(&self) -> usize {
        self.file
            .texts
            .iter()
            .filter(|text| text.labelled.spans.is_empty() && text.unjudged.is_empty())
            .count()
    }

    fn json(&self) -> Value {
        let row = |tally: Tally| {
            json!({
                "labelled": tally.labelled,
                "found": tally.found,
                "missed": tally.missed(),
                "false": tally.wrong,
                "recall": tally.recall(),
                "precision": tally.precision(),
                "exact": tally.exact_share(),
            })
        };
        let kinds: Map<String, Value> =
            Kind::ALL.iter().map(|kind| (kind.name().to_owned(), row(self.score.of(*kind)))).collect();
        json!({
            "texts": self.file.texts.len(),
            "texts_without_labels": self.without_labels(),
            "kinds": kinds,
            "unknown_kinds": self.file.unknown,
        })
    }

    fn text(&self) -> String {
        let mut text =
            format!("{} texts, {} of them without labels\n\n", self.file.texts.len(), self.without_labels());
        let head = ["kind", "labelled", "found", "missed", "false", "recall", "precision", "exact"];
        let row = |text: &mut String, cells: [String; 8]| {
            let [kind, cells @ ..] = cells;
            let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
            // Writing to a string does not fail.
            let _ = writeln!(text, "{kind:<8}{cells}");
        };
        row(&mut text, head.map(str::to_owned));
        let share = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
        };
        for kind in Kind::ALL {
            let tally = self.score.of(kind);
            let counts =
                [tally.labelled, tally.found, tally.missed(), tally.wrong].map(|count| count.to_string());
            let [labelled, found, missed, wrong] = counts;
            let shares = [tally.recall(), tally.precision(), tally.exact_share()].map(share);
            let [recall, precision, exact] = shares;
            row(&mut text, [kind.to_string(), labelled, found, missed, wrong, recall, precision, exact]);
        }
        text.push_str("\nfound: at least half of a label's characters, by findings of its kind; exact: its very bounds\n");
        for (kind, count) in &self.file.unknown {
            let _ =
                writeln!(text, "not judged: {count} labels of the kind '{kind}', which is not looked for");
        }
        text
    }
}
