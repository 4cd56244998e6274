//! A value that is assigned to the name of a secret: in code, JSON, XML, environments, headers, arguments and sentences.

use std::ops::Range;

use crate::redact::context::{after, is_unspaced};

use super::name::{Strength, strength};
use super::value;

/// A value longer than this is no secret, but a document.
const LONGEST: usize = 1024;
const LONGEST_NAME: usize = 48;
/// How far a sentence may go between a key's name and the key.
const SENTENCE: usize = 48;

/// How name and value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `name=value`
    Equals,
    /// `name = value`, with spaces
    SpacedEquals,
    /// `name: value`
    Colon,
    /// `name is value`
    Word,
    /// `--name value`, `<name>value`
    Direct,
}

/// The value assigned to the name around a stem.
pub(super) fn read(text: &str, stem_start: usize, stem_end: usize) -> Option<Range<usize>> {
    let (start, end) = name_around(text, stem_start, stem_end);
    let name = &text[start..end];
    let strength = strength(name).max(with_previous_word(text, start, name))?;
    if let Some((joint, at)) = joint(text, start, end)
        && let Some(range) = assigned(text, at, joint, strength)
    {
        return Some(range);
    }
    in_sentence(text, end, strength)
}

/// The name that the stem is a part of.
fn name_around(text: &str, start: usize, end: usize) -> (usize, usize) {
    let part = |c: &char| {
        c.is_ascii_alphanumeric()
            || *c == '_'
            || *c == '-'
            || (!c.is_ascii() && c.is_alphanumeric() && !is_unspaced(*c))
    };
    let left: usize =
        text[..start].chars().rev().take(LONGEST_NAME).take_while(part).map(char::len_utf8).sum();
    let right: usize = text[end..].chars().take(LONGEST_NAME).take_while(part).map(char::len_utf8).sum();
    let name = &text[start - left..end + right];
    let trimmed = name.trim_end_matches('-');
    (start - left, start - left + trimmed.len())
}

/// `api key`, `mot de passe`: a name in a sentence has spaces.
fn with_previous_word(text: &str, start: usize, name: &str) -> Option<Strength> {
    let rest = text[..start].strip_suffix([' ', '.'])?;
    let word: usize =
        rest.chars().rev().take(16).take_while(|c| c.is_alphanumeric()).map(char::len_utf8).sum();
    if word == 0 || name.contains('-') {
        return None;
    }
    strength(&format!("{} {name}", &rest[rest.len() - word..]))
}

/// What joins the name to its value, and where the value starts.
fn joint(text: &str, start: usize, end: usize) -> Option<(Joint, usize)> {
    let mut at = end;
    let flag = text[start..end].starts_with("--") || text[..start].ends_with("--");
    if flag && text[at..].starts_with(' ') {
        return Some((Joint::Direct, at + 1));
    }
    if text[..start].ends_with('<') && text[at..].starts_with('>') {
        return Some((Joint::Direct, at + 1));
    }
    // What closes a name: quotes, escaped quotes, brackets, emphasis.
    at += text[at..].bytes().take(5).take_while(|b| b"\"'`\\]*)?".contains(b)).count();
    let rest = &text[at..];
    let spaces = rest.bytes().take(6).take_while(|b| *b == b' ' || *b == b'\t').count();
    let rest = &rest[spaces..];
    at += spaces;
    let skip = |n: usize| {
        let tail = &text[at + n..];
        // Emphasis that closes after the colon.
        let marks = tail.bytes().take(2).take_while(|b| *b == b'*').count();
        at + n + marks + tail[marks..].bytes().take(8).take_while(|b| *b == b' ' || *b == b'\t').count()
    };
    for (mark, spaced, tight) in [
        (":=", Joint::SpacedEquals, Joint::Equals),
        ("=>", Joint::SpacedEquals, Joint::Equals),
        ("->", Joint::SpacedEquals, Joint::Colon),
        ("===", Joint::SpacedEquals, Joint::SpacedEquals),
        ("==", Joint::SpacedEquals, Joint::SpacedEquals),
        ("=", Joint::SpacedEquals, Joint::Equals),
        (": ", Joint::Colon, Joint::Colon),
        (":", Joint::Colon, Joint::Colon),
        ("- ", Joint::Word, Joint::Word),
        ("is: ", Joint::Colon, Joint::Colon),
        ("is ", Joint::Word, Joint::Word),
        ("was ", Joint::Word, Joint::Word),
        ("ist ", Joint::Word, Joint::Word),
        ("lautet ", Joint::Word, Joint::Word),
        ("est ", Joint::Word, Joint::Word),
        ("es ", Joint::Word, Joint::Word),
        ("é ", Joint::Word, Joint::Word),
        ("to ", Joint::Word, Joint::Word),
        ("是", Joint::Word, Joint::Word),
        ("は", Joint::Word, Joint::Word),
        (", ", Joint::SpacedEquals, Joint::SpacedEquals),
    ] {
        if rest.starts_with(mark) {
            let next = skip(mark.len());
            // `set("api_key", "value")`: a comma joins only what is quoted on both sides.
            if mark == ", "
                && !(text[end..].starts_with(['"', '\'']) && text[next..].starts_with(['"', '\'']))
            {
                return None;
            }
            let quoted = matches!(mark, "is " | "was " | "to " | "- ") && spaces == 0;
            return (!quoted)
                .then_some((if spaces > 0 || next > at + mark.len() { spaced } else { tight }, next));
        }
    }
    (spaces > 0 && text[at..].starts_with(['"', '\'', '`'])).then_some((Joint::Word, at))
}

/// The value that starts here, if it is one.
fn assigned(text: &str, at: usize, joint: Joint, strength: Strength) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = at;
    // b"..." and f'...' are strings as well.
    if matches!(bytes.get(at), Some(b'b' | b'r' | b'f' | b'u'))
        && matches!(bytes.get(at + 1), Some(b'"' | b'\''))
    {
        at += 1;
    }
    if let Some((opening, closing)) = quote(&text[at..]) {
        let start = at + opening;
        let window = &bytes[start..bytes.len().min(start + LONGEST)];
        let line = window.iter().position(|b| *b == b'\n').unwrap_or(window.len());
        if let Some(length) = end_of_quoted(&window[..line], closing) {
            let quoted = &text[start..start + length];
            return is_quoted_secret(quoted, strength, joint).then_some(start..start + length);
        }
        at = start;
    }
    let start = at;
    let rest = &text[start..];
    // `Authorization: Bearer x` is read by its scheme.
    let scheme = ["bearer ", "basic ", "token ", "apikey ", "digest "]
        .iter()
        .find(|scheme| rest.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    if let Some(scheme) = scheme {
        let start = start + scheme.len();
        let length = token_length(&text[start..]);
        let token = &text[start..start + length];
        return (length >= 6 && value::is_chosen(token) && !value::is_placeholder(token))
            .then_some(start..start + length);
    }
    let (raw, stop) = raw_value(rest, joint);
    let trimmed = raw.trim_end_matches(['.', ',', ';', ':', ')', ']', '}', '"', '\'', '`', '\\']);
    let trimmed = if trimmed.ends_with(['?']) && joint == Joint::Word {
        trimmed.trim_end_matches('?')
    } else {
        trimmed
    };
    is_raw_secret(trimmed, &rest[stop..], joint, strength).then(|| start..start + trimmed.len())
}

/// The quotes a text opens with: how long they are, and what closes them.
fn quote(text: &str) -> Option<(usize, &'static [u8])> {
    [
        ("\\\\\"", &b"\\\\\""[..]),
        ("\\\"", b"\\\""),
        ("\"\"\"", b"\"\"\""),
        ("\"", b"\""),
        ("'", b"'"),
        ("`", b"`"),
        ("\u{201c}", "\u{201d}".as_bytes()),
        ("\u{2018}", "\u{2019}".as_bytes()),
        ("„", "\u{201c}".as_bytes()),
        ("«", "»".as_bytes()),
    ]
    .into_iter()
    .find(|(opening, _)| text.starts_with(opening))
    .map(|(opening, closing)| (opening.len(), closing))
}

fn end_of_quoted(window: &[u8], closing: &[u8]) -> Option<usize> {
    let escapes = closing.len() == 1;
    memchr::memmem::find_iter(window, closing).find(|at| !(escapes && *at > 0 && window[at - 1] == b'\\'))
}

/// The text up to where a value without quotes ends, and where that is.
fn raw_value(rest: &str, joint: Joint) -> (&str, usize) {
    let stops = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '<' | '>' | '`' | ',' | '，' | '。' | '、' | '；')
            || (matches!(c, ';' | '&') && joint == Joint::Equals)
            || c == '|'
    };
    let length: usize = rest.chars().take(LONGEST).take_while(|c| !stops(*c)).map(char::len_utf8).sum();
    (&rest[..length], length)
}

fn token_length(rest: &str) -> usize {
    let length =
        rest.bytes().take(8192).take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b)).count();
    rest[..length].trim_end_matches('.').len()
}

/// Words of a sentence about passwords, as interfaces have them.
const SENTENCES: &[&str] = &[
    "must",
    "enter",
    "your",
    "forgot",
    "invalid",
    "required",
    "incorrect",
    "reset",
    "please",
    "should",
    "cannot",
    "change",
    "the",
    "with",
    "wrong",
    "is",
    "at",
    "least",
    "not",
    "for",
    "does",
    "are",
    "choose",
];

fn is_quoted_secret(quoted: &str, strength: Strength, joint: Joint) -> bool {
    if value::is_placeholder(quoted) || quoted.len() < 3 {
        return false;
    }
    let words = quoted.split_whitespace().count();
    let prose = words > 1
        && quoted.split_whitespace().any(|word| SENTENCES.contains(&word.to_ascii_lowercase().as_str()));
    match strength {
        Strength::Strong => {
            !prose
                && words <= 8
                && (joint != Joint::Word || value::is_chosen(quoted) || words == 1)
                && !value::is_code(quoted)
        }
        Strength::Token => {
            words == 1
                && quoted.len() >= 8
                && value::is_chosen(quoted)
                && !is_plain_number(quoted)
                && !quoted.contains('@')
        }
        Strength::Weak => {
            words == 1 && quoted.len() >= 16 && value::is_random(quoted) && !quoted.contains("://")
        }
    }
}

fn is_raw_secret(raw: &str, rest: &str, joint: Joint, strength: Strength) -> bool {
    if raw.len() < 3
        || value::is_placeholder(raw)
        || rest.starts_with('(')
        || raw.contains('(') && raw.contains(')')
    {
        return false;
    }
    let code = value::is_code(raw) || raw.ends_with("()");
    match strength {
        Strength::Weak => raw.len() >= 20 && value::is_random(raw) && !code && !raw.contains("://"),
        Strength::Token => {
            let enough = if joint == Joint::Word { 10 } else { 8 };
            raw.len() >= enough
                && value::is_chosen(raw)
                && !code
                && !is_plain_number(raw)
                && !raw.contains('@')
                && (joint != Joint::Word || value::is_random(raw))
        }
        Strength::Strong => match joint {
            Joint::Equals | Joint::Direct => !code && super::name::strength(raw).is_none(),
            Joint::SpacedEquals => {
                !code
                    && (value::is_chosen(raw) || raw.len() >= 6 && ends_line(rest))
                    && super::name::strength(raw).is_none()
            }
            Joint::Colon => {
                !code && (value::is_chosen(raw) || (is_lower(raw) && raw.len() >= 5 && ends_line(rest)))
            }
            Joint::Word => {
                let digits = raw.chars().filter(char::is_ascii_digit).count();
                value::is_chosen(raw)
                    && !code
                    && (digits > 0 || raw.chars().any(|c| "!@#$%^&*+=?".contains(c)))
                    && !is_ordinal(raw)
            }
        },
    }
}

fn is_lower(raw: &str) -> bool {
    raw.chars().all(|c| c.is_lowercase() || c == '-')
}

fn ends_line(rest: &str) -> bool {
    rest.trim_start_matches([' ', '"', '\'', '.', ',']).chars().next().is_none_or(|c| c == '\n' || c == '\r')
}

fn is_plain_number(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_digit() || b".,-:/ ".contains(&b))
}

/// `12-character`, `8+`
fn is_ordinal(raw: &str) -> bool {
    raw.starts_with(|c: char| c.is_ascii_digit())
        && raw.contains('-')
        && raw.chars().filter(char::is_ascii_digit).count() <= 2
}

/// "the API key for production, 9f8e7d6c..., leaked": a random token not far behind the name.
fn in_sentence(text: &str, end: usize, strength: Strength) -> Option<Range<usize>> {
    if strength == Strength::Weak {
        return None;
    }
    let mut at = end;
    let limit = (end + SENTENCE).min(text.len());
    while at < limit {
        let c = after(text, at)?;
        if c == '\n' {
            return None;
        }
        if !c.is_ascii_alphanumeric() {
            at += c.len_utf8();
            continue;
        }
        let length = text[at..]
            .bytes()
            .take(LONGEST)
            .take_while(|b| b.is_ascii_alphanumeric() || b"-_+/=".contains(b))
            .count();
        let token = &text[at..at + length];
        let follows = after(text, at + length);
        // A URL or an address is read elsewhere.
        let whole = !matches!(follows, Some('@' | ':')) && !token.contains('/') || token.len() >= 32;
        if token.len() >= 16
            && whole
            && value::is_random(token)
            && !is_hex_or_uuid_of_something(token, &text[end..at])
        {
            // Tokens of several parts have dots between them.
            let part = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
            let tail = text[at + length..].bytes().take(LONGEST).take_while(part).count();
            let end = at + length + tail;
            return Some(at..at + text[at..end].trim_end_matches(['.', '-', '_']).len());
        }
        at += length;
    }
    None
}

/// "the token of commit 1f0c...": another word claims the digits.
fn is_hex_or_uuid_of_something(token: &str, between: &str) -> bool {
    let hex = token.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let lower = between.to_ascii_lowercase();
    let claims = [
        "commit", "hash", "sha", "digest", "checksum", "id", "uuid", "revision", "request", "file", "trace",
        "image", "etag", "branch",
    ];
    hex && lower
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| claims.contains(&word) || word.starts_with("sha"))
}
