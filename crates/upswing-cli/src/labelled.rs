//! Files of labelled texts: JSON lines that say what a redactor should find, see `docs/redaction.md`.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::json;
use upswing_privacy::redact::corpus::Labelled;
use upswing_privacy::redact::{Finding, Kind, in_characters};

use crate::failure::Failure;

/// What a line looks like, for those whose line looks otherwise.
const EXPECTED: &str =
    r#"one object a line: {"text": "Write to a@b.org", "spans": [{"start": 9, "end": 16, "kind": "email"}]}"#;

/// A file that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct File {
    /// Its texts.
    pub(crate) texts: Vec<Text>,
    /// Labels of kinds that are not looked for, with how often they occur.
    pub(crate) unknown: BTreeMap<String, u64>,
}

/// A text with its labels in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text and the labels of known kinds.
    pub(crate) labelled: Labelled,
    /// Where labels of other kinds are: what is found there is not judged.
    pub(crate) unjudged: Vec<Range<usize>>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    #[serde(alias = "entities", alias = "labels")]
    spans: Vec<Span>,
    #[serde(default)]
    unit: Unit,
}

#[derive(Deserialize)]
struct Span {
    start: usize,
    end: usize,
    #[serde(alias = "label", alias = "entity_type", alias = "type")]
    kind: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    #[serde(alias = "character", alias = "codepoint")]
    Char,
    Byte,
    Utf16,
}

/// Reads a file's lines; empty ones are passed over.
pub(crate) fn read(lines: &str) -> Result<File, Failure> {
    let mut file = File::default();
    for (index, line) in lines.trim_start_matches('\u{feff}').lines().enumerate() {
        if !line.trim().is_empty() {
            let read = read_line(line, &mut file.unknown);
            let complain = |what: String| Failure::new(format!("line {}: {what}", index + 1)).hint(EXPECTED);
            file.texts.push(read.map_err(complain)?);
        }
    }
    Ok(file)
}

fn read_line(line: &str, unknown: &mut BTreeMap<String, u64>) -> Result<Text, String> {
    let Line { text, spans, unit } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let (mut known, mut unjudged) = (Vec::new(), Vec::new());
    for Span { start, end, kind: name } in spans {
        let range =
            position(&text, start, unit).zip(position(&text, end, unit)).filter(|(start, end)| start < end);
        let Some((from, to)) = range else {
            return Err(format!(
                "the span from {start} to {end} is not inside the text, which has {} ({unit})",
                length(&text, unit)
            ));
        };
        match kind(&name) {
            Some(kind) => known.push((kind, from..to)),
            None => {
                *unknown.entry(name).or_default() += 1;
                unjudged.push(from..to);
            }
        }
    }
    Ok(Text { labelled: Labelled { text, spans: known }, unjudged })
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Char => "counted in Unicode characters",
            Self::Byte => "counted in bytes",
            Self::Utf16 => "counted in UTF-16 units",
        })
    }
}

fn length(text: &str, unit: Unit) -> usize {
    match unit {
        Unit::Char => text.chars().count(),
        Unit::Byte => text.len(),
        Unit::Utf16 => text.encode_utf16().count(),
    }
}

/// The byte at a position in another unit; `None` behind the end or inside a character.
fn position(text: &str, at: usize, unit: Unit) -> Option<usize> {
    let mut passed = 0;
    for (byte, c) in text.char_indices().map(|(byte, c)| (byte, Some(c))).chain([(text.len(), None)]) {
        if passed == at {
            return Some(byte);
        }
        passed += match unit {
            Unit::Char => 1,
            Unit::Byte => c.map_or(1, char::len_utf8),
            Unit::Utf16 => c.map_or(1, char::len_utf16),
        };
        if passed > at {
            return (passed == at).then_some(byte);
        }
    }
    None
}

/// The kind that other labellers call so.
fn kind(name: &str) -> Option<Kind> {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    Some(match plain.as_str() {
        "email" | "emailaddress" | "mail" => Kind::Email,
        "phone" | "phonenumber" | "telephone" | "telephonenumber" | "telephonenum" | "tel" | "mobile"
        | "fax" => Kind::Phone,
        "card" | "creditcard" | "creditcardnumber" | "debitcard" | "paymentcard" | "cardnumber" | "cc"
        | "pan" => Kind::Card,
        "iban" | "ibancode" => Kind::Iban,
        "ip" | "ipaddress" | "ipv4" | "ipv6" | "ipv4address" | "ipv6address" => Kind::Ip,
        "ssn" | "usssn" | "socialsecuritynumber" | "socialnum" => Kind::Ssn,
        "secret" | "secretkey" | "apikey" | "password" | "token" | "accesstoken" | "authtoken"
        | "bearertoken" | "credential" | "credentials" | "privatekey" | "jwt" | "awskey" | "accesskey"
        | "connectionstring" => Kind::Secret,
        _ => return None,
    })
}

/// A text as a line of such a file.
pub(crate) fn line(labelled: &Labelled) -> String {
    let findings: Vec<Finding> = labelled
        .spans
        .iter()
        .map(|(kind, span)| Finding { kind: *kind, start: span.start, end: span.end })
        .collect();
    let spans: Vec<_> = in_characters(&labelled.text, &findings)
        .iter()
        .map(|span| json!({ "start": span.start, "end": span.end, "kind": span.kind.name() }))
        .collect();
    json!({ "text": labelled.text, "spans": spans }).to_string()
}

#[cfg(test)]
mod tests {
    use upswing_privacy::redact::corpus;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let texts = corpus::generate(4);
        let lines: Vec<String> = texts.iter().map(line).collect();
        let file = read(&lines.join("\n")).unwrap();
        let read: Vec<Labelled> = file.texts.into_iter().map(|text| text.labelled).collect();
        assert_eq!((read, file.unknown.len()), (texts, 0));
    }

    #[test]
    fn other_names_and_units_are_understood() {
        for line in [
            r#"{"text": "é😀 a@b.org", "spans": [{"start": 3, "end": 10, "kind": "email"}], "id": 7}"#,
            r#"{"text": "é😀 a@b.org", "spans": [{"start": 4, "end": 11, "label": "EMAIL_ADDRESS"}], "unit": "utf16"}"#,
            r#"{"text": "é😀 a@b.org", "spans": [{"start": 7, "end": 14, "entity_type": "Email"}], "unit": "byte"}"#,
        ] {
            let file = read(line).unwrap();
            assert_eq!(file.texts[0].labelled.spans, [(Kind::Email, 7..14)], "{line}");
        }
        let file =
            read(r#"{"text": "I am Ada", "spans": [{"start": 5, "end": 8, "kind": "PERSON"}]}"#).unwrap();
        assert_eq!((file.unknown["PERSON"], file.texts[0].unjudged.len()), (1, 1));
        assert_eq!(file.texts[0].unjudged[0], 5..8);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (line, reason) in [
            ("text", "expected"),
            (r#"{"text": "a"}"#, "missing field `spans`"),
            (r#"{"text": "a", "spans": [{"start": 0, "end": 2, "kind": "email"}]}"#, "from 0 to 2"),
            (
                r#"{"text": "é", "spans": [{"start": 0, "end": 1, "kind": "email"}], "unit": "byte"}"#,
                "from 0 to 1",
            ),
        ] {
            let complaint =
                read(&format!("{{\"text\": \"\", \"spans\": []}}\n{line}")).unwrap_err().to_string();
            assert!(complaint.contains("line 2") && complaint.contains(reason), "{complaint}");
            assert!(complaint.contains("\"start\": 9"), "{complaint}");
        }
    }
}
